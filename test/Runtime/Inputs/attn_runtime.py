"""The runtime's C interface on NumPy arrays, for the tests next to this folder."""

import ctypes
import os

import numpy as np


class Tensor(ctypes.Structure):
    """DLTensor, with the element type as its bytes."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int),
        ("device_id", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class ManagedTensor(ctypes.Structure):
    pass


DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(ManagedTensor))
ManagedTensor._fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Parameter(ctypes.Structure):
    """attn_parameter."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("rank", ctypes.c_int),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("dims", ctypes.POINTER(ctypes.c_char_p)),
        ("is_scalar", ctypes.c_int),
        ("is_writable", ctypes.c_int),
        ("alias", ctypes.c_int),
    ]


class RuntimeFailure(Exception):
    """A status other than ATTN_OK, with its sentence."""


CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
KINDS = {0: "i", 1: "u", 2: "f", 4: "u", 6: "b", 10: "u", 12: "u"}
BFLOAT = 4


def make_tensor(array, parameter):
    """A tensor over an array, which must live as long."""
    axes = ctypes.c_int64 * max(array.ndim, 1)
    strides = [stride // array.itemsize for stride in array.strides]
    # bf16 and 8-bit floats are integers to NumPy.
    foreign = array.dtype.kind == "u" and parameter.bits == 8 * array.itemsize
    code = parameter.code if foreign else CODES[array.dtype.kind]
    bits = 8 * array.itemsize
    return Tensor(array.ctypes.data, 1, 0, array.ndim, code, bits, 1, axes(*array.shape), axes(*strides), 0)


def read_tensor(tensor):
    """A copy of a tensor."""
    dtype = np.dtype("bool" if tensor.code == 6 else f"{KINDS[tensor.code]}{tensor.bits // 8}")
    shape = [tensor.shape[axis] for axis in range(tensor.ndim)]
    strides = [tensor.strides[axis] * dtype.itemsize for axis in range(tensor.ndim)]
    if 0 in shape:
        return np.empty(shape, dtype)
    reach = sum((extent - 1) * stride for extent, stride in zip(shape, strides)) + dtype.itemsize
    buffer = (ctypes.c_char * reach).from_address(tensor.data + tensor.byte_offset)
    return np.ndarray(shape, dtype, buffer, strides=strides).copy()


class Runtime:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.attn_get_message.restype = ctypes.c_char_p
        self.library.attn_module_get_function.restype = ctypes.c_void_p
        self.library.attn_function_get_num_arguments.restype = ctypes.c_size_t
        self.library.attn_function_get_num_results.restype = ctypes.c_size_t

    def check(self, status):
        if status:
            raise RuntimeFailure(self.library.attn_get_message().decode())


class Program:
    """The first function of a compiled program."""

    def __init__(self, runtime, path):
        self.runtime = runtime
        self.module = ctypes.c_void_p()
        runtime.check(runtime.library.attn_module_load_file(os.fsencode(path), ctypes.byref(self.module)))
        library = runtime.library
        self.function = ctypes.c_void_p(library.attn_module_get_function(self.module, ctypes.c_size_t(0)))
        self.arguments = self.describe(library.attn_function_get_num_arguments, library.attn_function_get_argument)
        self.results = self.describe(library.attn_function_get_num_results, library.attn_function_get_result)

    def close(self):
        self.runtime.library.attn_module_release(self.module)

    def describe(self, count, get):
        parameters = []
        for index in range(count(self.function)):
            parameters.append(Parameter())
            self.runtime.check(get(self.function, ctypes.c_size_t(index), ctypes.byref(parameters[-1])))
        return parameters

    def pack(self, arrays):
        tensors = [make_tensor(array, parameter) for array, parameter in zip(arrays, self.arguments)]
        pointers = (ctypes.POINTER(Tensor) * max(len(tensors), 1))(*map(ctypes.pointer, tensors))
        return pointers, ctypes.c_size_t(len(arrays))

    def get_result_shapes(self, arrays):
        """Extents that the program says beforehand; -1 for those it does not."""
        shapes = []
        for index, result in enumerate(self.results):
            shape = (ctypes.c_int64 * max(result.rank, 1))()
            get = self.runtime.library.attn_function_get_result_shape
            self.runtime.check(get(self.function, *self.pack(arrays), ctypes.c_size_t(index), shape))
            shapes.append(list(shape)[: result.rank])
        return shapes

    def call(self, arrays):
        """The results by name; those that are arguments are read off them."""
        results = (ctypes.POINTER(ManagedTensor) * max(len(self.results), 1))()
        call = self.runtime.library.attn_function_call_new
        self.runtime.check(
            call(self.function, None, *self.pack(arrays), results, ctypes.c_size_t(len(self.results)), None)
        )
        values = {}
        for parameter, result in zip(self.results, results):
            name = parameter.name.decode()
            if parameter.alias >= 0:
                values[name] = arrays[parameter.alias].copy()
            else:
                values[name] = read_tensor(result.contents.tensor)
                result.contents.deleter(result)
        return values
