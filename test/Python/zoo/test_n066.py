import numpy as np
import pytest

from attn_mlir.zoo import n066_layernorm_expressivity as expressivity

from conftest import close, softmax


def norm(x, do_projection, do_scale):
    if do_projection:
        x = x - x.mean(-1, keepdims=True)
    if do_scale:
        x = x.shape[-1] ** 0.5 * x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    return x


def oracle(x, gain, bias, wq, wk, wv, do_projection, do_scale, heads):
    n = norm(x, do_projection, do_scale) * gain + bias
    q, k, v = ((n @ w).reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for w in (wq, wk, wv))
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    return {"norm": n, "out": (softmax(s) @ v).swapaxes(1, 2).reshape(x.shape), "scores": s}


@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_equals_the_definition(rng, flags):
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 2e-5)):
        inputs = {**expressivity.example(rng, dtype), "do_projection": np.int64(flags[0]), "do_scale": flags[1]}
        inputs["x"] = inputs["x"][:, :21]
        wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
        found = expressivity.run(**inputs)
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert found[name].dtype == dtype
            close(found[name], wanted[name], tolerance)


def plain(x, projection, scale):
    """The norm alone."""
    width = x.shape[-1]
    w = np.eye(width)
    return expressivity.run(x=x, gain=np.ones(width), bias=np.zeros(width), wq=w, wk=w, wv=w,
                            do_projection=projection, do_scale=scale, heads=1)


def test_both_steps_are_layer_norm(rng):
    x = rng.standard_normal((1, 9, 8))
    n = plain(x, 1, 1)["norm"]
    close(n, (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True))
    close(plain(n, 1, 1)["norm"], n)
    close(plain(x, 0, 1)["norm"], x / np.sqrt((x * x).mean(-1, keepdims=True)))
    assert (plain(0 * x, 1, 1)["norm"] == 0).all()


def test_projected_keys_are_alike_to_a_query_of_ones(rng):
    n = plain(rng.standard_normal((1, 9, 8)), 1, 0)["norm"]
    close(n @ np.ones(8), np.zeros((1, 9)))


def test_scaled_keys_are_all_selectable(rng):
    x = rng.standard_normal((1, 30, 4))
    x[0, 0] = x[0, 1:].mean(0)  # inside of the hull of the others
    best = lambda scale: plain(x, 1, scale)["scores"][0].argmax(-1)[0]
    assert (best(1) == np.arange(30)).all()
    assert 0 not in best(0)


def test_norm_goes_through_the_projection(rng):
    inputs = expressivity.example(rng)
    x, gain, bias, w = (inputs[name] for name in ("x", "gain", "bias", "wq"))
    mean, scale = x.mean(-1, keepdims=True), 1 / x.std(-1, keepdims=True)
    pushed = scale * (x @ (gain[:, None] * w) - mean * (gain @ w)) + bias @ w
    close(expressivity.run(**inputs)["norm"] @ w, pushed, 1e-9)


def test_a_query_of_ones_takes_the_mean_of_projected_values(rng):
    x, ones = rng.standard_normal((1, 9, 8)), np.outer(rng.standard_normal(8), np.ones(8))
    rest = {"gain": np.ones(8), "bias": np.zeros(8), "wq": ones, "wk": np.eye(8), "wv": np.eye(8), "do_scale": 0}
    for projection in (1, 0):
        found = expressivity.run(x=x, **rest, do_projection=projection, heads=1)
        mean = np.broadcast_to(found["norm"].mean(1, keepdims=True), (1, 9, 8))
        assert np.allclose(found["out"], mean, atol=1e-12) == bool(projection)


@pytest.mark.parametrize("changes, text", [({"do_scale": 2}, "do_scale is one of 0, 1"), ({"heads": 3}, "3 heads"),
                                           ({"do_projection": -1}, "do_projection"), ({"gain": np.ones(1)}, "gain")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        expressivity.run(**{**expressivity.example(rng), **changes})


def test_only_the_scores_that_are_asked_for_are_stored(rng):
    text = expressivity.normed_attention.lower(*list(expressivity.example(rng).values())[:6], True, True, 2)
    assert text.count("= attn.materialize") == 1
