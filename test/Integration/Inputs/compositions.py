"""Random well-typed programs over the algebra against the reference.

usage: compositions.py COUNT FIRST_SEED [short] [attn-run options]

A program is a handful of operations on score matrices of one shape, each with
operands drawn from what is there, and one to three results. Seeds are printed
with failures; `compositions.py 1 SEED` runs one again, `print SEED` shows it.
With `short`, one axis has a few entries, and what is reduced over it is used
along the other one.
"""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HEADS, FEATURES = 4, 16


def extent(dim):
    return dim if str(dim).isdigit() else "?"


class Program:
    """Text of one program while it is being drawn."""

    def __init__(self, seed, short=False):
        self.random = random.Random(seed)
        self.short = short
        self.arguments, self.lines, self.returns = [], [], []
        self.count = 0
        self.square = not short and self.random.random() < 0.5
        self.queries, self.keys = "M", "M" if self.square else "N"
        # Sometimes one axis, or both, are short and known.
        if short or (not self.square and self.random.random() < 0.5):
            if self.random.random() < 0.7:
                self.queries = self.random.choice([1, 2, 4, 7, 16, 17])
            if self.queries == "M" or self.random.random() < 0.1:
                self.keys = self.random.choice([1, 3, 8, 15, 20])
        # Matrices: name, and whether values are weights (small, not negative).
        self.scores = []

    def turned(self):
        """The type of the transposed matrix."""
        return f"!attn.scores<?x{HEADS}x{extent(self.keys)}x{extent(self.queries)}xf32>"

    def name(self):
        self.count += 1
        return f"%x{self.count}"

    def argument(self, dims, init="", element="f32"):
        name = f"a{len(self.arguments)}"
        shape = "x".join(str(extent(d)) for d in dims)
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
    q, tq = p.argument(["B", HEADS, p.queries, FEATURES])
    groups = p.random.choice([1, 2, HEADS])
    k, tk = p.argument(["B", groups, p.keys, FEATURES])
    return p.emit(f"attn.score {q}, {k} scale(0.25) : {tq}, {tk} -> !scores")


def bias(p):
    t, tt = p.argument(["B", HEADS, p.queries, p.keys])
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


def compete(p):
    """A softmax over the queries."""
    turned = p.turned()
    t = p.emit(f"attn.transpose {p.pick()} : !scores -> {turned}")
    w = p.emit(f"attn.softmax {t} : {turned}")
    return p.emit(f"attn.transpose {w} : {turned} -> !scores")


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
    axis, length, index = p.random.choice([("keys", p.queries, "%i"), ("queries", p.keys, "%j")])
    s = p.pick()
    type_ = f"tensor<?x{HEADS}x{extent(length)}xf32>"
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


def reduce_heads(p):
    """Over groups of heads, and each result once for every head of its group."""
    groups = p.random.choice([1, 2])
    kind = p.random.choice(["sum", "max", "min", "mean"])
    joined = f"!attn.scores<?x{groups}x{extent(p.queries)}x{extent(p.keys)}xf32>"
    r = p.emit(f"attn.reduce_heads {kind} {p.pick()} : !scores -> {joined}")
    w = p.emit(f"arith.constant dense<1.0> : tensor<{HEADS}x{groups}xf32>")
    return p.emit(f"attn.mix_heads {r}, {w} : {joined}, tensor<{HEADS}x{groups}xf32> -> !scores")


def restrict(p):
    """Lists of four blocks of keys for eight blocks of queries: enough for the
    longest run below."""
    query, key = p.random.choice([(17, 16), (32, 1), (20, 64)])
    blocks = 8 if key > 1 else 100
    lists = 8 if p.queries == "M" else -(-p.queries // query)
    name, type_ = p.argument(["1", p.random.choice([1, HEADS]), lists, 4], f"range(-1, {blocks})", "i32")
    return p.emit(f"attn.restrict {p.pick()}, {name} block({query}, {key}) : !scores, {type_}")


SMOOTH = [causal, window, softmax, softmax, compete, compete, bounded, sigmoid, combine, combine, slope, column, centred, fill]
OPERATIONS = SMOOTH + SMOOTH + [convolve, convolve, mix_heads, mix_heads, reduce_heads, restrict, restrict]

# Results.


def aggregate(p):
    groups = p.random.choice([1, 2, HEADS])
    v, tv = p.argument(["B", groups, p.keys, FEATURES])
    type_ = f"tensor<?x{HEADS}x{extent(p.queries)}x{FEATURES}xf32>"
    return p.emit(f"attn.aggregate {p.pick()}, {v} : !scores, {tv} -> {type_}"), type_


def join(p):
    """A second source of keys beside the matrix at hand."""
    length, groups = "L", p.random.choice([1, HEADS])
    q, tq = p.argument(["B", HEADS, p.queries, FEATURES])
    k, tk = p.argument(["B", groups, length, FEATURES])
    v, tv = p.argument(["B", HEADS, p.keys, FEATURES])
    w, tw = p.argument(["B", groups, length, FEATURES])
    other = p.emit(
        f"attn.score {q}, {k} scale(0.25) : {tq}, {tk} -> !attn.scores<?x{HEADS}x{extent(p.queries)}x?xf32>"
    )
    wide = f"!attn.scores<?x{HEADS}x{extent(p.queries)}x?xf32>"
    both = p.emit(f"attn.concat {p.pick()}, {other} : (!scores, {wide}) -> {wide}")
    if p.random.random() < 0.7:
        both = p.emit(f"attn.softmax {both} : {wide}")
    type_ = f"tensor<?x{HEADS}x{extent(p.queries)}x{FEATURES}xf32>"
    return p.emit(f"attn.aggregate {both}, ({v}, {w}) : {wide}, {tv}, {tw} -> {type_}"), type_


def pool(p):
    """Weighted sums over the queries."""
    x, tx = p.argument(["B", HEADS, p.queries, FEATURES])
    turned = p.turned()
    t = p.emit(f"attn.transpose {p.pick()} : !scores -> {turned}")
    type_ = f"tensor<?x{HEADS}x{extent(p.keys)}x{FEATURES}xf32>"
    return p.emit(f"attn.aggregate {t}, {x} : {turned}, {tx} -> {type_}"), type_


def reduce(p):
    kind = p.random.choice(["sum", "max", "min", "mean", "lse", "count"])
    axis = p.random.choice(["keys", "queries"])
    length = extent(p.queries if axis == "keys" else p.keys)
    type_ = f"tensor<?x{HEADS}x{length}x{'i64' if kind == 'count' else 'f32'}>"
    return p.emit(f"attn.reduce {kind} {axis} {p.pick()} : (!scores) -> {type_}"), type_


def reduce_axes(p):
    kind = p.random.choice(["sum", "max", "mean", "lse", "count"])
    axes, length = p.random.choice(
        [("both", None), ("[queries, heads]", p.keys), ("[keys, heads]", p.queries), ("[both, heads]", None)]
    )
    kept = "?x" + (f"{HEADS}x" if axes == "both" else "") + (f"{extent(length)}x" if length else "")
    type_ = f"tensor<{kept}{'i64' if kind == 'count' else 'f32'}>"
    return p.emit(f"attn.reduce {kind} {axes} {p.pick()} : (!scores) -> {type_}"), type_


def tally(p):
    """In bins whose number is known at run time, some of them out of range."""
    kind = p.random.choice(["sum", "max", "count"])
    axes, kept = p.random.choice([("both", f"?x{HEADS}x"), ("[both, batch]", f"{HEADS}x"), ("keys", f"?x{HEADS}x{extent(p.queries)}x")])
    t, tt = p.argument(["B", HEADS, "M", 1])
    dim = p.emit("arith.constant 2 : index")
    number = p.emit(f"tensor.dim {t}, {dim} : {tt}")
    type_ = f"tensor<{kept}?x{'i64' if kind == 'count' else 'f32'}>"
    reduced = p.emit(f"""attn.reduce {kind} {axes} {p.pick()} bins({number}) by (%v: f32) at (%b, %h, %i, %j) {{
    %t = arith.subi %i, %j : index
    attn.yield %t : index
  }} : (!scores) -> {type_}""")
    return reduced, type_


RESULTS = [aggregate, aggregate, aggregate, pool, reduce, reduce, reduce_axes, tally, join]


def draw(seed, short=False):
    p = Program(seed, short)
    operations, results = OPERATIONS, RESULTS
    if short:
        few_queries = p.queries != "M"
        operations = SMOOTH + [compete if few_queries else softmax] * len(SMOOTH) + [convolve, mix_heads, restrict]
        results = [aggregate, aggregate, join, reduce] if few_queries else [pool, pool, reduce]
    for _ in range(p.random.choice([1, 1, 2])):
        p.scores.append(p.random.choice(SOURCES)(p))
    for _ in range(p.random.randint(2 if short else 1, 5)):
        p.scores.append(p.random.choice(operations)(p))
    # What was drawn last is more interesting than what was drawn first.
    p.scores = p.scores[-3:]
    results = [p.random.choice(results)(p) for _ in range(p.random.choice([1, 1, 2, 3]))]
    values = ", ".join(name for name, _ in results)
    types = ", ".join(type_ for _, type_ in results)
    lines = [f"!scores = !attn.scores<?x{HEADS}x{extent(p.queries)}x{extent(p.keys)}xf32>"]
    lines += ["func.func @f(", "    " + ",\n    ".join(p.arguments)]
    lines += [f"  ) -> ({types}) {{", *p.lines, f"  return {values} : {types}", "}"]
    return "\n".join(lines) + "\n", p


def check(seed, flags):
    """None, or what went wrong; a refusal with a reason is not wrong."""
    short = "short" in flags
    flags = [flag for flag in flags if flag != "short"]
    program, p = draw(seed, short)
    m = p.random.choice([1, 7, 33, 65, 130])
    n = m if p.square else p.random.choice([0, 1, 50, 64, 129])
    values = {"B": 2, "M": m, "N": n, "L": p.random.choice([0, 3, 70])}
    size = ",".join(f"{dim}={value}" for dim, value in values.items() if f'"{dim}"' in program)
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
        print(draw(int(sys.argv[2]), "short" in sys.argv)[0])
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
