"""Agent attention: two attentions that meet in a few pooled agent tokens.

Agents are means of the queries over the cells of an a x a grid. They attend to all
keys, and the queries attend to the agents: O = P2 (P1 V) with P2 [N, n] and P1 [n, N],
for the cost of n = a * a keys. A depthwise 3 x 3 convolution of the values is added.

Paper: Agent Attention: On the Integration of Softmax and Linear Attention.
Inputs: q, k and v [B, N, C] (tokens row by row on a grid), an and na [H, n, 7, 7] (biases,
interpolated to the grid), ah [H, n, h], aw [H, n, w], ha [H, h, n], wa [H, w, n], conv_w
[C, 3, 3], conv_b [C], hw (h, w), H (heads), a.
Outputs: attn and out [B, N, C] (before and behind the convolution), P [B, H, N, N] (P2 P1,
stored because it is asked for).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, heads, join_heads, number, on_target


def pooling(length, cells):
    """Means [cells, length] over floor(i length / cells) .. ceil((i + 1) length / cells) - 1."""
    i, x = np.arange(cells)[:, None], np.arange(length)
    inside = (x >= i * length // cells) & (x < -((-(i + 1) * length) // cells))
    return inside / inside.sum(1, keepdims=True)


def interpolation(length, samples=7):
    """Linear interpolation [length, samples] at (i + 1/2) samples / length - 1/2, within the edges."""
    at = np.maximum((np.arange(length) + 0.5) * samples / length - 0.5, 0)
    low = np.minimum(at.astype(int), samples - 1)
    part = at - low
    i = np.eye(samples)
    return i[low] * (1 - part)[:, None] + i[np.minimum(low + 1, samples - 1)] * part[:, None]


@attn.jit
def agent_attention(q, k, v, an, na, ah, aw, ha, wa, conv_w, conv_b, pool_h, pool_w, resize_h, resize_w, H):
    B, N, C = q.shape
    h, w, n = int(ah.shape[2]), int(aw.shape[2]), int(an.shape[1])
    scale = (int(C) // H) ** -0.5

    image = q.reshape(B, h, w, C)
    A = attn.einsum("bhwc,yh,xw->byxc", image, pool_h, pool_w).reshape(B, n, C)
    to_agents = attn.einsum("Haij,yi,xj->Hayx", an, resize_h, resize_w) + ah[..., None] + aw[:, :, None]
    to_tokens = attn.einsum("Haij,yi,xj->Hyxa", na, resize_h, resize_w) + ha[:, :, None] + wa[:, None]

    q, k, values, A = (heads(x, H) for x in (q, k, v, A))
    P1 = attn.softmax(A @ k.mT * scale + to_agents.reshape(1, H, n, N))
    P2 = attn.softmax(q @ A.mT * scale + to_tokens.reshape(1, H, N, n))
    o = join_heads(P2 @ (P1 @ values))

    v = v.reshape(B, h, w, C).transpose(0, 3, 1, 2)
    local = attn.conv(v, conv_w[:, None], padding=1, groups=int(C)).transpose(0, 2, 3, 1).reshape(B, N, C)
    return o, o + local + conv_b, attn.materialize(P2 @ P1)


@on_target
def run(target="cpu", *, q, k, v, an, na, ah, aw, ha, wa, conv_w, conv_b, hw, H, a):
    H, a = int(number(H)), int(number(a))
    sizes = check_shapes(q=(q, "B N C"), k=(k, "B N C"), v=(v, "B N C"), an=(an, "H n 7 7"), na=(na, "H n 7 7"),
                         ah=(ah, "H n h"), aw=(aw, "H n w"), ha=(ha, "H h n"), wa=(wa, "H w n"),
                         conv_w=(conv_w, "C 3 3"), conv_b=(conv_b, "C"))
    if [H, a * a, *hw] != [sizes[axis] for axis in "Hnhw"] or sizes["h"] * sizes["w"] != sizes["N"]:
        raise ValueError(f"{H} heads, {a} x {a} agents and a grid of {list(map(int, hw))} do not fit {sizes}")
    h, w = (int(x) for x in hw)
    tables = (pooling(h, a), pooling(w, a), interpolation(h), interpolation(w))
    parameters = (array(x, q) for x in (an, na, ah, aw, ha, wa, conv_w, conv_b, *tables))
    return dict(zip(("attn", "out", "P"), agent_attention(q, k, v, *parameters, H)))


def example(rng, dtype=np.float64):
    shapes = {"an": (3, 9, 7, 7), "na": (3, 9, 7, 7), "ah": (3, 9, 10), "aw": (3, 9, 9), "ha": (3, 10, 9),
              "wa": (3, 9, 9), "conv_w": (24, 3, 3), "conv_b": (24,)}
    inputs = {name: rng.standard_normal((2, 90, 24)) for name in "qkv"}
    inputs |= {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    return {**{name: x.astype(dtype) for name, x in inputs.items()}, "hw": np.array([10, 9]), "H": 3, "a": 3}
