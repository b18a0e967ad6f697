import numpy as np
import pytest

import attn_mlir as attn
from attn_mlir.zoo import n057_key_driven_gqa as gqa

from conftest import close, softmax

allocate = attn.jit(gqa.allocate)


def allocate_oracle(r, heads):
    r = np.ones_like(r) if r.sum() == 0 else r
    c = np.rint(r / r.sum() * heads).astype(int)
    while c.sum() > heads:
        c[c.argmax()] -= 1
    while c.sum() < heads:
        c[c.argmin()] += 1
    return c


def attention(q, k, v, counts):
    places = np.repeat(np.arange(len(counts)), counts)
    return softmax(q @ k[:, places].swapaxes(-1, -2) / q.shape[-1] ** 0.5) @ v[:, places]


def oracle(q, k, v, noise=None):
    n = np.sqrt((k * k).sum((2, 3))).sum(0)
    r = np.ones_like(n) if n.max() == n.min() else (n - n.min()) / (n.max() - n.min())
    counts = allocate_oracle(r, q.shape[1])
    return {"o": attention(q, k, v, counts), "counts": counts}


def check(inputs, tolerance=1e-10):
    found, wanted = gqa.run(**inputs), oracle(**{name: x.astype(float) for name, x in inputs.items()})
    assert found["counts"].dtype == np.int64 and (found["counts"] == wanted["counts"]).all()
    close(found["o"], wanted["o"], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = gqa.example(rng)
    check(inputs)
    check({**inputs, "k": rng.standard_normal((2, 5, 9, 8)), "v": rng.standard_normal((2, 5, 9, 8))})
    check({**inputs, "q": inputs["q"][:, :3, :4]})
    assert check(gqa.example(rng, np.float32), 1e-5)["o"].dtype == np.float32
    assert gqa.kdgqa.check(*(inputs[name] for name in "qkv"))


@pytest.mark.parametrize("r, heads, counts", [([0, .5, 1], 8, [0, 3, 5]), ([0, 1, 1], 5, [1, 2, 2]),
                                              ([1, 1, 1], 8, [2, 3, 3]), ([0, 0], 4, [2, 2]),
                                              ([0, np.nan, 1], 3, [1, 1, 1]), ([1, np.inf], 4, [2, 2])])
def test_allocation(r, heads, counts):
    assert allocate(np.array(r, float), heads).tolist() == counts


def test_equal_norms_are_ordinary_grouped_queries(rng):
    inputs = gqa.example(rng)
    k = np.repeat(inputs["k"][:, :1], 2, 1)
    found = gqa.run(q=inputs["q"], k=k, v=inputs["v"][:, :2])
    assert found["counts"].tolist() == [4, 4]
    close(found["o"], attention(inputs["q"], k, inputs["v"][:, :2], [4, 4]))


def test_the_scale_of_keys_changes_no_counts_and_the_longest_serve_most(rng):
    inputs = gqa.example(rng)
    counts = gqa.run(**inputs)["counts"]
    assert (gqa.run(**{**inputs, "k": inputs["k"] * 3})["counts"] == counts).all()
    assert counts.sum() == 8 and counts.argmax() == 2


def test_dgqa_deals_by_the_change_of_norms(rng):
    q, k, v, _ = gqa.example(rng).values()
    o, counts, n = gqa.dgqa(q, k, v, np.zeros(3))
    assert (counts == allocate_oracle(n, 8)).all()
    close(o, attention(q, k, v, counts))
    assert (gqa.dgqa(q, k * [[[1]], [[2]], [[1]]], v, n)[1] == [0, 8, 0]).all()


def test_pgqa_leaves_heads_with_mean_zero(rng):
    q, k, v, noise = gqa.example(rng).values()
    o = gqa.pgqa(q, k[:, :2], v[:, :2], noise[:4])
    close(o.mean((2, 3)), np.zeros((2, 8)))
    assert abs(o).max() > 0.1


def test_dgqa_with_a_moving_average(rng):
    q, k, v, _ = gqa.example(rng).values()
    state = np.array([3.0, 0.0, 40.0])
    o, counts, n = gqa.dgqa(q, k, v, state, "ema")
    assert (counts == allocate_oracle(0.9 * n + 0.1 * state, 8)).all()
    close(o, attention(q, k, v, counts))
    with pytest.raises(ValueError, match="'diff', 'ema'"):
        gqa.dgqa(q, k, v, state, "mean")


def test_one_head_of_one_token_and_fewer_query_heads(rng):
    check({name: rng.standard_normal((1, 1, 1, 1)) for name in "qkv"})
    with pytest.raises(ValueError, match="3 key heads are more than 2 query heads"):
        gqa.run(**{**gqa.example(rng), "q": np.ones((2, 2, 21, 8))})


def test_the_weakest_head_may_serve_none(rng):
    q, k, v, _ = gqa.example(rng).values()
    assert gqa.run(q=q, k=k * [[[1e-3]], [[1]], [[1]]], v=v)["counts"][0] == 0
