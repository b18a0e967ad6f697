"""DiffQKV: queries, keys and values with head counts of their own, and augmented queries.

There are fewer heads of keys than of values, because keys suffer less from being
shared: query head i reads key head i // (Hq / Hk) and value head i // (Hq / Hv). The
queries, which no cache stores, pass a gated network that makes them more expressive.

Paper: Sigma: Differential Rescaling of Query, Key and Value for Efficient Language Models.
Inputs: x [B, L, E], Wq [E, Hq * D], Wgate and Wup [Hq * D, Daug], Wdown [Daug, Hq * D],
Wk [E, Hk * D], Wv [E, Hv * Dv], Wo [Hq * Dv, E], heads (Hq, Hk, Hv), theta (base of the
rotary embedding, half-split pairs).
Outputs: y [B, L, E], o [B, Hq, L, Dv], p [B, Hq, L, L] (the causal weights, stored
because they are asked for), k_cache [B, Hk, L, D] (rotated keys), v_cache [B, Hv, L, Dv].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, heads as cut, join_heads, number, on_target


@attn.jit
def diff_qkv(x, Wq, Wgate, Wup, Wdown, Wk, Wv, Wo, heads, theta):
    Hq, Hk, Hv = heads
    q = x @ Wq
    q = (attn.silu(q @ Wgate) * (q @ Wup)) @ Wdown
    q, k = (attn.rope(t, base=theta) for t in (cut(q, Hq), cut(x @ Wk, Hk)))
    v = cut(x @ Wv, Hv)
    p = attn.softmax(q @ k.mT * int(q.shape[-1]) ** -0.5, where=attn.causal)
    o = p @ v
    return join_heads(o) @ Wo, o, attn.materialize(p), k, v


@attn.jit
def selective_fetch(q, k, v, T):
    """Decoding that reads few values: q [B, Hq, M, D] of the last tokens keep their T
    largest weights, of which the sum is not 1 again. The output, and what was dropped
    [B, Hq, M]."""
    s = attn.scores(q, k, int(q.shape[-1]) ** -0.5, q_offset=k.shape[2] - q.shape[2])
    weight, index, _ = attn.topk(attn.softmax(s, where=attn.causal), T)
    weight = attn.where(index >= 0, weight, 0.0)
    return (weight[..., None] * attn.gather(v, index, 2, 2)).sum(-2), 1 - weight.sum(-1)


@on_target
def run(target="cpu", *, x, Wq, Wgate, Wup, Wdown, Wk, Wv, Wo, heads, theta=50000.0):
    check_shapes(x=(x, "B L E"), Wq=(Wq, "E HqD"), Wgate=(Wgate, "HqD Daug"), Wup=(Wup, "HqD Daug"),
                 Wdown=(Wdown, "Daug HqD"), Wk=(Wk, "E HkD"), Wv=(Wv, "E HvDv"), Wo=(Wo, "HqDv E"))
    weights = (array(W, x) for W in (Wq, Wgate, Wup, Wdown, Wk, Wv, Wo))
    results = diff_qkv(x, *weights, tuple(int(n) for n in heads), float(number(theta)))
    return dict(zip(("y", "o", "p", "k_cache", "v_cache"), results))


def example(rng, dtype=np.float64):
    shapes = {"Wq": (32, 64), "Wgate": (64, 48), "Wup": (64, 48), "Wdown": (48, 64), "Wk": (32, 16), "Wv": (32, 32),
              "Wo": (64, 32)}
    weights = {name: (rng.standard_normal(s) * s[0] ** -0.5).astype(dtype) for name, s in shapes.items()}
    return {"x": rng.standard_normal((2, 29, 32)).astype(dtype), **weights, "heads": np.array([8, 2, 4]),
            "theta": 50000.0}
