# RUN: %python %s %root %tools_dir %t
"""bench/gpu.py on a driver that is a stub, whose kernels are NumPy: what is right
passes, what is wrong is named and makes the exit code 1."""

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
from attention import attend, make_mask  # noqa: E402
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

# Where there is no driver, or nothing was prepared. (PyTorch takes long to import.)
(WORK / "torch.py").write_text("raise ImportError('there is none')")
nothing = {**os.environ, "ATTN_CUDA_DRIVER": "/nonexistent/libcuda.so", "PYTHONPATH": str(WORK)}


def expect(sentence, *command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=nothing)
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr, done


expect("error: no device cuda:0: CUDA cannot be used: there is no driver", FOLDER / "gpu.py", "run")
expect("error: no device hip:1: ", FOLDER / "gpu.py", "run", "--device", "hip:1")
expect("is no folder of packages: manifest.json: No such file", ROOT / "bench/gpu.py", "run", WORK)
(WORK / "manifest.json").write_text('{"targets": "cuda:sm_90", "problems": {}}')
expect("was not made by 'gpu.py prepare'", ROOT / "bench/gpu.py", "run", WORK)
# What was prepared is also for attn-bench.
expect("error: no device cuda:0: ", FOLDER / "attn-bench", "--device=cuda:0")

os.environ["ATTN_CUDA_DRIVER"] = str(STUB)
STUBBED = StubDriver(STUB)
sys.modules["torch"] = None
sys.path.insert(0, str(FOLDER))
import gpu  # noqa: E402
from attn_bench import measure, problems  # noqa: E402

current = {"dtype": "float32", "mask": "causal"}
planted = 0.0


def compute(arguments):
    """Softmax attention of the example and of problems."""
    q, k, v, out = (STUBBED.matrix(arguments, number, current["dtype"]) for number in range(4))
    if q.shape[2] == 1:
        return  # decoding: two kernels, which do nothing here
    result = attend(*map(problems.to_float32, (q, k, v)), make_mask(current["mask"], q.shape[2], k.shape[2]))
    result[0, 0, 7, 3] += planted
    out[...] = problems.to_bf16(result.astype(np.float32)) if current["dtype"] == "uint16" else result


check_example, measure_problem = gpu.check_example, measure.measure


def follow_example(*args):
    current.update(dtype="float32", mask="causal")
    return check_example(*args)


def follow_problem(problem, *others):
    current.update(dtype="uint16", mask=problem.mask)
    return measure_problem(problem, *others)


gpu.check_example, measure.measure = follow_example, follow_problem
STUBBED.define("attention_stream0", compute)


def run(*options):
    report = WORK / "report.json"
    sys.argv = ["gpu.py", "run", str(FOLDER), "--rounds", "2", "--calls", "1", "--copy-bytes", "4096", "--json", str(report), *options]
    code = gpu.main()
    return code, json.loads(report.read_text())


code, report = run("--check-only")
assert code == 0 and [row["fault"] for row in report["checks"]] == [None], report
assert not report["rows"]

# A wrong element is found, and where nothing computes.
planted = 1e-4
code, report = run("--check-only")
assert code == 1 and "is above" in report["checks"][0]["fault"], report
planted = 0.0
code, report = run()
full, causal, decode = report["rows"]
assert full["rate"] > 0 and causal["rate"] > 0, report
assert full["limit_rate"] is None and decode["limit_rate"] > 0, report  # products are measured by PyTorch
assert code == 1 and "result is off by" in decode["notes"]["attn-mlir"], report
assert STUBBED.count("blocks") == 0 and STUBBED.count("events") == 0, STUBBED.count("blocks")

# A package of an example that is missing fails alone.
(FOLDER / "causal-gqa.so").unlink()
code, report = run("--check-only")
assert code == 1 and "cannot be opened: No such file or directory" in report["failures"]["causal-gqa"], report
