import numpy as np

from attn_mlir.zoo import n018_cog_attention as cog

from conftest import close, peak_growth, repeat_heads, softmax


def rope(x, base):
    D = x.shape[-1]
    angle = np.arange(x.shape[2])[:, None] * base ** (-2 * np.arange(D // 2) / D)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


def attention(q, k, v, kv_len):
    """Of rotated queries and keys: o, lse, weights, scores."""
    s = q @ repeat_heads(k, q.shape[1]).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    L = s.shape[2]
    seen = np.tri(L, dtype=bool) & (np.arange(L) < np.asarray(kv_len)[:, None, None, None])
    size = np.where(seen, abs(s), -np.inf)
    w = np.sign(s) * softmax(size)
    with np.errstate(divide="ignore"):
        return w @ repeat_heads(v, q.shape[1]), np.log(np.exp(size).sum(-1)), w, s


def oracle(q, k, v, kv_len, base):
    o, lse, _, _ = attention(rope(q, base), rope(k, base), v, kv_len)
    return {"o": o, "lse": lse}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if name in "qkv" else x for name, x in inputs.items()})
    found = cog.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        assert (np.isneginf(found[name]) == np.isneginf(wanted[name])).all()
        close(np.maximum(found[name], -1e9), np.maximum(wanted[name], -1e9), tolerance)


def cut(inputs, batch, length):
    return {**inputs, **{name: inputs[name][:batch, :, :length] for name in "qkv"}, "kv_len": np.full(batch, length)}


def test_equals_the_definition(rng):
    inputs = cog.example(rng)
    check(inputs)
    check({**inputs, "kv_len": [0, 1], "base": np.array(100.0)})
    check(cut(inputs, 1, 1))
    check({**cut(inputs, 1, 33), "k": inputs["k"][:1, :1, :33], "v": inputs["v"][:1, :1, :33]})
    check(cog.example(rng, np.float32), 1e-5)


def test_of_scores_that_are_not_negative_it_is_softmax(rng):
    inputs = cut(cog.example(rng), 2, 2)
    # One feature pair that turns by nothing to speak of, and positive.
    for name in "qk":
        inputs[name] = np.where(np.arange(16) == 14, abs(inputs[name]), 0)
    q, k = (repeat_heads(inputs[name], 4)[..., 14] for name in "qk")
    s = q[..., None] * k[:, :, None] / 4 * np.cos(np.subtract.outer(range(2), range(2)) * 1e4 ** -0.875)
    o = softmax(np.where(np.tri(2, dtype=bool), s, -np.inf)) @ repeat_heads(inputs["v"], 4)
    close(cog.run(**inputs)["o"], o)


def test_negative_queries_negate_and_zeros_give_nothing(rng):
    inputs = cog.example(rng)
    found = cog.run(**inputs)
    negative = cog.run(**{**inputs, "q": -inputs["q"]})
    assert (negative["o"] == -found["o"]).all() and (negative["lse"] == found["lse"]).all()
    nothing = cog.run(**{**inputs, "q": 0 * inputs["q"]})
    assert (nothing["o"] == 0).all()
    close(nothing["lse"][0, 0], np.log(np.arange(1, 71)))


def test_weights_have_both_signs_and_magnitudes_that_sum_to_1(rng):
    inputs = cut(cog.example(rng), 2, 16)
    # Values that are an identity show the weights.
    w = cog.run(**{**inputs, "v": np.broadcast_to(np.eye(16), (2, 2, 16, 16)).copy()})["o"]
    close(abs(w).sum(-1), np.ones((2, 4, 16)))
    assert (w < 0).any() and (w > 0).any()
    close(abs(w[:, :, 0]), np.broadcast_to(np.eye(16)[0], (2, 4, 16)))  # the first token has one key


def test_decoding_equals_prefill(rng):
    inputs = cog.example(rng)
    wanted, keys = cog.run(**{**inputs, "kv_len": [70, 70]})["o"], rope(inputs["k"], 1e4)
    for t in (0, 1, 69):
        o = cog.decode(inputs["q"][:, :, t:t + 1], keys, inputs["v"], np.array(t), 10000.0)
        close(o, wanted[:, :, t:t + 1])


def test_gradients_are_those_of_differences(rng):
    q, k, v, dout = rng.standard_normal((4, 2, 3, 9, 4))
    kv_len, step = np.array([9, 6]), 1e-6
    operands = [q, k, v]
    for place, gradient in enumerate(cog.gradients(q, k, v, kv_len, dout)):
        direction = rng.standard_normal(q.shape)
        value = []
        for sign in (1, -1):
            moved = list(operands)
            moved[place] = moved[place] + sign * step * direction
            value.append((attention(*moved, kv_len)[0] * dout).sum())
        close((gradient * direction).sum(), (value[0] - value[1]) / (2 * step), 1e-7)


def test_no_matrix_is_stored(rng):
    q, k, v = rng.standard_normal((3, 1, 2, 1500, 16), dtype=np.float32)
    inputs = {"q": q, "k": k, "v": v, "kv_len": np.array([1500])}
    cog.run(**{**inputs, **{name: inputs[name][:, :, :64] for name in "qkv"}})
    assert peak_growth(lambda: cog.run(**inputs)) < 2 * 1500 * 1500 * 4 / 2


def test_fused_as_the_reference(rng):
    inputs = cog.example(rng, np.float32)
    assert cog.cog_attention.check(*(inputs[name] for name in ("q", "k", "v", "kv_len")), 10000.0)
    q, v = inputs["q"], repeat_heads(inputs["v"], 4)
    assert cog.gradients.check(q, repeat_heads(inputs["k"], 4), v, inputs["kv_len"], q)
