# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Scores of 8-bit codes, from their definition: sums of integers are exact, for
any number of features and any number of rows and keys."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, check, finish, np, run, softmax

B, H, G = 2, 4, 2
rng = np.random.default_rng(11)


def codes(*shape):
    """Codes with the extremes among them, and rows of nothing but extremes."""
    x = rng.integers(-128, 128, size=shape).astype(np.int8)
    if x.shape[-2] > 1:
        x[..., 0, :] = -128
    if x.shape[-2] > 2:
        x[..., 1, :] = 127
    return x


def products(q, k):
    k = np.repeat(k, q.shape[1] // k.shape[1], 1)
    return np.einsum("bhid,bhjd->bhij", q.astype(np.int64), k.astype(np.int64))


def sums(t, M, N, D, few=False):
    """Every sum enters, times the number of its key (or query). The number of
    queries is known to the compiler where they are few."""
    m = M if few else "?"
    queries, keys = f"tensor<{B}x{H}x{m}x{D}xi8>", f"tensor<{B}x{G}x?x{D}xi8>"
    ints, floats = (f"!attn.scores<{B}x{H}x{m}x?x{e}>" for e in ("i32", t))
    row, column, index = f"tensor<{B}x{H}x{m}x{t}>", f"tensor<{B}x{H}x?x{t}>", f"tensor<{B}x{H}x{m}xi64>"

    def times(index):
        return f"""(%x: i32) at (%b, %h, %i, %j) {{
        %c1 = arith.constant 1 : index
        %n = arith.addi %{index}, %c1 : index
        %m = arith.index_cast %n : index to i64
        %a = arith.sitofp %x : i32 to {t}
        %w = arith.sitofp %m : i64 to {t}
        %y = arith.mulf %a, %w : {t}
        attn.yield %y : {t}
      }} : ({ints}) -> {floats}"""

    program = f"""
    func.func @f({arguments(q=queries, k=keys)}) -> ({row}, {row}, {column}, {index}) {{
      %s = attn.score %q, %k : {queries}, {keys} -> {ints}
      %f = attn.map %s {times("j")}
      %g = attn.map %s {times("i")}
      %sum = attn.reduce sum keys %f : ({floats}) -> {row}
      %max = attn.reduce max keys %f : ({floats}) -> {row}
      %columns = attn.reduce sum queries %g : ({floats}) -> {column}
      %where = attn.reduce argmin keys %f : ({floats}) -> {index}
      return %sum, %max, %columns, %where : {row}, {row}, {column}, {index}
    }}
    """
    q, k = codes(B, H, M, D), codes(B, G, N, D)
    got = run(program, q=q, k=k)
    s = products(q, k)
    f = s * np.arange(1, N + 1)
    what = f"{t} {M}x{N}x{D}"
    tolerance = 0.0 if t == "f64" else 1e-5 * max(1, N)
    check(f"sums of {what}", got[0], f.sum(-1), tolerance)
    top = f.max(-1) if N else np.full((B, H, M), -np.inf)
    check(f"largest of {what}", got[1], top, 0.0 if t == "f64" else 1e-6)
    g = s * np.arange(1, M + 1)[:, None]
    check(f"columns of {what}", got[2], g.sum(2), 0.0 if t == "f64" else 1e-5 * max(1, M))
    if t == "f64":
        where = f.argmin(-1) if N else np.full((B, H, M), -1)
        check(f"smallest of {what}", got[3], where)


def entries(M, N, D):
    """What takes integers as they are: masks, lengths, fills, segments, counts."""
    codes_of = f"tensor<{B}x{H}x?x{D}xi8>"
    ints, floats = (f"!attn.scores<{B}x{H}x?x?x{e}>" for e in ("i32", "f64"))
    row, count, bit = (f"tensor<{B}x{H}x?x{e}>" for e in ("f64", "i64", "i1"))
    program = f"""
    func.func @f({arguments(q=codes_of, k=codes_of, l=codes_of, length=f"tensor<{B}x1xi32>")})
        -> ({row}, {count}, {bit}, {count}) {{
      %s = attn.score %q, %k key_length(%length : tensor<{B}x1xi32>) : {codes_of}, {codes_of} -> {ints}
      %m = attn.mask %s (%x: i32) {{
        %zero = arith.constant 0 : i32
        %p = arith.cmpi sge, %x, %zero : i32
        attn.yield %p : i1
      }} : {ints}
      %c = attn.reduce count keys %m : ({ints}) -> {count}
      %a = attn.reduce any queries %m : ({ints}) -> {bit}
      %f = attn.fill %m, -77.0 : {ints}
      %t = attn.score %q, %l : {codes_of}, {codes_of} -> {ints}
      %d = attn.map %t, %t (%x: i32, %y: i32) {{
        %c3 = arith.constant 3 : i32
        %h = arith.shrsi %y, %c3 : i32
        %z = arith.subi %x, %h : i32
        attn.yield %z : i32
      }} : ({ints}, {ints}) -> {ints}
      %both = attn.concat %f, %d : ({ints}, {ints}) -> {ints}
      %n = attn.map %both (%x: i32) at (%b, %h, %i, %j) {{
        %y = arith.sitofp %x : i32 to f64
        %jj = arith.index_cast %j : index to i64
        %w = arith.sitofp %jj : i64 to f64
        %z = arith.mulf %y, %w : f64
        attn.yield %z : f64
      }} : ({ints}) -> {floats}
      %r = attn.reduce sum keys %n : ({floats}) -> {row}
      %e = attn.reduce count keys %both : ({ints}) -> {count}
      return %r, %c, %a, %e : {row}, {count}, {bit}, {count}
    }}
    """
    q, k, l = codes(B, H, M, D), codes(B, H, N, D), codes(B, H, 5, D)
    length = np.array([[max(N - 2, 0)], [N]], np.int32)
    got = run(program, q=q, k=k, l=l, length=length)
    s, t = products(q, k), products(q, l)
    inside = np.broadcast_to(np.arange(N) < length[:, :, None, None], s.shape)
    kept = (s >= 0) & inside
    d = t - (t >> 3)
    n = np.concatenate([np.where(inside, np.where(kept, s, -77), 0), d], -1) * np.arange(N + 5)
    check(f"entries {M}x{N}x{D}", got[0], n.sum(-1))
    check(f"counts {M}x{N}x{D}", got[1], kept.sum(-1))
    check(f"presence {M}x{N}x{D}", got[2], kept.any(2))
    check(f"all counts {M}x{N}x{D}", got[3], inside.sum(-1) + 5)


def attention(t, M, N, D, block):
    """Scales per block of queries and per key, captured by the map."""
    number, tolerance = FLOATS[t]
    shapes = dict(
        q=(B, H, M, D), k=(B, G, N, D), v=(B, G, N, 6), a=(B, H, -(-M // block)), c=(B, G, N)
    )
    types = dict(q=f"tensor<{B}x{H}x?x{D}xi8>", k=f"tensor<{B}x{G}x?x{D}xi8>")
    types |= dict(v=f"tensor<{B}x{G}x?x6x{t}>", a=f"tensor<{B}x{H}x?x{t}>", c=f"tensor<{B}x{G}x?x{t}>")
    ints, floats = (f"!attn.scores<{B}x{H}x?x?x{e}>" for e in ("i32", t))
    out = f"tensor<{B}x{H}x?x6x{t}>"
    program = f"""
    func.func @f({arguments(**types)}) -> ({out}, {types["a"]}) {{
      %zero = arith.constant 0 : index
      %s = attn.score %q, %k query_offset(%zero : index) : {types["q"]}, {types["k"]} -> {ints}
      %m = attn.mask %s causal : {ints}
      %f = attn.map %m (%x: i32) at (%b, %h, %i, %j) {{
        %block = arith.constant {block} : index
        %group = arith.constant {H // G} : index
        %n = arith.divui %i, %block : index
        %g = arith.divui %h, %group : index
        %y = arith.sitofp %x : i32 to {t}
        %sa = tensor.extract %a[%b, %h, %n] : {types["a"]}
        %sc = tensor.extract %c[%b, %g, %j] : {types["c"]}
        %z = arith.mulf %y, %sa : {t}
        %w = arith.mulf %z, %sc : {t}
        attn.yield %w : {t}
      }} : ({ints}) -> {floats}
      %p = attn.softmax %f : {floats}
      %o = attn.aggregate %p, %v : {floats}, {types["v"]} -> {out}
      %l = attn.reduce lse keys %f : ({floats}) -> {types["a"]}
      return %o, %l : {out}, {types["a"]}
    }}
    """
    x = {n: codes(*s) if n in "qk" else rng.random(s).astype(number) for n, s in shapes.items()}
    x["a"] *= number(0.03)
    x["c"] *= number(0.03)
    got = run(program, **x)
    s = products(x["q"], x["k"]) * np.repeat(x["a"].astype(float), block, 2)[:, :, :M, None]
    s = s * np.repeat(x["c"].astype(float), H // G, 1)[:, :, None]
    present = np.arange(N) <= np.arange(M)[:, None]
    p, lse = softmax(s, present)
    v = np.repeat(x["v"].astype(float), H // G, 1)
    check(f"output {t} {M}x{N}x{D}", got[0], np.einsum("bhij,bhjd->bhid", p, v), 20 * tolerance)
    check(f"lse {t} {M}x{N}x{D}", got[1], lse, 20 * tolerance)


for M, N, D in ((5, 7, 1), (33, 70, 3), (9, 130, 64), (50, 17, 66), (3, 5, 1027), (12, 20, 2049), (1, 40, 80), (4, 0, 8)):
    for t in FLOATS:
        sums(t, M, N, D)
for M, D in ((1, 64), (1, 33), (1, 1027), (2, 80), (8, 66), (8, 2049)):
    sums("f64", M, 41, D, few=True)
sums("f64", 0, 9, 8)
for M, N, D in ((6, 9, 5), (50, 131, 64), (1, 20, 33), (3, 0, 4)):
    entries(M, N, D)
for t in FLOATS:
    attention(t, 37, 37, 64, 16)
    attention(t, 1, 1, 24, 4)
    attention(t, 70, 201, 33, 64)
finish()
