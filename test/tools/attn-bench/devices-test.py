# RUN: %python %s %root %tools_dir %t
"""attn-bench on a device, from packages alone: the driver is a stub, whose kernels
are NumPy, and so is PyTorch. What is right is timed beside its peers; what is
wrong, or cannot be done, is a sentence and the exit code 1."""

import contextlib
import io
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

shutil.rmtree(WORK, ignore_errors=True)
FOLDER, EMPTY, NO_TORCH, NO_GPU = (WORK / name for name in ("packages", "empty", "no-torch", "no-gpu"))


def run(*arguments, script=FOLDER / "attn-bench", driver=STUB, python=NO_TORCH):
    """The status and what is said; nothing of the compiler is on the PATH."""
    environment = {"PATH": "/nonexistent", "ATTN_CUDA_DRIVER": str(driver), "PYTHONPATH": str(python)}
    command = list(map(str, [sys.executable, script, *arguments]))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=WORK)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def expect(sentence, *arguments, status=1, **options):
    code, _, said = run(*arguments, **options)
    assert code == status and sentence in said, (code, said)


for folder in (EMPTY, NO_TORCH, NO_GPU):
    folder.mkdir(parents=True)
(NO_TORCH / "torch.py").write_text("raise ImportError('there is none')")
(NO_GPU / "torch.py").write_text(
    "class version: hip = None\nclass cuda: is_available = lambda: False\n__version__ = '0.stub'"
)

# ----------------------------------------------------------------------------
# Making packages, and what cannot be run
# ----------------------------------------------------------------------------

save = [TOOLS / "attn-bench", "--target=cuda:sm_90", "--save"]
grid = ["--length", "60", "--features", "16", "--masks", "full", "causal", "window=9"]
done = subprocess.run([sys.executable, *save, FOLDER, *grid], capture_output=True, text=True, check=True)
assert "6 of 6: window=9 bf16 B1 H8 L60 D16" in done.stderr, done.stderr
assert "attn-bench --device=cuda:0" in done.stderr, done.stderr
done = subprocess.run([sys.executable, *save, FOLDER, "--target=cuda:sm_1"], capture_output=True, text=True)
assert done.returncode == 1 and "error: attn-compile refuses full f32 B1 H8 L1024 D64: " in done.stderr, done.stderr
done = subprocess.run([sys.executable, *save, FOLDER, "--cpu", "nonsense"], capture_output=True, text=True)
assert done.returncode == 1 and "unknown CPU 'nonsense'" in done.stderr, done.stderr

on_device = ["--device=cuda:0", "--rounds", "2", "--calls", "1", "--copy-bytes", "4096"]
expect("error: no device cuda:0: CUDA cannot be used: there is no driver", *on_device, driver="/nonexistent/libcuda.so")
expect("error: no device cuda:9: there is no CUDA device 9, only 6 of them", "--device=cuda:9")
expect("error: no device hip:0: ", "--device=hip:0")
expect(f"error: {EMPTY} is no folder of packages: manifest.json: No such file or directory", *on_device, "--packages", EMPTY)
(EMPTY / "manifest.json").write_text('{"targets": "cuda:sm_90", "problems": {}}')
expect(f"error: {EMPTY} has no problems", *on_device, "--packages", EMPTY)
(EMPTY / "manifest.json").write_text('{"targets": "cuda:sm_90", "problems": {"p.so": {"mask": "full"}}}')
expect("manifest.json is damaged: ", *on_device, "--packages", EMPTY)
expect("error: PyTorch cannot be imported: there is none", *on_device, "--peers", "flash")
expect("error: PyTorch 0.stub has no GPU of cuda", *on_device, "--peers", "flash", python=NO_GPU)
expect("peers are left out: PyTorch 0.stub has no GPU of cuda", *on_device, python=NO_GPU)
expect("the program cannot run on CUDA device 3 (Stub 3, sm_75): it has", "--device=cuda:3", "--rounds", "1")
expect("error: full f32 B1 H8 L60 D16: result is off by nan", *on_device)  # nothing computes

package = FOLDER / "problem0.so"
contents = package.read_bytes()
package.write_bytes(contents[:5000] + b"?" + contents[5001:])
expect("problem0.so' is damaged: its checksum does not match", *on_device)
package.unlink()
expect("problem0.so' cannot be opened: No such file or directory", *on_device)
package.write_bytes(contents)

(FOLDER / "libattn_runtime.so").rename(WORK / "library.so")
expect("error: the runtime library cannot be loaded: ", *on_device)
(WORK / "library.so").rename(FOLDER / "libattn_runtime.so")
expect("error: ", script=FOLDER / "attn-bench")
expect("attn-compile cannot be run: No such file or directory", "--quick")

for sentence, *options in [
    ("--target and --save go together", "--target=cuda:sm_90"),
    ("--target is where the compiler is", "--target=cuda:sm_90", "--save", "x", "--device=cuda:0"),
    ("--packages needs --device", "--packages", "x"),
    ("device 'gpu' is none of cuda:N, hip:N", "--device=gpu"),
    ("--length says nothing beside --device", "--device=cuda:0", "--length", "5"),
    ("--threads says nothing beside --save", "--target=cuda:sm_90", "--save", "x", "--threads", "1"),
    ("peer 'torch' is none of cudnn, flash, efficient, flex", "--device=cuda:0", "--peers", "torch"),
    ("--calls needs a positive number", "--device=cuda:0", "--calls", "0"),
]:
    expect(sentence, *options, status=2)

# ----------------------------------------------------------------------------
# Kernels and peers that compute
# ----------------------------------------------------------------------------

os.environ["ATTN_CUDA_DRIVER"] = str(STUB)
sys.path[:0] = [str(FOLDER), str(ROOT / "test/Runtime/Inputs")]

import numpy as np  # noqa: E402
from attention import attend, make_mask  # noqa: E402
from stub_driver import StubDriver  # noqa: E402
from stub_torch import StubTorch  # noqa: E402

from attn_bench import main, measure, packages, problems  # noqa: E402

DRIVER = StubDriver(STUB)
TORCH = StubTorch(DRIVER)
planted = 0.0


def compute(arguments):
    problem = current
    dtype = "uint16" if problem.type == "bf16" else "float32"
    q, k, v, out = (DRIVER.matrix(arguments, number, dtype) for number in range(4))
    result = attend(*map(problems.to_float32, (q, k, v)), make_mask(problem.mask, problem.queries, problem.keys))
    result[0, 0, 0, 0] += planted
    result = result.astype(np.float32)
    out[...] = problems.to_bf16(result) if problem.type == "bf16" else result


def follow(problem, *others):
    """The kernel learns of the problem that is next."""
    global current
    current = problem
    TORCH.calls.clear()
    TORCH.addresses.clear()
    row = measure_problem(problem, *others)
    row.update(calls=list(TORCH.calls), places=len(TORCH.addresses))
    return row


measure_problem, measure.measure = measure.measure, follow
DRIVER.define("attention_stream0", compute)


def bench(*options, folder=FOLDER):
    """The status, what was measured, and the table."""
    report, table = WORK / "report.json", io.StringIO()
    with contextlib.redirect_stdout(table):
        status = main.main("", [*on_device, "--packages", str(folder), "--json", str(report), *options])
    assert [DRIVER.count(what) for what in ("blocks", "events", "images")] == [0, 0, 0]
    return status, json.loads(report.read_text()), table.getvalue()


status, report, table = bench()
assert status == 0, report
assert report["device"] == "Stub 0" and report["targets"] == "cuda:sm_90" and report["versions"] == {"torch": "0.stub"}
assert [row["name"].split()[:2] for row in report["rows"]] == [
    [mask, type] for type in ("f32", "bf16") for mask in ("full", "causal", "window=9")
]
row = report["rows"][0]
# Of the stub, a millisecond passes between two events.
assert row["milliseconds"]["attn-mlir"] == 1 and row["rate"] == 4 * 16 * 60 * 60 * 8 / 1e-3, row
assert row["limit"] == "f32 products" and row["limit_rate"] == 2 * 8192**3 * 4 / 1e-3, row
assert row["notes"] == {"FlashAttention": "No available kernel. Aborting execution."}, row
assert row["ratios"] == {"cuDNN": 1, "PyTorch's own": 1, "FlexAttention": 1}, row
assert "FlashAttention: No available kernel." in table and "| refused |" in table, table
row = report["rows"][5]
assert row["notes"] == {} and len(row["ratios"]) == 4, row
# Twice to be ready, then in turn, each by its own kernels, and on the same tensors.
names = ["CUDNN", "FLASH", "EFFICIENT", "FLEX"]
assert row["calls"] == [name for name in names for _ in range(2)] + names + names, row["calls"]
assert {row["places"] for row in report["rows"]} == {1}, report

# Some peers, or none.
status, report, table = bench("--peers", "flex", "flash")
assert [list(row["ratios"]) for row in report["rows"][3:]] == [["FlexAttention", "FlashAttention"]] * 3, report
status, report, table = bench("--peers")
assert status == 0 and "| problem | ours | share of limit | best run |\n" in table, table

# A peer that is wrong is no peer; ours is an error.
TORCH.error["CUDNN"] = 0.1
status, report, table = bench()
assert status == 0 and {row["notes"]["cuDNN"] for row in report["rows"]} == {"result is off by 0.1"}, report
TORCH.error.clear()
planted = 0.1
status, report, table = bench("--peers", "flex")
assert status == 1 and {row["notes"]["attn-mlir"] for row in report["rows"]} == {"result is off by 0.1"}, report
assert "| full f32 B1 H8 L60 D16 | result is off by 0.1 |" in table, table
planted = 0.0

# Without PyTorch nothing measures products; decoding is held against copies.
sys.modules["torch"] = None
status, report, table = bench()
assert status == 0 and "f32 products unmeasured" in table and report["rows"][0]["share"] is None, table
compile_text = packages.compile_text
packages.compile_text = lambda tools, text, path, options, name: compile_text(tools, text, path, [*options, "--splits=1"], name)
decode = [problems.Problem("full", type, 1, 8, 2, 1, 300, 32) for type in ("f32", "bf16")]
packages.save(WORK / "decode", decode, "cuda:sm_90", None, TOOLS)
(WORK / "decode/libattn_runtime.so").unlink()  # a process has one
status, report, table = bench(folder=WORK / "decode")
row = report["rows"][0]
assert status == 0 and row["rate"] == (8 + 2 * 2 * 300) * 32 * 4 / 1e-3, report
assert row["limit"] == "memory" and row["limit_rate"] == 2 * 4096 * 4 / 1e-3 and row["share"] > 1, row
assert "| full f32 B1 H8/2 M1 N300 D32 | 1.000 ms, 0.155 GB/s |" in table, table

# A device that fails is the end, with what it said.
DRIVER.functions.fail(b"cuEventSynchronize", 1, 700)
try:
    bench()
    raise AssertionError("nothing was said")
except SystemExit as end:
    assert str(end).startswith("error: cuEventSynchronize on CUDA device 0: CUDA_ERROR_ILLEGAL_ADDRESS"), end
