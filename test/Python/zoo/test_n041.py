import numpy as np
import pytest

from attn_mlir.zoo import n041_shakti_vlm_qknorm as shakti

from conftest import close, repeat_heads, softmax


def rope(x, positions, base):
    half = x.shape[-1] // 2
    angle = positions[:, None] * base ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


def oracle(x, wq, wk, wv, wo, g_block, b_block, gq, gk, rows, cols, norm_kind, causal, heads):
    def rms(y, gain):
        return gain * y / np.sqrt((y * y).mean(-1, keepdims=True) + 1e-6)

    def turned(y):
        if cols is None:
            return rope(y, rows, 500000.0)
        return np.concatenate([rope(y[..., :heads[2] // 2], rows, 1e4), rope(y[..., heads[2] // 2:], cols, 1e4)], -1)

    centred = x - x.mean(-1, keepdims=True)
    y = rms(x, g_block) if norm_kind else rms(centred, g_block) + b_block
    q, k, v = ((y @ w).reshape(*x.shape[:2], -1, heads[2]).swapaxes(1, 2) for w in (wq, wk, wv))
    k, v = (repeat_heads(t, heads[0]) for t in (turned(rms(k, gk)), v))
    s = turned(rms(q, gq)) @ k.swapaxes(-1, -2) / heads[2] ** 0.5
    seen = np.tri(x.shape[1], dtype=bool) | (not causal)
    o = (softmax(np.where(seen, s, -np.inf)) @ v).swapaxes(1, 2).reshape(*x.shape[:2], -1)
    return {"attn": o, "scores": s, "out": x + o @ wo}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: x.astype(float) if getattr(x, "dtype", None) == np.float32 else x
                       for n, x in inputs.items()})
    found = shakti.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


@pytest.mark.parametrize("flags", [{}, {"norm_kind": np.array(1), "causal": np.array(1)},
                                   {"cols": None, "rows": np.arange(63), "causal": True}])
def test_equals_the_definition(rng, flags):
    check({**shakti.example(rng), **flags})


def test_float32(rng):
    found = check(shakti.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    inputs = shakti.example(rng)
    assert shakti.block.check(*list(inputs.values())[:-3], 0, False, (4, 2, 16))


def test_scores_are_bounded_and_know_no_scale_of_projections(rng):
    inputs = shakti.example(rng)
    scores = shakti.run(**inputs)["scores"]
    assert abs(scores).max() <= 4 * abs(inputs["gq"]).max() * abs(inputs["gk"]).max()
    close(shakti.run(**{**inputs, "wq": inputs["wq"] * 50})["scores"], scores, 1e-4)


def test_scores_depend_on_differences_of_coordinates(rng):
    inputs = shakti.example(rng)
    moved = {**inputs, "rows": inputs["rows"] + 5, "cols": inputs["cols"] + 11}
    close(shakti.run(**moved)["scores"], shakti.run(**inputs)["scores"])


def test_a_batch_of_one_patch(rng):
    inputs = shakti.example(rng)
    check({**inputs, "x": inputs["x"][:1, :1], "rows": inputs["rows"][:1], "cols": inputs["cols"][:1]})


def products(inputs):
    """Rotated queries and keys with gains that are not normalised, and the inverses of their sizes."""
    x = inputs["x"]
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-6) * inputs["g_block"] + inputs["b_block"]
    for w, gain in (("wq", "gq"), ("wk", "gk")):
        t = (y @ inputs[w]).reshape(2, 63, -1, 16).swapaxes(1, 2)
        turned = np.concatenate([rope(t[..., :8] * inputs[gain][:8], inputs["rows"], 1e4),
                                 rope(t[..., 8:] * inputs[gain][8:], inputs["cols"], 1e4)], -1)
        yield repeat_heads(turned, 4), repeat_heads(1 / np.sqrt((t * t).mean(-1, keepdims=True) + 1e-6), 4)


def test_sizes_may_be_divided_out_of_scores(rng):
    inputs = shakti.example(rng)
    (q, q_size), (k, k_size) = products(inputs)
    close(shakti.run(**inputs)["scores"], q @ k.swapaxes(-1, -2) * q_size * k_size.swapaxes(-1, -2) / 4)


def test_equal_gains_are_a_temperature(rng):
    one = {**shakti.example(rng), "gq": np.ones(16), "gk": np.ones(16)}
    scores = shakti.run(**one)["scores"]
    close(shakti.run(**{**one, "gq": np.full(16, 3.0), "gk": np.full(16, 3.0)})["scores"], 9 * scores)
    # Rotations keep sizes: without gains, what is normalised first makes no difference.
    (q, _), (k, _) = products(one)
    q, k = (t / np.sqrt((t * t).mean(-1, keepdims=True) + 1e-6) for t in (q, k))
    close(scores, q @ k.swapaxes(-1, -2) / 4)


def test_what_does_not_fit_is_refused(rng):
    inputs = shakti.example(rng)
    with pytest.raises(ValueError, match="norm_kind is one of 0, 1, not 2"):
        shakti.run(**{**inputs, "norm_kind": 2})
    with pytest.raises(ValueError, match="do not fit 64 columns of queries"):
        shakti.run(**{**inputs, "heads": [4, 2, 8]})
