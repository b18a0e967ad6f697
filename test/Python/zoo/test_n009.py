import numpy as np
import pytest

from attn_mlir.zoo import n009_normalizer_limits as limits

from conftest import close, softmax

SCALAR = {"softplus": lambda l: np.log1p(np.exp(l)), "sigmoid_norm": lambda l: 1 / (1 + np.exp(-l)),
          "exp_inv_sqrt": lambda l: np.exp(-np.sqrt(1 + np.exp(-l)))}


def oracle(q, k, v, T, N, causal):
    l = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5 / T
    seen = np.tri(*l.shape[2:], dtype=bool) | np.full(l.shape, not causal)
    n = seen.sum(-1)
    results = {}
    for name in limits.NORMALIZERS:
        if name in SCALAR:
            p = np.where(seen, SCALAR[name](l), 0)
            p /= p.sum(-1, keepdims=True)
        else:
            factor = 0.43 * np.log(n)[..., None] if name.startswith("scalable") else 1
            p = softmax(np.where(seen, factor * l, -np.inf))
        o, s, mass, near = p @ v, np.zeros_like(v), np.zeros(n.shape), np.zeros(n.shape)
        for row in np.ndindex(*n.shape):
            order = np.argsort(-np.where(seen[row], p[row], -1), kind="stable")[:n[row]]
            weighted = p[row][:, None] * v[row[:2]]
            s[row] = weighted[order[:N]].sum(0)
            mass[row] = p[row][order[:N]].sum()
            distance = np.linalg.norm(weighted - s[row], axis=-1)
            near[row] = (distance[order[:N]] < distance[order[N:]].min(initial=np.inf)).sum()
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
        results |= {"o_" + name: o, "top_mass_" + name: mass, "d_tilde_" + name: np.linalg.norm(o - 2 * s, axis=-1),
                    "n_sep_" + name: near, "entropy_" + name: entropy}
    return results


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = limits.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        if name.startswith("n_sep") and tolerance > 1e-9:
            # Two distances may be as close as rounding.
            assert (found[name] != wanted[name]).mean() < 0.01
        else:
            close(found[name], wanted[name], tolerance)


@pytest.fixture
def inputs(rng):
    return {name: x[:, :2, :23] if np.ndim(x) else x for name, x in limits.example(rng).items()}


def test_equals_the_definition(inputs):
    check(inputs)
    check({**inputs, "causal": np.bool_(False), "N": np.array(2), "T": np.array(0.5)})
    check({name: x.astype(np.float32) if np.ndim(x) else x for name, x in inputs.items()}, 2e-5)


def test_nothing_left_out(inputs):
    found = limits.run(**{**inputs, "N": 23})
    for name in limits.NORMALIZERS:
        close(found["top_mass_" + name], np.ones((2, 2, 23)))
        close(found["d_tilde_" + name], np.linalg.norm(found["o_" + name], axis=-1))
        close(found["n_sep_" + name], np.broadcast_to(np.arange(1, 24), (2, 2, 23)))


def test_temperature_goes_from_the_best_key_to_the_mean(inputs):
    hot, cold = limits.run(**{**inputs, "T": 1e9}), limits.run(**{**inputs, "T": 1e-4})
    close(hot["entropy_softmax"], np.broadcast_to(np.log(np.arange(1, 24)), (2, 2, 23)), 1e-7)
    s = np.where(np.tri(23, dtype=bool), inputs["q"] @ inputs["k"].swapaxes(-1, -2), -np.inf)
    close(cold["o_softmax"], np.take_along_axis(inputs["v"], s.argmax(-1)[..., None], 2), 1e-7)


def test_bounded_logits_make_weights_vanish_with_the_length(inputs):
    bound = abs(inputs["q"] @ inputs["k"].swapaxes(-1, -2)).max() / 4
    mass = limits.run(**{**inputs, "N": 1, "causal": False})["top_mass_softmax"]
    assert (np.exp(-2 * bound) / 23 <= mass).all() and (mass <= np.exp(2 * bound) / 23).all()


def test_fused_as_the_reference(inputs):
    assert limits.selection.check(inputs["q"], inputs["k"], inputs["v"], np.float64(1), 3, True, "softplus")
