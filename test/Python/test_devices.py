"""Arrays on devices of CUDA and HIP, of PyTorch and CuPy by stand-ins, on drivers
that are stubs: their memory is that of the host, and their kernels are functions
of NumPy."""

import ctypes
import os
import pathlib
import sys
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "test/Runtime/Inputs"))

import attn_mlir as attn  # noqa: E402
from stub_driver import StubDriver  # noqa: E402

LIBRARIES = pathlib.Path(attn.__file__).parents[2] / "lib"
CUDA, HIP = 2, 10
STUBS = {CUDA: LIBRARIES / "libRuntimeTestsStubDriver.so", HIP: LIBRARIES / "libRuntimeTestsStubHip.so"}
if not STUBS[HIP].exists():
    pytest.skip("the stubs of drivers are not built", allow_module_level=True)
os.environ["ATTN_CUDA_DRIVER"], os.environ["ATTN_HIP_DRIVER"] = map(str, STUBS.values())

torch = pytest.importorskip("torch")


# ===----------------------------------------------------------------------===
# Memory of the device, and arrays there
# ===----------------------------------------------------------------------===


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [("data", ctypes.c_void_p), ("kind", ctypes.c_int), ("number", ctypes.c_int), ("rank", ctypes.c_int),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("offset", ctypes.c_uint64)]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


CODES = {"f": 2, "i": 0, "u": 1, "b": 6}
NEW_CAPSULE = ctypes.pythonapi.PyCapsule_New
NEW_CAPSULE.restype, NEW_CAPSULE.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
KEPT = []  # what is behind capsules


class Machine:
    """A stub, with memory that its devices take for their own."""

    def __init__(self, kind=CUDA):
        self.kind = kind
        self.runtime = ctypes.CDLL(str(LIBRARIES / "libattn_runtime.so"))
        self.driver = StubDriver(STUBS[kind])
        # A stream per device, and one more of device 0.
        self.streams = [self.make_stream(number) for number in (0, 1, 2, 3, 4, 5, 0)]

    def make_stream(self, number):
        library, context, stream = ctypes.CDLL(str(STUBS[self.kind])), ctypes.c_void_p(), ctypes.c_void_p()
        if self.kind == HIP:
            assert library.hipInit(0) == 0 and library.hipStreamCreateWithFlags(ctypes.byref(stream), 0) == 0
            return stream.value
        assert library.cuInit(0) == 0
        assert library.cuDevicePrimaryCtxRetain(ctypes.byref(context), number) == 0
        assert library.cuCtxPushCurrent_v2(context) == 0
        assert library.cuStreamCreate(ctypes.byref(stream), 0) == 0
        assert library.cuCtxPopCurrent_v2(ctypes.byref(context)) == 0
        return stream.value

    def allocate(self, shape, dtype, device):
        size = max(int(np.prod(shape)), 1) * np.dtype(dtype).itemsize
        data = ctypes.c_void_p()
        status = self.runtime.attn_memory_allocate(Device(self.kind, device), ctypes.c_size_t(size), ctypes.byref(data))
        assert status == 0
        return data.value

    def get_elements(self, data, shape, dtype):
        host = self.driver.functions.get_host(data)
        size = max(int(np.prod(shape)), 1) * np.dtype(dtype).itemsize
        return np.frombuffer((ctypes.c_char * size).from_address(host), dtype)[:int(np.prod(shape))].reshape(shape)


class Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("number", ctypes.c_int)]


@pytest.fixture(scope="module")
def machine():
    return Machine()


def make_array_type(machine, waits):
    class ndarray:
        """An array of a library that speaks DLPack."""

        __module__ = "cupy"

        def __init__(self, shape, dtype, device):
            self.shape, self.dtype, self.number = tuple(shape), np.dtype(dtype), device
            self.data = machine.allocate(shape, dtype, device)

        @property
        def elements(self):
            return machine.get_elements(self.data, self.shape, self.dtype)

        def get(self):
            return self.elements.copy()

        def __dlpack_device__(self):
            return machine.kind, self.number

        def __dlpack__(self, *, stream=None):
            waits.append(stream)
            rank = len(self.shape)
            shape = (ctypes.c_int64 * max(rank, 1))(*self.shape)
            tensor = Tensor(self.data, machine.kind, self.number, rank, CODES[self.dtype.kind], 8 * self.dtype.itemsize, 1, shape,
                            None, 0)
            KEPT.append((Managed(tensor, None, None), shape, self))
            return NEW_CAPSULE(ctypes.addressof(KEPT[-1][0]), b"dltensor", None)

    return ndarray


@pytest.fixture(scope="module")
def hip_machine():
    return Machine(HIP)


@pytest.fixture
def cupy(machine, monkeypatch):
    yield from make_cupy(machine, monkeypatch)


@pytest.fixture
def hip_cupy(hip_machine, monkeypatch):
    yield from make_cupy(hip_machine, monkeypatch)


def make_cupy(machine, monkeypatch):
    """As much of CuPy as calls need, without a GPU."""
    from attn_mlir import _devices
    module = types.ModuleType("cupy")
    module.waits, module.current = [], 0
    module.ndarray = make_array_type(machine, module.waits)

    class Current:
        def __init__(self, number):
            self.number = number

        def __enter__(self):
            self.before, module.current = module.current, self.number

        def __exit__(self, *_):
            module.current = self.before

    module.cuda = types.SimpleNamespace(
        Device=Current, get_current_stream=lambda: types.SimpleNamespace(ptr=machine.streams[module.current]))
    module.empty = lambda shape, dtype: module.ndarray(shape, dtype, module.current)

    def asarray(array, device=0):
        made = module.ndarray(array.shape, array.dtype, device)
        made.elements[...] = array
        return made

    module.asarray = asarray
    monkeypatch.setitem(sys.modules, "cupy", module)
    _devices._get_library.cache_clear()
    machine.driver.functions.reset()
    yield module
    _devices._get_library.cache_clear()


# ===----------------------------------------------------------------------===
# Calls
# ===----------------------------------------------------------------------===


def make_attention():
    @attn.jit
    def attention(q, k, v):
        return attn.softmax(q @ k.mT * 0.25, where=attn.causal) @ v
    return attention


def operands(length=33, batch=1):
    return [np.random.default_rng(i).standard_normal((batch, 2, length, 16)).astype(np.float32) for i in range(3)]


def oracle(q, k, v):
    s = np.where(np.tri(q.shape[2], dtype=bool), q @ k.swapaxes(-1, -2) * 0.25, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True) @ v


@pytest.fixture
def kernel(machine):
    return define_kernel(machine)


@pytest.fixture
def hip_kernel(hip_machine):
    return define_kernel(hip_machine)


def define_kernel(machine):
    """The kernel of `make_attention`, and how often it was launched."""
    launches = []

    def compute(arguments):
        q, k, v, o = (machine.driver.matrix(arguments, number, np.float32) for number in range(4))
        o[...] = oracle(q, k, v)
        launches.append(q.shape)

    machine.driver.define("attention_stream0", compute)
    return launches


def test_results_are_where_the_arguments_are(cupy, kernel, machine):
    attention = make_attention()
    for length in (33, 50, 33):
        arrays = operands(length)
        o = attention(*(cupy.asarray(x) for x in arrays))
        assert isinstance(o, cupy.ndarray) and o.shape == arrays[0].shape and o.number == 0
        np.testing.assert_allclose(o.elements, oracle(*arrays), atol=1e-6)
    assert attention.num_compiled == 1 and len(kernel) == 3
    # Nothing but the current stream has anything to do with it.
    launch = machine.driver.functions.get_launch(0).contents
    assert launch.name == b"attention_stream0" and launch.stream == machine.streams[0]
    assert set(cupy.waits) == {-1} and not machine.driver.functions.count_calls(b"cuStreamSynchronize")


def test_each_device_has_the_code_of_its_architecture(cupy, kernel):
    attention = make_attention()
    arrays = operands()
    for device, count in ((0, 1), (1, 2), (0, 2), (5, 2)):  # 1 and 5 are sm_80
        o = attention(*(cupy.asarray(x, device) for x in arrays))
        assert o.number == device and attention.num_compiled == count
        np.testing.assert_allclose(o.elements, oracle(*arrays), atol=1e-6)


def test_arrays_of_the_host_that_a_function_closes_over_are_copied_once(cupy, machine):
    slopes = np.array([1.0, 2.0], np.float32)[::-1]  # a view with a stride below zero

    @attn.jit
    def scaled(x):
        return x * slopes[:, None]

    x = np.ones((2, 5), np.float32)
    for _ in range(3):
        scaled(cupy.asarray(x))
    assert machine.driver.functions.count_calls(b"cuMemcpyAsync") == 1
    with pytest.raises(RuntimeError, match="on CUDA device 1"):
        machine.driver.functions.fail(b"cuMemAlloc_v2", 2, 1)
        scaled(cupy.asarray(x, 1))


def test_what_is_closed_over_may_be_a_number_or_have_gaps(cupy, machine):
    class Wrapped:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __dlpack__(self, **_):
            return self.array.__dlpack__()

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = cupy.asarray(np.ones((2, 5), np.float32))
    number, table = np.array(2.0, np.float32), torch.arange(20.0).reshape(4, 5)
    attn.jit(lambda x: x * number)(x)
    attn.jit(lambda x: x * attn.asarray(table[::2]))(x)
    wrapped = Wrapped(np.ones((4, 5), np.float32)[::2])
    with pytest.raises(ValueError, match="is copied to a device, for which it must be contiguous"):
        attn.jit(lambda x: x * attn.asarray(wrapped))(x)


def test_check_compares_what_the_device_computed(cupy, kernel, machine):
    attention = make_attention()
    arrays = [cupy.asarray(x) for x in operands()]
    assert attention.check(*arrays)
    machine.driver.define("attention_stream0", lambda arguments: None)
    assert not attention.check(*arrays)


def test_plans_and_times_of_a_device(cupy, kernel):
    attention = make_attention()
    arrays = [cupy.asarray(x) for x in operands()]
    assert "one sweep" in str(attention.plan(*arrays)) or "sweep" in str(attention.plan(*arrays))
    assert "attn.softmax" in attention.lower(*arrays)
    assert attention.benchmark(*arrays, seconds=0.01).median > 0


def test_a_library_without_streams_is_waited_for(machine, kernel, monkeypatch):
    """What speaks DLPack alone: the default stream waits for its work, and the call
    for the device."""
    waits = []
    ndarray = make_array_type(machine, waits)
    ndarray.__module__ = "unheard_of"
    arrays, made = operands(), []
    for x in arrays:
        made.append(ndarray(x.shape, x.dtype, 0))
        made[-1].elements[...] = x
    before = machine.driver.functions.count_calls(b"cuStreamSynchronize")
    o = make_attention()(*made)
    assert o.__dlpack_device__() == (2, 0) and set(waits) == {1}
    assert machine.driver.functions.count_calls(b"cuStreamSynchronize") == before + 1
    with pytest.raises(TypeError, match="are not copied to the host for a check"):
        make_attention().check(*made)


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device of CUDA, with its elements there."""

    __module__ = "torch"
    _on_device = None

    device = property(lambda self: torch.device("cuda", 0))

    def __dlpack__(self, *, stream=None):
        assert stream == -1
        return self._on_device.__dlpack__(stream=stream)

    def cpu(self):
        return torch.from_numpy(self._on_device.get())

    def detach(self):
        return self


@pytest.fixture
def on_device(cupy, machine, monkeypatch):
    return make_torch(cupy, machine, monkeypatch)


@pytest.fixture
def on_hip_device(hip_cupy, hip_machine, monkeypatch):
    """PyTorch has the names of CUDA for them."""
    monkeypatch.setattr(torch.version, "hip", "6.2")
    return make_torch(hip_cupy, hip_machine, monkeypatch)


def make_torch(cupy, machine, monkeypatch):
    """Makes tensors of PyTorch on a device, as far as this package looks."""
    def move(array):
        tensor = torch.from_numpy(np.array(array)).as_subclass(OnDevice)
        tensor._on_device = cupy.asarray(array)
        return tensor

    empty = torch.empty

    def allocate(shape, *, dtype, device="cpu"):
        return move(empty(shape, dtype=dtype).numpy()) if torch.device(device).type == "cuda" else \
            empty(shape, dtype=dtype)

    monkeypatch.setattr(torch, "empty", allocate)
    monkeypatch.setattr(torch.cuda, "current_stream",
                        lambda device=None: types.SimpleNamespace(cuda_stream=machine.streams[6]))
    return move


def test_torch_works_on_its_current_stream(on_device, kernel, machine):
    arrays = operands()
    attention = make_attention()
    tensors = [on_device(x) for x in arrays]
    o = attention(*tensors)
    assert isinstance(o, torch.Tensor) and o.device.type == "cuda"
    np.testing.assert_allclose(o._on_device.elements, oracle(*arrays), atol=1e-6)
    assert machine.driver.functions.get_launch(0).contents.stream == machine.streams[6]
    assert attention.check(*tensors)


def test_flex_attention_on_a_device(on_device, machine):
    from attn_mlir.torch import flex_attention
    launches = []
    machine.driver.define("flex_stream0", lambda arguments: launches.append(1))
    q, k, v = (on_device(x) for x in operands())
    o = flex_attention(q, k, v, lambda score, b, h, i, j: torch.where(i >= j, score, -float("inf")))
    assert o.device.type == "cuda" and launches == [1]


def test_meta_kernels_know_the_device():
    from attn_mlir.torch import custom_op
    from torch._subclasses import FakeTensorMode
    op = custom_op(make_attention(), "attn_test::on_device")
    with FakeTensorMode(allow_non_fake_inputs=True):
        q = torch.empty(1, 2, 33, 16, device="cuda:1")
        assert op(q, q, q).device == torch.device("cuda:1")


# ===----------------------------------------------------------------------===
# HIP
# ===----------------------------------------------------------------------===


def test_hip_devices_have_the_code_of_their_chip(hip_cupy, hip_kernel, hip_machine):
    attention = make_attention()
    arrays = operands()
    for device, count in ((0, 1), (1, 2), (2, 3), (0, 3)):  # gfx942, gfx90a, gfx1100
        o = attention(*(hip_cupy.asarray(x, device) for x in arrays))
        assert o.__dlpack_device__() == (HIP, device) and attention.num_compiled == count
        np.testing.assert_allclose(o.elements, oracle(*arrays), atol=1e-6)
    assert set(hip_cupy.waits) == {-1} and len(hip_kernel) == 4
    assert attention.check(*(hip_cupy.asarray(x) for x in arrays))
    assert hip_machine.driver.count("depth") == hip_machine.driver.count("error") == 0


def test_torch_for_hip(on_hip_device, hip_kernel, hip_machine):
    arrays = operands()
    tensors = [on_hip_device(x) for x in arrays]
    for target in (None, "hip", "hip:gfx942"):
        with attn.use_target(target):
            o = make_attention()(*tensors)
        assert o.device.type == "cuda"
        np.testing.assert_allclose(o._on_device.elements, oracle(*arrays), atol=1e-6)
    assert hip_machine.driver.functions.get_launch(0).contents.stream == hip_machine.streams[6]


def test_the_default_stream_of_hip_has_another_number(hip_machine, hip_kernel):
    waits = []
    ndarray = make_array_type(hip_machine, waits)
    ndarray.__module__ = "unheard_of"
    made = [ndarray(x.shape, x.dtype, 0) for x in operands()]
    make_attention()(*made)
    assert set(waits) == {0}


def test_loops_on_hip_wait_for_what_a_tensor_says(hip_cupy, hip_machine):
    repeated = attn.jit(lambda x, n: attn.fori_loop(0, n, lambda _, y: y * 2, x), cache=False)
    x, n = hip_cupy.asarray(np.ones(3, np.float32)), hip_cupy.asarray(np.array(3))
    with pytest.warns(UserWarning, match="the host waits for it here"):
        repeated(x, n)
    assert hip_machine.driver.functions.count_calls(b"hipStreamSynchronize") == 1
    hip_machine.driver.functions.fail(b"hipStreamSynchronize", 1, 900)
    with pytest.raises(RuntimeError, match="'program' waits for HIP device 0 where sizes or bounds depend on data, "
                                           "so that graphs cannot capture it"):
        repeated(x, n)


def test_what_does_not_run_on_hip(hip_cupy, cupy, hip_machine):
    attention = make_attention()
    arrays = [hip_cupy.asarray(x) for x in operands()]
    for target in ("cpu", "cuda", "cuda:sm_90"):
        with attn.use_target(target), pytest.raises(ValueError, match="on HIP device 0, where programs for target .* "
                                                                      "do not run: name no target, or 'hip'"):
            attention(*arrays)
    with pytest.raises(ValueError, match="'q' is on HIP device 0, and 'k' on CUDA device 0"):
        attention(arrays[0], cupy.asarray(operands()[1]), arrays[2])
    with pytest.raises(attn.CompileError, match="there are no kernels for Stub 3, a gfx1030: there are some for gfx90a, "
                                                "gfx942, gfx1100, gfx1201"):
        attention(*(hip_cupy.asarray(x, 3) for x in operands()))
    # Of a chip that is another one, the runtime says so.
    with attn.use_target("hip:gfx90a"), pytest.raises(RuntimeError, match="cannot run on HIP device 0 .Stub 0, gfx942.: "
                                                                          "it has a code object for gfx90a"):
        attention(*arrays)


# ===----------------------------------------------------------------------===
# What goes wrong
# ===----------------------------------------------------------------------===


def test_arrays_in_two_places(cupy):
    arrays = operands()
    moved = [cupy.asarray(x) for x in arrays]
    attention = make_attention()
    with pytest.raises(ValueError, match="'q' is on CUDA device 0, and 'k' on the host: the arrays of a call are all "
                                         "in one place"):
        attention(moved[0], arrays[1], moved[2])
    with pytest.raises(ValueError, match="'q' is on CUDA device 0, and 'v' on CUDA device 1"):
        attention(moved[0], moved[1], cupy.asarray(arrays[2], 1))


def test_targets_that_do_not_run_there(cupy):
    attention = make_attention()
    arrays = operands()
    moved = [cupy.asarray(x) for x in arrays]
    with attn.use_target("cpu"), pytest.raises(ValueError, match="on CUDA device 0, where programs for target 'cpu' do "
                                                                 "not run"):
        attention(*moved)
    for target in ("cuda", "cuda:sm_90"):
        with attn.use_target(target), pytest.raises(ValueError, match="the arrays are on the host.*,emulate'"):
            attention(*arrays)
    with attn.use_target("hip:gfx942"), pytest.raises(ValueError, match="the arrays are on the host"):
        attention(*arrays)
    with attn.use_target("hip:gfx942"), pytest.raises(ValueError, match="on CUDA device 0, .* name no target, or 'cuda'"):
        attention(*moved)
    # Of a device with less, the driver says so.
    with attn.use_target("cuda:sm_90"), pytest.raises(RuntimeError, match="cannot run on CUDA device 1"):
        attention(*(cupy.asarray(x, 1) for x in arrays))


def test_devices_without_kernels(cupy):
    attention = make_attention()
    with pytest.raises(attn.CompileError, match="there are no kernels for Stub 3, an sm_75: sm_80 is the least"):
        attention(*(cupy.asarray(x, 3) for x in operands()))


def test_a_device_of_another_kind(cupy):
    class Elsewhere:
        shape, dtype = (1, 2, 33, 16), np.dtype(np.float32)

        def __dlpack__(self, **_):
            raise AssertionError

        def __dlpack_device__(self):
            return 14, 0

    with pytest.raises(ValueError, match="'q' is on device 0 of DLPack's type 14; programs run on the host and on CUDA and HIP"):
        make_attention()(Elsewhere(), Elsewhere(), Elsewhere())


def test_loops_as_long_as_a_tensor_says_wait_for_it(cupy, machine):
    @attn.jit(cache=False)
    def repeated(x, n):
        return attn.fori_loop(0, n, lambda _, y: y * 2, x)

    launches = []
    machine.driver.define("repeated_linalg0", lambda arguments: None)
    machine.driver.define("repeated_linalg1", lambda arguments: launches.append(1))
    x = cupy.asarray(np.ones(3, np.float32))
    with pytest.warns(UserWarning, match="the host waits for it here"):
        repeated(x, cupy.asarray(np.array(3)))
    assert len(launches) == 3 and machine.driver.functions.count_calls(b"cuStreamSynchronize") == 1
    repeated(x, cupy.asarray(np.array(5)))
    assert len(launches) == 8
    machine.driver.functions.fail(b"cuStreamSynchronize", 1, 900)
    with pytest.raises(RuntimeError, match="'repeated' waits for CUDA device 0 .* graphs cannot capture it"):
        repeated(x, cupy.asarray(np.array(3)))
    machine.driver.functions.fail(b"cuMemcpyAsync", 1, 1)
    with pytest.raises(RuntimeError, match="cuMemcpyAsync on CUDA device 0"):
        repeated(x, cupy.asarray(np.array(3)))


def test_what_the_driver_refuses(cupy, machine):
    attention = make_attention()
    moved = [cupy.asarray(x) for x in operands()]
    attention(*moved)
    machine.driver.functions.fail(b"cuLaunchKernel", 1, 1)
    with pytest.raises(RuntimeError, match="cuLaunchKernel of 'attention_stream0' on CUDA device 0"):
        attention(*moved)
    machine.driver.functions.reset()
    attention(*moved)


@pytest.mark.parametrize("kind, variable", [(CUDA, "ATTN_CUDA_DRIVER"), (HIP, "ATTN_HIP_DRIVER")])
def test_no_driver(kind, variable):
    """In a process of its own: a driver is opened once."""
    import subprocess
    code = f"""
import numpy as np, attn_mlir as attn
class Moved:
    shape, dtype = (1, 2, 33, 16), np.dtype(np.float32)
    __dlpack__ = lambda self, **_: 1 / 0
    __dlpack_device__ = lambda self: ({kind}, 0)
try:
    attn.jit(lambda q, k, v: attn.softmax(q @ k.mT) @ v)(Moved(), Moved(), Moved())
except attn.CompileError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, variable: "/nonexistent/driver.so"})
    assert done.returncode == 0 and "cannot be used: there is no driver: /nonexistent/driver.so" in done.stdout, done
