# The examples as GPU kernels on the emulated GPU, against the reference in f64;
# those that have no kernel yet say why. With ptxas, no kernel spills.
# RUN: %python %s %root
"""Runs every example that has kernels for sm_80 emulated, at sizes of a tile and a bit."""

import os
import re
import shutil
import subprocess
import sys

ROOT = sys.argv[1]
SIZES = {"B": 1, "L": 70, "M": 70, "N": 70}
# What stands in the way, by example.
REFUSED = {
    "append-quantised": "would run on the host, where the tensors of a GPU program are not",
    "block-sparse-from-list": "follows a list, which has no form on GPUs yet",
    "expert-choice": "would run on the host, where the tensors of a GPU program are not",
    "lookahead-keys": "'attn.sweep' op has no form on GPUs yet",
    "multi-token-attention": "'attn.mix' op has no form on GPUs yet",
    "quest-pages": "would run on the host, where the tensors of a GPU program are not",
    "quest-top-k-pages": "'attn.top' op has no form on GPUs yet",
    "relative-bias-gradient": "'attn.bins' op has no form on GPUs yet",
    "slot-attention": "'attn.across' op has no form on GPUs yet",
    "talking-heads": "'attn.mix' op has no form on GPUs yet",
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def choose_sizes(path):
    with open(path, encoding="utf-8") as file:
        names = set(re.findall(r'"([A-Z]\w*)"', "".join(re.findall(r"attn\.dims = \[[^\]]*\]", file.read()))))
    return ",".join(f"{name}={SIZES[name]}" for name in sorted(names & SIZES.keys()))


def check(name, path):
    common = ("--max-recompute-factor=0",)
    if name in REFUSED:
        code, text = run("attn-run", path, "--target=cuda:sm_80,emulate", *common)
        return code == 3 and REFUSED[name] in text, text
    sizes = choose_sizes(path)
    options = ("--size", sizes) if sizes else ()
    code, text = run("attn-run", path, "--target=cuda:sm_80,emulate", "--check", *common, *options)
    if code != 0 or "check (emulated GPU): ok" not in text:
        return False, text
    if shutil.which("ptxas"):
        code, text = run("attn-compile", path, "--target=cuda:sm_80", "--emit=report", *common)
        kernels = re.findall(r"(\d+) bytes of spill stores", text)
        return code == 0 and kernels and not any(map(int, kernels)), text
    return True, text


folder = os.path.join(ROOT, "examples")
failed = []
names = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".mlir"))
for name in names:
    passed, text = check(name, os.path.join(folder, name + ".mlir"))
    if not passed:
        failed.append(name)
        print(f"{name}:\n{text}")
print(f"{len(names) - len(failed)} of {len(names)} as expected, {len(REFUSED)} of them refused")
sys.exit(1 if failed else 0)
