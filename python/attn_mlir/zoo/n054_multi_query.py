"""Multi-query attention: one key head and one value head for all query heads.

Queries have heads, keys and values have none, so that a cache holds one row of
each per token. Causal self-attention, as a decoder has it.

Paper: Fast Transformer Decoding: One Write-Head is All You Need, arXiv 1911.02150.
Inputs: x [B, L, E], Wq [H, E, D], Wk [E, D], Wv [E, Dv], Wo [H, Dv, E].
Outputs: y [B, L, E], o [B, H, L, Dv], k [B, L, D], v [B, L, Dv] (the cache), lse [B, H, L].
Errors: ValueError for shapes that do not agree.
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, on_target


@attn.jit
def multi_query(x, Wq, Wk, Wv, Wo):
    q = attn.einsum("ble,hed->bhld", x, Wq)
    k, v = x @ Wk, x @ Wv
    s = attn.mask(q @ k[:, None].mT * q.shape[-1] ** -0.5, attn.causal)
    o = attn.softmax(s) @ v[:, None]
    return attn.einsum("bhlv,hve->ble", o, Wo), o, k, v, attn.logsumexp(s)


@on_target
def run(target="cpu", *, x, Wq, Wk, Wv, Wo):
    check_shapes(x=(x, "B L E"), Wq=(Wq, "H E D"), Wk=(Wk, "E D"), Wv=(Wv, "E Dv"), Wo=(Wo, "H Dv E"))
    return dict(zip(("y", "o", "k", "v", "lse"), multi_query(x, Wq, Wk, Wv, Wo)))


def example(rng, dtype=np.float64):
    shapes = {"x": (2, 37, 48), "Wq": (4, 48, 16), "Wk": (48, 16), "Wv": (48, 12), "Wo": (4, 12, 48)}
    return {name: (rng.standard_normal(shape) * (1 if name == "x" else 48 ** -0.5)).astype(dtype)
            for name, shape in shapes.items()}
