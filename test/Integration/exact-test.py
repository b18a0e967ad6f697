# RUN: %python %s
"""The arithmetic of exact mode against Python's integers: integers of 24 bits
stand for themselves, so that operands can be chosen."""

import pathlib
import subprocess
import sys
import tempfile

import numpy

WIDTHS = {"f32": 32, "f64": 64}
LENGTH = 500

# Results of x, y (any integers) and u (odd ones), as ops on tensors.
OPERATIONS = {
    "sum": "arith.addf %x, %y",
    "difference": "arith.subf %x, %y",
    "product": "arith.mulf %x, %y",
    "negative": "arith.negf %x",
    "larger": "arith.maximumf %x, %y",
    "smaller": "arith.minnumf %x, %y",
    "power": "math.exp2 %x",
    "logarithm": "math.log2 %e",
    "root": "math.sqrt %square",
    "inverse": "arith.divf %x, %u",
    "squared": "math.powf %x, %two",
    "quotient": "arith.divf %scaled, %scaledv",
    "plain": "arith.divf %x, %y",
}


def program(element):
    t = f"tensor<?x{element}>"
    arguments = ", ".join(
        f'%{n}: {t} {{attn.name = "{n}", attn.dims = ["N"]}}' for n in ["x", "y", "u", "two"]
    )
    names = list(OPERATIONS)
    results = ", ".join(f'{t} {{attn.name = "{n}"}}' for n in names)
    body = [
        f"%e = math.exp2 %x : {t}",
        f"%square = arith.mulf %e, %e : {t}",
        f"%scaled = arith.mulf %x, %e : {t}",
        f"%scaledv = arith.mulf %y, %e : {t}",
    ]
    body += [f"%{name} = {text} : {t}" for name, text in OPERATIONS.items()]
    body.append(f"return {', '.join('%' + n for n in names)} : {', '.join([t] * len(names))}")
    return f"func.func @f({arguments}) -> ({results}) {{\n  " + "\n  ".join(body) + "\n}\n"


def expected(x, y, u, width):
    """Numbers, or functions that say whether a result is right."""
    mod = 1 << width
    units = 1 << (width - 2)
    return {
        "sum": x + y,
        "difference": x - y,
        "product": x * y,
        "negative": -x,
        "larger": max(x, y),
        "smaller": min(x, y),
        "power": pow(5, x % mod, mod),
        "logarithm": lambda r: r == x % units,
        # The root of 5^(2 k), k from logarithms modulo 2^(w - 2).
        "root": lambda r: r * r % mod == pow(5, 2 * x % mod, mod),
        "inverse": x * pow(u, -1, mod),
        "squared": x * x,
        # A quotient does not change with a power of 5 in both.
        "quotient": "plain",
    }


def check(element, folder):
    width = WIDTHS[element]
    random = numpy.random.default_rng(5)
    bound = 1 << 20
    x, y = random.integers(-bound, bound, (2, LENGTH))
    x[:3], y[:5] = [0, 1, -1], [0, 1, -1, 2, 64]
    u = 2 * random.integers(-bound, bound, LENGTH) + 1
    arrays = {"x": x, "y": y, "u": u, "two": numpy.full(LENGTH, 2)}
    kind = {"f32": numpy.float32, "f64": numpy.float64}[element]
    numpy.savez(folder / "in.npz", **{n: a.astype(kind) for n, a in arrays.items()})
    (folder / "f.mlir").write_text(program(element))
    subprocess.run(
        ["attn-run", folder / "f.mlir", "--check=exact", "--inputs", folder / "in.npz", "--output", folder / "out.npz"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    out = {n: a.view(f"u{width // 8}") for n, a in numpy.load(folder / "out.npz").items()}
    wrong = []
    for i in range(LENGTH):
        for name, want in expected(int(x[i]), int(y[i]), int(u[i]), width).items():
            got = int(out[name][i])
            if want == "plain":
                want = int(out["plain"][i])
            right = want(got) if callable(want) else got == want % (1 << width)
            if not right:
                wrong.append(f"{element} {name} of {x[i]}, {y[i]}, {u[i]}: {got:#x}")
    return wrong


def main():
    with tempfile.TemporaryDirectory() as folder:
        wrong = [line for element in WIDTHS for line in check(element, pathlib.Path(folder))]
    print("\n".join(wrong[:20]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
