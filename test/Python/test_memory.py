"""At 16384 queries and keys, nothing of the size of the matrix is stored."""

import pathlib

import numpy as np
import pytest

import attn_mlir as attn
from attn_mlir import zoo

LENGTH = 16384
#: One head of the matrix in f32.
MATRIX = 4 * LENGTH * LENGTH
STATUS, CLEAR = pathlib.Path("/proc/self/status"), pathlib.Path("/proc/self/clear_refs")


def resident(name):
    """A line of the process's memory, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def peak_growth(run):
    """What a call needs beyond its results."""
    CLEAR.write_text("5")
    before = resident("VmRSS")
    results = run()
    results = results.values() if isinstance(results, dict) else results if isinstance(results, tuple) else [results]
    return resident("VmHWM") - before - sum(np.asarray(r).nbytes for r in results)


@pytest.fixture(autouse=True)
def measurable():
    try:
        CLEAR.write_text("5")
    except OSError:
        pytest.skip("this system does not let a process reset its peak memory")


def qkv(length, heads=1, features=16):
    return np.random.default_rng(0).standard_normal((3, 1, heads, length, features), dtype=np.float32)


def test_the_measurement_sees_a_stored_matrix():
    @attn.jit
    def stored(q, k):
        p = attn.materialize(attn.softmax(q @ k.mT * 0.25))
        return p.max(-1)

    q, k, _ = qkv(4096)
    stored(q[:, :, :64], k[:, :, :64])
    assert peak_growth(lambda: stored(q, k)) > 4 * 4096 * 4096


def plain(q, k, v):
    return attn.softmax(q @ k.mT * 0.25, where=attn.causal) @ v


def differential(q, k, v):
    p1 = attn.softmax(q @ k.mT * 0.25, where=attn.causal)
    p2 = attn.softmax(q @ v.mT * 0.25, where=attn.causal)
    return (p1 - 0.5 * p2) @ v


def squared_relu(q, k, v):
    w = attn.mask(attn.relu(q @ k.mT * 0.25) ** 2, attn.causal)
    return (w / (w.sum(-1, keepdims=True) + 1e-6)) @ v


def window_with_sinks(q, k, v):
    where = attn.causal & (attn.sliding_window(256) | (attn.kv_idx < 4))
    return attn.softmax(q @ k.mT * 0.25, where=where) @ v


def column_sums(q, k, v):
    p = attn.softmax(q @ k.mT * 0.25, where=attn.causal)
    return p @ v, p.sum(-2)


def two_sources(q, k, v):
    s = attn.concatenate([q @ k.mT, attn.mask(q @ v.mT, attn.causal)], -1)
    return attn.softmax(s * 0.25) @ attn.concatenate([v, k], 2)


def convolved(q, k, v):
    s = attn.convolve(attn.mask(q @ k.mT * 0.25, attn.causal), np.full((1, 3, 3), 1 / 9, np.float32), (2, 1))
    return attn.softmax(s) @ v


@pytest.mark.parametrize("program", [plain, differential, squared_relu, window_with_sinks, column_sums, two_sources,
                                     convolved], ids=lambda p: p.__name__)
def test_programs(program):
    function = attn.jit(program)
    operands = qkv(LENGTH)
    function(*operands[..., :300, :])
    assert peak_growth(lambda: function(*operands)) < MATRIX / 32
    assert function.num_compiled == 1


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


#: Inputs of mechanisms, for a length.
MECHANISMS = {
    2: lambda q, k, v, n: {"q": q, "k": k, "v": v, "kv_len": np.array([n]), "g": 10.0, "causal": True},
    18: lambda q, k, v, n: {"q": q, "k": k, "v": v, "kv_len": np.array([n])},
    51: lambda q, k, v, n: {name: x.reshape(1, 1, -1, 128, 16) for name, x in zip("qkv", (q, k, v))}
    | {"window": [7, 9]},
    54: lambda q, k, v, n: {"x": q[0], "Wq": normal(1, 16, 16), "Wk": normal(16, 16), "Wv": normal(16, 16),
                            "Wo": normal(1, 16, 16)},
    60: lambda q, k, v, n: {"q": q, "k": k, "v": v, "dout": q},
    75: lambda q, k, v, n: {"q": q, "k": k, "v": v, "mask": np.ones((1, n), bool), "block": 64,
                            "rand": np.random.default_rng(0).integers(0, n // 64, (1, n // 64 - 2, 2))},
    83: lambda q, k, v, n: {"q": q, "k": k, "v": v, "block": 256},
    114: lambda q, k, v, n: {"x": q[0], "heads": 1, **{name: normal(16, 16) for name in ("wq", "wk", "wv", "wo")}},
}


@pytest.mark.parametrize("number", MECHANISMS)
def test_mechanisms(number):
    run, inputs = zoo.find(number).run, MECHANISMS[number]
    run(**inputs(*qkv(1152), 1152))
    operands = inputs(*qkv(LENGTH), LENGTH)
    assert peak_growth(lambda: run(**operands)) < MATRIX / 32
