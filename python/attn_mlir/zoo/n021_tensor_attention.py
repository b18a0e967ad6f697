"""Tensor attention: a softmax over pairs of keys, as two nested softmaxes.

The score of a pair (j, k) is c sum_l q_l k1_jl k2_kl, its value v1_j v2_k. For one j
that is attention of the query q k1_j over the second keys, with its logarithm of the
sum; over j these logarithms are scores again. One inner attention at a time, merged
into a running state, keeps the memory that of the operands: neither pairs of keys nor
scores of pairs are stored. `factored` approximates it in linear time.

Paper: How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention
to Kronecker Computation.
Inputs: q, k1 and k2 [B, H, n, d], v1 and v2 [B, H, n, dv], scale c (1 / d by default),
causal (both keys at or before the query).
Outputs: o [B, H, n, dv], lse [B, H, n].
"""

import itertools
import math

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, on_target


@attn.jit
def tensor_attention(q, k1, k2, v1, v2, scale, causal):
    q = q * scale
    where = attn.causal if causal else None
    rows = attn.arange(q.shape[2])

    def merge(j, state):
        top, total, o = state
        s = (q * k1[:, :, j][:, :, None]) @ k2.mT
        inner, lse = attn.softmax(s, where=where) @ v2, attn.logsumexp(s, where=where)
        if causal:
            lse = attn.where(rows >= j, lse, -np.inf)
        # The first pair is seen by all queries, so that the top is finite from then on.
        new = attn.maximum(top, lse)
        keep, weight = attn.exp(top - new), attn.exp(lse - new)
        o = keep[..., None] * o + weight[..., None] * (v1[:, :, j][:, :, None] * inner)
        return new, keep * total + weight, o

    shape = q.shape[:3]
    start = (attn.full(shape, -np.inf), attn.zeros(shape), attn.zeros((*shape, v1.shape[3])))
    top, total, o = attn.fori_loop(0, k1.shape[2], merge, start)
    return o / total[..., None], top + attn.log(total)


def monomials(x, powers):
    """Products of powers [r, d] of the d features of x: [..., n, r]."""
    result = 1.0
    for l in range(powers.shape[1]):
        by_power = attn.stack([x[..., l] ** e if e else x[..., l] * 0 + 1 for e in range(powers.max() + 1)], -1)
        result = result * attn.take(by_power, powers[:, l], -1)
    return result


def powers_up_to(degree, features):
    """All exponents [r, features] whose sum is at most the degree."""
    return np.array([m for m in itertools.product(range(degree + 1), repeat=features) if sum(m) <= degree])


@attn.jit
def factored(q, k1, k2, v1, v2, scale, degree, causal):
    """With the Taylor polynomial of exp, of an even degree: its monomials separate
    queries and both keys, so that time is linear in n. Causal attention carries a
    state of a size that does not depend on n."""
    powers = powers_up_to(degree, int(q.shape[3]))
    factorials = np.array([math.prod(map(math.factorial, m)) for m in powers.tolist()], float)
    u1 = monomials(q * scale, powers) / attn.asarray(factorials).astype(q.dtype)
    u2, u3 = monomials(k1, powers), monomials(k2, powers)
    if not causal:
        A, C = attn.einsum("bnjr,bnjd->bnrd", u2, v1), attn.einsum("bnjr,bnjd->bnrd", u3, v2)
        total = attn.einsum("bnir,bnr->bni", u1, u2.sum(2) * u3.sum(2))
        return attn.einsum("bnir,bnrd->bnid", u1, A * C) / total[..., None]

    def step(state, token):
        A, a, C, c = state
        u1, u2, u3, v1, v2 = token
        A, a = A + u2[..., None] * v1[:, :, None], a + u2
        C, c = C + u3[..., None] * v2[:, :, None], c + u3
        return (A, a, C, c), (u1[..., None] * A * C).sum(2) / (u1 * a * c).sum(-1, keepdims=True)

    shape = (*q.shape[:2], len(powers))
    zero, wide = attn.zeros(shape), attn.zeros((*shape, v1.shape[3]))
    _, o = attn.scan(step, (wide, zero, wide, zero), tuple(attn.moveaxis(x, 2, 0) for x in (u1, u2, u3, v1, v2)))
    return attn.moveaxis(o, 0, 2)


@on_target
def run(target="cpu", *, q, k1, k2, v1, v2, scale=None, causal=False):
    check_shapes(q=(q, "B H m d"), k1=(k1, "B H n d"), k2=(k2, "B H n d"), v1=(v1, "B H n dv"), v2=(v2, "B H n dv"))
    scale = array(1.0 / q.shape[-1] if scale is None else float(scale), q)
    o, lse = tensor_attention(q, k1, k2, v1, v2, scale, flag("causal", causal))
    return {"o": o, "lse": lse}


def example(rng, dtype=np.float64):
    inputs = {name: rng.uniform(-1, 1, (2, 2, 21, 4)).astype(dtype) for name in ("q", "k1", "k2", "v1", "v2")}
    return {**inputs, "scale": 0.25, "causal": False}
