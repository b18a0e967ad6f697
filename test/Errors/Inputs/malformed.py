"""Damaged programs and data: a message and an exit code, never a crash.

usage: malformed.py SUITE EXAMPLES_DIR WORK

Programs are cut short, or have words removed, doubled or exchanged, by a fixed
seed; most no longer parse, some parse and no longer verify, a few still run.
Segments of operands, in the generic form, have their sizes exchanged.
"""

import glob
import os
import random
import re
import subprocess
import sys

import numpy as np

CRASH = re.compile(r"LLVM ERROR|PLEASE submit|Stack dump|Assertion|AddressSanitizer|runtime error|Segmentation|terminate called")
WORDS = re.compile(r"%\w+|[\w.]+|\s+|.")


def run(command, text=None):
    done = subprocess.run(command, input=text, text=True, errors="replace", capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


class Report:
    def __init__(self):
        self.count = self.failures = 0
        self.codes = {}

    def expect(self, what, result, codes):
        code, out, err = result
        self.count += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        if code not in codes:
            problem = f"exit code {code}, expected one of {sorted(codes)}"
        elif CRASH.search(err + out):
            problem = "it crashed"
        elif code and not err.strip():
            problem = "it failed without a message"
        else:
            return
        self.failures += 1
        print(f"FAILED {what}: {problem}\n{err[:2000]}")

    def finish(self):
        print(f"{self.count} runs, {self.failures} failures, exit codes {self.codes}")
        sys.exit(self.failures > 0 or self.count == 0)


def damaged(text, rng):
    """One damaged copy of a program."""
    start = text.index("func.func")
    if rng.random() < 0.25:
        return text[: rng.randrange(start, len(text))]
    words = WORDS.findall(text[start:])
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(words))
        kind = rng.random()
        if kind < 0.3:
            del words[at]
        elif kind < 0.5:
            words.insert(at, words[at])
        elif kind < 0.8:
            other = rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        else:
            words[at] = rng.choice(("f64", "f32", "index", "?", "0", "-1", "9223372036854775807", "attn.mask", "%q", "bf16", "1x"))
    return text[:start] + "".join(words)


def programs(examples, report):
    rng = random.Random(11)
    texts = []
    for path in sorted(glob.glob(os.path.join(examples, "*.mlir"))):
        with open(path, encoding="utf-8") as file:
            texts.append((os.path.basename(path), file.read()))
    for turn in range(5):
        for name, text in texts:
            bad = damaged(text, rng)
            what = f"{name}, damage {turn}"
            if turn < 3:
                result = run(["attn-opt", "--attn-plan", "-o", os.devnull, "-"], bad)
                codes = {0, 1}
            else:
                sizes = ["B=1", "L=3", "M=2", "N=3"]
                result = run(["attn-run", "-", "--size", *sizes], bad)
                codes = {0, 2, 3}
            report.expect(what, result, codes)
            if report.failures:
                print(bad)
                report.finish()
    for what, text in (
        ("an empty program", ""),
        ("no function", "module {}"),
        ("a NUL byte", "func.func @f() {\n  return\n}\n\0garbage"),
        ("not UTF-8", "\udcff\udcfe".encode("utf-8", "surrogateescape").decode("latin-1")),
        ("deep nesting", "module {" * 200),
        ("an unknown op", "func.func @f() {\n  attn.unknown\n  return\n}"),
    ):
        report.expect(what, run(["attn-run", "-"], text), {2, 3})


SEGMENTS = re.compile(r'"([\w.]+)"\([^)]*\) <\{[^>]*operandSegmentSizes = array<i32: ([\d, ]+)>')


def segments(examples, report):
    """One operand of every op counts for the next segment of its op."""
    seen = set()
    for path in sorted(glob.glob(os.path.join(examples, "*.mlir"))):
        code, text, err = run(["attn-opt", "--mlir-print-op-generic", path])
        if code:
            report.expect(path, (code, text, err), {0})
            continue
        bad = []
        for op in SEGMENTS.finditer(text):
            sizes = [int(size) for size in op[2].split(",")]
            for k, size in enumerate(sizes):
                changed = list(sizes)
                changed[k] -= 1
                changed[(k + 1) % len(sizes)] += 1
                if size and (op[1], *changed) not in seen:
                    seen.add((op[1], *changed))
                    bad.append(text[: op.start(2)] + ", ".join(map(str, changed)) + text[op.end(2) :])
        if bad:
            result = run(["attn-opt", "--split-input-file", "-o", os.devnull, "-"], "\n// -----\n".join(bad))
            report.expect(f"segments of {os.path.basename(path)}", result, {0, 1})
    print(len(seen), "exchanged segments")


SQUARE = """
func.func @f(%x: tensor<?x3xf32> {attn.name = "x", attn.dims = ["L", "3"]},
             %y: tensor<?xf32> {attn.name = "y", attn.dims = ["L"]}) -> tensor<?x3xf32> {
  return %x : tensor<?x3xf32>
}
"""


def data(examples, report, work):
    os.makedirs(work, exist_ok=True)
    program = os.path.join(work, "program.mlir")
    with open(program, "w", encoding="utf-8") as file:
        file.write(SQUARE)

    def file(name, contents):
        path = os.path.join(work, name)
        with open(path, "wb") as out:
            out.write(contents)
        return path

    def array(value, version=None):
        import io

        out = io.BytesIO()
        np.lib.format.write_array(out, value, version=version)
        return out.getvalue()

    good = array(np.ones((4, 3), np.float32))

    def attempt(what, contents, codes, *more):
        path = file("x.npy", contents)
        report.expect(what, run(["attn-run", program, "--input", f"x={path}", *more]), codes)

    attempt("a good file", good, {0})
    attempt("a version 2 file", array(np.ones((4, 3), np.float32), (2, 0)), {0})
    attempt("Fortran order", array(np.asfortranarray(np.ones((4, 3), np.float32))), {0, 4})
    for length in (0, 1, 5, 6, 8, 9, 10, 30, 80, 127, 128, 129, len(good) - 1):
        attempt(f"cut after {length} bytes", good[:length], {4})
    attempt("another magic", b"\x93NUMPX" + good[6:], {4})
    attempt("version 9", good[:6] + b"\x09" + good[7:], {4})
    attempt("a header that claims 64 KiB", good[:8] + b"\xff\xff" + good[10:], {4})
    attempt("no dictionary", good.replace(b"{'descr'", b"['descr'"), {4})
    attempt("objects", good.replace(b"<f4", b"|O4"), {4})
    attempt("strings", good.replace(b"'<f4'", b"'<U1'"), {4})
    attempt("a negative extent", good.replace(b"(4, 3)", b"(-4,3)"), {4})
    attempt("a shape that overflows", good.replace(b"(4, 3), }      ", b"(4611686018427387904, 4611686018427387904), }"[:15]), {4})
    attempt("a larger shape than data", good.replace(b"(4, 3)", b"(9, 3)"), {4})
    attempt("f64 for f32", array(np.ones((4, 3))), {2, 4})
    attempt("another rank", array(np.ones((4, 3, 1), np.float32)), {2, 4})
    attempt("another extent", array(np.ones((4, 2), np.float32)), {2, 4})
    attempt("sizes that disagree with --size", good, {2, 4}, "--size", "L=5")
    other = file("y.npy", array(np.ones(7, np.float32)))
    attempt("files that disagree with each other", good, {2, 4}, "--input", f"y={other}")
    attempt("an argument that is not there", good, {2, 4}, "--input", f"z={other}")
    report.expect("no such file", run(["attn-run", program, "--input", "x=/nowhere/x.npy"]), {4})
    report.expect("a folder as a file", run(["attn-run", program, "--input", f"x={work}"]), {4})
    report.expect("no such program", run(["attn-run", "/nowhere/p.mlir"]), {2})
    report.expect("a folder as a program", run(["attn-run", work]), {2, 3})
    report.expect("results into a file as folder", run(["attn-run", program, "--output", os.path.join(other, "r")]), {4})
    np.savez(os.path.join(work, "good.npz"), x=np.ones((4, 3), np.float32), y=np.ones(4, np.float32))
    with open(os.path.join(work, "good.npz"), "rb") as archive:
        packed = archive.read()
    report.expect("a good archive", run(["attn-run", program, "--inputs", os.path.join(work, "good.npz")]), {0})
    for length in (0, 3, 30, 100, len(packed) // 2, len(packed) - 30, len(packed) - 1):
        path = file("bad.npz", packed[:length])
        report.expect(f"an archive cut after {length} bytes", run(["attn-run", program, "--inputs", path]), {4})
    rng = random.Random(3)
    for turn in range(40):
        bad = bytearray(packed)
        for _ in range(3):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        path = file("bad.npz", bytes(bad))
        report.expect(f"an archive with damage {turn}", run(["attn-run", program, "--inputs", path]), {0, 2, 4})


def main():
    suite, examples, work = sys.argv[1:]
    report = Report()
    if suite == "programs":
        programs(examples, report)
    elif suite == "segments":
        segments(examples, report)
    else:
        data(examples, report, work)
    report.finish()


if __name__ == "__main__":
    main()
