"""Compares an array file with an expression of NumPy over array files.

Usage: compare.py FILE[:MEMBER] EXPRESSION, where load(FILE) loads arrays.
"""

import sys

import numpy as np

path, _, member = sys.argv[1].partition(":")
actual = np.load(path)
actual = actual[member] if member else actual
wanted = eval(sys.argv[2], {"np": np, "load": np.load})
assert actual.shape == wanted.shape, (actual.shape, wanted.shape)
assert actual.dtype == wanted.dtype, (actual.dtype, wanted.dtype)
np.testing.assert_array_equal(actual, wanted)
print("equal")
