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
        s, rest, mass, near = np.zeros_like(v), np.zeros_like(v), np.zeros(n.shape), np.zeros(n.shape)
        for row in np.ndindex(*n.shape):
            order = np.argsort(-np.where(seen[row], p[row], -1), kind="stable")[:n[row]]
            weighted = p[row][:, None] * v[row[:2]]
            s[row], rest[row] = weighted[order[:N]].sum(0), weighted[order[N:]].sum(0)
            mass[row] = p[row][order[:N]].sum()
            distance = np.linalg.norm(weighted - s[row], axis=-1)
            near[row] = (distance[order[:N]] < distance[order[N:]].min(initial=np.inf)).sum()
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
        results |= {"o_" + name: p @ v, "top_mass_" + name: mass,
                    "d_tilde_" + name: np.linalg.norm(rest - s, axis=-1),
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
    check({name: x[:, :, :1] if np.ndim(x) else x for name, x in inputs.items()})
    single = {name: x.astype(np.float32) if np.ndim(x) else x for name, x in inputs.items()}
    check({**single, "causal": np.bool_(False), "N": np.array(2), "T": np.array(0.5)}, 2e-5)


def one(inputs, normalizer="softmax"):
    """Of one normalizer: o, top mass, d~, N_s and entropy."""
    q, k, v, T, N, causal = inputs.values()
    return limits.selection(q, k, v, np.asarray(T, q.dtype), N, causal, normalizer)


def weights_of(l, T=1.0):
    """Softmax weights of logits [rows, n] before the temperature: of keys and values that are an identity."""
    i = np.eye(l.shape[1])[None, None]
    q = l[None, None] * l.shape[1] ** 0.5
    return np.asarray(one({"q": q, "k": i, "v": i, "T": T, "N": 1, "causal": False})[0])[0, 0]


@pytest.mark.parametrize("normalizer", ["softmax", "softplus"])
def test_nothing_left_out(inputs, normalizer):
    small = {name: x[:, :, :6] if np.ndim(x) else x for name, x in inputs.items()}
    o, mass, distance, near, _ = one({**small, "N": 7}, normalizer)
    close(mass, np.ones((2, 2, 6)))
    close(distance, np.linalg.norm(o, axis=-1))
    close(near, np.broadcast_to(np.arange(1, 7), (2, 2, 6)))


def test_of_equal_keys_the_first_are_selected(inputs):
    inputs = {**inputs, "q": 0 * inputs["q"], "causal": False}
    _, mass, distance, _, _ = one(inputs)
    close(mass, np.full((2, 2, 23), 5 / 23))
    d = np.linalg.norm(inputs["v"][:, :, 5:].sum(2) - inputs["v"][:, :, :5].sum(2), axis=-1) / 23
    close(distance, np.broadcast_to(d[..., None], (2, 2, 23)))


def test_temperature_goes_from_the_best_key_to_the_mean(inputs):
    hot, cold = one({**inputs, "T": 1e9}), one({**inputs, "T": 1e-4})
    close(hot[4], np.broadcast_to(np.log(np.arange(1, 24)), (2, 2, 23)), 1e-7)
    s = np.where(np.tri(23, dtype=bool), inputs["q"] @ inputs["k"].swapaxes(-1, -2), -np.inf)
    close(cold[0], np.take_along_axis(inputs["v"], s.argmax(-1)[..., None], 2), 1e-7)


def test_bounded_logits_make_weights_vanish_with_the_length(rng):
    for n in (8, 64):
        l = rng.uniform(-0.5, 0.5, (3, n))
        p = weights_of(l)
        close(p.sum(-1), np.ones(3))
        assert (np.exp(-1) / n <= p).all() and (p <= np.exp(1) / n).all()


@pytest.mark.parametrize("T", [0.25, 1.0])
def test_slopes_are_bounded_by_the_temperature(rng, T):
    n, step = 7, 1e-6
    for l in (T * rng.standard_normal(n), np.array([0.0, 0, *[-99.0] * (n - 2)])):
        p = weights_of(l[None], T)[0]
        jacobian = (weights_of(l + step * np.eye(n), T) - weights_of(l - step * np.eye(n), T)) / (2 * step)
        close(jacobian, (np.diag(p) - np.outer(p, p)) / T, 1e-7)
        assert abs(jacobian).max() <= 1 / (4 * T) + 1e-6 and np.linalg.norm(jacobian, 2) <= 1 / (2 * T) + 1e-6
    # Two keys that share a row attain both bounds, and two that swap it the largest distance.
    close(abs(jacobian).max(), 1 / (4 * T), 1e-6)
    p = weights_of(99 * np.eye(2), T)
    close(np.linalg.norm(p[0] - p[1]), 2 ** 0.5)


def test_an_empty_selection_is_refused(inputs):
    with pytest.raises(ValueError, match="N is at least 1, not 0"):
        limits.run(**{**inputs, "N": 0})


def test_fused_as_the_reference(inputs):
    assert limits.selection.check(inputs["q"], inputs["k"], inputs["v"], np.float64(1), 3, True, "softplus")
