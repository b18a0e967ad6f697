import numpy as np
import pytest

from attn_mlir.zoo import n007_diff_qkv as diff_qkv

from conftest import close, repeat_heads, softmax


def rope(x, base, start=0):
    half = x.shape[-1] // 2
    angle = (start + np.arange(x.shape[2]))[:, None] * base ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def queries(x, Wq, Wgate, Wup, Wdown, Hq, theta, start=0):
    q = x @ Wq
    gate = q @ Wgate
    q = (gate / (1 + np.exp(-gate)) * (q @ Wup)) @ Wdown
    return rope(q.reshape(*x.shape[:2], Hq, -1).swapaxes(1, 2), theta, start)


def oracle(x, Wq, Wgate, Wup, Wdown, Wk, Wv, Wo, heads, theta):
    B, L, _ = x.shape
    Hq, Hk, Hv = heads
    q = queries(x, Wq, Wgate, Wup, Wdown, Hq, theta)
    k = rope((x @ Wk).reshape(B, L, Hk, -1).swapaxes(1, 2), theta)
    v = (x @ Wv).reshape(B, L, Hv, -1).swapaxes(1, 2)
    s = q @ repeat_heads(k, Hq).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    p = softmax(np.where(np.tri(L, dtype=bool), s, -np.inf))
    o = p @ repeat_heads(v, Hq)
    return {"y": o.swapaxes(1, 2).reshape(B, L, -1) @ Wo, "o": o, "p": p, "k_cache": k, "v_cache": v}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) > 1 else x for name, x in inputs.items()})
    found = diff_qkv.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = diff_qkv.example(rng)
    check(inputs)
    check({**inputs, "x": inputs["x"][:1, :5], "theta": np.array(100.0)})
    check(diff_qkv.example(rng, np.float32), 1e-5)


@pytest.mark.parametrize("heads", [(8, 1, 1), (8, 2, 2), (8, 8, 8), (8, 4, 2), (6, 2, 3)])
def test_every_pair_of_head_counts(heads, rng):
    inputs = diff_qkv.example(rng)
    Hq, Hk, Hv = heads
    shapes = {"Wq": (32, Hq * 8), "Wgate": (Hq * 8, 48), "Wup": (Hq * 8, 48), "Wdown": (48, Hq * 8),
              "Wk": (32, Hk * 8), "Wv": (32, Hv * 6), "Wo": (Hq * 6, 32)}
    check({**inputs, **{name: rng.standard_normal(s) * s[0] ** -0.5 for name, s in shapes.items()}, "heads": heads})


def test_the_caches_are_all_that_decoding_needs(rng):
    inputs = diff_qkv.example(rng)
    found = diff_qkv.run(**inputs)
    q = queries(inputs["x"][:, -1:], *(inputs[n] for n in ("Wq", "Wgate", "Wup", "Wdown")), 8, 50000.0, start=28)
    k, v = (repeat_heads(found[n], 8) for n in ("k_cache", "v_cache"))
    close(found["o"][:, :, -1:], softmax(q @ k.swapaxes(-1, -2) / 8 ** 0.5) @ v)


def test_selective_fetch_errs_by_what_it_drops(rng):
    inputs = diff_qkv.example(rng)
    found = diff_qkv.run(**inputs)
    q = queries(inputs["x"][:, -2:], *(inputs[n] for n in ("Wq", "Wgate", "Wup", "Wdown")), 8, 50000.0, start=27)
    for T in (29, 40):
        o, dropped = diff_qkv.selective_fetch(q, found["k_cache"], found["v_cache"], T)
        close(o, found["o"][:, :, -2:])
        close(dropped, np.zeros((2, 8, 2)))
    o, dropped = diff_qkv.selective_fetch(q, found["k_cache"], found["v_cache"], 5)
    p = found["p"][:, :, -2:]
    kept = np.where(p >= np.sort(p, -1)[..., -5, None], p, 0)
    close(o, kept @ repeat_heads(found["v_cache"], 8))
    close(dropped, 1 - kept.sum(-1))
    largest = abs(repeat_heads(found["v_cache"], 8)).max(2)[:, :, None]
    assert (abs(o - found["o"][:, :, -2:]) <= dropped[..., None] * largest + 1e-12).all() and dropped.min() > 1e-3


def test_fused_as_the_reference(rng):
    inputs = diff_qkv.example(rng, np.float32)
    names = ("x", "Wq", "Wgate", "Wup", "Wdown", "Wk", "Wv", "Wo")
    assert diff_qkv.diff_qkv.check(*(inputs[n] for n in names), (8, 2, 4), 50000.0)
