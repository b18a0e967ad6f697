"""Random well-typed programs over the algebra against the reference.

usage: compositions.py COUNT FIRST_SEED [attn-run options]

A program is a handful of operations on score matrices of one shape, each with
operands drawn from what is there, and one to three results. Seeds are printed
with failures; `compositions.py 1 SEED` runs one again, `print SEED` shows it.
"""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HEADS, FEATURES = 4, 16


class Program:
    """Text of one program while it is being drawn."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.arguments, self.lines, self.returns = [], [], []
        self.count = 0
        self.square = self.random.random() < 0.5
        self.keys = "M" if self.square else "N"
        # Matrices: name, and whether values are weights (small, not negative).
        self.scores = []

    def name(self):
        self.count += 1
        return f"%x{self.count}"

    def argument(self, dims, init="", element="f32"):
        name = f"a{len(self.arguments)}"
        shape = "x".join("?" if not str(d).isdigit() else str(d) for d in dims)
        type_ = f"tensor<{shape}x{element}>"
        quoted = ", ".join(f'"{d}"' for d in dims)
        init = f', attn.init = "{init}"' if init else ""
        self.arguments.append(f'%{name}: {type_} {{attn.name = "{name}", attn.dims = [{quoted}]{init}}}')
        return f"%{name}", type_

    def emit(self, text):
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def pick(self):
        return self.random.choice(self.scores)

    def region(self, ops, inputs, captures=""):
        """A map of the matrices `inputs`; `ops` computes %y of %v0, %v1, ..."""
        arguments = ", ".join(f"%v{k}: f32" for k in range(len(inputs)))
        types = ", ".join(["!scores"] * len(inputs))
        body = "\n".join(f"    {op}" for op in ops)
        return self.emit(
            f"attn.map {', '.join(inputs)} ({arguments}) at (%b, %h, %i, %j) {{\n{body}\n"
            f"    attn.yield %y : f32\n  }} : ({types}) -> !scores"
        )


# Sources of scores.


def score(p):
    q, tq = p.argument(["B", HEADS, "M", FEATURES])
    groups = p.random.choice([1, 2, HEADS])
    k, tk = p.argument(["B", groups, p.keys, FEATURES])
    return p.emit(f"attn.score {q}, {k} scale(0.25) : {tq}, {tk} -> !scores")


def bias(p):
    t, tt = p.argument(["B", HEADS, "M", p.keys])
    return p.emit(f"attn.bias {t} : {tt} -> !scores")


SOURCES = [score, score, score, bias]

# Operations on scores.


def causal(p):
    if not p.square:
        return window(p)
    return p.emit(f"attn.mask {p.pick()} causal : !scores")


def window(p):
    width = p.random.choice([1, 5, 40])
    body = f"""attn.mask {p.pick()} (%v: f32) at (%b, %h, %i, %j) {{
    %w = arith.constant {width} : index
    %l = arith.addi %i, %w : index
    %y = arith.cmpi sle, %j, %l : index
    attn.yield %y : i1
  }} : !scores"""
    return p.emit(body)


def softmax(p):
    option = p.random.choice(["", "", " plus_one", " scale(0.5)"])
    return p.emit(f"attn.softmax {p.pick()}{option} : !scores")


def bounded(p):
    op = p.random.choice(["math.tanh %v0", "math.absf %v0", "arith.negf %v0"])
    return p.region([f"%y = {op} : f32"], [p.pick()])


def sigmoid(p):
    return p.region(
        [
            "%one = arith.constant 1.0 : f32",
            "%n = arith.negf %v0 : f32",
            "%e = math.exp %n : f32",
            "%d = arith.addf %e, %one : f32",
            "%y = arith.divf %one, %d : f32",
        ],
        [p.pick()],
    )


def combine(p):
    op = p.random.choice(["addf", "subf", "mulf"])
    return p.region([f"%y = arith.{op} %v0, %v1 : f32"], [p.pick(), p.pick()])


def slope(p):
    t, tt = p.argument([HEADS])
    return p.region(
        [
            f"%m = tensor.extract {t}[%h] : {tt}",
            "%d = arith.subi %j, %i : index",
            "%di = arith.index_cast %d : index to i64",
            "%df = arith.sitofp %di : i64 to f32",
            "%c = arith.constant 0.01 : f32",
            "%s = arith.mulf %df, %c : f32",
            "%t = arith.mulf %s, %m : f32",
            "%y = arith.addf %v0, %t : f32",
        ],
        [p.pick()],
    )


def column(p):
    """Scaled by a vector over the keys."""
    t, tt = p.argument(["B", HEADS, p.keys])
    return p.region(
        [f"%m = tensor.extract {t}[%b, %h, %j] : {tt}", "%y = arith.mulf %v0, %m : f32"], [p.pick()]
    )


def centred(p):
    """Less the mean of its row or column."""
    axis, length, index = p.random.choice([("keys", "M", "%i"), ("queries", p.keys, "%j")])
    s = p.pick()
    type_ = f"tensor<?x{HEADS}x?xf32>"
    mean = p.emit(f"attn.reduce mean {axis} {s} : (!scores) -> {type_}")
    return p.region(
        [f"%m = tensor.extract {mean}[%b, %h, {index}] : {type_}", "%y = arith.subf %v0, %m : f32"], [s]
    )


def fill(p):
    return p.emit(f"attn.fill {p.pick()}, 0.0 : !scores")


def convolve(p):
    rows, keys = p.random.choice([(1, 3), (3, 1), (3, 3), (2, 5)])
    w, tw = p.argument([p.random.choice([1, HEADS]), rows, keys], "normal(0.5)")
    origin = f"[{p.random.randrange(rows)}, {p.random.randrange(keys)}]"
    return p.emit(f"attn.convolve {p.pick()}, {w} origin {origin} : !scores, {tw}")


def mix_heads(p):
    w, tw = p.argument([HEADS, HEADS], "normal(0.5)")
    return p.emit(f"attn.mix_heads {p.pick()}, {w} : !scores, {tw} -> !scores")


def restrict(p):
    """Lists of four blocks of keys for eight blocks of queries: enough for the
    longest run below."""
    query, key = p.random.choice([(17, 16), (32, 1), (20, 64)])
    blocks = 8 if key > 1 else 100
    name, type_ = p.argument(["1", p.random.choice([1, HEADS]), 8, 4], f"range(-1, {blocks})", "i32")
    return p.emit(f"attn.restrict {p.pick()}, {name} block({query}, {key}) : !scores, {type_}")


SMOOTH = [causal, window, softmax, softmax, bounded, sigmoid, combine, combine, slope, column, centred, fill]
OPERATIONS = SMOOTH + SMOOTH + [convolve, convolve, mix_heads, mix_heads, restrict, restrict]

# Results.


def aggregate(p):
    groups = p.random.choice([1, 2, HEADS])
    v, tv = p.argument(["B", groups, p.keys, FEATURES])
    type_ = f"tensor<?x{HEADS}x?x{FEATURES}xf32>"
    return p.emit(f"attn.aggregate {p.pick()}, {v} : !scores, {tv} -> {type_}"), type_


def join(p):
    """A second source of keys beside the matrix at hand."""
    length, groups = "L", p.random.choice([1, HEADS])
    q, tq = p.argument(["B", HEADS, "M", FEATURES])
    k, tk = p.argument(["B", groups, length, FEATURES])
    v, tv = p.argument(["B", HEADS, p.keys, FEATURES])
    w, tw = p.argument(["B", groups, length, FEATURES])
    other = p.emit(f"attn.score {q}, {k} scale(0.25) : {tq}, {tk} -> !scores")
    both = p.emit(f"attn.concat {p.pick()}, {other} : (!scores, !scores) -> !scores")
    if p.random.random() < 0.7:
        both = p.emit(f"attn.softmax {both} : !scores")
    type_ = f"tensor<?x{HEADS}x?x{FEATURES}xf32>"
    return p.emit(f"attn.aggregate {both}, ({v}, {w}) : !scores, {tv}, {tw} -> {type_}"), type_


def reduce(p):
    kind = p.random.choice(["sum", "max", "min", "mean", "lse", "count"])
    axis = p.random.choice(["keys", "queries"])
    type_ = f"tensor<?x{HEADS}x?x{'i64' if kind == 'count' else 'f32'}>"
    return p.emit(f"attn.reduce {kind} {axis} {p.pick()} : (!scores) -> {type_}"), type_


RESULTS = [aggregate, aggregate, aggregate, reduce, reduce, join]


def draw(seed):
    p = Program(seed)
    for _ in range(p.random.choice([1, 1, 2])):
        p.scores.append(p.random.choice(SOURCES)(p))
    for _ in range(p.random.randint(1, 5)):
        p.scores.append(p.random.choice(OPERATIONS)(p))
    # What was drawn last is more interesting than what was drawn first.
    p.scores = p.scores[-3:]
    results = [p.random.choice(RESULTS)(p) for _ in range(p.random.choice([1, 1, 2, 3]))]
    values = ", ".join(name for name, _ in results)
    types = ", ".join(type_ for _, type_ in results)
    lines = [f"!scores = !attn.scores<?x{HEADS}x?x?xf32>", "func.func @f(", "    " + ",\n    ".join(p.arguments)]
    lines += [f"  ) -> ({types}) {{", *p.lines, f"  return {values} : {types}", "}"]
    return "\n".join(lines) + "\n", p


def check(seed, flags):
    """None, or what went wrong; a refusal with a reason is not wrong."""
    program, p = draw(seed)
    m = p.random.choice([1, 7, 33, 65, 130])
    n = m if p.square else p.random.choice([0, 1, 50, 64, 129])
    size = f"B=2,M={m}" + ("" if p.square else f",N={n}")
    if '"L"' in program:
        size += f",L={p.random.choice([0, 3, 70])}"
    checks = [] if "--check=exact" in flags else ["--check"]
    command = ["attn-run", "-", *checks, "--size", size, "--seed", str(seed), *flags]
    try:
        run = subprocess.run(command, input=program, text=True, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        return f"seed {seed} ({size}): took longer than two minutes\n{program}"
    reasons = ("max-recompute-factor", "exact mode does not apply")
    if run.returncode == 3 and any(reason in run.stderr for reason in reasons):
        return "refused"
    if run.returncode:
        return f"seed {seed} ({size}): exit code {run.returncode}\n{run.stdout}{run.stderr}\n{program}"
    return None


def main():
    if sys.argv[1] == "print":
        print(draw(int(sys.argv[2]))[0])
        return
    count, first, flags = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda seed: check(seed, flags), range(first, first + count)))
    failures = [outcome for outcome in outcomes if outcome not in (None, "refused")]
    for failure in failures:
        print(failure)
    refused = outcomes.count("refused")
    print(f"{count} programs, {refused} refused, {len(failures)} failures")
    # Refusals are for programs that would visit their scores too often, or that
    # exact mode has no meaning for.
    sys.exit(bool(failures) or refused > count // 4)


if __name__ == "__main__":
    main()
