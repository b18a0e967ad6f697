# Functions of f64 on GPUs are within 2 ulp of the truth (erfc: 5), and make of infinities, NaN, zeros and
# subnormal numbers what the C library makes of them; those of f32 are rounded from them. All of
# them assemble for cards.
# RUN: %python %s %t
"""Compares them with the C library's in extended precision."""

import math
import os
import shutil
import subprocess
import sys

import numpy as np

# By the names of MLIR and of NumPy, which has no erf.
FUNCTIONS = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "cbrt": "cbrt", "cos": "cos", "cosh": "cosh", "erf": math.erf, "erfc": math.erfc, "exp": "exp",
    "exp2": "exp2", "expm1": "expm1", "log": "log", "log10": "log10", "log1p": "log1p", "log2": "log2",
    "powf": "power", "remf": "fmod", "sin": "sin", "sinh": "sinh", "tan": "tan", "tanh": "tanh",
}
PAIRS = ("atan2", "powf", "remf")
BOUNDS = {"erfc": 5, "remf": 1e-9}

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(7)
special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 709.782712893384, -745.13321910194, 1024.0,
                    -1075.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 1e308, -1e300, 2.0**53, 2.0**53 - 1])
x = np.concatenate([
    rng.standard_normal(2000) * 10.0 ** rng.uniform(-8, 3, 2000), rng.uniform(-750, 720, 1000),
    rng.uniform(-1080, 1030, 1000), rng.uniform(0.4, 2.5, 2000), 10.0 ** rng.uniform(-320, 308, 1000),
    rng.uniform(-1, 1, 1000), rng.integers(-9, 9, 1000), rng.integers(-99, 99, 999) * (np.pi / 2), special])
# Any with any; powers with results that are numbers; and special numbers with each other.
y = rng.permutation(x)
y[:3000] = rng.uniform(-1080, 1080, 3000) / np.where(x[:3000] == 0, 1, np.log2(np.abs(x[:3000])))
y[3000:4000] = rng.integers(-300, 300, 1000)
x = np.concatenate([x, np.repeat(special, len(special))])
y = np.concatenate([y, np.tile(special, len(special))])


def write(element):
    """A program with all functions of numbers of type `element`."""
    tensor, path = f"tensor<?x{element}>", f"{folder}/{element}.mlir"
    body = ""
    for name in FUNCTIONS:
        operands, dialect = "%x, %y" if name in PAIRS else "%x", "arith" if name == "remf" else "math"
        body += f"  %{name} = {dialect}.{name} {operands} : {tensor}\n"
    arguments = ", ".join(f'%{name}: {tensor} {{attn.name = "{name}", attn.dims = ["N"]}}' for name in "xy")
    results = ", ".join(f'{tensor} {{attn.name = "{name}"}}' for name in FUNCTIONS)
    values = ", ".join("%" + name for name in FUNCTIONS)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"func.func @f({arguments}) -> ({results}) {{\n{body}"
                   f"  return {values} : {', '.join([tensor] * len(FUNCTIONS))}\n}}\n")
    return path


def run(path, x, y):
    """Results by the names of functions."""
    np.savez(f"{path}.npz", x=x, y=y)
    subprocess.run(["attn-run", path, "--target=cuda:sm_80,emulate", "--inputs", f"{path}.npz",
                    "--output", f"{path}.out"], check=True)
    return {name: np.load(f"{path}.out/{name}.npy") for name in FUNCTIONS}


def compute(function, *operands):
    """In extended precision; of math, in f64, good to an ulp."""
    if callable(function):
        return np.vectorize(function)(*operands).astype(np.longdouble)
    return getattr(np, function)(*(operand.astype(np.longdouble) for operand in operands))


def is_same(a, b):
    return np.isnan(a) & np.isnan(b) | (a == b) & (np.signbit(a) == np.signbit(b))


failed = []
double = write("f64")
results = run(double, x, y)
for name, function in FUNCTIONS.items():
    result = results[name]
    with np.errstate(all="ignore"):
        truth = compute(function, *((x, y) if name in PAIRS else (x,)))
        if name in ("sin", "cos", "tan"):
            truth[np.abs(x) >= 2.0**52] = np.nan
        rounded = truth.astype(np.float64)
        error = np.abs(result.astype(np.longdouble) - truth) / np.spacing(np.abs(rounded))
        # What rounds to infinity or zero may just not.
        right = is_same(result, rounded) | is_same(result, np.nextafter(rounded, 1.0))
        numbers = np.isfinite(rounded) & (rounded != 0)
        right = np.where(numbers, error < BOUNDS.get(name, 2), right)
    print(f"{name}: {float(error[numbers].max()):.2f} ulp at most")
    if not right.all():
        failed.append(name)
        wrong = np.stack([x, y, result, rounded], axis=1)[~right]
        print("\n".join(f"  {a!r}, {b!r}: {c!r} for {d!r}" for a, b, c, d in wrong[:8].tolist()))
assert not failed, failed

# Through f64, or by polynomials that are as good; ex2.approx is not.
with np.errstate(over="ignore"):
    x, y = x.astype(np.float32), y.astype(np.float32)
wide = run(double, x.astype(np.float64), y.astype(np.float64))
single = write("f32")
for name, result in run(single, x, y).items():
    with np.errstate(all="ignore"):
        rounded = wide[name].astype(np.float32)
        error = np.abs(result.astype(np.float64) - wide[name]) / np.spacing(np.abs(rounded))
    right = np.where(np.isfinite(rounded) & (rounded != 0), error < 3, is_same(result, rounded))
    assert right.all() or name == "exp2", (name, x[~right], y[~right], result[~right], rounded[~right])

targets = ["hip:gfx942", *(["cuda:sm_80"] if shutil.which("ptxas") else [])]
for path in (double, single):
    for target in targets:
        subprocess.run(["attn-compile", path, f"--target={target}", "--emit=report"], check=True,
                       stdout=subprocess.DEVNULL)
