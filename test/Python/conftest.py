"""What tests of the package share: operands, and comparison with NumPy."""

import numpy as np
import pytest

import attn_mlir as attn


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def same():
    """same(function, oracle, *arrays): compiled, the function gives what NumPy
    gives in f64."""

    def compare(function, oracle, *arrays, tolerance=1e-10):
        got = attn.jit(function)(*arrays)
        want = oracle(*arrays)
        got = got if isinstance(got, (tuple, list)) else [got]
        want = want if isinstance(want, (tuple, list)) else [want]
        assert len(got) == len(want)
        for actual, expected in zip(got, want):
            expected = np.asarray(expected)
            assert actual.shape == expected.shape
            np.testing.assert_allclose(actual.astype(float), expected.astype(float), rtol=0, atol=tolerance)

    return compare
