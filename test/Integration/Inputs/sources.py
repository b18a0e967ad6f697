"""Random programs over several key sources: `sources.py FAMILY SEED COUNT [mode]`.

Each program joins segments that are made in different ways (shared keys that
are masked, biased, scaled or softly capped, keys of each query's own) and asks
for outputs of one family over the joined keys. attn-run compares with the
reference.
"""

import random
import sys

from harness import check_all, sizes

H, D = 4, 24
CAPS = {
    "cap": [
        "%d = arith.divf %x, %five : ELEMENT",
        "%e = math.tanh %d : ELEMENT",
        "%y = arith.mulf %e, %five : ELEMENT",
    ],
    "far": [
        "%jj = arith.index_cast %j : index to i64",
        "%f = arith.sitofp %jj : i64 to ELEMENT",
        "%y = arith.subf %x, %f : ELEMENT",
    ],
}


class Segment:
    """One source: its arguments, and the lines from its keys to `%sK`."""

    def __init__(self, rng, k, element):
        self.k, self.arguments, self.lines = k, [], []
        self.element = element
        self.heads = rng.choice([H, H // 2, 1])
        self.lane = rng.random() < 0.25
        self.storage = rng.choice([element, element, "bf16"]) if element == "f32" else element
        n = rng.choice([1, 3, 8]) if self.lane else None
        self.keys = str(n) if self.lane else "?"
        self.type = f"!attn.scores<2x{H}x?x{self.keys}x{element}>"
        batch = rng.choice([1, 2])
        middle = f"?x{n}" if self.lane else "?"
        dims = [str(batch), str(self.heads), *(["M", str(n)] if self.lane else [f"N{k}"])]
        key = f"tensor<{batch}x{self.heads}x{middle}x{D}x{element}>"
        self.value = f"tensor<{batch}x{self.heads}x{middle}x{D}x{self.storage}>"
        self.argument(f"k{k}", key, [*dims, "D"])
        self.argument(f"v{k}", self.value, [*dims, "D"])
        op = "lane" if self.lane else "score"
        scale = rng.choice([0.1, 0.2, 1.0])
        query = f"tensor<2x{H}x?x{D}x{element}>"
        axes = "" if self.lane else " query_offset(%past : index)"
        self.name = f"%r{k}"
        self.lines.append(f"{self.name} = attn.{op} %q, %k{k} scale({scale}){axes} : {query}, {key} -> {self.type}")
        self.add_masks(rng)

    def argument(self, name, type, dims, init=""):
        quoted = ", ".join(f'"{dim}"' for dim in dims)
        more = f', attn.init = "{init}"' if init else ""
        self.arguments.append(f'%{name}: {type} {{attn.name = "{name}", attn.dims = [{quoted}]{more}}}')

    def step(self, text):
        new = f"{self.name}x"
        self.lines.append(f"{new} = {text.replace('IN', self.name).replace('TYPE', self.type)}")
        self.name = new

    def add_masks(self, rng):
        k, e = self.k, self.element
        for choice in rng.sample(["cap", "far", "causal", "value", "bias", "length", "document"], rng.choice([0, 1, 2])):
            if choice in CAPS:
                body = "\n".join(CAPS[choice]).replace("ELEMENT", e)
                self.step(f"attn.map IN (%x: {e}) at (%b, %h, %i, %j) {{\n{body}\nattn.yield %y : {e}\n}} : (TYPE) -> TYPE")
            elif choice == "causal" and not self.lane:
                self.step("attn.mask IN causal : TYPE")
            elif choice == "value":
                self.step(
                    f"attn.mask IN (%x: {e}) {{\n%g = arith.cmpf olt, %x, %half : {e}\nattn.yield %g : i1\n}} : TYPE"
                )
            elif choice == "bias" and not self.lane:
                bias = f"tensor<1x{H}x?x?x{e}>"
                self.argument(f"b{k}", bias, ["1", str(H), "M", f"N{k}"])
                one = f"!attn.scores<1x{H}x?x?x{e}>"
                self.lines.append(f"%bias{k} = attn.bias %b{k} : {bias} -> {one}")
                self.step(
                    f"attn.map IN, %bias{k} (%x: {e}, %z: {e}) {{\n%y = arith.addf %x, %z : {e}\nattn.yield %y : {e}\n}}"
                    f" : (TYPE, {one}) -> TYPE"
                )
            elif choice == "length" and not self.lane:
                self.argument(f"n{k}", f"tensor<2x1xi32>", ["2", "1"], f"range 0 N{k}")
                self.step(f"attn.with_axes IN key_length(%n{k} : tensor<2x1xi32>) : TYPE")
            elif choice == "document" and not self.lane:
                self.argument(f"dq{k}", "tensor<1x?xi32>", ["1", "M"], "segments(3)")
                self.argument(f"dk{k}", "tensor<1x?xi32>", ["1", f"N{k}"], "segments(3)")
                self.step(
                    f"attn.with_axes IN query_segments(%dq{k} : tensor<1x?xi32>) key_segments(%dk{k} : tensor<1x?xi32>) : TYPE"
                )
                self.step("attn.mask IN document : TYPE")


class Program:
    def __init__(self, rng, family):
        self.element = e = rng.choice(["f32", "f32", "f64"])
        count = rng.choice([1, 2, 2, 3])
        self.segments = [Segment(rng, k, e) for k in range(count)]
        keys = [s.keys for s in self.segments]
        total = "?" if "?" in keys else str(sum(map(int, keys)))
        self.scores = f"!attn.scores<2x{H}x?x{total}x{e}>"
        self.row = f"tensor<2x{H}x?x{e}>"
        # An extent of the results: dynamic, or that of the keys.
        self.column = f"tensor<2x{H}x{total}x{e}>"
        self.lines, self.names, self.types = [], [], []
        types = ", ".join(s.type for s in self.segments)
        parts = ", ".join(s.name for s in self.segments)
        self.lines.append(f"%s = attn.concat {parts} : ({types}) -> {self.scores}")
        getattr(self, family)(rng)

    def result(self, text, *types):
        name = f"%out{len(self.names)}"
        many = len(types) > 1
        self.lines.append(f"{name}{f':{len(types)}' if many else ''} = {text}")
        self.names += [f"{name}#{k}" for k in range(len(types))] if many else [name]
        self.types += types

    def aggregate(self, weights, more=""):
        values = ", ".join(f"%v{s.k}" for s in self.segments)
        types = ", ".join(s.value for s in self.segments)
        out = f"tensor<2x{H}x?x{D}x{self.element}>"
        self.result(f"attn.aggregate {weights}, ({values}){more} : {self.scores}, {types} -> {out}", out)

    def map(self, name, inputs, body):
        args = ", ".join(f"%x{k}: {self.element}" for k in range(len(inputs)))
        types = ", ".join([self.scores] * len(inputs))
        self.lines.append(
            f"{name} = attn.map {', '.join(inputs)} ({args}) at (%b, %h, %i, %j) {{\n"
            + body.replace("ELEMENT", self.element).replace("ROW", self.row)
            + f"\nattn.yield %y : {self.element}\n}} : ({types}) -> {self.scores}"
        )

    def softmax(self, rng):
        self.lines.append(f"%p = attn.softmax %s {rng.choice(['', 'plus_one', 'scale(0.7)'])} : {self.scores}")
        self.aggregate("%p", rng.choice(["", "", " operand_type(bf16)"]) if self.element == "f32" else "")
        self.result(f"attn.reduce lse keys %s : ({self.scores}) -> {self.row}", self.row)
        if rng.random() < 0.5:
            self.result(f"attn.reduce entropy keys %s : ({self.scores}) -> {self.row}", self.row)

    def sigmoid(self, rng):
        self.map("%p", ["%s"], "%n = arith.negf %x0 : ELEMENT\n%e = math.exp %n : ELEMENT\n%d = arith.addf %e, %one : ELEMENT\n%y = arith.divf %one, %d : ELEMENT")
        self.aggregate("%p")

    def normalised(self, rng):
        self.lines.append(f"%mean, %var = attn.reduce moments keys %s : ({self.scores}) -> ({self.row}, {self.row})")
        self.map(
            "%p",
            ["%s"],
            "%m = tensor.extract %mean[%b, %h, %i] : ROW\n%v = tensor.extract %var[%b, %h, %i] : ROW\n"
            "%c = arith.subf %x0, %m : ELEMENT\n%w = arith.addf %v, %one : ELEMENT\n%r = math.rsqrt %w : ELEMENT\n"
            "%y = arith.mulf %c, %r : ELEMENT",
        )
        self.aggregate("%p")
        self.names += ["%mean", "%var"]
        self.types += [self.row] * 2

    def reductions(self, rng):
        for kind in rng.sample(["sum", "max", "min", "mean", "count", "any", "argmax", "argmin", "lse", "custom"], 4):
            e = {"count": "i64", "argmax": "i64", "argmin": "i64", "any": "i1"}.get(kind, self.element)
            type = f"tensor<2x{H}x?x{e}>"
            if kind == "custom":
                self.result(
                    f"attn.reduce custom keys %s identity [1.0] lift (%x: {e}) {{\n"
                    f"%t = math.tanh %x : {e}\n%y = arith.addf %t, %one : {e}\nattn.yield %y : {e}\n"
                    f"}} combine {{\n^bb0(%a: {e}, %c: {e}):\n%y = arith.mulf %a, %c : {e}\nattn.yield %y : {e}\n"
                    f"}} : ({self.scores}) -> {type}",
                    type,
                )
            else:
                self.result(f"attn.reduce {kind} keys %s : ({self.scores}) -> {type}", type)

    def columns(self, rng):
        self.lines.append(f"%p = attn.softmax %s : {self.scores}")
        if rng.random() < 0.5:
            self.aggregate("%p")
        self.result(f"attn.reduce sum queries %p : ({self.scores}) -> {self.column}", self.column)
        self.result(f"attn.reduce max queries %s : ({self.scores}) -> {self.column}", self.column)
        count = self.column.replace(self.element, "i64")
        self.result(f"attn.reduce argmax queries %s : ({self.scores}) -> {count}", count)

    def text(self):
        e = self.element
        arguments = [f'%q: tensor<2x{H}x?x{D}x{e}> {{attn.name = "q", attn.dims = ["2", "{H}", "M", "D"]}}']
        for s in self.segments:
            arguments += s.arguments
        body = [
            "%past = arith.constant 2 : index",
            f"%half = arith.constant 0.5 : {e}",
            f"%one = arith.constant 1.0 : {e}",
            f"%five = arith.constant 5.0 : {e}",
            *(line for s in self.segments for line in s.lines),
            *self.lines,
            f"return {', '.join(self.names)} : {', '.join(self.types)}",
        ]
        return f"func.func @joined({', '.join(arguments)}) -> ({', '.join(self.types)}) {{\n" + "\n".join(body) + "\n}\n"


class Product:
    """A product of two virtual matrices, its factors masked and normalised."""

    def __init__(self, rng):
        self.element = e = rng.choice(["f32", "f64"])
        self.shared = rng.choice(["?", "?", "9"])
        self.lines, self.arguments = [], []
        self.count = 0
        for name, dim in (("q", "M"), ("l", "K"), ("r", "K"), ("k", "N"), ("v", "N")):
            extent = self.shared if dim == "K" else "?"
            self.arguments.append(
                f'%{name}: tensor<2x{H}x{extent}x{D}x{e}> {{attn.name = "{name}",'
                f' attn.dims = ["2", "{H}", "{dim if extent == "?" else extent}", "D"]}}'
            )
        a = self.factor(rng, "q", "l", "?", self.shared)
        b = self.factor(rng, "r", "k", self.shared, "?")
        self.type = f"!attn.scores<2x{H}x?x?x{e}>"
        left, right = (f"!attn.scores<2x{H}x{x}x{y}x{e}>" for x, y in (("?", self.shared), (self.shared, "?")))
        self.lines.append(f"%c = attn.matmul {a}, {b} : {left}, {right} -> {self.type}")
        rows, out = f"tensor<2x{H}x?x{e}>", f"tensor<2x{H}x?x{D}x{e}>"
        kind = rng.choice(["softmax", "sum", "queries", "columns"])
        if kind == "softmax":
            self.lines.append(f"%w = attn.mask %c causal : {self.type}" if rng.random() < 0.5 else f"%w = attn.fill %c, 0.0 : {self.type}")
            self.lines.append(f"%p = attn.softmax %w : {self.type}")
            self.lines.append(f"%o = attn.aggregate %p, %v : {self.type}, tensor<2x{H}x?x{D}x{e}> -> {out}")
            self.types = [out]
        elif kind == "sum":
            self.lines.append(f"%o = attn.aggregate %c, %v : {self.type}, tensor<2x{H}x?x{D}x{e}> -> {out}")
            self.types = [out]
        elif kind == "queries":
            self.lines.append(f"%o = attn.reduce max queries %c : ({self.type}) -> {rows}")
            self.types = [rows]
        else:
            self.lines.append(f"%t = attn.transpose %c : {self.type} -> {self.type}")
            self.lines.append(f"%o = attn.reduce lse keys %t : ({self.type}) -> {rows}")
            self.types = [rows]

    def factor(self, rng, x, y, rows, columns):
        e, self.count = self.element, self.count + 1
        n = self.count
        type = f"!attn.scores<2x{H}x{rows}x{columns}x{e}>"
        tensors = [f"tensor<2x{H}x{t}x{D}x{e}>" for t in (rows, columns)]
        self.lines.append(f"%f{n} = attn.score %{x}, %{y} scale(0.2) query_offset(%past : index) : {', '.join(tensors)} -> {type}")
        name = f"%f{n}"
        if rng.random() < 0.4:
            self.lines.append(f"{name}m = attn.mask {name} causal : {type}")
            name += "m"
        if rng.random() < 0.3:
            self.lines.append(
                f"{name}v = attn.mask {name} (%x: {e}) {{\n%g = arith.cmpf olt, %x, %half : {e}\nattn.yield %g : i1\n}} : {type}"
            )
            name += "v"
        if rng.random() < 0.3:
            self.lines.append(
                f"{name}t = attn.map {name} (%x: {e}) {{\n%y = math.tanh %x : {e}\nattn.yield %y : {e}\n}} : ({type}) -> {type}"
            )
            name += "t"
        if rng.random() < 0.5:
            self.lines.append(f"{name}p = attn.softmax {name} : {type}")
            name += "p"
        return name

    def text(self):
        body = ["%past = arith.constant 2 : index", f"%half = arith.constant 0.5 : {self.element}", *self.lines]
        body.append(f"return %o : {self.types[0]}")
        return f"func.func @product({', '.join(self.arguments)}) -> {self.types[0]} {{\n" + "\n".join(body) + "\n}\n"


def make_product(seed):
    rng = random.Random(f"products {seed}")
    program = Product(rng)
    extents = {"M": rng.choice([1, 7, 60]), "N": rng.choice([0, 1, 5, 140])}
    if program.shared == "?":
        extents["K"] = rng.choice([0, 1, 17, 64, 90])
    options = [*sizes(**extents), f"--seed={seed}", "--max-recompute-factor=0"]
    if rng.random() < 0.4:
        options += ["--pattern", f"{rng.choice('qlrk')}={rng.choice(['nan-row', 'inf-row'])}"]
    return f"products {seed}", program.text(), options


def make_case(family, seed):
    if family == "products":
        return make_product(seed)
    rng = random.Random(f"{family} {seed}")
    program = Program(rng, family)
    extents = {"M": rng.choice([1, 5, 37, 70])}
    for s in program.segments:
        if not s.lane:
            extents[f"N{s.k}"] = rng.choice([0, 1, 3, 17, 65, 130, 301])
    options = [*sizes(**extents), f"--seed={seed}"]
    if rng.random() < 0.3:
        name = rng.choice(["q", *(f"{x}{s.k}" for s in program.segments for x in "kv")])
        options += ["--pattern", f"{name}={rng.choice(['nan-row', 'inf-row'])}"]
    return f"{family} {seed}", program.text(), options


family, seed, count, *mode = sys.argv[1:]
check_all([make_case(family, s) for s in range(int(seed), int(seed) + int(count))], mode)
