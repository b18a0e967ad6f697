"""The meaning of the algebra, written once more in NumPy.

usage: numpy_oracle.py WORK [attn-run options that say how to compile]

Every case is an f64 program, operands, and a function that computes the results
from stored matrices of values and presence. It shares nothing with the compiler.
"""

import os
import subprocess
import sys

import numpy as np
from harness import BOTTOM_RIGHT, CAUSAL, attention

B, H, G, M, N, D = 2, 4, 2, 9, 11, 8
random = np.random.default_rng(7)


def operands(m=M, n=N, groups=G):
    return {
        "q": random.standard_normal((B, H, m, D)),
        "k": random.standard_normal((B, groups, n, D)),
        "v": random.standard_normal((B, groups, n, D)),
    }


class Scores:
    """Values and presence, [B, H, M, N]."""

    def __init__(self, value, present):
        self.value, self.present = value, np.broadcast_to(present, value.shape)

    def mask(self, keep):
        return Scores(self.value, self.present & keep)

    def map(self, function):
        return Scores(function(self.value), self.present)

    def rows(self):
        """The values of the present entries of each row, as [B, H, M] lists."""
        shape = self.value.shape[:3]
        return shape, [self.value[index][self.present[index]] for index in np.ndindex(shape)]

    def reduce(self, function, nothing):
        shape, rows = self.rows()
        return np.array([function(row) if row.size else nothing for row in rows]).reshape(shape)

    def transposed(self):
        return Scores(self.value.swapaxes(2, 3), self.present.swapaxes(2, 3))

    def softmax(self, sink=None, plus_one=False, base=np.e, scale=1.0, temperature=None):
        f = self.value * scale * np.log(base)
        if temperature is not None:
            f = f / temperature[..., None]
        f = np.where(self.present, f, -np.inf)
        top = f.max(axis=3, keepdims=True, initial=-np.inf)
        live = top > -np.inf
        shift = np.where(live, top, 0.0)
        e = np.exp(f - shift)
        total = e.sum(axis=3, keepdims=True)
        if sink is not None:
            total = total + np.exp(sink[None, :, None, None] * np.log(base) - shift)
        if plus_one:
            total = total + np.exp(-shift)
        return Scores(e / np.where(live, total, 1.0), self.present & live)

    def aggregate(self, v, head_map=None):
        heads = np.arange(H) // (H // v.shape[1]) if head_map is None else head_map
        weights = np.where(self.present, self.value, 0.0)
        return np.einsum("bhij,bhjd->bhid", weights, v[:, heads])


def score(x, head_map=None):
    heads = np.arange(H) // (H // x["k"].shape[1]) if head_map is None else head_map
    value = np.einsum("bhid,bhjd->bhij", x["q"], x["k"][:, heads]) * D**-0.5
    return Scores(value, True)


def grid(m=M, n=N, offset=None):
    """Positions of queries and keys, aligned at the bottom right."""
    offset = n - m if offset is None else offset
    return np.arange(m)[:, None] + offset, np.arange(n)[None, :]


def logsumexp(row):
    top = row.max()
    return top if top == -np.inf else top + np.log(np.exp(row - top).sum())


def entropy(row):
    p = np.exp(row - row.max())
    p /= p.sum()
    return logsumexp(row) - (p * row).sum()


REDUCTIONS = {
    "sum": (np.sum, 0.0),
    "max": (np.max, -np.inf),
    "min": (np.min, np.inf),
    "mean": (np.mean, 0.0),
    "count": (np.size, 0),
    "any": (lambda row: True, False),
    "lse": (logsumexp, -np.inf),
    "entropy": (entropy, 0.0),
}


def neighborhood(shape, window, dilation, causal):
    """Visibility on a grid, straight from the definition, token by token."""

    def axis(n, w, d, c):
        keep = np.zeros((n, n), bool)
        for i in range(n):
            group, u = i % d, i // d
            length = len(range(group, n, d))
            first = max(0, u - w + 1) if c else min(max(u - w // 2, 0), length - w)
            last = u + 1 if c else first + w
            for s in range(first, last):
                keep[i, group + d * s] = True
        return keep

    result = np.ones((1, 1), bool)
    for parameters in zip(shape, window, dilation, causal):
        result = np.kron(result, axis(*parameters))
    return result


def cases():
    f64 = {"element": "f64", "features": D}

    def masked(name, mask, keep, m=M, n=N, **options):
        x = operands(m, n)
        program = attention(axes=BOTTOM_RIGHT, body=f"  %t = attn.mask %s {mask} : SCORES", **f64, **options)
        return name, program, x, lambda: {"o": score(x).mask(keep).softmax().aggregate(x["v"])}

    pi, pj = grid()
    yield masked("causal", "causal", pj <= pi)
    yield masked("window", "window<left = 2, right = 1>", (pi - 2 <= pj) & (pj <= pi + 1))
    yield masked("dilated", "dilated<window = 3, dilation = 2>", (pj <= pi) & (pi - pj < 6) & ((pi - pj) % 2 == 0))
    yield masked("chunked", "chunked<size = 4>", (pj <= pi) & (pi // 4 == pj // 4))
    for name, text, parameters in (
        ("1-D", "shape = [13], window = [4], dilation = [3]", ((13,), (4,), (3,), (0,))),
        ("2-D", "shape = [5, 7], window = [3, 4], causal = [1, 0]", ((5, 7), (3, 4), (1, 1), (1, 0))),
        ("3-D", "shape = [2, 3, 5], window = [1, 2, 3]", ((2, 3, 5), (1, 2, 3), (1, 1, 1), (0, 0, 0))),
    ):
        length = int(np.prod(parameters[0]))
        yield masked(f"neighborhood {name}", f"neighborhood<{text}>", neighborhood(*parameters), length, length)

    prefix = {"prefix": np.array([3, 0], np.int32), **operands()}
    yield (
        "prefix",
        attention(extra=(("prefix", "tensor<?xi32>", ["B"], ""),), axes=BOTTOM_RIGHT,
                  body="  %t = attn.mask %s prefix prefix(%prefix : tensor<?xi32>) : SCORES", **f64),
        prefix,
        lambda: {"o": score(prefix).mask((pj <= pi) | (pj < prefix["prefix"][:, None, None, None])).softmax().aggregate(prefix["v"])},
    )
    packed = {"a": np.array([[0] * 4 + [1] * 5, [2] * 9], np.int32), "b": np.array([[0] * 6 + [1] * 5, [1] * 11], np.int32), **operands()}
    yield (
        "documents, one without keys",
        attention(extra=(("a", "tensor<?x?xi32>", ["B", "M"], ""), ("b", "tensor<?x?xi32>", ["B", "N"], "")),
                  axes="query_segments(%a : tensor<?x?xi32>) key_segments(%b : tensor<?x?xi32>)",
                  body="  %t = attn.mask %s document : SCORES", outputs=(("lse", "lse", "keys", "%t"),), **f64),
        packed,
        lambda: (lambda t: {"o": t.softmax().aggregate(packed["v"]), "lse": t.reduce(logsumexp, -np.inf)})(
            score(packed).mask((packed["a"][:, None, :, None] == packed["b"][:, None, None, :]))),
    )
    ragged = {"m": np.array([[9], [4]], np.int32), "n": np.array([[0], [7]], np.int32), **operands()}

    def ragged_results():
        i, j = np.arange(M)[:, None], np.arange(N)
        t = score(ragged).mask((i < ragged["m"][:, :, None, None]) & (j < ragged["n"][:, :, None, None]))
        filled = Scores(np.where(t.present, t.value, 2.5), (i < ragged["m"][:, :, None, None]) & (j < ragged["n"][:, :, None, None]))
        return {"o": t.softmax().aggregate(ragged["v"]), "total": filled.mask(j >= 3).reduce(np.sum, 0.0)}

    yield (
        "lengths, and a fill that keeps to them",
        attention(extra=(("m", "tensor<?x1xi32>", ["B", 1], ""), ("n", "tensor<?x1xi32>", ["B", 1], "")),
                  axes="query_length(%m : tensor<?x1xi32>) key_length(%n : tensor<?x1xi32>)",
                  body="  %c3 = arith.constant 3 : index\n  %t = attn.map %s (%x: f64) { attn.yield %x : f64 } : (SCORES) -> SCORES\n"
                  "  %f = attn.fill %t, 2.5 : SCORES\n  %g = attn.mask %f (%x: f64) at (%b, %h, %i, %j) {\n"
                  "    %keep = arith.cmpi uge, %j, %c3 : index\n    attn.yield %keep : i1\n  } : SCORES",
                  outputs=(("total", "sum", "keys", "%g"),), **f64),
        ragged,
        ragged_results,
    )
    for axis in ("keys", "queries"):
        for kind, (function, nothing) in REDUCTIONS.items():
            # Row 0 and column N - 1 have no entry.
            x = operands()
            body = ("  %zero = arith.constant 0 : index\n  %last = arith.constant 10 : index\n"
                    "  %t = attn.mask %s (%x: f64) at (%b, %h, %i, %j) {\n"
                    "    %row = arith.cmpi ne, %i, %zero : index\n    %column = arith.cmpi ne, %j, %last : index\n"
                    "    %keep = arith.andi %row, %column : i1\n    attn.yield %keep : i1\n  } : SCORES")
            keep = (np.arange(M)[:, None] != 0) & (np.arange(N) != N - 1)

            def results(x=x, function=function, nothing=nothing, axis=axis, keep=keep):
                t = score(x).mask(keep)
                return {"r": (t if axis == "keys" else t.transposed()).reduce(function, nothing)}

            yield f"{kind} over {axis}", attention(body=body, outputs=(("r", kind, axis, "%t"),), **f64), x, results

    x = operands()
    flat = {**x, "k": np.zeros_like(x["k"])}  # ties: the lower index wins
    for kind, data, function in (("argmax", x, np.argmax), ("argmin", x, np.argmin), ("argmax", flat, np.argmax)):
        program = attention(axes="query_offset(%past : index)", body=CAUSAL, outputs=(("r", kind, "keys", "%t"),), **f64)
        yield f"{kind}", program, data, lambda data=data, function=function: {"r": score(data).mask(pj <= pi).reduce(function, -1)}

    sink = {"sink": random.standard_normal(H) * 3, **operands()}
    yield (
        "sink",
        attention(axes=BOTTOM_RIGHT, body=CAUSAL, softmax="sink(%sink : tensor<4xf64>)", extra=(("sink", "tensor<4xf64>", [4], ""),), **f64),
        sink,
        lambda: {"o": score(sink).mask(pj <= pi).softmax(sink=sink["sink"]).aggregate(sink["v"])},
    )
    warm = {"t": random.random((B, H, M)) + 0.1, **operands()}
    yield (
        "temperature, base 2, scale",
        attention(axes=BOTTOM_RIGHT, body=CAUSAL, softmax="scale(1.5) base(2.0) temperature(%t0 : tensor<?x4x?xf64>)",
                  extra=(("t0", "tensor<?x4x?xf64>", ["B", 4, "M"], ""),), **f64),
        {"t0": warm["t"], **{name: warm[name] for name in "qkv"}},
        lambda: {"o": score(warm).mask(pj <= pi).softmax(base=2.0, scale=1.5, temperature=warm["t"]).aggregate(warm["v"])},
    )
    one = operands()
    yield (
        "plus one",
        attention(axes=BOTTOM_RIGHT, body=CAUSAL, softmax="plus_one", **f64),
        one,
        lambda: {"o": score(one).mask(pj <= pi).softmax(plus_one=True).aggregate(one["v"])},
    )
    infinite = operands()
    infinite["q"][0, 1, 3] = np.inf * np.sign(infinite["k"][0, 0, 2])
    infinite["v"][0, 0, N - 1] = np.nan  # masked for all queries but the last

    def infinite_results():
        with np.errstate(invalid="ignore"):
            t = score(infinite).mask(pj <= pi)
            o = t.softmax().aggregate(np.nan_to_num(infinite["v"], nan=0.0))
        o[0, :2, M - 1] = np.nan
        o[0, 1, 3] = np.nan
        return {"o": o}

    yield "a NaN stays where it is visible", attention(axes=BOTTOM_RIGHT, body=CAUSAL, **f64), infinite, infinite_results


def same(wanted, got):
    wanted = np.asarray(wanted)
    if wanted.shape != got.shape:
        return False
    if not np.issubdtype(got.dtype, np.floating):
        return bool((wanted == got).all())
    return bool(np.allclose(wanted, got, rtol=1e-11, atol=1e-11, equal_nan=True))


def main():
    work, *mode = sys.argv[1:]
    os.makedirs(work, exist_ok=True)
    count = failures = 0
    for name, program, data, expected in cases():
        count += 1
        inputs, outputs = os.path.join(work, "in.npz"), os.path.join(work, "out.npz")
        np.savez(inputs, **data)
        command = ["attn-run", "-", *mode, "--inputs", inputs, "--output", outputs]
        run = subprocess.run(command, input=program, text=True, capture_output=True)
        wanted = expected()
        if run.returncode:
            problem = f"exit code {run.returncode}\n{run.stdout}{run.stderr}\n{program}"
        else:
            with np.load(outputs) as got:
                problem = "".join(
                    f"{key} differs\nNumPy:\n{wanted[key]}\nattn-run:\n{got[key]}\n{program}"
                    for key in wanted if not same(wanted[key], got[key])
                )
        if problem:
            failures += 1
            print(f"FAILED {name}: {problem}")
    print(f"{count} cases, {failures} failures")
    sys.exit(failures > 0 or count < 20)


if __name__ == "__main__":
    main()
