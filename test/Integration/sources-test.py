# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Several sources, from their definitions: shared keys next to keys of each
query's own, products with absent entries, states merged in every way."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, check, finish, np, run, softmax

H, G, D, C = 4, 2, 8, 3
rng = np.random.default_rng(5)


def heads(x):
    """Key heads repeated for the query heads."""
    return np.repeat(x, H // x.shape[1], 1)


def joined(t, M, N):
    """A causal source with a window, lanes, and a source that is batch-wide."""
    number, tolerance = FLOATS[t]
    scores = lambda n: f"!attn.scores<2x{H}x?x{n}x{t}>"
    types = dict(
        q=f"tensor<2x{H}x?x{D}x{t}>",
        k=f"tensor<2x{G}x?x{D}x{t}>",
        v=f"tensor<2x{G}x?x{D}x{t}>",
        lk=f"tensor<1x{H}x?x{C}x{D}x{t}>",
        lv=f"tensor<1x{H}x?x{C}x{D}x{t}>",
        p=f"tensor<1x1x?x{D}x{t}>",
    )
    S, row, out = scores("?"), f"tensor<2x{H}x?x{t}>", types["q"]
    program = f"""
    func.func @f({arguments(**types)}) -> ({out}, {row}, {row}, tensor<2x{H}x?xi64>, {row}) {{
      %c1 = arith.constant 1 : index
      %s = attn.score %q, %k query_offset(%c1 : index) : {types["q"]}, {types["k"]} -> {S}
      %m = attn.mask %s causal : {S}
      %l = attn.lane %q, %lk scale(0.5) : {types["q"]}, {types["lk"]} -> {scores(C)}
      %z = attn.score %q, %p : {types["q"]}, {types["p"]} -> {S}
      %c = attn.concat %m, %l, %z : ({S}, {scores(C)}, {S}) -> {S}
      %w = attn.softmax %c : {S}
      %o = attn.aggregate %w, (%v, %lv, %p) : {S}, {types["v"]}, {types["lv"]}, {types["p"]} -> {out}
      %lse = attn.reduce lse keys %c : ({S}) -> {row}
      %mean = attn.reduce mean keys %c : ({S}) -> {row}
      %arg = attn.reduce argmax keys %c : ({S}) -> tensor<2x{H}x?xi64>
      %col = attn.reduce sum queries %w : ({S}) -> {row}
      return %o, %lse, %mean, %arg, %col : {out}, {row}, {row}, tensor<2x{H}x?xi64>, {row}
    }}
    """
    shape = dict(q=(2, H, M, D), k=(2, G, N, D), v=(2, G, N, D), lk=(1, H, M, C, D), lv=(1, H, M, C, D), p=(1, 1, 5, D))
    x = {name: rng.normal(size=s).astype(number) for name, s in shape.items()}
    if N > 3:
        x["v"][0, 0, 3] = np.nan  # for the rows before it, absent
    got = run(program, **x)
    x = {name: value.astype(float) for name, value in x.items()}
    own = np.einsum("bhid,bhicd->bhic", x["q"], np.broadcast_to(x["lk"], (2, H, M, C, D))) * 0.5
    parts = [np.einsum("bhid,bhjd->bhij", x["q"], heads(x["k"])), own]
    parts.append(np.einsum("bhid,bhjd->bhij", x["q"], np.broadcast_to(x["p"], (2, H, 5, D))))
    s = np.concatenate(parts, -1)
    present = np.ones(s.shape, bool)
    present[..., :N] = np.arange(N) <= np.arange(M)[:, None] + 1
    w, lse = softmax(s, present)
    v = np.concatenate(
        [
            np.broadcast_to(heads(x["v"])[:, :, None], (2, H, M, N, D)),
            np.broadcast_to(x["lv"], (2, H, M, C, D)),
            np.broadcast_to(x["p"][:, :, None], (2, H, M, 5, D)),
        ],
        3,
    )
    o = np.where(present[..., None], w[..., None] * v, 0).sum(3)
    mean = np.where(present, s, 0).sum(-1) / present.sum(-1)
    arg = np.where(present, s, -np.inf).argmax(-1)
    for what, a, b in zip(("o", "lse", "mean", "argmax", "received"), got, (o, lse, mean, arg, w.sum(2))):
        check(f"{what} of {t} {M}x{N}", a, b, tolerance * 10)


def product(t, M, K, N):
    """Absent entries on both sides, with NaN in them and next to them."""
    number, tolerance = FLOATS[t]
    scores = f"!attn.scores<1x2x?x?x{t}>"
    tensor = f"tensor<1x2x?x?x{t}>"
    row = f"tensor<1x2x?x{t}>"
    program = f"""
    func.func @f({arguments(x=tensor, y=tensor)}) -> ({row}, {row}, {tensor}) {{
      %big = arith.constant 1.0 : {t}
      %a = attn.bias %x : {tensor} -> {scores}
      %b = attn.bias %y : {tensor} -> {scores}
      %m = attn.mask %a (%v: {t}) {{
        %p = arith.cmpf ult, %v, %big : {t}
        attn.yield %p : i1
      }} : {scores}
      %n = attn.mask %b (%v: {t}) {{
        %p = arith.cmpf olt, %v, %big : {t}
        attn.yield %p : i1
      }} : {scores}
      %c = attn.matmul %m, %n : {scores}, {scores} -> {scores}
      %r = attn.reduce sum keys %c : ({scores}) -> {row}
      %q = attn.reduce max queries %c : ({scores}) -> {row}
      %t = attn.materialize %c : {scores} -> {tensor}
      return %r, %q, %t : {row}, {row}, {tensor}
    }}
    """
    x = rng.normal(size=(1, 2, M, K)).astype(number)
    y = rng.normal(size=(1, 2, K, N)).astype(number)
    if K > 2 and M > 1:
        x[0, 0, 1, 2] = np.nan  # present: the row is NaN where y is present
        y[0, 1, 1, :] = np.nan  # absent everywhere
        y[0, 0, 0, 0] = np.inf  # absent
    options = sys.argv[1:]
    from attn_program import FLAGS

    FLAGS[:] = options + ["--max-recompute-factor=0"]
    got = run(program, x=x, y=y)
    FLAGS[:] = options
    x, y = x.astype(float), y.astype(float)
    px, py = ~(x >= 1), y < 1
    both = px[..., :, :, None] & py[..., None, :, :]
    with np.errstate(all="ignore"):
        c = np.where(both, x[..., :, :, None] * y[..., None, :, :], 0).sum(-2)
    check(f"rows of {t} {M}x{K}x{N}", got[0], c.sum(-1), tolerance * 10)
    top = np.max(c, -2, initial=-np.inf) if M else np.full((1, 2, N), -np.inf)
    check(f"columns of {t} {M}x{K}x{N}", got[1], top, tolerance * 10)
    check(f"matrix of {t} {M}x{K}x{N}", got[2], c, tolerance * 10)


def states(M, sizes, merge):
    """`merge` writes the merges of %s0, %s1, ... as %m."""
    q, kv, row = f"tensor<1x2x?x{D}xf32>", f"tensor<1x2x?x{D}xf32>", "tensor<1x2x?xf32>"
    scores, state = "!attn.scores<1x2x?x?xf32>", f"!attn.state<{q}, {row}>"
    program_of = f"""{{
      ^bb0(%x: {scores}, %y: {kv}):
        %p = attn.softmax %x : {scores}
        %a = attn.aggregate %p, %y : {scores}, {kv} -> {q}
        %b = attn.reduce lse keys %x : ({scores}) -> {row}
        attn.yield %a, %b : {q}, {row}
      }} : ({scores}, {kv}) -> {state}"""
    lines = []
    for k in range(len(sizes)):
        lines.append(f"%t{k} = attn.score %q, %k{k} : {q}, {kv} -> {scores}")
        lines.append(f"%s{k} = attn.partial(%t{k}, %k{k}) {program_of}")
    types = {f"k{k}": kv for k in range(len(sizes))}
    program = f"""
    func.func @f({arguments(q=q, **types)}) -> ({q}, {row}) {{
      {chr(10).join(lines)}
      {merge.replace("STATE", state).replace("FROM", f"{q}, {row} -> {state}")}
      %o, %l = attn.finish %m : {state}
      return %o, %l : {q}, {row}
    }}
    """
    x = rng.normal(size=(1, 2, M, D)).astype(np.float32)
    keys = [rng.normal(size=(1, 2, n, D)).astype(np.float32) for n in sizes]
    got = run(program, q=x, **{f"k{k}": key for k, key in enumerate(keys)})
    all_keys = np.concatenate(keys, 2).astype(float)
    s = np.einsum("bhid,bhjd->bhij", x.astype(float), all_keys)
    w, lse = softmax(s, np.ones(s.shape, bool))
    check(f"output of states {sizes}", got[0], np.einsum("bhij,bhjd->bhid", w, all_keys), 1e-4)
    check(f"lse of states {sizes}", got[1], lse, 1e-4)


for t in FLOATS:
    for M, N in ((7, 20), (33, 0), (1, 1), (0, 4)):
        joined(t, M, N)
    for M, K, N in ((5, 7, 9), (50, 70, 131), (3, 0, 4), (0, 2, 2)):
        product(t, M, K, N)
states(9, (5, 17, 130), "%m = attn.merge %s0, %s1, %s2 : STATE")
states(9, (5, 0, 13), "%n = attn.merge %s2, %s1 : STATE\n%m = attn.merge %n, %s0 : STATE")
# A part is finished, and taken up again.
IMPORT = """%o0, %l0 = attn.finish %s0 : STATE
            %i0 = attn.state_from %o0, %l0 : FROM
            %m = attn.merge %i0, %s1 : STATE"""
states(4, (6, 11), IMPORT)
states(4, (0, 11), IMPORT)
states(4, (6, 0), IMPORT)
# A tree of finished parts.
states(
    3,
    (6, 11),
    """%o0, %l0 = attn.finish %s0 : STATE
       %o1, %l1 = attn.finish %s1 : STATE
       %i0 = attn.state_from %o0, %l0 : FROM
       %i1 = attn.state_from %o1, %l1 : FROM
       %m = attn.merge %i0, %i1 : STATE""",
)
finish()
