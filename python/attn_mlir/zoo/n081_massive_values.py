"""Massive values: channels of queries and keys that stand out, and what they carry.

After the rotary embedding (half-split pairs), the norm of a channel over the
positions says how large it is in a head; a channel is massive where that is more
than lam times the mean of the head. Two experiments: massive channels of queries
and keys are replaced by their means over positions ("disrupted"); keys are rounded
to a few bits per token, with or without keeping their massive channels exact.

Paper: Massive Values in Self-Attention Modules are the Key to Contextual Knowledge
Understanding, arXiv 2502.01563.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D] before the embedding, lam, theta (its
base), bits (at least 2). D is even.
Outputs: norm_q, norm_k and norm_v [B, heads, D]; mask_q, mask_k and mask_v, the same
shapes (bool); out, out_disrupted, out_quant and out_quant_protected [B, Hq, L, D],
all causal.
Errors: ValueError for shapes that do not agree, an odd D, and fewer bits.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, number, on_target


def channel_norms(x, lam):
    """Norms [B, H, D] over positions, and which channels are massive."""
    norm = attn.sqrt((x * x).sum(2))
    return norm, norm > lam * norm.mean(-1, keepdims=True)


def disrupt(x, massive):
    return attn.where(massive[:, :, None], x.mean(2, keepdims=True), x)


def quantize(x, bits):
    """Symmetric rounding of every token to integers of so many bits."""
    top = attn.abs(x).max(-1, keepdims=True) / float(2 ** (bits - 1) - 1)
    step = attn.where(top == 0.0, 1.0, top)
    return attn.round(x / step) * step


def attention(q, k, v):
    return attn.softmax(q @ k.mT * q.shape[-1] ** -0.5, where=attn.causal) @ v


@attn.jit
def massive_values(q, k, v, lam, theta, bits):
    q, k = attn.rope(q, base=theta), attn.rope(k, base=theta)
    norm_q, massive_q = channel_norms(q, lam)
    norm_k, massive_k = channel_norms(k, lam)
    norm_v, massive_v = channel_norms(v, lam)
    exact = massive_k[:, :, None]
    protected = attn.where(exact, k, quantize(attn.where(exact, 0.0, k), bits))
    return {"norm_q": norm_q, "norm_k": norm_k, "norm_v": norm_v,
            "mask_q": massive_q, "mask_k": massive_k, "mask_v": massive_v,
            "out": attention(q, k, v),
            "out_disrupted": attention(disrupt(q, massive_q), disrupt(k, massive_k), v),
            "out_quant": attention(q, quantize(k, bits), v),
            "out_quant_protected": attention(q, protected, v)}


@on_target
def run(target="cpu", *, q, k, v, lam=5.0, theta=10000.0, bits=4):
    if check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L D"))["D"] % 2:
        raise ValueError(f"{q.shape[-1]} features have no pairs that could be rotated")
    return massive_values(q, k, v, array(number(lam), q), float(number(theta)), at_least("bits", bits, 2))


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, heads, 75, 32)) for heads in (4, 2, 2))
    # A pair of channels that turns slowly.
    q[..., 14] += 14.0
    k[..., 14] += 14.0
    return {"q": q.astype(dtype), "k": k.astype(dtype), "v": v.astype(dtype), "lam": 5.0, "theta": 10000.0, "bits": 4}
