#!/usr/bin/env python3
"""Checks and times this compiler's kernels on a GPU.

Two steps, as the machine with the GPU need have neither LLVM nor the compiler:

    bench/gpu.py prepare FOLDER     # where the compiler is: packages, operands, truth
    python FOLDER/gpu.py run        # where the GPU is: Python, NumPy, the driver

`prepare` compiles every program of examples/ and a grid of attention problems
for each target, computes on the CPU what the examples have to give (in float64,
and op by op in the program's own types, which sets the error budget: twice that
error plus 4 units in the last place), and puts it all into FOLDER beside the
runtime library and this script.

`run` checks every example on the GPU against that. Then it times the problems,
in turn with what PyTorch has, where it can be imported: scaled_dot_product_attention
by cuDNN, by FlashAttention and by its own kernels, and compiled FlexAttention.
Times are those of events around several calls; each round times each system
once, and what is compared are medians. Shares are of this GPU's limits measured
in the same rounds: products of large bf16 matrices for prefill (without PyTorch:
unmeasured), copies within its memory for decoding. It ends with tables
in Markdown and, with --json, the numbers. A wrong result makes the exit code 1.
"""

import argparse
import contextlib
import ctypes
import datetime
import importlib.machinery
import importlib.util
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
HOST, CUDA = 1, 2
BFLOAT = 4
KINDS = {0: "i", 1: "u", 2: "f", 4: "u", 6: "b"}
LIBRARY = "libattn_runtime.so"
FLOOR_ULPS = 4
TOLERANCE = 0.02  # of bf16 problems on normal numbers
EPSILON = {("f", 64): 2.0**-52, ("f", 32): 2.0**-23, ("f", 16): 2.0**-10, ("u", 16): 2.0**-7}


def load_bench(path):
    """attn-bench, of which the problems and their operands are used here."""
    loader = importlib.machinery.SourceFileLoader("attn_bench", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("attn_bench", loader))
    sys.modules["attn_bench"] = module
    loader.exec_module(module)
    return module


def say(text):
    print(text, file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------
# Prepare
# ----------------------------------------------------------------------------


def grid(bench, lengths, features):
    problem = lambda mask, d, m, n, **heads: bench.Problem(
        mask, "bf16", heads.get("batch", 1), heads.get("heads", 16), heads.get("groups", 16), m, n, d
    )
    prefill = [problem(mask, d, n, n) for d in features for n in lengths for mask in ("full", "causal")]
    decode = [problem("full", d, 1, max(lengths), batch=8, heads=32, groups=4) for d in features]
    return prefill + decode


def run_tool(command, what):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {what}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def prepare(options):
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    tools = options.tools
    bench = load_bench(tools / "attn-bench")
    targets = f"--target={options.targets}"
    programs = sorted((ROOT / "examples").glob("*.mlir"))
    if options.examples is not None:
        programs = [p for p in programs if p.stem in options.examples]
        if missing := set(options.examples) - {p.stem for p in programs}:
            sys.exit(f"error: examples/ has no {', '.join(sorted(missing))}")
    for number, program in enumerate(programs, 1):
        say(f"{number} of {len(programs)}: {program.stem}")
        run_tool([tools / "attn-compile", program, targets, "-o", folder / f"{program.stem}.so"], program.stem)
        run_tool([tools / "attn-run", program, "--check", "--record", folder / f"{program.stem}.npz"], program.stem)
    problems = grid(bench, options.length, options.features)
    for number, problem in enumerate(problems):
        say(f"{number + 1} of {len(problems)}: {problem.name()}")
        source = folder / "problem.mlir"
        source.write_text(problem.program())
        run_tool([tools / "attn-compile", source, targets, "-o", folder / f"problem{number}.so"], problem.name())
        source.unlink()
    manifest = {"targets": options.targets, "examples": [p.stem for p in programs], "problems": list(map(asdict, problems))}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    library = tools.parent / "lib" / LIBRARY
    # The other machine may have no LLVM, of which this is a part.
    needed = run_tool(["ldd", library], LIBRARY).stdout.splitlines()
    openmp = [pathlib.Path(line.split()[2]) for line in needed if line.split()[0].startswith("libomp")]
    for file in (library, *openmp, tools / "attn-bench", pathlib.Path(__file__)):
        shutil.copy(file.resolve(), folder / file.name)
    say(f"{folder} is ready: python {folder / 'gpu.py'} run")
    return 0


# ----------------------------------------------------------------------------
# The runtime library
# ----------------------------------------------------------------------------


class Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


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


class Failure(Exception):
    """What the runtime library says of a call that failed."""


class Runtime:
    """The library, one device, and its default stream."""

    def __init__(self, folder, number):
        for openmp in folder.glob("libomp.so*"):
            ctypes.CDLL(str(openmp), ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(folder / LIBRARY))
        self.library.attn_get_message.restype = ctypes.c_char_p
        self.library.attn_module_get_function.restype = ctypes.c_void_p
        self.library.attn_function_get_num_arguments.restype = ctypes.c_size_t
        self.library.attn_function_get_num_results.restype = ctypes.c_size_t
        count = self.library.attn_get_num_devices(CUDA)
        if number >= count:
            where = "there is no driver of CUDA, or it has no GPU" if count == 0 else f"there are {count}"
            sys.exit(f"error: no GPU {number}: {where}")
        self.device, self.host = Device(CUDA, number), Device(HOST, 0)
        self.stream = ctypes.c_void_p()
        self.check(self.library.attn_stream_create(self.device, ctypes.byref(self.stream)))

    def check(self, status):
        if status:
            raise Failure(self.library.attn_get_message().decode())

    def allocate(self, size):
        data = ctypes.c_void_p()
        self.check(self.library.attn_memory_allocate(self.device, ctypes.c_size_t(size), ctypes.byref(data)))
        return data

    def release(self, data):
        self.library.attn_memory_release(self.device, data)

    def copy(self, to_device, to, from_device, source, size, stream=None):
        self.check(self.library.attn_memory_copy(to_device, to, from_device, source, ctypes.c_size_t(size), stream))

    def time(self, call, calls):
        """Milliseconds of a call, of so many one after the other."""
        events = [ctypes.c_void_p(), ctypes.c_void_p()]
        for event in events:
            self.check(self.library.attn_event_create(self.device, ctypes.byref(event)))
        self.check(self.library.attn_event_record(events[0], self.stream))
        for _ in range(calls):
            call()
        self.check(self.library.attn_event_record(events[1], self.stream))
        self.check(self.library.attn_event_synchronize(events[1]))
        elapsed = ctypes.c_double()
        self.check(self.library.attn_event_elapsed(events[0], events[1], ctypes.byref(elapsed)))
        for event in events:
            self.library.attn_event_release(event)
        return elapsed.value / calls


class Program:
    """The first function of a package."""

    def __init__(self, runtime, path):
        self.runtime, library = runtime, runtime.library
        self.module = ctypes.c_void_p()
        runtime.check(library.attn_module_load_file(str(path).encode(), ctypes.byref(self.module)))
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

    @contextlib.contextmanager
    def operands(self, arrays):
        """Tensors with these values on the device; scalars stay on the host."""
        runtime, tensors, memory = self.runtime, [], []
        try:
            for parameter, array in zip(self.arguments, arrays):
                array = np.ascontiguousarray(array)
                data, device = ctypes.c_void_p(array.ctypes.data), runtime.host
                if not parameter.is_scalar:
                    data, device = runtime.allocate(array.nbytes), runtime.device
                    memory.append(data)
                    runtime.copy(device, data, runtime.host, ctypes.c_void_p(array.ctypes.data), array.nbytes)
                shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
                tensor = Tensor(data, device, array.ndim, parameter.code, parameter.bits, 1, shape, None, 0)
                tensor.array = array  # lives as long
                tensors.append(tensor)
            yield tensors
        finally:
            for data in memory:
                runtime.release(data)

    def call(self, tensors):
        """The results, as managed tensors: null for those that are arguments."""
        results = (ctypes.POINTER(Managed) * max(len(self.results), 1))()
        pointers = (ctypes.POINTER(Tensor) * max(len(tensors), 1))(*map(ctypes.pointer, tensors))
        self.runtime.check(
            self.runtime.library.attn_function_call_new(
                self.function, self.runtime.stream, pointers, ctypes.c_size_t(len(tensors)),
                results, ctypes.c_size_t(len(self.results)), None,
            )
        )  # fmt: skip
        return results

    def read(self, tensor):
        """The values of a row-major tensor of the device."""
        runtime = self.runtime
        runtime.check(runtime.library.attn_stream_synchronize(runtime.stream))
        dtype = np.dtype("bool" if tensor.code == 6 else f"{KINDS[tensor.code]}{tensor.bits // 8}")
        array = np.empty([tensor.shape[axis] for axis in range(tensor.ndim)], dtype)
        data = ctypes.c_void_p((tensor.data or 0) + tensor.byte_offset)
        if array.nbytes:
            runtime.copy(runtime.host, ctypes.c_void_p(array.ctypes.data), tensor.device, data, array.nbytes)
        return array

    def compute(self, arrays):
        """The results by name."""
        with self.operands(arrays) as tensors:
            values = {}
            for parameter, result in zip(self.results, self.call(tensors)):
                own = parameter.alias < 0
                values[parameter.name.decode()] = self.read(result.contents.tensor if own else tensors[parameter.alias])
                if own:
                    result.contents.deleter(result)
            return values


# ----------------------------------------------------------------------------
# Correctness
# ----------------------------------------------------------------------------


def widen(array, parameter):
    if parameter.code == BFLOAT and parameter.bits == 16:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def compare(got, wanted, truth, parameter):
    """What is wrong with a result, or None; and its error and budget."""
    kind, bits = got.dtype.kind, parameter.bits
    if got.shape != wanted.shape:
        return f"has shape {got.shape}, not {wanted.shape}", 0.0, 0.0
    got, plain = widen(got, parameter), widen(wanted, parameter)
    if got.dtype.kind != "f":
        differ = (got != plain) & (got != truth)
        return (f"{int(differ.sum())} of {differ.size} numbers differ" if differ.any() else None), 0.0, 0.0
    alike = lambda x: (np.isnan(got) & np.isnan(x)) | (got == x) | (np.isfinite(got) & np.isfinite(x))
    same = alike(plain) | (alike(truth) & ~np.isfinite(truth))
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        return f"at {place} it is {got[place]}, not {plain[place]}", 0.0, 0.0
    finite = np.isfinite(truth) & np.isfinite(got)
    largest = lambda x: float(np.abs(x[finite]).max(initial=0.0))
    error = largest(np.where(finite, got, 0) - np.where(finite, truth, 0))
    materialised = largest(np.where(finite, plain, 0) - np.where(finite, truth, 0))
    budget = 2 * materialised + FLOOR_ULPS * EPSILON[kind, bits] * largest(truth)
    return (f"error {error:.3g} is above {budget:.3g}" if error > budget else None), error, budget


def check_example(runtime, folder, name):
    record = np.load(folder / f"{name}.npz")
    with Program(runtime, folder / f"{name}.so") as program:
        arrays = [record[f"operand.{p.name.decode()}"] for p in program.arguments]
        values = program.compute(arrays)
        rows = []
        for parameter in program.results:
            result = parameter.name.decode()
            fault, error, budget = compare(
                values[result], record[f"materialised.{result}"], record[f"truth.{result}"], parameter
            )
            rows.append({"example": name, "result": result, "error": error, "budget": budget, "fault": fault})
        return rows


# ----------------------------------------------------------------------------
# Speed
# ----------------------------------------------------------------------------


class Ours:
    name = "attn-mlir"

    def __init__(self, runtime, folder, bench):
        self.runtime, self.folder, self.bench = runtime, folder, bench

    @contextlib.contextmanager
    def prepare(self, number, problem, operands):
        with Program(self.runtime, self.folder / f"problem{number}.so") as program:
            with program.operands(operands.stored) as tensors:
                results = program.call(tensors)
                out = self.bench.from_bf16(program.read(results[0].contents.tensor))
                results[0].contents.deleter(results[0])
                if wrong := self.bench.find_error(problem, operands, out, TOLERANCE):
                    raise Failure(wrong)

                def call():
                    for result in program.call(tensors)[: len(program.results)]:
                        result.contents.deleter(result)

                yield lambda calls: self.runtime.time(call, calls)


class TorchPeer:
    """One of the ways in which PyTorch computes attention."""

    def __init__(self, torch, name, backend):
        self.torch, self.name, self.backend = torch, name, backend

    @contextlib.contextmanager
    def prepare(self, _, problem, operands):
        torch = self.torch
        q, k, v = (torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).cuda() for x in operands.stored)
        causal = problem.mask == "causal" and not problem.decodes()
        gqa = problem.groups != problem.heads
        if self.backend is None:
            from torch.nn.attention.flex_attention import create_block_mask, flex_attention

            mask = None
            if causal:
                mask = create_block_mask(lambda b, h, i, j: j <= i, None, None, problem.queries, problem.keys)
            flex = torch.compile(flex_attention, dynamic=False)
            call = lambda: flex(q, k, v, block_mask=mask, enable_gqa=gqa)
        else:
            attention = torch.nn.functional.scaled_dot_product_attention
            call = lambda: attention(q, k, v, is_causal=causal, enable_gqa=gqa)
        choose = contextlib.nullcontext() if self.backend is None else torch.nn.attention.sdpa_kernel(self.backend)
        with choose:
            call()

            def time(calls):
                first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                first.record()
                for _ in range(calls):
                    call()
                last.record()
                last.synchronize()
                return first.elapsed_time(last) / calls

            yield time


def find_peers(device):
    try:
        import torch
    except ImportError:
        return None, [], "PyTorch cannot be imported"
    if not torch.cuda.is_available():
        return None, [], f"PyTorch {torch.__version__} has no GPU"
    torch.cuda.set_device(device)
    torch.set_grad_enabled(False)
    backends = torch.nn.attention.SDPBackend
    peers = [
        TorchPeer(torch, "cuDNN", backends.CUDNN_ATTENTION),
        TorchPeer(torch, "FlashAttention", backends.FLASH_ATTENTION),
        TorchPeer(torch, "PyTorch's own", backends.EFFICIENT_ATTENTION),
        TorchPeer(torch, "FlexAttention", None),
    ]
    return torch, peers, f"PyTorch {torch.__version__}"


class Limits:
    """What the GPU can do: bytes by copying, flops by products of matrices."""

    SIZE = 1 << 29

    def __init__(self, runtime, torch, size):
        self.runtime, self.torch, self.size = runtime, torch, size
        self.buffers = [runtime.allocate(size) for _ in range(2)]
        if torch:
            self.a, self.b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))

    def measure(self, decodes):
        """GB/s, or TFLOP/s; None if nothing measures it."""
        if decodes:
            to, source = self.buffers
            copy = lambda: self.runtime.copy(
                self.runtime.device, to, self.runtime.device, source, self.size, self.runtime.stream
            )
            return 2 * self.size / self.runtime.time(copy, 4) * 1e-6
        if not self.torch:
            return None
        first, last = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(4):
            self.a @ self.b
        last.record()
        last.synchronize()
        return 2 * 8192**3 / (first.elapsed_time(last) / 4) * 1e-9

    def release(self):
        for data in self.buffers:
            self.runtime.release(data)


def measure(options, bench, runtime, ours, peers, limits, number, problem):
    operands = bench.Operands(problem)
    times, refused = {}, {}
    limit = []
    with contextlib.ExitStack() as stack:
        systems = {}
        for system in [ours, *peers]:
            try:
                systems[system.name] = stack.enter_context(system.prepare(number, problem, operands))
                systems[system.name](2)
            except Exception as error:  # what PyTorch refuses, it refuses in many ways
                systems.pop(system.name, None)
                refused[system.name] = str(error).split("\n")[0]
        for _ in range(options.rounds):
            limit.append(limits.measure(problem.decodes()))
            for name, time in systems.items():
                times.setdefault(name, []).append(time(options.calls))
    medians = {name: statistics.median(values) for name, values in times.items()}
    amount = operands.bytes() if problem.decodes() else problem.flops()
    scale = 1e-6 if problem.decodes() else 1e-9  # of milliseconds: GB/s, TFLOP/s
    rates = {name: amount * scale / max(median, 1e-9) for name, median in medians.items()}
    most = None if None in limit else statistics.median(limit)
    return {
        "problem": problem.name(), "unit": "GB/s" if problem.decodes() else "TFLOP/s", "ms": medians,
        "rates": rates, "limit": most, "refused": refused,
    }  # fmt: skip


def print_speed(rows, peers):
    print("| problem | attn-mlir | share of the limit | " + " | ".join(f"x {p.name}" for p in peers) + " |")
    print("| --- | --- | --- | " + " | ".join("---" for _ in peers) + " |")
    for row in rows:
        if "attn-mlir" in row["refused"]:
            print(f"| {row['problem']} | {row['refused']['attn-mlir']} | |" + " |" * len(peers))
            continue
        own, limit = row["rates"]["attn-mlir"], row["limit"]
        share = f"{own / limit:.2f} of {limit:.0f}" if limit else "unmeasured"
        ratios = [f"{own / row['rates'][p.name]:.2f}" if p.name in row["rates"] else "refused" for p in peers]
        print(f"| {row['problem']} | {row['ms']['attn-mlir']:.3f} ms, {own:.0f} {row['unit']} | {share} | " + " | ".join(ratios) + " |")


def run(options):
    folder = options.folder or HERE
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {folder} was not made by 'gpu.py prepare': {error}")
    bench = load_bench(folder / "attn-bench")
    runtime = Runtime(folder, options.device)
    torch, peers, about = find_peers(options.device)
    name = torch.cuda.get_device_name(options.device) if torch else f"GPU {options.device}"
    print(f"{name}, {datetime.date.today()}, packages for {manifest['targets']}; {about}\n")

    checks, failures = [], {}
    examples = manifest["examples"]
    for number, example in enumerate(examples, 1):
        say(f"check {number} of {len(examples)}: {example}")
        try:
            checks += check_example(runtime, folder, example)
        except Failure as failure:
            failures[example] = str(failure)
    wrong = {row["example"] for row in checks if row["fault"]} | set(failures)
    print("| example | result | error | budget | |")
    print("| --- | --- | --- | --- | --- |")
    for row in checks:
        verdict = row["fault"] or "ok"
        print(f"| {row['example']} | {row['result']} | {row['error']:.2e} | {row['budget']:.2e} | {verdict} |")
    for example, failure in failures.items():
        print(f"| {example} | | | | {failure} |")
    print(f"\n{len(examples) - len(wrong)} of {len(examples)} examples are correct\n")

    speeds = []
    problems = [bench.Problem(**fields) for fields in manifest["problems"]]
    if problems and not options.check_only:
        ours = Ours(runtime, folder, bench)
        limits = Limits(runtime, torch, options.copy_bytes)
        for number, problem in enumerate(problems):
            say(f"time {number + 1} of {len(problems)}: {problem.name()}")
            speeds.append(measure(options, bench, runtime, ours, peers, limits, number, problem))
        limits.release()
        print_speed(speeds, peers)
        for row in speeds:
            for peer, why in row["refused"].items():
                print(f"\n{row['problem']}: {peer}: {why}")
        wrong |= {row["problem"] for row in speeds if "attn-mlir" in row["refused"]}
    if options.json:
        options.json.write_text(json.dumps({"device": name, "checks": checks, "failures": failures, "speeds": speeds}, indent=1))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare", help="compile, and compute what is correct")
    first.add_argument("folder", type=pathlib.Path)
    first.add_argument("--targets", default="cuda:sm_80,cuda:sm_90", help="as attn-compile's --target (%(default)s)")
    first.add_argument("--examples", nargs="*", help="names of examples (all)")
    first.add_argument("--length", nargs="*", type=int, default=[1024, 4096, 16384], help="lengths of problems")
    first.add_argument("--features", nargs="*", type=int, default=[64, 128], help="features of a head")
    first.add_argument("--tools", type=pathlib.Path, default=ROOT / "build/bin", help="where attn-compile is")
    second = commands.add_parser("run", help="check and time on a GPU")
    second.add_argument("folder", type=pathlib.Path, nargs="?", help="what prepare made (where this script is)")
    second.add_argument("--device", type=int, default=0, help="number of the GPU")
    second.add_argument("--rounds", type=int, default=7)
    second.add_argument("--calls", type=int, default=10, help="calls that are timed together")
    second.add_argument("--copy-bytes", type=int, default=Limits.SIZE, help="bytes copied to measure memory")
    second.add_argument("--check-only", action="store_true", help="no times")
    second.add_argument("--json", type=pathlib.Path, help="a file for the numbers")
    options = parser.parse_args()
    try:
        return prepare(options) if options.command == "prepare" else run(options)
    except Failure as failure:
        sys.exit(f"error: {failure}")


if __name__ == "__main__":
    sys.exit(main())
