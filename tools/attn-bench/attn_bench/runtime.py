"""The runtime library's C interface: devices, memory, packages.

Nothing here needs the compiler or LLVM."""

import contextlib
import ctypes
import os
import pathlib
import re

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = "libattn_runtime.so"
BFLOAT = 4  # DLPack's code of types; those of NumPy are in CODES
CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
KINDS = {0: "i", 1: "u", 2: "f", BFLOAT: "u", 6: "b"}
DEVICE_TYPES = {"cuda": 2, "hip": 10}  # DLPack's


class Failure(Exception):
    """A sentence on what could not be done."""


class Refusal(Failure):
    """What the compiler says of a program, or that there is no compiler."""


class Device(ctypes.Structure):
    """DLDevice."""

    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]

    @staticmethod
    def parse(text):
        """Of a name such as cuda:0."""
        found = re.fullmatch(r"(\w+):(\d{1,4})", text)
        if not found or found[1] not in DEVICE_TYPES:
            raise ValueError(f"device '{text}' is none of {', '.join(f'{kind}:N' for kind in DEVICE_TYPES)}")
        return Device(DEVICE_TYPES[found[1]], int(found[2]))

    def kind(self):
        return next((kind for kind, number in DEVICE_TYPES.items() if number == self.type), "host")

    def name(self):
        return f"{self.kind()}:{self.id}"


HOST = Device(1, 0)


class DeviceInfo(ctypes.Structure):
    """attn_device_info, and room for what later versions add."""

    _fields_ = [("name", ctypes.c_char * 96), ("rest", ctypes.c_char * 416)]


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device", Device), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class Managed(ctypes.Structure):
    """DLManagedTensor."""


DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(Managed))
Managed._fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Parameter(ctypes.Structure):
    """attn_parameter."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("rank", ctypes.c_int), ("shape", ctypes.POINTER(ctypes.c_int64)), ("dims", ctypes.POINTER(ctypes.c_char_p)),
        ("is_scalar", ctypes.c_int), ("is_writable", ctypes.c_int), ("alias", ctypes.c_int),
    ]  # fmt: skip


class CallOptions(ctypes.Structure):
    """attn_call_options."""

    _fields_ = [("flags", ctypes.c_uint32), ("workspace", ctypes.c_void_p), ("workspace_bytes", ctypes.c_size_t)]


def make_tensor(array, code=None, bits=None, device=HOST, data=None):
    """Of an array's shape; of its own numbers, unless `data` is elsewhere."""
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    data = array.ctypes.data if data is None else data
    code = CODES[array.dtype.kind] if code is None else code
    tensor = Tensor(data, device, array.ndim, code, bits or 8 * array.itemsize, 1, shape, None, 0)
    tensor.array = array  # lives as long
    return tensor


def make_stored(array, **place):
    """The same of numbers that problems store, of which uint16 are bf16."""
    return make_tensor(array, BFLOAT if array.dtype == np.uint16 else None, **place)


def pack(tensors):
    return (ctypes.POINTER(Tensor) * max(len(tensors), 1))(*map(ctypes.pointer, tensors))


def load_library(folder):
    """That of a folder of packages, else the one beside this script."""
    folders = [folder, HERE, HERE.parent / "lib"]
    found = next((f for f in folders if f and (f / LIBRARY).exists()), None)
    try:
        # Where there is no LLVM, this part of it was carried along.
        for openmp in found.glob("libomp.so*") if found else ():
            ctypes.CDLL(str(openmp), ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(str(found / LIBRARY) if found else LIBRARY)
    except OSError as error:
        raise Failure(f"the runtime library cannot be loaded: {error}") from None
    library.attn_get_message.restype = ctypes.c_char_p
    library.attn_module_get_function.restype = ctypes.c_void_p
    library.attn_function_get_num_arguments.restype = ctypes.c_size_t
    library.attn_function_get_num_results.restype = ctypes.c_size_t
    return library


class Runtime:
    """The library, one device, and its default stream, on which PyTorch works, too."""

    def __init__(self, folder=None, device=HOST):
        self.library = load_library(folder)
        self.device, self.stream = device, None
        if device.type != HOST.type:
            info = DeviceInfo()
            if self.library.attn_device_get_info(device, ctypes.byref(info)):
                raise Failure(f"no device {device.name()}: {self.message()}")
            self.name = info.name.decode()
            self.stream = ctypes.c_void_p()
            self.check(self.library.attn_stream_wrap(device, None, ctypes.byref(self.stream)))

    def message(self):
        return self.library.attn_get_message().decode()

    def check(self, status):
        if status:
            raise Failure(self.message())

    def allocate(self, size, stack):
        """Memory of the device until the stack is closed."""
        data = ctypes.c_void_p()
        self.check(self.library.attn_memory_allocate(self.device, ctypes.c_size_t(size), ctypes.byref(data)))
        stack.callback(self.library.attn_memory_release, self.device, data)
        return data

    def copy(self, to_device, to, from_device, source, size, stream=None):
        to, source, size = ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size)
        self.check(self.library.attn_memory_copy(to_device, to, from_device, source, size, stream))

    def upload(self, array, stack):
        """Its numbers on the device; where they are."""
        array = np.asarray(array, order="C")
        data = self.allocate(array.nbytes, stack)
        self.copy(self.device, data.value, HOST, array.ctypes.data, array.nbytes)
        return data

    def read(self, tensor):
        """The numbers of a row-major tensor of the device."""
        self.check(self.library.attn_stream_synchronize(self.stream))
        dtype = np.dtype("bool" if tensor.code == 6 else f"{KINDS[tensor.code]}{tensor.bits // 8}")
        array = np.empty([tensor.shape[axis] for axis in range(tensor.ndim)], dtype)
        if array.nbytes:
            self.copy(HOST, array.ctypes.data, tensor.device, tensor.data + tensor.byte_offset, array.nbytes)
        return array

    def time(self, call, calls):
        """Seconds of a call, of so many one after the other, by events around them."""
        with contextlib.ExitStack() as stack:
            first, last = (self.create_event(stack) for _ in range(2))
            self.check(self.library.attn_event_record(first, self.stream))
            for _ in range(calls):
                call()
            self.check(self.library.attn_event_record(last, self.stream))
            self.check(self.library.attn_event_synchronize(last))
            elapsed = ctypes.c_double()
            self.check(self.library.attn_event_elapsed(first, last, ctypes.byref(elapsed)))
            return elapsed.value * 1e-3 / calls

    def create_event(self, stack):
        event = ctypes.c_void_p()
        self.check(self.library.attn_event_create(self.device, ctypes.byref(event)))
        stack.callback(self.library.attn_event_release, event)
        return event


class Program:
    """The first function of a package."""

    def __init__(self, runtime, path):
        self.runtime, library = runtime, runtime.library
        self.module = ctypes.c_void_p()
        runtime.check(library.attn_module_load_file(os.fsencode(path), ctypes.byref(self.module)))
        self.function = ctypes.c_void_p(library.attn_module_get_function(self.module, ctypes.c_size_t(0)))
        self.arguments = self.describe(library.attn_function_get_num_arguments, library.attn_function_get_argument)
        self.results = self.describe(library.attn_function_get_num_results, library.attn_function_get_result)

    def describe(self, count, get):
        parameters = []
        for index in range(count(self.function)):
            parameters.append(Parameter())
            self.runtime.check(get(self.function, ctypes.c_size_t(index), ctypes.byref(parameters[-1])))
        return parameters

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.runtime.library.attn_module_release(self.module)

    def bind(self, arguments, results, options=None):
        """A function that calls it on tensors and writes its results to others."""
        inputs, outputs = pack(arguments), pack(results)
        counts = ctypes.c_size_t(len(arguments)), ctypes.c_size_t(len(results))
        function, check = self.runtime.library.attn_function_call, self.runtime.check
        options = options and ctypes.byref(options)

        def call():
            check(function(self.function, self.runtime.stream, inputs, counts[0], outputs, counts[1], options))

        return call

    def workspace(self, arguments, stack):
        """Memory to work in for calls with these arguments."""
        size = ctypes.c_size_t()
        get = self.runtime.library.attn_function_get_workspace
        self.runtime.check(get(self.function, pack(arguments), ctypes.c_size_t(len(arguments)), ctypes.byref(size)))
        return CallOptions(0, self.runtime.allocate(size.value, stack), size.value)

    def place(self, arrays, stack):
        """Tensors with these values on the device; scalars stay on the host."""
        tensors = []
        for parameter, array in zip(self.arguments, arrays):
            array = np.asarray(array, order="C")
            place = {}
            if not parameter.is_scalar:
                place = {"device": self.runtime.device, "data": self.runtime.upload(array, stack)}
            tensors.append(make_tensor(array, parameter.code, parameter.bits, **place))
        return tensors

    def compute(self, arrays):
        """The results by name, of which those that are arguments are read there."""
        with contextlib.ExitStack() as stack:
            arguments = self.place(arrays, stack)
            results = (ctypes.POINTER(Managed) * max(len(self.results), 1))()
            counts = ctypes.c_size_t(len(arguments)), ctypes.c_size_t(len(self.results))
            self.runtime.check(
                self.runtime.library.attn_function_call_new(
                    self.function, self.runtime.stream, pack(arguments), counts[0], results, counts[1], None
                )
            )
            own = [parameter.alias < 0 for parameter in self.results]
            for result in (r for r, is_own in zip(results, own) if is_own):
                stack.callback(result.contents.deleter, result)
            tensors = [r.contents.tensor if o else arguments[p.alias] for p, r, o in zip(self.results, results, own)]
            return {p.name.decode(): self.runtime.read(t) for p, t in zip(self.results, tensors)}
