import itertools

import numpy as np
import pytest

from attn_mlir.zoo import n051_neighborhood_attention as neighborhood

from conftest import close, softmax


def sees(n, w, d, causal, t):
    """[n, n], by the text: dilation classes, and in them windows of leaders."""
    seen = np.zeros((n, n), bool)
    for i in range(n):
        g, u = i % d, i // d
        length = -(-(n - g) // d)
        if causal:
            leader = min(u // t * t + t - 1, length - 1)
            keys = range(max(0, leader - w + 1), u + 1)
        else:
            leader = u if t == 1 else min(u // t * t + t // 2, length - 1)
            first = min(max(leader - w // 2, 0), length - w)
            keys = range(first, first + w)
        for s in keys:
            seen[i, g + d * s] = True
    return seen


def oracle(q, k, v, window, dilation, causal, stride):
    shape = q.shape[2:-1]
    seen = np.ones((1, 1), bool)
    for rule in itertools.zip_longest(shape, window, dilation, causal, stride):
        seen = np.kron(seen, sees(*rule))
    flat = [x.reshape(*x.shape[:2], -1, x.shape[-1]) for x in (q, k, v)]
    s = np.where(seen, flat[0] @ flat[1].swapaxes(-1, -2) / q.shape[-1] ** 0.5, -np.inf)
    return {"out": (softmax(s) @ flat[2]).reshape(v.shape), "lse": np.log(np.exp(s).sum(-1)).reshape(q.shape[:-1]),
            "count": seen.sum(-1).reshape(shape)}


def make(rng, shape, window, dilation=None, causal=None, stride=None):
    q, k, v = (rng.standard_normal((1, 2, *shape, 4)) for _ in range(3))
    ones = [1] * len(shape)
    return {"q": q, "k": k, "v": v, "window": window, "dilation": dilation or ones,
            "causal": causal or [0] * len(shape), "stride": stride or ones}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{n: x.astype(float) if isinstance(x, np.ndarray) else x for n, x in inputs.items()})
    found = neighborhood.run(**inputs)
    assert found.keys() == wanted.keys() and found["count"].dtype == np.int64
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    found = check(neighborhood.example(rng))
    assert (found["count"] == 15).all()
    assert check(neighborhood.example(rng, np.float32), 1e-5)["out"].dtype == np.float32


@pytest.mark.parametrize("rule", [
    ([17], [4], [3], [1]), ([19], [6], [2], [0], [3]), ([19], [5], [1], [1], [5]),
    ([7, 9], [3, 4], [2, 1], [1, 0], [2, 3]),
    ([4, 5, 3], [2, 3, 3], [1, 1, 1], [1, 0, 0]), ([4, 4, 6], [3, 2, 3], [1, 2, 2], [0, 0, 1], [2, 1, 1])])
def test_axes_dilation_causality_and_strides(rng, rule):
    check(make(rng, *rule))


def test_the_whole_axis_is_full_attention_and_one_place_its_value(rng):
    inputs = make(rng, [6, 5], [6, 5])
    found = neighborhood.run(**inputs)
    assert (found["count"] == 30).all()
    q, k, v = (inputs[name].reshape(1, 2, 30, 4) for name in "qkv")
    close(found["out"], (softmax(q @ k.swapaxes(-1, -2) / 2) @ v).reshape(1, 2, 6, 5, 4))
    for dilation in ([1, 1], [3, 5]):
        close(neighborhood.run(**{**inputs, "window": [1, 1], "dilation": dilation})["out"], inputs["v"])


def test_dilation_is_attention_on_strided_slices(rng):
    inputs = make(rng, [9, 7], [3, 2], [2, 3], [0, 1])
    o = neighborhood.run(**inputs)["out"]
    for a, b in itertools.product(range(2), range(3)):
        part = {**inputs, **{name: inputs[name][:, :, a::2, b::3] for name in "qkv"}, "dilation": [1, 1]}
        close(o[:, :, a::2, b::3], neighborhood.run(**part)["out"])


def test_one_causal_axis_is_a_sliding_window(rng):
    inputs = make(rng, [17], [4], None, [1])
    back = np.arange(17)[:, None] - np.arange(17)
    s = inputs["q"] @ inputs["k"].swapaxes(-1, -2) / 2
    close(neighborhood.run(**inputs)["out"], softmax(np.where((back >= 0) & (back < 4), s, -np.inf)) @ inputs["v"])


def test_flags_may_be_arrays_or_left_out(rng):
    inputs = make(rng, [6, 5], [3, 3])
    wanted = neighborhood.run(**inputs)["out"]
    arrays = {name: np.array(inputs[name]) for name in ("window", "dilation", "causal", "stride")}
    close(neighborhood.run(**{**inputs, **arrays})["out"], wanted, 0)
    close(neighborhood.run(**{name: inputs[name] for name in "qkv"}, window=3)["out"], wanted, 0)


@pytest.mark.parametrize("rule, message", [
    (([9], [5], [2]), "a window of 5 places 2 apart does not fit an axis of 9"),
    (([9], [5], [1], [0], [6]), "a stride is from 1 to the window 5, not 6"),
    (([9], [5], [1], [2]), "causal is one of 0, 1, not 2"),
    (([2, 2, 2, 2], [1, 1, 1, 1]), "a grid has 1 to 3 axes, not 4")])
def test_what_does_not_fit_is_refused(rng, rule, message):
    with pytest.raises(ValueError, match=message):
        neighborhood.run(**make(rng, *rule))
