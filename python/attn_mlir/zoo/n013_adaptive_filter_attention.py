"""Adaptive Filter Attention: weights from the residuals of keys moved through linear dynamics.

Every key is a past state that decays and turns on its way to the query, and what is
left between the two, r = |q_i - e^((mu + i omega)(t_i - t_j)) k_j|^2, is compared with
the variance V that the noises allow after that time. The score is the logarithm of a
Student (or Gaussian) likelihood; values are moved as keys are, and their decay E is no
part of the normalizer.

Paper: Attention as an Adaptive Filter.
Inputs: q, k and v [B, H, L, D] (complex, else a ValueError), t [L] (ascending times), mu
[H] (decay per unit of time, < 0 or 0), omega [H, D] (frequencies, radians per unit of
time), sigma2, eta2 and gamma2 [H] (noise of the process, of measurements, of the
anchor), nu [H] (robustness), tau [H] (temperature), causal (else all keys are visible),
robust (Student, else Gaussian).
Outputs: o [B, H, L, D] (complex), lse [B, H, L] (real).
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, flag, on_target


def rotate(re, im, angle):
    """(re + i im) e^(i angle)."""
    cos, sin = attn.cos(angle), attn.sin(angle)
    return re * cos - im * sin, re * sin + im * cos


@attn.jit
def adaptive_filter(q, k, v, t, mu, omega, sigma2, eta2, gamma2, nu, tau, causal, robust):
    D = int(q.shape[3])
    mu, sigma2, eta2, gamma2, nu, tau = (x[:, None, None] for x in (mu, sigma2, eta2, gamma2, nu, tau))
    angle = omega[:, None] * t[:, None]
    q, k, v = (attn.concatenate(rotate(x[..., 0], x[..., 1], -angle), -1) for x in (q, k, v))

    delta = attn.abs(t[attn.q_idx] - t[attn.kv_idx])
    E = attn.exp(mu * delta)
    still = attn.abs(mu) < 1e-5
    grown = attn.where(still, delta, attn.expm1(2 * mu * delta) / (2 * attn.where(still, 1.0, mu)))
    V = sigma2 * grown + eta2 * E * E + gamma2
    R2 = (q * q).sum(-1)[..., None] + E * E * (k * k).sum(-1)[:, :, None] - 2 * E * (q @ k.mT)
    r = R2 / (nu * D * V)
    s = tau * tau * (-attn.log(V) - (attn.log1p(r) if robust else r))

    where = attn.causal if causal else None
    o = (attn.softmax(s, where=where) * E) @ v
    return attn.stack(rotate(o[..., :D], o[..., D:], angle), -1), attn.logsumexp(s, where=where)


@on_target
def run(target="cpu", *, q, k, v, t, mu, omega, sigma2, eta2, gamma2, nu, tau, causal=True, robust=True):
    check_shapes(**{name: (x, "B H L D") for name, x in {"q": q, "k": k, "v": v}.items()}, t=(t, "L"), mu=(mu, "H"),
                 omega=(omega, "H D"), sigma2=(sigma2, "H"), eta2=(eta2, "H"), gamma2=(gamma2, "H"), nu=(nu, "H"),
                 tau=(tau, "H"))
    q, k, v = (np.ascontiguousarray(x) for x in (q, k, v))
    if not all(np.iscomplexobj(x) for x in (q, k, v)):
        raise ValueError("q, k and v are complex")
    real = q.real.dtype
    # Complex numbers are pairs of real ones.
    pairs = (x.view(real).reshape(*x.shape, 2) for x in (q, k, v))
    parameters = (np.asarray(x, real) for x in (t, mu, omega, sigma2, eta2, gamma2, nu, tau))
    o, lse = adaptive_filter(*pairs, *parameters, flag("causal", causal), flag("robust", robust))
    return {"o": o.view(q.dtype)[..., 0], "lse": lse}


def example(rng, dtype=np.float64):
    shape, kind = (2, 3, 70, 8), np.result_type(dtype, np.complex64)
    inputs = {name: (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(kind) for name in "qkv"}
    omega = rng.uniform(0, 0.5, (3, 4))
    inputs |= {"t": np.cumsum(rng.uniform(0.5, 1.5, 70)), "mu": rng.uniform(-0.05, -0.01, 3),
               "omega": np.concatenate([omega, -omega], -1), "sigma2": rng.uniform(0.2, 0.5, 3),
               "eta2": rng.uniform(0.1, 0.3, 3), "gamma2": rng.uniform(0.05, 0.4, 3), "nu": rng.uniform(0.5, 2, 3),
               "tau": rng.uniform(0.9, 1.2, 3)}
    return {**{name: x if x.dtype == kind else x.astype(dtype) for name, x in inputs.items()}, "causal": True,
            "robust": True}
