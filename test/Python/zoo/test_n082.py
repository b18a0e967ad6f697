import numpy as np
import pytest

from attn_mlir.zoo import n082_sinkformer as sinkformer

from conftest import close, softmax


def weights(s, n_it, eps, keep):
    """All half-steps on stored matrices; keep is of one batch element."""
    s = np.where(keep[:, None] & keep, s, -np.inf)
    u, f, n = np.zeros(s.shape[:-1]), np.zeros(s.shape[:-1]), keep.sum()
    for t in range(n_it):
        with np.errstate(divide="ignore"):
            lse = np.log(np.exp((s + u[..., None] + f[..., None, :]) / eps).sum(-2 if t % 2 else -1))
        step = np.where(keep, eps * (-np.log(n) - lse), 0)
        u, f = (u, f + step) if t % 2 else (u + step, f)
    return n * np.exp((s + u[..., None] + f[..., None, :]) / eps)


def oracle(q, k, v, n_it, eps, keep):
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    p = np.stack([weights(*item) for item in zip(s, [n_it] * len(s), [eps] * len(s), keep)])
    return {"out": p @ v, "p": p}


def check(inputs, tolerance=1e-10):
    found = sinkformer.run(**inputs)
    operands = {name: x.astype(float) if name in "qkv" else x for name, x in inputs.items() if name != "dout"}
    for name, wanted in oracle(**operands).items():
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted, tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = sinkformer.example(rng)
    p = check(inputs)["p"]
    close(p.sum(-1), np.ones((2, 2, 50)), 1e-12)
    padded = np.arange(50) < np.array([[50], [37]])
    found = check({**inputs, "keep": padded, "eps": np.array(0.5)})
    assert (found["out"][1, :, 37:] == 0).all() and (found["dk"][1, :, 37:] == 0).all()
    close(check({**inputs, "n_it": np.int64(4)})["p"].sum(-2), np.ones((2, 2, 50)), 1e-12)
    check(sinkformer.example(rng, np.float32), 1e-5)


def test_one_half_step_is_the_softmax(rng):
    inputs = {**sinkformer.example(rng), "n_it": 1}
    close(sinkformer.run(**inputs)["p"], softmax(inputs["q"] @ inputs["k"].swapaxes(-1, -2) / 4))


def test_gradients(rng):
    for n_it in (3, 4):
        inputs = {**sinkformer.example(rng), "n_it": n_it, "eps": 0.7}
        inputs["keep"][1, 40:] = False
        found = sinkformer.run(**inputs)
        for name in "qkv":
            step = 1e-5 * rng.standard_normal((2, 2, 50, 16))
            loss = lambda x: (oracle(**{**{n: inputs[n] for n in ("q", "k", "v", "n_it", "eps", "keep")}, name: x})
                              ["out"] * inputs["dout"]).sum()
            numeric = (loss(inputs[name] + step) - loss(inputs[name] - step)) / 2
            assert abs((found[f"d{name}"] * step).sum() - numeric) < 1e-7 * max(1e-5, abs(numeric) * 10)


def test_converges_to_doubly_stochastic_weights(rng):
    inputs = {**sinkformer.example(rng), "n_it": 31}
    close(sinkformer.run(**inputs)["p"].sum(-2), np.ones((2, 2, 50)), 1e-4)
    p = sinkformer.run(**{**inputs, "k": inputs["q"], "eps": 2.0})["p"]
    close(p, p.swapaxes(-1, -2), 1e-4)


def test_columns_get_better_and_rows_stay_exact(rng):
    errors = []
    for n_it in (1, 5, 11):
        p = sinkformer.run(**{**sinkformer.example(np.random.default_rng(0)), "n_it": n_it})["p"]
        close(p.sum(-1), np.ones((2, 2, 50)), 1e-12)
        errors.append(abs(p.sum(-2) - 1).max())
    assert errors[0] > errors[1] > errors[2]


def test_what_is_added_to_rows_and_columns_drops_out(rng):
    """Scores s_ij + r_i + c_j, by two features more; the scale keeps the others as they are."""
    inputs = {**sinkformer.example(rng), "v": rng.standard_normal((2, 2, 50, 18)),
              "dout": rng.standard_normal((2, 2, 50, 18))}
    r, c, one = rng.standard_normal((2, 2, 50, 1)), rng.standard_normal((2, 2, 50, 1)), np.ones((2, 2, 50, 1))

    def weights(n_it, r, c):
        q = np.concatenate([inputs["q"] / 4, r, one], -1) * 18 ** 0.5
        k = np.concatenate([inputs["k"], one, c], -1)
        return sinkformer.run(**{**inputs, "n_it": n_it, "q": q, "k": k})["p"]

    close(weights(1, r, 0 * c), weights(1, 0 * r, 0 * c))
    close(weights(41, r, c), weights(41, 0 * r, 0 * c), 1e-4)
    assert abs(weights(1, r, c) - weights(1, r, 0 * c)).max() > 1e-2


def test_earlier_keys_alone_become_the_identity(rng):
    """Why there is no causal form."""
    s = np.where(np.tri(8, dtype=bool), rng.standard_normal((8, 8)), -1e3)
    p = weights(s[None], 4001, 1.0, np.ones(8, bool))[0]
    assert abs(p - np.eye(8)).max() < 0.05


def test_only_the_weights_that_are_asked_for_are_stored(rng):
    inputs = {**sinkformer.example(rng), "eps": np.array(1.0)}
    assert sinkformer.sinkformer.lower(*inputs.values()).count("= attn.materialize") == 1


@pytest.mark.parametrize("changes, text", [({"n_it": -1}, "n_it is at least 0"), ({"eps": 0.0}, "eps"),
                                           ({"keep": np.ones((2, 9), bool)}, "keep is"),
                                           ({"k": np.ones((2, 1, 50, 16))}, "k is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        sinkformer.run(**{**sinkformer.example(rng), **changes})
