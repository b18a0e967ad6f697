import numpy as np
import pytest

import attn_mlir as attn
from attn_mlir.zoo import n070_cca as cca

from conftest import close, softmax


def rotate(x, rot, theta):
    half = rot // 2
    angle = np.arange(x.shape[2])[:, None] * theta ** (-np.arange(half) / max(half, 1))
    a, b = x[..., :half], x[..., half:rot]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle),
                           x[..., rot:]], -1)


def oracle(x, Wq, Wk, Wv1, Wv2, c1, b1, c2, b2, temp, Wo, dims, theta, eps):
    """Token by token, with what decoding keeps: z, u and the delayed half of the values."""
    Hq, Hkv, D, rot = dims
    q, k, v = [], [], []
    z_old, u_old, late = np.zeros((len(x), len(b1))), np.tile(b1, (len(x), 1)), 0 * (x[:, 0] @ Wv2)
    for t in range(x.shape[1]):
        q0, k0 = x[:, t] @ Wq, x[:, t] @ Wk
        z = np.concatenate([q0, k0], -1)
        u = c1[:, 0] * z_old + c1[:, 1] * z + b1
        heads = lambda a: a.reshape(len(x), -1, D)
        s = np.einsum("hed,bhd->bhe", c2[:, 0], heads(u_old)) + np.einsum("hed,bhd->bhe", c2[:, 1], heads(u))
        s = s + b2.reshape(-1, D)
        mq = (heads(q0) + heads(k0).repeat(Hq // Hkv, 1)) / 2
        q.append(s[:, :Hq] + mq)
        k.append(s[:, Hq:] + mq.reshape(len(x), Hkv, -1, D).mean(2))
        v.append(heads(np.concatenate([x[:, t] @ Wv1, late], -1)))
        z_old, u_old, late = z, u, x[:, t] @ Wv2
    q, k, v = (np.stack(a, 2) for a in (q, k, v))
    unit = lambda a: D ** 0.5 * a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), eps)
    q, k = rotate(unit(q), rot, theta), rotate(temp[:, None, None] * unit(k), rot, theta)
    s = q @ k.repeat(Hq // Hkv, 1).swapaxes(-1, -2) / D ** 0.5
    p = softmax(np.where(np.tri(x.shape[1], dtype=bool), s, -np.inf))
    o = p @ v.repeat(Hq // Hkv, 1)
    y = o.swapaxes(1, 2).reshape(*x.shape[:2], -1) @ Wo
    return {"y": y, "o": o, "q": q, "k": k, "v": v, "p": p}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) > 1 else x for name, x in inputs.items()})
    found = cca.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_decoding_token_by_token(rng):
    inputs = cca.example(rng)
    check(inputs)
    check({**inputs, "x": inputs["x"][:, :1]})
    check({**inputs, "dims": [4, 2, 8, 0]})
    check(cca.example(rng, np.float32), 2e-5)


def test_later_tokens_do_not_matter(rng):
    inputs = cca.example(rng)
    other = inputs["x"].copy()
    other[:, 12:] += 1
    np.testing.assert_array_equal(cca.run(**{**inputs, "x": other})["y"][:, :12], cca.run(**inputs)["y"][:, :12])


def test_lengths_of_queries_and_keys(rng):
    inputs = cca.example(rng)
    found = cca.run(**inputs)
    close(np.linalg.norm(found["q"], axis=-1), np.full((2, 4, 25), 8 ** 0.5))
    close(np.linalg.norm(found["k"], axis=-1)[0], 8 ** 0.5 * inputs["temp"][:, None].repeat(25, 1))
    p = cca.run(**{**inputs, "temp": np.zeros(2)})["p"]
    close(p[0, 0], np.tri(25) / np.arange(1, 26)[:, None])


def test_both_convolutions_are_one_over_three_tokens(rng):
    i = cca.example(rng)
    z = rng.standard_normal((2, 9, 48))
    found = attn.jit(cca.convolve)(z, i["c1"], i["b1"], i["c2"], i["b2"], 6)
    a, b = i["c1"].reshape(6, 8, 2), i["c2"]
    taps = [b[:, 0] * a[:, None, :, 0], b[:, 0] * a[:, None, :, 1] + b[:, 1] * a[:, None, :, 0],
            b[:, 1] * a[:, None, :, 1]]
    heads = np.pad(z, [(0, 0), (2, 0), (0, 0)]).reshape(2, 11, 6, 8)
    wanted = sum(np.einsum("hed,blhd->bhle", tap, heads[:, n:n + 9]) for n, tap in enumerate(taps))
    bias = np.einsum("hed,hd->he", b.sum(1), i["b1"].reshape(6, 8)) + i["b2"].reshape(6, 8)
    close(found, wanted + bias[:, None])


def test_convolutions_that_do_nothing_leave_the_coupling(rng):
    i = cca.example(rng)
    c1 = np.stack([np.zeros(48), np.ones(48)], 1)
    c2 = np.tile(np.stack([np.zeros((8, 8)), np.eye(8)]), (6, 1, 1, 1))
    found = cca.run(**{**i, "c1": c1, "c2": c2, "b1": np.zeros(48), "b2": np.zeros(48), "dims": (4, 2, 8, 0)})
    q0, k0 = ((i["x"] @ W).reshape(2, 25, -1, 8).swapaxes(1, 2) for W in (i["Wq"], i["Wk"]))
    q = q0 + (q0 + k0.repeat(2, 1)) / 2
    close(found["q"], 8 ** 0.5 * q / np.linalg.norm(q, axis=-1, keepdims=True))


@pytest.mark.parametrize("changes, text", [({"dims": (4, 2, 8, 3)}, "even"), ({"dims": (4, 2, 8, 10)}, "up to 8"),
                                           ({"dims": (2, 4, 8, 4)}, "dims"), ({"temp": [1.0]}, "dims"),
                                           ({"b2": np.ones(8)}, "b2")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        cca.run(**{**cca.example(rng), **changes})


def test_only_the_weights_that_are_asked_for_are_stored(rng):
    inputs = {**cca.example(rng), "dims": (4, 2, 8, 4)}
    assert cca.cca.lower(*inputs.values()).count("= attn.materialize") == 1
