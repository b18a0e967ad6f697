import numpy as np
import pytest

from attn_mlir.zoo import n047_qdsformer as qds

from conftest import close


def gate(matrix, qubit, qubits):
    return np.kron(np.kron(np.eye(2 ** qubit), matrix), np.eye(2 ** (qubits - qubit - 1)))


def unitary(phi, qubits):
    """The circuit as a product of dense matrices."""
    flat = np.zeros(-(-phi.size // (2 * qubits)) * 2 * qubits)
    flat[:phi.size] = phi.ravel()
    u = np.eye(2 ** qubits, dtype=complex)
    pairs = {frozenset((w, (w + 1) % qubits)) for w in range(qubits)}
    for angles in flat.reshape(-1, qubits, 2):
        for w, (y, z) in enumerate(angles / 2):
            ry = np.array([[np.cos(y), -np.sin(y)], [np.sin(y), np.cos(y)]])
            u = gate(np.diag(np.exp([-1j * z, 1j * z])) @ ry, w, qubits) @ u
        for pair in (p for p in pairs if len(p) == 2):
            both = np.array([all(i >> (qubits - 1 - w) & 1 for w in pair) for i in range(2 ** qubits)])
            u = np.where(both, -1, 1)[:, None] * u
    return u


def oracle(q, k, v, theta, ancilla):
    n, length, a = theta.shape[-1], q.shape[2], 2 ** ancilla
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    phi = theta * np.pad(s, [(0, 0), (0, 0), (0, n - length), (0, n - length)])
    dsm = np.zeros(phi.shape)
    for place in np.ndindex(phi.shape[:2]):
        u = unitary(phi[place], n.bit_length() - 1 + ancilla)
        dsm[place] = (abs(u) ** 2).reshape(n, a, n, a).sum((1, 3)) / a
    qr = np.linalg.qr(s)[0] ** 2
    return {"dsm": dsm, "out": dsm[..., :length, :length] @ v, "dsm_qr": qr, "out_qr": qr @ v,
            "rank_ok": np.ones(phi.shape[:2], bool)}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: x.astype(float) if np.ndim(x) else int(x) for n, x in inputs.items()})
    found = qds.run(**inputs)
    assert found.keys() == wanted.keys() and found["rank_ok"].dtype == bool
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def small(rng, length=3, n=4, ancilla=1, width=8, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 2, length, width)).astype(dtype) for _ in range(3))
    return {"q": q, "k": k, "v": v, "theta": rng.standard_normal((2, n, n)).astype(dtype), "ancilla": ancilla}


def test_equals_the_definition(rng):
    found = check(qds.example(rng))
    for axis in (-1, -2):
        close(found["dsm"].sum(axis), np.ones((2, 2, 16)), 1e-12)
        close(found["dsm_qr"].sum(axis), np.ones((2, 2, 13)), 1e-12)
    assert all((found[name] >= 0).all() and (found[name] <= 1 + 1e-12).all() for name in ("dsm", "dsm_qr"))
    check(small(rng, 4, 4, np.array(0)))
    check(small(rng, 2, 2, 0))


def test_float32(rng):
    found = check(small(rng, dtype=np.float32), 1e-3)
    assert all(x.dtype in (np.float32, bool) for x in found.values())


def test_agrees_with_the_reference(rng):
    q, k, v, theta, _ = small(rng).values()
    angles = qds.gate_angles(q, k, theta, 3)
    assert qds.qr_form.check(q, k, v) and qds.gate_angles.check(q, k, theta, 3)
    assert qds.circuit_form.check(v, angles, qds.entangle(3), 1)


def test_no_angles_and_the_identity(rng):
    found = qds.run(**{**small(rng), "theta": np.zeros((2, 4, 4))})
    close(found["dsm"], np.broadcast_to(np.eye(4), (2, 2, 4, 4)))
    one = np.broadcast_to(np.eye(3, 8), (2, 2, 3, 8)).copy()
    close(qds.qr_form(one, one, one)[0], np.broadcast_to(np.eye(3), (2, 2, 3, 3)))


def test_more_tokens_than_features_have_no_rank(rng):
    assert not qds.run(**small(rng, length=4, width=3))["rank_ok"].any()


def test_equal_tokens_have_no_rank(rng):
    inputs = small(rng)
    inputs["k"][:, 0, 1] = inputs["k"][:, 0, 0]
    assert (qds.run(**inputs)["rank_ok"] == [[False, True]] * 2).all()


def test_columns_have_an_order_but_no_size(rng):
    q, k, v, _, _ = small(rng).values()
    a = qds.qr_form(q, k, v)[0]
    close(qds.qr_form(q, k * np.array([[2.0], [-3.0], [0.5]]), v)[0], a)
    close(qds.qr_form(q[:, :, [2, 0, 1]], k, v)[0], a[:, :, [2, 0, 1]])
    assert abs(qds.qr_form(q, k[:, :, [2, 0, 1]], v)[0] - a[..., [2, 0, 1]]).max() > 1e-2


def test_tables_that_do_not_fit_are_refused(rng):
    for inputs in (small(rng, 5, 6), small(rng, 5, 4), small(rng, 1, 1, 0)):
        with pytest.raises(ValueError, match="theta is of a power of two at least"):
            qds.run(**inputs)
