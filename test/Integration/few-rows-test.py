# RUN: %python %s
"""Decoding shapes, known when the program is compiled: few rows per head, heads
that share a block, odd widths, every type, lengths, sinks of the block sizes,
values that are read where they are beside others that are packed."""

import pathlib
import subprocess
import sys
import tempfile


def program(t, h, g, m, d, mask):
    # Weights that are rounded, too, are multiplied by pairs of keys.
    packs = t == "packed"
    t, rounding = ("bf16", " operand_type(bf16)") if t == "pairs" else (t, "")
    t = "f32" if packs else t
    scores = f"!attn.scores<?x{h}x{m}x?x{'f64' if t == 'f64' else 'f32'}>"
    q, kv = f"tensor<?x{h}x{m}x{d}x{t}>", f"tensor<?x{g}x?x{d}x{t}>"
    acc = "f64" if t == "f64" else "f32"
    masks = {
        "none": "%c = attn.map %s (%x: T) { attn.yield %x : T } : (!s) -> !s",
        "lengths": "%c = attn.with_axes %s key_length(%n : tensor<?x1xi32>) : !s",
        "scores": """%c = attn.mask %s (%x: T) at (%b, %h, %i, %j) {
            %least = arith.constant -0.1 : T
            %keep = arith.cmpf ogt, %x, %least : T
            attn.yield %keep : i1
          } : !s""",
        "causal": "%l = attn.with_axes %s query_offset(%past : tensor<?xi32>) : !s\n%c = attn.mask %l causal : !s",
        "heads": """%c = attn.map %s (%x: T) at (%b, %h, %i, %j) {
            %u = arith.muli %h, %j : index
            %at = arith.addi %u, %i : index
            %w = arith.index_cast %at : index to i64
            %y = arith.sitofp %w : i64 to T
            %rate = arith.constant 0.001 : T
            %z = arith.mulf %y, %rate : T
            %r = arith.subf %x, %z : T
            attn.yield %r : T
          } : (!s) -> !s""",
    }
    # Values that change places are packed.
    turned = ""
    if packs:
        turned = f"""
      %turned = attn.rope %v cos(%cos : tensor<?x?x{d // 2}xf32>) sin(%cos : tensor<?x?x{d // 2}xf32>) interleaved : {kv}
      %also = attn.aggregate %p, %turned : !s, {kv} -> {q}"""
    return f"""
    !s = {scores}
    func.func @f(
        %q: {q} {{attn.name = "q", attn.dims = ["B", "{h}", "{m}", "{d}"]}},
        %k: {kv} {{attn.name = "k", attn.dims = ["B", "{g}", "N", "{d}"]}},
        %v: {kv} {{attn.name = "v", attn.dims = ["B", "{g}", "N", "{d}"]}},
        %n: tensor<?x1xi32> {{attn.dims = ["B", "1"], attn.init = "lengths(N)"}},
        %past: tensor<?xi32> {{attn.dims = ["B"], attn.init = "lengths(N)"}},
        %cos: tensor<?x?x{d // 2}xf32> {{attn.dims = ["B", "N", "{d // 2}"]}})
        -> ({q}, tensor<?x{h}x{m}x{acc}>{f", {q}" if packs else ""}) {{
      %s = attn.score %q, %k scale(0.2) : {q}, {kv} -> !s
      {masks[mask].replace("T", acc)}
      %l1 = attn.reduce lse keys %c : (!s) -> tensor<?x{h}x{m}x{acc}>
      %p = attn.softmax %c : !s
      %o = attn.aggregate %p, %v{rounding} : !s, {kv} -> {q}{turned}
      return %o, %l1{", %also" if packs else ""} : {q}, tensor<?x{h}x{m}x{acc}>{f", {q}" if packs else ""}
    }}"""


CASES = [
    # type, heads, groups, rows, features, mask, options
    ("f32", 8, 2, 1, 64, "none", ""),
    ("f32", 8, 8, 1, 80, "lengths", ""),
    ("f32", 16, 2, 1, 7, "causal", "--pattern v=nan-row"),
    ("f32", 12, 4, 1, 33, "heads", ""),
    ("f32", 8, 1, 2, 64, "causal", ""),
    ("f32", 16, 4, 3, 40, "lengths", "--pattern v=inf-row"),
    ("f32", 32, 4, 1, 128, "heads", "--splits=3"),
    ("bf16", 8, 2, 1, 64, "lengths", ""),
    ("bf16", 3, 1, 1, 33, "causal", "--pattern v=nan-row"),
    ("pairs", 32, 4, 1, 64, "none", ""),
    ("pairs", 8, 8, 1, 80, "lengths", "--strided k --strided v"),
    ("pairs", 6, 2, 1, 7, "causal", "--pattern v=nan-row"),
    ("pairs", 10, 2, 1, 72, "heads", ""),
    ("pairs", 16, 4, 2, 40, "lengths", "--pattern v=inf-row"),
    ("pairs", 16, 4, 3, 128, "causal", "--splits=3"),
    ("pairs", 32, 4, 1, 66, "heads", "--check=exact"),
    ("pairs", 4, 2, 1, 1, "none", "--check=exact"),
    ("f16", 16, 4, 2, 48, "causal", ""),
    ("f64", 8, 2, 1, 20, "heads", ""),
    ("f32", 6, 3, 5, 16, "none", ""),
    ("f32", 4, 2, 8, 16, "causal", ""),
    ("f32", 8, 2, 1, 24, "scores", ""),
    ("f32", 8, 2, 1, 24, "scores", "--pattern v=nan-row"),
    ("pairs", 8, 2, 1, 40, "scores", "--pattern v=inf-row"),
    ("f64", 4, 4, 3, 9, "scores", "--pattern v=inf-row"),
    ("packed", 8, 2, 1, 24, "causal", ""),
    ("packed", 8, 2, 1, 24, "scores", "--pattern v=nan-row"),
    ("packed", 4, 2, 2, 20, "scores", "--pattern v=inf-row"),
]

failures = 0
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "program.mlir"
    for *shape, options in CASES:
        path.write_text(program(*shape))
        for keys in (1, 48, 300):
            check = [] if "--check" in options else ["--check"]
            command = ["attn-run", str(path), *check, "--size", "B=2", f"N={keys}", *options.split()]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                failures += 1
                print(shape, keys, options, done.stdout, done.stderr)
print(f"{len(CASES)} programs, {failures} failures")
sys.exit(failures > 0)
