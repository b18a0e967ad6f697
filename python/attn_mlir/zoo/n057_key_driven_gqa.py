"""Key-driven GQA: query heads are dealt to key heads in proportion to key norms.

Key heads with long keys serve more query heads, the one with the shortest may
serve none. The counts come from the keys of the whole batch, are dealt out by a
small integer loop, and give a map from query heads to key heads. `dgqa` deals by
how norms change from call to call, `pgqa` perturbs the output of uniform groups.

Paper: Beyond Uniform Query Distribution: Key-Driven Grouped Query Attention,
arXiv 2408.08454.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D], 1 <= Hkv <= Hq, noise (what `pgqa` takes; not read).
Outputs: o [B, Hq, L, D], counts [Hkv] (int64, the query heads of every key head).
Errors: ValueError for shapes that do not agree, and for more key heads than query heads.
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, choice, on_target


def allocate(r, heads):
    """Counts [G], in proportion to r [G], that sum to `heads`; equal ones if r is 0, or no numbers."""
    g = attn.arange(r.shape[0])
    # Shares that are no numbers would be dealt out for ever.
    r = attn.where((r.sum() > 0) & (r.sum() < np.inf), r, 1.0)
    counts = attn.round(r / r.sum() * heads).astype(int)
    counts = attn.while_loop(lambda c: c.sum() > heads, lambda c: c - (g == c.argmax()).astype(int), counts)
    return attn.while_loop(lambda c: c.sum() < heads, lambda c: c + (g == c.argmin()).astype(int), counts)


def grouped(q, k, v, counts):
    """Attention where key head g serves the next counts[g] query heads."""
    heads = attn.searchsorted(attn.cumsum(counts), attn.arange(q.shape[1]), "right")
    s = attn.scores(q, k, q.shape[-1] ** -0.5, heads)
    return attn.aggregate(attn.softmax(s), v, heads)


def key_norms(k):
    return attn.sqrt((k * k).sum((-1, -2))).sum(0)


@attn.jit
def kdgqa(q, k, v):
    n = key_norms(k)
    spread = n.max() - n.min()
    counts = allocate(attn.where(spread == 0, 1.0, (n - n.min()) / spread), q.shape[1])
    return grouped(q, k, v, counts), counts


@attn.jit
def dgqa(q, k, v, state, kind="diff"):
    """The output, the counts, and the state [Hkv] for the next call. `kind`: "diff" or "ema"."""
    choice("kind", kind, ("diff", "ema"))
    n = key_norms(k)
    counts = allocate(abs(state - n) if kind == "diff" else 0.9 * n + 0.1 * state, q.shape[1])
    return grouped(q, k, v, counts), counts, n


@attn.jit
def pgqa(q, k, v, noise):
    """Uniform groups of c heads, minus noise [c, L * D] with the row's own moments."""
    o = attn.softmax(q @ k.mT * q.shape[-1] ** -0.5) @ v
    batch, groups, c, width = q.shape[0], k.shape[1], q.shape[1] // k.shape[1], q.shape[2] * q.shape[3]
    x = o.reshape(batch, groups, c, width)
    u = attn.where(attn.arange(c)[:, None] == attn.arange(width), 0.0, noise)
    std = u.std(-1, keepdims=True, ddof=1)
    z = (u - u.mean(-1, keepdims=True)) / attn.where(std == 0, 1.0, std)
    return (x - (z * x.std(-1, keepdims=True, ddof=1) + x.mean(-1, keepdims=True))).reshape(o.shape)


@on_target
def run(target="cpu", *, q, k, v, noise=None):
    sizes = check_shapes(q=(q, "B Hq Lq D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L Dv"))
    if sizes["Hkv"] > sizes["Hq"]:
        raise ValueError(f"{sizes['Hkv']} key heads are more than {sizes['Hq']} query heads")
    o, counts = kdgqa(q, k, v)
    return {"o": o, "counts": counts}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, h, 21, 8)).astype(dtype) for h in (8, 3, 3))
    k *= np.array([1.0, 1.6, 2.2], dtype)[:, None, None]
    return {"q": q, "k": k, "v": v, "noise": rng.uniform(size=(8, 168)).astype(dtype)}
