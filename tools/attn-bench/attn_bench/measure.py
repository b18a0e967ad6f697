"""Systems side by side: each on the same operands, in turn, and a table of it.

A machine (cpu.py, device.py) has `systems`, ours first, and says where operands
are placed, how a call is timed, and what the most is that can be reached."""

import contextlib
import math
import statistics
import sys
from dataclasses import asdict, dataclass
from typing import Callable

from .problems import Operands, find_error
from .runtime import Failure, Refusal

OURS = "attn-mlir"


@dataclass
class Prepared:
    """A system that is ready to do a problem."""

    call: Callable
    fetch: Callable  # the result of the last call, as float32
    scope: Callable = contextlib.nullcontext  # in which it is called


def prepare(system, problem, operands, placed, stack):
    """Ready, and called often enough to have compiled what it compiles; None if
    it does not do such problems, a sentence if it fails."""
    try:
        prepared = system.prepare(problem, placed, stack)
        if prepared is None:
            return None
        with prepared.scope():
            prepared.call()
            wrong = find_error(problem, operands, prepared.fetch())
            prepared.call()
        return wrong or prepared
    except Refusal:
        raise
    # What others refuse, they refuse in many ways.
    except (Failure if system.name == OURS else Exception) as error:
        return str(error).strip().split("\n")[0] or type(error).__name__


def time_rounds(problem, machine, ready, rounds):
    """Seconds of each system in each round, and the most that was reached."""
    times = {name: [] for name in ready}
    limits = []
    for _ in range(rounds):
        limits.append(machine.limit(problem))
        for name, prepared in ready.items():
            with prepared.scope():
                times[name].append(machine.time(prepared.call))
    return times, None if None in limits else max(limits)


def measure(problem, machine, rounds):
    operands = Operands(problem)
    with contextlib.ExitStack() as stack:
        placed = machine.place(operands, stack)
        states = {s.name: prepare(s, problem, operands, placed, stack) for s in machine.systems}
        ready = {name: state for name, state in states.items() if isinstance(state, Prepared)}
        times, limit = time_rounds(problem, machine, ready, rounds)
    medians = {name: statistics.median(t) for name, t in times.items()}
    work, ours, best = problem.work(), medians.get(OURS), min(times.get(OURS, []), default=None)
    share = lambda seconds: work / seconds / limit if seconds and limit else None
    return {
        "problem": asdict(problem),
        "name": problem.name(),
        "milliseconds": {name: t * 1e3 for name, t in medians.items()},
        "best_milliseconds": {name: min(t) * 1e3 for name, t in times.items()},
        "ratios": {name: t / ours for name, t in medians.items() if name != OURS} if ours else {},
        "rate": work / ours if ours else None,
        "unit": "B/s" if problem.decodes() else "FLOP/s",
        "limit": machine.limit_name(problem),
        "limit_rate": limit,
        "share": share(ours),
        "best_share": share(best),
        "notes": {name: state for name, state in states.items() if isinstance(state, str)},
        "rounds": rounds,
    }


def describe_rate(rate, unit):
    """230 GFLOP/s, 41.5 GB/s, 1.24 TFLOP/s."""
    prefix, scale = ("T", 1e12) if unit == "FLOP/s" and rate >= 1e12 else ("G", 1e9)
    number = rate / scale
    return f"{number:.{'0f' if number >= 100 else '3g'}} {prefix}{unit}"


def describe_ours(row):
    """The cells of a row that are about ours."""
    if row["rate"] is None:
        return [row["notes"][OURS], "", ""]
    ours = f"{row['milliseconds'][OURS]:.3f} ms, {describe_rate(row['rate'], row['unit'])}"
    if row["share"] is None:
        return [ours, f"{row['limit']} unmeasured", ""]
    limit = f"{describe_rate(row['limit_rate'], row['unit'])} {row['limit']}"
    return [ours, f"{row['share']:.2f} of {limit}", f"{row['best_share']:.2f}"]


def print_line(cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def compare(problems, machine, rounds):
    """Measures problems and prints a table; its rows."""
    peers = [s.name for s in machine.systems[1:]]
    print_line(["problem", "ours", "share of limit", "best run", *peers])
    print_line(["---"] * (4 + len(peers)))
    rows = []
    for problem in problems:
        row = measure(problem, machine, rounds)
        rows.append(row)
        others = [f"{row['ratios'][p]:.2f}" if p in row["ratios"] else "refused" if p in row["notes"] else "" for p in peers]
        print_line([row["name"], *describe_ours(row), *others])
    print_summary(rows, peers)
    return rows


def print_summary(rows, peers):
    for peer in peers:
        ratios = [row["ratios"][peer] for row in rows if peer in row["ratios"]]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            print(f"\n{peer}: {mean:.2f} times our time (geometric mean of {len(ratios)}), least {min(ratios):.2f}")
    for row in rows:
        for name in (p for p in peers if p in row["notes"]):
            print(f"\n{row['name']}: {name}: {row['notes'][name]}")


def report_failures(rows):
    """Says which problems ours did not do; the exit status."""
    failed = [row for row in rows if OURS in row["notes"]]
    for row in failed:
        print(f"error: {row['name']}: {row['notes'][OURS]}", file=sys.stderr)
    return 1 if failed else 0
