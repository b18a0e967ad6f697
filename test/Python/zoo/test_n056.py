import numpy as np
import pytest

from attn_mlir.zoo import n056_probabilistic_attention as probabilistic

from conftest import close, softmax


def squares(a, b):
    return ((a[:, :, :, None] - b[:, :, None]) ** 2).sum(-1)


def oracle(q, k, v, alpha, beta, magnitude_prior, key_iters, value_iters, key_prior, value_prior, mask, fixed, v_fixed):
    def weights():
        s = -alpha / 2 * squares(q, k)
        if magnitude_prior:
            s = s + (alpha / 2 * (k ** 2).sum(-1) + beta / 2 * (v ** 2).sum(-1))[:, :, None]
        e = np.exp(s - s.max(-1, keepdims=True)) * (1 if mask is None else mask)
        return e / (e.sum(-1, keepdims=True) + 1e-20)

    first = weights()
    for _ in range(key_iters):
        w = weights().swapaxes(-1, -2)
        lam, a = (0, 1) if key_prior is None else (key_prior[..., None], alpha)
        k = (lam * k + a * (w @ q)) / (lam + a * w.sum(-1, keepdims=True))
    for _ in range(value_iters if fixed is not None and fixed.any() else 0):
        w = weights().swapaxes(-1, -2)
        rho, b = (0, 1) if value_prior is None else (value_prior[..., None], beta)
        v = (rho * v + b * (w @ v_fixed)) / (rho + b * (w @ fixed[..., None] + 1e-20))
    w = weights()
    return {"out": w @ v, "w": w, "w_first": first, "k": k, "v": v}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: x.astype(float) if np.ndim(x) > 2 else x for n, x in inputs.items()})
    found = probabilistic.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


@pytest.mark.parametrize("changes", [{}, {"magnitude_prior": np.array(0), "mask": None, "key_iters": 3},
                                     {"key_prior": None, "value_prior": None, "value_iters": 1}])
def test_equals_the_definition(rng, changes):
    check({**probabilistic.example(rng), **changes})


def test_float32(rng):
    found = check(probabilistic.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    i = probabilistic.example(rng)
    assert probabilistic.probabilistic.check(
        i["q"], i["k"], i["v"], np.array(0.25), np.array(0.3), True, np.array(1), np.array(1), i["key_prior"],
        i["value_prior"], i["mask"], i["fixed"], i["v_fixed"])


def test_without_steps_and_beta_it_is_softmax_attention(rng):
    q, k, v = list(probabilistic.example(rng).values())[:3]
    close(probabilistic.run(q=q, k=k, v=v)["out"], softmax(q @ k.swapaxes(-1, -2) / 4) @ v, 1e-12)


def test_a_masked_row_is_zero(rng):
    inputs = probabilistic.example(rng)
    inputs["mask"][7] = False
    found = check(inputs)
    assert (found["out"][:, :, 7] == 0).all() and (found["w"][:, :, 7] == 0).all()


def test_strong_priors_hold_and_nothing_given_moves_nothing(rng):
    inputs = probabilistic.example(rng)
    found = probabilistic.run(**{**inputs, "key_prior": np.full((2, 2, 50), 1e14), "fixed": np.zeros((2, 2, 50))})
    close(found["k"], inputs["k"])
    assert (found["v"] == inputs["v"]).all()


def test_keys_that_adapt_explain_queries_better(rng):
    q, k, v = list(probabilistic.example(rng).values())[:3]

    def likelihood(steps):
        means = probabilistic.run(q=q, k=k, v=v, magnitude_prior=False, key_iters=steps)["k"]
        return np.log(np.exp(-squares(q, means) / 8).sum(-1)).sum((-1))

    values = [likelihood(steps) for steps in range(4)]
    assert all((b >= a).all() for a, b in zip(values, values[1:]))


def test_a_batch_of_one_and_other_lengths(rng):
    inputs = probabilistic.example(rng)
    cut = {name: inputs[name][:1, :, :17] for name in ("q", "fixed", "v_fixed")}
    cut |= {name: inputs[name][:1] for name in ("k", "v", "key_prior", "value_prior")}
    check({**inputs, **cut, "mask": inputs["mask"][:17], "magnitude_prior": 0})


def test_values_that_are_sure_of_themselves_stay(rng):
    inputs = {**probabilistic.example(rng), "value_prior": np.full((2, 2, 50), 1e14)}
    close(probabilistic.run(**inputs)["v"], inputs["v"])


def test_only_the_weights_that_are_asked_for_are_stored(rng):
    i = probabilistic.example(rng)
    text = probabilistic.probabilistic.lower(
        i["q"], i["k"], i["v"], np.array(0.25), np.array(0.3), True, np.array(1), np.array(1), i["key_prior"],
        i["value_prior"], i["mask"], i["fixed"], i["v_fixed"])
    assert text.count("= attn.materialize") == 2


@pytest.mark.parametrize("changes, text", [({"magnitude_prior": 2}, "magnitude_prior is one of 0, 1"),
                                           ({"key_iters": -1}, "key_iters"), ({"v_fixed": None}, "v_fixed"),
                                           ({"key_prior": np.ones((2, 2, 9))}, "key_prior")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        probabilistic.run(**{**probabilistic.example(rng), **changes})


def test_a_key_that_nobody_sees_stays(rng):
    inputs = {**probabilistic.example(rng), "key_prior": None}
    inputs["mask"][:, 4] = False
    found = probabilistic.run(**inputs)
    np.testing.assert_array_equal(found["k"][:, :, 4], inputs["k"][:, :, 4])
    assert all(np.isfinite(x).all() for x in found.values())
