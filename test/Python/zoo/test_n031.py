import numpy as np
import pytest

from attn_mlir.zoo import n031_karat as karat

from conftest import close


def oracle(q, k, v, a, b, W, base):
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    waves = np.arange(1, a.shape[-1] + 1) * s[..., None]
    y = np.einsum("bhing,hpng->bhip", np.cos(waves), a) + np.einsum("bhing,hpng->bhip", np.sin(waves), b)
    y = y + [0 * s, s, s / (1 + np.exp(-s))][base].sum(-1, keepdims=True)
    sigma = np.einsum("bhip,hnp->bhin", y, W)
    return {"o": sigma @ v, "sigma": sigma}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else int(x) for name, x in inputs.items()})
    found = karat.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


@pytest.mark.parametrize("base", [0, 1, 2])
def test_equals_the_definition(base, rng):
    check({**karat.example(rng), "base": np.array(base)})
    check({**karat.example(rng, np.float32), "base": base}, 2e-5)
    check({**{name: x[..., :1] if name in ("a", "b") else x for name, x in karat.example(rng).items()}, "base": base})


def identity(rng, N=9):
    """Every key has a unit of its own: r = N and W = 1."""
    inputs = {name: rng.standard_normal((1, 2, N, 4)) for name in "qkv"}
    a, b = np.zeros((2, 2, N, N, 1))
    return {**inputs, "a": a, "b": b, "W": np.stack([np.eye(N)] * 2)}


def test_the_full_operator_can_be_any_function_of_scores(rng):
    inputs = identity(rng)
    inputs["b"][:, np.arange(9), np.arange(9)] = 1
    close(karat.run(**inputs)["sigma"], np.sin(inputs["q"] @ inputs["k"].swapaxes(-1, -2) / 2))


def test_scores_are_angles(rng):
    inputs = karat.example(rng)
    more = {**inputs, "q": np.concatenate([inputs["q"], np.full((2, 3, 50, 1), 8.0)], -1)}
    more["k"] = np.concatenate([inputs["k"], np.full((2, 3, 50, 1), 2 * np.pi / 8 * 17 ** 0.5)], -1)
    more["q"][..., :16] *= (17 / 16) ** 0.5
    close(karat.run(**more)["o"], karat.run(**inputs)["o"])


def test_weights_have_low_rank_and_signs(rng):
    sigma = karat.run(**karat.example(rng))["sigma"]
    assert (np.linalg.matrix_rank(sigma) == 12).all() and (sigma < 0).any()
    assert abs(sigma.sum(-1) - 1).max() > 0.1


def test_order_of_keys_is_that_of_their_parameters(rng):
    inputs = karat.example(rng)
    order = rng.permutation(50)
    other = {**inputs, **{name: inputs[name][:, :, order] for name in "kvab"}, "W": inputs["W"][:, order]}
    close(karat.run(**other)["o"], karat.run(**inputs)["o"])


def test_fused_as_the_reference(rng):
    inputs = karat.example(rng, np.float32)
    assert karat.karat.check(*(inputs[name] for name in "qkvabW"), 2)


def test_other_functions_are_refused(rng):
    with pytest.raises(ValueError, match="base is one of 0, 1, 2, not 3"):
        karat.run(**{**karat.example(rng), "base": 3})
