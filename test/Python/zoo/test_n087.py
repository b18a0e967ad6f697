import numpy as np
import pytest

import attn_mlir as attn
from attn_mlir.zoo import n087_multi_token_attention as mta

from conftest import close, repeat_heads, softmax


def convolve(s, taps):
    """s' [i, j] = sum_ab taps[a, b] s[i - (cq - 1) + a, j - ck // 2 + b], zeros around."""
    length, (_, rows, columns) = s.shape[-1], taps.shape
    s = np.pad(s, [(0, 0), (0, 0), (rows - 1, 0), (columns // 2, columns // 2)])
    return sum(taps[:, a, b, None, None] * s[:, :, a:a + length, b:b + length]
               for a in range(rows) for b in range(columns))


def oracle(q, k, v, k_pre, w_pre, k_post, w_post, norm_g, gate_w, gate_b, flags, layer, key_keep):
    batch, heads, length, width = q.shape
    seen = np.tri(length, dtype=bool) & key_keep[:, None, None]
    s = q @ repeat_heads(k, heads).swapaxes(-1, -2) / width ** 0.5
    if flags[0]:
        s = convolve(np.where(seen, s, 0), k_pre)
    if flags[1]:
        s = np.einsum("gh,bhij->bgij", w_pre, s)
    s = np.where(seen, s, -np.inf)
    p = w = softmax(s)
    if flags[2]:
        w = np.where(seen, convolve(w, k_post), 0)
    if flags[3]:
        groups = w.reshape(batch, *w_post.shape[:2], length, length)
        w = np.einsum("bgcij,gce->bgeij", groups, w_post).reshape(w.shape)
    o = w @ repeat_heads(v, heads)
    y = o / np.sqrt((o * o).mean(-1, keepdims=True) + 1e-5) * norm_g * (0.2 + 0.6 * np.exp(-0.3 * layer))
    with np.errstate(divide="ignore"):
        lse = np.log(np.exp(s).sum(-1))
    out = y / (1 + np.exp(-(y @ gate_w + gate_b)))[..., None]
    return {"attn": o, "weights": w, "softmax": p, "lse": lse, "out": out}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) and name not in ("flags", "key_keep") else x
                       for name, x in inputs.items()})
    found = mta.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


@pytest.mark.parametrize("flags", [(1, 1, 1, 1), (1, 0, 0, 1), (0, 1, 1, 0)])
def test_equals_the_definition(rng, flags):
    inputs = {**mta.example(rng), "flags": flags}
    inputs["key_keep"][1, :3] = False  # rows that see nothing
    check(inputs)


def test_single_precision(rng):
    check(mta.example(rng, np.float32), 1e-4)


def test_kernels_of_one_tap_and_no_mix_leave_attention_as_it_is(rng):
    inputs = mta.example(rng)
    delta = np.zeros((4, 3, 5))
    delta[:, 2, 2] = 1
    plain = {**inputs, "k_pre": delta, "k_post": delta, "w_pre": np.eye(4), "w_post": np.stack([np.eye(2)] * 2)}
    found = mta.run(**plain)
    close(found["weights"], found["softmax"], 1e-12)
    close(found["attn"], mta.run(**{**inputs, "flags": (0, 0, 0, 1), "w_post": plain["w_post"]})["attn"], 1e-12)


def test_decoding_with_cached_queries_is_the_row_of_prefill(rng):
    inputs = mta.example(rng)
    wanted = mta.run(**inputs)
    parameters = [inputs[name] for name in ("k_pre", "w_pre", "k_post")]
    parameters += [mta.mix_of_groups(inputs["w_post"]), inputs["norm_g"], inputs["gate_w"], np.array(0.1)]
    depth = np.array(0.2 + 0.6 * np.exp(-0.6))
    for t in (20, 44):
        # Two kernels of three rows: four queries before.
        o, weights, p, lse, y = mta.multi_token_attention(
            inputs["q"][:, :, t - 4:t + 1], inputs["k"][:, :, :t + 1], inputs["v"][:, :, :t + 1], *parameters,
            (True,) * 4, depth, inputs["key_keep"][:, :t + 1], True)
        for name, found in {"attn": o, "out": y, "lse": lse}.items():
            close(found[:, :, -1], wanted[name][:, :, t])
        close(weights[:, :, -1], wanted["weights"][:, :, t, :t + 1])


def test_later_tokens_do_not_matter(rng):
    inputs = mta.example(rng)
    other = {**inputs, **{name: inputs[name].copy() for name in "qkv"}}
    for name in "qkv":
        other[name][:, :, 30:] += 1
    close(mta.run(**other)["out"][:, :, :30], mta.run(**inputs)["out"][:, :, :30], 1e-13)


def test_weights_are_signed_and_causal(rng):
    weights = mta.run(**mta.example(rng))["weights"]
    assert (weights < 0).any() and (np.triu(weights, 1) == 0).all()


def test_what_is_hidden_counts_as_0_before_the_convolution(rng):
    i = {**mta.example(rng), "flags": (1, 0, 0, 0)}
    s = convolve(i["q"] @ i["k"].swapaxes(-1, -2) / 4, i["k_pre"])
    seen = np.tri(45, dtype=bool) & i["key_keep"][:, None, None]
    with np.errstate(invalid="ignore"):
        leaking = softmax(np.where(seen, s, -np.inf))
    assert abs(mta.run(**i)["softmax"] - leaking).max() > 0.1


def test_shared_keys_and_other_kernels(rng):
    shapes = {"q": (1, 3, 33, 4), "k": (1, 1, 33, 4), "v": (1, 1, 33, 4), "k_pre": (3, 6, 11), "w_pre": (3, 3),
              "k_post": (3, 2, 1), "w_post": (1, 3, 3), "norm_g": (4,), "gate_w": (4,)}
    check({**{name: rng.standard_normal(shape) for name, shape in shapes.items()}, "gate_b": 0, "flags": (1, 1, 1, 1),
           "layer": 0, "key_keep": np.ones((1, 33), bool)})


@pytest.mark.parametrize("changes, text", [({"flags": (1, 2, 1, 1)}, "flags is one of 0, 1"),
                                           ({"flags": (1,)}, "4 flags"),
                                           ({"k_pre": np.ones((4, 3, 4))}, "odd"),
                                           ({"w_post": np.ones((1, 2, 2))}, "heads"),
                                           ({"key_keep": np.ones((2, 9), bool)}, "key_keep is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        mta.run(**{**mta.example(rng), **changes})


def test_without_the_stored_outputs_nothing_of_their_size_is_stored(rng):
    i = mta.example(rng)
    operands = [i[name] for name in ("q", "k", "v", "k_pre", "w_pre", "k_post")]
    operands += [mta.mix_of_groups(i["w_post"]), i["norm_g"], i["gate_w"], np.array(0.1), (True,) * 4, np.array(0.5),
                 i["key_keep"]]
    outputs = attn.jit(lambda *args: mta.multi_token_attention(*args)[::4])
    assert "nothing of size M x N is stored" in str(outputs.plan(*operands))
