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
position; int64).
Errors: ValueError for shapes that do not agree, for layers that there are not, and for a
question of no token or of more than the prompt has.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, on_target


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


@on_target
def run(target="cpu", *, q, k, starts, n_query, use_layers, relevance):
    q, k = array(q), array(k)
    starts, use_layers, relevance = array(starts), array(use_layers), array(relevance, q)
    sizes = check_shapes(q=(q, "N layers Hq L D"), k=(k, "N layers Hkv L D"), starts=(starts, "n+1"),
                         use_layers=(use_layers, "some"), relevance=(relevance, "n"))
    if sizes["n+1"] != sizes["n"] + 1:
        raise ValueError(f"{sizes['n+1']} starts bound {sizes['n+1'] - 1} documents; relevance is of {sizes['n']}")
    if not all(0 <= layer < sizes["layers"] for layer in use_layers):
        raise ValueError(f"use_layers are below {sizes['layers']}, not {use_layers.tolist()}")
    n_query = at_least("n_query", n_query, 1)
    if n_query > sizes["L"]:
        raise ValueError(f"a question of {n_query} tokens is longer than the prompt of {sizes['L']}")
    rows = document_mass(*(x.reshape(-1, *x.shape[2:]) for x in (q, k)), starts, n_query)
    mass = rows.reshape(*q.shape[:3], -1)
    profile, order = attn_rank(mass, use_layers, relevance)
    return {"mass": mass, "profile": profile, "order": order}


def example(rng, dtype=np.float64):
    q, k = (rng.standard_normal((5, 3, heads, 74, 16)).astype(dtype) for heads in (4, 2))
    starts = 4 + np.array([0, 10, 18, 32, 41, 52, 63])
    return {"q": q, "k": k, "starts": starts, "n_query": 7, "use_layers": np.array([0, 1]),
            "relevance": rng.standard_normal(6).astype(dtype)}
