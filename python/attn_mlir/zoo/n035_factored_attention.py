"""Factored attention: weights that do not depend on the input.

The weights alpha of a layer are learned: as a matrix per head, or, on a periodic
grid, as one number per offset between two places. There are no queries, keys or
softmax. Beside it stands attention with such a table as bias, and how much its
weights depend on the input: their deviation from the mean over a batch.

Paper: Are queries and keys always relevant? A case study on Transformer wave
functions, arXiv 2405.18874.
Inputs: x [B, n, d] (n = side ** 2 places, row by row), Wv, Wo, Wq and Wk [d, d], bv and
bo [d], alpha and p [H, n] (by offset, key minus query), alpha_full [H, n, n]. Errors:
ValueError for n that is no square, and for tables of different sizes.
Outputs: factored, factored_ti and biased [B, n, d], input_dependence [H] (for which the
mean weights [H, n, n] are stored).
"""

import math

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, heads, join_heads, on_target


def at_offset(table, head, side):
    """The element of a table [H, n] for how far the key is from the query."""
    i, j = attn.q_idx, attn.kv_idx
    rows, columns = (j // side - i // side) % side, (j % side - i % side) % side
    return table[head, rows * side + columns]


@attn.jit
def factored(x, Wv, bv, Wo, bo, alpha_full):
    v = heads(x @ Wv + bv, alpha_full.shape[0])
    return join_heads(attn.bias(alpha_full[None]) @ v) @ Wo + bo


@attn.jit
def factored_ti(x, Wv, bv, Wo, bo, alpha, side):
    v = heads(x @ Wv + bv, alpha.shape[0])
    weights = attn.generate(at_offset(alpha, attn.head, side), (1, alpha.shape[0], x.shape[1], x.shape[1]))
    return join_heads(weights @ v) @ Wo + bo


@attn.jit
def biased(x, Wv, bv, Wo, bo, Wq, Wk, p, side):
    q, k, v = (heads(y, p.shape[0]) for y in (x @ Wq, x @ Wk, x @ Wv + bv))
    s = q @ k.mT * q.shape[-1] ** -0.5 + at_offset(p, attn.head, side)
    return join_heads(attn.softmax(s) @ v) @ Wo + bo


@attn.jit
def input_dependence(x, Wq, Wk, p, side):
    q, k = heads(x @ Wq, p.shape[0]), heads(x @ Wk, p.shape[0])
    scale = q.shape[-1] ** -0.5
    # The mean over samples: those of a head side by side, as heads of one sample.
    samples = int(x.shape[0])
    one = [y.swapaxes(0, 1).reshape(1, -1, *y.shape[2:]) for y in (q, k)]
    s = one[0] @ one[1].mT * scale + at_offset(p, attn.head // samples, side)
    mean = attn.materialize(attn.reduce_heads(attn.softmax(s), "mean", p.shape[0]))
    s = q @ k.mT * scale + at_offset(p, attn.head, side)
    a = attn.exp(s - attn.logsumexp(s, keepdims=True))
    deviation = ((a - attn.bias(mean)) ** 2).sum((0, 2, 3)) / samples
    return attn.sqrt(deviation / (mean * mean).sum((0, 2, 3)))


@on_target
def run(target="cpu", *, x, Wv, bv, Wo, bo, Wq, Wk, alpha, alpha_full, p):
    side = math.isqrt(p.shape[1])
    if side * side != x.shape[1] or alpha.shape != p.shape:
        raise ValueError(f"tables {list(p.shape)} and {list(alpha.shape)} are not for a square grid of {x.shape[1]} "
                         "places")
    check_shapes(x=(x, "B n d"), Wv=(Wv, "d d"), bv=(bv, "d"), Wo=(Wo, "d d"), bo=(bo, "d"), Wq=(Wq, "d d"),
                 Wk=(Wk, "d d"), alpha=(alpha, "H n"), alpha_full=(alpha_full, "H n n"))
    return {"factored": factored(x, Wv, bv, Wo, bo, alpha_full),
            "factored_ti": factored_ti(x, Wv, bv, Wo, bo, alpha, side),
            "biased": biased(x, Wv, bv, Wo, bo, Wq, Wk, p, side),
            "input_dependence": input_dependence(x, Wq, Wk, p, side)}


def example(rng, dtype=np.float64):
    shapes = {"x": (5, 36, 16), "Wv": (16, 16), "bv": (16,), "Wo": (16, 16), "bo": (16,), "Wq": (16, 16),
              "Wk": (16, 16), "alpha": (4, 36), "alpha_full": (4, 36, 36), "p": (4, 36)}
    return {name: (rng.standard_normal(shape) * (0.25 if name[0] == "W" else 1)).astype(dtype)
            for name, shape in shapes.items()}
