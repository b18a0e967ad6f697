"""LayerNorm in front of attention, as a projection and a scaling.

LayerNorm without its eps is two steps with a flag each: rows lose their component
along the vector of ones, and are scaled to length sqrt(C). The first lets a query
give equal weight to all keys; the second puts keys on a sphere, where every key is
the best one for some query ("selectable"). A gain and a bias, and ordinary
attention, follow.

Paper: On the Expressivity Role of LayerNorm in Transformers' Attention,
arXiv 2305.02582.
Inputs: x [B, L, C], gain and bias [C], wq, wk and wv [C, C], do_projection,
do_scale, heads.
Outputs: norm [B, L, C]; out [B, L, C], heads joined; scores [B, H, L, L], scaled by
1 / sqrt(D) and stored as they are asked for.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_target, heads as split_heads, join_heads, number


def factored_layer_norm(x, do_projection, do_scale):
    if do_projection:
        x = x - x.mean(-1, keepdims=True)
    if do_scale:
        x = float(x.shape[-1]) ** 0.5 * attn.l2_normalize(x)
    return x


@attn.jit
def normed_attention(x, gain, bias, wq, wk, wv, do_projection, do_scale, heads):
    n = factored_layer_norm(x, do_projection, do_scale) * gain + bias
    q, k, v = (split_heads(n @ w, heads) for w in (wq, wk, wv))
    s = q @ k.mT * q.shape[-1] ** -0.5
    return n, join_heads(attn.softmax(s) @ v), attn.materialize(s)


def run(target="cpu", *, x, gain, bias, wq, wk, wv, do_projection=True, do_scale=True, heads):
    check_target(target)
    norm, out, scores = normed_attention(x, array(gain, x), array(bias, x), wq, wk, wv, bool(number(do_projection)),
                                         bool(number(do_scale)), int(number(heads)))
    return {"norm": norm, "out": out, "scores": scores}


def example(rng, dtype=np.float64):
    x = rng.standard_normal((2, 50, 32)) + rng.standard_normal(32)
    gain, bias = 1 + 0.1 * rng.standard_normal(32), 0.1 * rng.standard_normal(32)
    wq, wk, wv = rng.standard_normal((3, 32, 32)) / 32 ** 0.5
    arrays = {"x": x, "gain": gain, "bias": bias, "wq": wq, "wk": wk, "wv": wv}
    return {**{name: a.astype(dtype) for name, a in arrays.items()}, "do_projection": 1, "do_scale": 1, "heads": 2}
