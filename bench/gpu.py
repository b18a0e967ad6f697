#!/usr/bin/env python3
"""Checks and times this compiler's kernels on a GPU.

Two steps, as the machine with the GPU need have neither LLVM nor the compiler:

    bench/gpu.py prepare FOLDER     # where the compiler is: packages, operands, truth
    python FOLDER/gpu.py run        # where the GPU is: Python, NumPy, the driver

`prepare` compiles every program of examples/ and a grid of attention problems
for each target, computes on the CPU what the examples have to give (in float64,
and op by op in the program's own types, which sets the error budget: twice that
error plus 4 units in the last place), and puts it all into FOLDER beside the
runtime library, attn-bench and this script.

`run` checks every example on the GPU against that. Then it does what `attn-bench
--device` does with the problems: times them in turn with what PyTorch has, and
gives shares of this GPU's limits. It ends with tables in Markdown and, with
--json, the numbers. A wrong result makes the exit code 1.
"""

import argparse
import contextlib
import pathlib
import shutil
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# Where `prepare` put it, else where it is in the source tree.
sys.path.insert(0, str(HERE if (HERE / "attn_bench").exists() else ROOT / "tools/attn-bench"))

from attn_bench.device import Machine  # noqa: E402
from attn_bench.main import add_timing, check_timing, parse_device, write  # noqa: E402
from attn_bench.measure import compare as compare_systems  # noqa: E402
from attn_bench.measure import print_line, report_failures  # noqa: E402
from attn_bench.packages import Packages, make_options, run_tool, save, say  # noqa: E402
from attn_bench.problems import Problem  # noqa: E402
from attn_bench.runtime import BFLOAT, Failure, Program  # noqa: E402

FLOOR_ULPS = 4
EPSILON = {("f", 64): 2.0**-52, ("f", 32): 2.0**-23, ("f", 16): 2.0**-10, ("u", 16): 2.0**-7}


# ----------------------------------------------------------------------------
# Prepare
# ----------------------------------------------------------------------------


def grid(lengths, features):
    problem = lambda mask, d, m, n, **heads: Problem(
        mask, "bf16", heads.get("batch", 1), heads.get("heads", 16), heads.get("groups", 16), m, n, d
    )
    prefill = [problem(mask, d, n, n) for d in features for n in lengths for mask in ("full", "causal")]
    decode = [problem("full", d, 1, max(lengths), batch=8, heads=32, groups=4) for d in features if lengths]
    return prefill + decode


def choose_examples(names):
    programs = sorted((ROOT / "examples").glob("*.mlir"))
    if names is None:
        return programs
    if missing := set(names) - {p.stem for p in programs}:
        raise Failure(f"examples/ has no {', '.join(sorted(missing))}")
    return [p for p in programs if p.stem in names]


def prepare(options):
    folder, tools, targets = options.folder, options.tools, make_options(options.targets, options.cpu)
    programs = choose_examples(options.examples)
    folder.mkdir(parents=True, exist_ok=True)
    for number, program in enumerate(programs, 1):
        say(f"{number} of {len(programs)}: {program.stem}")
        package, record = folder / f"{program.stem}.so", folder / f"{program.stem}.npz"
        run_tool([tools / "attn-compile", program, *targets, "-o", package], program.stem)
        run_tool([tools / "attn-run", program, "--check", "--record", record], program.stem)
    problems = grid(options.length, options.features)
    save(folder, problems, options.targets, options.cpu, tools, examples=[p.stem for p in programs])
    shutil.copy(__file__, folder / "gpu.py")
    say(f"{folder} is ready: python {folder / 'gpu.py'} run")
    return 0


# ----------------------------------------------------------------------------
# Correctness
# ----------------------------------------------------------------------------


def widen(array, parameter):
    if parameter.code == BFLOAT and parameter.bits == 16:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def compare(got, wanted, truth, parameter):
    """What is wrong with a result, or None; and its error and budget."""
    kind, bits = got.dtype.kind, parameter.bits
    if got.shape != wanted.shape:
        return f"has shape {got.shape}, not {wanted.shape}", 0.0, 0.0
    got, plain = widen(got, parameter), widen(wanted, parameter)
    if got.dtype.kind != "f":
        differ = (got != plain) & (got != truth)
        return (f"{int(differ.sum())} of {differ.size} numbers differ" if differ.any() else None), 0.0, 0.0
    alike = lambda x: (np.isnan(got) & np.isnan(x)) | (got == x) | (np.isfinite(got) & np.isfinite(x))
    same = alike(plain) | (alike(truth) & ~np.isfinite(truth))
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        return f"at {place} it is {got[place]}, not {plain[place]}", 0.0, 0.0
    finite = np.isfinite(truth) & np.isfinite(got)
    largest = lambda x: float(np.abs(x[finite]).max(initial=0.0))
    error = largest(np.where(finite, got, 0) - np.where(finite, truth, 0))
    materialised = largest(np.where(finite, plain, 0) - np.where(finite, truth, 0))
    budget = 2 * materialised + FLOOR_ULPS * EPSILON[kind, bits] * largest(truth)
    return (f"error {error:.3g} is above {budget:.3g}" if error > budget else None), error, budget


def check_example(runtime, folder, name):
    record = np.load(folder / f"{name}.npz")
    with Program(runtime, folder / f"{name}.so") as program:
        arrays = [record[f"operand.{p.name.decode()}"] for p in program.arguments]
        values = program.compute(arrays)
        rows = []
        for parameter in program.results:
            result = parameter.name.decode()
            fault, error, budget = compare(
                values[result], record[f"materialised.{result}"], record[f"truth.{result}"], parameter
            )
            rows.append({"example": name, "result": result, "error": error, "budget": budget, "fault": fault})
        return rows


def check_examples(runtime, folder, examples):
    """Rows of the table of results, and what failed, by example."""
    checks, failures = [], {}
    for number, example in enumerate(examples, 1):
        say(f"check {number} of {len(examples)}: {example}")
        try:
            checks += check_example(runtime, folder, example)
        except Failure as failure:
            failures[example] = str(failure)
    return checks, failures


def print_checks(examples, checks, failures):
    """The table; whether all of it is right."""
    print_line(["example", "result", "error", "budget", ""])
    print_line(["---"] * 5)
    for row in checks:
        print_line([row["example"], row["result"], f"{row['error']:.2e}", f"{row['budget']:.2e}", row["fault"] or "ok"])
    for example, failure in failures.items():
        print_line([example, "", "", "", failure])
    wrong = {row["example"] for row in checks if row["fault"]} | set(failures)
    print(f"\n{len(examples) - len(wrong)} of {len(examples)} examples are correct\n")
    return not wrong


# ----------------------------------------------------------------------------
# Run
# ----------------------------------------------------------------------------


def run(options):
    packages = Packages(options.folder or HERE)
    if "examples" not in packages.manifest:
        raise Failure(f"{packages.folder} was not made by 'gpu.py prepare'")
    examples = packages.manifest["examples"]
    with contextlib.ExitStack() as stack:
        machine = Machine(packages, options, stack)
        print(machine.describe() + "\n")
        checks, failures = check_examples(machine.runtime, packages.folder, examples)
        is_right = print_checks(examples, checks, failures)
        rows = [] if options.check_only else compare_systems(list(packages.files), machine, options.rounds)
    write(options.json, {**machine.about, "checks": checks, "failures": failures, "rows": rows})
    return report_failures(rows) or (0 if is_right else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare", help="compile, and compute what is correct")
    first.add_argument("folder", type=pathlib.Path)
    first.add_argument("--targets", default="cuda:sm_80,cuda:sm_90", help="as attn-compile's --target (%(default)s)")
    first.add_argument("--cpu", help="of the other machine, if it is a lesser one, such as haswell")
    first.add_argument("--examples", nargs="*", help="names of examples (all)")
    first.add_argument("--length", nargs="*", type=int, default=[1024, 4096, 16384], help="lengths of problems")
    first.add_argument("--features", nargs="*", type=int, default=[64, 128], help="features of a head")
    first.add_argument("--tools", type=pathlib.Path, default=ROOT / "build/bin", help="where attn-compile is")
    second = commands.add_parser("run", help="check and time on a GPU")
    second.add_argument("folder", type=pathlib.Path, nargs="?", help="what prepare made (where this script is)")
    second.add_argument("--device", type=parse_device, default="0", help="number of the GPU of CUDA, or a name: hip:0")
    second.add_argument("--check-only", action="store_true", help="no times")
    add_timing(second, 7)
    second.set_defaults(peers=None)
    options = parser.parse_args()
    try:
        if options.command == "prepare":
            return prepare(options)
        check_timing(second, options)
        return run(options)
    except (Failure, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    sys.exit(main())
