#!/usr/bin/env python3
"""What every program of examples/ costs beside plain attention on this machine.

Each example runs in turn with softmax attention of the same heads, features and
types, several rounds of each. The share is

    (time of plain attention / its work) / (time of the example / its work)

and 1 means that a unit of work costs what it costs plain attention. What work
is, the last column says, example by example:

    flops   of the contractions over needed entries, two per multiply-add and
            feature, over all sweeps of the plan (as attn-run --benchmark counts
            them; by a formula in this file where a loop or a list hides them).
            An elementary function that the scores need per feature counts as
            the flops that plain attention does while our own elementwise kernel
            computes it, on numbers in cache, measured in the same round
    tiles   blocks of 64 queries and 64 keys of which any entry is present,
            times the sweeps that visit them
    entries pairs of a query and a key
    runs    the whole program against attention with as many rows and keys

    bench/examples.py                       # all examples, two threads
    bench/examples.py rope alibi --rounds 9 --json shares.json
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
from dataclasses import dataclass, field

import numpy as np
from attn_run import benchmark

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = 64
GOAL = 0.85
RUNS = 9  # of a program in a round


@dataclass(frozen=True)
class Plain:
    """Softmax attention: heads of queries and of keys, features of keys and of
    values."""

    rows: int
    keys: int
    batch: int = 1
    heads: int = 8
    groups: int = 0
    features: int = 64
    width: int = 0
    causal: bool = False
    type: str = "f32"

    def shape(self):
        groups, width = self.groups or self.heads, self.width or self.features
        mask = "causal" if self.causal else "full"
        length = f"L{self.rows}" if self.rows == self.keys else f"M{self.rows} N{self.keys}"
        heads = f"H{self.heads}" if groups == self.heads else f"H{self.heads}/{groups}"
        features = f"D{self.features}" if width == self.features else f"D{self.features}/{width}"
        return f"{mask} {self.type} B{self.batch} {heads} {length} {features}"

    def entries(self):
        per_head = self.rows * self.keys
        if self.causal:
            per_head = sum(min(self.keys, i + 1 + self.keys - self.rows) for i in range(self.rows))
        return per_head * self.batch * self.heads

    def flops(self):
        return 2 * (self.features + (self.width or self.features)) * self.entries()

    def tiles(self):
        mask = np.ones((self.rows, self.keys), bool)
        if self.causal:
            mask = np.tri(self.rows, self.keys, self.keys - self.rows, dtype=bool)
        return count_tiles(mask) * self.batch * self.heads

    def program(self):
        b, h, g, d, t = self.batch, self.heads, self.groups or self.heads, self.features, self.type
        w = self.width or d
        # Rows are static where there are few, as a program for decoding has them.
        m = self.rows if self.rows < 16 else "?"
        q, k = f"tensor<{b}x{h}x{m}x{d}x{t}>", f"tensor<{b}x{g}x?x{d}x{t}>"
        v, o = f"tensor<{b}x{g}x?x{w}x{t}>", f"tensor<{b}x{h}x{m}x{w}x{t}>"
        scores = f"!attn.scores<{b}x{h}x{m}x?xf32>"
        rows = "L" if self.rows == self.keys else "M"
        keys = "L" if self.rows == self.keys else "N"
        rows = str(m) if m != "?" else rows
        dims = lambda heads, length, features: f'attn.dims = ["{b}", "{heads}", "{length}", "{features}"]'
        mask = f"  %c = attn.mask %s causal : {scores}\n" if self.causal else ""
        offset = f" query_offset(%past : index)" if self.causal and self.rows != self.keys else ""
        past = ""
        if offset:
            past = f"""  %c2 = arith.constant 2 : index
  %m = tensor.dim %q, %c2 : {q}
  %n = tensor.dim %k, %c2 : {k}
  %past = arith.subi %n, %m : index
"""
        rounding = " operand_type(bf16)" if t == "bf16" else ""
        return f"""func.func @attention(
    %q: {q} {{attn.name = "q", {dims(h, rows, d)}}},
    %k: {k} {{attn.name = "k", {dims(g, keys, d)}}},
    %v: {v} {{attn.name = "v", {dims(g, keys, w)}}}) -> {o} {{
{past}  %s = attn.score %q, %k scale({d**-0.5}){offset} : {q}, {k} -> {scores}
{mask}  %p = attn.softmax {"%c" if mask else "%s"} : {scores}
  %o = attn.aggregate %p, %v{rounding} : {scores}, {v} -> {o}
  return %o : {o}
}}
"""

    def options(self):
        if self.rows == self.keys:
            return ["--size", f"L={self.rows}"]
        return ["--size", f"N={self.keys}", *([f"M={self.rows}"] if self.rows >= 16 else [])]


@dataclass(frozen=True)
class Example:
    name: str
    sizes: dict
    plain: Plain
    unit: str = "flops"
    # Its work in this unit; left out, attn-run counts the flops.
    work: float = 0
    # A function of `math` and how often it is needed, beside the contractions.
    function: tuple = ()
    note: str = ""
    # Text of the program that makes way for larger extents.
    larger: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    options: tuple = ()

    def program(self):
        text = (ROOT / "examples" / f"{self.name}.mlir").read_text()
        for old, new in self.larger.items():
            if old not in text:
                sys.exit(f"examples/{self.name}.mlir does not say '{old}'")
            text = text.replace(old, new)
        return text


# ----------------------------------------------------------------------------
# Masks and lists
# ----------------------------------------------------------------------------


def count_tiles(mask):
    """Blocks of a [rows, keys] matrix that have any entry."""
    rows, keys = (-(-n // BLOCK) * BLOCK for n in mask.shape)
    padded = np.zeros((rows, keys), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return int(padded.reshape(rows // BLOCK, BLOCK, keys // BLOCK, BLOCK).any((1, 3)).sum())


def window(length, left):
    i, j = np.indices((length, length), sparse=True)
    return (j <= i) & (j >= i - left)


def documents(length):
    """Document numbers of packed tokens, [1, length]."""
    ends = np.cumsum(np.random.default_rng(0).integers(100, 700, length // 100))
    return np.searchsorted(ends, np.arange(length), side="right").astype(np.int32)[None]


def same_document(ids):
    causal = np.tri(ids.shape[1], dtype=bool)
    return causal & (ids[0][:, None] == ids[0][None])


def chosen(blocks):
    """Up to three blocks per block of queries, and what the union visits."""
    random = np.random.default_rng(0)
    lists = random.integers(0, blocks, (1, 1, blocks, 3)).astype(np.int32)
    counts = random.integers(0, 4, (1, 1, blocks)).astype(np.int32)
    units = 0
    for i in range(blocks):
        near = {0, *(j for j in (i - 1, i, i + 1) if 0 <= j < blocks)}
        units += len(near | set(lists[0, 0, i, : counts[0, 0, i]].tolist()))
    return lists, counts, units


def image_tiles(shape, reach, step):
    """Rows of an image as wide as a block that see each other: displacements
    up to `reach` at multiples of `step`, cut off at the borders."""
    height = shape[0]
    return sum(
        0 <= y + d < height for y in range(height) for d in range(-reach, reach + 1) if d % step == 0
    )


def make_examples():
    causal = lambda length=2048, **more: Plain(length, length, causal=True, **more)
    grouped = lambda length=2048, **more: causal(length, groups=2, **more)
    square = {"B": 1, "L": 2048}
    yield Example("additive-attention", {"B": 1, "M": 1024, "N": 1024}, Plain(1024, 1024, heads=2, features=24), "flops",
        function=("tanh", 2 * 1024 * 1024 * 24), note="a tanh per feature, as fast as our kernel for tensors")
    yield Example("alibi", square, grouped())
    yield Example("append-quantised", {"B": 8, "pages": 4096, "maxpages": 512}, Plain(1, 4000, 8, 8, 2), "runs",
        inputs={"table": np.random.default_rng(0).permutation(4096).reshape(8, 512).astype(np.int32),
                "past": np.full(8, 3999, np.int32)}, note="appends, then reads 4-bit pages; plain reads floats")
    # As in the file, and as engines cut their prompts.
    for keys in (64, 256):
        yield Example("attention-in-chunks", {"M": 2048, "N": 2048}, causal(heads=4, groups=2, features=32), "flops",
            work=causal(heads=4, features=32).flops(), note=f"chunks of {keys} keys, results stored after each",
            larger={"%c64 = arith.constant 64 : index": f"%c64 = arith.constant {keys} : index"})
    layer = causal(groups=2, features=32)
    yield Example("attention-layer", square, layer, work=layer.flops() + 2 * 2048 * 256 * (256 + 64 + 64 + 256),
        note="projections count as matrix products")
    lists, counts, units = chosen(64)
    yield Example("block-sparse-from-list", {"B": 1, "L": 4096, "Q": 64}, Plain(4096, 4096, groups=2), "tiles",
        work=8 * units, inputs={"chosen": lists, "count": counts}, note="makes and unites the lists as well")
    yield Example("causal-gqa", square, causal())
    yield Example("decode-with-offset", {"B": 8, "M": 1, "N": 4096}, Plain(1, 4096, 8, 8, 1), "runs",
        inputs={"past": np.full(8, 4095, np.int32), "key_length": np.full((8, 1), 4096, np.int32)})
    yield Example("differential", square, causal(heads=4, groups=2, width=128), note="two products of scores")
    ids = documents(4096)
    yield Example("document-mask", {"B": 1, "L": 4096}, grouped(4096), "tiles",
        work=8 * count_tiles(same_document(ids)), inputs={"segments": ids})
    yield Example("entropy-and-column-statistics", square, grouped(), note="two sweeps: columns need the rows' sums")
    yield Example("eviction-scores", square, grouped(), note="a second sweep over the last 32 queries")
    yield Example("expert-choice", {"B": 8, "N": 1024}, Plain(1024, 1024, 8, 6, features=32, causal=True), "runs",
        note="chooses 16 of 1024 rows and writes 1024; plain attends to all, as the other choosers' do")
    yield Example("hopfield-retrieval", {"B": 1, "M": 1024, "N": 1024}, Plain(1024, 1024, heads=4),
        work=3 * Plain(1024, 1024, heads=4).flops(), note="three steps")
    yield Example("int8-scores", {"B": 1, "M": 2048, "N": 2048, "MB": 16, "NB": 32},
        Plain(2048, 2048, groups=2, type="bf16"))
    image = {"154": "2048", "%c14 = arith.constant 14": "%c14 = arith.constant 64"}
    yield Example("large-kernel-attention", {"B": 1}, Plain(2048, 2048, heads=4, features=16), "tiles",
        work=4 * (image_tiles((32, 64), 2, 1) + image_tiles((32, 64), 9, 3)), larger=image,
        note="image of 32 x 64; two sweeps without a product of scores")
    yield Example("latent-expand", {"B": 1, "M": 1024, "N": 1024}, Plain(1024, 1024, heads=4, features=48),
        note="expanding keys and values does not count")
    yield Example("latent-kv", {"B": 1, "M": 1024, "N": 1024}, Plain(1024, 1024, heads=16, groups=1, features=160, width=128))
    look = causal(512, heads=2, features=16)
    yield Example("lookahead-keys", {"L": 512}, look, "entries", work=512**3 / 6 * 2,
        options=("--max-recompute-factor=0",), note="entries of the triangle of triangles: L^3 / 6 per head")
    yield Example("mean-variance-normalised", {"B": 1, "M": 2048, "N": 2048}, Plain(2048, 2048, heads=4),
        inputs={"key_length": np.full((1, 1), 1900, np.int32)}, note="two sweeps where moments are not carried online")
    yield Example("multi-token-attention", square, causal(heads=4, features=32),
        note="taps and mixtures count; two sweeps")
    yield Example("neighborhood-2d", {"B": 1}, Plain(2048, 2048, heads=4, features=32), "tiles",
        work=4 * 32 * 3, larger={"117": "2048", "[9, 13]": "[32, 64]"},
        note="image of 32 x 64, three of its rows per query")
    yield Example("nested-attention-tree", {"C": 64, "L": 512, "M": 2048}, Plain(2048, 2048, heads=4, features=32), "tiles",
        work=4 * (64 * 8 + 32 * 3 + count_tiles(window(2048, 15))),
        note="inner attentions of 3 rows as whole tiles, and once, for keys and values")
    yield Example("paged-decode-int8", {"B": 8, "pages": 2048, "maxpages": 256}, Plain(1, 4096, 8, 32, 8, 128), "runs",
        inputs={"table": np.random.default_rng(0).permutation(2048).reshape(8, 256).astype(np.int32),
                "lengths": np.full((8, 1), 4096, np.int32)}, note="pages of 8-bit codes; plain reads floats")
    yield Example("prefix-lm", square, grouped(), inputs={"prefix": np.full(1, 700, np.int32)})
    yield Example("qk-normalised", square, causal(heads=4), work=causal(heads=4).flops(), note="normalising does not count")
    yield Example("quest-pages", {"B": 8, "P": 512}, Plain(1, 8192, 8, 8, 2), "runs",
        note="reads all keys for their pages' extrema; plain reads keys and values")
    yield Example("quest-top-k-pages", {"B": 1, "M": 16, "N": 8192, "P": 512}, Plain(16, 8192), "runs",
        note="reads the boxes of pages and 4 pages per query")
    yield Example("ragged-cross-attention", {"B": 4, "M": 1024, "N": 1024}, Plain(1024, 1024, 4, groups=2),
        inputs={"query_length": np.array([[1024], [512], [700], [1000]], np.int32),
                "key_length": np.array([[1024], [900], [300], [640]], np.int32)})
    yield Example("relative-bias-gradient", {"B": 1, "M": 1024, "N": 1024, "D": 2047}, Plain(1024, 1024, heads=4, features=32),
        "entries", work=2 * 4 * 1024**2, note="two sweeps over the scores, without values; bins are added up")
    yield Example("rope", square, causal(groups=2, features=80))
    prefix = Plain(128, 2560, 4, groups=2)
    yield Example("shared-prefix-batch", {"B": 4, "M": 128, "C": 2, "P": 2048, "N": 512}, prefix,
        inputs={"prefix_of": np.array([0, 1, 1, 0], np.int32), "prefix_length": np.full((4, 1), 2048, np.int32),
                "key_length": np.array([[512], [400], [512], [300]], np.int32)})
    yield Example("shared-prefix", {"B": 4, "M": 128, "P": 2048, "N": 512}, prefix,
        inputs={"key_length": np.array([[512], [400], [512], [300]], np.int32)})
    yield Example("sigmoid-attention", square, grouped())
    yield Example("signed-weights", square, grouped())
    yield Example("sinkhorn-3", {"B": 1, "M": 2048, "N": 2048}, Plain(2048, 2048, heads=4),
        note="three sweeps, of which one has values")
    yield Example("slot-attention", {"B": 4, "N": 4096}, Plain(7, 4096, 4, 4), "runs", note="7 rows")
    yield Example("softcapping", square, grouped())
    yield Example("talking-heads", square, causal(), note="mixtures count; two sweeps")
    yield Example("temperature", square, grouped())
    yield Example("window-plus-quantised-past", {"B": 1, "M": 512, "P": 1536, "W": 512}, Plain(512, 2048, groups=2))
    yield Example("window-with-sinks", {"B": 1, "L": 4096}, grouped(4096), "tiles", work=8 * count_tiles(window(4096, 47)))


# ----------------------------------------------------------------------------
# Measuring
# ----------------------------------------------------------------------------


def milliseconds_of(function, count, options):
    """What `count` values of a function of `math` take all threads."""
    numbers = 1 << 16
    program = f"""func.func @f(%x: tensor<?xf32> {{attn.name = "x", attn.dims = ["N"]}}) -> tensor<?xf32> {{
  %y = math.{function} %x : tensor<?xf32>
  return %y : tensor<?xf32>
}}
"""
    # One thread, which waits for no other: a run takes microseconds.
    run = benchmark(options.tool, program, ["--size", f"N={numbers}"], 1, 2000)
    return [time * count / numbers / options.threads for time in run[:2]]


def measure(example, options, folder):
    arguments = ["--size", *(f"{k}={v}" for k, v in example.sizes.items()), *example.options]
    for name, array in example.inputs.items():
        path = pathlib.Path(folder) / f"{example.name}.{name}.npy"
        np.save(path, array)
        arguments += ["--input", f"{name}={path}"]
    mine, its, extra = [], [], []
    for _ in range(options.rounds):
        if example.function:
            extra.append(milliseconds_of(*example.function, options))
        mine.append(benchmark(options.tool, example.program(), arguments, options.threads, RUNS))
        its.append(benchmark(options.tool, example.plain.program(), example.plain.options(), options.threads, RUNS))
    work = {"flops": example.plain.flops, "tiles": example.plain.tiles, "entries": example.plain.entries,
            "runs": lambda: 1}[example.unit]()
    own = example.work or (1 if example.unit == "runs" else mine[0][2])
    if not own:
        sys.exit(f"{example.name}: attn-run counts no work; say it in bench/examples.py")
    extra = extra or [(0, 0)] * options.rounds
    ratios = [(b[0] * own / work + c[0]) / a[0] for a, b, c in zip(mine, its, extra)]
    best = (min(b[1] for b in its) * own / work + min(c[1] for c in extra)) / min(a[1] for a in mine)
    return {
        "name": example.name,
        "sizes": example.sizes,
        "milliseconds": statistics.median(a[0] for a in mine),
        "best_milliseconds": min(a[1] for a in mine),
        "plain": example.plain.shape(),
        "plain_milliseconds": statistics.median(b[0] for b in its),
        "plain_best_milliseconds": min(b[1] for b in its),
        "unit": example.unit,
        "work": own,
        "plain_work": work,
        "share": statistics.median(ratios),
        "best_share": best,
        "note": example.note,
        "rounds": options.rounds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="examples (default: all)")
    parser.add_argument("--tool", default=ROOT / "build/bin/attn-run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path, help="write everything measured to this file")
    parser.add_argument("--list", action="store_true", help="print how each example is measured, and stop")
    options = parser.parse_args()
    examples = list(make_examples())
    names = {example.name for example in examples}
    missing = {path.stem for path in (ROOT / "examples").glob("*.mlir")} - names
    if missing:
        sys.exit(f"bench/examples.py does not say how to measure {', '.join(sorted(missing))}")
    if unknown := set(options.names) - names:
        sys.exit(f"examples/ has no {', '.join(sorted(unknown))}")
    if options.list:
        for example in examples:
            print(f"{example.name}: {example.unit}, beside {example.plain.shape()}" + (f"; {example.note}" if example.note else ""))
        return
    examples = [example for example in examples if not options.names or example.name in options.names]
    print("| example | time | beside | its time | share | of best runs | per |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, example in enumerate(examples):
            print(f"{number + 1} of {len(examples)}: {example.name}", file=sys.stderr, flush=True)
            row = measure(example, options, folder)
            rows.append(row)
            per = row["unit"] + (f": {row['note']}" if row["note"] else "")
            print(f"| {row['name']} | {row['milliseconds']:.2f} ms | {row['plain']} | {row['plain_milliseconds']:.2f} ms"
                  f" | {row['share']:.2f} | {row['best_share']:.2f} | {per} |", flush=True)
    low = [row["name"] for row in rows if row["share"] < GOAL]
    print(f"\n{len(rows) - len(low)} of {len(rows)} at {GOAL} or more" + (f"; below: {', '.join(low)}" if low else ""))
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
