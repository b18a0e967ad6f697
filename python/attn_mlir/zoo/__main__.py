"""Lists the mechanisms, and runs them."""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from . import entries, find
from ._support import TARGETS


def _list(_):
    for entry in entries():
        print(f"{entry.number:03d}  {entry.title}")
    return 0


def _run(options):
    try:
        entry = find(options.number)
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    inputs = entry.module.example(np.random.default_rng(options.seed), np.dtype(options.dtype))
    failed = 0
    if options.check:
        failed = _check(entry, inputs, options.target)
    else:
        outputs = entry.run(target=options.target, **inputs)
        print(f"{entry.number:03d} {entry.title}")
        for name, value in outputs.items():
            value = np.asarray(value)
            print(f"  {name}: {value.dtype} {list(value.shape)}")
    return 1 if failed else 0


def _check(entry, inputs, target):
    """Runs it with every compiled function compared with its reference."""
    from .. import _jit
    checks = []

    def checked(self, *args, **kwargs):
        if not _jit.is_tracing():
            checks.append((self.__name__, self.check(*args, **kwargs)))
        return original(self, *args, **kwargs)

    original, _jit.Function.__call__ = _jit.Function.__call__, checked
    try:
        entry.run(target=target, **inputs)
    finally:
        _jit.Function.__call__ = original
    print(f"{entry.number:03d} {entry.title}")
    for name, check in checks:
        for line in repr(check).splitlines():
            print(f"  {name} {line}")
    return sum(not check for _, check in checks)


def _time(options):
    """Seconds that tracing and compiling take, of every program that a run makes."""
    from .. import _jit
    spent = []

    def trace(self, *args):
        start = time.perf_counter()
        program = original_trace(self, *args)
        spent.append([self.__name__, time.perf_counter() - start, 0.0, program])
        return program

    def compile(self):
        start = time.perf_counter()
        is_new = self.compiled is None
        compiled = original_compile(self)
        if is_new:
            next(row for row in spent if row[3] is self)[2] = time.perf_counter() - start
        return compiled

    original_trace, _jit.Function._trace = _jit.Function._trace, trace
    original_compile, _jit._Program.compile = _jit._Program.compile, compile
    try:
        for entry in [find(n) for n in options.numbers] or entries():
            spent.clear()
            entry.run(**entry.module.example(np.random.default_rng(0), np.dtype(options.dtype)))
            for name, tracing, compiling, _ in spent:
                print(f"{entry.number:03d} {name}: tracing {tracing:.3f} s, compiling {compiling:.3f} s", flush=True)
    finally:
        _jit.Function._trace, _jit._Program.compile = original_trace, original_compile
    return 0


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m attn_mlir.zoo", description=__doc__)
    parser.set_defaults(do=_list)
    commands = parser.add_subparsers()
    command = commands.add_parser("run", help="run one on operands of its own")
    command.add_argument("number", type=int)
    command.add_argument("--check", action="store_true", help="compare with the reference, in f64")
    command.add_argument("--target", default="cpu", choices=[t for t in TARGETS if t not in ("cuda", "hip")])
    command.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(do=_run)
    command = commands.add_parser("time", help="trace and compile some (all), and say how long that takes")
    command.add_argument("numbers", nargs="*", type=int)
    command.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    command.set_defaults(do=_time)
    options = parser.parse_args(arguments)
    return options.do(options)


if __name__ == "__main__":
    sys.exit(main())
