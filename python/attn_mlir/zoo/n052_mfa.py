"""Multi-matrix factorization attention: many query heads, one wide key and value head.

Queries are made in two steps: a map to the width of a head, which all heads share
(and RMS-normalise), then a square matrix per head. With N and alpha, keys serve as
values too (MFA-KR): v = k + alpha * (k N), of keys before the rotary embedding.
Nothing else need be cached; the map is linear, so that it is applied to what the
weights have aggregated.

Paper: Multi-matrix Factorization Attention, arXiv 2412.19255.
Inputs: x [B, L, E], Sq, Sk and Sv [E, C], Qc [m, C, C], Wo [m, C, E], N [C, C] and
alpha [C] (None: values are x Sv; else Sv is not read and may be None), gamma [C] (gain
of the norm; None: no norm), theta (base of the rotary embedding; None: none).
Outputs: y [B, L, E], o [B, m, L, C], p [B, m, L, L] (stored for this output alone),
k (before the rotary embedding) and v [B, L, C].
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, number, on_target


@attn.jit
def mfa(x, Sq, Sk, Sv, Qc, Wo, N, alpha, gamma, theta):
    shared = x @ Sq
    if gamma is not None:
        shared = attn.rms_norm(shared, gamma, eps=1e-5)
    q = attn.einsum("blc,mcd->bmld", shared, Qc)
    k = x @ Sk
    key = k[:, None]
    if theta is not None:
        q, key = attn.rope(q, base=theta), attn.rope(key, base=theta)
    p = attn.softmax(q @ key.mT * k.shape[-1] ** -0.5, where=attn.causal)
    if alpha is None:
        v = x @ Sv
        o = p @ v[:, None]
    else:
        v = k + alpha * (k @ N)
        o = p @ k[:, None]
        o = o + alpha * (o @ N)
    return attn.einsum("bmlc,mce->ble", o, Wo), o, attn.materialize(p), k, v


@on_target
def run(target="cpu", *, x, Sq, Sk, Qc, Wo, Sv=None, N=None, alpha=None, gamma=None, theta=10000.0):
    check_shapes(x=(x, "B L E"), Sq=(Sq, "E C"), Sk=(Sk, "E C"), Sv=(Sv, "E C"), Qc=(Qc, "m C C"), Wo=(Wo, "m C E"),
                 N=(N, "C C"), alpha=(alpha, "C"), gamma=(gamma, "C"))
    if (N is None) != (alpha is None) or (N is None and Sv is None):
        raise ValueError("values are x Sv, or keys with both N and alpha")
    theta = None if theta is None else float(number(theta))
    return dict(zip(("y", "o", "p", "k", "v"), mfa(x, Sq, Sk, Sv, Qc, Wo, N, alpha, gamma, theta)))


def example(rng, dtype=np.float64):
    shapes = {"x": (2, 27, 32), "Sq": (32, 16), "Sk": (32, 16), "Sv": (32, 16), "Qc": (6, 16, 16), "Wo": (6, 16, 32),
              "N": (16, 16), "alpha": (16,), "gamma": (16,)}
    inputs = {name: rng.standard_normal(shape) * (1 if len(shape) == 1 else shape[-2] ** -0.5)
              for name, shape in shapes.items()}
    inputs["x"] *= 27 ** 0.5
    return {**{name: value.astype(dtype) for name, value in inputs.items()}, "theta": 10000.0}
