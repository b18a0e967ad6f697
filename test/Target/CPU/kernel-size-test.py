# RUN: %python %s %tools_dir/attn-opt %root/examples
"""Every kernel of the examples stays small before LLVM sees it: at most 4,000
instructions and no vector above 512 elements, whatever the tiles. Growth here
is compile time, which is how unrolled tiles announce themselves."""

import pathlib
import re
import subprocess
import sys

opt, examples = sys.argv[1:]
seen = 0
for program in sorted(pathlib.Path(examples).glob("*.mlir")):
    for cpu in ("znver4", "haswell"):
        options = f"triple=x86_64-unknown-linux-gnu cpu={cpu} max-recompute-factor=0"
        text = subprocess.run(
            [opt, program, f"--attn-cpu-pipeline={options}"],
            capture_output=True, text=True, check=True,
        ).stdout
        for kernel in re.finditer(r"llvm\.func (?:@|\w+ @)(\w+_stream\d+)\(.*?\n  }\n", text, re.S):
            seen += 1
            lines = [line for line in kernel.group(0).splitlines()[1:-1] if not line.lstrip().startswith("^")]
            count = sum("llvm.mlir.constant" not in line for line in lines)
            widest = max((int(n) for n in re.findall(r"vector<(\d+)x", kernel.group(0))), default=0)
            where = f"{program.name} for {cpu}: {kernel.group(1)}"
            assert count <= 4000, f"{where} has {count} instructions"
            assert 1 < widest <= 512, f"{where} has a vector of {widest} elements"
assert seen > 20, f"only {seen} kernels found"
