# Functions of f64 on GPUs are within 2 ulp of the truth (erf: 5), and make of infinities,
# NaN, zeros and subnormal numbers what the C library makes of them.
# RUN: %python %s %t
"""Compares them with the C library's in extended precision."""

import math
import os
import subprocess
import sys

import numpy as np

FUNCTIONS = ("erf", "exp", "exp2", "expm1", "log", "log1p", "log2", "tanh")
TENSOR = "tensor<?xf64>"

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(7)
x = np.concatenate([
    rng.standard_normal(2000) * 10.0 ** rng.uniform(-8, 3, 2000), rng.uniform(-750, 720, 1000),
    rng.uniform(-1080, 1030, 1000), rng.uniform(0.4, 2.5, 2000), 10.0 ** rng.uniform(-320, 308, 1000),
    [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 709.782712893384, -745.13321910194, 1024.0, -1075.0, 1.0,
     -1.0, 1e308, -1e300]])
np.savez(f"{folder}/x.npz", x=x)
body = "".join(f"  %{name} = math.{name} %x : {TENSOR}\n" for name in FUNCTIONS)
with open(f"{folder}/f.mlir", "w", encoding="utf-8") as file:
    results = ", ".join(f'{TENSOR} {{attn.name = "{name}"}}' for name in FUNCTIONS)
    values = ", ".join("%" + name for name in FUNCTIONS)
    file.write(f'func.func @f(%x: {TENSOR} {{attn.name = "x", attn.dims = ["N"]}}) -> ({results}) {{\n{body}'
               f"  return {values} : {', '.join([TENSOR] * len(FUNCTIONS))}\n}}\n")
subprocess.run(["attn-run", f"{folder}/f.mlir", "--target=cuda:sm_80,emulate", "--inputs", f"{folder}/x.npz",
                "--output", f"{folder}/y"], check=True)
for name in FUNCTIONS:
    y = np.load(f"{folder}/y/{name}.npy")
    with np.errstate(all="ignore"):
        # NumPy has no erf; that of the C library is good to an ulp.
        truth = (np.vectorize(math.erf)(x).astype(np.longdouble) if name == "erf"
                 else getattr(np, name)(x.astype(np.longdouble)))
        rounded = truth.astype(np.float64)
        special = ~np.isfinite(rounded) | (rounded == 0)
        assert np.array_equal(y[special], rounded[special], equal_nan=True), name
        error = np.abs(y.astype(np.longdouble) - truth)[~special] / np.spacing(np.abs(rounded[~special]))
    print(f"{name}: {float(error.max()):.2f} ulp at most")
    assert error.max() < (5 if name == "erf" else 2), name
