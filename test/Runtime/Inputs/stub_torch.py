"""PyTorch on a device of the stub driver, as far as attn-bench uses it: tensors
are NumPy arrays of what is behind their addresses."""

import contextlib
import ctypes
import sys
import types
from types import SimpleNamespace

import numpy as np
from attention import attend

from attn_bench.problems import to_float32
from attn_bench.runtime import Managed

get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class Tensor:
    device = "cuda:0"

    def __init__(self, array, address=None):
        self.array, self.address = array, address

    def float(self):
        return Tensor(self.array.astype(np.float32))

    def cpu(self):
        return self

    def numpy(self):
        return self.array

    def __matmul__(self, other):
        return self


class StubTorch:
    """Installs itself as `torch`; `calls` are the names of what was called, in
    turn, and `addresses` those of the operands."""

    def __init__(self, driver):
        self.driver, self.backend = driver, None
        self.calls, self.addresses, self.error = [], set(), {}
        self.install()

    def from_dlpack(self, capsule):
        managed = ctypes.cast(get_pointer(capsule, b"dltensor"), ctypes.POINTER(Managed))
        tensor = managed.contents.tensor
        assert tensor.device.type == 2, tensor.device.type
        shape = [tensor.shape[axis] for axis in range(tensor.ndim)]
        dtype = np.dtype({2: np.float32, 4: np.uint16}[tensor.code])
        assert tensor.bits == 8 * dtype.itemsize
        place = self.driver.functions.get_host(tensor.data)
        stored = np.ndarray(shape, dtype, (ctypes.c_char * (int(np.prod(shape)) * dtype.itemsize)).from_address(place))
        result = Tensor(to_float32(stored), tensor.data)
        result.is_bf16 = tensor.code == 4
        managed.contents.deleter(managed)
        return result

    def compute(self, name, operands, mask):
        self.calls.append(name)
        self.addresses.add(tuple(x.address for x in operands))
        result = attend(*(x.array for x in operands), mask)
        result[0, 0, 0, 0] += self.error.get(name, 0)
        return Tensor(result)

    def attention(self, q, k, v, is_causal=False, enable_gqa=False, attn_mask=None):
        assert enable_gqa == (q.array.shape[1] != k.array.shape[1])
        if self.backend == "FLASH" and not q.is_bf16:
            raise RuntimeError("No available kernel. Aborting execution.\nThe type is wrong.")
        rows, keys = q.array.shape[2], k.array.shape[2]
        mask = np.tri(rows, keys, dtype=bool) if is_causal else np.ones((rows, keys), bool)
        return self.compute(self.backend, (q, k, v), mask if attn_mask is None else attn_mask)

    def flex(self, q, k, v, block_mask=None, enable_gqa=False):
        mask = np.ones((q.array.shape[2], k.array.shape[2]), bool) if block_mask is None else block_mask
        return self.compute("FLEX", (q, k, v), mask)

    @contextlib.contextmanager
    def choose(self, backend):
        """As in PyTorch, for everything in the process."""
        before, self.backend = self.backend, backend
        yield
        self.backend = before

    def make_block_mask(self, keep, batch, heads, rows, keys, device):
        i, j = np.arange(rows)[:, None], np.arange(keys)[None]
        return np.broadcast_to(keep(0, 0, i, j), (rows, keys))

    def install(self):
        nothing = lambda *_, **__: None
        backends = {"CUDNN_ATTENTION": "CUDNN", "FLASH_ATTENTION": "FLASH", "EFFICIENT_ATTENTION": "EFFICIENT"}
        names = {
            "torch": {
                "__version__": "0.stub", "version": SimpleNamespace(hip=None), "compiler": SimpleNamespace(reset=nothing),
                "cuda": SimpleNamespace(is_available=lambda: True, set_device=nothing), "set_grad_enabled": nothing,
                "from_dlpack": self.from_dlpack, "compile": lambda function, dynamic: function,
                "float32": "f32", "bfloat16": "bf16", "randn": lambda *_, **__: Tensor(None),
                "arange": lambda count, device: np.arange(count),
            },
            "torch.nn": {"functional": SimpleNamespace(scaled_dot_product_attention=self.attention)},
            "torch.nn.attention": {"SDPBackend": SimpleNamespace(**backends), "sdpa_kernel": self.choose},
            "torch.nn.attention.flex_attention": {
                "create_block_mask": self.make_block_mask, "flex_attention": self.flex,
            },
        }  # fmt: skip
        for name, contents in names.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(contents)
            parent, _, last = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], last, sys.modules[name])
