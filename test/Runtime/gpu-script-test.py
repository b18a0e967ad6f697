# RUN: %python %s %root %tools_dir %t
"""bench/gpu.py on a driver that is a stub, whose kernels are NumPy: what is right
passes, what is wrong is named and makes the exit code 1."""

import ctypes
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT, TOOLS, WORK = map(pathlib.Path, sys.argv[1:])
LIBRARIES = TOOLS.parent / "lib"
STUB = LIBRARIES / "libRuntimeTestsStubDriver.so"
if not STUB.exists() or b"__asan_init" in (LIBRARIES / "libattn_runtime.so").read_bytes():
    print("skipped: there is no stub, or Python does not load libraries with sanitizers")
    sys.exit(0)

import numpy as np  # noqa: E402

shutil.rmtree(WORK, ignore_errors=True)
FOLDER = WORK / "packages"
prepare = [sys.executable, ROOT / "bench/gpu.py", "prepare", FOLDER, "--tools", TOOLS, "--targets=cuda:sm_90"]
done = subprocess.run(
    [*prepare, "--examples", "causal-gqa", "--length", "60", "--features", "16"], capture_output=True, text=True, check=True
)
assert "1 of 1: causal-gqa" in done.stderr and "full bf16 B8 H32/4 M1 N60 D16" in done.stderr, done.stderr
done = subprocess.run([*prepare, "--examples", "nothing"], capture_output=True, text=True)
assert done.returncode == 1 and "examples/ has no nothing" in done.stderr, done

# Where there is no driver.
nothing = {**os.environ, "ATTN_CUDA_DRIVER": "/nonexistent/libcuda.so"}
done = subprocess.run([sys.executable, FOLDER / "gpu.py", "run"], capture_output=True, text=True, env=nothing)
assert done.returncode == 1 and "no GPU 0: there is no driver of CUDA, or it has no GPU" in done.stderr, done
done = subprocess.run([sys.executable, ROOT / "bench/gpu.py", "run", WORK], capture_output=True, text=True)
assert done.returncode == 1 and "was not made by 'gpu.py prepare'" in done.stderr, done

os.environ["ATTN_CUDA_DRIVER"] = str(STUB)
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))


class Stub(ctypes.Structure):
    """Of StubDriver.h, as far as it is used here."""

    _fields_ = [
        ("fail", ctypes.c_void_p),
        ("reset", ctypes.c_void_p),
        ("count_calls", ctypes.c_void_p),
        ("count", ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_char_p)),
        ("define", ctypes.CFUNCTYPE(None, ctypes.c_char_p, KERNEL)),
        ("get_launch", ctypes.c_void_p),
        ("set_capturing", ctypes.c_void_p),
        ("get_host", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)),
    ]


STUBBED = Stub.in_dll(ctypes.CDLL(str(STUB)), "attn_stub")
SCALARS, DESCRIPTOR = 3, 11  # of the kernel: rows, heads, keys; then matrices
planted = 0.0


def read(arguments, index):
    return ctypes.cast(arguments[index], ctypes.POINTER(ctypes.c_int64))[0]


def matrix(arguments, number, dtype):
    """An argument of the kernel, a memref of four axes."""
    first = SCALARS + number * DESCRIPTOR
    shape = [read(arguments, first + 3 + axis) for axis in range(4)]
    count = int(np.prod(shape)) * dtype.itemsize
    host = STUBBED.get_host(read(arguments, first + 1))
    return np.frombuffer((ctypes.c_char * count).from_address(host), dtype).reshape(shape)


def compute(_, arguments):
    """Softmax attention, causal for the example and for every second problem."""
    q = matrix(arguments, 0, np.dtype(current["dtype"]))
    if q.shape[2] == 1:
        return  # decoding: two kernels, which do nothing here
    k, v, out = (matrix(arguments, number, np.dtype(current["dtype"])) for number in (1, 2, 3))
    wide = gpu.widen if current["dtype"] == "uint16" else lambda x, _: x.astype(np.float64)
    parameter = gpu.Parameter(code=gpu.BFLOAT, bits=16)
    q, k, v = (wide(x, parameter) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, group, axis=1) for x in (k, v))
    s = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    if current["causal"]:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    o = (p / p.sum(-1, keepdims=True)) @ v
    o[0, 0, 7, 3] += planted
    out[...] = current["bench"].to_bf16(o.astype(np.float32)) if current["dtype"] == "uint16" else o


KEPT = KERNEL(compute)
spec = importlib.util.spec_from_file_location("gpu", FOLDER / "gpu.py")
gpu = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gpu)
current = {"dtype": "float32", "causal": True}
load_bench, check_example, measure = gpu.load_bench, gpu.check_example, gpu.measure


def follow(bench_path):
    current["bench"] = load_bench(bench_path)
    return current["bench"]


def follow_example(*args):
    STUBBED.define(b"attention_stream0", KEPT)
    current.update(dtype="float32", causal=True)
    return check_example(*args)


def follow_problem(*args):
    problem = args[-1]
    current.update(dtype="uint16", causal=problem.mask == "causal")
    return measure(*args)


gpu.load_bench, gpu.check_example, gpu.measure = follow, follow_example, follow_problem


def run(*options):
    report = WORK / "report.json"
    sys.argv = ["gpu.py", "run", str(FOLDER), "--rounds", "2", "--calls", "1", "--copy-bytes", "4096", "--json", str(report), *options]
    code = gpu.main()
    return code, json.loads(report.read_text())


code, report = run("--check-only")
assert code == 0 and [row["fault"] for row in report["checks"]] == [None], report
assert not report["speeds"]

# A wrong element is found, and where nothing computes.
planted = 1e-4
code, report = run("--check-only")
assert code == 1 and "is above" in report["checks"][0]["fault"], report
planted = 0.0
code, report = run()
full, causal, decode = report["speeds"]
assert full["rates"]["attn-mlir"] > 0 and causal["rates"]["attn-mlir"] > 0, report
assert full["limit"] is None and decode["limit"] > 0, report  # products are measured by PyTorch
assert code == 1 and "result is off by" in decode["refused"]["attn-mlir"], report
assert STUBBED.count(b"blocks") == 0 and STUBBED.count(b"events") == 0, STUBBED.count(b"blocks")
