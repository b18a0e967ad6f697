"""The driver of CUDA that is a stub, from Python: its kernels are functions of NumPy."""

import ctypes

import numpy as np

KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
# Of a kernel: rows, heads, keys; then matrices, as memrefs of four axes.
SCALARS, DESCRIPTOR = 3, 11


class Launch(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 64), ("sizes", ctypes.c_uint * 7), ("stream", ctypes.c_void_p)]


class _Functions(ctypes.Structure):
    """Of StubDriver.h."""

    _fields_ = [
        ("fail", ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)),
        ("reset", ctypes.CFUNCTYPE(None)),
        ("count_calls", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)),
        ("count", ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_char_p)),
        ("define", ctypes.CFUNCTYPE(None, ctypes.c_char_p, KERNEL)),
        ("get_launch", ctypes.CFUNCTYPE(ctypes.POINTER(Launch), ctypes.c_int)),
        ("set_capturing", ctypes.CFUNCTYPE(None, ctypes.c_bool)),
        ("get_host", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)),
    ]


class StubDriver:
    """The library at a path, which ATTN_CUDA_DRIVER must name before it is used."""

    def __init__(self, path):
        self.functions = _Functions.in_dll(ctypes.CDLL(str(path)), "attn_stub")
        self.kept = {}

    def define(self, name, compute):
        """compute(arguments) is the kernel; `matrix` reads the arguments."""
        self.kept[name] = KERNEL(lambda launch, arguments: compute(arguments))
        self.functions.define(name.encode(), self.kept[name])

    def count(self, what):
        return self.functions.count(what.encode())

    def matrix(self, arguments, number, dtype):
        """A matrix among the arguments of a kernel, to read or write."""
        first = SCALARS + number * DESCRIPTOR
        read = [ctypes.cast(arguments[first + i], ctypes.POINTER(ctypes.c_int64))[0] for i in range(DESCRIPTOR)]
        dtype = np.dtype(dtype)
        shape, strides = read[3:7], [stride * dtype.itemsize for stride in read[7:]]
        reach = sum((extent - 1) * stride for extent, stride in zip(shape, strides)) + dtype.itemsize
        host = self.functions.get_host(read[1] + read[2] * dtype.itemsize)
        return np.ndarray(shape, dtype, (ctypes.c_char * reach).from_address(host), strides=strides)
