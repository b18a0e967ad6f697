# No kernel of the examples has scratch on AMD's short waves, whose lanes have
# half as many registers as those of long ones.
# RUN: %python %s %root gfx1100 gfx1201
"""Compiles every example for GPUs of AMD, and reads their reports."""

import multiprocessing.pool
import os
import re
import subprocess
import sys

ROOT, CHIPS = sys.argv[1], sys.argv[2:]
FOLDER = os.path.join(ROOT, "examples")
# One example has sums over a dynamic number of others.
UNBOUNDED = "--max-recompute-factor=0"


def find_scratch(job):
    name, chip = job
    command = ["attn-compile", os.path.join(FOLDER, name), f"--target=hip:{chip}", "--emit=report", UNBOUNDED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    kernels = re.findall(r"(\w+): \d+ threads.* (\d+) bytes of scratch", done.stdout)
    if done.returncode or not kernels:
        return [f"{name} for {chip}: no report\n{done.stderr}"]
    return [
        f"{name} for {chip}: {kernel} has {scratch} bytes of scratch" for kernel, scratch in kernels if int(scratch)
    ]


jobs = [(name, chip) for name in sorted(os.listdir(FOLDER)) if name.endswith(".mlir") for chip in CHIPS]
with multiprocessing.pool.ThreadPool(2) as pool:
    found = sum(pool.map(find_scratch, jobs), [])
print(*found, f"{len(jobs)} reports", sep="\n")
sys.exit(1 if found else 0)
