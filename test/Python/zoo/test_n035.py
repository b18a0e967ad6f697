import numpy as np
import pytest

from attn_mlir.zoo import n035_factored_attention as factored

from conftest import close, softmax


def split(x, count):
    return x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2)


def offsets(n):
    """[n, n]: key minus query on the periodic grid, as place in a table."""
    side = round(n ** 0.5)
    rows, columns = np.divmod(np.arange(n), side)
    return (rows - rows[:, None]) % side * side + (columns - columns[:, None]) % side


def oracle(x, Wv, bv, Wo, bo, Wq, Wk, alpha, alpha_full, p):
    count, at = len(p), offsets(p.shape[1])
    q, k, v = split(x @ Wq, count), split(x @ Wk, count), split(x @ Wv + bv, count)

    def out(weights):
        return (weights @ v).swapaxes(1, 2).reshape(x.shape) @ Wo + bo

    a = softmax(q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5 + p[:, at])
    r = np.sqrt(((a - a.mean(0)) ** 2).mean((0, 2, 3)) / (a.mean(0) ** 2).mean((1, 2)))
    return {"factored": out(alpha_full), "factored_ti": out(alpha[:, at]), "biased": out(a), "input_dependence": r}


def make(rng, batch, count, side, d):
    n = side ** 2
    shapes = {"x": (batch, n, d), "Wv": (d, d), "bv": (d,), "Wo": (d, d), "bo": (d,), "Wq": (d, d), "Wk": (d, d),
              "alpha": (count, n), "alpha_full": (count, n, n), "p": (count, n)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) for name, x in inputs.items()})
    found = factored.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    check(factored.example(rng))
    check(make(rng, 1, 1, 3, 2))
    check(make(rng, 2, 3, 5, 6))
    found = check(factored.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    i = factored.example(rng)
    assert factored.factored_ti.check(*(i[name] for name in ("x", "Wv", "bv", "Wo", "bo", "alpha")), 6)


def test_one_at_offset_zero_takes_values_as_they_are(rng):
    inputs = factored.example(rng)
    inputs["alpha"][:] = np.arange(36) == 0
    close(factored.run(**inputs)["factored_ti"],
          (inputs["x"] @ inputs["Wv"] + inputs["bv"]) @ inputs["Wo"] + inputs["bo"])


def test_offsets_commute_with_shifts_of_the_grid(rng):
    inputs = factored.example(rng)

    def shift(x):
        return np.roll(x.reshape(5, 6, 6, 16), (1, 4), (1, 2)).reshape(5, 36, 16)

    here, there = factored.run(**inputs), factored.run(**{**inputs, "x": shift(inputs["x"])})
    for name in ("factored_ti", "biased"):
        close(there[name], shift(here[name]))


def test_without_queries_the_bias_alone_decides(rng):
    inputs = factored.example(rng)
    inputs["Wq"][:] = 0
    found = factored.run(**{**inputs, "alpha": softmax(inputs["p"])})
    close(found["biased"], found["factored_ti"])
    close(found["input_dependence"], np.zeros(4))


def test_layers_are_affine_in_their_input(rng):
    inputs = factored.example(rng)
    other = rng.standard_normal(inputs["x"].shape)
    a, b, mean = (factored.run(**{**inputs, "x": x}) for x in (inputs["x"], other, (inputs["x"] + other) / 2))
    for name in ("factored", "factored_ti"):
        close(mean[name], (a[name] + b[name]) / 2)


def test_only_a_full_matrix_knows_places(rng):
    inputs = factored.example(rng)
    shifted = np.roll(inputs["x"].reshape(5, 6, 6, 16), 1, 1).reshape(5, 36, 16)
    here, there = factored.run(**inputs), factored.run(**{**inputs, "x": shifted})
    back = np.roll(there["factored"].reshape(5, 6, 6, 16), -1, 1).reshape(5, 36, 16)
    assert abs(back - here["factored"]).max() > 1e-3


def test_offsets_are_a_circular_correlation(rng):
    inputs = factored.example(rng)
    v = split(inputs["x"] @ inputs["Wv"] + inputs["bv"], 4).reshape(5, 4, 6, 6, 4)
    waves = np.fft.fft2(inputs["alpha"].reshape(1, 4, 6, 6, 1), axes=(2, 3)).conj() * np.fft.fft2(v, axes=(2, 3))
    o = np.fft.ifft2(waves, axes=(2, 3)).real.reshape(5, 4, 36, 4).swapaxes(1, 2).reshape(5, 36, 16)
    close(factored.run(**inputs)["factored_ti"], o @ inputs["Wo"] + inputs["bo"])


def test_other_grids_are_refused(rng):
    inputs = factored.example(rng)
    with pytest.raises(ValueError, match="are not for a square grid of 35 places"):
        factored.run(**{**inputs, "x": inputs["x"][:, :35]})
    with pytest.raises(ValueError, match="are not for a square grid"):
        factored.run(**{**inputs, "p": inputs["p"][:2]})
