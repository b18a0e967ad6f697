import numpy as np
import pytest

from attn_mlir.zoo import n058_normalized_attention as nap

from conftest import close


def oracle(q, k, v, gain, bias, key_mask, causal):
    length, width = q.shape[2:]
    s = q @ k.swapaxes(-1, -2)
    m = np.broadcast_to(key_mask[:, None, None, :] != 0, s.shape)
    m = m & np.tri(length, dtype=bool) if causal else m
    n = np.maximum(m.sum(-1, keepdims=True), 1)
    mean = (m * s).sum(-1, keepdims=True) / n
    c = (s - mean) * m
    std = np.sqrt((c * c).sum(-1, keepdims=True) / n)
    a = (gain[:, None, None] * c / (std + 1e-3) + bias[:, None, None]) * m
    return {"out": a @ v, "weights": a, "mean": mean[..., 0], "std": std[..., 0],
            "out_non": (m * s / width ** 0.5) @ v / length ** 0.5}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: np.asarray(x, float) for name, x in inputs.items()})
    found = nap.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = nap.example(rng)
    check(inputs)
    check({**inputs, "causal": np.array(1)})
    check({name: x[:, :, :33] if np.ndim(x) == 4 else x for name, x in inputs.items()} |
          {"key_mask": rng.integers(0, 2, (2, 33)).astype(float), "gain": inputs["gain"].tolist(), "causal": True})
    found = check(nap.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())
    assert nap.normalized_attention.check(*inputs.values())


def test_rows_without_keys_are_zero(rng):
    inputs = nap.example(rng)
    inputs["key_mask"][0] = 0
    found = check(inputs)
    assert all((x[0] == 0).all() for x in found.values())


def test_one_key_gives_the_bias(rng):
    inputs = nap.example(rng)
    inputs["key_mask"][:] = np.arange(70) == 3
    close(nap.run(**inputs)["out"][:, :, 5], inputs["bias"][:, None] * inputs["v"][:, :, 3])


def test_rows_sum_to_the_bias_and_have_signs(rng):
    inputs = nap.example(rng)
    found = nap.run(**inputs)
    close(found["weights"].sum(-1), inputs["key_mask"].sum(-1)[:, None, None] * inputs["bias"][:, None]
          + np.zeros((2, 4, 70)))
    assert (found["weights"] < 0).any()


def test_a_vector_added_to_all_keys_changes_nothing(rng):
    inputs = nap.example(rng)
    moved = {**inputs, "k": inputs["k"] + rng.standard_normal(16)}
    close(nap.run(**moved)["out"], nap.run(**inputs)["out"])


def test_equal_keys_give_the_sum_of_values(rng):
    inputs = nap.example(rng)
    inputs["k"][:] = inputs["k"][:, :, :1]
    total = (inputs["key_mask"][:, None, :, None] * inputs["v"]).sum(2, keepdims=True)
    close(nap.run(**inputs)["out"], inputs["bias"][:, None, None] * total + np.zeros((2, 4, 70, 16)))


def test_without_bias_a_row_has_the_size_of_the_gain(rng):
    inputs = {**nap.example(rng), "bias": np.zeros(4)}
    found = nap.run(**inputs)
    size = np.sqrt((found["weights"] ** 2).sum(-1) / inputs["key_mask"].sum(-1)[:, None, None])
    close(size, abs(inputs["gain"])[:, None] * found["std"] / (found["std"] + 1e-3))


def test_the_scale_of_queries_drops_out_beside_the_epsilon(rng):
    inputs = nap.example(rng)
    wanted = nap.run(**{**inputs, "q": 1e5 * inputs["q"]})["out"]
    close(nap.run(**{**inputs, "q": 1e7 * inputs["q"]})["out"], wanted, 1e-6)


def test_equals_moments_of_keys_and_values(rng):
    i = {**nap.example(rng), "key_mask": np.ones((2, 70))}
    centre = i["k"].mean(2, keepdims=True)
    k = i["k"] - centre
    variance = np.einsum("bhld,bhde,bhle->bhl", i["q"], k.swapaxes(-1, -2) @ k / 70, i["q"])
    total = i["gain"][:, None, None] / (np.sqrt(variance)[..., None] + 1e-3) * (i["q"] @ (k.swapaxes(-1, -2) @ i["v"]))
    close(nap.run(**i)["out"], total + i["bias"][:, None, None] * i["v"].sum(2, keepdims=True), 1e-8)


def test_only_the_weights_that_are_asked_for_are_stored(rng):
    assert nap.normalized_attention.lower(*nap.example(rng).values()).count("= attn.materialize") == 1


@pytest.mark.parametrize("changes, text", [({"causal": 2}, "causal is one of 0, 1"), ({"gain": np.ones(3)}, "gain"),
                                           ({"key_mask": np.ones((2, 5))}, "key_mask")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        nap.run(**{**nap.example(rng), **changes})
