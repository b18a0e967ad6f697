import numpy as np
import pytest

from attn_mlir.zoo import n026_sparse_query_attention as sqa

from conftest import close, repeat_heads, softmax


def rope(x, base):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[2])[:, None] * base ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def oracle(x, Wq, Wk, Wv, Wo, H, theta):
    B, L, E = x.shape
    D = E // H
    q, k, v = ((x @ W).reshape(B, L, -1, D).swapaxes(1, 2) for W in (Wq, Wk, Wv))
    k, v = (repeat_heads(t, q.shape[1]) for t in (k, v))
    s = rope(q, theta) @ rope(k, theta).swapaxes(-1, -2) / D ** 0.5
    p = softmax(np.where(np.tri(L, dtype=bool), s, -np.inf))
    o = p @ v
    return {"y": o.swapaxes(1, 2).reshape(B, L, -1) @ Wo, "o": o, "p": p}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = sqa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = sqa.example(rng)
    check(inputs)
    check({**inputs, "x": inputs["x"][:1, :7], "theta": np.array(50.0)})
    check({**inputs, "Wk": inputs["Wk"][:, :8], "Wv": inputs["Wv"][:, :8]})  # one key head for all
    check({**inputs, "x": inputs["x"][:, :1]})
    check(sqa.example(rng, np.float32), 1e-5)


def test_absent_heads_are_heads_that_the_output_does_not_read(rng):
    inputs = sqa.example(rng)
    # Query heads 0 and 1 read key head 0: three and four more of each group.
    more = rng.standard_normal((64, 2, 2, 8))
    Wq = np.concatenate([inputs["Wq"].reshape(64, 2, 2, 8), more], 2).reshape(64, 64)
    Wo = np.concatenate([inputs["Wo"].reshape(2, 2, 8, 64), np.zeros((2, 2, 8, 64))], 1).reshape(64, 64)
    close(sqa.run(**{**inputs, "Wq": Wq, "Wo": Wo})["y"], sqa.run(**inputs)["y"])


def test_fused_as_the_reference(rng):
    inputs = sqa.example(rng, np.float32)
    assert sqa.sparse_query_attention.check(*(inputs[n] for n in ("x", "Wq", "Wk", "Wv", "Wo")), 8, 10000.0)


def test_rows_need_no_later_tokens(rng):
    inputs = sqa.example(rng)
    wanted = sqa.run(**inputs)
    for t in (0, 1, 40):
        found = sqa.run(**{**inputs, "x": inputs["x"][:, :t + 1]})
        close(found["y"][:, -1], wanted["y"][:, t])
        close(found["p"][:, :, -1], wanted["p"][:, :, t, :t + 1])


def test_heads_that_do_not_fit_are_refused(rng):
    inputs = sqa.example(rng)
    for H in (5, 1):
        with pytest.raises(ValueError, match=f"{H} nominal heads of 64 features do not fit 32 columns"):
            sqa.run(**{**inputs, "H": H})
