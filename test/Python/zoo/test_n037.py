import numpy as np

from attn_mlir.zoo import n037_castle as castle

from conftest import close, softmax

NAMES = ("qc", "kc", "vc", "qu", "ku", "vu")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def oracle(qc, kc, vc, qu, ku, vu, window):
    """Dense: the matrix of updates, [t, j], times the gates of keys, [j, s]."""
    length, c = qc.shape[2], qc.shape[-1] ** -0.5
    t, s = np.arange(length)[:, None], np.arange(length)
    taken = (t > s) & ((t - s <= window) | (window == 0))
    gates = np.where(taken, sigmoid(c * ku @ qu.swapaxes(-1, -2)), 0)
    updates = np.where(s <= t, c * qc @ vu.swapaxes(-1, -2), 0) @ gates
    z = c * qc @ kc.swapaxes(-1, -2) - updates * sigmoid(updates)
    z = np.where(s <= t, z, -np.inf)
    return {"o": softmax(z) @ vc, "lse": np.log(np.exp(z).sum(-1))}


def make(rng, *shape, window=0):
    return {**{name: rng.standard_normal(shape) for name in NAMES}, "window": window}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: np.asarray(x, float) for n, x in inputs.items()})
    found = castle.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    check(castle.example(rng))
    check(make(rng, 1, 3, 33, 16))
    check(make(rng, 2, 3, 21, 16, window=np.array(4)))


def test_float32(rng):
    assert check(castle.example(rng, np.float32), 1e-5)["o"].dtype == np.float32


def test_agrees_with_the_reference(rng):
    assert castle.castle.check(*(make(rng, 1, 3, 9, 16)[name] for name in NAMES), 0)


def test_without_updates_it_is_causal_attention_and_row_0_is_its_value(rng):
    inputs = castle.example(rng)
    close(castle.run(**inputs)["o"][:, :, 0], inputs["vc"][:, :, 0])
    inputs["vu"][:] = 0
    s = np.where(np.tri(70, dtype=bool), inputs["qc"] @ inputs["kc"].swapaxes(-1, -2) / 4, -np.inf)
    close(castle.run(**inputs)["o"], softmax(s) @ inputs["vc"])


def test_a_token_changes_its_own_row_and_later_ones(rng):
    inputs = castle.example(rng)
    before = castle.run(**inputs)["o"]
    inputs["vu"][:, :, 40] += 1
    after = castle.run(**inputs)["o"]
    assert (before[:, :, :40] == after[:, :, :40]).all()
    assert (abs(before - after)[:, :, 40:] > 0).any(-1).all()
