"""Cog Attention: signed weights, sign(s) softmax(|s|).

The softmax is of the magnitudes of scores, and every weight has the sign of its
score: a head can subtract what it attends to. A score of 0 has no sign, and its
weight is 0.

Paper: More Expressive Attention with Negative Weights, arXiv 2411.07176.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D], kv_len [B] (visible keys, of which a query
sees those up to its own), base (of the rotary embedding, interleaved pairs).
Outputs: o [B, Hq, L, D], lse [B, Hq, L] (of |s|). A query that sees no key has 0 and -inf.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, number, on_target


def rotate(x, base, start=None):
    return attn.rope(x, start, base, "interleaved")


def signed(s, where):
    """Weights, and the logarithm of their normalizer."""
    size = attn.abs(s)
    return attn.sign(s) * attn.softmax(size, where=where), attn.logsumexp(size, where=where)


@attn.jit
def cog_attention(q, k, v, kv_len, base):
    s = rotate(q, base) @ rotate(k, base).mT * q.shape[-1] ** -0.5
    w, lse = signed(s, attn.causal & (attn.kv_idx < kv_len[attn.batch]))
    return w @ v, lse


@attn.jit
def decode(q, k_cache, v_cache, t, base):
    """Token t alone, q [B, Hq, 1, D], with caches [B, Hkv, S, D] of rotated keys and of values."""
    s = rotate(q, base, t[None]) @ k_cache.mT * q.shape[-1] ** -0.5
    return signed(s, attn.kv_idx <= t)[0] @ v_cache


@attn.jit
def gradients(q, k, v, kv_len, dout):
    """Of <o, dout> for rotated q, k and v with as many heads: dS = P (dout v^T - sign(S) delta)."""
    scale = q.shape[-1] ** -0.5
    s = q @ k.mT * scale
    sign, p = attn.sign(s), attn.softmax(attn.abs(s), where=attn.causal & (attn.kv_idx < kv_len[attn.batch]))
    delta = (dout * ((sign * p) @ v)).sum(-1, keepdims=True)
    ds = p * (dout @ v.mT - sign * delta)
    return ds @ k * scale, ds.mT @ q * scale, (sign * p).mT @ dout


@on_target
def run(target="cpu", *, q, k, v, kv_len, base=10000.0):
    check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L Dv"), kv_len=(kv_len, "B"))
    o, lse = cog_attention(q, k, v, array(kv_len), float(number(base)))
    return {"o": o, "lse": lse}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, heads, 70, 16)).astype(dtype) for heads in (4, 2, 2))
    return {"q": q, "k": k, "v": v, "kv_len": np.array([70, 61]), "base": 10000.0}
