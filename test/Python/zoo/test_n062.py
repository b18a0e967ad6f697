import numpy as np
import pytest

from attn_mlir.zoo import n062_icl_linear_regression as icl

from conftest import close, softmax


def oracle(x, y, xq, yq, omega, mu, noise_var):
    dots, (_, length, d) = np.einsum("bld,bd->bl", x, xq), x.shape
    p = softmax(omega[:, None] * dots[:, None])
    eta = mu @ omega
    w = np.stack([np.linalg.solve(a.T @ a + noise_var * d * np.eye(d), a.T @ b) for a, b in zip(x, y)])
    return {"yhat": np.einsum("h,bhl,bl->b", mu, p, y), "gd": eta / length * (y * dots).sum(-1),
            "debiased_gd": eta / length * ((y - y.mean(-1, keepdims=True)) * dots).sum(-1),
            "ridge": (w * xq).sum(-1), "eta": eta, "zero_sum": mu.sum()}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: np.asarray(x, float) for name, x in inputs.items()})
    found = icl.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = icl.example(rng)
    check(inputs)
    part = {"x": inputs["x"][:3, :20], "y": inputs["y"][:3, :20], "xq": inputs["xq"][:3], "yq": inputs["yq"][:3]}
    check({**inputs, **part, "omega": [0.5, -0.5], "mu": [2.0, -2.0], "noise_var": np.array(0.3)})
    found = check(icl.example(rng, np.float32), 1e-4)
    assert all(x.dtype == np.float32 for x in found.values())
    assert icl.predictors.check(*(np.asarray(inputs[n]) for n in ("x", "y", "xq", "omega", "mu", "noise_var")))


def test_opposite_heads_approach_debiased_gradient_descent(rng):
    inputs, errors = icl.example(rng), []
    for omega in (0.02, 0.01):
        mu = 1 / (2 * omega)
        found = icl.run(**{**inputs, "omega": [omega, -omega], "mu": [mu, -mu]})
        errors.append(abs(found["yhat"] - found["debiased_gd"]).max())
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_a_constant_in_all_responses_leaves_opposite_heads_unchanged(rng):
    inputs = {**icl.example(rng), "omega": [0.3, -0.3], "mu": [1.5, -1.5]}
    close(icl.run(**{**inputs, "y": inputs["y"] + 7})["yhat"], icl.run(**inputs)["yhat"])


def test_repeating_the_examples_leaves_the_prediction_unchanged(rng):
    inputs = icl.example(rng)
    twice = {**inputs, "x": np.tile(inputs["x"], (1, 2, 1)), "y": np.tile(inputs["y"], (1, 2))}
    close(icl.run(**twice)["yhat"], icl.run(**inputs)["yhat"])


def test_equals_the_layer_with_any_factors_of_its_products(rng):
    inputs = icl.example(rng)
    x, y, xq = (inputs[name] for name in ("x", "y", "xq"))
    z = np.concatenate([x, y[..., None]], -1)
    zq = np.concatenate([xq, 0 * xq[:, :1]], -1)
    yhat = 0
    for omega, mu in zip(inputs["omega"], inputs["mu"]):
        Wk = np.linalg.qr(rng.standard_normal((6, 6)))[0]
        Wq = Wk @ np.diag([omega * 6 ** 0.5] * 5 + [0.0])
        p = softmax(np.einsum("ble,be->bl", z @ Wk.T, zq @ Wq.T) / 6 ** 0.5)
        yhat = yhat + mu * (p * y).sum(-1)
    close(icl.run(**inputs)["yhat"], yhat, 1e-12)


def test_one_head_keeps_the_mean_of_the_responses(rng):
    inputs, errors = icl.example(rng), []
    for omega in (0.02, 0.01):
        found = icl.run(**{**inputs, "omega": [omega], "mu": [1 / omega]})
        errors.append(abs(found["yhat"] - inputs["y"].mean(-1) / omega - found["debiased_gd"]).max())
    assert 1.7 < errors[0] / errors[1] < 2.3


def test_two_opposite_heads_are_better_than_one_and_worse_than_ridge(rng):
    x, w, xq = rng.standard_normal((2000, 40, 5)), rng.standard_normal((2000, 5)), rng.standard_normal((2000, 5))
    w /= 5 ** 0.5  # responses of variance 1
    y = np.einsum("bld,bd->bl", x, w) + 0.3 * rng.standard_normal((2000, 40))
    target, errors = (xq * w).sum(-1), []
    for omega in (np.array([0.2]), np.array([0.2, -0.2])):
        A = np.outer(omega, omega) + 1.09 / 40 * np.exp(5 * np.outer(omega, omega))
        mu = np.linalg.solve(A, omega)
        found = icl.run(x=x, y=y, xq=xq, omega=omega, mu=mu, noise_var=0.09)
        errors.append(np.square(found["yhat"] - target).mean())
    assert abs(found["zero_sum"]) < 1e-10
    assert np.square(found["ridge"] - target).mean() < errors[1] < errors[0]


@pytest.mark.parametrize("changes", [{"mu": (1,)}, {"xq": (1, 5)}, {"y": (16, 40)}])
def test_shapes_agree(rng, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        icl.run(**{**icl.example(rng), **{name: np.ones(shape) for name, shape in changes.items()}})
