"""Random compositions of convolutions, head mixtures, masks and softmax, against
matrices stored in NumPy.

usage: neighbors.py FIRST LAST [attn-run options that say how to compile]

Every number from FIRST to LAST is the seed of a program in f64. The oracle
shares nothing with the compiler.
"""

import sys

import numpy as np

SEEDS = range(int(sys.argv[1]), int(sys.argv[2]) + 1)
del sys.argv[1:3]
from attn_program import arguments, check, finish, run  # noqa: E402

D = 6


class Program:
    """Lines of a program, its operands, and the matrices it means."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.batch = int(self.random.integers(1, 3))
        self.rows, self.keys = (int(n) for n in self.random.choice([1, 2, 7, 18, 33, 50, 67, 131, 270], 2))
        self.lines, self.types, self.data, self.results = [], {}, {}, []
        self.count = 0
        self.segments = self.random.random() < 0.4

    def name(self):
        self.count += 1
        return f"x{self.count}"

    def operand(self, shape, extents=None, dtype=np.float64, data=None):
        """An argument; `extents` are what its type says of its shape."""
        name = self.name()
        element = {np.float64: "f64", np.int32: "i32"}[dtype]
        self.types[name] = f"tensor<{'x'.join(str(e) for e in extents or shape)}x{element}>"
        self.data[name] = self.random.normal(size=shape) if data is None else data.astype(dtype)
        return name

    def type(self, heads):
        return f"!attn.scores<?x{heads}x?x?xf64>"

    def add(self, text):
        name = self.name()
        self.lines.append(f"  %{name} = {text}")
        return name

    # Score matrices are (name, heads, values, presence).

    def score(self, heads):
        groups = int(self.random.choice([g for g in (1, 2, heads) if heads % g == 0]))
        q = self.operand((self.batch, heads, self.rows, D), ("?", heads, "?", D))
        k = self.operand((self.batch, groups, self.keys, D), ("?", groups, "?", D))
        if self.random.random() < 0.15:
            self.data[q][0, heads - 1, self.rows // 2] = self.random.choice([np.nan, np.inf])
        axes, present = "", np.ones((self.batch, heads, self.rows, self.keys), bool)
        if self.segments:
            cut = lambda n: np.sort(self.random.integers(0, 3, (self.batch, n)), 1)  # noqa: E731
            self.a, self.b = cut(self.rows), cut(self.keys)
            a = self.operand(self.a.shape, "??", np.int32, self.a)
            b = self.operand(self.b.shape, "??", np.int32, self.b)
            axes += f"query_segments(%{a} : {self.types[a]}) key_segments(%{b} : {self.types[b]}) "
        if self.random.random() < 0.3:
            length = self.random.integers(0, self.keys + 1, (self.batch, 1))
            n = self.operand(length.shape, "?1", np.int32, length)
            axes = axes.replace("key_segments", f"key_length(%{n} : {self.types[n]}) key_segments") if axes else f"key_length(%{n} : {self.types[n]}) "
            present &= np.arange(self.keys) < length[:, :, None, None]
        name = self.add(f"attn.score %{q}, %{k} scale(0.5) {axes}: {self.types[q]}, {self.types[k]} -> {self.type(heads)}")
        key = np.repeat(self.data[k], heads // groups, 1)
        return name, heads, 0.5 * np.einsum("bhid,bhjd->bhij", self.data[q], key), present

    def mask(self, s):
        name, heads, value, present = s
        i, j = np.arange(self.rows)[:, None], np.arange(self.keys)
        kind = self.random.integers(5)
        if kind == 0:
            text, keep = "%keep = arith.cmpi sle, %j, %i : index", j <= i
        elif kind == 1:
            text, keep = "%c = arith.constant 9 : index\n    %u = arith.addi %j, %c : index\n    %keep = arith.cmpi sge, %u, %i : index", j + 9 >= i
        elif kind == 2:
            text, keep = "%c = arith.constant 0.1 : f64\n    %keep = arith.cmpf ogt, %x, %c : f64", value > 0.1
        elif kind == 3:
            text, keep = "%u = arith.addi %i, %h : index\n    %keep = arith.cmpi sle, %j, %u : index", j <= i + np.arange(heads)[:, None, None]
        else:
            text = "%c = arith.constant 3 : index\n    %u = arith.addi %j, %h : index\n    %r = arith.remui %u, %c : index\n    %d = arith.remui %i, %c : index\n    %keep = arith.cmpi ne, %r, %d : index"
            keep = (j + np.arange(heads)[:, None, None]) % 3 != i % 3
        body = f"{{\n    {text}\n    attn.yield %keep : i1\n  }}"
        return self.add(f"attn.mask %{name} (%x: f64) at (%b, %h, %i, %j) {body} : {self.type(heads)}"), heads, value, present & keep

    def map(self, s):
        name, heads, value, present = s
        body = "{\n    %y = math.tanh %x : f64\n    attn.yield %y : f64\n  }"
        t = self.type(heads)
        return self.add(f"attn.map %{name} (%x: f64) {body} : ({t}) -> {t}"), heads, np.tanh(value), present

    def shift(self, s):
        """Less the largest entry of the row or the column: a statistic that what
        follows may read at other rows and heads."""
        name, heads, value, present = s
        axis, over, index = [("keys", 3, "%i"), ("queries", 2, "%j")][self.random.integers(2)]
        top = np.where(present, value, -np.inf).max(over, initial=-np.inf)
        extent = f"tensor<?x{heads}x?xf64>"
        r = self.add(f"attn.reduce max {axis} %{name} : ({self.type(heads)}) -> {extent}")
        body = f"{{\n    %r = tensor.extract %{r}[%b, %h, {index}] : {extent}\n    %y = arith.subf %x, %r : f64\n    attn.yield %y : f64\n  }}"
        t = self.type(heads)
        with np.errstate(invalid="ignore"):
            result = value - np.expand_dims(top, over)
        return self.add(f"attn.map %{name} (%x: f64) at (%b, %h, %i, %j) {body} : ({t}) -> {t}"), heads, result, present

    def convolve(self, s):
        name, heads, value, present = s
        ku, kv = (int(n) for n in self.random.choice([1, 2, 3, 5, 9, 12], 2))
        origin = [int(self.random.integers(ku)), int(self.random.integers(kv))]
        taps = self.operand((int(self.random.choice([1, heads])), ku, kv))
        same = self.segments and self.random.random() < 0.6
        zero = np.where(present, value, 0.0)
        result = np.zeros_like(value)
        rows, keys = np.arange(self.rows), np.arange(self.keys)
        for u in range(ku):
            for v in range(kv):
                i, j = rows + u - origin[0], keys + v - origin[1]
                inside = ((i >= 0) & (i < self.rows))[:, None] & ((j >= 0) & (j < self.keys))
                i, j = i.clip(0, self.rows - 1), j.clip(0, self.keys - 1)
                tap = np.where(inside, zero[:, :, i][:, :, :, j], 0.0)
                if same:
                    equal = (self.a[:, i] == self.a)[:, None, :, None] & (self.b[:, j] == self.b)[:, None, None, :]
                    tap = np.where(equal, tap, 0.0)
                result += self.data[taps][:, u, v][:, None, None] * tap
        text = f"attn.convolve %{name}, %{taps} origin {origin}{' same_segment' if same else ''} : {self.type(heads)}, {self.types[taps]}"
        return self.add(text), heads, result, present

    def mix(self, s):
        name, heads, value, present = s
        out = int(self.random.choice([1, 2, 4, heads]))
        w = self.operand((out, heads))
        result = np.einsum("gh,bhij->bgij", self.data[w], np.where(present, value, 0.0))
        some = np.broadcast_to(present.any(1, keepdims=True), result.shape)
        text = f"attn.mix_heads %{name}, %{w} : {self.type(heads)}, {self.types[w]} -> {self.type(out)}"
        return self.add(text), out, result, some

    def transpose(self, s):
        """There and back: what lies between works on the other axis."""
        name, heads, value, present = s
        t = self.type(heads)
        turned = self.add(f"attn.transpose %{name} : {t} -> {t}")
        turned = self.add(f"attn.transpose %{turned} : {t} -> {t}")
        return turned, heads, value, present

    def softmax(self, s):
        name, heads, value, present = s
        f = np.where(present, value, -np.inf)
        top = f.max(3, keepdims=True, initial=-np.inf)
        live = ~(top == -np.inf)
        e = np.exp(f - np.where(live, top, 0.0))
        total = e.sum(3, keepdims=True)
        p = e / np.where(live, total, 1.0)
        return self.add(f"attn.softmax %{name} : {self.type(heads)}"), heads, p, present & live

    def reduce(self, s):
        name, heads, value, present = s
        axis = self.random.choice(["keys", "queries"])
        over = 3 if axis == "keys" else 2
        kind = self.random.choice(["sum", "max", "lse"])
        if kind == "sum":
            result = np.where(present, value, 0.0).sum(over)
        else:
            f = np.where(present, value, -np.inf)
            result = f.max(over, initial=-np.inf)
            if kind == "lse":
                shift = np.where(result == -np.inf, 0.0, result)
                with np.errstate(divide="ignore"):
                    result = np.log(np.exp(f - np.expand_dims(shift, over)).sum(over)) + shift
        type_ = f"tensor<?x{heads}x?xf64>"
        self.results.append((self.add(f"attn.reduce {kind} {axis} %{name} : ({self.type(heads)}) -> {type_}"), type_, result, kind))

    def aggregate(self, s):
        name, heads, value, present = s
        v = self.operand((self.batch, heads, self.keys, D), ("?", heads, "?", D))
        weights = np.where(present, value, 0.0)
        type_ = f"tensor<?x{heads}x?x{D}xf64>"
        text = f"attn.aggregate %{name}, %{v} : {self.type(heads)}, {self.types[v]} -> {type_}"
        self.results.append((self.add(text), type_, np.einsum("bhij,bhjd->bhid", weights, self.data[v]), "o"))

    def text(self):
        names = ", ".join(f"%{name}" for name, *_ in self.results)
        types = ", ".join(type_ for _, type_, *_ in self.results)
        body = "\n".join(self.lines)
        return f"func.func @f({arguments(**self.types)}) -> ({types}) {{\n{body}\n  return {names} : {types}\n}}"


def compose(seed):
    program = Program(seed)
    s = program.score(int(program.random.choice([1, 2, 4])))
    steps = [program.mask, program.map, program.convolve, program.mix, program.transpose, program.shift]
    for _ in range(int(program.random.integers(1, 4))):
        s = steps[program.random.choice(6, p=[0.25, 0.1, 0.3, 0.2, 0.05, 0.1])](s)
    if program.random.random() < 0.3:
        program.reduce(s)
    if program.random.random() < 0.8:
        s = program.softmax(s)
        for _ in range(int(program.random.integers(0, 3))):
            s = steps[program.random.choice(6, p=[0.1, 0.05, 0.35, 0.35, 0.05, 0.1])](s)
    if program.random.random() < 0.4:
        program.reduce(s)
    if program.random.random() < 0.8 or not program.results:
        program.aggregate(s)
    return program


for seed in SEEDS:
    with np.errstate(invalid="ignore", over="ignore"):
        program = compose(seed)
    got = run(program.text(), **program.data)
    for (name, _, want, kind), result in zip(program.results, got):
        check(f"seed {seed}: {kind} %{name} of\n{program.text()}\n", result, want, 1e-9)
finish()
