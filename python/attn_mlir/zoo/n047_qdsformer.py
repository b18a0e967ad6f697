"""QDSFormer: a doubly stochastic weight matrix, from QR or from a parametrised unitary.

Every row and every column of the weights sums to 1. The squares of an orthogonal
matrix have that property: of the Q factor of the scores, or, with absolute squares, of
the unitary of a quantum circuit whose angles are scores times trained factors,
averaged over ancillas. Both need the whole matrix, which is small: scores and weights
are stored.

Paper: Quantum Doubly Stochastic Transformers, arXiv 2504.16275.
Inputs: q, k and v [B, H, L, D], theta [H, n, n] (n = 2^m at least L, else a ValueError),
ancilla (how many qubits beside the m of data; one qubit in all at least).
Outputs: dsm [B, H, n, n] and out [B, H, L, D] of the circuit, dsm_qr [B, H, L, L], out_qr
[B, H, L, D] and rank_ok [B, H] (bool: whether the QR form is defined).
"""

import numpy as np

import attn_mlir as attn
from ._support import check_shapes, number, on_target


def scores(q, k):
    return attn.materialize(q @ k.mT * q.shape[-1] ** -0.5)


@attn.jit
def qr_form(q, k, v):
    factor, r = attn.linalg.qr(scores(q, k))
    a = factor * factor
    diagonal = abs(attn.diagonal(r))
    # Scores of more tokens than features have no full rank, whatever rounding says.
    rank_ok = (diagonal.min(-1) > 1e-8 * diagonal.max(-1)) & (int(k.shape[2]) <= k.shape[3])
    return a, a @ v, rank_ok


def rotate(u, qubit, angles):
    """RY(angles[..., 0]), then RZ(angles[..., 1]), on one qubit of the rows of u, given
    as real and imaginary part [B, H, dim, dim]."""
    b, h, dim, _ = u[0].shape
    re, im = (x.reshape(b, h, 2 ** qubit, 2, dim * dim // 2 ** (qubit + 1)) for x in u)
    y, z = (angles[..., i, None, None] / 2 for i in (0, 1))
    c, s, cz, sz = attn.cos(y), attn.sin(y), attn.cos(z), attn.sin(z)
    (re0, re1), (im0, im1) = (((c * x[:, :, :, 0] - s * x[:, :, :, 1]), (s * x[:, :, :, 0] + c * x[:, :, :, 1]))
                              for x in (re, im))
    re = attn.stack([cz * re0 + sz * im0, cz * re1 - sz * im1], 3)
    im = attn.stack([cz * im0 - sz * re0, cz * im1 + sz * re1], 3)
    return re.reshape(b, h, dim, dim), im.reshape(b, h, dim, dim)


@attn.jit
def gate_angles(q, k, theta, qubits):
    """[layers, B, H, qubits, 2]: scores times theta, row by row, for one gate after the other."""
    n, batch, heads, length = theta.shape[-1], q.shape[0], q.shape[1], int(k.shape[2])
    phi = theta * attn.pad(scores(q, k), [(0, 0), (0, 0), (0, n - length), (0, n - length)])
    layers = -(-n * n // (2 * qubits))
    phi = attn.pad(phi.reshape(batch, heads, n * n), [(0, 0), (0, 0), (0, layers * 2 * qubits - n * n)])
    return attn.moveaxis(phi.reshape(batch, heads, layers, qubits, 2), 2, 0)


@attn.jit
def circuit_form(v, angles, signs, ancilla):
    """`signs` [dim] is the diagonal of the CZ gates that end a layer."""
    batch, heads, qubits = angles.shape[1:4]
    dim, length = signs.shape[0], int(v.shape[2])

    def layer(u, angles):
        for qubit in range(qubits):
            u = rotate(u, qubit, angles[:, :, qubit])
        return tuple(signs[:, None] * x for x in u), None

    one = attn.broadcast_to(attn.eye(dim, dtype=v.dtype), (batch, heads, dim, dim))
    (re, im), _ = attn.scan(layer, (one, attn.zeros_like(one)), angles)
    n, a = dim // 2 ** ancilla, 2 ** ancilla
    dsm = (re * re + im * im).reshape(batch, heads, n, a, n, a).sum((3, 5)) / a
    return dsm, dsm[:, :, :length, :length] @ v


def entangle(qubits):
    """The diagonal of CZ on neighbours around a ring of qubits, the first one highest."""
    bits = np.arange(2 ** qubits)[:, None] >> np.arange(qubits)[::-1] & 1
    pairs = [(w, (w + 1) % qubits) for w in range(qubits if qubits > 2 else qubits - 1)]
    return np.prod([1 - 2 * bits[:, a] * bits[:, b] for a, b in pairs], axis=0) * np.ones(2 ** qubits)


@on_target
def run(target="cpu", *, q, k, v, theta, ancilla=1):
    check_shapes(q=(q, "B H L D"), k=(k, "B H L D"), v=(v, "B H L Dv"), theta=(theta, "H n n"))
    ancilla = int(number(ancilla))
    n = theta.shape[-1]
    qubits = n.bit_length() - 1 + ancilla
    if n & (n - 1) or n < q.shape[2] or qubits < 1:
        raise ValueError(f"theta is of a power of two at least {q.shape[2]} with one qubit or more, not {n} with "
                         f"{ancilla} ancillas")
    angles = gate_angles(q, k, theta, qubits)
    dsm, out = circuit_form(v, angles, entangle(qubits).astype(q.dtype), ancilla)
    dsm_qr, out_qr, rank_ok = qr_form(q, k, v)
    return {"dsm": dsm, "out": out, "dsm_qr": dsm_qr, "out_qr": out_qr, "rank_ok": rank_ok}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 2, 13, 16)).astype(dtype) for _ in range(3))
    return {"q": q, "k": k, "v": v, "theta": rng.standard_normal((2, 16, 16)).astype(dtype), "ancilla": 1}
