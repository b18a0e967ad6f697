"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import attn_mlir

MODULES = [name for _, name, _ in pkgutil.walk_packages(attn_mlir.__path__, "attn_mlir.") if "__main__" not in name]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
