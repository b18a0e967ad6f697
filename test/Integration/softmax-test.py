# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Attention against its definition: grouped heads, head maps, lengths, sinks,
temperatures, bf16 operands, empty and non-finite rows."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import (
    FLOATS,
    arguments,
    bf16,
    check,
    finish,
    from_bf16,
    np,
    run,
    softmax,
)

rng = np.random.default_rng(0)


def grouped(t, dtype, tolerance, m, n):
    """Causal with an offset, grouped heads, a table of relative positions that
    is read out of bounds, and a batch element without keys."""
    q = rng.normal(size=(2, 4, m, 8)).astype(dtype)
    k = rng.normal(size=(2, 2, n, 8)).astype(dtype)
    v = rng.normal(size=(2, 2, n, 6)).astype(dtype)
    sink = rng.normal(size=4).astype(dtype)
    table = rng.normal(size=10).astype(dtype)
    keys = np.array([[n], [0]], np.int32)
    past = max(n - m, 0)
    types = {
        "q": f"tensor<?x4x?x8x{t}>",
        "k": f"tensor<?x2x?x8x{t}>",
        "v": f"tensor<?x2x?x6x{t}>",
        "sink": f"tensor<4x{t}>",
        "table": f"tensor<?x{t}>",
        "keys": "tensor<?x1xi32>",
        "past": "index",
    }
    out, row = f"tensor<?x4x?x6x{t}>", f"tensor<?x4x?x{t}>"
    program = f"""
    !s = !attn.scores<?x4x?x?x{t}>
    func.func @f({arguments(**types)}) -> ({out}, {row}, {out}, {row}) {{
      %s = attn.score %q, %k scale(0.35) query_offset(%past : index)
             key_length(%keys : tensor<?x1xi32>)
         : {types["q"]}, {types["k"]} -> !s
      %a = attn.map %s (%x: {t}) at (%b, %h, %i, %j, %pi, %pj) {{
        %d = arith.subi %pi, %pj : index
        %y = tensor.extract %table[%d] : tensor<?x{t}>
        %z = arith.addf %x, %y : {t}
        attn.yield %z : {t}
      }} : (!s) -> !s
      %c = attn.mask %a causal : !s
      %p = attn.softmax %c : !s
      %o = attn.aggregate %p, %v : !s, {types["v"]} -> {out}
      %l = attn.reduce lse keys %c : (!s) -> {row}
      %p2 = attn.softmax %c scale(0.7) base(3.0) sink(%sink : tensor<4x{t}>) : !s
      %o2 = attn.aggregate %p2, %v : !s, {types["v"]} -> {out}
      %w = attn.reduce sum queries %p : (!s) -> {row}
      return %o, %l, %o2, %w : {out}, {row}, {out}, {row}
    }}"""
    results = run(
        program,
        q=q,
        k=k,
        v=v,
        sink=sink,
        table=table,
        keys=keys,
        past=np.array(past, np.int64),
    )
    q, k, v = (x.astype(float) for x in (q, k.repeat(2, 1), v.repeat(2, 1)))
    i, j = np.arange(m)[:, None] + past, np.arange(n)[None]
    s = 0.35 * q @ k.swapaxes(-1, -2)
    s = s + table.astype(float)[np.clip(i - j, 0, 9)]
    present = (j <= i) & (j < keys[:, :, None, None])
    present = np.broadcast_to(present, s.shape)
    p, lse = softmax(s, present)
    extra = (sink.astype(float) * np.log(3.0))[None, :, None, None]
    p2, _ = softmax(s, present, extra, scale=0.7, base=3.0)
    name = f"grouped {t} {m}x{n}"
    check(f"{name}: output", results[0], p @ v, tolerance)
    check(f"{name}: lse", results[1], lse, tolerance)
    check(f"{name}: sink", results[2], p2 @ v, tolerance)
    check(f"{name}: column sums", results[3], p.sum(2), tolerance)


for t, (dtype, tolerance) in FLOATS.items():
    grouped(t, dtype, tolerance, 5, 17)
    grouped(t, dtype, tolerance, 1, 9)
    grouped(t, dtype, tolerance, 0, 9)
    grouped(t, dtype, tolerance, 5, 0)

# A feature reduction of one's own, an uneven head map, bf16 operands, filled
# entries, and an aggregate of the transposed matrix.
types = {
    "q": "tensor<2x3x4x8xbf16>",
    "k": "tensor<1x2x5x8xbf16>",
    "v": "tensor<1x2x5x7xbf16>",
    "u": "tensor<1x1x4x7xbf16>",
    "heads": "tensor<3xi32>",
    "w": "tensor<8xf32>",
    "temperature": "tensor<2x1x4xf32>",
    "keys": "tensor<1x3xi64>",
}
program = f"""
!s = !attn.scores<2x3x4x5xf32>
func.func @f({arguments(**types)}) -> (tensor<2x3x4x7xbf16>, tensor<2x3x5x7xf32>) {{
  %s = attn.score_with max %q, %k heads(%heads : tensor<3xi32>)
         key_length(%keys : tensor<1x3xi64>) {{
  ^bb0(%x: f32, %y: f32, %d: index):
    %a = arith.addf %x, %y : f32
    %t = math.tanh %a : f32
    %c = tensor.extract %w[%d] : tensor<8xf32>
    %r = arith.mulf %c, %t : f32
    attn.yield %r : f32
  }} : tensor<2x3x4x8xbf16>, tensor<1x2x5x8xbf16> -> !s
  %n = attn.mask %s (%x: f32) {{
    %half = arith.constant 0.5 : f32
    %keep = arith.cmpf ogt, %x, %half : f32
    attn.yield %keep : i1
  }} : !s
  %p = attn.softmax %n temperature(%temperature : tensor<2x1x4xf32>) plus_one : !s
  %o = attn.aggregate %p, %v heads(%heads : tensor<3xi32>) operand_type(bf16)
     : !s, tensor<1x2x5x7xbf16> -> tensor<2x3x4x7xbf16>
  %f = attn.fill %n, 0.25 : !s
  %r = attn.transpose %f : !s -> !attn.scores<2x3x5x4xf32>
  %o2 = attn.aggregate %r, %u
     : !attn.scores<2x3x5x4xf32>, tensor<1x1x4x7xbf16> -> tensor<2x3x5x7xf32>
  return %o, %o2 : tensor<2x3x4x7xbf16>, tensor<2x3x5x7xf32>
}}"""
q, k, v, u = (
    bf16(rng.normal(size=shape))
    for shape in ((2, 3, 4, 8), (1, 2, 5, 8), (1, 2, 5, 7), (1, 1, 4, 7))
)
heads = np.array([1, 0, 1], np.int32)
w = rng.normal(size=8).astype(np.float32)
temperature = (rng.random((2, 1, 4)) + 0.5).astype(np.float32)
keys = np.array([[5, 4, 3]], np.int64)
results = run(
    program, q=q, k=k, v=v, u=u, heads=heads, w=w, temperature=temperature, keys=keys
)
q, k, v, u = map(from_bf16, (q, k, v, u))
s = (w * np.tanh(q[:, :, :, None] + k[:, heads][:, :, None])).max(-1)
inside = (np.arange(5) < keys[:, :, None])[:, :, None]
present = (s > 0.5) & inside
p, _ = softmax(s / temperature[..., None], present, extra=0.0)
check("score_with: output", from_bf16(results[0]), p @ v[:, heads], 1e-2)
filled = np.where(inside, np.where(present, s, 0.25), 0)
check("score_with: transposed", results[1], filled.swapaxes(-1, -2) @ u, 1e-5)

# NaN and infinities in absent entries, a row of -inf, +inf in its row only.
program = f"""
!s = !attn.scores<1x1x4x5xf32>
func.func @f({arguments(t="tensor<1x1x4x5xf32>", v="tensor<1x1x5x2xf32>")})
    -> (tensor<1x1x4x2xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>) {{
  %one = arith.constant 1 : index
  %s = attn.bias %t : tensor<1x1x4x5xf32> -> !s
  %a = attn.with_axes %s query_offset(%one : index) : !s
  %c = attn.mask %a causal : !s
  %p = attn.softmax %c : !s
  %o = attn.aggregate %p, %v : !s, tensor<1x1x5x2xf32> -> tensor<1x1x4x2xf32>
  %l = attn.reduce lse keys %c : (!s) -> tensor<1x1x4xf32>
  %e = attn.reduce entropy keys %c : (!s) -> tensor<1x1x4xf32>
  return %o, %l, %e : tensor<1x1x4x2xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>
}}"""
nan, inf = np.nan, np.inf
t = rng.normal(size=(4, 5)).astype(np.float32)
v = rng.normal(size=(5, 2)).astype(np.float32)
t[0, 3], t[1], t[2, 1], t[2, 4], t[3, 2] = nan, -inf, -inf, inf, nan
v[4, 0] = nan
results = run(program, t=t.reshape(1, 1, 4, 5), v=v.reshape(1, 1, 5, 2))
p, lse = softmax(t.astype(float), np.arange(5) <= np.arange(4)[:, None] + 1)
with np.errstate(all="ignore"):
    entropy = -np.where(p > 0, p * np.log(p), 0).sum(-1)
present = p > 0
o = np.where(present[:, :, None], p[:, :, None] * v, 0).sum(1)
o[3] = entropy[3] = nan
check("non-finite: output", results[0][0, 0], o, 1e-5)
check("non-finite: lse", results[1][0, 0], lse, 1e-5)
check("non-finite: entropy", results[2][0, 0], entropy, 1e-5)

finish()
