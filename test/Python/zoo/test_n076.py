import numpy as np
import pytest

from attn_mlir.zoo import n076_random_feature_attention_layer as layer

from conftest import close


def oracle(x0, x, W, V, y, lam):
    """Bilinear scores, stored, and the primal form of ridge regression."""
    x0, x = (np.concatenate([a, np.ones_like(a[..., :1])], -1) for a in (x0, x))
    weights = np.maximum(np.einsum("nd,mde,nie->nmi", x0, W, x), 0) / x.shape[1]
    F = np.einsum("nmi,nie->nme", weights, x).reshape(len(x), -1)
    fitted = np.linalg.solve(F.T @ F + lam * np.eye(F.shape[1]), F.T @ y)
    return {"f": F @ V.ravel(), "features": F, "fit": F @ fitted}


def check(inputs, tolerance=1e-8):
    wanted = oracle(**{name: np.asarray(x, float) for name, x in inputs.items()})
    found = layer.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = layer.example(rng)
    check(inputs)
    check({**inputs, "x": inputs["x"][:25, :9], "x0": inputs["x0"][:25], "y": inputs["y"][:25], "lam": np.array(0.1)})
    check({**layer.example(rng, np.float32), "lam": 0.01}, 1e-4)


def test_fused_equals_stored(rng):
    operands = [layer.example(rng)[name] for name in ("x0", "x", "W", "V")]
    assert "attn.materialize" not in layer.random_feature_attention.lower(*operands)
    assert layer.random_feature_attention.check(*operands)


def test_keys_are_a_set_of_which_repetitions_do_not_count(rng):
    inputs = layer.example(rng)
    f = layer.run(**inputs)["f"]
    close(layer.run(**{**inputs, "x": inputs["x"][:, rng.permutation(17)]})["f"], f)
    close(layer.run(**{**inputs, "x": np.tile(inputs["x"], (1, 3, 1))})["f"], f)


def test_linear_in_values_and_homogeneous_in_weights(rng):
    inputs = layer.example(rng)
    f = layer.run(**inputs)["f"]
    close(layer.run(**{**inputs, "V": -3 * inputs["V"]})["f"], -3 * f)
    close(layer.run(**{**inputs, "W": 2 * inputs["W"]})["f"], 2 * f)


def test_mean_over_random_heads(rng):
    inputs = {**layer.example(rng), "W": 0.5 * rng.standard_normal((20000, 7, 7)), "V": np.ones((20000, 7))}
    inputs = {**inputs, **{name: inputs[name][:1] for name in ("x0", "x", "y")}}
    # The last feature of a head is the mean of its weights; all vectors have length sqrt(2).
    mean = layer.run(**inputs)["features"].reshape(20000, 7)[:, -1].mean()
    assert abs(mean * np.sqrt(2 * np.pi) - 1) < 0.05


def test_a_bias_of_the_weights_helps_few_heads(rng):
    unit = lambda a: a / np.linalg.norm(a, axis=-1, keepdims=True)
    x0, x = unit(rng.standard_normal((400, 6))), unit(rng.standard_normal((400, 5, 6)))
    noise, y = 0.5 * rng.standard_normal((8, 7, 7)), np.maximum(np.einsum("nd,nid->ni", x0, x), 0).mean(1)
    error = []
    for W in (noise, noise + np.diag([1.0] * 6 + [0.0])):
        F = layer.run(x0=x0, x=x, W=W, V=np.zeros((8, 7)), y=y)["features"]
        fitted = np.linalg.solve(F[:200].T @ F[:200] + 1e-3 * np.eye(56), F[:200].T @ y[:200])
        error.append(np.square(F[200:] @ fitted - y[200:]).mean())
    assert error[1] < 0.8 * error[0]


def test_one_key_and_one_head(rng):
    shapes = {"x0": (5, 3), "x": (5, 1, 3), "W": (1, 4, 4), "V": (1, 4), "y": (5,)}
    check({**{name: rng.standard_normal(shape) for name, shape in shapes.items()}, "lam": 0.1})


@pytest.mark.parametrize("changes", [{"W": (20, 7, 6)}, {"W": (20, 6, 6), "V": (20, 6)}, {"V": (1, 7)}, {"y": (39,)}, {"x": (1, 17, 6)}])
def test_shapes_agree(rng, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        layer.run(**{**layer.example(rng), **{name: np.ones(shape) for name, shape in changes.items()}})
