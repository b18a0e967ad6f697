import numpy as np
import pytest

from attn_mlir.zoo import n061_eigen_attention as eigen

from conftest import close, repeat_heads, softmax


def split(x, d):
    return x.reshape(*x.shape[:2], -1, d).swapaxes(1, 2)


def rope(x, theta):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


def projection(features, rank):
    u = np.linalg.eigh(features.T @ features)[1][:, ::-1][:, :rank]
    return u @ u.T


def oracle(x, xc, Wq, Wk, Wv, Wo, dims, theta):
    """Ordinary attention whose keys and values are projected on the spaces of calibration."""
    hq, hkv, d, rk, rv = dims
    q, k, v = (split(x @ w, d) for w in (Wq, Wk, Wv))
    cq, ck, cv = (split(xc[None] @ w, d)[0] for w in (Wq, Wk, Wv))
    v = np.stack([v[:, g] @ projection(cv[g], rv) for g in range(hkv)], 1)
    if theta is None:
        both = [np.concatenate([ck[g], *cq.reshape(hkv, -1, *cq.shape[1:])[g]]) for g in range(hkv)]
        k = np.stack([k[:, g] @ projection(both[g], rk) for g in range(hkv)], 1)
    else:
        q, k = rope(q, theta), rope(k @ projection(ck.reshape(-1, d), rk), theta)
    s = q @ repeat_heads(k, hq).swapaxes(-1, -2) / d ** 0.5
    p = softmax(np.where(np.tri(x.shape[1], dtype=bool), s, -np.inf))
    wide = p @ repeat_heads(v, hq)
    return wide.swapaxes(1, 2).reshape(*x.shape[:2], -1) @ Wo, p, (wide ** 2).sum(-1)


def check(inputs, tolerance=1e-10):
    y, p, energy = oracle(**{n: x.astype(float) if np.ndim(x) > 1 else x for n, x in inputs.items()})
    found = eigen.run(**inputs)
    close(found["y"], y, tolerance)
    close(found["p"], p, tolerance)
    # A basis of the values is unique up to signs.
    assert found["o"].shape == (*p.shape[:3], inputs["dims"][4])
    close((found["o"] ** 2).sum(-1), energy, tolerance)
    return found


@pytest.mark.parametrize("theta", [10000.0, None])
@pytest.mark.parametrize("ranks", [(8, 8), (5, 3), (1, 7)])
def test_equals_attention_with_projected_keys_and_values(rng, ranks, theta):
    check({**eigen.example(rng), "dims": [4, 2, 8, *ranks], "theta": theta})


def test_float32(rng):
    inputs = eigen.example(rng, np.float32)
    found = check(inputs, 1e-4)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    inputs = eigen.example(rng)
    dims = (4, 2, 8, 5, 3)
    weights = eigen.calibrate(*(inputs[n] for n in ("xc", "Wq", "Wk", "Wv", "Wo")), dims, True)
    assert eigen.eigen_attention.check(inputs["x"], *weights, dims, 10000.0)


def test_full_rank_changes_nothing(rng):
    inputs = eigen.example(rng)
    other = {**inputs, "xc": rng.standard_normal((70, 32))}
    close(eigen.run(**inputs)["y"], eigen.run(**other)["y"], 1e-11)


def test_the_rank_of_a_threshold(rng):
    assert eigen.find_rank([.5, .3, .15, .05], .9) == 2


def test_errors_of_a_basis_fall_with_its_rank(rng):
    features = rng.standard_normal((60, 8)) * 0.6 ** np.arange(8)
    values = np.linalg.svd(features)[1]
    errors = []
    for rank in range(1, 9):
        u = eigen.basis(features, rank)
        errors.append(np.square(features - features @ u @ u.T).sum())
        assert abs(errors[-1] - (values[rank:] ** 2).sum()) < 1e-10
    assert (np.diff(errors) < 0).all()


def test_the_last_token_needs_narrow_caches_alone(rng):
    inputs = eigen.example(rng)
    dims = (4, 2, 8, 5, 3)
    Wq, Wk, Wv, _, uk = eigen.calibrate(*(inputs[n] for n in ("xc", "Wq", "Wk", "Wv", "Wo")), dims, True)
    kc, vc = split(inputs["x"] @ Wk, 5), split(inputs["x"] @ Wv, 3)
    q = rope(split(inputs["x"] @ Wq, 8), 10000.0)[:, :, -1:]
    s = q @ repeat_heads(rope(kc @ uk.T, 10000.0), 4).swapaxes(-1, -2) / 8 ** 0.5
    close(eigen.run(**{**inputs, "dims": dims})["o"][:, :, -1:], softmax(s) @ repeat_heads(vc, 4))


@pytest.mark.parametrize("dims", [(4, 3, 8, 8, 8), (4, 2, 8, 9, 8), (4, 2, 8, 8, 0), (4, 2, 4, 4, 4), (4, 2, 8)])
def test_dims_that_make_no_sense_are_refused(rng, dims):
    with pytest.raises(ValueError, match="heads|ranks|rv|dims"):
        eigen.run(**{**eigen.example(rng), "dims": dims})


def test_only_the_weights_that_are_asked_for_are_stored(rng):
    inputs = eigen.example(rng)
    dims = (4, 2, 8, 5, 3)
    weights = eigen.calibrate(*(inputs[n] for n in ("xc", "Wq", "Wk", "Wv", "Wo")), dims, True)
    assert eigen.eigen_attention.lower(inputs["x"], *weights, dims, 10000.0).count("= attn.materialize") == 1
