"""Errors of the expanded math functions over all of f32.

usage: check_vector_math.py [STEP]
Evaluates every STEP-th bit pattern (default 4093; 1 is all of them) and all
patterns around the places where a method changes, and prints the worst error of
each function in units of the last place of the exact result.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

FUNCTIONS = {"exp2": np.exp2, "exp": np.exp, "log2": np.log2, "log": np.log,
             "tanh": np.tanh}
EDGES = [0.0, 2.0**-149, 2.0**-126, 1e-20, 0.5, 0.625, 0.5**0.5, 2.0**0.5, 1.0, 2.0, 9.01, 87.3365,
         88.7228, 103.972, 104.0, 126.0, 128.0, 149.0, 150.0, 151.0, 2.0**22,
         2.0**23, 3.4028235e38]
CHUNK = 1 << 22
LIMIT = 2.0


def program(lanes):
    """A function that maps a tensor by every function, `lanes` at a time."""
    kind = f"vector<{lanes}xf32>" if lanes > 1 else "f32"
    access = f" : memref<?xf32>, {kind}" if lanes > 1 else " : memref<?xf32>"
    op = "vector" if lanes > 1 else "memref"
    tensor = "tensor<?xf32>"
    lines = [
        f'func.func @main(%x: {tensor} {{attn.name = "x"}}) -> '
        f'({", ".join([tensor] * len(FUNCTIONS))}) {{',
        "%c0 = arith.constant 0 : index",
        f"%step = arith.constant {lanes} : index",
        f"%n = tensor.dim %x, %c0 : {tensor}",
        f"%xb = bufferization.to_buffer %x read_only : {tensor} to memref<?xf32>",
    ]
    for name in FUNCTIONS:
        lines += [
            f"%{name} = memref.alloc(%n) : memref<?xf32>",
            "scf.for %i = %c0 to %n step %step {",
            f"%v = {op}.load %xb[%i]{access}",
            f"%y = math.{name} %v : {kind}",
            f"{op}.store %y, %{name}[%i]{access}",
            "}",
            f"%t_{name} = bufferization.to_tensor %{name} restrict writable"
            f" : memref<?xf32> to {tensor}",
        ]
    results = ", ".join(f"%t_{name}" for name in FUNCTIONS)
    lines += [f"return {results} : {', '.join([tensor] * len(FUNCTIONS))}", "}"]
    return "\n".join(lines)


def expand(lanes, isa):
    """The program and how to run it: the CPU pipeline expands for this host."""
    text = program(lanes).encode()
    if isa == "host":
        return text, []
    text = subprocess.run(
        ["attn-opt", "-", f"-attn-cpu-expand-math=isa={isa}"],
        check=True, input=text, stdout=subprocess.PIPE).stdout
    return text, ["--reference"]


def evaluate(expanded, x):
    text, options = expanded
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        np.save(folder / "x.npy", x)
        subprocess.run(
            ["attn-run", "-", *options, f"--input=x={folder / 'x.npy'}",
             "--output", folder / "out.npz"],
            check=True, input=text, stdout=subprocess.DEVNULL)
        with np.load(folder / "out.npz") as out:
            return [out[name] for name in out.files]


def errors(got, exact):
    """In units of the last place at the exact result; inf where it must match."""
    want = exact.astype(np.float32)
    ulp = np.exp2(np.maximum(np.floor(np.log2(np.abs(exact))), -126.0) - 23.0)
    distance = np.abs(got.astype(np.float64) - exact) / ulp
    # The largest float, where rounding gives infinity, is one unit away.
    largest = np.isinf(want) & np.isfinite(exact) & (np.abs(got) == np.finfo(np.float32).max)
    same = (got == want) | (np.isnan(got) & np.isnan(want)) | largest
    distance = np.where(np.isfinite(want), distance, np.where(same, 0.0, np.inf))
    zero = (exact == 0) & (got == 0)
    distance = np.where(zero, 0.0, distance)
    sign = ~np.isnan(want) & (np.signbit(got) != np.signbit(want))
    return np.where(sign | np.isnan(distance), np.inf, distance)


def edges():
    around = np.arange(-64, 65, dtype=np.int64)
    bits = [np.float32(x).view(np.int32) + around for x in EDGES]
    bits = np.unique(np.clip(np.concatenate(bits), 0, 0x7FFFFFFF)).astype(np.uint32)
    x = np.concatenate([bits, bits | np.uint32(0x80000000)]).view(np.float32)
    return np.concatenate([x, np.float32([np.inf, -np.inf, np.nan])])


def samples(step):
    yield edges()
    for start in range(0, 1 << 32, CHUNK * step):
        stop = min(start + CHUNK * step, 1 << 32)
        yield np.arange(start, stop, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def check(step, lanes, isa):
    expanded = expand(lanes, isa)
    worst = {name: (0.0, 0.0) for name in FUNCTIONS}
    for x in samples(step):
        x = np.resize(x, -(-x.size // 32) * 32)
        with np.errstate(all="ignore"):
            for (name, exact), got in zip(FUNCTIONS.items(), evaluate(expanded, x)):
                error = errors(got, exact(x.astype(np.float64)))
                at = error.argmax()
                worst[name] = max(worst[name], (error[at], x[at]), key=lambda e: e[0])
    text = ", ".join(f"{name} {error:.3f} at {x:.9g}" for name, (error, x) in worst.items())
    print(f"isa {isa}, {lanes} lanes: worst {text}", flush=True)
    return all(error <= LIMIT for error, _ in worst.values())


def main(step):
    cases = [(16, "generic"), (1, "generic"), (16, "host"), (8, "host"), (4, "host"),
             (32, "host")]
    if step == 1:
        cases = [case for case in cases if case[0] == 16]
    # No short circuit: every case is measured and printed.
    if not all([check(step, lanes, isa) for lanes, isa in cases]):
        sys.exit(f"above {LIMIT} ulp")
    print(f"all within {LIMIT:g} ulp")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4093)
