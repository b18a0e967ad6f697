#!/usr/bin/env python3
"""FlexAttention on this CPU: torch.compile(flex_attention) beside ours.

Both run in this process, in turn, several rounds of each; the ratio is PyTorch's
median time by ours.

    bench/flex.py                          # L = 2048 and 4096
    bench/flex.py --length 8192 --rounds 7 --json flex.json
"""

import argparse
import json
import statistics
import sys
import time
import warnings

import torch
from torch.nn.attention import flex_attention as flex

import attn_mlir as attn
from attn_mlir.torch import flex_attention

warnings.filterwarnings("ignore")


def problems(heads, length):
    """Name, score_mod and mask_mod."""
    slopes = 2.0 ** -torch.arange(1, heads + 1)
    documents = torch.arange(length) // (length // 8)
    return {
        "causal": (None, lambda b, h, i, j: i >= j),
        "alibi": (lambda s, b, h, i, j: s + slopes[h] * (j - i), lambda b, h, i, j: i >= j),
        "document": (None, lambda b, h, i, j: (documents[i] == documents[j]) & (i >= j)),
        "window": (None, lambda b, h, i, j: (i >= j) & (i - j < 256)),
        "softcap": (lambda s, b, h, i, j: 20 * torch.tanh(s / 20), lambda b, h, i, j: i >= j),
    }


def measure(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="problems (all)")
    parser.add_argument("--length", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    attn.set_num_threads(options.threads)
    rows = []
    print("| problem | ours | torch.compile(flex_attention) | ratio | of best runs | error |")
    print("| --- | --- | --- | --- | --- | --- |")
    for length in options.length:
        q, k, v = (torch.randn(1, options.heads, length, options.features) for _ in range(3))
        for name, (score_mod, mask_mod) in problems(options.heads, length).items():
            if options.names and name not in options.names:
                continue
            print(f"\r{name} L{length} ...", end="", file=sys.stderr, flush=True)
            torch._dynamo.reset()
            compiled = torch.compile(flex.flex_attention)
            mask = flex.create_block_mask(mask_mod, None, None, length, length, device="cpu")
            with torch.no_grad():
                ours = lambda: flex_attention(q, k, v, score_mod, mask)
                theirs = lambda: compiled(q, k, v, score_mod, mask)
                error = (ours() - theirs()).abs().max().item()
                times = [(measure(ours), measure(theirs)) for _ in range(options.rounds)]
            own, other = zip(*times)
            row = {"problem": f"{name} f32 B1 H{options.heads} L{length} D{options.features}",
                   "ours": statistics.median(own), "torch": statistics.median(other),
                   "ratio": statistics.median(other) / statistics.median(own), "best": min(other) / min(own),
                   "error": error}
            rows.append(row)
            print("\r", end="", file=sys.stderr)
            print(f"| {row['problem']} | {row['ours'] * 1e3:.2f} ms | {row['torch'] * 1e3:.2f} ms | "
                  f"{row['ratio']:.2f} | {row['best']:.2f} | {error:.1e} |", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
