"""CCA: attention in a compressed space, with causal convolutions on q and k.

Queries and keys are projected to fewer channels than x has, and pass two
convolutions over two tokens each: one per channel, one that mixes the channels of a
head. Means of the projections couple queries with the keys they read; both get a
fixed length, keys times a learned temperature. Half of the values come from the
token before. Attention is causal, with grouped keys, and a rotary embedding
(half-split pairs) on the first channels.

Paper: Compressed Convolutional Attention: Efficient Attention in a Compressed Latent
Space, arXiv 2510.04476.
Inputs: x [B, L, E], Wq [E, Hq D], Wk [E, Hkv D], Wv1 and Wv2 [E, Hkv D / 2], c1 [C, 2]
and b1 [C] with C = (Hq + Hkv) D (index 0 is the older token), c2 [Hq + Hkv, 2, D, D]
and b2 [C], temp [Hkv], Wo [Hq D, E], dims (Hq, Hkv, D, channels that are rotated),
theta, eps.
Outputs: y [B, L, E], o and q [B, Hq, L, D], k and v [B, Hkv, L, D], and the weights p
[B, Hq, L, L], which are stored as they are asked for.
Errors: ValueError for shapes and dims that do not agree, and for channels to rotate that are
odd or more than D.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, heads as split_heads, join_heads, number, on_target


def convolve(z, c1, b1, c2, b2, heads):
    """Both convolutions of rows [B, L, C]; zeros are put before them once."""
    z = attn.pad(z, [(0, 0), (2, 0), (0, 0)])
    u = c1[:, 0] * z[:, :-1] + c1[:, 1] * z[:, 1:] + b1
    u = split_heads(u, heads)
    # An output channel is a row of the matrix of its head.
    s = attn.einsum("bhld,hed->bhle", u[:, :, :-1], c2[:, 0]) + attn.einsum("bhld,hed->bhle", u[:, :, 1:], c2[:, 1])
    return s + b2.reshape(heads, 1, -1)


@attn.jit
def cca(x, Wq, Wk, Wv1, Wv2, c1, b1, c2, b2, temp, Wo, dims, theta, eps):
    Hq, Hkv, D, rot = dims
    q0, k0 = x @ Wq, x @ Wk
    s = convolve(attn.concatenate([q0, k0], -1), c1, b1, c2, b2, Hq + Hkv)

    q0, k0 = split_heads(q0, Hq), split_heads(k0, Hkv)
    mq = (q0 + attn.repeat(k0, Hq // Hkv, 1)) / 2
    mk = mq.reshape(mq.shape[0], Hkv, Hq // Hkv, mq.shape[2], D).mean(2)
    q = D ** 0.5 * attn.l2_normalize(s[:, :Hq] + mq, eps=eps)
    k = temp[:, None, None] * D ** 0.5 * attn.l2_normalize(s[:, Hq:] + mk, eps=eps)
    if rot:
        q, k = (attn.rope(y, base=theta, rotary_dim=rot) for y in (q, k))

    before = attn.pad(x @ Wv2, [(0, 0), (1, 0), (0, 0)])[:, :-1]
    v = split_heads(attn.concatenate([x @ Wv1, before], -1), Hkv)
    p = attn.softmax(q @ k.mT * D ** -0.5, where=attn.causal)
    o = p @ v
    return {"y": join_heads(o) @ Wo, "o": o, "q": q, "k": k, "v": v, "p": attn.materialize(p)}


@on_target
def run(target="cpu", *, x, Wq, Wk, Wv1, Wv2, c1, b1, c2, b2, temp, Wo, dims, theta=10000.0, eps=1e-6):
    temp, dims = array(temp, x), tuple(int(d) for d in dims)
    sizes = check_shapes(x=(x, "B L E"), Wq=(Wq, "E HqD"), Wk=(Wk, "E HkvD"), Wv1=(Wv1, "E half"), Wv2=(Wv2, "E half"),
                         c1=(c1, "C two"), b1=(b1, "C"), c2=(c2, "heads two D D"), b2=(b2, "C"), temp=(temp, "Hkv"),
                         Wo=(Wo, "HqD E"))
    Hq, Hkv, D, rot = dims
    wanted = {"HqD": Hq * D, "HkvD": Hkv * D, "half": Hkv * D // 2, "C": (Hq + Hkv) * D, "two": 2, "D": D,
              "heads": Hq + Hkv, "Hkv": Hkv}
    if Hq % Hkv or any(sizes[name] != size for name, size in wanted.items()):
        raise ValueError(f"dims are {dims}, which needs {wanted} and Hkv to divide Hq; the operands have {sizes}")
    if rot % 2 or not 0 <= rot <= D:
        raise ValueError(f"the channels that are rotated are an even number up to {D}, not {rot}")
    return cca(x, Wq, Wk, Wv1, Wv2, c1, b1, c2, b2, temp, Wo, dims, float(number(theta)), float(number(eps)))


def example(rng, dtype=np.float64):
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)
    Hq, Hkv, D, E = 4, 2, 8, 48
    C = (Hq + Hkv) * D
    return {"x": draw(2, 25, E), "Wq": draw(E, Hq * D) / 7, "Wk": draw(E, Hkv * D) / 7,
            "Wv1": draw(E, Hkv * D // 2) / 7, "Wv2": draw(E, Hkv * D // 2) / 7, "c1": draw(C, 2), "b1": draw(C) / 4,
            "c2": draw(Hq + Hkv, 2, D, D) / 3, "b2": draw(C) / 4, "temp": 1 + abs(draw(Hkv)) / 2,
            "Wo": draw(Hq * D, E) / 6, "dims": np.array([Hq, Hkv, D, 4]), "theta": 10000.0, "eps": 1e-6}
