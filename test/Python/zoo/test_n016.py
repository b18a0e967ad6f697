import numpy as np
import pytest

from attn_mlir.zoo import n016_rank_heads as rank_heads

from conftest import close, softmax


def oracle(x, y, Kw, Qw, Vw, bias, beta):
    k, q = x[:, None] @ Kw, y[:, None] @ Qw
    s = beta * q @ k.swapaxes(-1, -2) + bias[:, None, None]
    best = s == s.max(-1, keepdims=True)
    return {name: np.einsum("bhmn,bnd,hde->bme", p, x, Vw)
            for name, p in {"soft": softmax(s), "hard": best / best.sum(-1, keepdims=True)}.items()}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = rank_heads.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def nearest(rng, N=40, M=9, d=6, **more):
    """One head of full rank whose score is the product of x and y."""
    x, y = rng.standard_normal((1, N, d)), rng.standard_normal((1, M, d))
    one = np.eye(d)[None]
    return {"x": x / np.linalg.norm(x, axis=-1, keepdims=True), "y": y, "Kw": one, "Qw": one, "Vw": one, **more}


def test_equals_the_definition(rng):
    inputs = rank_heads.example(rng)
    check(inputs)
    check({**inputs, "Kw": inputs["Kw"][..., :1], "Qw": inputs["Qw"][..., :1], "beta": np.array(0.3)})
    wide = {name: rng.standard_normal((2, 24, 256)) for name in ("Kw", "Qw")}
    check({**inputs, **wide, "Vw": inputs["Vw"][:2], "beta": 0.01, "y": inputs["y"][:, :1]})
    check(rank_heads.example(rng, np.float32), 1e-4)


def test_identities_find_the_nearest_neighbour(rng):
    inputs = nearest(rng)
    x, y = inputs["x"][0], inputs["y"][0]
    close(rank_heads.run(**inputs)["hard"][0], x[np.linalg.norm(x - y[:, None], axis=-1).argmin(-1)])
    s = np.sort(y @ x.T)
    error = np.linalg.norm(rank_heads.run(**inputs, beta=20.0)["soft"][0] - x[(y @ x.T).argmax(-1)], axis=-1)
    assert (error <= 2 * 39 * np.exp(-20 * (s[:, -1] - s[:, -2]))).all()


def test_a_bias_finds_the_biased_nearest_neighbour(rng):
    b = 0.3 * rng.standard_normal((1, 40))
    inputs = nearest(rng, bias=b)
    x, y = inputs["x"][0], inputs["y"][0]
    distance = np.linalg.norm(x - y[:, None], axis=-1) ** 2 / 2 - b
    close(rank_heads.run(**inputs)["hard"][0], x[distance.argmin(-1)])


def test_equal_keys_share_the_weight():
    x = np.array([[[1.0, 0], [1, 0], [0, 1]]])
    one, Vw = np.eye(2)[None], np.eye(2)[None]
    x[0, 1, 1] = 0.5  # another value; the keys read the first feature alone
    K = np.array([[[1.0], [0.0]]])
    hard = rank_heads.run(x=x, y=np.array([[[1.0, 0.0]]]), Kw=K, Qw=K, Vw=Vw)["hard"]
    close(hard, [[[1.0, 0.25]]])


def test_heads_of_rank_1_vote_for_the_nearer_key(rng):
    x = np.array([[[1.0, 0, 0], [0, 1.0, 0]]])
    y = np.array([[[0.9, 0.1, 0.4]]])
    w = rng.standard_normal((2000, 3, 1))
    share = rank_heads.run(x=x, y=y, Kw=w, Qw=w, Vw=np.eye(3)[None].repeat(2000, 0))["hard"][0, 0, 0] / 2000
    difference = x[0, 0] - x[0, 1]
    angle = np.arccos(y[0, 0] @ difference / np.linalg.norm(y) / np.linalg.norm(difference))
    assert abs(share - (1 - angle / np.pi)) < 0.03


def test_scores_have_the_rank_of_their_head(rng):
    inputs = rank_heads.example(rng)
    # Sources that are an identity show weights, and so the scores but for a number per row.
    Q, one = inputs["Qw"][:1], np.eye(24)[None]
    one = {"x": one, "y": rng.standard_normal((1, 40, 24)), "Kw": inputs["Kw"][:1], "Qw": Q, "Vw": one}
    logs = np.log(rank_heads.run(**one)["soft"][0])
    assert np.linalg.matrix_rank(logs - logs.mean(-1, keepdims=True), tol=1e-8) == 3
    # Queries that move where a head does not look move nothing.
    blind = np.linalg.svd(Q[0])[0][:, 3:]
    other = {**one, "y": one["y"] + rng.standard_normal((1, 40, 21)) @ blind.T}
    close(rank_heads.run(**other)["soft"], rank_heads.run(**one)["soft"])


@pytest.mark.parametrize("hard", [False, True])
def test_fused_as_the_reference(rng, hard):
    inputs = rank_heads.example(rng, np.float32)
    operands = (inputs[name] for name in ("x", "y", "Kw", "Qw", "Vw", "bias"))
    assert rank_heads.attention.check(*operands, np.float32(2), hard)
