"""Sinkformer: weights that are made doubly stochastic by Sinkhorn half-steps.

Rows and columns of exp(s / eps) are normalized in turns, as potentials: u of queries
and f of keys, by log-sums over keys and over queries. One half-step is the softmax;
after an odd number of them rows sum to 1. Tokens that are padding are absent from
rows and from columns. Gradients go through all half-steps, back from the last;
neither they nor the forward steps store a matrix.

Paper: Sinkformers: Transformers with Doubly Stochastic Attention, arXiv 2110.11773.
Inputs: q, k and v [B, H, L, D], n_it (half-steps, 0 or more), eps (more than 0), keep [B, L] (bool, false for
padding), dout [B, H, L, D].
Outputs: out [B, H, L, D]; p [B, H, L, L], stored as it is asked for; dq, dk and dv
[B, H, L, D], gradients for dout.
Errors: ValueError for shapes that do not agree, a negative n_it, and an eps that is not
positive. There is no causal form: doubly stochastic weights of earlier keys are the identity.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, number, on_target


@attn.jit
def sinkformer(q, k, v, n_it, eps, keep, dout):
    scale = q.shape[-1] ** -0.5
    where = keep[attn.batch, attn.q_idx] & keep[attn.batch, attn.kv_idx]
    count = keep.astype(q.dtype).sum(-1)
    log_count = attn.log(attn.maximum(count, 1.0))[:, None, None]
    present = keep[:, None]

    def kernel(u=None, f=None):
        s = q @ k.mT * scale
        s = s if u is None else s + u[..., None]
        s = s if f is None else s + f[:, :, None]
        return attn.mask(s / eps, where)

    def rows(f):
        return attn.where(present, -eps * (log_count + attn.logsumexp(kernel(f=f))), 0.0)

    def columns(u):
        return attn.where(present, -eps * (log_count + attn.logsumexp(kernel(u=u), axis=-2)), 0.0)

    def pair(state, _):
        _, f = state
        u = rows(f)
        return (u, columns(u)), (f, u)

    # Pairs of half-steps, of which the potentials are kept; then the odd one.
    zero = attn.zeros_like(q[..., 0])
    (u, f), (fs, us) = attn.scan(pair, (zero, zero), None, n_it // 2)
    if n_it % 2:
        u = rows(f)
    p = attn.exp(kernel(u, f)) * count[:, None, None, None]

    # d loss / d log p; then the half-steps, from the last.
    g = p * (dout @ v.mT) / eps
    dq, dk, gu, gf = g @ k, g.mT @ q, g.sum(-1), g.sum(-2)

    def back_rows(dq, dk, gu, gf, f):
        w = gu[..., None] * attn.softmax(kernel(f=f))
        return dq - w @ k, dk - w.mT @ q, zero, gf - w.sum(-2)

    def back_columns(dq, dk, gu, gf, u):
        w = gf[:, :, None] * attn.softmax(kernel(u=u), axis=-2)
        return dq - w @ k, dk - w.mT @ q, gu - w.sum(-1), zero

    def back_pair(state, potentials):
        f, u = potentials
        return back_rows(*back_columns(*state, u), f), None

    state = dq, dk, gu, gf
    if n_it % 2:
        state = back_rows(*state, f)
    (dq, dk, _, _), _ = attn.scan(back_pair, state, (attn.flip(fs, 0), attn.flip(us, 0)))
    return {"out": p @ v, "p": attn.materialize(p), "dq": scale * dq, "dk": scale * dk, "dv": p.mT @ dout}


@on_target
def run(target="cpu", *, q, k, v, n_it=3, eps=1.0, keep, dout):
    keep = array(keep)
    check_shapes(q=(q, "B H L D"), k=(k, "B H L D"), v=(v, "B H L Dv"), keep=(keep, "B L"), dout=(dout, "B H L Dv"))
    if not number(eps) > 0:
        raise ValueError(f"eps is more than 0, not {number(eps)}")
    return sinkformer(q, k, v, at_least("n_it", n_it, 0), array(eps, q), keep, dout)


def example(rng, dtype=np.float64):
    q, k, v, dout = (rng.standard_normal((2, 2, 50, 16)).astype(dtype) for _ in range(4))
    return {"q": q, "k": k, "v": v, "n_it": 3, "eps": 1.0, "keep": np.ones((2, 50), bool), "dout": dout}
