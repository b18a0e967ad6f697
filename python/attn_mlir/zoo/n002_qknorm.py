"""QKNorm: cosine similarities times one learned scalar.

Queries and keys are scaled to length 1 over the head dimension, so that a score
is the cosine of an angle; a learned scalar g, in place of 1 / sqrt(D), says how
far apart the weights may be.

Paper: Query-Key Normalization for Transformers, arXiv 2010.04245.
Inputs: q [B, H, Lq, D], k and v [B, G, Lk, D], kv_len [B], g (or [H]), causal.
Outputs: o [B, H, Lq, D], lse [B, H, Lq].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, on_target


@attn.jit
def qknorm(q, k, v, kv_len, g, causal):
    g = g[attn.head] if g.ndim else g
    s = g * (attn.l2_normalize(q) @ attn.l2_normalize(k).mT)
    where = attn.kv_idx < kv_len[attn.batch]
    if causal:
        where = where & (attn.kv_idx <= attn.q_idx)
    return attn.softmax(s, where=where) @ v, attn.logsumexp(s, where=where)


@on_target
def run(target="cpu", *, q, k, v, kv_len, g, causal=False):
    check_shapes(q=(q, "B H Lq D"), k=(k, "B G Lk D"), v=(v, "B G Lk Dv"), kv_len=(kv_len, "B"))
    o, lse = qknorm(q, k, v, array(kv_len), array(g, q), flag("causal", causal))
    return {"o": o, "lse": lse}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 4, length, 16)).astype(dtype) for length in (37, 70, 70))
    return {"q": q, "k": k, "v": v, "kv_len": np.array([70, 57]), "g": np.log2(70 ** 2 - 70), "causal": False}
