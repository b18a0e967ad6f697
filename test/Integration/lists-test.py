# RUN: %python %s --reference
# RUN: %python %s --loops=fused
# RUN: %python %s
"""Lists, selections and bins against their definitions, in NumPy."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import arguments, check, finish, np, run

rng = np.random.default_rng(3)
M, N = 21, 37


def ids(row, count):
    return [x for x in row[: max(0, min(count, len(row)))]]


# ---- lists of blocks -------------------------------------------------------

Q, LA, LB = 6, 5, 7
a = rng.integers(-2, 12, size=(1, 2, Q, LA)).astype(np.int32)
b = rng.integers(-2, 12, size=(1, 2, Q, LB)).astype(np.int32)
na = rng.integers(-1, LA + 2, size=(1, 2, Q)).astype(np.int32)
nb = rng.integers(-1, LB + 2, size=(1, 2, Q)).astype(np.int32)
A, B = f"tensor<1x2x{Q}x{LA}xi32>", f"tensor<1x2x{Q}x{LB}xi32>"
C, U = f"tensor<1x2x{Q}xi32>", f"tensor<1x2x{Q}x{LA + LB}xi32>"
T = f"tensor<1x2x10x{Q}xi32>"
got = run(
    f"""
    func.func @f({arguments(a=A, na=C, b=B, nb=C)})
        -> ({U}, {C}, {A}, {C}, {T}, tensor<1x2x10xi32>) {{
      %u, %nu = attn.list_union %a counts(%na), %b counts(%nb)
         : ({A}, {C}, {B}, {C}) -> ({U}, {C})
      %i, %ni = attn.list_intersect %a counts(%na), %b counts(%nb)
         : ({A}, {C}, {B}, {C}) -> ({A}, {C})
      %blocks = arith.constant 10 : index
      %t, %nt = attn.list_transpose %a counts(%na) to %blocks
         : ({A}, {C}) -> ({T}, tensor<1x2x10xi32>)
      return %u, %nu, %i, %ni, %t, %nt : {U}, {C}, {A}, {C}, {T}, tensor<1x2x10xi32>
    }}""",
    a=a,
    na=na,
    b=b,
    nb=nb,
)
want = [np.full(x.shape, -1) for x in got]
for g, q in np.ndindex(2, Q):
    x, y = ids(a[0, g, q], na[0, g, q]), ids(b[0, g, q], nb[0, g, q])
    for k, kept in ((0, {*x, *y}), (2, {*x} & {*y})):
        kept = sorted(v for v in kept if v >= 0)
        want[k][0, g, q, : len(kept)] = kept
        want[k + 1][0, g, q] = len(kept)
for g, j in np.ndindex(2, 10):
    back = [q for q in range(Q) if j in ids(a[0, g, q], na[0, g, q])]
    want[4][0, g, j, : len(back)] = back
    want[5][0, g, j] = len(back)
for name, x, y in zip(("union", "its counts", "both", "its counts", "back", "its counts"), got, want):
    check(name, x, y)

# ---- restricted scores -----------------------------------------------------


def restricted(r, c, lengths, dtype):
    rows = -(-M // r)
    integer = {"i32": np.int32, "i64": np.int64}[dtype]
    list_ = rng.integers(-2, N // c + 3, size=(2, 2, rows, 4)).astype(integer)
    runs = rng.integers(-1, 5, size=list_.shape).astype(integer)
    counts = rng.integers(0, 6, size=(2, 2, rows)).astype(np.int32)
    L, K = f"tensor<2x2x{rows}x4x{dtype}>", f"tensor<2x2x{rows}xi32>"
    S, X = f"!attn.scores<2x4x{M}x{N}xf32>", f"tensor<2x4x{M}x{N}xf32>"
    R = f"tensor<2x4x{M}xf32>"
    extra = f"lengths(%n : {L})" if lengths else ""
    types = {"x": X, "l": L, "c": K} | ({"n": L} if lengths else {})
    x = rng.normal(size=(2, 4, M, N)).astype(np.float32)
    inputs = {"x": x, "l": list_, "c": counts} | ({"n": runs} if lengths else {})
    got = run(
        f"""
        func.func @f({arguments(**types)}) -> ({R}, tensor<2x4x{M}xi64>, tensor<2x4x{M}xi64>) {{
          %s = attn.bias %x : {X} -> {S}
          %r = attn.restrict %s, %l {extra} counts(%c : {K}) block({r}, {c}) : {S}, {L}
          %a = attn.reduce sum keys %r : ({S}) -> {R}
          %k = attn.reduce count keys %r : ({S}) -> tensor<2x4x{M}xi64>
          %j = attn.reduce argmax keys %r : ({S}) -> tensor<2x4x{M}xi64>
          return %a, %k, %j : {R}, tensor<2x4x{M}xi64>, tensor<2x4x{M}xi64>
        }}""",
        **inputs,
    )
    total, count, best = np.zeros((2, 4, M)), np.zeros((2, 4, M)), np.full((2, 4, M), -1)
    for z, h, i in np.ndindex(2, 4, M):
        row = list_[z, h // 2, i // r], runs[z, h // 2, i // r]
        keys = set()
        for l in range(min(4, counts[z, h // 2, i // r])):
            first, n = row[0][l], row[1][l] if lengths else 1
            keys |= {j for j in range(N) if first <= j // c < first + n}
        keys = sorted(keys)
        total[z, h, i], count[z, h, i] = x[z, h, i, keys].sum(), len(keys)
        if keys:
            best[z, h, i] = keys[int(np.argmax(x[z, h, i, keys]))]
    for name, y, w in zip(("sum", "count", "argmax"), got, (total, count, best)):
        check(f"{name} under blocks of {r} by {c}", y, w, 1e-5)


restricted(4, 8, False, "i32")
restricted(7, 5, True, "i64")
restricted(1, 1, False, "i64")
restricted(30, 16, False, "i32")

# ---- selections ------------------------------------------------------------

x = np.round(rng.normal(size=(1, 2, M, N)) * 2).astype(np.float32)
x[0, 0, 3, 5] = x[0, 1, 4, 2] = x[0, 1, 4, 9] = np.nan
x[0, 0, 7, :] = -np.inf
keep = rng.random((1, 2, M, N)) < 0.4
keep[0, 0, 11, :] = False
X, S = f"tensor<1x2x{M}x{N}xf32>", f"!attn.scores<1x2x{M}x{N}xf32>"


def select(options, k, key):
    V, I, K = (f"tensor<1x2x{M}x{k}x{t}>" for t in ("f32", "i64", "i64"))
    K = f"tensor<1x2x{M}xi64>"
    got = run(
        f"""
        func.func @f({arguments(x=X, m=f"tensor<1x2x{M}x{N}xi32>")}) -> ({V}, {I}, {K}) {{
          %s = attn.bias %x : {X} -> {S}
          %c = attn.mask %s (%v: f32) at (%b, %h, %i, %j) {{
            %zero = arith.constant 0 : i32
            %t = tensor.extract %m[%b, %h, %i, %j] : tensor<1x2x{M}x{N}xi32>
            %p = arith.cmpi ne, %t, %zero : i32
            attn.yield %p : i1
          }} : {S}
          %v, %i, %n = attn.topk %c {options} : ({S}) -> ({V}, {I}, {K})
          return %v, %i, %n : {V}, {I}, {K}
        }}""",
        x=x,
        m=keep.astype(np.int32),
    )
    nothing = np.inf if "smallest" in options else -np.inf
    values, where = np.full((1, 2, M, k), nothing), np.full((1, 2, M, k), -1)
    count = np.zeros((1, 2, M))
    for z, h, i in np.ndindex(1, 2, M):
        chosen = sorted(np.flatnonzero(keep[z, h, i]), key=lambda j: key(x[z, h, i, j], j))[:k]
        if "by_position" in options:
            chosen = sorted(chosen)
        values[z, h, i, : len(chosen)] = x[z, h, i, chosen]
        where[z, h, i, : len(chosen)] = chosen
        count[z, h, i] = len(chosen)
    for name, y, w in zip(("values", "indices", "count"), got, (values, where, count)):
        check(f"{name} of the top {k} {options}", y, w)


def down(v):
    return (0, 0) if np.isnan(v) else (1, -v)


def up(v):
    return (1, 0) if np.isnan(v) else (0, v)


FORCED = "forced (%v: f32) at (%b, %h, %i, %j) { %two = arith.constant 2 : index\n %p = arith.cmpi ult, %j, %two : index\n attn.yield %p : i1 }"
select("", 6, lambda v, j: (down(v), j))
select("smallest", 6, lambda v, j: (up(v), j))
select("by_position", 3, lambda v, j: (down(v), j))
select(FORCED, 4, lambda v, j: (j >= 2, down(v), j))
select("smallest by_position " + FORCED, 1, lambda v, j: (j >= 2, up(v), j))

finish()
