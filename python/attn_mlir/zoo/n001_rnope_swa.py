"""RNoPE-SWA: windowed layers with rotary positions, and full layers without any.

Of every `ratio` layers the last attends to all earlier tokens and knows no positions
but by the causal mask; the others rotate queries and keys and attend to the last W
tokens. Layers are LayerNorm, attention and a residual sum. What the last token
attends to is reported per layer, by labels of the keys.

Paper: Rope to Nope and Back Again: A New Hybrid Attention Strategy.
Inputs: x [B, L, E], Wq [n, E, Hq * D], Wk and Wv [n, E, Hkv * D], Wo [n, Hq * D, E] for n
layers, Hq, Hkv, W, ratio, base (of the rotary embedding, interleaved pairs), seg [L]
(labels 0 to 3 of tokens).
Outputs: y [B, L, E], mass [B, n, 4] (the weight of the last token on every label, mean
over heads).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, heads, join_heads, number, on_target

LABELS = 4


@attn.jit
def layer(x, Wq, Wk, Wv, Wo, seg, Hq, Hkv, window, base):
    """One layer, of RoPE and a window, or (window None) of neither."""
    hidden = attn.layer_norm(x)
    q, k, v = heads(hidden @ Wq, Hq), heads(hidden @ Wk, Hkv), heads(hidden @ Wv, Hkv)
    if window is not None:
        q, k = (attn.rope(t, base=base, pairing="interleaved") for t in (q, k))
    where = attn.causal if window is None else attn.sliding_window(window)
    q = q * int(q.shape[-1]) ** -0.5
    o = attn.softmax(q @ k.mT, where=where) @ v
    last = attn.scores(q[:, :, -1:], k, q_offset=x.shape[1] - 1)
    is_label = (seg[:, None] == attn.arange(LABELS)).astype(x.dtype)
    mass = (attn.softmax(last, where=where) @ is_label[None, None])[:, :, 0].mean(1)
    return x + join_heads(o) @ Wo, mass


@attn.jit
def decode(x, k_cache, v_cache, t, Wq, Wk, Wv, Wo, Hq, Hkv, window, base):
    """A layer for token t alone, x [B, 1, E], with caches [B, Hkv, S, D]: a ring of S = W
    tokens, whose order does not matter as keys are rotated before they are stored, or
    (window None) room for all. The output, and the caches."""
    hidden = attn.layer_norm(x)
    q, k, v = heads(hidden @ Wq, Hq), heads(hidden @ Wk, Hkv), heads(hidden @ Wv, Hkv)
    if window is not None:
        q, k = (attn.rope(y, t[None], base, "interleaved") for y in (q, k))
    slot = t % int(k_cache.shape[2])
    k_cache, v_cache = (attn.dynamic_update(cache, new, [0, 0, slot, 0]) for cache, new in ((k_cache, k), (v_cache, v)))
    p = attn.softmax(q @ k_cache.mT * int(q.shape[-1]) ** -0.5, where=attn.kv_idx <= t)
    return x + join_heads(p @ v_cache) @ Wo, k_cache, v_cache


@on_target
def run(target="cpu", *, x, Wq, Wk, Wv, Wo, Hq, Hkv, W, ratio, base=10000.0, seg):
    Wq, Wk, Wv, Wo, seg = array(Wq, x), array(Wk, x), array(Wv, x), array(Wo, x), array(seg)
    masses = []
    for l in range(len(Wq)):
        window = None if (l + 1) % number(ratio) == 0 else int(number(W))
        x, mass = layer(x, Wq[l], Wk[l], Wv[l], Wo[l], seg, int(number(Hq)), int(number(Hkv)), window,
                        float(number(base)))
        masses.append(mass)
    return {"y": x, "mass": np.stack(masses, 1)}


def example(rng, dtype=np.float64):
    widths = {"Wq": 64, "Wk": 32, "Wv": 32, "Wo": 64}
    weights = {name: (rng.standard_normal((8, 64, width)) / 8).astype(dtype) for name, width in widths.items()}
    seg = np.full(70, 2)
    seg[:10], seg[30:38], seg[-6:] = 0, 1, 3
    return {"x": rng.standard_normal((2, 70, 64)).astype(dtype), **weights, "Hq": 4, "Hkv": 2, "W": 20, "ratio": 4,
            "base": 10000.0, "seg": seg}
