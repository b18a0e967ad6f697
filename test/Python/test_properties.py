"""Properties that hold for all shapes: hypothesis looks for one where they do not."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attn_mlir as attn

FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None,
               suppress_health_check=list(HealthCheck))


def draw_array(shape, seed, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@FEW
@given(batch=st.integers(1, 3), group=st.integers(1, 3), heads=st.integers(1, 3), queries=st.integers(1, 40),
       keys=st.integers(1, 70), features=st.integers(1, 20), width=st.integers(1, 20), window=st.integers(1, 30),
       causal=st.booleans(), capped=st.booleans(), seed=st.integers(0, 99))
def test_attention_of_any_shape(batch, group, heads, queries, keys, features, width, window, causal, capped, seed):
    q = draw_array((batch, group * heads, queries, features), seed)
    k = draw_array((batch, group, keys, features), seed + 1)
    v = draw_array((batch, group, keys, width), seed + 2)
    length = np.random.default_rng(seed).integers(0, keys + 1, batch)

    @attn.jit(cache=False)
    def function(q, k, v, length):
        s = attn.scores(q, k, 0.5, q_offset=k.shape[2] - q.shape[2])
        s = attn.tanh(s / 3) * 3 if capped else s
        where = attn.kv_idx < length[attn.batch]
        where = where & attn.sliding_window(window) if causal else where
        return attn.softmax(s, where=where) @ v, attn.logsumexp(s, where=where)

    o, lse = function(q, k, v, length)
    s = 0.5 * np.einsum("bghid,bgjd->bghij", q.reshape(batch, group, heads, queries, features), k)
    s = np.tanh(s / 3) * 3 if capped else s
    i, j = np.arange(queries)[:, None] + keys - queries, np.arange(keys)
    seen = j < length[:, None, None, None, None]
    if causal:
        seen = seen & (j <= i) & (i - j < window)
    e = np.where(seen, np.exp(s), 0)
    total = e.sum(-1, keepdims=True)
    want = np.einsum("bghij,bgjd->bghid", e / np.where(total == 0, 1, total), v)
    np.testing.assert_allclose(o, want.reshape(o.shape), atol=1e-10)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(lse, np.log(total).reshape(lse.shape), atol=1e-10)


@FEW
@given(shape=st.lists(st.integers(0, 5), min_size=0, max_size=4), drop=st.integers(0, 4),
       ones=st.lists(st.booleans(), min_size=4, max_size=4), seed=st.integers(0, 99))
def test_broadcasting_is_that_of_numpy(shape, drop, ones, seed):
    other = [1 if one else extent for extent, one in zip(shape, ones)][min(drop, len(shape)):]
    a, b = draw_array(shape, seed), draw_array(other, seed + 1)
    got = attn.jit(lambda a, b: a * 2 - b, cache=False)(a, b)
    np.testing.assert_array_equal(got, a * 2 - b)


@FEW
@given(data=st.data(), seed=st.integers(0, 99))
def test_views_and_slices_are_those_of_numpy(data, seed):
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    x = draw_array(shape, seed)
    steps = []
    rank = len(shape)
    extents = list(shape)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["transpose", "slice", "new axis", "merge", "reverse sum"]))
        if kind == "transpose":
            order = data.draw(st.permutations(range(rank)))
            steps.append(lambda a, order=tuple(order): a.transpose(order))
            extents = [extents[i] for i in order]
        elif kind == "slice":
            axis = data.draw(st.integers(0, rank - 1))
            start = data.draw(st.integers(0, extents[axis] - 1))
            step = data.draw(st.integers(1, 3))
            key = (slice(None),) * axis + (slice(start, None, step),)
            steps.append(lambda a, key=key: a[key])
            extents[axis] = -(-(extents[axis] - start) // step)
        elif kind == "new axis" and rank < 5:
            axis = data.draw(st.integers(0, rank))
            key = (slice(None),) * axis + (None,)
            steps.append(lambda a, key=key: a[key])
            extents.insert(axis, 1)
        elif kind == "merge" and rank > 1:
            axis = data.draw(st.integers(0, rank - 2))
            extents[axis:axis + 2] = [extents[axis] * extents[axis + 1]]
            steps.append(lambda a, new=tuple(extents): a.reshape(new))
        elif kind == "reverse sum":
            axis = data.draw(st.integers(0, rank - 1))
            steps.append(lambda a, axis=axis: a - a.sum(axis, keepdims=True))
        rank = len(extents)

    def run(a):
        for step in steps:
            a = step(a)
        return a * 1.0

    np.testing.assert_allclose(attn.jit(run, cache=False)(x), run(x), atol=1e-12)


@FEW
@given(rows=st.integers(1, 9), columns=st.integers(1, 30), k=st.integers(1, 9), seed=st.integers(0, 99))
def test_selection_with_ties(rows, columns, k, seed):
    x = np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(np.float32)
    k = min(k, columns)
    values, indices, count = attn.jit(lambda x: attn.topk(x, k), cache=False)(x)
    order = np.argsort(-x, -1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, -1))
    assert (count == k).all()
