"""Selective self-attention: a temperature per query, a scale per value.

Both come from the token, by a small function of its projection before the rotary
embedding, and from its position: later rows see more keys and may be sharper. The
position-only form has a temperature of positions and leaves values alone.

Paper: Selective Attention: Enhancing Transformer through Principled Context Control,
arXiv 2411.12892.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D], D even, before the rotary
embedding (half-split pairs, base 10000), aq [Hq, D], av [Hkv, D], alpha_q, alpha_v,
beta (of the position-only form), position_only (0 or 1).
Outputs: out [B, Hq, L, D], p [B, Hq, L, L] (stored for this output alone),
tau_q [B, Hq, L], tau_v [B, Hkv, L] (inverse temperatures). Causal.
Errors: ValueError for shapes that do not agree, an odd D, and another flag.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, number, on_target


def token_temperature(x, a):
    return attn.tanh((a[:, None] * attn.gelu(x)).sum(-1))


@attn.jit
def selective(q, k, v, aq, av, alpha_q, alpha_v, beta, position_only):
    # As many tokens as a row of a causal matrix sees.
    log_n = attn.log((attn.arange(q.shape[2]) + 1).astype(q.dtype))
    if position_only:
        tau_q = attn.broadcast_to(1 + attn.exp(-attn.exp(beta)) * log_n, q.shape[:3])
        tau_v = attn.ones(v.shape[:3], v.dtype)
    else:
        tau_q = token_temperature(q, aq) + 1 + attn.sigmoid(alpha_q) * log_n
        tau_v = token_temperature(v, av) + 1 + attn.sigmoid(alpha_v) * log_n
    s = tau_q[..., None] * (attn.rope(q) @ attn.rope(k).mT * q.shape[-1] ** -0.5)
    p = attn.softmax(s, where=attn.causal)
    return p @ (tau_v[..., None] * v), attn.materialize(p), tau_q, tau_v


@on_target
def run(target="cpu", *, q, k, v, aq, av, alpha_q, alpha_v, beta=2.0, position_only=False):
    sizes = check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L D"), aq=(aq, "Hq D"), av=(av, "Hkv D"))
    if sizes["D"] % 2:
        raise ValueError(f"{sizes['D']} features have no pairs that could be rotated")
    scalars = (array(number(x), q) for x in (alpha_q, alpha_v, beta))
    results = selective(q, k, v, aq, av, *scalars, flag("position_only", position_only))
    return dict(zip(("out", "p", "tau_q", "tau_v"), results))


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, h, 50, 16)).astype(dtype) for h in (4, 2, 2))
    aq, av = (rng.standard_normal((h, 16)).astype(dtype) for h in (4, 2))
    return {"q": q, "k": k, "v": v, "aq": aq, "av": av, "alpha_q": 0.3, "alpha_v": -0.7, "beta": 2.0,
            "position_only": 0}
