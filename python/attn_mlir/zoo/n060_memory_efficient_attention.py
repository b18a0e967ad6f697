"""Memory-efficient attention: exact softmax attention and its gradients, nothing stored.

The forward pass walks over blocks of queries and keys, and keeps of a row only its
maximum, its sum and its weighted values. The backward pass computes the weights
again from q, k and the logarithm of that sum. Compiled, all of it is the text book's
mathematics; the blocks are what the compiler makes of virtual scores.

Paper: Self-attention Does Not Need O(n^2) Memory, arXiv 2112.05682.
Inputs: q [B, H, Lq, D], k [B, H, Lk, D], v [B, H, Lk, Dv], mask (bool, broadcast to
[B, H, Lq, Lk], or None), dout [B, H, Lq, Dv].
Outputs: out [B, H, Lq, Dv] and the gradients dq, dk, dv of (out * dout).sum();
0 where a row, or a key, is masked altogether.
Errors: ValueError for shapes that do not agree.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, on_target


@attn.jit
def forward(q, k, v, mask):
    s = attn.mask((q * q.shape[-1] ** -0.5) @ k.mT, mask)
    return attn.softmax(s) @ v, attn.logsumexp(s)


@attn.jit
def backward(q, k, v, mask, dout, out, lse):
    scale = q.shape[-1] ** -0.5
    s = attn.mask((q * scale) @ k.mT, mask)
    p = attn.exp(s - lse[..., None])
    delta = (dout * out).sum(-1, keepdims=True)
    ds = p * (dout @ v.mT - delta)
    return (ds @ k) * scale, ds.mT @ (q * scale), p.mT @ dout


@on_target
def run(target="cpu", *, q, k, v, dout, mask=None):
    check_shapes(q=(q, "B H Lq D"), k=(k, "B H Lk D"), v=(v, "B H Lk Dv"), dout=(dout, "B H Lq Dv"))
    if mask is not None:
        mask = array(mask)
    out, lse = forward(q, k, v, mask)
    dq, dk, dv = backward(q, k, v, mask, dout, out, lse)
    return {"out": out, "dq": dq, "dk": dk, "dv": dv}


def example(rng, dtype=np.float64):
    q, k, v, dout = (rng.standard_normal((2, 2, *shape)).astype(dtype)
                     for shape in ((75, 16), (101, 16), (101, 24), (75, 24)))
    return {"q": q, "k": k, "v": v, "mask": rng.uniform(size=(2, 1, 75, 101)) < 0.7, "dout": dout}
