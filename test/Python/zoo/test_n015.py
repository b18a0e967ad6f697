import numpy as np
import pytest

from attn_mlir.zoo import n015_better_attention as better

from conftest import close, softmax

NAMES = ("standard", "optimised", "efficient", "super")


def oracle(Q, K, V, Wq, bq, Wk, bk, Wv, bv, Wo, bo, Wa, ba, h):
    B, L, d = V.shape

    def attention(q, k, v):
        q, k, v = (x.reshape(B, -1, h, d // h).swapaxes(1, 2) for x in (q, k, v))
        o = softmax(q @ k.swapaxes(-1, -2) / (d // h) ** 0.5) @ v
        return o.swapaxes(1, 2).reshape(B, -1, d) @ Wo + bo

    q, k = Q @ Wq + bq, K @ Wk + bk
    mix = np.broadcast_to(Wa, (h, *Wa.shape[-2:]))[:, :L, :L]
    mixed = np.einsum("hij,bjhw->bihw", mix, V.reshape(B, L, h, -1)).reshape(B, L, d) + ba[:L, None]
    return dict(zip(NAMES, (attention(q, k, V @ Wv + bv), attention(q, k, V), attention(q, K, V),
                            attention(q, K, mixed))))


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = better.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["Q"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = better.example(rng)
    check(inputs)
    check({**inputs, "h": np.array(2)})
    check({**inputs, "Wa": rng.standard_normal((4, 50, 50))})
    check({**inputs, **{name: inputs[name][:1, :37] for name in "QKV"}})  # shorter than the context
    check({**inputs, "Q": inputs["Q"][:1, :1], "K": inputs["K"][:1, :9], "V": inputs["V"][:1, :9]})  # other queries
    check(better.example(rng, np.float32), 1e-5)


def test_one_head_needs_no_projection_of_keys_and_values(rng):
    zero = np.zeros(32)
    inputs = {**better.example(rng), "h": 1, "bq": zero, "bk": zero, "bv": zero}
    one = better.run(**inputs)["standard"]
    Wo = inputs["Wv"] @ inputs["Wo"]
    close(better.run(**{**inputs, "Wo": Wo})["optimised"], one)
    close(better.run(**{**inputs, "Wo": Wo, "Wq": inputs["Wq"] @ inputs["Wk"].T})["efficient"], one)


def test_super_without_a_mixture_is_efficient(rng):
    found = better.run(**{**better.example(rng), "Wa": np.eye(50), "ba": np.zeros(50)})
    close(found["super"], found["efficient"])


def test_weights_may_be_mixed_in_the_place_of_values(rng):
    inputs = {**better.example(rng), "Wo": np.eye(32), "bo": np.zeros(32)}
    q = (inputs["Q"] @ inputs["Wq"] + inputs["bq"]).reshape(2, 50, 4, 8).swapaxes(1, 2)
    k, v = (inputs[name].reshape(2, 50, 4, 8).swapaxes(1, 2) for name in "KV")
    p = softmax(q @ k.swapaxes(-1, -2) / 8 ** 0.5)
    o = (p @ inputs["Wa"]) @ v + (p @ inputs["ba"])[..., None]
    close(better.run(**inputs)["super"], o.swapaxes(1, 2).reshape(2, 50, 32))


def test_what_does_not_fit_is_refused(rng):
    inputs = better.example(rng)
    with pytest.raises(ValueError, match="5 heads do not divide 32 features"):
        better.run(**{**inputs, "h": 5})
    with pytest.raises(ValueError, match="50 tokens are more than a context of 40"):
        better.run(**{**inputs, "Wa": inputs["Wa"][:40, :40], "ba": inputs["ba"][:40]})


def test_an_even_mixture_gives_the_mean(rng):
    inputs = {**better.example(rng), "Wa": np.full((50, 50), 0.02), "ba": np.zeros(50)}
    mean = inputs["V"].mean(1, keepdims=True) @ inputs["Wo"] + inputs["bo"]
    close(better.run(**inputs)["super"], np.broadcast_to(mean, (2, 50, 32)))


def test_fused_as_the_reference(rng):
    inputs = better.example(rng, np.float32)
    assert better.super_attention.check(*(inputs[n] for n in ("Q", "K", "V", "Wq", "bq", "Wa", "ba", "Wo", "bo")), 4)
