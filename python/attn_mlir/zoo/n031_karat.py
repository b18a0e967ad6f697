"""Fourier-KArAt: a learnable low-rank map of rows of scores in place of the softmax.

A row of N scores becomes r numbers, sums over the keys of learned Fourier series,
y_p = sum_n base(x_n) + sum_m a_pnm cos(m x_n) + b_pnm sin(m x_n), and these become N
weights W y. The weights are not needed to weight the values: W y . v = y . (W^T v).

Paper: Kolmogorov-Arnold Attention: Is Learnable Attention Better For Vision Transformers?
Inputs: q, k and v [B, h, N, D], a and b [h, r, N, G], W [h, N, r], base (0: none, 1: the
score itself, 2: SiLU; else a ValueError).
Outputs: o [B, h, N, D], sigma [B, h, N, N] (the weights W y, which only this output
needs).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, choice, on_target


@attn.jit
def karat(q, k, v, a, b, W, base):
    s = q @ k.mT * int(q.shape[-1]) ** -0.5
    y = 0.0
    for m in range(1, int(a.shape[-1]) + 1):
        a_m, b_m = a[None, ..., m - 1].mT, b[None, ..., m - 1].mT
        y = y + attn.cos(m * s) @ a_m + attn.sin(m * s) @ b_m
    if base:
        y = y + (s if base == 1 else attn.silu(s)).sum(-1, keepdims=True)
    o = attn.einsum("bhir,bhrd->bhid", y, W.mT @ v)
    return o, attn.einsum("bhir,hjr->bhij", y, W)


@on_target
def run(target="cpu", *, q, k, v, a, b, W, base=0):
    check_shapes(q=(q, "B h N D"), k=(k, "B h N D"), v=(v, "B h N Dv"), a=(a, "h r N G"), b=(b, "h r N G"),
                 W=(W, "h N r"))
    base = choice("base", base, (0, 1, 2))
    o, sigma = karat(q, k, v, array(a, q), array(b, q), array(W, q), base)
    return {"o": o, "sigma": sigma}


def example(rng, dtype=np.float64):
    inputs = {name: rng.standard_normal((2, 3, 50, 16)) for name in "qkv"}
    inputs |= {name: rng.standard_normal((3, 12, 50, 3)) for name in "ab"}
    inputs["W"] = rng.standard_normal((3, 50, 12)) / 50
    return {**{name: x.astype(dtype) for name, x in inputs.items()}, "base": 0}
