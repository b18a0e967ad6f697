"""Sparse Query Attention: fewer query heads than the width of the model suggests.

A nominal number of heads H says how wide a head is, D = E / H, but only Hq < H
query heads are computed, and Hkv heads of keys and values are shared by them: the
products of scores and of values cost Hq / H of what grouped queries cost.

Paper: Sparse Query Attention (SQA): A Computationally Efficient Attention Mechanism
with Query Heads Reduction.
Inputs: x [B, L, E], Wq [E, Hq * D], Wk and Wv [E, Hkv * D], Wo [Hq * D, E], H (the
nominal heads), theta (base of the rotary embedding, half-split pairs). Errors:
ValueError for H that does not divide E, and for Wq that holds no whole heads.
Outputs: y [B, L, E], o [B, Hq, L, D], p [B, Hq, L, L] (the causal weights, stored
because they are asked for).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, heads, join_heads, number, on_target


@attn.jit
def sparse_query_attention(x, Wq, Wk, Wv, Wo, H, theta):
    D = int(x.shape[-1]) // H
    q, k, v = (heads(x @ W, int(W.shape[1]) // D) for W in (Wq, Wk, Wv))
    s = attn.rope(q, base=theta) @ attn.rope(k, base=theta).mT * D ** -0.5
    p = attn.softmax(s, where=attn.causal)
    o = p @ v
    return join_heads(o) @ Wo, o, attn.materialize(p)


@on_target
def run(target="cpu", *, x, Wq, Wk, Wv, Wo, H, theta=10000.0):
    check_shapes(x=(x, "B L E"), Wq=(Wq, "E HqD"), Wk=(Wk, "E HkvD"), Wv=(Wv, "E HkvD"), Wo=(Wo, "HqD E"))
    H = int(number(H))
    if x.shape[-1] % H or Wq.shape[1] % (x.shape[-1] // H):
        raise ValueError(f"{H} nominal heads of {x.shape[-1]} features do not fit {Wq.shape[1]} columns of queries")
    weights = (array(W, x) for W in (Wq, Wk, Wv, Wo))
    y, o, p = sparse_query_attention(x, *weights, H, float(number(theta)))
    return {"y": y, "o": o, "p": p}


def example(rng, dtype=np.float64):
    def weights(*shape):
        return (rng.standard_normal(shape) * shape[0] ** -0.5).astype(dtype)

    return {"x": rng.standard_normal((2, 41, 64)).astype(dtype), "Wq": weights(64, 32), "Wk": weights(64, 16),
            "Wv": weights(64, 16), "Wo": weights(32, 64), "H": 8, "theta": 10000.0}
