"""How many kernels, and how many passes over the keys, each example takes.

usage: plans.py EXAMPLES_DIR

A program that suddenly needs another sweep still computes the right thing, at
twice the price; only this test notices.
"""

import glob
import os
import re
import subprocess
import sys

# Examples that are not one stream with one sweep: (streams, sweeps).
PLANS = {
    "attention-in-chunks": (1, 1),  # the chunk and what came before
    "entropy-and-column-statistics": (2, 2),  # rows, then columns
    "eviction-scores": (2, 2),  # rows, then votes for columns
    "large-kernel-attention": (2, 2),  # one convolution of the other
    "multi-token-attention": (2, 2),  # statistics, then neighbours of weights
    "lookahead-keys": (1, 2),  # one inside of the other
    "nested-attention-tree": (2, 3),  # summaries, then summaries and tokens
    "quest-top-k-pages": (2, 2),  # bounds of pages, then the pages
    "relative-bias-gradient": (1, 2),  # statistics, then bins of what follows
    "shared-prefix": (1, 2),  # prefix and suffix
    "shared-prefix-batch": (1, 2),
    "sinkhorn-3": (3, 3),  # rows, columns, rows
    "talking-heads": (2, 2),  # statistics, then mixtures of weights
    "window-plus-quantised-past": (1, 2),  # the past and the window
}
OPTIONS = {"lookahead-keys": "=max-recompute-factor=0"}


def main():
    failures = 0
    paths = sorted(glob.glob(os.path.join(sys.argv[1], "*.mlir")))
    for path in paths:
        name = os.path.splitext(os.path.basename(path))[0]
        command = ["attn-opt", path, "--attn-plan" + OPTIONS.get(name, "")]
        run = subprocess.run(command, text=True, capture_output=True)
        counts = tuple(len(re.findall(rf"= attn\.{op} ", run.stdout)) for op in ("stream", "sweep"))
        wanted = PLANS.get(name, (1, 1))
        if run.returncode or counts != wanted:
            failures += 1
            print(f"FAILED {name}: {counts[0]} streams with {counts[1]} sweeps, expected {wanted}\n{run.stderr}")
    print(f"{len(paths)} plans, {failures} failures")
    sys.exit(failures > 0 or len(paths) < 37)


if __name__ == "__main__":
    main()
