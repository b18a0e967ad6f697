# Kernels for sm_90a that the emulated GPU runs become PTX with the same
# asynchronous products in the same order; with ptxas, they assemble without a
# remark, and nothing is spilled.
# RUN: %python %s %root
"""Lowers the kernels of the emulator's unit tests as for a card."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = sys.argv[1]
KERNELS = ("bulk", "cluster", "gemm", "ring", "roles", "wgmma", "wgmma-layouts")
LOWERING = "convert-scf-to-cf,convert-arith-to-llvm,reconcile-unrealized-casts"
PIPELINE = (
    f"builtin.module(gpu.module({LOWERING}),convert-cf-to-llvm,"
    "nvvm-attach-target{chip=sm_90a features=+ptx86 O=3},"
    "gpu.module(convert-nvvm-to-llvm,reconcile-unrealized-casts),gpu-module-to-binary{format=isa})"
)
# As the kernel has it, and as PTX does.
STEPS = {
    "wgmma.mma_async": "mma",
    "wgmma.fence": "fence",
    "wgmma.commit": "commit",
    "wgmma.wait": "wait",
}


def list_steps(text):
    code = re.sub(r"//[^\n]*", "", text)
    return [STEPS[name] for name in re.findall("|".join(map(re.escape, STEPS)), code)]


def is_same(steps, wanted):
    """Loops, with which kernels begin, may be unrolled."""
    return any(
        steps == wanted[:end] * turns + wanted[end:] for end in range(len(wanted) + 1) for turns in range(1, 5)
    )


def make_ptx(path):
    done = subprocess.run(
        ["attn-opt", path, "--pass-pipeline=" + PIPELINE], capture_output=True, text=True, check=True
    )
    assembly = re.search(r'assembly = "(.*?)">', done.stdout, re.DOTALL).group(1)
    return re.sub(r"\\([0-9A-F]{2})", lambda code: chr(int(code.group(1), 16)), assembly).rstrip("\0")


def assemble(ptxas, ptx):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kernel.ptx")
        with open(path, "w", encoding="utf-8") as file:
            file.write(ptx)
        done = subprocess.run(
            [ptxas, "-arch=sm_90a", "-v", path, "-o", path + ".cubin"], capture_output=True, text=True, check=False
        )
    text = done.stdout + done.stderr
    remarks = re.search(r"warning|C75\d\d|serialized|ignored", text)
    spills = [count for count in re.findall(r"(\d+) bytes spill", text) if int(count)]
    return done.returncode == 0 and not remarks and not spills, text


ptxas = shutil.which("ptxas")
failed = 0
for name in KERNELS:
    path = os.path.join(ROOT, "test", "Unit", "Emulator", "Inputs", name + ".mlir")
    ptx = make_ptx(path)
    with open(path, encoding="utf-8") as file:
        wanted = list_steps(file.read())
    passed, text = (is_same(list_steps(ptx), wanted), f"{list_steps(ptx)} for {wanted}")
    if passed and ptxas:
        passed, text = assemble(ptxas, ptx)
    if not passed:
        failed += 1
        print(f"{name}: {text}")
print(f"{len(KERNELS) - failed} of {len(KERNELS)} as expected" + ("" if ptxas else ", without ptxas"))
sys.exit(1 if failed else 0)
