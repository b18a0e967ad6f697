"""This machine's CPU: our programs on it, and what it can do."""

import os
import pathlib
import tempfile
import threading
import time

import numpy as np

from .measure import OURS, Prepared
from .packages import compile_text
from .problems import to_float32
from .runtime import Program, Runtime, make_stored, make_tensor

# Threads that wait by spinning would be in the way of the system that is next:
# ours stop after this many milliseconds, and all have as long to come to rest.
os.environ.setdefault("KMP_BLOCKTIME", "10")
REST_SECONDS = 0.02


def load(runtime, tools, text, name, options=()):
    """Compiles a program and loads it, as an inference engine would."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "program.so")
        compile_text(tools, text, path, options, name)
        return Program(runtime, path)


class Ours:
    name = OURS

    def __init__(self, runtime, tools, cpu):
        self.runtime, self.tools = runtime, tools
        self.options = [f"--cpu={cpu}"] if cpu else []

    def prepare(self, problem, operands, stack):
        program = load(self.runtime, self.tools, problem.program(), problem.name(), self.options)
        stack.enter_context(program)
        out = np.empty_like(operands.stored[0])
        call = program.bind([make_stored(x) for x in operands.stored], [make_stored(out)])
        return Prepared(call, lambda: to_float32(out))


class Limits:
    """Arithmetic and memory of all threads together."""

    SUMS = 24  # accumulators, enough to hide the latency and to fit registers
    ITERATIONS = 4_000_000

    def __init__(self, runtime, tools, threads):
        self.threads = threads
        flags = next((l for l in open("/proc/cpuinfo") if l.startswith(("flags", "Features"))), "").split()
        wide = "avx512f" in flags
        self.lanes = 16 if wide else 8 if "avx2" in flags else 4
        self.sums = self.SUMS if wide or "asimd" in flags else 12
        self.has_bf16_dot = "avx512_bf16" in flags
        self.peaks = {"f32": self.compile(runtime, tools, "f32")}
        if self.has_bf16_dot:
            self.peaks["bf16"] = self.compile(runtime, tools, "bf16")
        self.words = None

    def compile(self, runtime, tools, kind):
        vector = f"vector<{self.lanes}xf32>"
        pairs = f"vector<{2 * self.lanes}xbf16>"
        step = {
            "f32": lambda k: f"%b{k} = vector.fma %a{k}, %x, %y : {vector}",
            "bf16": lambda k: f"%b{k} = x86vector.avx512.dot %a{k}, %p, %p : {pairs} -> {vector}",
        }[kind]
        n = range(self.sums)
        text = f"""
func.func @peak(%n: i64, %u: f32) -> f32 {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %end = arith.index_cast %n : i64 to index
  %x = vector.broadcast %u : f32 to {vector}
  %y = arith.addf %x, %x : {vector}
  %h = arith.truncf %u : f32 to bf16
  %p = vector.broadcast %h : bf16 to {pairs}
  %r:{self.sums} = scf.for %k = %c0 to %end step %c1 iter_args({", ".join(f"%a{k} = %y" for k in n)})
      -> ({", ".join([vector] * self.sums)}) {{
    {chr(10).join(step(k) for k in n)}
    scf.yield {", ".join(f"%b{k}" for k in n)} : {", ".join([vector] * self.sums)}
  }}
  {chr(10).join(f"%s{k} = arith.addf {'%r#0' if k == 1 else f'%s{k - 1}'}, %r#{k} : {vector}" for k in n if k)}
  %t = vector.reduction <add>, %s{self.sums - 1} : {vector} into f32
  return %t : f32
}}"""
        program = load(runtime, tools, text, "peak")
        calls = []
        for _ in range(self.threads):
            arrays = np.array(self.ITERATIONS, np.int64), np.array(0.25, np.float32), np.zeros((), np.float32)
            calls.append(program.bind([make_tensor(x) for x in arrays[:2]], [make_tensor(arrays[2])]))
        width = self.lanes * (2 if kind == "bf16" else 1)
        return calls, 2 * width * self.sums * self.ITERATIONS * self.threads

    def run(self, bodies):
        threads = [threading.Thread(target=body) for body in bodies]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    def arithmetic(self, type):
        """Operations per second."""
        calls, flops = self.peaks.get(type, self.peaks["f32"])
        return flops / self.run(calls)

    def memory(self):
        """Bytes per second, read."""
        if self.words is None:
            self.words = np.ones(1 << 25, np.int64)
        parts = np.array_split(self.words, self.threads)
        return self.words.nbytes / self.run([part.sum for part in parts])


class Machine:
    def __init__(self, tools, threads, cpu):
        runtime = Runtime()
        if threads:
            runtime.library.attn_set_num_threads(threads)
        self.threads = runtime.library.attn_get_num_threads()
        self.limits = Limits(runtime, tools, self.threads)
        self.systems = [Ours(runtime, tools, cpu)]

    def versions(self):
        return {peer.name: peer.version for peer in self.systems[1:]}

    def describe(self):
        """A line above the table."""
        peers = ", ".join(f"{name} {version}" for name, version in self.versions().items())
        return f"{self.threads} threads; {peers or 'no peers'}; a peer's column is its time / ours"

    def place(self, operands, _):
        return operands

    def limit(self, problem):
        time.sleep(REST_SECONDS)
        return self.limits.memory() if problem.decodes() else self.limits.arithmetic(problem.type)

    def limit_name(self, problem):
        if problem.decodes():
            return "memory"
        return "bf16 dot" if problem.type == "bf16" and self.limits.has_bf16_dot else "f32 FMA"

    def time(self, call):
        time.sleep(REST_SECONDS)
        call()  # wakes the threads
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
