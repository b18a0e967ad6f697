"""Normalizer limits: what rows F(l) / sum F(l) can tell apart, for five functions F.

A row weighs its visible keys by any positive F of the logits l = <q, k> / (sqrt(D) T):
the softmax, one that knows how many keys n there are (F = exp(0.43 ln(n) l)), softplus,
sigmoid, and exp(-sqrt(1 + exp(-l))). Of each, the N keys with the largest weights are
looked at: their mass, the distance of their sum s from the sum of the rest, and how
many of them are nearer to s than everything that was left out.

Paper: Limitations of Normalization in Attention Mechanism.
Inputs: q, k and v [B, H, L, D], T (temperature), N (at least 1, else a ValueError; of
equal weights the first are chosen), causal (else all keys are visible).
Outputs, for F in softmax, scalable_softmax, softplus, sigmoid_norm and exp_inv_sqrt:
o_F [B, H, L, D], and [B, H, L] of top_mass_F, d_tilde_F, n_sep_F, entropy_F.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, flag, on_target

#: The functions that are not exponentials of multiples of logits.
POSITIVE = {"softplus": attn.softplus, "sigmoid_norm": attn.sigmoid,
            "exp_inv_sqrt": lambda l: attn.exp(-attn.sqrt(1 + attn.exp(-l)))}
NORMALIZERS = ("softmax", "scalable_softmax", *POSITIVE)


def weights(l, n, normalizer):
    """F(l) / sum F(l) for logits with n visible keys per row."""
    if normalizer == "softmax":
        return attn.softmax(l)
    if normalizer == "scalable_softmax":
        return attn.softmax(0.43 * attn.log(n)[..., None] * l)
    F = POSITIVE[normalizer](l)
    return F / F.sum(-1, keepdims=True)


def norm(x):
    return attn.sqrt((x * x).sum(-1))


@attn.jit
def selection(q, k, v, T, N, causal, normalizer):
    l = q @ k.mT * int(q.shape[-1]) ** -0.5 / T
    if causal:
        l = attn.mask(l, attn.causal)
    n = attn.count(l).astype(q.dtype)
    p = weights(l, n, normalizer)
    o = p @ v
    entropy = -attn.where(p > 0, p * attn.log(p), 0.0).sum(-1)

    mass, index, _ = attn.topk(p, N)
    mass = attn.where(index >= 0, mass, 0.0)
    chosen = mass[..., None] * attn.gather(v, index, 2, 2)
    s = chosen.sum(-2)
    # |p v - s|^2 of what is left out, without the vectors p v.
    distance = p * p * (v * v).sum(-1)[:, :, None] - 2 * p * (s @ v.mT) + (s * s).sum(-1)[..., None]
    is_left = attn.kv_idx >= 0
    for place in range(N):
        is_left = is_left & (attn.kv_idx != index[attn.batch, attn.head, attn.q_idx, place])
    nearest = attn.sqrt(attn.maximum(attn.mask(distance, is_left).min(-1), 0.0))
    nearest = attn.where(n > N, nearest, np.inf)
    is_near = (norm(chosen - s[..., None, :]) < nearest[..., None]) & (index >= 0)
    return o, mass.sum(-1), norm(o - 2 * s), is_near.sum(-1).astype(q.dtype), entropy


@on_target
def run(target="cpu", *, q, k, v, T=1.0, N=5, causal=True):
    check_shapes(q=(q, "B H M D"), k=(k, "B H L D"), v=(v, "B H L Dv"))
    N = at_least("N", N, 1)
    results = {}
    for name in NORMALIZERS:
        values = selection(q, k, v, array(float(T), q), N, flag("causal", causal), name)
        results |= {f"{what}_{name}": value
                    for what, value in zip(("o", "top_mass", "d_tilde", "n_sep", "entropy"), values)}
    return results


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 3, 70, 16)) for _ in range(3))
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    return {"q": q.astype(dtype), "k": k.astype(dtype), "v": v.astype(dtype), "T": 1.0, "N": 5, "causal": True}
