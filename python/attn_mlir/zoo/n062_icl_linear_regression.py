"""In-context linear regression: the predictor that trained softmax heads compute.

After training, every head compares the query with the examples by one temperature
omega_h, averages their responses, and enters the prediction with a weight mu_h that
may be negative. All heads share one row of dot products. Beside it stand a step of
gradient descent, one from centred responses, and ridge regression.

Paper: In-Context Linear Regression Demystified: Training Dynamics and Mechanistic
Interpretability of Multi-Head Softmax Attention, arXiv 2503.12734.
Inputs: x [B, L, d], y [B, L], xq [B, d], yq [B] (what is to be predicted; not read),
omega and mu [H], noise_var (its product with d is the penalty of ridge regression).
Outputs: yhat, gd, debiased_gd and ridge [B], eta = mu . omega, zero_sum = sum of mu, both [].
Errors: ValueError for shapes that do not agree.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, number, on_target


@attn.jit
def predictors(x, y, xq, omega, mu, noise_var):
    dots = xq[:, None, None] @ x[:, None].mT
    heads = attn.softmax(omega[:, None, None] * dots) @ y[:, None, :, None]
    yhat = (mu * heads[:, :, 0, 0]).sum(-1)

    eta = (mu * omega).sum()
    xy = (x * y[..., None]).mean(1)
    gd = eta * (xy * xq).sum(-1)
    debiased_gd = eta * ((xy - x.mean(1) * y.mean(-1, keepdims=True)) * xq).sum(-1)

    d = x.shape[-1]
    gram = x.swapaxes(1, 2) @ x + noise_var * d * attn.eye(d, dtype=x.dtype)
    xty = attn.einsum("bld,bl->bd", x, y)
    w = attn.linalg.cho_solve(attn.linalg.cholesky(gram), xty[..., None])[..., 0]
    return yhat, gd, debiased_gd, (w * xq).sum(-1), eta, mu.sum()


@on_target
def run(target="cpu", *, x, y, xq, omega, mu, noise_var, yq=None):
    omega, mu = array(omega, x), array(mu, x)
    check_shapes(x=(x, "B L d"), y=(y, "B L"), xq=(xq, "B d"), yq=(yq, "B"), omega=(omega, "H"), mu=(mu, "H"))
    results = predictors(x, y, xq, omega, mu, array(number(noise_var), x))
    return dict(zip(("yhat", "gd", "debiased_gd", "ridge", "eta", "zero_sum"), results))


def example(rng, dtype=np.float64):
    x, w = rng.standard_normal((16, 41, 5)), rng.standard_normal((16, 5))
    xq = rng.standard_normal((16, 5))
    y = np.einsum("bld,bd->bl", x, w) + 0.1 * rng.standard_normal((16, 41))
    omega = np.array([0.2, -0.28, 0.28, -0.24])
    mu = np.linalg.solve(np.outer(omega, omega) + 1.01 / 41 * np.exp(5 * np.outer(omega, omega)), omega)
    inputs = {"x": x, "y": y, "xq": xq, "yq": (xq * w).sum(-1), "omega": omega, "mu": mu}
    return {**{name: value.astype(dtype) for name, value in inputs.items()}, "noise_var": 0.1 ** 2}
