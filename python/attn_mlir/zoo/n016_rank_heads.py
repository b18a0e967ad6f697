"""Rank versus heads: query and key rank r free of the value width, soft and hard rows.

Scores of a head are bilinear forms of rank r between queries y and sources x, and
the values are the sources themselves. The rows are a softmax, or a hardmax: equal
weights on all keys with the best score. Heads are summed, each behind its own map
of values and outputs.

Paper: On the Benefits of Rank in Attention Layers.
Inputs: x [B, N, d], y [B, M, d], Kw and Qw [H, d, r], Vw [H, d, d], bias [B, N] (of
keys, 0 by default), beta (multiplies the products, 1 by default; no 1 / sqrt(r)).
Outputs: soft and hard [B, M, d].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, on_target


@attn.jit
def attention(x, y, Kw, Qw, Vw, bias, beta, hard):
    k, q = x[:, None] @ Kw, y[:, None] @ Qw
    s = beta * (q @ k.mT) + bias[:, None, None, :]
    if hard:
        best = (s == s.max(-1, keepdims=True)).astype(float)
        p = best / best.sum(-1, keepdims=True)
    else:
        p = attn.softmax(s)
    return attn.einsum("bhmd,hde->bme", p @ x[:, None], Vw)


@on_target
def run(target="cpu", *, x, y, Kw, Qw, Vw, bias=None, beta=1.0):
    check_shapes(x=(x, "B N d"), y=(y, "B M d"), Kw=(Kw, "H d r"), Qw=(Qw, "H d r"), Vw=(Vw, "H d d"),
                 bias=(bias, "B N"))
    bias = np.zeros(x.shape[:2], x.dtype) if bias is None else array(bias, x)
    operands = (x, y, array(Kw, x), array(Qw, x), array(Vw, x), bias, array(float(beta), x))
    return {"soft": attention(*operands, False), "hard": attention(*operands, True)}


def example(rng, dtype=np.float64):
    def unit(*shape):
        x = rng.standard_normal(shape)
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    inputs = {"x": unit(2, 33, 24), "y": unit(2, 7, 24), "Kw": rng.standard_normal((5, 24, 3)),
              "Qw": rng.standard_normal((5, 24, 3)), "Vw": rng.standard_normal((5, 24, 24)) / 24 ** 0.5,
              "bias": rng.standard_normal((2, 33))}
    return {**{name: value.astype(dtype) for name, value in inputs.items()}, "beta": 2.0}
