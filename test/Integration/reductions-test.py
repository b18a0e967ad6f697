# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
"""Every kind of reduction, over keys and over queries, with rows and columns
that have no present entry, ties, and NaN in absent entries."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, check, finish, np, run

M, N = 6, 9
KINDS = ["sum", "max", "min", "mean", "lse", "entropy"]
COUNTS = ["count", "argmax", "argmin"]


def program(t, axis, kept):
    scores = f"!attn.scores<1x2x{M}x{N}x{t}>"
    row, integers = f"tensor<1x2x{kept}x{t}>", f"tensor<1x2x{kept}xi64>"
    lines, names, types = [], [], []
    for kind in KINDS + COUNTS:
        type = integers if kind in COUNTS else row
        lines.append(f"%{kind} = attn.reduce {kind} {axis} %s : (!s) -> {type}")
        names.append(f"%{kind}")
        types.append(type)
    names += ["%any", "%moments#0", "%moments#1", "%custom#0", "%custom#1"]
    types += [f"tensor<1x2x{kept}xi1>", *[row] * 4]
    body = "\n".join(lines)
    return f"""
    !s = {scores}
    !k = !attn.scores<1x1x{M}x{N}x{t}>
    func.func @f({arguments(x=f"tensor<1x2x{M}x{N}x{t}>", keep=f"tensor<1x1x{M}x{N}x{t}>")})
        -> ({", ".join(types)}) {{
      %all = attn.bias %x : tensor<1x2x{M}x{N}x{t}> -> !s
      %k = attn.bias %keep : tensor<1x1x{M}x{N}x{t}> -> !k
      %m = attn.mask %k (%v: {t}) {{
        %zero = arith.constant 0.0 : {t}
        %p = arith.cmpf ogt, %v, %zero : {t}
        attn.yield %p : i1
      }} : !k
      %s = attn.map %all, %m (%v: {t}, %w: {t}) {{
        attn.yield %v : {t}
      }} : (!s, !k) -> !s
      {body}
      %any = attn.reduce any {axis} %s : (!s) -> tensor<1x2x{kept}xi1>
      %moments:2 = attn.reduce moments {axis} %s : (!s) -> ({row}, {row})
      %custom:2 = attn.reduce custom {axis} %s identity [1.0, 0.5]
          lift (%v: {t}) at (%b, %h, %i, %j) {{
        %ij = arith.muli %i, %j : index
        %n = arith.index_cast %ij : index to i64
        %f = arith.sitofp %n : i64 to {t}
        attn.yield %v, %f : {t}, {t}
      }} combine {{
      ^bb0(%a0: {t}, %a1: {t}, %b0: {t}, %b1: {t}):
        %p = arith.mulf %a0, %b0 : {t}
        %q = arith.addf %a1, %b1 : {t}
        attn.yield %p, %q : {t}, {t}
      }} : (!s) -> ({row}, {row})
      return {", ".join(names)} : {", ".join(types)}
    }}"""


def defined(x, present, a):
    """The same results from their definitions, over axis `a`."""
    count = present.sum(a)
    high = np.where(present, x, -np.inf)
    low = np.where(present, x, np.inf)
    with np.errstate(all="ignore"):
        total = np.where(present, x, 0).sum(a)
        mean = np.where(count > 0, total / count, 0)
        off = np.where(present, x - np.expand_dims(mean, a), 0)
        variance = np.where(count > 0, (off**2).sum(a) / count, 0)
        lse = np.log(np.where(present, np.exp(x), 0).sum(a))
        w = np.where(present, np.exp(x - np.expand_dims(lse, a)), 0)
        entropy = -np.where(w > 0, w * np.log(w), 0).sum(a)
    i, j = np.meshgrid(np.arange(M), np.arange(N), indexing="ij")
    return {
        "sum": total,
        "max": high.max(a),
        "min": low.min(a),
        "mean": mean,
        "lse": lse,
        "entropy": entropy,
        "count": count,
        "argmax": np.where(count > 0, high.argmax(a), -1),
        "argmin": np.where(count > 0, low.argmin(a), -1),
        "any": count > 0,
        "moments 0": mean,
        "moments 1": variance,
        "custom 0": np.where(present, x, 1).prod(a),
        "custom 1": 0.5 + np.where(present, i * j, 0).sum(a),
    }


rng = np.random.default_rng(2)
for t, (dtype, tolerance) in FLOATS.items():
    for axis, kept, a in (("keys", M, -1), ("queries", N, -2)):
        x = rng.normal(size=(1, 2, M, N)).astype(dtype)
        x[0, 0, 1] = np.round(x[0, 0, 1])
        keep = (rng.random((1, 1, M, N)) > 0.4).astype(dtype)
        keep[0, 0, 2] = 0
        keep[0, 0, :, 3] = 0
        present = np.broadcast_to(keep > 0, x.shape)
        x = np.where(present, x, np.nan).astype(dtype)
        results = run(program(t, axis, kept), x=x, keep=keep)
        wanted = defined(x.astype(float), present, a)
        for (name, want), got in zip(wanted.items(), results, strict=True):
            check(f"{name} over {axis}, {t}", got, want, tolerance)

# A NaN wins a maximum, a minimum and both arguments of them; the first of two.
program = f"""
!s = !attn.scores<1x1x3x4xf32>
!r = tensor<1x1x3xf32>
!i = tensor<1x1x3xi64>
func.func @f({arguments(x="tensor<1x1x3x4xf32>")}) -> (!r, !r, !i, !i) {{
  %s = attn.bias %x : tensor<1x1x3x4xf32> -> !s
  %0 = attn.reduce max keys %s : (!s) -> !r
  %1 = attn.reduce min keys %s : (!s) -> !r
  %2 = attn.reduce argmax keys %s : (!s) -> !i
  %3 = attn.reduce argmin keys %s : (!s) -> !i
  return %0, %1, %2, %3 : !r, !r, !i, !i
}}"""
nan, inf = np.nan, np.inf
x = np.array([[1, nan, 3, nan], [-inf] * 4, [inf, 2, -inf, inf]], np.float32)
results = run(program, x=x.reshape(1, 1, 3, 4))
for got, want in zip(
    results,
    ([nan, -inf, inf], [nan, -inf, -inf], [1, 0, 0], [1, 0, 2]),
    strict=True,
):
    check("extrema of non-finite rows", got[0, 0], want)

finish()
