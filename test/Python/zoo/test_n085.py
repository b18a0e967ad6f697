import numpy as np
import pytest

from attn_mlir.zoo import n085_deceptive_attention as deceptive

from conftest import close, repeat_heads, softmax


def oracle(q, k, v, lens, imperm, coef):
    heads, (batch, length) = q.shape[1], imperm.shape
    s = q @ repeat_heads(k, heads).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    present = (np.arange(length) < np.asarray(lens)[:, None])[:, None, None]
    m = np.asarray(imperm)[:, None, None]
    p = softmax(np.where(present, s, -np.inf))
    mass = (p * m).sum(-1)
    penalty = -coef * np.log1p(-mass)
    v = repeat_heads(v, heads)
    return {"out": p @ v, "out_blocked": (p * ~m) @ v, "mass": mass, "penalty": penalty,
            "base": (imperm & present[:, 0, 0]).sum(-1) / np.asarray(lens), "loss_mean": penalty.mean((1, 2)),
            "loss_worst": penalty.max((1, 2)), "entropy": -(p * np.log(np.where(p > 0, p, 1))).sum(-1),
            "dscore": coef * (p - softmax(np.where(present & ~m, s, -np.inf)))}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if name in "qkv" else x for name, x in inputs.items()})
    found = deceptive.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = deceptive.example(rng)
    check(inputs)
    check({**inputs, "q": inputs["q"][:, :, :4], "coef": np.array(0.5), "lens": [70, 1, 3]})
    check(deceptive.example(rng, np.float32), 1e-5)
    assert deceptive.deceptive_attention.check(*inputs.values())


def test_gradient_of_the_penalty(rng):
    s, m = rng.standard_normal(12), np.arange(12) % 3 == 1
    penalty = lambda s: -0.1 * np.log(1 - softmax(s)[m].sum())
    numeric = [(penalty(s + e) - penalty(s - e)) / 2e-6 for e in 1e-6 * np.eye(12)]
    # Scores s: one query feature, keys s.
    inputs = {"q": np.ones((1, 1, 1, 1)), "k": s.reshape(1, 1, 12, 1), "v": np.zeros((1, 1, 12, 1)),
              "lens": [12], "imperm": m[None], "coef": 0.1}
    dscore = deceptive.run(**inputs)["dscore"][0, 0, 0]
    close(dscore, numeric, 1e-8)
    assert abs(dscore.sum()) < 1e-15


def test_penalty_where_all_mass_is_impermissible(rng):
    k = np.array([0.0, 500.0]).reshape(1, 1, 2, 1)
    found = deceptive.run(q=np.ones((1, 1, 1, 1)), k=k, v=k, lens=[2], imperm=np.array([[False, True]]), coef=1.0)
    assert found["mass"] == 1 and found["penalty"] == 500


def test_nothing_impermissible_costs_nothing(rng):
    inputs = deceptive.example(rng)
    found = deceptive.run(**{**inputs, "imperm": np.zeros((3, 70), bool), "lens": [70, 57, 0]})
    assert (found["penalty"] == 0).all() and (found["mass"] == 0).all() and (found["dscore"] == 0).all()
    np.testing.assert_array_equal(found["out_blocked"], found["out"])
    assert (found["out"][2] == 0).all()


def test_only_the_gradient_that_is_asked_for_is_stored(rng):
    assert deceptive.deceptive_attention.lower(*deceptive.example(rng).values()).count("= attn.materialize") == 1


def test_a_row_without_permitted_keys_costs_everything(rng):
    found = deceptive.run(**{**deceptive.example(rng), "imperm": np.ones((3, 70), bool)})
    assert (found["penalty"] == np.inf).all() and (found["out_blocked"] == 0).all()


@pytest.mark.parametrize("changes, text", [({"lens": [71, 1, 1]}, "at most 70"), ({"lens": [1, 1]}, "lens is"),
                                           ({"imperm": np.ones((3, 9), bool)}, "imperm is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        deceptive.run(**{**deceptive.example(rng), **changes})
