import numpy as np
import pytest

from attn_mlir.zoo import n052_mfa as mfa

from conftest import close, softmax


def rope(x, theta):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


def oracle(x, Sq, Sk, Sv, Qc, Wo, N, alpha, gamma, theta):
    shared = x @ Sq
    if gamma is not None:
        shared = gamma * shared / np.sqrt((shared ** 2).mean(-1, keepdims=True) + 1e-5)
    q, k = np.einsum("blc,mcd->bmld", shared, Qc), x @ Sk
    v = x @ Sv if alpha is None else k + alpha * (k @ N)
    key = k[:, None]
    if theta is not None:
        q, key = rope(q, theta), rope(key, theta)
    s = q @ key.swapaxes(-1, -2) / k.shape[-1] ** 0.5
    p = softmax(np.where(np.tri(x.shape[1], dtype=bool), s, -np.inf))
    o = p @ v[:, None]
    return {"y": np.einsum("bmlc,mce->ble", o, Wo), "o": o, "p": p, "k": k, "v": v}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: x.astype(float) if isinstance(x, np.ndarray) else x for n, x in inputs.items()})
    found = mfa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


@pytest.mark.parametrize("without", [[], ["N", "alpha"], ["gamma", "theta"]])
def test_equals_the_definition(rng, without):
    check({**mfa.example(rng), **dict.fromkeys(without)})


def test_sizes(rng):
    inputs = mfa.example(rng)
    check({**inputs, "x": inputs["x"][:1, :1]})
    wide = {"Sq": (32, 100), "Sk": (32, 100), "Sv": (32, 100), "Qc": (3, 100, 100), "Wo": (3, 100, 32),
            "N": (100, 100), "alpha": (100,), "gamma": (100,)}
    inputs |= {name: rng.standard_normal(shape) / 10 for name, shape in wide.items()}
    check({**inputs, "theta": np.array(50.0)})


def test_float32(rng):
    found = check(mfa.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    assert mfa.mfa.check(*mfa.example(rng).values())


def test_without_norm_and_rotation_it_is_multi_query_attention(rng):
    inputs = {**mfa.example(rng), **dict.fromkeys(["N", "alpha", "gamma", "theta"])}
    x, k = inputs["x"], inputs["x"] @ inputs["Sk"]
    q = np.einsum("ble,mef->bmlf", x, inputs["Sq"] @ inputs["Qc"])
    s = np.where(np.tri(27, dtype=bool), q @ k[:, None].swapaxes(-1, -2) / 4, -np.inf)
    close(mfa.run(**inputs)["o"], softmax(s) @ (x @ inputs["Sv"])[:, None])


def test_alpha_zero_takes_keys_as_values(rng):
    found = mfa.run(**{**mfa.example(rng), "alpha": np.zeros(16), "Sv": None})
    assert (found["k"] == found["v"]).all()
    close(found["o"], found["p"] @ found["k"][:, None])


@pytest.mark.parametrize("without", [[], ["N", "alpha"]])
def test_decoding_needs_the_caches_alone(rng, without):
    inputs = {**mfa.example(rng), **dict.fromkeys(without)}
    found = mfa.run(**inputs)
    shared = inputs["x"][:, -1:] @ inputs["Sq"]
    shared = inputs["gamma"] * shared / np.sqrt((shared ** 2).mean(-1, keepdims=True) + 1e-5)
    q = np.repeat(np.einsum("blc,mcd->bmld", shared, inputs["Qc"]), 27, 2)
    s = rope(q, 1e4)[:, :, -1:] @ rope(found["k"][:, None], 1e4).swapaxes(-1, -2) / 4
    close(found["o"][:, :, -1:], softmax(s) @ found["v"][:, None])
