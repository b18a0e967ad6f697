# RUN: %python %s %root %tools_dir %t
"""Packages with code for the CPU and for GPUs, on drivers that are stubs: what
computes on the host still does, and calls on a device launch the kernels of the
program that are for it, as many blocks as its sizes ask for."""

import ctypes
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
ROOT, TOOLS, WORK = map(pathlib.Path, sys.argv[1:])
WORK.mkdir(parents=True, exist_ok=True)
LIBRARIES = TOOLS.parent / "lib"
LIBRARY = LIBRARIES / "libattn_runtime.so"
CUDA, HIP = 2, 10
STUBS = {CUDA: LIBRARIES / "libRuntimeTestsStubDriver.so", HIP: LIBRARIES / "libRuntimeTestsStubHip.so"}
if not STUBS[HIP].exists() or b"__asan_init" in LIBRARY.read_bytes():
    print("skipped: there is no stub, or Python does not load libraries with sanitizers")
    sys.exit(0)
os.environ["ATTN_CUDA_DRIVER"], os.environ["ATTN_HIP_DRIVER"] = map(str, STUBS.values())

from attn_runtime import Program, Runtime, RuntimeFailure, Tensor, np  # noqa: E402

RUNTIME = Runtime(str(LIBRARY))


class Launch(ctypes.Structure):
    """StubLaunch."""

    _fields_ = [("name", ctypes.c_char * 64), ("sizes", ctypes.c_uint * 7), ("stream", ctypes.c_void_p)]


class Stub(ctypes.Structure):
    """Of StubDriver.h, as far as it is used here."""

    _fields_ = [
        ("fail", ctypes.c_void_p),
        ("reset", ctypes.CFUNCTYPE(None)),
        ("count_calls", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)),
        ("count", ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_char_p)),
        ("define", ctypes.c_void_p),
        ("get_launch", ctypes.CFUNCTYPE(ctypes.POINTER(Launch), ctypes.c_int)),
    ]


STUBBED = {kind: Stub.in_dll(ctypes.CDLL(str(path)), "attn_stub") for kind, path in STUBS.items()}


def compile_program(name, targets):
    path = WORK / f"{name}.so"
    source = ROOT / "examples" / f"{name}.mlir"
    subprocess.run([TOOLS / "attn-compile", source, f"--target={targets}", "-o", path], check=True)
    return Program(RUNTIME, str(path))


def launch_on(device, program, shapes, kind=CUDA):
    """The launches of a call on tensors of a device."""
    STUBBED[kind].reset()
    tensors, memory = [], []
    for shape, parameter in zip(shapes, program.arguments):
        array = np.empty(shape, np.dtype(f"V{parameter.bits // 8}"))
        data = ctypes.c_void_p()
        place = (ctypes.c_int * 2)(kind, device)
        where = ctypes.c_uint64.from_buffer(place)
        RUNTIME.check(RUNTIME.library.attn_memory_allocate(where, ctypes.c_size_t(array.nbytes), ctypes.byref(data)))
        memory.append((where, data))
        extents = (ctypes.c_int64 * len(shape))(*shape)
        bits = parameter.bits
        tensors.append(Tensor(data, kind, device, len(shape), parameter.code, bits, 1, extents, None, 0))
    pointers = (ctypes.POINTER(Tensor) * len(tensors))(*map(ctypes.pointer, tensors))
    results = (ctypes.c_void_p * len(program.results))()
    count = ctypes.c_size_t(len(tensors))
    RUNTIME.check(
        RUNTIME.library.attn_function_call_new(
            program.function, None, pointers, count, results, ctypes.c_size_t(len(results)), None
        )
    )
    launches = []
    while launch := STUBBED[kind].get_launch(len(launches)):
        launches.append((launch.contents.name.decode(), list(launch.contents.sizes)))
    for where, data in memory:
        RUNTIME.library.attn_memory_release(where, data)
    return launches


def fails_on(device, program, shapes, kind=CUDA):
    """The sentence of a call that fails on a device."""
    try:
        launch_on(device, program, shapes, kind)
    except RuntimeFailure as failure:
        return str(failure)
    raise SystemExit(f"device {device} of type {kind} took the program")


q, kv = (2, 8, 70, 64), (2, 2, 70, 64)
program = compile_program("causal-gqa", "cpu,cuda:sm_80,hip:gfx942,hip:gfx1100,cuda:sm_90")
generator = np.random.default_rng(1)
arrays = [generator.standard_normal(shape, np.float32) for shape in (q, kv, kv)]
one = program.call(arrays)["o"]
alone = compile_program("causal-gqa", "cpu").call(arrays)["o"]
assert (one == alone).all(), "the CPU gives other numbers beside a GPU"
for device in (0, 1, 4):  # sm_90, sm_80, and PTX on sm_120
    launches = launch_on(device, program, (q, kv, kv))
    assert [name for name, _ in launches] == ["attention_stream0"], launches
    # Groups of 4 heads have 280 rows, in blocks of 64.
    assert launches[0][1][:6] == [2 * 2 * 5, 1, 1, 128, 1, 1], launches
assert "cannot run on CUDA device 3" in fails_on(3, program, (q, kv, kv))
# Each of AMD's has host code of its own, as blocks differ: tiles are smaller where waves have 32 lanes.
sizes = [launch_on(device, program, (q, kv, kv), HIP) for device in (0, 2)]
assert [name for (name, _), in sizes] == 2 * ["attention_stream0"], sizes
assert sizes[0][0][1][6] > sizes[1][0][1][6] > 0, sizes
for device, chip in ((1, "gfx90a"), (3, "gfx1030"), (4, "gfx1201")):
    said = fails_on(device, program, (q, kv, kv), HIP)
    assert f"HIP device {device} (Stub {device}, {chip}): it has a code object for gfx942, a code object for gfx1100; " \
        "compile it with --target=hip: for this device" in said, said

# The driver holds code objects against the device: all of them are what they say.
program = compile_program("slot-attention", "hip:gfx90a,hip:gfx942,hip:gfx1100,hip:gfx1201")
for device in (0, 1, 2, 4):
    assert launch_on(device, program, ((1, 4, 7, 64), (1, 4, 200, 64), (1, 4, 200, 64)), HIP)
assert STUBBED[HIP].count(b"depth") == STUBBED[HIP].count(b"error") == 0
program.close()

# Constants and buffers are on the device; nothing of a call is left.
program = compile_program("rope", "cuda:sm_80")
shapes = ((1, 8, 33, 80), (1, 2, 33, 80), (1, 2, 33, 80), (1, 33))
before = STUBBED[CUDA].count(b"blocks")
launches = launch_on(1, program, shapes)
assert len(launches) == 2 and STUBBED[CUDA].count_calls(b"cuMemcpyHtoD_v2") == 1, launches
# The result, which was not given back, and the constant.
assert STUBBED[CUDA].count(b"blocks") == before + 2, STUBBED[CUDA].count(b"blocks") - before
try:
    program.call([np.zeros(shape, np.float32) for shape in shapes[:3]] + [np.zeros(shapes[3], np.int32)])
    raise SystemExit("a GPU's program ran on the host")
except RuntimeFailure as failure:
    assert "compiled for CUDA" in str(failure), failure

# Deallocation that compares addresses, on the host.
program = compile_program("qk-normalised", "cuda:sm_80")
shape = (1, 4, 20, 64)
launches = launch_on(1, program, (shape, shape, shape, (4,)))
assert launches[-1][0] == "attention_stream0" and len(launches) == 7, launches
assert STUBBED[CUDA].count(b"depth") == 0
