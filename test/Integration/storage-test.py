# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops=fused
"""Quantisation schemes, pages and rotations from their definitions: codes bit by
bit, and attention on operands that are computed on load."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import arguments, check, finish, np, run, softmax

B, H, G, M, N, D = 2, 4, 2, 5, 37, 48
F = np.float32
random = np.random.default_rng(5)


def float_values(exponents, fractions, bias, special):
    """All numbers of an 8-bit float, by code; `special` maps codes to values."""
    codes = np.arange(256)
    exponent = (codes >> fractions) & (2**exponents - 1)
    fraction = codes & (2**fractions - 1)
    normal = (1 + fraction / 2**fractions) * 2.0 ** (exponent - bias)
    subnormal = fraction / 2**fractions * 2.0 ** (1 - bias)
    values = np.where(codes < 128, 1, -1) * np.where(exponent, normal, subnormal)
    for code, value in special.items():
        values[code] = value
        values[code + 128] = -value
    return values


E5M2 = {124: np.inf, 125: np.nan, 126: np.nan, 127: np.nan}
FLOATS = {
    "f8E4M3FN": float_values(4, 3, 7, {127: np.nan}),
    "f8E5M2": float_values(5, 2, 15, E5M2),
}


def round_code(x, rounding):
    return np.round(x) if rounding == "nearest_even" else np.trunc(x + np.copysign(F(0.5), x))


def nearest_float(x, kind):
    """Codes of the nearest numbers, ties to even codes, saturating."""
    values = FLOATS[kind][:128]
    values = values[np.isfinite(values)]
    distance = np.abs(np.abs(x)[..., None].astype(float) - values)
    best = distance.min(-1, keepdims=True)
    tied = distance == best
    even = tied & (np.arange(values.size) % 2 == 0)
    code = np.where(even.any(-1), even.argmax(-1), tied.argmax(-1))
    return (code | np.where(np.signbit(x), 128, 0)).astype(np.uint8)


class Scheme:
    def __init__(self, kind, axis, group=0, zero="none", rounding="nearest_even"):
        self.kind, self.axis, self.group = kind, axis, group
        self.zero, self.rounding = zero, rounding
        self.is_float = kind in FLOATS
        self.bits = 8 if self.is_float else int(kind[1:])
        self.per_byte = 8 // self.bits
        self.text = f"<type = {kind}, axis = {axis}, group = {group}, zero = {zero}, rounding = {rounding}>"
        self.n_scales = {
            "tensor": [1, 1, 1, 1],
            "token": [B, G, N, D // group if group else 1],
            "channel": [B, G, -(-N // group) if group else 1, D],
        }[axis]

    def spread(self, scales):
        """Scales for every number."""
        if self.axis == "token":
            scales = np.repeat(scales, self.group or D, 3)
        if self.axis == "channel":
            scales = np.repeat(scales, self.group or N, 2)[:, :, :N]
        return np.broadcast_to(scales, (B, G, N, D))

    def reduce(self, f, x):
        if self.axis == "tensor":
            return f(x, axis=(0, 1, 2, 3), keepdims=True)
        if self.axis == "token":
            return f(x.reshape(B, G, N, -1, self.group or D), axis=4)
        group = self.group or N
        parts = [x[:, :, k : k + group] for k in range(0, N, group)]
        return np.stack([f(part, axis=2) for part in parts], 2)

    def encode(self, x):
        """Codes (one per number), scales, zeros; one rounding per operation."""
        signed = self.zero == "none"
        largest = {"f8E4M3FN": 448, "f8E5M2": 57344}.get(
            self.kind, 2 ** (self.bits - 1) - 1 if signed else 2**self.bits - 1
        )
        if signed:
            low, span = None, self.reduce(np.max, np.abs(x))
        else:
            low = self.reduce(np.min, x)
            span = self.reduce(np.max, x) - low
        scale = (span / F(largest)).astype(F)
        zeros = low
        with np.errstate(all="ignore"):
            if self.zero == "point":
                zeros = np.where(scale == 0, 0, -round_code(low / scale, self.rounding)).astype(F)
            s = self.spread(scale)
            q = x - self.spread(zeros) if self.zero == "offset" else x
            q = q / s
            if self.is_float:
                return nearest_float(np.where(s == 0, 0, q), self.kind), scale, zeros
            q = round_code(q, self.rounding)
            if self.zero == "point":
                q = q + self.spread(zeros)
            q = np.where(s == 0, 0, q)
        return np.clip(q, -largest if signed else 0, largest).astype(int), scale, zeros

    def decode(self, q, scale, zeros):
        x = FLOATS[self.kind][q] if self.is_float else q
        x, s = x.astype(F), self.spread(scale)
        if self.zero == "none":
            return x * s
        z = self.spread(zeros)
        return (x - z) * s if self.zero == "point" else x * s + z

    def pack(self, q):
        if self.is_float:
            return q
        q = (q & (2**self.bits - 1)).astype(np.uint8)
        fields = [q[..., k :: self.per_byte] << (k * self.bits) for k in range(self.per_byte)]
        return np.bitwise_or.reduce(fields).astype(np.uint8)

    def types(self):
        code = self.kind if self.is_float else "i8"
        shape = "x".join(map(str, self.n_scales))
        codes = f"tensor<{B}x{G}x{N}x{D // self.per_byte}x{code}>"
        zeros = [] if self.zero == "none" else [f"tensor<{shape}xf32>"]
        return [codes, f"tensor<{shape}xf32>", *zeros]


SCHEMES = [
    Scheme("i8", "token"),
    Scheme("i8", "tensor"),
    Scheme("i8", "channel", rounding="half_away"),
    Scheme("i8", "token", 16, "point"),
    Scheme("i4", "token"),
    Scheme("i4", "channel", 8),
    Scheme("i4", "token", 12, "offset"),
    Scheme("i2", "channel", 16, "offset"),
    Scheme("i2", "token", 24, "point", "half_away"),
    Scheme("f8E4M3FN", "token"),
    Scheme("f8E4M3FN", "channel"),
    Scheme("f8E5M2", "token", 8),
]

numbers = f"tensor<{B}x{G}x{N}x{D}xf32>"
queries = f"tensor<{B}x{H}x{M}x{D}xf32>"
scores = f"!attn.scores<{B}x{H}x{M}x{N}xf32>"


def attention(q, k, v):
    k, v = (np.repeat(x, H // G, 1).astype(float) for x in (k, v))
    weights, _ = softmax(q.astype(float) @ k.swapaxes(2, 3), True)
    return weights @ v


for scheme in SCHEMES:
    types = scheme.types()
    names = ", ".join(f"%c{k}" for k in range(len(types)))
    listed = ", ".join(types)
    x = random.normal(size=(B, G, N, D)).astype(F)
    x[0, 0, 3] = 0
    x[1, 1, 5, 7] = 100
    codes, scale, zeros = scheme.encode(x)
    data = scheme.pack(codes)
    want = scheme.decode(codes, scale, zeros)

    program = f"""
    func.func @f({arguments(x=numbers)}) -> ({listed}) {{
      {names} = attn.quantize %x scheme({scheme.text}) : {numbers} -> {listed}
      return {names} : {listed}
    }}"""
    got = run(program, x=x)
    check(f"codes {scheme.text}", got[0].view(np.uint8), data)
    check(f"scales {scheme.text}", got[1], scale)
    if zeros is not None:
        check(f"zeros {scheme.text}", got[2], zeros)

    inputs = {"c": data, "s": scale}
    if zeros is not None:
        inputs["z"] = zeros
    program = f"""
    func.func @f({arguments(**dict(zip(inputs, types)), q=queries)}) -> ({numbers}, {queries}) {{
      %k = attn.dequantize {", ".join("%" + k for k in inputs)} scheme({scheme.text})
        : {listed} -> {numbers}
      %x = attn.score %q, %k : {queries}, {numbers} -> {scores}
      %p = attn.softmax %x : {scores}
      %o = attn.aggregate %p, %k : {scores}, {numbers} -> {queries}
      return %k, %o : {numbers}, {queries}
    }}"""
    q = random.normal(size=(B, H, M, D)).astype(F)
    got = run(program, q=q, **inputs)
    check(f"numbers {scheme.text}", got[0], want)
    check(f"attention {scheme.text}", got[1], attention(q, want, want), 2e-5)

# Every code of the 8-bit floats, in a row of 256.
for kind, values in FLOATS.items():
    row = "tensor<1x1x1x256x{}>"
    one = "tensor<1x1x1x1xf32>"
    program = f"""
    func.func @f({arguments(c=row.format(kind), s=one)}) -> {row.format("f32")} {{
      %x = attn.dequantize %c, %s scheme(<type = {kind}, axis = tensor>)
        : {row.format(kind)}, {one} -> {row.format("f32")}
      return %x : {row.format("f32")}
    }}"""
    got = run(program, c=np.arange(256, dtype=np.uint8).reshape(1, 1, 1, 256), s=np.ones((1, 1, 1, 1), F))
    check(f"all of {kind}", got[0].ravel(), values)

# Ties, overflow and non-finite numbers of an e4m3 encoder.
hard = np.array([0, 0.001, 2.0**-10, 0.017, 1.0625, 1.1875, 300, 447, 448, -0.3, -0.0, 1e-30], F)
program = f"""
func.func @f({arguments(x="tensor<1x1x1x12xf32>")}) -> (tensor<1x1x1x12xf8E4M3FN>, tensor<1x1x1x1xf32>) {{
  %c, %s = attn.quantize %x scheme(<type = f8E4M3FN, axis = token>)
    : tensor<1x1x1x12xf32> -> tensor<1x1x1x12xf8E4M3FN>, tensor<1x1x1x1xf32>
  return %c, %s : tensor<1x1x1x12xf8E4M3FN>, tensor<1x1x1x1xf32>
}}"""
got = run(program, x=hard.reshape(1, 1, 1, 12))
check("e4m3 codes", got[0].view(np.uint8).ravel(), [0, 1, 0, 9, 0x38, 0x3A, 0x79, 0x7E, 0x7E, 0xAA, 0x80, 0])


# Rotations.
def rope(x, positions, pairing, rotary):
    angle = positions[:, None, :, None] * 10000.0 ** (-np.arange(rotary // 2) * 2 / rotary)
    c, s = np.cos(angle), np.sin(angle)
    y = x.astype(float).copy()
    a, b = (slice(0, rotary // 2), slice(rotary // 2, rotary)) if pairing == "half" else (slice(0, rotary, 2), slice(1, rotary, 2))
    y[..., a] = x[..., a] * c - x[..., b] * s
    y[..., b] = x[..., b] * c + x[..., a] * s
    return y


positions = np.cumsum(random.integers(1, 900, size=(B, N)), 1).astype(np.int32)
for pairing, rotary in [("half", D), ("interleaved", D), ("half", 22), ("interleaved", 20)]:
    table = f"tensor<{B}x{N}xi32>"
    program = f"""
    func.func @f({arguments(q=queries, k=numbers, p=table)}) -> ({numbers}, {queries}) {{
      %r = attn.rope %k positions(%p : {table}) {pairing} rotary_dim({rotary}) : {numbers}
      %s = attn.score %q, %r : {queries}, {numbers} -> {scores}
      %w = attn.softmax %s : {scores}
      %o = attn.aggregate %w, %k : {scores}, {numbers} -> {queries}
      return %r, %o : {numbers}, {queries}
    }}"""
    q, k = random.normal(size=(B, H, M, D)).astype(F), random.normal(size=(B, G, N, D)).astype(F)
    got = run(program, q=q, k=k, p=positions)
    want = rope(k, positions, pairing, rotary)
    check(f"rope {pairing} {rotary}", got[0], want, 2e-6)
    check(f"attention, rope {pairing} {rotary}", got[1], attention(q, want, k), 2e-5)

# Pages, shared and partly filled, under int4 codes, under a Hadamard transform.
P, PAGES, WIDE = 5, 6, 32
scheme = "<type = i4, axis = token>"
types = dict(
    q=f"tensor<{B}x{H}x{M}x{WIDE}xf32>",
    c=f"tensor<{PAGES}x{G}x{P}x{WIDE // 2}xi8>",
    s=f"tensor<{PAGES}x{P}x{G}x1xf32>",
    t=f"tensor<{B}x8xi32>",
    n="index",
)
codes, scales, keys = f"tensor<{B}x{G}x?x{WIDE // 2}xi8>", f"tensor<{B}x{G}x?x1xf32>", f"tensor<{B}x{G}x?x{WIDE}xf32>"
paged_scores = f"!attn.scores<{B}x{H}x{M}x?xf32>"
program = f"""
func.func @f({arguments(**types)}) -> {types["q"]} {{
  %c1 = attn.paged %c, %t extent(%n) : {types["c"]}, {types["t"]} -> {codes}
  %s1 = attn.paged %s, %t extent(%n) layout slots_first : {types["s"]}, {types["t"]} -> {scales}
  %k = attn.dequantize %c1, %s1 scheme({scheme}) : {codes}, {scales} -> {keys}
  %h = attn.hadamard %k : {keys}
  %x = attn.score %q, %h : {types["q"]}, {keys} -> {paged_scores}
  %w = attn.softmax %x : {paged_scores}
  %o = attn.aggregate %w, %k : {paged_scores}, {keys} -> {types["q"]}
  return %o : {types["q"]}
}}"""
q = random.normal(size=(B, H, M, WIDE)).astype(F)
c = random.integers(0, 256, size=(PAGES, G, P, WIDE // 2)).astype(np.uint8)
s = random.uniform(0.01, 0.1, size=(PAGES, P, G, 1)).astype(F)
t = np.array([[3, 1, 3, 0, 5, 2, 4, 1], [2, 2, 4, 1, 0, 5, 3, 0]], np.int32)
sign = lambda x: (x.astype(int) ^ 8) - 8
numbers_of = np.stack([sign(c & 15), sign(c >> 4)], -1).reshape(PAGES, G, P, WIDE) * s.swapaxes(1, 2)
hadamard = np.array([[1.0]])
while hadamard.shape[0] < WIDE:
    hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
for n in [1, 4, 5, 23, 40]:
    k = np.concatenate([numbers_of[t[:, page]] for page in range(8)], 2)[:, :, :n]
    got = run(program, q=q, c=c, s=s, t=t, n=np.int64(n))
    h = k @ hadamard / np.sqrt(WIDE)
    check(f"int4 pages, {n} keys", got[0], attention(q, h, k), 2e-5)

# Appends at places of their own, into pages and caches, past the end too.
cache = f"tensor<{B}x{G}x{N}x{D}xf32>"
pool = f"tensor<{PAGES}x{P}x{G}x{D}xf32>"
new, places, table = f"tensor<{B}x{G}x3x{D}xf32>", f"tensor<{B}xi32>", f"tensor<{B}x3xi32>"
types = {"c": cache, "l": pool, "x": new, "at": places, "t": table}
declared = ", ".join(
    f'%{name}: {kind} {{attn.name = "{name}"{", bufferization.writable = true" if name in "cl" else ""}}}'
    for name, kind in types.items()
)
program = f"""
func.func @f({declared}) -> ({cache}, {pool}) {{
  %c1 = attn.append %c, %x at(%at : {places}) : {cache}, {new}
  %l1 = attn.append %l, %x at(%at : {places}) table(%t : {table}) layout slots_first : {pool}, {new}
  return %c1, %l1 : {cache}, {pool}
}}"""
for at in [[0, 4], [N - 2, 13], [-1, 14]]:
    c, l = random.normal(size=(B, G, N, D)).astype(F), random.normal(size=(PAGES, P, G, D)).astype(F)
    x, t = random.normal(size=(B, G, 3, D)).astype(F), np.array([[5, 0, 2], [3, -1, 4]], np.int32)
    got = run(program, c=c, l=l, x=x, at=np.array(at, np.int32), t=t)
    for b in range(B):
        for k in range(3):
            place = at[b] + k
            if 0 <= place < N:
                c[b, :, place] = x[b, :, k]
            if 0 <= place < 3 * P and t[b, place // P] >= 0:
                l[t[b, place // P], place % P] = x[b, :, k]
    check(f"append at {at}", got[0], c)
    check(f"append to pages at {at}", got[1], l)

finish()
