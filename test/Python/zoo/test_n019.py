import numpy as np
import pytest

from attn_mlir.zoo import n019_goat as goat

from conftest import close, peak_growth, repeat_heads, softmax

ARGUMENTS = ("q", "k", "v", "lam_sym", "lam_asym", "freq", "u", "gain", "bump", "slope", "gate_scale", "gate_bias")


def oracle(q, k, v, lam_sym, lam_asym, freq, u, gain, bump, slope, gate_scale, gate_bias, causal, gate, off):
    """With the prior as a matrix that is added."""
    Hq, Dc = q.shape[1], q.shape[3] - 2 * len(freq) - 1
    p, p_j = off + np.arange(q.shape[2]), off + np.arange(k.shape[2])
    angle = (p[:, None] - p_j)[..., None] * freq
    kappa = np.cos(angle) @ lam_sym.T + np.sin(angle) @ lam_asym.T
    U = gain[:, None] * u + bump[:, None] * (p_j == 0) + causal * slope[:, None] * p_j
    K = np.moveaxis(kappa, -1, 0) + U[:, None]
    K = np.repeat(K, Hq // len(K), 0)[None]
    content = q[..., :Dc]
    if gate:
        x = gate_bias[:, None] - gate_scale[:, None] * np.linalg.norm(content, axis=-1)
        K = K / (1 + np.exp(-x))[..., None]
    s = content @ repeat_heads(k[..., :Dc], Hq).swapaxes(-1, -2) / Dc ** 0.5 + K
    seen = np.tri(*s.shape[2:], dtype=bool) | (not causal)
    return softmax(np.where(seen, s, -np.inf)) @ repeat_heads(v, Hq)


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = goat.run(**inputs)["o"]
    assert found.dtype == inputs["v"].dtype
    close(found, wanted, tolerance)


def test_spare_columns_equal_an_added_prior(rng):
    inputs = goat.example(rng)
    check(inputs)
    check({**inputs, "gate": np.bool_(True), "off": np.array(5)})
    check({**inputs, "causal": False, "gate": True, "q": inputs["q"][:, :, :33]})
    check({**inputs, **{name: inputs[name][:1, :, :1] for name in "qkv"}, "u": inputs["u"][:1]})
    check(goat.example(rng, np.float32), 1e-4)


def test_without_a_prior_it_is_attention_on_the_content(rng):
    zero = {name: 0 * x for name, x in goat.example(rng).items() if name in ARGUMENTS[3:] and name != "freq"}
    inputs = {**goat.example(rng), **zero}
    q, k = inputs["q"][..., :17], repeat_heads(inputs["k"], 4)[..., :17]
    s = np.where(np.tri(70, dtype=bool), q @ k.swapaxes(-1, -2) / 17 ** 0.5, -np.inf)
    close(goat.run(**inputs)["o"], softmax(s) @ repeat_heads(inputs["v"], 4))


def test_a_slope_alone_is_alibi(rng):
    zero = {name: 0 * x for name, x in goat.example(rng).items() if name in ARGUMENTS[3:9]}
    inputs = {**goat.example(rng), **zero}
    q, k = inputs["q"][..., :17], repeat_heads(inputs["k"], 4)[..., :17]
    s = q @ k.swapaxes(-1, -2) / 17 ** 0.5
    s = s - np.repeat(inputs["slope"], 2)[:, None, None] * (np.arange(70)[:, None] - np.arange(70))
    close(goat.run(**inputs)["o"], softmax(np.where(np.tri(70, dtype=bool), s, -np.inf))
          @ repeat_heads(inputs["v"], 4))


def test_what_cannot_matter(rng):
    inputs = goat.example(rng)
    wanted = goat.run(**inputs)["o"]
    other = inputs["q"].copy()
    other[..., 17:] = 99
    close(goat.run(**{**inputs, "q": other})["o"], wanted)
    other = inputs["k"].copy()
    other[..., 17:] = 99
    close(goat.run(**{**inputs, "k": other})["o"], wanted)
    close(goat.run(**{**inputs, "u": inputs["u"] + 3.0})["o"], wanted)


def test_a_large_bump_is_a_sink(rng):
    inputs = goat.example(rng)
    o = goat.run(**{**inputs, "bump": np.array([1e3, 1e3])})["o"]
    close(o, np.broadcast_to(repeat_heads(inputs["v"], 4)[:, :, :1], o.shape))


def test_decoding_equals_prefill(rng):
    inputs = {**goat.example(rng), "gate": True, "off": 5}
    wanted = goat.run(**inputs)["o"]
    operands = [inputs[name] for name in ARGUMENTS]
    for t in (1, 40, 69):
        row = [x[:, :, t:t + 1] if name == "q" else x[:, :, :t + 1] if name in "kv" else x[:t + 1] if name == "u" else x
               for name, x in zip(ARGUMENTS, operands)]
        close(goat.goat(*row, np.array(5), True, True, start=t), wanted[:, :, t:t + 1])


def test_weights_attain_the_optimum_of_transport(rng):
    inputs = goat.example(rng)
    inputs = {**inputs, **{name: inputs[name][:, :, :24] for name in "qk"}, "u": inputs["u"][:24], "causal": False}
    # Values of the identity show the weights, queries of zeros the prior.
    inputs["v"] = np.broadcast_to(np.eye(24), (2, 2, 24, 24)).copy()
    p = goat.run(**inputs)["o"]
    prior = goat.run(**{**inputs, "q": 0 * inputs["q"]})["o"]
    s = inputs["q"][..., :17] @ repeat_heads(inputs["k"], 4)[..., :17].swapaxes(-1, -2) / 17 ** 0.5
    value = (p * (np.log(p / prior) - s)).sum(-1)
    close(value, -np.log((prior * np.exp(s)).sum(-1)))
    other = softmax(np.log(p) + 0.1 * rng.standard_normal(p.shape))
    assert ((other * (np.log(other / prior) - s)).sum(-1) > value).all()


def test_fused_as_the_reference(rng):
    inputs = goat.example(rng, np.float32)
    assert goat.goat.check(*(inputs[name] for name in ARGUMENTS), np.int64(0), True, True)


def test_no_matrix_of_priors_is_stored(rng):
    inputs = goat.example(rng)
    goat.run(**inputs)
    large = {name: np.concatenate([inputs[name]] * 20, 2) for name in "qkv"}
    growth = peak_growth(lambda: goat.run(**{**inputs, **large, "u": rng.standard_normal(1400)}))
    assert growth < 2 * 4 * 1400 * 1400 * 8 / 4


def test_a_prior_that_fills_all_columns_is_refused(rng):
    inputs = goat.example(rng)
    with pytest.raises(ValueError, match="the prior of 3 frequencies leaves none of 7 columns"):
        goat.run(**{**inputs, **{name: inputs[name][..., :7] for name in "qkv"}})
