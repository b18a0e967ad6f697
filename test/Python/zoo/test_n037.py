import numpy as np
import pytest

from attn_mlir.zoo import n037_castle as castle

from conftest import close, peak_growth, softmax

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
    check(make(rng, 1, 3, 1, 16))
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


def test_keys_take_in_later_tokens_one_by_one(rng):
    inputs = make(rng, 1, 3, 7, 16)
    qc, kc, vc, qu, ku, vu = (inputs[name] for name in NAMES)
    o = np.zeros_like(vc)
    for t in range(7):
        z = np.zeros((1, 3, t + 1))
        for s in range(t + 1):
            gate = sigmoid((qu[:, :, s, None] * ku[:, :, s + 1:t + 1]).sum(-1) / 4)
            u = (gate[..., None] * vu[:, :, s + 1:t + 1]).sum(2)
            x = (qc[:, :, t] * u).sum(-1) / 4
            z[:, :, s] = (qc[:, :, t] * kc[:, :, s]).sum(-1) / 4 - x * sigmoid(x)
        o[:, :, t] = (softmax(z)[..., None] * vc[:, :, :t + 1]).sum(2)
    close(castle.run(**inputs)["o"], o)


def test_a_window_of_everything_is_none(rng):
    inputs = make(rng, 1, 3, 21, 16)
    close(castle.run(**{**inputs, "window": 21})["o"], castle.run(**inputs)["o"], 0)
    with pytest.raises(ValueError, match="window is at least 0, not -1"):
        castle.run(**{**inputs, "window": -1})


def test_neither_a_matrix_nor_keys_of_all_times_are_stored(rng):
    castle.run(**make(rng, 1, 3, 64, 16))
    inputs = make(rng, 1, 3, 700, 16)
    assert peak_growth(lambda: castle.run(**inputs)) < 3 * 700 * 700 * 8 / 2
