"""Virtual matrices of scores, beside the same mathematics in NumPy."""

import numpy as np
import pytest

import attn_mlir as attn

RNG = np.random.default_rng(0)
Q, K, V = (RNG.standard_normal(s) for s in ((2, 4, 9, 8), (2, 2, 11, 8), (2, 2, 11, 6)))
SLOPES = np.array([0.5, 0.25, 0.125, 0.1])
TABLE = RNG.standard_normal((4, 20))
BIAS, COLUMNS = RNG.standard_normal((1, 4, 9, 11)), RNG.standard_normal((2, 1, 1, 11))
LENGTHS = np.array([11, 4])
MIX = RNG.standard_normal((4, 4))
I, J = np.arange(9)[:, None], np.arange(11)


def scores(q, k):
    return q @ np.repeat(k, 2, 1).swapaxes(-1, -2)


def softmax(s, axis=-1):
    e = np.exp(s - s.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def values(v):
    return np.repeat(v, 2, 1)


def by_hand(q, k, v):
    s = q @ k.mT
    e = attn.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ v


def columns(q, k, v):
    p = attn.softmax(q @ k.mT)
    return p.sum(-2), p.max((-1, -2)), p.mT @ q[..., :3]


def columns_oracle(q, k, v):
    p = softmax(scores(q, k))
    return p.sum(-2), p.max((-1, -2)), p.swapaxes(-1, -2) @ q[..., :3]


# name: (compiled, NumPy, operands beyond q, k and v)
PROGRAMS = {
    "softmax attention": (lambda q, k, v: attn.softmax(q @ k.mT / 8 ** 0.5) @ v,
                          lambda q, k, v: softmax(scores(q, k) / 8 ** 0.5) @ values(v), ()),
    "softmax by hand": (by_hand, lambda q, k, v: softmax(scores(q, k)) @ values(v), ()),
    "alibi": (lambda q, k, v, m: attn.softmax(q @ k.mT - m[attn.head] * attn.abs(attn.q_idx - attn.kv_idx)) @ v,
              lambda q, k, v, m: softmax(scores(q, k) - m[:, None, None] * abs(I - J)) @ values(v), (SLOPES,)),
    "softcapping": (lambda q, k, v: attn.softmax(attn.tanh(q @ k.mT / 20) * 20) @ v,
                    lambda q, k, v: softmax(np.tanh(scores(q, k) / 20) * 20) @ values(v), ()),
    "stored biases": (lambda q, k, v, b, c: attn.softmax(q @ k.mT + b + c) @ v,
                      lambda q, k, v, b, c: softmax(scores(q, k) + b + c) @ values(v), (BIAS, COLUMNS)),
    "a table of relative positions": (
        lambda q, k, v, t: attn.softmax(q @ k.mT + t[attn.head, attn.q_idx - attn.kv_idx + 10]) @ v,
        lambda q, k, v, t: softmax(scores(q, k) + t[:, I - J + 10]) @ values(v), (TABLE,)),
    "lengths": (lambda q, k, v, n: attn.softmax(q @ k.mT, where=attn.kv_idx < n[attn.batch]) @ v,
                lambda q, k, v, n: softmax(np.where(J < n[:, None, None, None], scores(q, k), -np.inf)) @ values(v),
                (LENGTHS,)),
    "log of the sum": (lambda q, k, v, n: attn.logsumexp(q @ k.mT, where=attn.lengths(n)),
                       lambda q, k, v, n: np.log(np.where(J < n[:, None, None, None], np.exp(scores(q, k)), 0)
                                                 .sum(-1)), (LENGTHS,)),
    "a window behind an offset": (
        lambda q, k, v: attn.softmax(attn.scores(q, k, q_offset=k.shape[2] - q.shape[2]),
                                     where=attn.sliding_window(4)) @ v,
        lambda q, k, v: softmax(np.where((I + 2 >= J) & (I + 2 - J < 4), scores(q, k), -np.inf)) @ values(v), ()),
    "a mask that reads scores": (
        lambda q, k, v: attn.softmax(q @ k.mT, where=q @ k.mT > 0) @ v,
        lambda q, k, v: softmax(np.where(scores(q, k) > 0, scores(q, k), -1e300)) @ values(v), ()),
    "masks joined": (
        lambda q, k, v: attn.softmax(q @ k.mT, where=(attn.kv_idx % 3 == 0) | (attn.kv_idx < 2)
                                     & (attn.q_idx >= 0)) @ v,
        lambda q, k, v: softmax(np.where((J % 3 == 0) | (J < 2), scores(q, k), -np.inf)) @ values(v), ()),
    "sigmoid": (lambda q, k, v: attn.sigmoid(q @ k.mT) @ v,
                lambda q, k, v: 1 / (1 + np.exp(-scores(q, k))) @ values(v), ()),
    "a difference of softmaxes": (
        lambda q, k, v, l: (attn.softmax(q @ k.mT) - l * attn.softmax(2 * (q @ k.mT))) @ v,
        lambda q, k, v, l: (softmax(scores(q, k)) - l * softmax(2 * scores(q, k))) @ values(v), (np.array(0.3),)),
    "columns": (columns, columns_oracle, ()),
    "softmax over queries, stored": (lambda q, k, v: attn.materialize(attn.softmax(q @ k.mT, axis=-2)),
                                     lambda q, k, v: softmax(scores(q, k), -2), ()),
    "top k of rows": (lambda q, k, v: attn.topk(q @ k.mT, 3)[:2],
                      lambda q, k, v: (-np.sort(-scores(q, k), -1)[..., :3], np.argsort(-scores(q, k), -1)[..., :3]),
                      ()),
    "mixed heads": (lambda q, k, v, w: attn.softmax(attn.mix_heads(q @ k.mT, w)) @ v,
                    lambda q, k, v, w: softmax(np.einsum("gh,bhij->bgij", w, scores(q, k))) @ values(v), (MIX,)),
    "side by side": (lambda q, k, v: attn.softmax(attn.concatenate([q @ k.mT, (q @ k.mT) * 2], -1)) @ (v, v),
                     lambda q, k, v: softmax(np.concatenate([scores(q, k), scores(q, k) * 2], -1))
                     @ np.concatenate([values(v), values(v)], 2), ()),
    "a choice between values": (lambda q, k, v: attn.where(q @ k.mT > 0, q @ k.mT, 0.1 * (q @ k.mT)) @ v,
                                lambda q, k, v: np.where(scores(q, k) > 0, scores(q, k), 0.1 * scores(q, k))
                                @ values(v), ()),
    "bins": (lambda q, k, v: attn.binned("sum", q @ k.mT, 3, attn.kv_idx // 4),
             lambda q, k, v: np.add.reduceat(scores(q, k), [0, 4, 8], -1), ()),
    "additive scores": (lambda q, k, v: attn.softmax(attn.score_with(lambda a, b, d: attn.tanh(a + b), q, k)) @ v,
                        lambda q, k, v: softmax(np.tanh(q[:, :, :, None] + values(k)[:, :, None]).sum(-1))
                        @ values(v), ()),
    "small and large numbers": (
        lambda q, k, v: (attn.softmax(q @ k.mT * 1e-5, scale=1e5) @ v,
                         attn.materialize(attn.mask(q @ k.mT * 1e-20, attn.kv_idx > 0), absent=-np.inf)),
        lambda q, k, v: (softmax(scores(q, k)) @ values(v), np.where(J > 0, scores(q, k) * 1e-20, -np.inf)), ()),
    "moments and entropy": (
        lambda q, k, v: ((q @ k.mT).mean(), (q @ k.mT).var(), attn.entropy(q @ k.mT)),
        lambda q, k, v: (scores(q, k).mean(-1), scores(q, k).var(-1),
                         -(softmax(scores(q, k)) * np.log(softmax(scores(q, k)))).sum(-1)), ()),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, same):
    function, oracle, more = PROGRAMS[name]
    same(function, oracle, Q, K, V, *more)


def causal(q, k, v):
    return attn.softmax(q @ k.mT * 0.3, where=attn.causal) @ v


def causal_oracle(q, k, v):
    s = scores(q, k) * 0.3
    seen = np.arange(s.shape[-1]) <= np.arange(s.shape[-2])[:, None]
    return softmax(np.where(seen, s, -np.inf)) @ values(v)


def test_other_batches_and_lengths_use_one_program():
    function = attn.jit(causal)
    for batch, length in ((2, 5), (3, 17), (2, 40), (7, 2)):
        q, k, v = (RNG.standard_normal((batch, h, length, 8)) for h in (4, 2, 2))
        np.testing.assert_allclose(function(q, k, v), causal_oracle(q, k, v), atol=1e-12)
    assert function.num_compiled == 1


def test_rows_without_keys_are_zero():
    q, k, v = (RNG.standard_normal((1, 2, 4, 8)) for _ in range(3))
    o = attn.jit(lambda q, k, v: attn.softmax(q @ k.mT, where=attn.q_idx > 1) @ v)(q, k, v)
    assert (o[:, :, :2] == 0).all() and np.isfinite(o).all()


def test_strided_arguments():
    q, k, v = (RNG.standard_normal((3, 9, h, 16)).swapaxes(1, 2)[..., ::2] for h in (4, 2, 2))
    np.testing.assert_allclose(attn.jit(causal)(q, k, v), causal_oracle(q, k, v), atol=1e-12)


def test_check_compares_with_the_reference():
    q, k, v = (RNG.standard_normal((2, h, 33, 8)).astype(np.float32) for h in (4, 2, 2))
    check = attn.jit(causal).check(q, k, v)
    assert check and "r0" in repr(check)


def test_lower_and_plan_are_text():
    function = attn.jit(causal)
    assert "attn.softmax" in function.lower(Q, K[:, :, :9], V[:, :, :9])
    assert "1 stream" in str(function.plan(Q, K[:, :, :9], V[:, :, :9]))
