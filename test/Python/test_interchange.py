"""Arrays of other libraries go in by DLPack, and results come back in their kind."""

import sys
import types

import numpy as np
import pytest

import attn_mlir as attn


@attn.jit
def attention(q, k, v):
    return attn.softmax(q @ k.mT * 0.25, where=attn.causal) @ v


@attn.jit
def several(q, k):
    s = q @ k.mT
    return {"lse": attn.logsumexp(s), "best": s.argmax(-1), "sees": s.max(-1) > 0, "heads": q.shape[1]}


def operands(dtype=np.float32):
    return [np.random.default_rng(0).standard_normal((2, 3, 37, 16)).astype(dtype) for _ in range(3)]




@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_jax(dtype):
    jax = pytest.importorskip("jax")
    own = [jax.numpy.asarray(x, dtype) for x in operands()]
    o = attention(*own)
    assert isinstance(o, jax.Array) and o.dtype == own[0].dtype and o.shape == own[0].shape
    want = attention(*(np.asarray(x, np.float64) for x in own))
    assert abs(np.asarray(o, np.float64) - want).max() < {"float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}[dtype]


def test_jax_beside_its_own_attention():
    jax = pytest.importorskip("jax")
    own = [jax.numpy.asarray(x) for x in operands()]
    swapped = (x.swapaxes(1, 2) for x in own)
    want = jax.nn.dot_product_attention(*swapped, scale=0.25, is_causal=True).swapaxes(1, 2)
    assert abs(attention(*own) - want).max() < 2e-6


def test_jax_results_of_all_kinds():
    jax = pytest.importorskip("jax")
    q, k, _ = map(jax.numpy.asarray, operands())
    results = several(q, k)
    assert all(isinstance(results[name], jax.Array) for name in ("lse", "best", "sees")) and results["heads"] == 3
    assert results["best"].dtype in ("int32", "int64") and results["sees"].dtype == bool
    assert (results["best"] == (q @ k.mT).argmax(-1)).all()


def test_jax_with_numpy_and_views():
    jax = pytest.importorskip("jax")
    q, k, v = operands()
    o = attention(jax.numpy.asarray(q), k, jax.numpy.asarray(v))
    assert isinstance(o, jax.Array)
    np.testing.assert_array_equal(np.asarray(o), attention(q, k, v))
    # A slice of JAX is an array of its own, one of NumPy has strides.
    o = attention(jax.numpy.asarray(q)[:, :, ::2], k[:, :, ::2], v[:, :, ::2])
    np.testing.assert_array_equal(np.asarray(o), attention(q[:, :, ::2], k[:, :, ::2], v[:, :, ::2]))


def test_what_speaks_dlpack_alone():
    class Wrapped:
        """An array of a library that this package has not heard of."""

        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    arrays = operands()
    o = attention(*map(Wrapped, arrays))
    assert isinstance(o, np.ndarray)
    np.testing.assert_array_equal(o, attention(*arrays))


def test_cupy_by_its_interface(monkeypatch):
    """The way that CuPy's arrays take, on a module that has as much of CuPy as it
    needs: arrays with DLPack, and from_dlpack."""
    cupy = types.ModuleType("cupy")

    class ndarray:
        __module__ = "cupy"

        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    cupy.ndarray, cupy.from_dlpack = ndarray, lambda x: ndarray(np.from_dlpack(x))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    arrays = operands()
    o = attention(*map(ndarray, arrays))
    assert isinstance(o, ndarray)
    np.testing.assert_array_equal(o.array, attention(*arrays))


def test_tensors_without_elements_are_named():
    torch = pytest.importorskip("torch")
    empty = torch.empty(1, 1, 4, 16, device="meta")
    with pytest.raises(TypeError, match="argument 0, a torch.Tensor, does not give access to its elements by DLPack"):
        attention(empty, empty, empty)
