"""GOAT: attention with a trainable prior of positions, carried in spare head columns.

To the products of the first D_c = D - 2 R - 1 columns comes the logarithm of a prior,
K_ij = kappa(p_i - p_j) + U_j, of positions p = off + index: R waves
kappa(d) = sum_r lam_sym_r cos(freq_r d) + lam_asym_r sin(freq_r d), and a sink
U_j = gain u_j + bump [p_j = 0] + slope p_j (the slope in causal attention only).
Products of sines and cosines make the waves, so that the prior sits in the columns
that are left over, and plain attention with scale 1 does the rest. A gate per query
may weaken it.

Paper: You Need Better Attention Priors.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, S, D], lam_sym and lam_asym [Hkv, R], freq [R],
u [S], gain, bump and slope [Hkv], gate_scale and gate_bias [Hq], causal (then L = S),
gate, off. Errors: ValueError if D is not above 2 R + 1.
Outputs: o [B, Hq, L, D].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, on_target


def per_query_head(x, Hq):
    """Parameters [Hkv, ...] of key heads, for the query heads that share them."""
    return attn.repeat(x, Hq // int(x.shape[0]), 0)


def wide(x, like):
    """[..., L, C] for every batch element and head of `like` [B, H, L, D]."""
    return attn.broadcast_to(x, (*like.shape[:3], x.shape[-1]))


@attn.jit
def goat(q, k, v, lam_sym, lam_asym, freq, u, gain, bump, slope, gate_scale, gate_bias, off, causal, gate,
         start=0):
    """Queries are the tokens from `start` on; entries of keys never change."""
    Hq, D, R = int(q.shape[1]), int(q.shape[3]), int(freq.shape[0])
    Dc = D - 2 * R - 1
    p_i, p_j = attn.arange(q.shape[2]) + off + start, attn.arange(k.shape[2]) + off
    at_i, at_j = p_i[:, None] * freq, p_j[:, None] * freq
    lam, mu = (per_query_head(x, Hq)[:, None] for x in (lam_sym, lam_asym))
    waves = [lam * attn.cos(at_i) + mu * attn.sin(at_i), lam * attn.sin(at_i) - mu * attn.cos(at_i)]
    q_c = q[..., :Dc]
    prior = attn.concatenate([wide(x, q) for x in (*waves, attn.ones((1, 1)))], -1)
    if gate:
        norm = attn.sqrt((q_c * q_c).sum(-1))
        prior = prior * attn.sigmoid(gate_bias[:, None] - gate_scale[:, None] * norm)[..., None]
    U = gain[:, None] * u + bump[:, None] * (p_j == 0)
    if causal:
        U = U + slope[:, None] * p_j
    q = attn.concatenate([q_c * Dc ** -0.5, prior], -1)
    k = attn.concatenate([k[..., :Dc], *(wide(x, k) for x in (attn.cos(at_j), attn.sin(at_j), U[..., None]))], -1)
    s = attn.scores(q, k, q_offset=start) if start else q @ k.mT
    return attn.softmax(s, where=attn.causal if causal else None) @ v


@on_target
def run(target="cpu", *, q, k, v, lam_sym, lam_asym, freq, u, gain, bump, slope, gate_scale, gate_bias, causal=True,
        gate=False, off=0):
    check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv S D"), v=(v, "B Hkv S Dv"), lam_sym=(lam_sym, "Hkv R"),
                 lam_asym=(lam_asym, "Hkv R"), freq=(freq, "R"), u=(u, "S"), gain=(gain, "Hkv"), bump=(bump, "Hkv"),
                 slope=(slope, "Hkv"), gate_scale=(gate_scale, "Hq"), gate_bias=(gate_bias, "Hq"))
    if q.shape[-1] <= 2 * len(freq) + 1:
        raise ValueError(f"the prior of {len(freq)} frequencies leaves none of {q.shape[-1]} columns for the content")
    prior = (array(x, q) for x in (lam_sym, lam_asym, freq, u, gain, bump, slope, gate_scale, gate_bias))
    return {"o": goat(q, k, v, *prior, array(off), flag("causal", causal), flag("gate", gate))}


def example(rng, dtype=np.float64):
    inputs = {name: rng.standard_normal((2, heads, 70, 24)) for name, heads in (("q", 4), ("k", 2), ("v", 2))}
    inputs |= {"lam_sym": rng.standard_normal((2, 3)), "lam_asym": rng.standard_normal((2, 3)),
               "freq": 10000.0 ** (-np.arange(3) / 2), "u": rng.standard_normal(70)}
    inputs |= {"gain": rng.standard_normal(2), "bump": rng.standard_normal(2), "slope": 2.0 ** np.array([-4.0, -8.0]),
               "gate_scale": rng.uniform(0, 0.5, 4), "gate_bias": rng.standard_normal(4)}
    return {**{name: x.astype(dtype) for name, x in inputs.items()}, "causal": True, "gate": False, "off": 0}
