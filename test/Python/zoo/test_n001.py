import numpy as np

from attn_mlir.zoo import n001_rnope_swa as rnope_swa

from conftest import close, repeat_heads, softmax


def rope(x, base):
    D = x.shape[-1]
    angle = np.arange(x.shape[2])[:, None] * base ** (-2 * np.arange(D // 2) / D)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


def oracle(x, Wq, Wk, Wv, Wo, Hq, Hkv, W, ratio, base, seg):
    B, L, _ = x.shape
    back = np.arange(L)[:, None] - np.arange(L)
    masses = []
    for l in range(len(Wq)):
        y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        q, k, v = ((y @ M[l]).reshape(B, L, H, -1).swapaxes(1, 2) for M, H in ((Wq, Hq), (Wk, Hkv), (Wv, Hkv)))
        seen = back >= 0
        if (l + 1) % ratio:
            q, k, seen = rope(q, base), rope(k, base), seen & (back < W)
        p = softmax(np.where(seen, q @ repeat_heads(k, Hq).swapaxes(-1, -2) / q.shape[-1] ** 0.5, -np.inf))
        x = x + (p @ repeat_heads(v, Hq)).swapaxes(1, 2).reshape(B, L, -1) @ Wo[l]
        masses.append(np.stack([p[:, :, -1, seg == label].sum(-1).mean(1) for label in range(4)], -1))
    return {"y": x, "mass": np.stack(masses, 1)}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) > 1 else x for name, x in inputs.items()})
    found = rnope_swa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def cut(inputs, layers, length=70):
    weights = {name: inputs[name][:layers] for name in ("Wq", "Wk", "Wv", "Wo")}
    return {**inputs, **weights, "x": inputs["x"][:, :length], "seg": inputs["seg"][:length]}


def test_equals_the_definition(rng):
    inputs = rnope_swa.example(rng)
    check(inputs)
    check({**cut(inputs, 3, 33), "ratio": 2, "W": 5, "base": np.array(100.0)})
    check(rnope_swa.example(rng, np.float32), 1e-4)


def test_a_window_of_everything_is_causal_attention(rng):
    inputs = cut(rnope_swa.example(rng), 2)
    close(rnope_swa.run(**{**inputs, "W": 70})["y"], rnope_swa.run(**{**inputs, "W": 10 ** 6})["y"])


def test_masses_sum_to_1_and_older_keys_have_none(rng):
    mass = rnope_swa.run(**rnope_swa.example(rng))["mass"]
    close(mass.sum(-1), np.ones((2, 8)))
    assert (mass[:, [0, 1, 2], :2] == 0).all() and (mass[:, 3, :2] > 0).all()


def test_only_rotated_layers_know_the_order(rng):
    inputs = cut(rnope_swa.example(rng), 1)
    order = np.append(rng.permutation(69), 69)
    other = {**inputs, "x": inputs["x"][:, order], "W": 70}
    full = {"ratio": 1, "W": 70}
    close(rnope_swa.run(**{**other, **full})["y"][:, -1], rnope_swa.run(**{**inputs, **full})["y"][:, -1])
    assert abs(rnope_swa.run(**other)["y"] - rnope_swa.run(**{**inputs, "W": 70})["y"])[:, -1].max() > 1e-3


def test_decoding_with_ring_buffers_equals_prefill(rng):
    inputs = cut(rnope_swa.example(rng), 4)
    wanted, outputs = rnope_swa.run(**inputs)["y"], []
    caches = [[np.zeros((2, 2, 70 if l == 3 else 20, 16)) for _ in range(2)] for l in range(4)]
    for t in range(70):
        x = inputs["x"][:, t:t + 1]
        for l in range(4):
            weights = (inputs[name][l] for name in ("Wq", "Wk", "Wv", "Wo"))
            x, *caches[l] = rnope_swa.decode(x, *caches[l], np.array(t), *weights, 4, 2, None if l == 3 else 20,
                                             10000.0)
        outputs.append(x)
    close(np.concatenate(outputs, 1), wanted)


def test_fused_as_the_reference(rng):
    inputs = cut(rnope_swa.example(rng, np.float32), 1)
    weights = (inputs[name][0] for name in ("Wq", "Wk", "Wv", "Wo"))
    assert rnope_swa.layer.check(inputs["x"], *weights, inputs["seg"], 4, 2, 20, 10000.0)
