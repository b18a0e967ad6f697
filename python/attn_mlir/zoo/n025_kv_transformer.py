"""Key-Value attention: keys are their own queries, with a position map of the scores.

There is no projection of queries: s_ij = <k_i, k_j> / sqrt(D) is symmetric. The
position map adds a table P [L, L, C_p] to the scores and projects the channels to
one number, sum_c w_c (s_ij + P_ijc) + b. The first half of the channels encodes i,
the second half j, so that the first half and b move all scores of a row alike and
cancel: what is left is a factor sum_c w_c and a bias per key.

Paper: Key-Value Transformer.
Inputs: k and v [B, H, L, D], w [C_p] (or [H, C_p]), b, causal.
Outputs: kv and kv_pos [B, H, L, D], without and with the position map.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, on_target


@attn.jit
def kv_attention(k, v, causal):
    s = k @ k.mT * int(k.shape[-1]) ** -0.5
    return attn.softmax(s, where=attn.causal if causal else None) @ v


@attn.jit
def kv_pos_attention(k, v, w, b, causal):
    half = 2 * ((int(w.shape[-1]) + 3) // 4)
    channel = np.arange(int(w.shape[-1]) - half)
    angle = attn.arange(k.shape[2])[:, None] * 10000.0 ** (-2.0 * (channel // 2) / half)
    encoding = attn.where(channel % 2 == 0, attn.sin(angle), attn.cos(angle))
    by_key = (w[:, half:] @ encoding.T)[:, None, :]
    s = k @ k.mT * int(k.shape[-1]) ** -0.5
    s = w.sum(-1)[:, None, None] * s + by_key + b
    return attn.softmax(s, where=attn.causal if causal else None) @ v


@on_target
def run(target="cpu", *, k, v, w, b=0.0, causal=False):
    check_shapes(k=(k, "B H L D"), v=(v, "B H L Dv"), w=(w, "H C" if np.ndim(w) == 2 else "C"))
    w, b, causal = np.atleast_2d(array(w, k)), array(b, k), flag("causal", causal)
    return {"kv": kv_attention(k, v, causal), "kv_pos": kv_pos_attention(k, v, w, b, causal)}


def example(rng, dtype=np.float64):
    k, v = (rng.standard_normal((2, 4, 50, 16)).astype(dtype) for _ in range(2))
    return {"k": k, "v": v, "w": rng.standard_normal(10).astype(dtype), "b": rng.standard_normal(), "causal": True}
