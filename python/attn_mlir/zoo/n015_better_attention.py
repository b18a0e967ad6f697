"""Optimised, Efficient and Super Attention: attention with fewer projections.

Optimised attention takes columns of the raw values for its heads, for the projection
behind the heads can do what that of the values did; Efficient attention takes columns
of the raw keys, too. Super attention is Efficient attention whose values are mixed
along the sequence first, by a matrix that belongs to a context length.

Paper: You Need to Pay Better Attention.
Inputs: Q, K and V [B, L, d], Wq, Wk, Wv and Wo [d, d] with biases bq, bk, bv and bo [d],
Wa [C, C] (or [h, C, C]) and ba [C] for a context of C, h (heads). Q may have another
length than K and V. Errors: ValueError for h that does not divide d, and for L > C.
Outputs: standard, optimised, efficient and super, all [B, L, d].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, heads, join_heads, number, on_target


def attention(q, k, v, Wo, bo):
    p = attn.softmax(q @ k.mT * int(q.shape[-1]) ** -0.5)
    return join_heads(p @ v) @ Wo + bo


@attn.jit
def standard(Q, K, V, Wq, bq, Wk, bk, Wv, bv, Wo, bo, h):
    return attention(heads(Q @ Wq + bq, h), heads(K @ Wk + bk, h), heads(V @ Wv + bv, h), Wo, bo)


@attn.jit
def optimised(Q, K, V, Wq, bq, Wk, bk, Wo, bo, h):
    return attention(heads(Q @ Wq + bq, h), heads(K @ Wk + bk, h), heads(V, h), Wo, bo)


@attn.jit
def efficient(Q, K, V, Wq, bq, Wo, bo, h):
    return attention(heads(Q @ Wq + bq, h), heads(K, h), heads(V, h), Wo, bo)


@attn.jit
def super_attention(Q, K, V, Wq, bq, Wa, ba, Wo, bo, h):
    # Rows of zeros behind a shorter input add nothing, and nobody attends to them.
    L = V.shape[1]
    v = Wa[..., :L, :L] @ heads(V, h) + ba[:L, None]
    return attention(heads(Q @ Wq + bq, h), heads(K, h), v, Wo, bo)


@on_target
def run(target="cpu", *, Q, K, V, Wq, bq, Wk, bk, Wv, bv, Wo, bo, Wa, ba, h):
    h = int(number(h))
    sizes = check_shapes(Q=(Q, "B M d"), K=(K, "B L d"), V=(V, "B L d"), Wq=(Wq, "d d"), Wk=(Wk, "d d"),
                         Wv=(Wv, "d d"), Wo=(Wo, "d d"), bq=(bq, "d"), bk=(bk, "d"), bv=(bv, "d"), bo=(bo, "d"),
                         Wa=(Wa, "h C C" if np.ndim(Wa) == 3 else "C C"), ba=(ba, "C"))
    if sizes["d"] % h or sizes.get("h", h) != h:
        raise ValueError(f"{h} heads do not divide {sizes['d']} features, or are not those of Wa")
    if sizes["L"] > sizes["C"]:
        raise ValueError(f"{sizes['L']} tokens are more than a context of {sizes['C']}")
    Wq, bq, Wk, bk, Wv, bv, Wo, bo, Wa, ba = (array(w, Q) for w in (Wq, bq, Wk, bk, Wv, bv, Wo, bo, Wa, ba))
    return {"standard": standard(Q, K, V, Wq, bq, Wk, bk, Wv, bv, Wo, bo, h),
            "optimised": optimised(Q, K, V, Wq, bq, Wk, bk, Wo, bo, h),
            "efficient": efficient(Q, K, V, Wq, bq, Wo, bo, h),
            "super": super_attention(Q, K, V, Wq, bq, Wa, ba, Wo, bo, h)}


def example(rng, dtype=np.float64):
    inputs = {name: rng.standard_normal((2, 50, 32)) for name in "QKV"}
    for name in "qkvo":
        inputs["W" + name], inputs["b" + name] = rng.standard_normal((32, 32)) / 32 ** 0.5, rng.standard_normal(32)
    inputs["Wa"], inputs["ba"] = rng.standard_normal((50, 50)) / 50 ** 0.5, rng.standard_normal(50)
    return {**{name: x.astype(dtype) for name, x in inputs.items()}, "h": 4}
