"""Eigen attention: keys and values in a low-rank space found by calibration.

Before anything runs, the singular vectors of calibration keys and values give bases
of rank rk and rv, and the weights are rewritten to them: a cache holds rk + rv numbers
per key head and token. Values stay narrow to the end, where the output weights undo
their basis. Keys that are rotated return to their width when they are read; without
a rotary embedding, queries are narrow too.

Paper: Eigen Attention: Attention in Low-Rank Space for KV Cache Compression,
arXiv 2408.05646.
Inputs: x [B, L, E], xc [n, E] (calibration), Wq [E, Hq D], Wk and Wv [E, Hkv D],
Wo [Hq D, E], dims = (Hq, Hkv, D, rk, rv), theta (base of the rotary embedding; None:
none).
Outputs: y [B, L, E], o [B, Hq, L, rv] (in the basis of the values), p [B, Hq, L, L]
(stored for this output alone). Causal.
Errors: ValueError for shapes and dims that do not agree, for ranks outside 1 to D, and for
an odd D that is to be rotated.
"""

import numpy as np

import attn_mlir as attn
from ._support import at_least, check_shapes, heads, join_heads, number, on_target


def basis(features, rank):
    """The first left singular vectors [D, rank] of features [m, D], transposed."""
    return np.linalg.svd(features.T)[0][:, :rank]


def find_rank(values, threshold):
    """How many singular values come before their running share reaches a threshold."""
    return int((np.cumsum(values) / np.sum(values) < threshold).sum())


def calibrate(xc, Wq, Wk, Wv, Wo, dims, rotary):
    """Weights in the bases of calibration, once per layer: (Wq', Wk', Wv', Wo', Uk),
    where Uk [D, rk] is what rotated keys return by."""
    hq, hkv, d, rk, rv = dims
    embed = Wq.shape[0]
    q, k, v = ((xc @ w).reshape(len(xc), -1, d) for w in (Wq, Wk, Wv))
    wq, wk, wv = (w.reshape(embed, -1, d) for w in (Wq, Wk, Wv))
    uv = [basis(v[:, g], rv) for g in range(hkv)]
    wv = np.concatenate([wv[:, g] @ uv[g] for g in range(hkv)], 1)
    group = np.arange(hq) // (hq // hkv)
    wo = np.concatenate([uv[g].T @ w for g, w in zip(group, Wo.reshape(hq, d, -1))])
    if rotary:
        uk = basis(k.reshape(-1, d), rk)
        return Wq, (wk @ uk).reshape(embed, -1), wv, wo, uk
    uk = [basis(np.concatenate([k[:, g], *(q[:, h] for h in range(hq) if group[h] == g)]), rk) for g in range(hkv)]
    wk = np.concatenate([wk[:, g] @ uk[g] for g in range(hkv)], 1)
    return np.concatenate([wq[:, h] @ uk[g] for h, g in enumerate(group)], 1), wk, wv, wo, None


@attn.jit
def eigen_attention(x, Wq, Wk, Wv, Wo, Uk, dims, theta):
    hq, hkv, d, _, _ = dims
    q, kc, vc = heads(x @ Wq, hq), heads(x @ Wk, hkv), heads(x @ Wv, hkv)
    k = kc
    if theta is not None:
        q, k = attn.rope(q, base=theta), attn.rope(kc @ Uk.T, base=theta)
    p = attn.softmax(q @ k.mT * d ** -0.5, where=attn.causal)
    o = p @ vc
    return join_heads(o) @ Wo, o, attn.materialize(p)


def check_dims(dims, rotary, sizes):
    """Errors: ValueError for dims that make no sense for operands of these sizes."""
    if len(dims) != 5:
        raise ValueError(f"dims are (Hq, Hkv, D, rk, rv), not {dims}")
    hq, hkv, d, rk, rv = (at_least(name, n, 1) for name, n in zip(("Hq", "Hkv", "D", "rk", "rv"), dims))
    if (hq * d, hkv * d) != (sizes["HqD"], sizes["HkvD"]) or hq % hkv:
        raise ValueError(f"{hq} and {hkv} heads of {d} features do not fit {sizes['HqD']} and {sizes['HkvD']} channels")
    if max(rk, rv) > d:
        raise ValueError(f"ranks are at most {d}, not {rk} and {rv}")
    if rotary and d % 2:
        raise ValueError(f"{d} features have no pairs that could be rotated")


@on_target
def run(target="cpu", *, x, xc, Wq, Wk, Wv, Wo, dims, theta=10000.0):
    dims = tuple(int(n) for n in dims)
    theta = None if theta is None else float(number(theta))
    sizes = check_shapes(x=(x, "B L E"), xc=(xc, "n E"), Wq=(Wq, "E HqD"), Wk=(Wk, "E HkvD"), Wv=(Wv, "E HkvD"),
                         Wo=(Wo, "HqD E"))
    check_dims(dims, theta is not None, sizes)
    weights = calibrate(*(np.asarray(a) for a in (xc, Wq, Wk, Wv, Wo)), dims, theta is not None)
    return dict(zip(("y", "o", "p"), eigen_attention(x, *weights, dims, theta)))


def example(rng, dtype=np.float64):
    shapes = {"x": (2, 26, 32), "xc": (60, 32), "Wq": (32, 32), "Wk": (32, 16), "Wv": (32, 16), "Wo": (32, 32)}
    inputs = {name: (rng.standard_normal(shape) * (0.25 if name[0] == "W" else 1)).astype(dtype)
              for name, shape in shapes.items()}
    return {**inputs, "dims": np.array([4, 2, 8, 8, 8]), "theta": 10000.0}
