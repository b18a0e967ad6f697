# Kernels in which a warp brings tiles to the others become PTX; with ptxas, they
# assemble and nothing is spilled.
# RUN: %python %s %root
"""Compiles examples of attention with --warp-roles for two chips."""

import os
import re
import shutil
import subprocess
import sys

ROOT = sys.argv[1]
PROGRAMS = ("causal-gqa", "int8-scores", "alibi", "sigmoid-attention", "paged-decode-int8")


def compile_program(name, chip, kind):
    path = os.path.join(ROOT, "examples", name + ".mlir")
    command = ("attn-compile", path, f"--target=cuda:{chip}", "--warp-roles", f"--emit={kind}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


failed = []
for chip in ("sm_80", "sm_90"):
    for name in PROGRAMS:
        code, ptx, remarks = compile_program(name, chip, "ptx")
        if code or "mbarrier.init" not in ptx:
            failed.append(name)
            print(f"{name} ({chip}) has no roles: {remarks}")
        elif shutil.which("ptxas"):
            code, report, remarks = compile_program(name, chip, "report")
            spills = re.findall(r"(\d+) bytes of spill stores, (\d+) of spill loads", report)
            if code or not spills or any(int(count) for pair in spills for count in pair):
                failed.append(name)
                print(f"{name} ({chip}): {report}{remarks}")
sys.exit(bool(failed))
