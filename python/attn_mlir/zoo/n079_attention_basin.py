"""Attention basin: how much attention documents get, and an order that uses it.

A prompt is a prefix, documents one after the other, and a question. The mass of a
document is the attention that the question's tokens give to its tokens: a sum over
the document, a mean over the question. Averaged over prompts, heads and a few
layers it is a profile of positions, often high at both ends. AttnRank then puts the
k-th most relevant of new documents where the profile is k-th largest.

Paper: Attention Basin: Why Contextual Position Matters in Large Language Models.
Inputs: q [N, layers, Hq, L, D] and k [N, layers, Hkv, L, D] of N prompts, starts
[n + 1] (document i has the tokens from starts[i] up to starts[i + 1]), n_query
(tokens of the question, the last ones), use_layers (indices), relevance [n].
Outputs: mass [N, layers, Hq, n], profile [n], order [n] (the document at every
position).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_target, number


@attn.jit
def document_mass(q, k, starts, n_query):
    length = q.shape[2]
    # Values that say which document a token belongs to: the output is its mass.
    token = attn.arange(length)[:, None]
    indicator = ((token >= starts[:-1]) & (token < starts[1:])).astype(q.dtype)
    s = attn.scores(q[:, :, length - n_query:], k, q.shape[-1] ** -0.5, q_offset=length - n_query)
    return (attn.softmax(s, where=attn.causal) @ indicator[None, None]).mean(2)


@attn.jit
def attn_rank(mass, use_layers, relevance):
    profile = mass[:, use_layers].mean((0, 1, 2))
    places = attn.argsort(profile, descending=True)
    documents = attn.argsort(relevance, descending=True)
    return profile, attn.scatter(attn.zeros_like(documents), places, documents, 0)


def run(target="cpu", *, q, k, starts, n_query, use_layers, relevance):
    check_target(target)
    q, k = array(q), array(k)
    rows = document_mass(*(x.reshape(-1, *x.shape[2:]) for x in (q, k)), array(starts), int(number(n_query)))
    mass = rows.reshape(*q.shape[:3], -1)
    profile, order = attn_rank(mass, array(use_layers), array(relevance, q))
    return {"mass": mass, "profile": profile, "order": order}


def example(rng, dtype=np.float64):
    q, k = (rng.standard_normal((5, 3, heads, 74, 16)).astype(dtype) for heads in (4, 2))
    starts = 4 + np.array([0, 10, 18, 32, 41, 52, 63])
    return {"q": q, "k": k, "starts": starts, "n_query": 7, "use_layers": np.array([0, 1]),
            "relevance": rng.standard_normal(6).astype(dtype)}
