"""Arrays that are not scores: a subset of NumPy, compiled."""

import numpy as np
import pytest

import attn_mlir as attn

X = np.random.default_rng(1).standard_normal((3, 7, 5))
Y = np.random.default_rng(2).standard_normal((3, 7, 5))
W = np.random.default_rng(3).standard_normal((5, 4))
IMAGE = np.random.default_rng(4).standard_normal((2, 3, 6, 8))
PICKS = np.array([2, 0, 1, 1])


def positive_definite(x):
    return np.einsum("bld,bmd->blm", x, x) + np.eye(7)


def convolved(x, w, padding, dilation=1):
    padded = np.pad(x, [(0, 0), (0, 0), padding])
    length = padded.shape[2] - dilation * (w.shape[2] - 1)
    return sum(np.einsum("bcl,oc->bol", padded[:, :, i * dilation:i * dilation + length], w[:, :, i])
               for i in range(w.shape[2]))


# The same function is run on arrays of NumPy and compiled.
BOTH = {
    "arithmetic": lambda x, y: x + y * 2 - 1 / (x * x + 1),
    "integer powers": lambda x, y: x ** 2 + x ** 3 - abs(y) ** 0.5 + (x * x + 1) ** -1,
    "comparison": lambda x, y: (x < y, x >= 0, (x > 0) & (y > 0), ~(x > y)),
    "broadcasting": lambda x, y: x * y[0] + y[:, :1] - y[..., None, 0],
    "division and remainder": lambda x, y: (x // 0.3, x % 0.7, -x % 0.7),
    "functions of NumPy": lambda x, y: np.exp(x) + np.tanh(y) * np.sum(x, axis=-1, keepdims=True),
    "reductions": lambda x, y: (x.sum(), x.sum(-1), x.max(1), x.mean((0, 2)), x.var(-1, keepdims=True), x.min(0),
                                x.std(1), x.prod(-1)),
    "any and all": lambda x, y: ((x > 1).any(-1), (x > -1).all(1), (x > 0).sum(-1)),
    "index of the extremum": lambda x, y: (x.argmax(-1), x.argmin(1)),
    "reshape": lambda x, y: x.reshape(3, 7, 5, 1).reshape(21, 5).reshape(3, -1, 5) + y.transpose(0, 2, 1).reshape(3, 7, 5),
    "merging and cutting axes": lambda x, y: (x.reshape(-1), x.reshape(3, 35), x.reshape(3, 7, 5, 1)),
    "slices": lambda x, y: (x[0], x[:, 1:4], x[:, :-1, ::2], x[..., -1], x[:, None, 2], x[:, 5:], x[..., 5:]),
    "one place beside axes of one place": lambda x, y: (x[:1, :, 0] * 2, x[:1, 2:3, :][..., 1] * 2, x[:, 1:2, 0] * 2,
                                                        x[:1, 2, :1]),
    "rows at indices": lambda x, y: (x[PICKS], x[:, PICKS], x[:, PICKS, None]),
    "concatenation": lambda x, y: np.concatenate([x, y[:, :2]], 1),
    "stacking": lambda x, y: np.stack([x, y], -1),
    "selection by condition": lambda x, y: np.where(x > 0, x, 0.5 * y),
    "transposes": lambda x, y: (x.T, x.swapaxes(0, 1) + 0, np.transpose(x, (2, 0, 1))),
    "running sums": lambda x, y: np.cumsum(x, 1),
    "conversion": lambda x, y: (x.astype(int), (x > 0).astype(float), x.astype(np.float32)),
}


def test_one_place_beside_a_batch_of_one(same):
    picks = lambda x: (x[..., 0] * 2, x[:, 1] * 2, x[:, 1, :, None] * 2, x[:, :, -1] * 2)
    same(picks, picks, X[:1])


def test_slices_by_lengths_end_with_their_axes():
    cut = attn.jit(lambda x, y: x[:, :y.shape[0]] * 2)
    for length in (2, 7, 9, 3):
        np.testing.assert_array_equal(cut(X, np.ones(length)), X[:, :length] * 2)
    last = attn.jit(lambda x, y: x[:, y.shape[0] - 1] * 2)
    np.testing.assert_array_equal(last(X, np.ones(4)), X[:, 3] * 2)
    with pytest.raises(IndexError, match="index 8 is out of range for axis 1 with extent 7"):
        last(X, np.ones(9))


@pytest.mark.parametrize("name", BOTH)
def test_as_in_numpy(name, same):
    same(BOTH[name], BOTH[name], X, Y)


# Functions that are called otherwise in NumPy: (compiled, NumPy, operands).
PAIRS = {
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, (X, W)),
    "matmul with a transpose": (lambda a, b: a @ b.mT, lambda a, b: a @ b.swapaxes(-1, -2), (X, Y)),
    "einsum": (lambda a, b: attn.einsum("bld,bmd->blm", a, b), lambda a, b: np.einsum("bld,bmd->blm", a, b), (X, Y)),
    "einsum of three": (lambda a, b, c: attn.einsum("bld,bmd,de->lme", a, b, c),
                        lambda a, b, c: np.einsum("bld,bmd,de->lme", a, b, c), (X, Y, W)),
    "pad": (lambda a: attn.pad(a, [(0, 0), (2, 1), (0, 3)], 1.5),
            lambda a: np.pad(a, [(0, 0), (2, 1), (0, 3)], constant_values=1.5), (X,)),
    "sort": (lambda a: (attn.sort(a, 1), attn.argsort(a, -1, descending=True)),
             lambda a: (np.sort(a, 1), np.argsort(-a, -1, kind="stable")), (X,)),
    "top k": (lambda a: attn.topk(a, 3)[:2],
              lambda a: (-np.sort(-a, -1)[..., :3], np.argsort(-a, -1, kind="stable")[..., :3]), (X,)),
    "take along an axis": (lambda a: attn.take_along_axis(a, attn.argsort(a, 1), 1), lambda a: np.sort(a, 1), (X,)),
    "triangles": (lambda a: (attn.tril(a @ a.mT), attn.triu(a @ a.mT, 1), attn.diagonal(a @ a.mT), attn.eye(4)),
                  lambda a: (np.tril(a @ a.mT), np.triu(a @ a.mT, 1), np.einsum("bii->bi", a @ a.mT), np.eye(4)),
                  (X,)),
    "cholesky": (lambda a: attn.linalg.cholesky(a @ a.mT + attn.eye(7)),
                 lambda a: np.linalg.cholesky(positive_definite(a)), (X,)),
    "positive definite systems": (
        lambda a, b: attn.linalg.cho_solve(attn.linalg.cholesky(a @ a.mT + attn.eye(7)), b),
        lambda a, b: np.linalg.solve(positive_definite(a), b), (X, Y)),
    "triangular systems": (
        lambda a, b: attn.linalg.solve_triangular(a @ a.mT + attn.eye(7), b),
        lambda a, b: np.linalg.solve(np.tril(positive_definite(a)), b), (X, Y)),
    "qr": (lambda a: attn.linalg.qr(a)[0] @ attn.linalg.qr(a)[1], lambda a: a, (X,)),
    "dilated convolution": (lambda a, w: attn.conv(a, w, padding="same", dilation=2),
                            lambda a, w: convolved(a, w, (2, 2), 2), (X, X[:, :3, :3].repeat(3, 1)[:4, :7])),
    "depthwise causal convolution": (
        lambda a, w: attn.conv(a, w, padding="causal", groups=7),
        lambda a, w: sum(np.pad(a, [(0, 0), (0, 0), (2, 0)])[:, :, i:i + 5] * w[None, :, 0, i, None]
                         for i in range(3)), (X, Y[0, :, None, :3])),
    "strided convolution of images": (
        lambda a, w: attn.conv(a, w, stride=2, padding=1),
        lambda a, w: sum(np.einsum("bchw,oc->bohw", np.pad(a, [(0, 0), (0, 0), (1, 1), (1, 1)])
                                   [:, :, i:i + 6:2, j:j + 8:2], w[:, :, i, j]) for i in range(3) for j in range(3)),
        (IMAGE, np.random.default_rng(5).standard_normal((4, 3, 3, 3)))),
    "pooling": (lambda a: (attn.pool("max", a, 2), attn.pool("mean", a, 2)),
                lambda a: (a.reshape(2, 3, 3, 2, 4, 2).max((3, 5)), a.reshape(2, 3, 3, 2, 4, 2).mean((3, 5))),
                (IMAGE,)),
    "sums at indices": (lambda a, i: attn.scatter(attn.zeros((5, 7, 5)), i, a, 0, "sum"),
                        lambda a, i: np.stack([a[1], 0 * a[0], a[0] + a[2], 0 * a[0], 0 * a[0]]),
                        (X, np.array([2, 0, 2]))),
    "moved and repeated": (
        lambda a: (attn.flip(a, 1), attn.roll(a, 2, 1), attn.repeat(a, 2, 1), attn.tile(a, (1, 2, 1))),
        lambda a: (np.flip(a, 1), np.roll(a, 2, 1), np.repeat(a, 2, 1), np.tile(a, (1, 2, 1))), (X,)),
    "softmax of an array": (lambda a: attn.softmax(a), lambda a: np.exp(a) / np.exp(a).sum(-1, keepdims=True), (X,)),
    "layer norm": (lambda a: attn.layer_norm(a),
                   lambda a: (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5), (X,)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_beside_numpy(name, same):
    function, oracle, operands = PAIRS[name]
    same(function, oracle, *operands, tolerance=1e-8)


def test_fori_loop(same):
    def oracle(a):
        state = a
        for _ in range(5):
            state = state * 0.5 + a
        return state

    same(lambda a: attn.fori_loop(0, 5, lambda i, s: s * 0.5 + a, a), oracle, X)


def test_nothing_behind_the_end_of_an_array(same):
    same(lambda a, none: attn.concatenate([none, a, none], -1), lambda a, none: a, X[0], X[0, :, :0])


def test_what_a_loop_does_to_a_captured_array_stays_in_it(same):
    # The forms without axes of extent 1, and in the order of the axes, are made in every loop anew.
    def loops(a, row):
        for _ in range(2):
            a = attn.fori_loop(0, 2, lambda i, s: s + row + (row.T @ row).T, a)
        return a + row.T.sum()

    same(loops, lambda a, row: a + 4 * (row + row.T @ row) + row.sum(), X[0, :5], X[0, :1])


def test_scan_returns_state_and_rows(same):
    def oracle(a):
        state, rows = np.zeros_like(a[0]), []
        for row in a:
            state = state * 0.9 + row
            rows.append(state + row)
        return state, np.stack(rows)

    def step(state, row):
        state = state * 0.9 + row
        return state, state + row

    same(lambda a: attn.scan(step, attn.zeros_like(a[0]), a), oracle, X)


def test_while_loop_ends_when_data_says(same):
    def oracle(a):
        a = abs(a)
        while a.sum() < 500:
            a = a * 2
        return a

    same(lambda a: attn.while_loop(lambda s: s.sum() < 500.0, lambda s: s * 2.0, abs(a)), oracle, X)


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign, same):
    same(lambda a: attn.cond(a.sum() > 0, lambda: a * 2, lambda: a * 3),
         lambda a: a * 2 if a.sum() > 0 else a * 3, sign * abs(X))


def test_empty_extents(same):
    same(lambda a: (a * 2, a.sum(0)), lambda a: (a * 2, a.sum(0)), np.zeros((0, 4)))


def test_captured_arrays_do_not_tell_programs_apart():
    function = attn.jit(lambda a: a * np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    for length in (7, 3):
        np.testing.assert_allclose(function(X[:, :length]), X[:, :length] * [1, 2, 3, 4, 5])
    assert function.num_compiled == 1
