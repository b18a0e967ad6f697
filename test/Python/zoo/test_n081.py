import numpy as np
import pytest

from attn_mlir.zoo import n081_massive_values as massive

from conftest import close, repeat_heads, softmax


def rotate(x, theta):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[2])[:, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def attention(q, k, v):
    s = q @ repeat_heads(k, q.shape[1]).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    return softmax(np.where(np.tri(s.shape[-1], dtype=bool), s, -np.inf)) @ repeat_heads(v, q.shape[1])


def quantize(x, bits):
    step = abs(x).max(-1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.round(x / np.where(step == 0, 1, step)) * step


def oracle(q, k, v, lam, theta, bits):
    q, k = rotate(q, theta), rotate(k, theta)
    norm = {name: np.linalg.norm(x, axis=2) for name, x in zip("qkv", (q, k, v))}
    mask = {name: n > lam * n.mean(-1, keepdims=True) for name, n in norm.items()}
    plain = lambda x, m: np.where(m[:, :, None], x.mean(2, keepdims=True), x)
    exact = mask["k"][:, :, None]
    return {**{f"norm_{name}": n for name, n in norm.items()}, **{f"mask_{name}": m for name, m in mask.items()},
            "out": attention(q, k, v), "out_disrupted": attention(plain(q, mask["q"]), plain(k, mask["k"]), v),
            "out_quant": attention(q, quantize(k, bits), v),
            "out_quant_protected": attention(q, np.where(exact, k, quantize(np.where(exact, 0, k), bits)), v)}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = massive.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == (bool if "mask" in name else inputs["q"].dtype)
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = massive.example(rng)
    found = check(inputs)
    assert found["mask_q"].any() and found["mask_k"].any() and not found["mask_v"].any()
    check({**inputs, "lam": np.array(2.0), "theta": 500.0, "bits": np.int64(3), "q": inputs["q"][:, :2]})


def test_single_precision(rng):
    # A key beside the middle of two steps may be rounded either way: bits that leave a small step.
    check({**massive.example(rng, np.float32), "bits": 16}, 3e-4)


def test_no_head_has_many_massive_channels(rng):
    inputs = massive.example(rng)
    for lam in (5.0, 3.0):
        assert massive.run(**{**inputs, "lam": lam})["mask_q"].sum(-1).max() <= 32 / lam


def test_without_massive_channels_nothing_is_disrupted(rng):
    found = massive.run(**{**massive.example(rng), "lam": 1e9})
    close(found["out_disrupted"], found["out"], 1e-14)


def test_rotation_keeps_the_energy_of_pairs(rng):
    inputs = massive.example(rng)
    energy = lambda x: (x ** 2)[..., :16] + (x ** 2)[..., 16:]
    close(energy(massive.run(**inputs)["norm_k"]), energy(np.linalg.norm(inputs["k"], axis=2)))


def test_exact_massive_channels_save_low_bit_keys(rng):
    found = massive.run(**massive.example(rng))
    error = {name: abs(found[name] - found["out"]).mean() for name in ("out_quant", "out_quant_protected")}
    assert error["out_quant_protected"] < 0.5 * error["out_quant"]


def test_disrupted_scores_need_no_copies(rng):
    inputs = massive.example(rng)
    found = massive.run(**inputs)
    q, k = rotate(inputs["q"], 10000.0), repeat_heads(rotate(inputs["k"], 10000.0), 4)
    massive_q, massive_k = found["mask_q"][:, :, None], repeat_heads(found["mask_k"], 4)[:, :, None]
    # Massive channels of keys add a constant to rows; those of queries alone, a bias of keys.
    both = np.where(massive_q & ~massive_k, q.mean(2, keepdims=True), np.where(massive_k, 0, q))
    s = both @ k.swapaxes(-1, -2) / 32 ** 0.5
    p = softmax(np.where(np.tri(75, dtype=bool), s, -np.inf))
    close(found["out_disrupted"], p @ repeat_heads(inputs["v"], 4))


def test_nothing_is_stored(rng):
    i = massive.example(rng)
    text = massive.massive_values.lower(i["q"], i["k"], i["v"], np.array(5.0), 10000.0, 4)
    assert "attn.materialize" not in text


def test_what_makes_no_sense_is_refused(rng):
    inputs = massive.example(rng)
    with pytest.raises(ValueError, match="bits is at least 2"):
        massive.run(**{**inputs, "bits": 1})
    with pytest.raises(ValueError, match="v is"):
        massive.run(**{**inputs, "v": inputs["v"][:, :, :9]})
    with pytest.raises(ValueError, match="pairs"):
        massive.run(**{name: x[..., :9] if np.ndim(x) else x for name, x in inputs.items()})
