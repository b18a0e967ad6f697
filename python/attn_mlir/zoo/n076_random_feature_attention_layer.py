"""Random features of attention: frozen bilinear scores, trained values.

A head m has a frozen random matrix W_m, the product of its query and key weights,
and a vector v_m. With 1 appended to every vector, the output for a query x0 and its
keys x is the sum over heads of mean_i relu(x0^T W_m x_i) <v_m, x_i>. That is linear
in the v_m, which ridge regression therefore fits in closed form, here in its dual
form: one system of the size of the samples.

Paper: What can a Single Attention Layer Learn? A Study Through the Random Features
Lens, arXiv 2307.11353.
Inputs: x0 [n, d], x [n, N, d], W [M, d + 1, d + 1], V [M, d + 1], y [n] (targets),
lam (the penalty of ridge regression).
Outputs: f [n]; features [n, M (d + 1)], mean_i relu(x0^T W_m x_i) x_i; fit [n],
predictions of the fitted values.
Errors: ValueError for shapes that do not agree.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, on_target


def append_one(x):
    return attn.concatenate([x, attn.ones((*x.shape[:-1], 1), x.dtype)], -1)


@attn.jit
def random_feature_attention(x0, x, W, V):
    x0, x = append_one(x0), append_one(x)
    # All heads read the same keys, which are the values as well.
    q = attn.einsum("nd,mde->nme", x0, W)[:, :, None]
    keys = x[:, None]
    phi = (attn.relu(q @ keys.mT) @ keys / attn.asarray(x.shape[1]))[:, :, 0]
    return (phi * V).sum((1, 2)), phi.reshape(phi.shape[0], -1)


@attn.jit
def ridge(F, y, lam):
    """Predictions of ridge regression on features F [n, features]."""
    kernel = F @ F.T
    factor = attn.linalg.cholesky(kernel + lam * attn.eye(kernel.shape[0], dtype=kernel.dtype))
    # kernel @ a where (kernel + lam) a = y: small errors of a stay small.
    return y - lam * attn.linalg.cho_solve(factor, y)


@on_target
def run(target="cpu", *, x0, x, W, V, y, lam=1e-3):
    sizes = check_shapes(x0=(x0, "n d"), x=(x, "n N d"), W=(W, "M d+1 d+1"), V=(V, "M d+1"), y=(y, "n"))
    if sizes["d+1"] != sizes["d"] + 1:
        raise ValueError(f"W is of vectors of {sizes['d']} features and a 1, not of {sizes['d+1']}")
    f, features = random_feature_attention(x0, x, W, V)
    return {"f": f, "features": features, "fit": ridge(features, array(y, x0), array(lam, x0))}


def example(rng, dtype=np.float64):
    unit = lambda a: a / np.linalg.norm(a, axis=-1, keepdims=True)
    x0, x = unit(rng.standard_normal((40, 6))), unit(rng.standard_normal((40, 17, 6)))
    W, V = 0.5 * rng.standard_normal((20, 7, 7)), rng.standard_normal((20, 7)) / 20
    y = np.einsum("nd,nid->n", x0, x) / 17
    arrays = {"x0": x0, "x": x, "W": W, "V": V, "y": y}
    return {**{name: a.astype(dtype) for name, a in arrays.items()}, "lam": 1e-3}
