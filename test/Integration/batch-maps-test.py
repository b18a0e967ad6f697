# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Batches of queries that read named batches of keys and values, from the
definition: the keys of batch b are those of batch map[b]."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, check, finish, np, run, softmax

H, G, D = 4, 2, 8
HEADS = np.array([1, 0, 0, 1], np.int32)
rng = np.random.default_rng(3)


def mapped(x, batches, heads=None):
    """What every query head of every batch reads, in double precision."""
    x = x.astype(float)[batches]
    return x[:, np.repeat(np.arange(G), H // G) if heads is None else heads]


def attention(t, B, C, M, N, index):
    """Both maps at once, a key axis with lengths per batch of queries."""
    number, tolerance = FLOATS[t]
    q, kv, row = f"tensor<?x{H}x?x{D}x{t}>", f"tensor<?x{G}x?x{D}x{t}>", f"tensor<?x{H}x?x{t}>"
    batches, lengths, heads = f"tensor<?x{index}>", "tensor<?x1xi32>", f"tensor<{H}xi32>"
    scores = f"!attn.scores<?x{H}x?x?x{t}>"
    program = f"""
    func.func @f({arguments(q=q, k=kv, v=kv, c=batches, h=heads, n=lengths)}) -> ({q}, {row}, {row}) {{
      %s = attn.score %q, %k heads(%h : {heads}) batches(%c : {batches}) key_length(%n : {lengths})
         : {q}, {kv} -> {scores}
      %p = attn.softmax %s : {scores}
      %o = attn.aggregate %p, %v heads(%h : {heads}) batches(%c : {batches}) : {scores}, {kv} -> {q}
      %l = attn.reduce lse keys %s : ({scores}) -> {row}
      %r = attn.reduce sum queries %p : ({scores}) -> {row}
      return %o, %l, %r : {q}, {row}, {row}
    }}
    """
    x = {n: rng.normal(size=s).astype(number) for n, s in dict(q=(B, H, M, D), k=(C, G, N, D), v=(C, G, N, D)).items()}
    map = rng.integers(0, C, size=B)
    length = rng.integers(0, N + 1, size=(B, 1)).astype(np.int32)
    got = run(program, **x, c=map.astype(np.int32 if index == "i32" else np.int64), h=HEADS, n=length)
    s = np.einsum("bhid,bhjd->bhij", x["q"].astype(float), mapped(x["k"], map, HEADS))
    p, lse = softmax(s, np.broadcast_to(np.arange(N) < length[:, :, None, None], s.shape))
    o = np.einsum("bhij,bhjd->bhid", p, mapped(x["v"], map, HEADS))
    for what, a, b in zip(("o", "lse", "received"), got, (o, lse, p.sum(2))):
        check(f"{what} of {t} {B} on {C}, {M}x{N}", a, b, 20 * tolerance)


def sources(B, C, M, N):
    """Mapped keys, a region on features, and lanes, next to keys of a batch's
    own; the batch of the first query tensor comes from the map."""
    q, one = f"tensor<{B}x{H}x?x{D}xf32>", f"tensor<1x{H}x?x{D}xf32>"
    kv, own = f"tensor<{C}x{G}x?x{D}xf32>", f"tensor<{B}x{G}x?x{D}xf32>"
    lane, batches = f"tensor<{C}x{G}x?x3x{D}xf32>", f"tensor<{B}xi64>"
    S, L = f"!attn.scores<{B}x{H}x?x?xf32>", f"!attn.scores<{B}x{H}x?x3xf32>"
    program = f"""
    func.func @f({arguments(q=q, z=one, k=kv, w=own, l=lane, c=batches)}) -> {q} {{
      %a = attn.score %z, %k batches(%c : {batches}) : {one}, {kv} -> {S}
      %b = attn.score_with sum %q, %k batches(%c : {batches}) {{
      ^bb0(%x: f32, %y: f32, %d: index):
        %m = arith.minimumf %x, %y : f32
        attn.yield %m : f32
      }} : {q}, {kv} -> {S}
      %e = attn.lane %q, %l batches(%c : {batches}) : {q}, {lane} -> {L}
      %g = attn.score %q, %w : {q}, {own} -> {S}
      %s = attn.concat %a, %b, %e, %g : ({S}, {S}, {L}, {S}) -> {S}
      %p = attn.softmax %s : {S}
      %o = attn.aggregate %p, (%k batches(%c : {batches}), %k batches(%c : {batches}), %l batches(%c : {batches}), %w)
         : {S}, {kv}, {kv}, {lane}, {own} -> {q}
      return %o : {q}
    }}
    """
    shapes = dict(q=(B, H, M, D), z=(1, H, M, D), k=(C, G, N, D), w=(B, G, 6, D), l=(C, G, M, 3, D))
    x = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    map = rng.integers(0, C, size=B)
    got = run(program, **x, c=map)
    q, z = x["q"].astype(float), x["z"].astype(float)
    k, l, w = mapped(x["k"], map), mapped(x["l"], map), mapped(x["w"], np.arange(B))
    parts = [
        np.einsum("bhid,bhjd->bhij", np.broadcast_to(z, q.shape), k),
        np.minimum(q[:, :, :, None], k[:, :, None]).sum(-1),
        np.einsum("bhid,bhijd->bhij", q, l),
        np.einsum("bhid,bhjd->bhij", q, w),
    ]
    s = np.concatenate(parts, -1)
    p, _ = softmax(s, np.ones(s.shape, bool))
    wide = lambda v: np.broadcast_to(v[:, :, None], (B, H, M, v.shape[2], D))
    v = np.concatenate([wide(k), wide(k), l, wide(w)], 3)
    check(f"sources {B} on {C}, {M}x{N}", got[0], np.einsum("bhij,bhijd->bhid", p, v), 1e-4)


def states(B, C, M, P, N):
    """A shared prefix and an own suffix as states: values of one are mapped."""
    q, kv, row = f"tensor<?x{H}x?x{D}xf32>", f"tensor<?x{G}x?x{D}xf32>", f"tensor<?x{H}x?xf32>"
    batches, S = "tensor<?xi32>", f"!attn.scores<?x{H}x?x?xf32>"
    state = f"!attn.state<{q}, {row}>"

    def partial(scores, value, maps):
        return f"""attn.partial({scores}, {value}) {{
      ^bb0(%x: {S}, %y: {kv}):
        %p = attn.softmax %x : {S}
        %a = attn.aggregate %p, %y {maps} : {S}, {kv} -> {q}
        %b = attn.reduce lse keys %x : ({S}) -> {row}
        attn.yield %a, %b : {q}, {row}
      }} : ({S}, {kv}) -> {state}"""

    program = f"""
    func.func @f({arguments(q=q, pk=kv, pv=kv, k=kv, v=kv, c=batches)}) -> ({q}, {row}) {{
      %s0 = attn.score %q, %pk batches(%c : {batches}) : {q}, {kv} -> {S}
      %s1 = attn.score %q, %k : {q}, {kv} -> {S}
      %t0 = {partial("%s0", "%pv", f"batches(%c : {batches})")}
      %t1 = {partial("%s1", "%v", "")}
      %m = attn.merge %t1, %t0 : {state}
      %o, %l = attn.finish %m : {state}
      return %o, %l : {q}, {row}
    }}
    """
    shapes = dict(q=(B, H, M, D), pk=(C, G, P, D), pv=(C, G, P, D), k=(B, G, N, D), v=(B, G, N, D))
    x = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    map = rng.integers(0, C, size=B)
    got = run(program, **x, c=map.astype(np.int32))
    every = np.arange(B)
    k = np.concatenate([mapped(x["pk"], map), mapped(x["k"], every)], 2)
    v = np.concatenate([mapped(x["pv"], map), mapped(x["v"], every)], 2)
    s = np.einsum("bhid,bhjd->bhij", x["q"].astype(float), k)
    p, lse = softmax(s, np.ones(s.shape, bool))
    check(f"states {B} on {C}: output", got[0], np.einsum("bhij,bhjd->bhid", p, v), 1e-4)
    check(f"states {B} on {C}: lse", got[1], lse, 1e-4)


for t in FLOATS:
    for index in ("i32", "i64", "index"):
        attention(t, 5, 3, 7, 33, index)
    attention(t, 2, 6, 1, 130, "i32")
    attention(t, 3, 1, 70, 20, "i32")
    attention(t, 4, 2, 3, 0, "i32")
    attention(t, 0, 2, 3, 9, "i32")
sources(4, 2, 9, 13)
sources(2, 5, 1, 40)
states(5, 2, 3, 40, 17)
states(2, 3, 1, 130, 0)
finish()
