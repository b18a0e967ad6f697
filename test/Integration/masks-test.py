# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Named masks and axes against their definitions, entry by entry."""

import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import arguments, check, finish, np, run

rng = np.random.default_rng(1)


def mask(text, visible, n, m=None, axes="", **extra):
    """Compares `attn.mask %s TEXT` with `visible(b, i, j)`, stored and as the
    aggregate of a unit matrix, which shows every present entry."""
    m = m or n
    types = {"t": f"tensor<2x1x{m}x{n}xf32>", "eye": f"tensor<1x1x{n}x{n}xf32>"}
    types |= {name: type for name, (type, _) in extra.items()}
    program = f"""
    !s = !attn.scores<2x1x{m}x{n}xf32>
    func.func @f({arguments(**types)})
        -> (tensor<2x1x{m}x{n}xf32>, tensor<2x1x{m}x{n}xf32>) {{
      %s = attn.bias %t {axes} : tensor<2x1x{m}x{n}xf32> -> !s
      %c = attn.mask %s {text} : !s
      %o = attn.aggregate %c, %eye
         : !s, tensor<1x1x{n}x{n}xf32> -> tensor<2x1x{m}x{n}xf32>
      %k = attn.materialize %c absent(-9.0) : !s -> tensor<2x1x{m}x{n}xf32>
      return %o, %k : tensor<2x1x{m}x{n}xf32>, tensor<2x1x{m}x{n}xf32>
    }}"""
    t = rng.normal(size=(2, 1, m, n)).astype(np.float32)
    inputs = {name: value for name, (_, value) in extra.items()}
    eye = np.eye(n, dtype=np.float32).reshape(1, 1, n, n)
    got = run(program, t=t, eye=eye, **inputs)
    want, stored = np.zeros(t.shape), np.full(t.shape, -9.0)
    for b, i, j in itertools.product(range(2), range(m), range(n)):
        if visible(b, i, j):
            want[b, 0, i, j] = stored[b, 0, i, j] = t[b, 0, i, j]
    check(f"{text} {axes}", got[0], want)
    check(f"{text} {axes}, stored", got[1], stored)


mask("causal", lambda b, i, j: j <= i, 7)
mask("window<left = 2, right = 1>", lambda b, i, j: i - 2 <= j <= i + 1, 7)
mask("chunked<size = 3>", lambda b, i, j: j <= i and i // 3 == j // 3, 8)
mask(
    "dilated<window = 2, dilation = 3>",
    lambda b, i, j: 0 <= i - j < 6 and (i - j) % 3 == 0,
    11,
)
prefix = np.array([2, 5], np.int32)
mask(
    "prefix prefix(%length : tensor<2xi32>)",
    lambda b, i, j: j <= i or j < prefix[b],
    6,
    length=("tensor<2xi32>", prefix),
)
rows = rng.integers(-1, 2, (1, 5)).astype(np.int64)
columns = rng.integers(-1, 2, (2, 7)).astype(np.int32)
mask(
    "document",
    lambda b, i, j: rows[0, i] == columns[b, j],
    7,
    5,
    "query_segments(%rows : tensor<1x5xi64>) key_segments(%columns : tensor<2x7xi32>)",
    rows=("tensor<1x5xi64>", rows),
    columns=("tensor<2x7xi32>", columns),
)

# Positions, offsets and lengths.
past = np.array([-2, 3], np.int64)
mask(
    "causal",
    lambda b, i, j: j <= i + past[b],
    7,
    5,
    "query_offset(%past : tensor<2xi64>)",
    past=("tensor<2xi64>", past),
)
at_query = rng.permutation(9)[:5].astype(np.int32).reshape(1, 1, 5)
at_key = rng.integers(0, 9, (2, 1, 7)).astype(np.int32)
queries = np.array([[3], [5]], np.int32)
keys = np.array([[4], [7]], np.int64)
mask(
    "causal",
    lambda b, i, j: at_key[b, 0, j] <= at_query[0, 0, i]
    and i < queries[b, 0]
    and j < keys[b, 0],
    7,
    5,
    "query_positions(%at_query : tensor<1x1x5xi32>) query_length(%queries : tensor<2x1xi32>)"
    " key_positions(%at_key : tensor<2x1x7xi32>) key_length(%keys : tensor<2x1xi64>)",
    at_query=("tensor<1x1x5xi32>", at_query),
    at_key=("tensor<2x1x7xi32>", at_key),
    queries=("tensor<2x1xi32>", queries),
    keys=("tensor<2x1xi64>", keys),
)


# Neighborhoods, as sets of keys per axis: the residue class of a query, and in
# it a window that keeps its size, or the last keys up to the query.
def axis_keys(i, n, window, dilation, causal):
    group, u = i % dilation, i // dilation
    length = -(-(n - group) // dilation)
    first = min(max(u - window // 2, 0), length - window)
    seen = range(first, first + window)
    if causal:
        seen = range(max(0, u - window + 1), u + 1)
    return {group + dilation * s for s in seen}


def neighborhood(shape, window, dilation, causal):
    points = list(itertools.product(*map(range, shape)))
    parameters = list(zip(shape, window, dilation, causal))
    visible = [
        [axis_keys(i, *parameter) for i in range(parameter[0])]
        for parameter in parameters
    ]
    mask(
        f"neighborhood<shape = {shape}, window = {window}, "
        f"dilation = {dilation}, causal = {causal}>",
        lambda b, i, j: all(
            points[j][a] in visible[a][points[i][a]] for a in range(len(shape))
        ),
        len(points),
    )


neighborhood([9], [3], [1], [0])
neighborhood([9], [4], [2], [0])
neighborhood([10], [3], [3], [1])
neighborhood([7], [7], [1], [0])
neighborhood([6], [1], [4], [0])
neighborhood([5, 4], [3, 2], [1, 2], [0, 0])
neighborhood([5, 6], [2, 3], [2, 1], [1, 0])
neighborhood([3, 4, 5], [2, 3, 2], [1, 1, 2], [1, 0, 0])

finish()
