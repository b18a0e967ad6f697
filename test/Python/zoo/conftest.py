"""What tests of mechanisms share."""

import pathlib

import numpy as np
import pytest

from attn_mlir import zoo


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def softmax(s, axis=-1):
    """Of rows with -inf where nothing is seen; rows of nothing are 0."""
    top = s.max(axis, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def repeat_heads(x, heads):
    """[B, G, L, D] as [B, heads, L, D]."""
    return np.repeat(x, heads // x.shape[1], 1)


def close(actual, expected, tolerance=1e-10):
    """All elements, relative to the largest."""
    expected = np.asarray(expected)
    assert np.shape(actual) == expected.shape
    finite = np.isfinite(expected)
    scale = max(1.0, abs(expected[finite]).max(initial=0))
    np.testing.assert_allclose(np.asarray(actual, float), expected.astype(float), rtol=0, atol=tolerance * scale)


def peak_growth(run):
    """Bytes that a call takes at most, results included; the test is skipped where the system does not say."""
    status, clear = pathlib.Path("/proc/self/status"), pathlib.Path("/proc/self/clear_refs")

    def resident(name):
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    try:
        clear.write_text("5")
    except OSError:
        pytest.skip("this system does not let a process reset its peak memory")
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before
