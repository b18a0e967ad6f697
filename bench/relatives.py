#!/usr/bin/env python3
"""What the rest of the algebra costs beside plain attention on this machine.

Pairs of programs run in turn, several rounds of each, so that whatever else the
machine does meets both: scores convolved and heads mixed beside plain causal
attention, sweeps that follow lists beside a full one, decoding from a paged
cache of 8-bit codes beside one of floats. One Markdown row per pair: the median
over the rounds of the ratio of times. Ratios are per head, per visited entry,
or per run, as the row says.

    bench/relatives.py                # all pairs, all threads
    bench/relatives.py lists --rounds 9
"""

import argparse
import pathlib
import random
import statistics
import struct
import tempfile

from attn_run import benchmark

ROOT = pathlib.Path(__file__).resolve().parent.parent

QKV = """    %q: tensor<1x{heads}x?x64xf32> {{attn.name = "q", attn.dims = ["1", "{heads}", "L", "64"]}},
    %k: tensor<1x{heads}x?x64xf32> {{attn.name = "k", attn.dims = ["1", "{heads}", "L", "64"]}},
    %v: tensor<1x{heads}x?x64xf32> {{attn.name = "v", attn.dims = ["1", "{heads}", "L", "64"]}}"""


def attention(heads, body, result, extra=""):
    """A program; `body` leads from the scores %s to the weights `result`."""
    qkv, scores = f"tensor<1x{heads}x?x64xf32>", f"!attn.scores<1x{heads}x?x?xf32>"
    arguments = QKV.format(heads=heads) + (",\n    " + extra if extra else "")
    return f"""!scores = {scores}
func.func @attention(
{arguments}) -> {qkv} {{
  %s = attn.score %q, %k scale(0.125) : {qkv}, {qkv} -> !scores
{body}
  %o = attn.aggregate {result}, %v : !scores, {qkv} -> {qkv}
  return %o : {qkv}
}}
"""


CAUSAL = "  %c = attn.mask %s causal : !scores\n"
SOFTMAX = "  %p = attn.softmax %c : !scores"


def convolved(rows, keys):
    body = CAUSAL + f"  %n = attn.convolve %c, %taps origin [{rows - 1}, {keys // 2}] : !scores, tensor<8x{rows}x{keys}xf32>\n"
    body += "  %p = attn.softmax %n : !scores"
    taps = f'%taps: tensor<8x{rows}x{keys}xf32> {{attn.name = "taps", attn.init = "normal(0.2)"}}'
    return attention(8, body, "%p", taps)


def talking(heads):
    body = CAUSAL + f"  %t = attn.mix_heads %c, %a : !scores, tensor<{heads}x{heads}xf32> -> !scores\n"
    body += "  %p = attn.softmax %t : !scores\n"
    body += f"  %w = attn.mix_heads %p, %b : !scores, tensor<{heads}x{heads}xf32> -> !scores"
    mixes = ", ".join(
        f'%{x}: tensor<{heads}x{heads}xf32> {{attn.name = "{x}", attn.init = "normal(0.3)"}}' for x in "ab"
    )
    return attention(heads, body, "%w", mixes)


def listed(entries, block):
    body = f"  %c = attn.restrict %s, %list block({block[0]}, {block[1]}) : !scores, tensor<1x1x256x{entries}xi32>\n" + SOFTMAX
    return attention(4, body, "%p", f'%list: tensor<1x1x256x{entries}xi32> {{attn.name = "list"}}')


FULL = attention(4, "  %c = attn.with_axes %s : !scores\n" + SOFTMAX, "%p")

DECODE = """func.func @decode(
    %q: tensor<1x32x1x128xf32> {attn.name = "q"},
    %k: tensor<1x8x?x128xf32> {attn.name = "k", attn.dims = ["1", "8", "N", "128"]},
    %v: tensor<1x8x?x128xf32> {attn.name = "v", attn.dims = ["1", "8", "N", "128"]}) -> tensor<1x32x1x128xf32> {
  %s = attn.score %q, %k scale(0.088) : tensor<1x32x1x128xf32>, tensor<1x8x?x128xf32> -> !attn.scores<1x32x1x?xf32>
  %p = attn.softmax %s : !attn.scores<1x32x1x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<1x32x1x?xf32>, tensor<1x8x?x128xf32> -> tensor<1x32x1x128xf32>
  return %o : tensor<1x32x1x128xf32>
}
"""


def paged_decode():
    pools = ", ".join(
        f'%{x}: tensor<?x8x16x{w}x{t}> {{attn.name = "{x}", attn.dims = ["P", "8", "16", "{w}"]{init}}}'
        for x, w, t, init in (
            ("k", 128, "i8", ""),
            ("ks", 1, "f32", ', attn.init = "positive 0.02"'),
            ("v", 128, "i8", ""),
            ("vs", 1, "f32", ', attn.init = "positive 0.02"'),
        )
    )
    lines = []
    for x in "kv":
        lines.append(f"%{x}q = attn.paged %{x}, %table : tensor<?x8x16x128xi8>, tensor<1x?xi32> -> tensor<1x8x?x128xi8>")
        lines.append(f"%{x}t = attn.paged %{x}s, %table : tensor<?x8x16x1xf32>, tensor<1x?xi32> -> tensor<1x8x?x1xf32>")
        lines.append(
            f"%{x}f = attn.dequantize %{x}q, %{x}t scheme(<type = i8, axis = token>)"
            " : tensor<1x8x?x128xi8>, tensor<1x8x?x1xf32> -> tensor<1x8x?x128xf32>"
        )
    body = "\n  ".join(lines)
    rest = DECODE[DECODE.index("  %s = ") :].replace("%k ", "%kf ").replace("%v ", "%vf ")
    return f"""func.func @decode(%q: tensor<1x32x1x128xf32> {{attn.name = "q"}}, {pools},
    %table: tensor<1x?xi32> {{attn.name = "table", attn.dims = ["1", "P"], attn.init = "table(P)"}}) -> tensor<1x32x1x128xf32> {{
  {body}
{rest}"""


def write_lists(path, rows, make):
    """int32 lists [1, 1, 256, n] as a .npy file."""
    lists = [make(row) for row in range(rows)]
    shape = (1, 1, rows, len(lists[0]))
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (64 - (len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for row in lists:
            file.write(struct.pack(f"<{len(row)}i", *row))


def big_bird(row):
    """Two global blocks, a window of three, three at random: eight blocks."""
    blocks = {0, 1, max(row - 1, 0), row, min(row + 1, 255)}
    choose = random.Random(row)
    while len(blocks) < 8:
        blocks.add(choose.randrange(256))
    return sorted(blocks)


def tokens(row):
    return sorted(random.Random(row).sample(range(16384), 512))


def pairs(folder):
    """Name, group, program, plain program, their options, and how much more
    work the first has than the second (1: the same)."""
    write_lists(folder / "blocks.npy", 256, big_bird)
    write_lists(folder / "tokens.npy", 256, tokens)
    length = ["--size", "L=4096"]
    long = ["--size", "L=16384"]
    for rows, keys in ((3, 3), (6, 11)):
        yield f"scores convolved with {rows} x {keys} taps, per head", "neighbors", convolved(rows, keys), attention(
            8, CAUSAL + SOFTMAX, "%p"
        ), length, length, 1
    for heads in (8, 16):
        yield f"talking heads, H = {heads}, per head", "heads", talking(heads), attention(
            heads, CAUSAL + SOFTMAX, "%p"
        ), length, length, 1
    blocks = [*long, "--input", f"list={folder / 'blocks.npy'}"]
    yield "global, window and random blocks of 64 x 64, per entry", "lists", listed(8, (64, 64)), FULL, blocks, long, 8 / 256
    keys = [*long, "--input", f"list={folder / 'tokens.npy'}"]
    yield "512 single keys per 64 queries, per entry", "lists", listed(512, (64, 1)), FULL, keys, long, 512 / 16384
    yield "decode, 8-bit pages beside floats, per run", "decode", paged_decode(), DECODE, ["--size", "P=1024"], [
        "--size",
        "N=16384",
    ], 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help="neighbors, heads, lists, decode (default: all)")
    parser.add_argument("--tool", default=ROOT / "build/bin/attn-run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    print("| program | time | beside | ratio of medians | of best runs |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, group, program, plain, mine, its, work in pairs(pathlib.Path(folder)):
            if options.groups and group not in options.groups:
                continue
            rounds = [
                (
                    benchmark(options.tool, program, mine, options.threads),
                    benchmark(options.tool, plain, its, options.threads),
                )
                for _ in range(options.rounds)
            ]
            ratio = statistics.median(a[0] / b[0] for a, b in rounds) / work
            best = min(a[1] for a, _ in rounds) / min(b[1] for _, b in rounds) / work
            first = statistics.median(a[0] for a, _ in rounds)
            second = statistics.median(b[0] for _, b in rounds)
            print(f"| {name} | {first:.1f} ms | {second:.1f} ms | {ratio:.2f} | {best:.2f} |", flush=True)


if __name__ == "__main__":
    main()
