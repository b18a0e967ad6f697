import numpy as np
import pytest

from attn_mlir.zoo import n013_adaptive_filter_attention as afa

from conftest import softmax


def oracle(q, k, v, t, mu, omega, sigma2, eta2, gamma2, nu, tau, causal, robust):
    """Every residual by itself."""
    mu, sigma2, eta2, gamma2, nu, tau = (np.asarray(x, float)[:, None, None]
                                         for x in (mu, sigma2, eta2, gamma2, nu, tau))
    back = np.asarray(t, float)[:, None] - t
    delta = abs(back)
    move = np.exp(mu[..., None] * delta[..., None] + 1j * np.asarray(omega, float)[:, None, None] * back[..., None])
    with np.errstate(all="ignore"):
        grown = np.where(abs(mu) < 1e-5, delta, np.expm1(2 * mu * delta) / (2 * mu))
    V = sigma2 * grown + eta2 * np.exp(2 * mu * delta) + gamma2
    r = (abs(q[:, :, :, None] - move * k[:, :, None]) ** 2).sum(-1) / (nu * q.shape[-1] * V)
    s = tau ** 2 * (-np.log(V) - (np.log1p(r) if robust else r))
    s = np.where((back >= 0) | (not causal), s, -np.inf)
    return {"o": np.einsum("bhij,hijd,bhjd->bhid", softmax(s), move, v), "lse": np.log(np.exp(s).sum(-1))}


def close(a, b, tolerance=1e-10):
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, abs(b).max()))


def check(inputs, tolerance=1e-10):
    wanted, found = oracle(**inputs), afa.run(**inputs)
    assert found.keys() == wanted.keys() and found["o"].dtype == inputs["q"].dtype
    for name in wanted:
        close(found[name], wanted[name], tolerance)


def cut(inputs, batch, length):
    return {**inputs, **{name: inputs[name][:batch, :, :length] for name in "qkv"}, "t": inputs["t"][:length]}


def test_equals_the_definition(rng):
    inputs = afa.example(rng)
    check(inputs)
    check({**inputs, "causal": np.bool_(False), "robust": np.bool_(False)})
    check({**inputs, "mu": [0.0, -1e-6, -1.0]})
    check(cut(inputs, 1, 9))
    check(cut(inputs, 2, 1))
    check(afa.example(rng, np.float32), 2e-4)


def test_only_differences_of_times_matter(rng):
    inputs = afa.example(rng)
    close(afa.run(**{**inputs, "t": inputs["t"] + 100.0})["o"], afa.run(**inputs)["o"], 1e-9)


def test_the_first_row_is_the_first_value(rng):
    inputs = afa.example(rng)
    close(afa.run(**inputs)["o"][:, :, 0], inputs["v"][:, :, 0])


def test_variances_at_once_and_after_long(rng):
    inputs = {**afa.example(rng), "t": np.array([0.0, 1e6])}
    inputs |= {name: 0 * inputs[name][:, :, :2] for name in "qkv"}
    now = inputs["eta2"] + inputs["gamma2"]
    late = inputs["sigma2"] / (-2 * inputs["mu"]) + inputs["gamma2"]
    lse, power = afa.run(**inputs)["lse"], -inputs["tau"] ** 2
    close(lse[:, :, 0], np.broadcast_to(power * np.log(now), (2, 3)))
    close(lse[:, :, 1], np.broadcast_to(np.log(now ** power + late ** power), (2, 3)))


def test_slow_dynamics_are_continuous(rng):
    inputs = afa.example(rng)
    close(afa.run(**{**inputs, "mu": [-1.1e-5] * 3})["o"], afa.run(**{**inputs, "mu": [-0.9e-5] * 3})["o"], 1e-3)


def test_real_operands_are_refused(rng):
    inputs = afa.example(rng)
    with pytest.raises(ValueError, match="q, k and v are complex"):
        afa.run(**{**inputs, "k": inputs["k"].real})


def test_without_dynamics_it_is_softmax_of_products(rng):
    zero = np.zeros(3)
    inputs = {**afa.example(rng), "mu": zero, "sigma2": zero, "omega": np.zeros((3, 8)), "robust": False}
    inputs["k"] = inputs["k"] / np.linalg.norm(inputs["k"], axis=-1, keepdims=True)
    factor = 2 * inputs["tau"] ** 2 / (inputs["nu"] * 8 * (inputs["eta2"] + inputs["gamma2"]))
    s = factor[:, None, None] * (inputs["q"].conj() @ inputs["k"].swapaxes(-1, -2)).real
    close(afa.run(**inputs)["o"], softmax(np.where(np.tri(70, dtype=bool), s, -np.inf)) @ inputs["v"])


def test_much_robustness_is_none(rng):
    inputs = {**afa.example(rng), "nu": np.full(3, 1e6), "tau": np.full(3, 1.0)}
    close(afa.run(**inputs)["o"], afa.run(**{**inputs, "robust": False})["o"], 1e-6)


def test_fused_as_the_reference(rng):
    inputs = afa.example(rng, np.float32)
    pairs = (inputs[name].view(np.float32).reshape(2, 3, 70, 8, 2) for name in "qkv")
    names = ("t", "mu", "omega", "sigma2", "eta2", "gamma2", "nu", "tau")
    assert afa.adaptive_filter.check(*pairs, *(inputs[name] for name in names), True, True)
