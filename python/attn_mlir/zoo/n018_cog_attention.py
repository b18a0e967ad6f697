"""Cog Attention: signed weights, sign(s) softmax(|s|).

The softmax is of the magnitudes of scores, and every weight has the sign of its
score: a head can subtract what it attends to.

Paper: More Expressive Attention with Negative Weights, arXiv 2411.07176.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D], kv_len [B], base (of the rotary
embedding, interleaved pairs).
Outputs: o [B, Hq, L, D], lse [B, Hq, L] (of |s|).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_target, number


@attn.jit
def cog_attention(q, k, v, kv_len, base):
    q = attn.rope(q, base=base, pairing="interleaved")
    k = attn.rope(k, base=base, pairing="interleaved")
    s = q @ k.mT * q.shape[-1] ** -0.5
    where = attn.causal & (attn.kv_idx < kv_len[attn.batch])
    p = attn.softmax(attn.abs(s), where=where)
    return (attn.sign(s) * p) @ v, attn.logsumexp(attn.abs(s), where=where)


def run(target="cpu", *, q, k, v, kv_len, base=10000.0):
    check_target(target)
    o, lse = cog_attention(q, k, v, array(kv_len), float(number(base)))
    return {"o": o, "lse": lse}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, heads, 70, 16)).astype(dtype) for heads in (4, 2, 2))
    return {"q": q, "k": k, "v": v, "kv_len": np.array([70, 61]), "base": 10000.0}
