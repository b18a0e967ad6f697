"""CASTLE: causal attention whose past keys keep absorbing later tokens.

Beside its causal key, a token s has a lookahead key u_s, which starts at 0 and takes
in v^U_j from every later token j, gated by how q^U_s and k^U_j agree. A query t sees
u_s as it is at time t; its product with the query enters the score through SiLU. Token
by token, all u_s are kept up to date: quadratic time, one row per token of memory,
and no matrix of scores.

Paper: Causal Attention with Lookahead Keys, arXiv 2509.07301.
Inputs: qc, kc, vc, qu, ku and vu [B, H, L, D], window (how many later tokens a key takes
in; 0: all; a ValueError below).
Outputs: o [B, H, L, D], lse [B, H, L].
"""

import numpy as np

import attn_mlir as attn
from ._support import at_least, check_shapes, on_target


@attn.jit
def castle(qc, kc, vc, qu, ku, vu, window):
    c = qc.shape[-1] ** -0.5
    s = attn.arange(qc.shape[2])

    def step(u, token):
        t, qc_t, ku_t, vu_t = token
        # Earlier tokens take in this one.
        gate = attn.sigmoid(c * (qu * ku_t[:, :, None]).sum(-1))
        takes = (s < t) & (t - s <= window) if window else s < t
        u = u + attn.where(takes, gate, 0.0)[..., None] * vu_t[:, :, None]
        query = qc_t[:, :, None]
        z = query @ kc.mT * c - attn.silu(query @ u.mT * c)
        z = attn.mask(z, attn.kv_idx <= t)
        return u, ((attn.softmax(z) @ vc)[:, :, 0], attn.logsumexp(z)[..., 0])

    tokens = (s, *(attn.moveaxis(x, 2, 0) for x in (qc, ku, vu)))
    _, (o, lse) = attn.scan(step, attn.zeros_like(kc), tokens)
    return attn.moveaxis(o, 0, 2), attn.moveaxis(lse, 0, 2)


@on_target
def run(target="cpu", *, qc, kc, vc, qu, ku, vu, window=0):
    check_shapes(qc=(qc, "B H L D"), kc=(kc, "B H L D"), vc=(vc, "B H L Dv"), qu=(qu, "B H L D"), ku=(ku, "B H L D"),
                 vu=(vu, "B H L D"))
    o, lse = castle(qc, kc, vc, qu, ku, vu, at_least("window", window, 0))
    return {"o": o, "lse": lse}


def example(rng, dtype=np.float64):
    names = ("qc", "kc", "vc", "qu", "ku", "vu")
    return {**{name: rng.standard_normal((2, 3, 70, 16)).astype(dtype) for name in names}, "window": 0}
