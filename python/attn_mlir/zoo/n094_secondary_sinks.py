"""Secondary sinks: tokens that turn towards the first one for some layers.

The primary sink (BOS) is the candidate position with the largest hidden states. The
layers between the largest rise and the largest later fall of its norm are looked at:
a token is a sink where its hidden state is nearly parallel (or opposite) to that of
BOS. How many layers that lasts, and the first of them, are its level. The sink score
is the mean weight that a token gets from the queries that see it; it is a sum over
the columns of the weights, of which no matrix is stored.

Paper: On the Existence and Behaviour of Secondary Attention Sinks.
Inputs: q [layers, B, Hq, L, D], k [layers, B, Hkv, L, D], hidden [layers + 1, B, L, E]
(inputs of the layers, and the last output), bos_candidates, cos_min, min_life (sinks
that do not last longer are noise), long_gap (sinks that lack no more layers than that
are like the primary one).
Outputs: head_score [layers, B, Hq, L], score [layers, B, L], bos [B], window [B, 2]
(first layer, and the one behind the last), life and first [B, L] (-1 where there is
none), kind [B, L] (0 none, 1 noise, 2 secondary, 3 primary-like), norm
[layers + 1, B, L]. What counts is int64.
Errors: ValueError for shapes that do not agree, and for candidates that are no tokens.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, on_target


@attn.jit
def received_attention(q, k):
    """Means over the queries that see a key."""
    length = q.shape[2]
    p = attn.softmax(q @ k.mT * q.shape[-1] ** -0.5, where=attn.causal)
    return p.sum(-2) / (length - attn.arange(length)).astype(q.dtype)


@attn.jit
def find_sinks(hidden, bos_candidates, cos_min, min_life, long_gap):
    layers = hidden.shape[0] - 1
    norm = attn.linalg.norm(hidden)
    bos = bos_candidates[norm.mean(0)[:, bos_candidates].argmax(-1)]
    hidden_bos = attn.gather(hidden.swapaxes(0, 1), bos[:, None], 2, 1).swapaxes(0, 1)

    n = attn.linalg.norm(hidden_bos[:, :, 0])
    d = n[1:] - n[:-1]
    layer = attn.arange(layers)
    start = d.argmax(0) + 1
    end = attn.where(layer[:, None] >= start, d, np.inf).argmin(0) + 1
    end = attn.maximum(end, start)

    size = attn.maximum(norm, 1e-12) * attn.maximum(n, 1e-12)[:, :, None]
    cos = (hidden * hidden_bos).sum(-1) / size
    layer = layer[:, None, None]
    analysed = (layer >= start[:, None]) & (layer < end[:, None]) & (attn.arange(hidden.shape[2]) >= bos[:, None])
    is_sink = (attn.abs(cos[:-1]) > cos_min) & analysed
    life = is_sink.sum(0)
    first = attn.where(is_sink, layer, layers).min(0)
    first = attn.where(life > 0, first, -1)
    long = attn.where(life >= layers - long_gap, 3, attn.where(life > min_life, 2, 1))
    return {"bos": bos, "window": attn.stack([start, end], -1), "life": life, "first": first,
            "kind": attn.where(life > 0, long, 0), "norm": norm}


@on_target
def run(target="cpu", *, q, k, hidden, bos_candidates=(0,), cos_min=0.9, min_life=4, long_gap=15):
    q, k, bos_candidates = array(q), array(k), array(bos_candidates)
    sizes = check_shapes(q=(q, "layers B Hq L D"), k=(k, "layers B Hkv L D"), hidden=(hidden, "states B L E"),
                         bos_candidates=(bos_candidates, "some"))
    if sizes["states"] != sizes["layers"] + 1:
        raise ValueError(f"{sizes['layers']} layers have {sizes['layers'] + 1} hidden states, not {sizes['states']}")
    if not sizes["some"] or not all(0 <= place < sizes["L"] for place in bos_candidates):
        raise ValueError(f"bos_candidates are some places below {sizes['L']}, not {bos_candidates.tolist()}")
    rows = received_attention(*(x.reshape(-1, *x.shape[2:]) for x in (q, k)))
    head_score = rows.reshape(*q.shape[:4])
    found = find_sinks(hidden, bos_candidates, array(cos_min, hidden), array(min_life), array(long_gap))
    return {"head_score": head_score, "score": head_score.mean(2), **found}


def example(rng, dtype=np.float64):
    q, k = (rng.standard_normal((16, 2, heads, 53, 16)) for heads in (4, 2))
    hidden = rng.standard_normal((17, 2, 53, 24))
    # BOS is large in layers 3 to 13; two tokens follow it for a while, one of them opposite.
    direction = rng.standard_normal(24)
    hidden[3:14, :, 0] = 50 * direction
    hidden[4:10, :, 20] = 20 * direction
    hidden[5:7, :, 31] = -20 * direction
    return {"q": q.astype(dtype), "k": k.astype(dtype), "hidden": hidden.astype(dtype),
            "bos_candidates": np.array([0, 1]), "cos_min": 0.9, "min_life": 4, "long_gap": 8}
