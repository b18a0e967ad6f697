"""The problems that are timed, their operands, and what is right."""

from dataclasses import dataclass

import numpy as np

TOLERANCES = {"f32": 2e-5, "bf16": 0.02}  # on normal numbers


@dataclass(frozen=True)
class Problem:
    """Attention of `queries` rows on `keys` keys; causal if their ends meet."""

    mask: str  # full, causal, window=W
    type: str  # f32, bf16
    batch: int
    heads: int
    groups: int  # heads of keys and values
    queries: int
    keys: int
    features: int

    def name(self):
        shape = f"B{self.batch} H{self.heads}"
        if self.groups != self.heads:
            shape += f"/{self.groups}"
        length = f"L{self.keys}" if self.queries == self.keys else f"M{self.queries} N{self.keys}"
        return f"{self.mask} {self.type} {shape} {length} D{self.features}"

    def window(self):
        return int(self.mask.split("=")[1]) if self.mask.startswith("window") else None

    def needed(self, row):
        """The keys [first, end) that a row of queries sees."""
        if self.mask == "full":
            return 0, self.keys
        end = row + self.keys - self.queries + 1
        window = self.window()
        return (max(0, end - window) if window else 0), end

    def entries(self):
        total = 0
        for row in range(self.queries):
            first, end = self.needed(row)
            total += end - first
        return total * self.batch * self.heads

    def flops(self):
        return 4 * self.features * self.entries()

    def bytes(self):
        """Of the operands."""
        rows = self.heads * self.queries + 2 * self.groups * self.keys
        return self.batch * rows * self.features * (2 if self.type == "bf16" else 4)

    def decodes(self):
        return self.queries == 1

    def work(self):
        """What the time is for: bytes while decoding, else flops."""
        return self.bytes() if self.decodes() else self.flops()

    def program(self):
        b, h, g, d = self.batch, self.heads, self.groups, self.features
        q = f"tensor<{b}x{h}x?x{d}x{self.type}>"
        kv = f"tensor<{b}x{g}x?x{d}x{self.type}>"
        if self.decodes():
            q = f"tensor<{b}x{h}x1x{d}x{self.type}>"
        rows = "1" if self.decodes() else "?"
        scores = f"!attn.scores<{b}x{h}x{rows}x?xf32>"
        length = "N" if self.decodes() else "L"
        dims = lambda heads, l: f'["{b}", "{heads}", "{l}", "{d}"]'
        mask = {"full": None, "causal": "causal"}.get(self.mask, f"window<left = {(self.window() or 1) - 1}, right = 0>")
        masked = "%s" if mask is None or self.decodes() else "%c"
        lines = [
            f"func.func @attention(%q: {q} {{attn.name = \"q\", attn.dims = {dims(h, '1' if self.decodes() else length)}}},",
            f"    %k: {kv} {{attn.name = \"k\", attn.dims = {dims(g, length)}}},",
            f"    %v: {kv} {{attn.name = \"v\", attn.dims = {dims(g, length)}}}) -> {q} {{",
            f"  %s = attn.score %q, %k scale({d ** -0.5}) : {q}, {kv} -> {scores}",
        ]
        if masked == "%c":
            lines.append(f"  %c = attn.mask %s {mask} : {scores}")
        rounding = " operand_type(bf16)" if self.type == "bf16" else ""
        lines += [
            f"  %p = attn.softmax {masked} : {scores}",
            f"  %o = attn.aggregate %p, %v{rounding} : {scores}, {kv} -> {q}",
            f"  return %o : {q}",
            "}",
        ]
        return "\n".join(lines) + "\n"


def make_grid(options):
    if options.decode:
        heads, groups = options.heads or 32, options.groups or 4
        for keys in options.decode:
            for type in options.types:
                for features in options.features:
                    yield Problem("full", type, options.batch, heads, groups, 1, keys, features)
        return
    heads = options.heads or 8
    for type in options.types:
        for features in options.features:
            for length in options.length:
                for mask in options.masks:
                    yield Problem(mask, type, options.batch, heads, options.groups or heads, length, length, features)


def to_bf16(x):
    """float32 -> the upper halves of the nearest bf16, as uint16."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def to_float32(x):
    """Stored numbers, of which bf16 are integers to NumPy."""
    return from_bf16(x) if x.dtype == np.uint16 else x


class Operands:
    """q, k, v as float32 values that the type of the problem can hold."""

    def __init__(self, problem):
        random = np.random.default_rng(0)
        make = lambda heads, rows: random.standard_normal(
            (problem.batch, heads, rows, problem.features), dtype=np.float32
        )
        self.q = make(problem.heads, problem.queries)
        self.k = make(problem.groups, problem.keys)
        self.v = make(problem.groups, problem.keys)
        self.stored = [self.q, self.k, self.v]
        if problem.type == "bf16":
            self.stored = [to_bf16(x) for x in self.stored]
            self.q, self.k, self.v = (from_bf16(x) for x in self.stored)


def find_error(problem, operands, result):
    """A sentence if some rows are not what float64 says."""
    rows = sorted({0, problem.queries // 3, problem.queries - 1})
    for batch in range(problem.batch):
        for head in {0, problem.heads - 1}:
            group = head * problem.groups // problem.heads
            for row in rows:
                first, end = problem.needed(row)
                keys = operands.k[batch, group, first:end].astype(np.float64)
                s = keys @ operands.q[batch, head, row].astype(np.float64) * problem.features**-0.5
                p = np.exp(s - s.max())
                right = (p / p.sum()) @ operands.v[batch, group, first:end].astype(np.float64)
                error = float(np.abs(right - result[batch, head, row]).max())
                if not error < TOLERANCES[problem.type]:  # nor NaN
                    return f"result is off by {error:.2g}"
    return None
