"""Mechanisms as GPU kernels, on the emulated GPU."""

import warnings

import numpy as np
import pytest

import attn_mlir as attn
from attn_mlir import zoo

TARGET = "cuda:sm_80,emulate"


def difference(actual, expected):
    """The largest difference, beside the largest number; NaN and infinities are to be the same."""
    actual, expected = (np.asarray(x) * 1.0 for x in (actual, expected))
    assert actual.shape == expected.shape
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    return abs(actual[finite] - expected[finite]).max(initial=0) / max(1, abs(expected[finite]).max(initial=0))


def get_name(value):
    return f"{value.number:03d}" if isinstance(value, zoo.Entry) else value.split(":")[1].split(",")[0]


# All of them in warps of NVIDIA and in waves of AMD; a sample with waves of 32 lanes.
EVERYWHERE = [(entry, target) for target in (TARGET, "hip:gfx942,emulate") for entry in zoo.entries()]
SAMPLE = [(zoo.find(number), "hip:gfx1100,emulate") for number in (2, 16, 51, 83)]


@pytest.mark.parametrize("entry, target", EVERYWHERE + SAMPLE, ids=get_name)
def test_kernels_of_a_mechanism_give_what_the_cpu_gives(entry, target):
    inputs = entry.module.example(np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(a thread computes each row instead|the host waits for it here)")
        found = entry.run(target=target, **inputs)
    for name, value in entry.run(**inputs).items():
        assert difference(found[name], value) < 1e-11, name


def test_kernels_without_tiles_warn():
    ordered = attn.jit(lambda q: attn.topk(q @ q.mT, 17)[0], cache=False)
    with attn.use_target(TARGET), pytest.warns(UserWarning, match="'attn.top' op keeps the best 17 entries of a row"):
        ordered(np.ones((1, 1, 5, 4), np.float32))


def test_targets_belong_to_functions_or_to_a_with_statement():
    x = np.arange(5.0)
    double = attn.jit(lambda x: x * 2)
    double(x)
    with attn.use_target(TARGET):
        np.testing.assert_array_equal(double(x), x * 2)
    assert double.num_compiled == 2
    np.testing.assert_array_equal(attn.jit(lambda x: x * 2, target=TARGET)(x), x * 2)
    with pytest.raises(attn.CompileError, match="a target is cpu, cuda: and one of sm_80"):
        attn.jit(lambda x: x * 2, target="cuda:sm_10")(x)
    with pytest.raises(ValueError, match="the arrays are on the host, where programs for target 'cuda:sm_80' do not run"):
        attn.jit(lambda x: x * 2, target="cuda:sm_80")(x)
