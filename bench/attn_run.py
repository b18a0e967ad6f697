"""What `attn-run --benchmark` says, for the benchmarks next to this file."""

import re
import subprocess
import sys


def benchmark(tool, program, arguments, threads=0, runs=0):
    """Median and least milliseconds, and the flops that were counted (0 if none
    were). `threads` and `runs` of 0 are attn-run's own."""
    command = [tool, "-", *arguments, f"--benchmark={runs}" if runs else "--benchmark"]
    if threads:
        command.append(f"--threads={threads}")
    done = subprocess.run(command, input=program, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stderr[-2000:]}")
    median, least = re.search(r"median ([\d.]+) ms, min ([\d.]+) ms", done.stdout).groups()
    work = re.search(r"work ([\d.]+) GFLOP", done.stdout)
    return float(median), float(least), float(work[1]) * 1e9 if work else 0.0
