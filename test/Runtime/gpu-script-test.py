# RUN: %python %s %root %tools_dir %t
"""bench/gpu.py on a driver that is a stub, whose kernels are NumPy: what is right
passes, what is wrong is named and makes the exit code 1."""

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

sys.path.insert(0, str(ROOT / "test/Runtime/Inputs"))
from stub_driver import StubDriver  # noqa: E402

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
STUBBED = StubDriver(STUB)
planted = 0.0


def compute(arguments):
    """Softmax attention, causal for the example and for every second problem."""
    q = STUBBED.matrix(arguments, 0, current["dtype"])
    if q.shape[2] == 1:
        return  # decoding: two kernels, which do nothing here
    k, v, out = (STUBBED.matrix(arguments, number, current["dtype"]) for number in (1, 2, 3))
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


spec = importlib.util.spec_from_file_location("gpu", FOLDER / "gpu.py")
gpu = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gpu)
current = {"dtype": "float32", "causal": True}
load_bench, check_example, measure = gpu.load_bench, gpu.check_example, gpu.measure


def follow(bench_path):
    current["bench"] = load_bench(bench_path)
    return current["bench"]


def follow_example(*args):
    STUBBED.define("attention_stream0", compute)
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
assert STUBBED.count("blocks") == 0 and STUBBED.count("events") == 0, STUBBED.count("blocks")
