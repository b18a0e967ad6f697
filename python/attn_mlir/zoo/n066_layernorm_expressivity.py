"""LayerNorm in front of attention, as a projection and a scaling.

LayerNorm without its eps is two steps with a flag each: rows lose their component
along the vector of ones, and are scaled to length sqrt(C). The first lets a query
give equal weight to all keys; the second puts keys on a sphere, where every key is
the best one for some query ("selectable"). A gain and a bias, and ordinary
attention, follow.

Paper: On the Expressivity Role of LayerNorm in Transformers' Attention,
arXiv 2305.02582.
Inputs: x [B, L, C], gain and bias [C], wq, wk and wv [C, C], do_projection and
do_scale (0 or 1), heads.
Outputs: norm [B, L, C]; out [B, L, C], heads joined; scores [B, H, L, L], scaled by
1 / sqrt(D) and stored as they are asked for.
Errors: ValueError for shapes that do not agree, for heads that do not divide C, and for
other flags.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, flag, heads as split_heads, join_heads, on_target


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


@on_target
def run(target="cpu", *, x, gain, bias, wq, wk, wv, do_projection=True, do_scale=True, heads):
    gain, bias, heads = array(gain, x), array(bias, x), at_least("heads", heads, 1)
    C = check_shapes(x=(x, "B L C"), gain=(gain, "C"), bias=(bias, "C"), wq=(wq, "C C"), wk=(wk, "C C"),
                     wv=(wv, "C C"))["C"]
    if C % heads:
        raise ValueError(f"{heads} heads do not divide {C} features")
    norm, out, scores = normed_attention(x, gain, bias, wq, wk, wv, flag("do_projection", do_projection),
                                         flag("do_scale", do_scale), heads)
    return {"norm": norm, "out": out, "scores": scores}


def example(rng, dtype=np.float64):
    x = rng.standard_normal((2, 50, 32)) + rng.standard_normal(32)
    gain, bias = 1 + 0.1 * rng.standard_normal(32), 0.1 * rng.standard_normal(32)
    wq, wk, wv = rng.standard_normal((3, 32, 32)) / 32 ** 0.5
    arrays = {"x": x, "gain": gain, "bias": bias, "wq": wq, "wk": wk, "wv": wv}
    return {**{name: a.astype(dtype) for name, a in arrays.items()}, "do_projection": 1, "do_scale": 1, "heads": 2}
