"""Streams written by hand, lowered to scalar loops and run, against NumPy.

usage: check_streams.py PROGRAMS.mlir
Every function of the file is run naively, and once more trusting what its
`tiles` and `bounds` regions say; functions are named after the checks below.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np



def lower(program, options):
    """The program with loops in place of streams."""
    return subprocess.run(
        ["attn-opt", program, "-attn-bufferize-streams",
         f"-attn-stream-to-loops={options}"],
        check=True, stdout=subprocess.PIPE).stdout


def run(lowered, entry, arrays):
    """Results of one function, in order."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        np.savez(folder / "in.npz", **arrays)
        subprocess.run(
            ["attn-run", "-", f"--entry={entry}", "--reference",
             "--inputs", folder / "in.npz", "--output", folder / "out.npz"],
            check=True, input=lowered, stdout=subprocess.DEVNULL)
        with np.load(folder / "out.npz") as out:
            return [out[name] for name in out.files]


def scores(a):
    """Scores of x and y in f64, and which are present."""
    s = np.einsum("bhid,bhjd->bhij", a["x"].astype(np.float64), a["y"].astype(np.float64))
    rows, keys = s.shape[2:]
    return s, np.broadcast_to(np.arange(keys) <= np.arange(rows)[:, None] - 1, s.shape)


def weights(s, present):
    """exp2 of present scores less their maximum; rows without any are 0."""
    low = np.where(present, s, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    safe = np.where(np.isneginf(low), 0, low)
    return np.where(present, np.exp2(s - safe), 0), low


def softmax(a):
    """Weighted values, and log2 of the sum."""
    s, present = scores(a)
    e, low = weights(s, present)
    total = e.sum(-1, keepdims=True)
    p = np.divide(e, total, where=total > 0, out=np.zeros_like(e))
    with np.errstate(divide="ignore"):
        lse = (np.log2(total) + low)[..., 0]
    values = np.nan_to_num(a["y"].astype(np.float64))
    return [np.einsum("bhij,bhjd->bhid", p, values), lse]


def first(s, where):
    """Index of an extremum along keys; 0 where there are no keys."""
    return where(s, -1) if s.shape[-1] else np.zeros(s.shape[:-1], int)


def kinds(a):
    """All kinds of carries."""
    s, present = scores(a)
    count = present.sum(-1)
    some = count > 0
    high, low = np.where(present, s, -np.inf), np.where(present, s, np.inf)
    mean = np.where(present, s, 0).sum(-1) / np.maximum(count, 1)
    return [
        np.where(present, s, 0).sum(-1), high.max(-1, initial=-np.inf),
        low.min(-1, initial=np.inf), mean, count,
        np.where(some, first(high, np.argmax), -1),
        np.where(some, first(low, np.argmin), -1), some,
    ]


def variance(a):
    """Sum of squared distances from the mean of all scores, and its cube's."""
    s, _ = scores(a)
    d = s - s.sum(-1, keepdims=True) / max(s.shape[-1], 1)
    return [(d**2).sum(-1), (d**3).sum(-1)]


def entropy(a):
    """sum of e * (s - max) and of e, over all scores."""
    s, present = scores(a)
    e, low = weights(s, present)
    with np.errstate(invalid="ignore"):
        return [np.where(e > 0, e * (s - low), 0).sum(-1), e.sum(-1)]


CHECKS = {
    "softmax": softmax,
    "naive_softmax": softmax,
    "kinds": kinds,
    "variance": variance,
    "entropy": entropy,
    "column_sums": lambda a: [
        np.where(scores(a)[1], scores(a)[0], 0).sum(-2)],
}

UNMASKED = {"variance"}


def check(programs, name, arrays, what):
    expected = CHECKS[name](arrays)
    for options, lowered in programs.items():
        got = run(lowered, name, arrays)
        assert len(got) == len(expected), f"{name}: {len(got)} results"
        for k, (x, y) in enumerate(zip(got, expected)):
            scale = max(1.0, np.abs(y[np.isfinite(y)], dtype=np.float64).max(initial=0))
            same = np.isclose(x, y, rtol=2e-5, atol=2e-5 * scale, equal_nan=True)
            assert same.all(), (
                f"{name}, result {k}, {what}, options '{options}': "
                f"{(~same).sum()} of {same.size} wrong, first {x[~same][0]} "
                f"for {y[~same][0]}")


def main(program):
    rng = np.random.default_rng(1)
    programs = {options: lower(program, options) for options in ("", "use-bounds")}
    for rows, keys, scale in ((7, 9, 10.0), (11, 3, 0.1), (1, 5, 1.0), (5, 0, 1.0)):
        arrays = {
            "x": scale * rng.standard_normal((2, 3, rows, 8), np.float32),
            "y": rng.standard_normal((2, 3, keys, 8), np.float32),
        }
        what = f"{rows} x {keys}, scale {scale}"
        for name in CHECKS:
            check(programs, name, arrays, what)
        # Keys that are absent from every row leave no trace, whatever they hold.
        arrays["y"][:, :, max(rows - 1, 0):] = np.nan
        for name in CHECKS.keys() - UNMASKED:
            check(programs, name, arrays, what + ", NaN in absent keys")
    print(f"{len(CHECKS)} programs agree")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1])
