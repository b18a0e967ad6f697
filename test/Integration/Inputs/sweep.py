"""Execution tests: compiled programs against the reference.

usage: sweep.py SUITE [attn-run options that say how to compile]
"""

import itertools
import sys

from harness import BOTTOM_RIGHT, CAUSAL, STATISTICS, attention, check_all, sizes

LENGTHS = (0, 1, 7, 64, 65, 257)


def shapes():
    """Sizes that are multiples of nothing, and of everything; none at all."""
    causal = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=STATISTICS)
    for m, n in itertools.product(LENGTHS, LENGTHS):
        yield f"causal M={m} N={n}", causal, sizes(B=2, M=m, N=n)
    full = attention()
    for m, n in ((1, 257), (65, 64), (257, 65)):
        yield f"full M={m} N={n}", full, sizes(B=1, M=m, N=n)
    yield "no batch", full, sizes(B=0, M=7, N=7)


def widths():
    """Feature sizes, also different ones for values, and head ratios."""
    for features in (16, 80, 128):
        program = attention(features=features, axes=BOTTOM_RIGHT, body=CAUSAL)
        for m, n in ((7, 64), (65, 257)):
            yield f"D={features} M={m} N={n}", program, sizes(B=1, M=m, N=n)
    for features, values in ((1, 1), (3, 5), (40, 8), (64, 128), (192, 64)):
        program = attention(features=features, values=values, axes=BOTTOM_RIGHT, body=CAUSAL)
        yield f"D={features} Dv={values}", program, sizes(B=2, M=33, N=70)
    for heads, groups in ((1, 1), (8, 1), (8, 2), (6, 3), (5, 5)):
        program = attention(heads=heads, groups=groups, axes=BOTTOM_RIGHT, body=CAUSAL)
        yield f"H={heads} G={groups}", program, sizes(B=2, M=33, N=65)
        yield f"H={heads} G={groups} M=1", program, sizes(B=2, M=1, N=129)


def types():
    """Element types of operands, and rounding of the weights."""
    for element in ("f64", "bf16", "f16"):
        program = attention(element=element, axes=BOTTOM_RIGHT, body=CAUSAL, outputs=STATISTICS)
        for m, n in ((1, 65), (65, 65), (33, 257)):
            yield f"{element} M={m} N={n}", program, sizes(B=1, M=m, N=n)
    for element in ("bf16", "f32"):
        program = attention(element=element, axes=BOTTOM_RIGHT, body=CAUSAL, operand_type="operand_type(bf16)")
        yield f"{element}, weights bf16", program, sizes(B=2, M=65, N=130)


def values():
    """Large and small scores, scores that grow late, and non-finite operands."""
    causal = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=STATISTICS)
    full = attention(outputs=STATISTICS)
    extremes = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=(("m", "max", "keys", "%t"), ("c", "max", "queries", "%t")))
    for operand in ("q=nan-row", "k=nan-row", "q=inf-row"):
        yield f"maxima beside a softmax, {operand}", extremes, [*sizes(B=2, M=65, N=130), "--pattern", operand]
    patterns = (
        ("scores around 1e4", ["--pattern", "q=normal(100)", "--pattern", "k=normal(100)"]),
        ("tiny scores", ["--pattern", "q=tiny", "--pattern", "k=tiny"]),
        ("equal scores", ["--pattern", "q=zeros"]),
        ("late large scores", ["--pattern", "q=ones", "--pattern", "k=late-max"]),
        ("large values", ["--pattern", "v=normal(1e30)"]),
        ("NaN in queries", ["--pattern", "q=nan-row"]),
        ("NaN in keys", ["--pattern", "k=nan-row"]),
        ("NaN in values", ["--pattern", "v=nan-row"]),
        ("infinities in queries", ["--pattern", "q=inf-row"]),
        ("infinities in keys", ["--pattern", "k=inf-row"]),
        ("infinities in values", ["--pattern", "v=inf-row"]),
        ("-infinities in values", ["--pattern", "v=neg-inf-row"]),
    )
    for name, options in patterns:
        yield f"{name}, causal", causal, [*sizes(B=2, M=65, N=130), *options]
        yield f"{name}, full", full, [*sizes(B=1, M=33, N=65), *options]
        yield f"{name}, one query", causal, [*sizes(B=2, M=1, N=130), *options]


LENGTH = ("key_length", "tensor<?x1xi32>", ["B", 1], "lengths(N)")
QUERY_LENGTH = ("query_length", "tensor<?x1xi32>", ["B", 1], "lengths(M)")


def absent():
    """Ragged batches, offsets, segments, rows and columns with no entry."""
    ragged = attention(
        extra=(QUERY_LENGTH, LENGTH),
        axes="query_length(%query_length : tensor<?x1xi32>) key_length(%key_length : tensor<?x1xi32>)",
        body="  %t = attn.map %s (%x: f32) { attn.yield %x : f32 } : (SCORES) -> SCORES",
        outputs=STATISTICS,
    )
    for m, n in ((1, 65), (33, 70), (65, 1)):
        yield f"ragged M={m} N={n}", ragged, sizes(B=5, M=m, N=n)
        # Keys beyond the length hold NaN in one row; it must not be seen.
        yield f"ragged M={m} N={n}, NaN", ragged, [*sizes(B=5, M=m, N=n), "--pattern", "v=nan-row"]
    # One query per head and element of the batch has no key: offsets reach below 0.
    early = attention(axes="query_offset(%early : index)", body="  %early0 = arith.constant 0 : index\n" + CAUSAL)
    early = early.replace("  %s = attn.score", "  %five = arith.constant -5 : index\n  %early = arith.addi %five, %past : index\n  %s = attn.score").replace("  %early0 = arith.constant 0 : index\n", "")
    for m, n in ((33, 33), (7, 7), (70, 65)):
        yield f"rows without keys M={m} N={n}", early, sizes(B=2, M=m, N=n)
    nothing = attention(
        body="  %false = arith.constant false\n  %t = attn.mask %s (%x: f32) { attn.yield %false : i1 } : SCORES",
        outputs=STATISTICS,
    )
    yield "everything absent", nothing, sizes(B=1, M=33, N=65)
    offsets = attention(
        extra=(("offset", "tensor<?xi32>", ["B"], "lengths(N)"), LENGTH),
        axes="query_offset(%offset : tensor<?xi32>) key_length(%key_length : tensor<?x1xi32>)",
        body=CAUSAL,
        outputs=STATISTICS,
    )
    for m, n in ((1, 257), (4, 100), (65, 65)):
        yield f"decode M={m} N={n}", offsets, sizes(B=4, M=m, N=n)
    documents = attention(
        extra=(
            ("a", "tensor<?x?xi32>", ["B", "M"], "segments(3)"),
            ("b", "tensor<?x?xi32>", ["B", "N"], "segments(3)"),
        ),
        axes="query_segments(%a : tensor<?x?xi32>) key_segments(%b : tensor<?x?xi32>)",
        body="  %t = attn.mask %s document : SCORES",
        outputs=STATISTICS,
    )
    for m, n in ((65, 65), (33, 257)):
        yield f"documents M={m} N={n}", documents, sizes(B=3, M=m, N=n)
    positions = attention(
        extra=(
            ("a", "tensor<?x1x?xi32>", ["B", 1, "M"], "positions(3)"),
            ("b", "tensor<?x1x?xi64>", ["B", 1, "N"], "positions(2)"),
        ),
        axes="query_positions(%a : tensor<?x1x?xi32>) key_positions(%b : tensor<?x1x?xi64>)",
        body=CAUSAL,
    )
    yield "positions", positions, sizes(B=2, M=33, N=70)


def masks():
    """Every named mask, and predicates on indices and on values."""
    named = {
        "window": "window<left = 20, right = 3>",
        "narrow window": "window<left = 0, right = 0>",
        "dilated": "dilated<window = 5, dilation = 3>",
        "chunked": "chunked<size = 24>",
    }
    for name, mask in named.items():
        program = attention(axes=BOTTOM_RIGHT, body=f"  %t = attn.mask %s {mask} : SCORES", outputs=STATISTICS)
        for m, n in ((65, 65), (33, 130), (1, 65)):
            yield f"{name} M={m} N={n}", program, sizes(B=1, M=m, N=n)
    prefix = attention(
        extra=(("prefix", "tensor<?xi32>", ["B"], "lengths(N)"),),
        axes=BOTTOM_RIGHT,
        body="  %t = attn.mask %s prefix prefix(%prefix : tensor<?xi32>) : SCORES",
    )
    yield "prefix", prefix, sizes(B=4, M=65, N=65)
    for name, mask, n in (
        ("neighborhood 1-D", "shape = [65], window = [7], dilation = [2], causal = [1]", 65),
        ("neighborhood 2-D", "shape = [7, 9], window = [3, 4], dilation = [2, 1]", 63),
        ("neighborhood 3-D", "shape = [3, 4, 5], window = [2, 3, 3], causal = [1, 0, 0]", 60),
    ):
        yield name, attention(axes=BOTTOM_RIGHT, body=f"  %t = attn.mask %s neighborhood<{mask}> : SCORES"), sizes(B=1, M=n, N=n)
    positive = attention(
        body="  %zero = arith.constant 0.0 : f32\n  %t = attn.mask %s (%x: f32) {\n"
        "    %keep = arith.cmpf ogt, %x, %zero : f32\n    attn.yield %keep : i1\n  } : SCORES",
        outputs=STATISTICS,
    )
    yield "positive scores only", positive, sizes(B=2, M=33, N=65)
    strided = attention(
        body="  %c3 = arith.constant 3 : index\n  %t = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {\n"
        "    %u = arith.addi %i, %j : index\n    %r = arith.remui %u, %c3 : index\n"
        "    %keep = arith.cmpi ne, %r, %h : index\n    attn.yield %keep : i1\n  } : SCORES",
    )
    yield "every third, by head", strided, sizes(B=2, M=33, N=65)


def normalizers():
    """Softmax with all of its options, and every reduction."""
    sink = ("sink", "tensor<4xf32>", [4], "normal(3)")
    temperature = ("temperature", "tensor<?x4x?xf32>", ["B", 4, "M"], "positive(2)")
    variants = {
        "base 2": {"softmax": "base(2.0)"},
        "base 1/2": {"softmax": "base(0.5)"},
        "plus one": {"softmax": "plus_one"},
        "scaled": {"softmax": "scale(-1.5)"},
        "sink": {"softmax": "sink(%sink : tensor<4xf32>)", "extra": (sink,)},
        "temperature": {
            "softmax": "temperature(%temperature : tensor<?x4x?xf32>)",
            "extra": (temperature,),
        },
    }
    for name, options in variants.items():
        program = attention(axes=BOTTOM_RIGHT, body=CAUSAL, **options)
        for m, n in ((33, 65), (1, 130), (65, 33)):
            yield f"{name} M={m} N={n}", program, sizes(B=2, M=m, N=n)
    for axis in ("keys", "queries"):
        for kind in ("sum", "max", "min", "mean", "moments", "count", "any", "argmax", "argmin", "lse", "entropy"):
            program = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=(("r", kind, axis, "%t"),))
            yield f"{kind} over {axis}", program, sizes(B=2, M=33, N=65)
    every = [(kind, kind, "keys", "%t") for kind in ("max", "min", "mean", "moments", "count", "lse", "entropy")]
    program = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=every)
    yield "all at once", program, sizes(B=2, M=33, N=65)
    yield "all at once, around 1e4", program, [*sizes(B=2, M=33, N=65), "--pattern", "q=normal(100)", "--pattern", "k=normal(100)"]


def layouts():
    """Strided operands, threads, splits."""
    causal = attention(axes=BOTTOM_RIGHT, body=CAUSAL, outputs=STATISTICS)
    for names in (("q",), ("k",), ("v",), ("q", "k", "v")):
        options = [option for name in names for option in ("--strided", name)]
        yield f"strided {' '.join(names)}", causal, [*sizes(B=2, M=33, N=65), *options]
    for threads in (1, 2, 7):
        yield f"{threads} threads", causal, [*sizes(B=2, M=65, N=65), f"--threads={threads}"]
    plain = attention(axes=BOTTOM_RIGHT, body=CAUSAL)
    for splits in (2, 3, 9):
        for m, n in ((1, 257), (4, 5), (3, 1)):
            yield f"{splits} splits M={m} N={n}", plain, [*sizes(B=2, M=m, N=n), f"--splits={splits}"]


TAPS = ("taps", "tensor<4x3x5xf32>", [4, 3, 5], "normal(0.4)")
MIX = ("mix", "tensor<4x4xf32>", [4, 4], "normal(0.5)")
CONVOLVED = """  %c = attn.mask %s causal : SCORES
  %t = attn.convolve %c, %taps origin [2, 2] : SCORES, tensor<4x3x5xf32>"""
MIXED = """  %c = attn.mask %s causal : SCORES
  %t = attn.mix_heads %c, %mix : SCORES, tensor<4x4xf32> -> SCORES"""

# A table of bits, read at a place that a convolution decides, has no vector form.
KEPT = ("kept", "tensor<9xi1>", [9], "")
LOOKUP = """  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %eight = arith.constant 8 : index
  %c = attn.convolve %s, %taps origin [1, 2] : SCORES, tensor<4x3x5xf32>
  %m = attn.mask %c (%x: f32) {
    %a = arith.fptosi %x : f32 to i64
    %place = arith.index_cast %a : i64 to index
    %above = arith.addi %place, %four : index
    %inside = arith.maxsi %above, %zero : index
    %l = arith.minsi %inside, %eight : index
    %keep = tensor.extract %kept[%l] : tensor<9xi1>
    attn.yield %keep : i1
  } : SCORES
  %t = attn.mix_heads %m, %mix : SCORES, tensor<4x4xf32> -> SCORES"""


def neighbors():
    """Convolved scores and mixed heads: types, values, layouts, splits."""
    yield "bits by convolved scores", attention(extra=(TAPS, MIX, KEPT), body=LOOKUP), sizes(B=2, M=53, N=130)
    for name, extra, body in (("convolved", TAPS, CONVOLVED), ("mixed", MIX, MIXED)):
        options = {"extra": (extra,), "axes": BOTTOM_RIGHT, "body": body}
        program = attention(outputs=STATISTICS, **options)
        for m, n in ((0, 7), (7, 0), (1, 1), (1, 257), (65, 64), (97, 130), (257, 257)):
            yield f"{name} M={m} N={n}", program, sizes(B=2, M=m, N=n)
        for element in ("bf16", "f16"):
            yield f"{name} {element}", attention(element=element, **options), sizes(B=1, M=65, N=130)
        yield f"{name}, weights bf16", attention(element="bf16", operand_type="operand_type(bf16)", **options), sizes(B=1, M=65, N=130)
        for pattern in ("q=nan-row", "k=nan-row", "v=nan-row", "q=inf-row", "k=inf-row", "v=inf-row", "q=tiny", "q=normal(3)"):
            yield f"{name} {pattern}", program, [*sizes(B=2, M=65, N=130), "--pattern", pattern]
        yield f"{name} strided", program, [*sizes(B=2, M=33, N=65), "--strided", "q", "--strided", "k", "--strided", "v"]
        yield f"{name} 7 threads", program, [*sizes(B=2, M=65, N=65), "--threads=7"]
        yield f"{name} split", attention(**options), [*sizes(B=2, M=3, N=257), "--splits=3"]


SUITES = {f.__name__: f for f in (shapes, widths, types, values, absent, masks, normalizers, layouts, neighbors)}


def main():
    check_all(list(SUITES[sys.argv[1]]()), sys.argv[2:])


if __name__ == "__main__":
    main()
