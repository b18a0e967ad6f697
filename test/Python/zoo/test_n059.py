import math

import numpy as np
import pytest

from attn_mlir.zoo import n059_selective_self_attention as ssa

from conftest import close, repeat_heads, softmax


def rope(x):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[2])[:, None] * 10000.0 ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / 2 ** 0.5))


def oracle(q, k, v, aq, av, alpha_q, alpha_v, beta, position_only):
    length = q.shape[2]
    log_n = np.log(np.arange(length) + 1)
    if position_only:
        tau_q = np.zeros(q.shape[:3]) + 1 + np.exp(-np.exp(beta)) * log_n
        tau_v = np.ones(v.shape[:3])
    else:
        tau_q, tau_v = (np.tanh((a[:, None] * gelu(x)).sum(-1)) + 1 + log_n * (0.5 + 0.5 * np.tanh(alpha / 2))
                        for x, a, alpha in ((q, aq, alpha_q), (v, av, alpha_v)))
    s = tau_q[..., None] * (rope(q) @ repeat_heads(rope(k), q.shape[1]).swapaxes(-1, -2)) / q.shape[-1] ** 0.5
    p = softmax(np.where(np.tri(length, dtype=bool), s, -np.inf))
    return {"out": p @ repeat_heads(tau_v[..., None] * v, q.shape[1]), "p": p, "tau_q": tau_q, "tau_v": tau_v}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: np.asarray(x, float) for name, x in inputs.items()})
    found = ssa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = ssa.example(rng)
    check(inputs)
    check({**inputs, "position_only": np.array(1), "beta": np.float64(0.5)})
    check({name: x[:1, :, :7] if np.ndim(x) == 4 else x for name, x in inputs.items()})
    found = check(ssa.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())
    scalars = (np.array(x) for x in (0.3, -0.7, 2.0))
    assert ssa.selective.check(*list(inputs.values())[:5], *scalars, False)


def test_without_temperatures_it_is_softmax_attention(rng):
    inputs = {**ssa.example(rng), "aq": np.zeros((4, 16)), "av": np.zeros((2, 16)), "alpha_q": -1e3, "alpha_v": -1e3}
    found = ssa.run(**inputs)
    assert (found["tau_q"] == 1).all() and (found["tau_v"] == 1).all()
    check(inputs, 1e-13)


def test_temperatures_stay_in_their_range(rng):
    tau = ssa.run(**ssa.example(rng))["tau_q"]
    assert (tau > 0).all() and (tau < 2 + np.log(np.arange(50) + 1)).all()


def test_a_larger_alpha_makes_rows_sharper(rng):
    inputs = ssa.example(rng)

    def entropy(alpha):
        p = ssa.run(**{**inputs, "alpha_q": alpha})["p"]
        return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)

    assert (entropy(1.5) <= entropy(-1.0) + 1e-12).all()


def test_decoding_stores_scaled_values(rng):
    inputs = ssa.example(rng)
    found = ssa.run(**inputs)
    cache = repeat_heads(found["tau_v"][..., None] * inputs["v"], 4)
    q = found["tau_q"][..., None] * inputs["q"]
    s = rope(q)[:, :, -1:] @ repeat_heads(rope(inputs["k"]), 4).swapaxes(-1, -2) / 4
    close(found["out"][:, :, -1:], softmax(s) @ cache, 1e-12)


def test_the_first_token_knows_no_position(rng):
    inputs = ssa.example(rng)
    close(ssa.run(**inputs)["tau_v"][:, :, 0], ssa.run(**{**inputs, "alpha_v": 5.0})["tau_v"][:, :, 0])
    assert ssa.selective.lower(*list(inputs.values())[:5], *(np.array(1.0),) * 3, True).count("= attn.materialize") == 1


@pytest.mark.parametrize("changes, text", [({"position_only": 2}, "position_only is one of 0, 1"),
                                           ({"av": np.ones((4, 16))}, "av"), ({"k": np.ones((2, 2, 9, 16))}, "k is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        ssa.run(**{**ssa.example(rng), **changes})


def test_an_odd_number_of_features_has_no_pairs(rng):
    with pytest.raises(ValueError, match="pairs"):
        ssa.run(**{name: x[..., :15] if np.ndim(x) else x for name, x in ssa.example(rng).items()})
