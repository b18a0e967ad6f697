"""A GPU: our packages on it, what it can do, and PyTorch beside."""

import ctypes
import datetime

import numpy as np

from .measure import OURS, Prepared
from .problems import to_float32
from .runtime import DELETER, Managed, Program, Runtime, make_stored
from .torch_peers import choose_peers

PyCapsule_New = ctypes.pythonapi.PyCapsule_New
PyCapsule_New.restype = ctypes.py_object
PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


def lend(tensor):
    """A DLPack capsule. Who takes it frees its description, at a time that only
    they know, and never the tensor's memory."""
    description = Managed(tensor, None, ctypes.cast(LIBC.free, DELETER))
    size = ctypes.sizeof(description)
    place = LIBC.malloc(ctypes.c_size_t(size))
    ctypes.memmove(place, ctypes.byref(description), size)
    return PyCapsule_New(place, b"dltensor", None)


class DeviceOperands:
    """q, k, v in the device's memory, where all systems read them."""

    def __init__(self, runtime, operands, stack):
        self.device, self.stored = runtime.device, operands.stored
        self.tensors = [make_stored(x, device=self.device, data=runtime.upload(x, stack)) for x in self.stored]

    def capsules(self):
        """For other libraries."""
        return [lend(tensor) for tensor in self.tensors]


class Ours:
    name = OURS

    def __init__(self, runtime, packages):
        self.runtime, self.packages = runtime, packages

    def prepare(self, problem, operands, stack):
        program = stack.enter_context(Program(self.runtime, self.packages.files[problem]))
        poison = np.full_like(operands.stored[0], 0xFFFF if problem.type == "bf16" else np.nan)
        out = make_stored(poison, device=self.runtime.device, data=self.runtime.upload(poison, stack))
        call = program.bind(operands.tensors, [out], program.workspace(operands.tensors, stack))
        return Prepared(call, lambda: to_float32(self.runtime.read(out)))


class Limits:
    """Bytes by copying, flops by PyTorch's products of matrices."""

    ROWS = 8192
    CALLS = 4

    def __init__(self, runtime, torch, copy_bytes, stack):
        self.runtime, self.torch, self.size, self.stack = runtime, torch, copy_bytes, stack
        self.buffers, self.matrices = None, {}

    def memory(self):
        """Bytes per second, read and written."""
        if not self.buffers:
            self.buffers = [self.runtime.allocate(self.size, self.stack).value for _ in range(2)]
        device, (to, source) = self.runtime.device, self.buffers
        copy = lambda: self.runtime.copy(device, to, device, source, self.size, self.runtime.stream)
        return 2 * self.size / self.runtime.time(copy, self.CALLS)

    def arithmetic(self, type):
        """Operations per second; None if nothing measures them."""
        if not self.torch:
            return None
        if type not in self.matrices:
            dtype = {"f32": self.torch.float32, "bf16": self.torch.bfloat16}[type]
            make = lambda: self.torch.randn(self.ROWS, self.ROWS, device="cuda", dtype=dtype)
            self.matrices[type] = make(), make()
        a, b = self.matrices[type]
        return 2 * self.ROWS**3 / self.runtime.time(lambda: a @ b, self.CALLS)


class Machine:
    """A device, and PyTorch on it if it can be had, until the stack is closed."""

    def __init__(self, packages, options, stack):
        self.runtime, self.calls = Runtime(packages.folder, options.device), options.calls
        torch, peers = choose_peers(options.device, options.peers)
        self.limits = Limits(self.runtime, torch, options.copy_bytes, stack)
        self.systems = [Ours(self.runtime, packages), *peers]
        self.about = {
            "device": self.runtime.name,
            "date": str(datetime.date.today()),
            "targets": packages.targets,
            "versions": {"torch": torch.__version__} if torch else {},
        }

    def describe(self):
        """A line above tables."""
        versions = ", ".join(f"{name} {version}" for name, version in self.about["versions"].items())
        about = f"{self.about['device']}, {self.about['date']}, packages for {self.about['targets']}"
        return f"{about}; {versions or 'no peers'}; a peer's column is its time / ours"

    def place(self, operands, stack):
        return DeviceOperands(self.runtime, operands, stack)

    def limit(self, problem):
        return self.limits.memory() if problem.decodes() else self.limits.arithmetic(problem.type)

    def limit_name(self, problem):
        return "memory" if problem.decodes() else f"{problem.type} products"

    def time(self, call):
        return self.runtime.time(call, self.calls)
