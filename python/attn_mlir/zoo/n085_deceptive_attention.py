"""Deceptive attention: a penalty on what impermissible keys are attended with.

The mass of a row is the sum of its weights on impermissible keys. A model trained
with the penalty -coef log(1 - mass) hides from its attention map what it uses. The
logarithm is a difference of two log-sums, over permitted keys and over all, which
stays right where 1 - mass is 0 in floating point. A row needs a permitted key; the
penalty of one without is infinite.

Paper: Learning to Deceive with Attention-Based Explanations, arXiv 1909.07913.
Inputs: q [B, Hq, Lq, D], k and v [B, Hkv, L, D], lens [B] (keys, at most L), imperm [B, L]
(bool), coef.
Outputs: out [B, Hq, Lq, D]; out_blocked, the same with the weights of impermissible
keys set to 0, and not normalised again; mass, penalty and entropy [B, Hq, Lq]; base
[B], the fraction of keys that are impermissible; loss_mean and loss_worst [B], mean
and largest penalty of heads and rows; dscore [B, Hq, Lq, L], the gradient of a row's
penalty by its scores, which is stored as it is asked for.
Errors: ValueError for shapes that do not agree, and for lens above L.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, number, on_target


@attn.jit
def deceptive_attention(q, k, v, lens, imperm, coef):
    present = attn.kv_idx < lens[attn.batch]
    permitted = ~imperm[attn.batch, attn.kv_idx]
    s = attn.mask(q @ k.mT * q.shape[-1] ** -0.5, present)
    p = attn.softmax(s)
    allowed = attn.mask(s, permitted)
    mass = attn.where(permitted, 0.0, p).sum()
    lse, lse_permitted = attn.logsumexp(s), attn.logsumexp(allowed)
    penalty = attn.where(lse == -np.inf, 0.0, -coef * (lse_permitted - lse))
    # Both are 0 at keys that they do not see.
    gradient = coef * (attn.fill(p, 0.0) - attn.fill(attn.softmax(allowed), 0.0))

    key = attn.arange(k.shape[2]) < lens[:, None]
    base = (imperm & key).astype(q.dtype).sum(-1) / attn.maximum(lens, 1).astype(q.dtype)
    return {"out": p @ v, "out_blocked": attn.where(permitted, p, 0.0) @ v, "mass": mass, "penalty": penalty,
            "base": base, "loss_mean": penalty.mean((1, 2)), "loss_worst": penalty.max((1, 2)),
            "entropy": attn.entropy(s), "dscore": attn.materialize(gradient)}


@on_target
def run(target="cpu", *, q, k, v, lens, imperm, coef=0.1):
    lens, imperm = array(lens), array(imperm)
    L = check_shapes(q=(q, "B Hq Lq D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L Dv"), lens=(lens, "B"),
                     imperm=(imperm, "B L"))["L"]
    if (lens > L).any():
        raise ValueError(f"lens are at most {L}, not {lens.tolist()}")
    return deceptive_attention(q, k, v, lens, imperm, float(number(coef)))


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((3, heads, length, 16)).astype(dtype)
               for heads, length in ((4, 9), (2, 70), (2, 70)))
    lens = np.array([70, 57, 40])
    imperm = (rng.random((3, 70)) < 0.15) & (np.arange(70) > 0) & (np.arange(70) < lens[:, None])
    return {"q": q, "k": k, "v": v, "lens": lens, "imperm": imperm, "coef": 0.1}
