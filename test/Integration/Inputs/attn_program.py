"""Runs attn programs on NumPy arrays, for the tests next to this folder.

A test computes what a program means from its definition, with NumPy and in
double precision, and compares. The options of attn-run on its command line
(--reference, --loops, ...) say which way through the compiler is tested.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

FLAGS = sys.argv[1:]
FLOATS = {"f32": (np.float32, 1e-5), "f64": (np.float64, 1e-12)}
failures = []


def run(program, **inputs):
    """The results, in order, of the one public function of `program`."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "program.mlir").write_text(program)
        np.savez(path / "in.npz", **inputs)
        command = ["attn-run", str(path / "program.mlir"), *FLAGS]
        command += ["--inputs", str(path / "in.npz")]
        command += ["--output", str(path / "out.npz")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{done.stdout}{done.stderr}\n{program}")
        with np.load(path / "out.npz") as out:
            return [out[f"result{k}"] for k in range(len(out.files))]


def check(what, got, want, tolerance=0.0):
    want = np.asarray(want, dtype=float)
    got = np.asarray(got, dtype=float)
    if got.shape != want.shape:
        failures.append(f"{what}: shape {got.shape}, expected {want.shape}")
    elif not np.allclose(got, want, tolerance, tolerance, equal_nan=True):
        error = np.nanmax(np.abs(got - want))
        failures.append(f"{what}: largest error {error}\n{got}\n{want}")


def finish():
    print("\n".join(failures) or "all as defined")
    sys.exit(bool(failures))


def arguments(**types):
    """A parameter list in which each argument is known by its name."""
    return ", ".join(
        f'%{name}: {type} {{attn.name = "{name}"}}' for name, type in types.items()
    )


def bf16(array):
    """Bits of the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(float)


def softmax(scores, present, extra=None, scale=1.0, base=np.e):
    """Weights (0 where absent) and logsumexp over the last axis; `extra` is one
    more logit of the denominator."""
    with np.errstate(all="ignore"):
        f = np.where(present, scores * scale * np.log(base), -np.inf)
        top = f.max(-1, keepdims=True, initial=-np.inf)
        empty = top == -np.inf
        shift = np.where(empty, 0, top)
        e = np.where(present, np.exp(f - shift), 0)
        total = e.sum(-1, keepdims=True)
        lse = np.where(empty, -np.inf, np.log(total) + top)[..., 0]
        if extra is not None:
            total = total + np.exp(extra - shift)
        return np.where(empty, 0, e / total), lse
