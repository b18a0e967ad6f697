# The examples as GPU kernels on the emulated GPU, against the reference in f64;
# those without tiles say why. With ptxas, no kernel spills; AMD's have no
# scratch.
# RUN: %python %s %root cuda:sm_80
"""Runs every example on the emulated GPU, at sizes of a tile and a bit."""

import os
import re
import shutil
import subprocess
import sys

ROOT, TARGET = sys.argv[1:3]
NAMES = sys.argv[3:]
# AMD's waves take longer to emulate: few rows, but more keys than a tile has.
LENGTH = 66 if TARGET.startswith("hip:") else 70
SIZES = {"B": 1, "L": LENGTH, "M": 9 if TARGET.startswith("hip:") else 70, "N": LENGTH}
# A row is a thread in these, whose sums over heads and taps are long.
SMALL = {"B": 1, "C": 9, "L": 9, "M": 9, "N": 9}
ROW_BY_ROW = ("lookahead-keys", "multi-token-attention")
# All pairs of nodes of a tree are many entries, and so are those of eight heads
# that are mixed twice.
LONG = ("nested-attention-tree", "talking-heads", "window-plus-quantised-past")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def choose_sizes(path, sizes):
    with open(path, encoding="utf-8") as file:
        names = set(re.findall(r'"([A-Z]\w*)"', "".join(re.findall(r"attn\.dims = \[[^\]]*\]", file.read()))))
    return ",".join(f"{name}={sizes[name]}" for name in sorted(names & sizes.keys()))


def check(name, path):
    common = ("--max-recompute-factor=0",)
    rows = name in ROW_BY_ROW
    sizes = choose_sizes(path, SMALL if rows or name in LONG else SIZES)
    options = ("--size", sizes) if sizes else ()
    code, text = run("attn-run", path, f"--target={TARGET},emulate", "--check", *common, *options)
    if ("a thread computes each row" in text) != rows:
        return False, text
    if code != 0 or "check (emulated GPU): ok" not in text:
        return False, text
    if TARGET.startswith("hip:"):
        code, text = run("attn-compile", path, f"--target={TARGET}", "--emit=report", *common)
        scratch = re.findall(r"(\d+) bytes of scratch", text)
        return code == 0 and scratch and not any(map(int, scratch)), text
    if shutil.which("ptxas"):
        code, text = run("attn-compile", path, f"--target={TARGET}", "--emit=report", *common)
        kernels = re.findall(r"(\d+) bytes of spill stores", text)
        return code == 0 and kernels and not any(map(int, kernels)), text
    return True, text


folder = os.path.join(ROOT, "examples")
failed = []
names = NAMES or sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".mlir"))
for name in names:
    passed, text = check(name, os.path.join(folder, name + ".mlir"))
    if not passed:
        failed.append(name)
        print(f"{name}:\n{text}")
print(f"{len(names) - len(failed)} of {len(names)} as expected, {len(ROW_BY_ROW)} of them row by row")
sys.exit(1 if failed else 0)
