"""Attention as a posterior marginal over edges, for three structures.

Hidden edges say which queries read which keys; an edge has the likelihood
exp(q.k / sqrt(D)) and a prior. Attention is the expected value under the posterior,
and what may be read together decides how weights are normalized: one key per query
is the softmax over keys, independent edges are sigmoids, and one query per key is
the softmax over queries, of which slot attention normalizes rows once more. The
gradient of the log marginal of a query is attention with the keys as values;
repeated, it is retrieval in a Hopfield network.

Paper: Attention: Marginal Probability is All You Need?, arXiv 2304.04556.
Inputs: q [B, H, Lq, D], k and v [B, H, Lk, D], log_prior [H, Lq, Lk] (-inf where
there is no edge).
Outputs: log_marginal [B, H, Lq]; out (one key per query), out_bernoulli (independent
edges), out_slot (one query per key), grad_q (of the log marginal by q) and hopfield
(q after three updates) [B, H, Lq, D]. A row without an edge is 0, its log_marginal -inf.
Errors: ValueError for shapes that do not agree.
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, on_target

SLOT_EPSILON, UPDATES = 1e-8, 3


@attn.jit
def marginal_attention(q, k, v, log_prior):
    scale = q.shape[-1] ** -0.5
    prior = log_prior[attn.head, attn.q_idx, attn.kv_idx]

    def posterior(q):
        return attn.mask(q @ k.mT * scale + prior, prior > -np.inf)

    s = posterior(q)
    p = attn.softmax(s)
    slots = attn.softmax(s, axis=-2) + SLOT_EPSILON
    mass = slots.sum(keepdims=True)
    state = q
    for _ in range(UPDATES):
        state = attn.softmax(posterior(state)) @ k
    return {"log_marginal": attn.logsumexp(s), "out": p @ v, "out_bernoulli": attn.sigmoid(s) @ v,
            "out_slot": slots @ v / attn.where(mass == 0.0, 1.0, mass), "grad_q": scale * (p @ k), "hopfield": state}


@on_target
def run(target="cpu", *, q, k, v, log_prior):
    check_shapes(q=(q, "B H Lq D"), k=(k, "B H Lk D"), v=(v, "B H Lk Dv"), log_prior=(log_prior, "H Lq Lk"))
    return marginal_attention(q, k, v, log_prior)


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 2, length, 16)).astype(dtype) for length in (33, 50, 50))
    log_prior = 0.5 * rng.standard_normal((2, 33, 50))
    log_prior[rng.random((2, 33, 50)) < 0.2] = -np.inf
    return {"q": q, "k": k, "v": v, "log_prior": log_prior.astype(dtype)}
