#!/usr/bin/env python3
"""Plain attention on this machine, as shares of its own measured limit.

Runs attn-run on generated programs (full and causal, several feature sizes and
element types) and prints one Markdown row per program: median time, GFLOP/s on
the entries that the mask needs, and the share of the fused-multiply-add peak
measured in the same process. Every program is first checked against the
reference at a small odd size; a figure without its check is not printed.

    bench/attention.py                    # L = 2048, H = 8, all threads
    bench/attention.py --length 4096 --features 64 --threads 1
    bench/attention.py --json result.json
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

PROGRAM = """
!scores = !attn.scores<?x{heads}x?x?xf32>
!qkv = tensor<?x{heads}x?x{features}x{type}>
func.func @attention(
    %q: !qkv {{attn.name = "q", attn.dims = ["B", "{heads}", "L", "{features}"]}},
    %k: !qkv {{attn.name = "k", attn.dims = ["B", "{heads}", "L", "{features}"]}},
    %v: !qkv {{attn.name = "v", attn.dims = ["B", "{heads}", "L", "{features}"]}}) -> !qkv {{
  %s = attn.score %q, %k scale({scale}) : !qkv, !qkv -> !scores
  {mask}
  %p = attn.softmax %c : !scores
  %o = attn.aggregate %p, %v operand_type({operand}) : !scores, !qkv -> !qkv
  return %o : !qkv
}}
"""

MASKS = {
    "full": "%c = attn.with_axes %s : !scores",
    "causal": "%c = attn.mask %s causal : !scores",
    "window 1024": "%c = attn.mask %s window<left = 1023, right = 0> : !scores",
}


def run(tool, *arguments):
    result = subprocess.run(
        [tool, *map(str, arguments)], capture_output=True, text=True
    )
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}:\n{result.stderr[-2000:]}")
    return result.stdout


def measure(tool, options, mask, features, element):
    text = PROGRAM.format(
        heads=options.heads,
        features=features,
        type=element,
        operand="bf16" if element == "bf16" else "f32",
        scale=features**-0.5,
        mask=MASKS[mask],
    )
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(text)
        file.flush()
        run(tool, file.name, "--size", "B=1", "--size", "L=131", "--check")
        arguments = [file.name, "--size", "B=1", "--size", f"L={options.length}"]
        if options.threads:
            arguments.append(f"--threads={options.threads}")
        output = run(tool, *arguments, "--benchmark", "--time")
    find = lambda pattern: float(re.search(pattern, output).group(1))
    return {
        "program": mask,
        "features": features,
        "type": element,
        "length": options.length,
        "heads": options.heads,
        "threads": int(find(r"(\d+) threads")),
        "milliseconds": find(r"median ([\d.]+) ms"),
        "gflops": find(r"benchmark: ([\d.]+) GFLOP/s"),
        "share": find(r"([\d.]+) of measured"),
        "peak": find(r"peak ([\d.]+) GFLOP/s"),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tool", default=ROOT / "build/bin/attn-run")
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--features", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--types", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--masks", nargs="+", default=["full", "causal"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    print("| program | D | type | L | H | threads | time | GFLOP/s | share of f32 FMA peak |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for element in options.types:
        for features in options.features:
            for mask in options.masks:
                row = measure(options.tool, options, mask, features, element)
                rows.append(row)
                print(
                    "| {program} | {features} | {type} | {length} | {heads} | {threads} "
                    "| {milliseconds:.1f} ms | {gflops:.1f} | {share:.2f} of {peak:.0f} |".format(**row),
                    flush=True,
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
