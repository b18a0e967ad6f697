import math

import numpy as np
import pytest

from attn_mlir.zoo import n021_tensor_attention as tensor_attention

from conftest import close, peak_growth, softmax


def oracle(q, k1, k2, v1, v2, scale, causal):
    """With all pairs of keys."""
    n = q.shape[2]
    s = scale * np.einsum("bhil,bhjl,bhkl->bhijk", q, k1, k2)
    before = np.tri(n, dtype=bool)
    s = np.where(before[:, :, None] & before[:, None] | (not causal), s, -np.inf).reshape(*s.shape[:3], n * n)
    values = (v1[:, :, :, None] * v2[:, :, None]).reshape(*v1.shape[:2], n * n, -1)
    return {"o": softmax(s) @ values, "lse": np.log(np.exp(s).sum(-1))}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = tensor_attention.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_attention_over_all_pairs(rng):
    inputs = tensor_attention.example(rng)
    check(inputs)
    check({**inputs, "causal": np.bool_(True), "scale": np.array(1.0)})
    check({name: x[:1, :, :9] if np.ndim(x) else x for name, x in inputs.items()})
    check({name: x[:, :, :1] if np.ndim(x) else x for name, x in inputs.items()})
    check({**tensor_attention.example(rng, np.float32), "causal": True}, 1e-5)


def test_a_second_key_of_ones_is_ordinary_attention(rng):
    inputs = tensor_attention.example(rng)
    one = np.ones_like(inputs["k2"])
    s = inputs["q"] @ inputs["k1"].swapaxes(-1, -2) / 4
    close(tensor_attention.run(**{**inputs, "k2": one, "v2": one})["o"], softmax(s) @ inputs["v1"])


def test_the_two_keys_may_be_exchanged(rng):
    inputs = tensor_attention.example(rng)
    other = {**inputs, **{a: inputs[b] for a, b in (("k1", "k2"), ("k2", "k1"), ("v1", "v2"), ("v2", "v1"))}}
    close(tensor_attention.run(**other)["o"], tensor_attention.run(**inputs)["o"])


def test_a_zero_query_is_the_product_of_means(rng):
    inputs = tensor_attention.example(rng)
    inputs["q"][:] = 0
    mean = inputs["v1"].mean(2, keepdims=True) * inputs["v2"].mean(2, keepdims=True)
    close(tensor_attention.run(**inputs)["o"], np.broadcast_to(mean, inputs["q"].shape))


def polynomial(inputs, degree, causal):
    """All pairs of keys, weighted by the truncated series of exp."""
    q, k1, k2, v1, v2 = (inputs[name] for name in ("q", "k1", "k2", "v1", "v2"))
    s = 0.25 * np.einsum("bhil,bhjl,bhkl->bhijk", q, k1, k2)
    w = sum(s ** m / math.factorial(m) for m in range(degree + 1))
    before = np.tri(q.shape[2], dtype=bool)
    w = np.where(before[:, :, None] & before[:, None] | (not causal), w, 0)
    return np.einsum("bhijk,bhjd,bhkd->bhid", w, v1, v2) / w.sum((-1, -2))[..., None]


@pytest.mark.parametrize("causal", [False, True])
def test_the_factored_form_is_the_truncated_series(rng, causal):
    inputs = tensor_attention.example(rng)
    operands = [inputs[name] for name in ("q", "k1", "k2", "v1", "v2")]
    exact, errors = oracle(**{**inputs, "causal": causal})["o"], []
    for degree in (2, 4, 6):
        o = tensor_attention.factored(*operands, 0.25, degree, causal)
        close(o, polynomial(inputs, degree, causal))
        errors.append(abs(o - exact).max())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-7


def test_fused_as_the_reference(rng):
    inputs = tensor_attention.example(rng, np.float32)
    operands = (inputs[name] for name in ("q", "k1", "k2", "v1", "v2"))
    assert tensor_attention.tensor_attention.check(*operands, np.float32(0.25), True)


def test_neither_pairs_nor_scores_of_them_are_stored(rng):
    inputs = tensor_attention.example(rng)
    tensor_attention.run(**inputs)
    n = 210
    large = {name: np.concatenate([inputs[name]] * 10, 2) for name in ("q", "k1", "k2", "v1", "v2")}
    # One head of scores, of pairs of keys for every query.
    assert peak_growth(lambda: tensor_attention.run(**{**inputs, **large})) < n * n * n * 8 / 16
