"""Shakti-VLM attention: normalised queries and keys, turned by two coordinates.

A block normalises its input (layer norm in early layers, RMS norm in later ones),
projects, normalises every query and key with gains per feature, and only then
rotates: half of the features by the row of a patch, half by its column. Text has one
coordinate and is causal.

Paper: Shakti-VLMs: Scalable Vision-Language Models for Enterprise AI.
Inputs: x [B, L, C], wq [C, Hq D], wk and wv [C, Hkv D], wo [Hq D, C], g_block and
b_block [C], gq and gk [D], rows and cols [L] (cols None: rows are positions of a text),
norm_kind (0 layer norm, 1 RMS norm), causal, heads = (Hq, Hkv, D). Errors: ValueError
for another norm_kind, and for heads that do not fit the weights.
Outputs: attn [B, L, Hq D], scores [B, Hq, L, L] (stored for this output alone, before
the mask), out [B, L, C].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, choice, flag, heads as split, join_heads, on_target

EPS = 1e-6


def rotate(x, rows, cols):
    if cols is None:
        return attn.rope(x, rows, base=500000.0)
    half = x.shape[-1] // 2
    return attn.concatenate([attn.rope(x[..., :half], rows), attn.rope(x[..., half:], cols)], -1)


@attn.jit
def block(x, wq, wk, wv, wo, g_block, b_block, gq, gk, rows, cols, norm_kind, causal, heads):
    y = attn.rms_norm(x, g_block, eps=EPS) if norm_kind else attn.layer_norm(x, g_block, b_block, eps=EPS)
    q, k, v = (split(y @ w, h) for w, h in zip((wq, wk, wv), (heads[0], heads[1], heads[1])))
    q = rotate(attn.rms_norm(q, gq, eps=EPS), rows, cols)
    k = rotate(attn.rms_norm(k, gk, eps=EPS), rows, cols)
    s = q @ k.mT * heads[2] ** -0.5
    o = join_heads(attn.softmax(s, where=attn.causal if causal else None) @ v)
    return o, attn.materialize(s), x + o @ wo


@on_target
def run(target="cpu", *, x, wq, wk, wv, wo, g_block, b_block, gq, gk, rows, cols, heads, norm_kind=0, causal=False):
    check_shapes(x=(x, "B L C"), wq=(wq, "C HqD"), wk=(wk, "C HkvD"), wv=(wv, "C HkvD"), wo=(wo, "HqD C"),
                 g_block=(g_block, "C"), b_block=(b_block, "C"), gq=(gq, "D"), gk=(gk, "D"), rows=(rows, "L"),
                 cols=(cols, "L"))
    rows, cols = (None if a is None else array(a) for a in (rows, cols))
    heads = tuple(int(h) for h in heads)
    norm_kind = choice("norm_kind", norm_kind, (0, 1))
    if wq.shape[1] != heads[0] * heads[2] or wk.shape[1] != heads[1] * heads[2]:
        raise ValueError(f"heads {heads} do not fit {wq.shape[1]} columns of queries and {wk.shape[1]} of keys")
    results = block(x, wq, wk, wv, wo, g_block, b_block, gq, gk, rows, cols, norm_kind, flag("causal", causal), heads)
    return dict(zip(("attn", "scores", "out"), results))


def example(rng, dtype=np.float64):
    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    rows, cols = (a.ravel() for a in np.mgrid[:7, :9])
    return {"x": normal(2, 63, 48), "wq": normal(48, 64) * 0.2, "wk": normal(48, 32) * 0.2, "wv": normal(48, 32) * 0.2,
            "wo": normal(64, 48) * 0.2, "g_block": 1 + normal(48) * 0.1, "b_block": normal(48) * 0.1,
            "gq": 1 + normal(16) * 0.1, "gk": 1 + normal(16) * 0.1, "rows": rows, "cols": cols, "norm_kind": 0,
            "causal": 0, "heads": np.array([4, 2, 16])}
