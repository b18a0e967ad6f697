"""Nexus: queries and keys that are outputs of attentions themselves.

Depth 0 is ordinary self-attention of the rows y, with queries y wq, keys y wk and
values y wv. At depth r the queries and keys that take part are what depth r - 1
makes of y wq and y wk; all depths share the three matrices, and the mask, so that
the layer has no parameters more. 2 ** (r + 1) - 1 attentions are computed.

Paper: Nexus: Higher-Order Attention Mechanisms in Transformers.
Inputs: x [B, L, C], wq, wk, wv and wo [C, C], heads, depth (0 or more), causal
(0 or 1).
Outputs: out [B, L, C]; q and k [B, L, C], the operands of the outermost attention.
Errors: ValueError for shapes that do not agree, for heads that do not divide C, for a
negative depth and for another flag.
"""

import numpy as np

import attn_mlir as attn
from ._support import at_least, check_shapes, flag, heads as split_heads, join_heads, on_target


def attend(q, k, v, heads, causal):
    """Attention of rows [B, L, C], cut into heads and joined again."""
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    s = q @ k.mT * q.shape[-1] ** -0.5
    return join_heads(attn.softmax(s, where=attn.causal if causal else None) @ v)


def higher_order(y, wq, wk, wv, heads, depth, causal):
    """The output, and the queries and keys it comes from."""
    q, k = y @ wq, y @ wk
    if depth > 0:
        q, k = (higher_order(z, wq, wk, wv, heads, depth - 1, causal)[0] for z in (q, k))
    return attend(q, k, y @ wv, heads, causal), q, k


@attn.jit
def nexus(x, wq, wk, wv, wo, heads, depth, causal):
    o, q, k = higher_order(x, wq, wk, wv, heads, depth, causal)
    return o @ wo, q, k


@on_target
def run(target="cpu", *, x, wq, wk, wv, wo, heads, depth=1, causal=True):
    heads = at_least("heads", heads, 1)
    C = check_shapes(x=(x, "B L C"), wq=(wq, "C C"), wk=(wk, "C C"), wv=(wv, "C C"), wo=(wo, "C C"))["C"]
    if C % heads:
        raise ValueError(f"{heads} heads do not divide {C} features")
    out, q, k = nexus(x, wq, wk, wv, wo, heads, at_least("depth", depth, 0), flag("causal", causal))
    return {"out": out, "q": q, "k": k}


def example(rng, dtype=np.float64):
    x = rng.standard_normal((2, 37, 24)).astype(dtype)
    weights = {name: (rng.standard_normal((24, 24)) / 24 ** 0.5).astype(dtype) for name in ("wq", "wk", "wv", "wo")}
    return {"x": x, **weights, "heads": 3, "depth": 1, "causal": 1}
