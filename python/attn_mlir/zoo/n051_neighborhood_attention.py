"""Neighborhood attention: windows on a grid of 1 to 3 axes that keep their size.

A key is seen if it is seen on every axis: inside of a window around the query, which
moves inwards at a border where it is not causal, and among every d-th place where it
is dilated. With a stride, groups of queries share the window of their leader.

Paper: Faster Neighborhood Attention: Reducing the O(n^2) Cost of Self Attention at the
Threadblock Level, arXiv 2403.04690.
Inputs: q, k and v [B, H, X1, ..., Xr, D], r from 1 to 3, and per axis (or one for all)
window, dilation (1 by default), causal (0 or 1) and stride (1 by default). Errors:
ValueError for windows longer than an axis, strides longer than a window, other axes.
Outputs: out as q, lse [B, H, X1, ..., Xr], count [X1, ..., Xr] (int64, keys seen).
"""

import math

import numpy as np

import attn_mlir as attn
from ._support import choice, on_target


def axis_rule(i, j, n, window, dilation, causal, stride):
    """Whether place i of an axis of n sees place j."""
    u, s = i // dilation, j // dilation
    length = (n - i % dilation + dilation - 1) // dilation
    if causal:
        leader = attn.minimum(u // stride * stride + stride - 1, length - 1)
        seen = (s > leader - window) & (s <= u)
    else:
        leader = attn.minimum(u // stride * stride + (stride // 2 if stride > 1 else 0), length - 1)
        first = attn.maximum(attn.minimum(leader - window // 2, length - window), 0)
        seen = (s >= first) & (s < first + window)
    return (i % dilation == j % dilation) & seen


def neighborhood(shape, window, dilation, causal, stride):
    """The mask; without strides, the one that skips tiles."""
    if max(stride) == 1:
        return attn.neighborhood(shape, window, dilation, causal)
    where, place = None, 1
    for n, *rule in reversed(list(zip(shape, window, dilation, causal, stride))):
        seen = axis_rule(attn.q_idx // place % n, attn.kv_idx // place % n, n, *rule)
        where, place = seen if where is None else where & seen, place * n
    return where


@attn.jit
def neighborhood_attention(q, k, v, rules):
    shape = tuple(int(n) for n in q.shape[2:-1])
    tokens = math.prod(shape)
    q, k, v = (x.reshape(*x.shape[:2], tokens, x.shape[-1]) for x in (q, k, v))
    where = neighborhood(shape, *rules)
    s = attn.mask(q @ k.mT * q.shape[-1] ** -0.5, where)
    count = attn.count(attn.generate(0.0, (1, 1, tokens, tokens)), where)
    out = attn.softmax(s) @ v
    return (out.reshape(*out.shape[:2], *shape, out.shape[-1]),
            attn.logsumexp(s).reshape(*out.shape[:2], *shape), count.reshape(shape))


@on_target
def run(target="cpu", *, q, k, v, window, dilation=None, causal=None, stride=None):
    shape = q.shape[2:-1]
    if not 1 <= len(shape) <= 3:
        raise ValueError(f"a grid has 1 to 3 axes, not {len(shape)}")
    rules = tuple(tuple(int(x) for x in np.broadcast_to(default if rule is None else rule, len(shape)))
                  for rule, default in ((window, 1), (dilation, 1), (causal, 0), (stride, 1)))
    for n, w, d, c, t in zip(shape, *rules):
        choice("causal", c, (0, 1))
        if w < 1 or d < 1 or w * d > n:
            raise ValueError(f"a window of {w} places {d} apart does not fit an axis of {n}")
        if not 1 <= t <= w:
            raise ValueError(f"a stride is from 1 to the window {w}, not {t}")
    return dict(zip(("out", "lse", "count"), neighborhood_attention(q, k, v, rules)))


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 2, 13, 11, 8)).astype(dtype) for _ in range(3))
    return {"q": q, "k": k, "v": v, "window": [5, 3], "dilation": [2, 1], "causal": [0, 0], "stride": [1, 1]}
