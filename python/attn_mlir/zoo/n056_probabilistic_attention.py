"""Probabilistic attention: inference in a mixture of Gaussians, whose means adapt.

A query is drawn from one of the keys, with precision alpha; the weights are the
posterior of which. Keys then move to the mean of the queries they are responsible for
(and a prior holds them back), and values towards those that are given for some tokens,
by as many steps of EM as asked for. With the magnitude prior the squares of
the distance cancel, and softmax attention is left where beta is 0.

Paper: Probabilistic Attention for Interactive Segmentation, arXiv 2106.15338.
Inputs: q [B, H, Lq, C], k [B, H, Lk, C], v [B, H, Lk, Cv], alpha (1 / sqrt(C)
by default), beta, magnitude_prior (0 or 1), key_iters, value_iters, key_prior and
value_prior [B, H, Lk] (precisions; or None),
mask [Lq, Lk] (or None), fixed [B, H, Lq] (1 where a value is given; or None),
v_fixed [B, H, Lq, Cv] (0 where none is given).
Outputs: out [B, H, Lq, Cv], w and w_first [B, H, Lq, Lk] (the last and the first weights,
stored for these outputs alone), k and v (as adapted; a key without a
prior that no query sees stays).
Errors: ValueError for shapes that do not agree, for another flag, for a negative number of
steps, and for `fixed` without v_fixed.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, flag, number, on_target


def posterior(q, k, v, alpha, beta, magnitude_prior, mask):
    """Responsibilities of keys for queries; masked ones still count for the maximum."""
    # Terms of the query alone drop out.
    square = beta / 2 * (v * v).sum(-1) if magnitude_prior else -alpha / 2 * (k * k).sum(-1)
    s = (alpha * q) @ k.mT + square[..., None, :]
    e = attn.mask(attn.exp(s - s.max(keepdims=True)), mask)
    return e / (e.sum(keepdims=True) + 1e-20)


@attn.jit
def probabilistic(q, k, v, alpha, beta, magnitude_prior, key_iters, value_iters, key_prior, value_prior, mask,
                  fixed, v_fixed):
    def weights(k, v):
        return posterior(q, k, v, alpha, beta, magnitude_prior, mask)

    def adapt_keys(_, k):
        w = weights(k, v)
        mass, total = w.sum(-2)[..., None], w.mT @ q
        if key_prior is None:
            # A key that no query has any part in stays where it is.
            return attn.where(mass == 0.0, k, total / mass)
        lam = key_prior[..., None]
        return (lam * k + alpha * total) / (lam + alpha * mass)

    first = attn.materialize(weights(k, v))
    k = attn.fori_loop(0, key_iters, adapt_keys, k)

    def propagate_values(_, v):
        w = weights(k, v)
        mass, total = (w.mT @ fixed[..., None]) + 1e-20, w.mT @ v_fixed
        if value_prior is None:
            return total / mass
        rho = value_prior[..., None]
        return (rho * v + beta * total) / (rho + beta * mass)

    if fixed is not None:
        # Where nothing is given, nothing is propagated.
        steps = attn.where((fixed != 0).any(), value_iters, 0)
        v = attn.fori_loop(0, steps, propagate_values, v)
    w = weights(k, v)
    return w @ v, attn.materialize(w), first, k, v


@on_target
def run(target="cpu", *, q, k, v, alpha=None, beta=0.0, magnitude_prior=True, key_iters=0, value_iters=0,
        key_prior=None, value_prior=None, mask=None, fixed=None, v_fixed=None):
    check_shapes(q=(q, "B H Lq C"), k=(k, "B H Lk C"), v=(v, "B H Lk Cv"), mask=(mask, "Lq Lk"),
                 key_prior=(key_prior, "B H Lk"), value_prior=(value_prior, "B H Lk"), fixed=(fixed, "B H Lq"),
                 v_fixed=(v_fixed, "B H Lq Cv"))
    if fixed is not None and v_fixed is None:
        raise ValueError("fixed says where values are given, and v_fixed has to give them")
    alpha = q.shape[-1] ** -0.5 if alpha is None else number(alpha)
    mask = None if mask is None else array(mask).astype(bool)
    fixed = None if fixed is None else array(fixed).astype(q.dtype)
    results = probabilistic(q, k, v, array(float(alpha), q), array(float(number(beta)), q),
                            flag("magnitude_prior", magnitude_prior), array(at_least("key_iters", key_iters, 0)),
                            array(at_least("value_iters", value_iters, 0)),
                            key_prior, value_prior, mask, fixed, v_fixed)
    return dict(zip(("out", "w", "w_first", "k", "v"), results))


def example(rng, dtype=np.float64):
    q, k, v, v_fixed = (rng.standard_normal((2, 2, 50, width)).astype(dtype) for width in (16, 16, 12, 12))
    fixed = (rng.uniform(size=(2, 2, 50)) < 0.2).astype(dtype)
    key_prior, value_prior = (rng.uniform(0.5, 1.5, (2, 2, 50)).astype(dtype) for _ in range(2))
    return {"q": q, "k": k, "v": v, "alpha": 0.25, "beta": 0.3, "magnitude_prior": 1, "key_iters": 2,
            "value_iters": 2, "key_prior": key_prior, "value_prior": value_prior,
            "mask": rng.uniform(size=(50, 50)) < 0.8, "fixed": fixed, "v_fixed": v_fixed * fixed[..., None]}
