import math

import numpy as np
import pytest

from attn_mlir.zoo import n115_weighted_gqa as wgqa

from conftest import close, repeat_heads, softmax


def bucket(n):
    return n if n < 16 else min(31, 16 + math.floor(math.log(n / 16) / math.log(128 / 16) * 16))


def oracle(x, mem, Wq, Wk, Wv, Wo, wk, wv, G, rel):
    """All heads project on their own; then keys and values are weighted and added (weights per
    row go into the matrices)."""
    project = lambda W: np.einsum("ble,hed->bhld", x, W)
    pooled = lambda W, w: project(w * W).reshape(x.shape[0], G, -1, *x.shape[1:2], W.shape[-1]).sum(2)
    K, V = pooled(Wk, wk), pooled(Wv, wv)
    heads, length = len(Wq), x.shape[1]
    bias = np.array([[rel[bucket(max(i - j, 0))] for j in range(length)] for i in range(length)])
    s = project(Wq) @ repeat_heads(K, heads).swapaxes(-1, -2) + bias.transpose(2, 0, 1)
    p = softmax(np.where(np.tri(length, dtype=bool), s, -np.inf))
    return {"y": np.einsum("bhld,hde->ble", p @ repeat_heads(V, heads), Wo), "K": K, "V": V}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = wgqa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


@pytest.mark.parametrize("shape", [(8, 1, 1), (8, 1, 8), (8, 40, 1)], ids=["scalar", "column", "row"])
def test_equals_the_definition(rng, shape):
    inputs = wgqa.example(rng)
    check({**inputs, "wk": rng.standard_normal(shape), "wv": rng.standard_normal(shape)})


def test_other_sizes(rng):
    inputs = wgqa.example(rng)
    check({**inputs, "x": rng.standard_normal((1, 150, 40)), "G": np.int64(1)})
    check(wgqa.example(rng, np.float32), 1e-5)


def test_buckets_of_distances():
    assert wgqa.bucket_of(np.array([0, 1, 15, 16, 127, 500]), 32).tolist() == [0, 1, 15, 16, 31, 31]


def test_one_head_per_group_with_weights_1_is_the_original_layer(rng):
    inputs = {**wgqa.example(rng), "G": 8, "wk": np.ones((8, 1, 1)), "wv": np.ones((8, 1, 1))}
    close(wgqa.run(**inputs)["K"], np.einsum("ble,hed->bhld", inputs["x"], inputs["Wk"]))
    check(inputs)


def test_weights_g_over_h_are_mean_pooling(rng):
    inputs = {**wgqa.example(rng), "wk": np.full((8, 1, 1), 0.5), "wv": np.full((8, 1, 1), 0.5)}
    mean = inputs["Wv"].reshape(4, 2, 40, 8).mean(1)
    close(wgqa.run(**inputs)["V"], np.einsum("ble,hed->bhld", inputs["x"], mean))


def test_cross_attention_reads_the_encoder(rng):
    inputs = wgqa.example(rng)
    G = inputs.pop("G")
    del inputs["rel"]
    y, K, _ = wgqa.cross(*inputs.values(), G)
    assert y.shape == (2, 23, 40) and K.shape == (2, 4, 31, 8)
    s = np.einsum("ble,hed->bhld", inputs["x"], inputs["Wq"]) @ repeat_heads(K, 8).swapaxes(-1, -2)
    v = np.einsum("bse,ged->bgsd", inputs["mem"], (inputs["wv"] * inputs["Wv"]).reshape(4, 2, 40, 8).sum(1))
    close(y, np.einsum("bhld,hde->ble", softmax(s) @ repeat_heads(v, 8), inputs["Wo"]))
    assert wgqa.cross.check(*inputs.values(), G)


def test_folded_matrices_give_the_same_layer(rng):
    inputs = wgqa.example(rng)
    folded = {n: wgqa.pool(inputs[f"W{n}"], inputs[f"w{n}"], 4) for n in "kv"}
    K, V = (np.einsum("ble,ged->bgld", inputs["x"], folded[n]) for n in "kv")
    found = wgqa.run(**inputs)
    close(found["K"], K, 1e-12)
    close(found["V"], V, 1e-12)


@pytest.mark.parametrize("changes, text", [({"G": 3}, "3 groups"), ({"G": 0}, "G is at least 1"),
                                           ({"rel": np.ones((32, 3))}, "rel is"), ({"wk": np.ones(8)}, "wk is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        wgqa.run(**{**wgqa.example(rng), **changes})
