"""Faults that exact mode has to find, and undamaged programs that it must pass.

usage: exact_faults.py PROGRAM SIZES [attn-run options]
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

KINDS = ["rescale", "bound", "tail", "head"]
SEEDS = [0, 1, 2]


def run(program, size, flags, kind, seed):
    """None, or what went wrong."""
    fault = [f"--plant-fault={kind}"] if kind else []
    command = ["attn-run", program, "--check=exact", "--size", size, "--seed", str(seed), *flags, *fault]
    done = subprocess.run(command, text=True, capture_output=True, timeout=600)
    verdict = "FAILED" if kind else "ok"
    if done.returncode == (1 if kind else 0) and done.stdout.rstrip().endswith(verdict):
        return None
    what = f"fault '{kind}' was not found" if kind else "undamaged, it does not pass"
    return f"seed {seed}: {what}\n{done.stdout}{done.stderr}"


def main():
    program, size, flags = sys.argv[1], sys.argv[2], sys.argv[3:]
    jobs = [(kind, seed) for kind in [None, *KINDS] for seed in SEEDS]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda job: run(program, size, flags, *job), jobs))
    failures = [outcome for outcome in outcomes if outcome]
    print("\n".join(failures))
    print(f"{len(jobs)} runs, {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
