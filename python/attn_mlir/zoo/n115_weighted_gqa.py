"""WGQA: grouped keys and values as learned weighted sums of the original heads.

A T5 decoder layer keeps its H query heads; the matrices of its H key and value
heads become G sums over adjacent heads, each with learned weights: one per head,
one per column (channel), or one per row (input feature). Weights of G / H are
mean-pooled grouped-query attention. Scores have no scale, and a bias by bucket of
the distance between query and key.

Paper: Weighted Grouped Query Attention in Transformers, arXiv 2407.10855.
Inputs: x [B, L, E] (decoder states), mem [B, S, E] (encoder output, which `cross`
reads and self-attention does not), Wq, Wk and Wv [H, E, D], Wo [H, D, E], wk and wv
[H, 1 or E, 1 or D], G (it divides H), rel [buckets, H].
Outputs: y [B, L, E]; K and V [B, G, L, D].
Errors: ValueError for shapes that do not agree, and for a G that does not divide H.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, on_target

MAX_DISTANCE = 128


def pool(matrices, weights, groups):
    """Weighted sums over adjacent heads: [H, E, D] to [G, E, D]."""
    heads, rows, columns = matrices.shape
    return (weights * matrices).reshape(groups, heads // groups, rows, columns).sum(1)


def bucket_of(distances, buckets):
    """The bucket of a distance into the past: exact for the first half of the buckets, logarithmic from there."""
    exact = buckets // 2
    ratio = np.log(np.maximum(distances, 1) / exact) / np.log(MAX_DISTANCE / exact)
    far = exact + np.floor(ratio * (buckets - exact)).astype(int)
    return np.where(distances < exact, distances, np.minimum(far, buckets - 1))


def attend(x, memory, Wq, Wk, Wv, Wo, wk, wv, G, bias=None):
    q = x[:, None] @ Wq
    K = memory[:, None] @ pool(Wk, wk, G)
    V = memory[:, None] @ pool(Wv, wv, G)
    s = q @ K.mT
    if bias is None:
        p = attn.softmax(s)
    else:
        p = attn.softmax(s + bias[attn.head, attn.maximum(attn.q_idx - attn.kv_idx, 0)], where=attn.causal)
    return attn.einsum("bhld,hde->ble", p @ V, Wo), K, V


@attn.jit
def weighted_gqa(x, Wq, Wk, Wv, Wo, wk, wv, G, rel, buckets):
    """Causal self-attention; `buckets` [L] has the bucket of every distance."""
    return attend(x, x, Wq, Wk, Wv, Wo, wk, wv, G, rel.T[:, buckets])


@attn.jit
def cross(x, mem, Wq, Wk, Wv, Wo, wk, wv, G):
    """Attention of the decoder to the encoder's output, without a bias."""
    return attend(x, mem, Wq, Wk, Wv, Wo, wk, wv, G)


@on_target
def run(target="cpu", *, x, mem=None, Wq, Wk, Wv, Wo, wk, wv, G, rel):
    wk, wv, G = array(wk, x), array(wv, x), at_least("G", G, 1)
    H = check_shapes(x=(x, "B L E"), Wq=(Wq, "H E D"), Wk=(Wk, "H E D"), Wv=(Wv, "H E D"),
                     Wo=(Wo, "H D E"), wk=(wk, "H rows_k columns_k"), wv=(wv, "H rows_v columns_v"),
                     rel=(rel, "buckets H"))["H"]
    if H % G:
        raise ValueError(f"{G} groups do not divide {H} heads")
    buckets = bucket_of(np.arange(x.shape[1]), rel.shape[0])
    y, K, V = weighted_gqa(x, Wq, Wk, Wv, Wo, wk, wv, G, rel, buckets)
    return {"y": y, "K": K, "V": V}


def example(rng, dtype=np.float64):
    x, mem = rng.standard_normal((2, 23, 40)), rng.standard_normal((2, 31, 40))
    Wq, Wk, Wv = rng.standard_normal((3, 8, 40, 8)) / 40 ** 0.5
    Wo, rel = rng.standard_normal((8, 8, 40)) / 8, rng.standard_normal((32, 8))
    wk, wv = 0.5 + 0.2 * rng.standard_normal((2, 8, 1, 1))
    arrays = {"x": x, "mem": mem, "Wq": Wq, "Wk": Wk, "Wv": Wv, "Wo": Wo, "wk": wk, "wv": wv}
    return {**{name: a.astype(dtype) for name, a in arrays.items()}, "G": 4, "rel": rel.astype(dtype)}
