"""Parses the ```mlir examples of generated pages of ops.

usage: check_op_examples.py ATTN_OPT PAGE...

An example is a few lines as one would write them inside a function. Names that
it uses but does not define become arguments of a function wrapped around it;
their types are in the tables below, by name and, where one name means different
things, by op. A type on its own becomes the argument of a declaration,
attributes on lines of their own those of one.
"""

import re
import subprocess
import sys

SCORES = "!attn.scores<1x8x?x?xf32>"
STATE = "!attn.state<tensor<2x8x?x64xf32>, tensor<2x8x?xf32>>"
TYPES = {
    "%s": SCORES,
    "%p": SCORES,
    "%slopes": "tensor<8xf32>",
    "%past": "index",
    "%m": "f32",
    "%z": "tensor<8xf32>",
    "%Q": "tensor<2x8x?x64xf32>",
    "%K": "tensor<2x2x?x64xf32>",
    "%V": "tensor<2x2x?x64xf32>",
    "%S": "tensor<1x?xi32>",
    **{name: "index" for name in ("%b", "%g", "%h", "%i", "%j", "%j0", "%j1", "%m0", "%n0", "%I")},
    "%L": "tensor<1x1x?x12xi32>",
    "%a": "tensor<1x1x?x4xi32>",
    "%na": "tensor<1x1x?xi32>",
    "%nb": "tensor<1x1x?xi32>",
    **{name: "index" for name in ("%rows", "%blocks")},
}
BY_OP = {
    ("attn.aggregate", "%group"): "tensor<2xi32>",
    ("attn.aggregate", "%map"): "tensor<8xi32>",
    ("attn.aggregate", "%new"): "tensor<2x8x?x64xf32>",
    ("attn.aggregate", "%own"): "tensor<2x2x?x64xf32>",
    ("attn.aggregate", "%p"): "!attn.scores<2x8x?x?xf32>",
    ("attn.aggregate", "%past"): "tensor<1x2x?x64xbf16>",
    ("attn.aggregate", "%prefix"): "tensor<?x2x?x64xf32>",
    ("attn.aggregate", "%v"): "tensor<2x2x?x128xbf16>",
    ("attn.append", "%cache"): "tensor<1x2x?x64xf32>",
    ("attn.append", "%len"): "index",
    ("attn.append", "%new"): "tensor<1x2x1x64xf32>",
    ("attn.argsort", "%t"): "tensor<2x?xf32>",
    ("attn.before", "%n1"): "index",
    ("attn.bias", "%t"): "tensor<1x8x?x?xf32>",
    ("attn.choose", "%lanes"): "vector<16xi32>",
    ("attn.choose", "%row"): "vector<16xi32>",
    ("attn.cholesky", "%a"): "tensor<2x16x16xf32>",
    ("attn.compact", "%bits"): "tensor<2x?xi1>",
    ("attn.concat", "%local"): "!attn.scores<2x8x?x16xf32>",
    ("attn.concat", "%past"): "!attn.scores<2x8x?x?xf32>",
    ("attn.convolve", "%w"): "tensor<8x6x11xf32>",
    ("attn.dequantize", "%q"): "tensor<1x2x?x64xi8>",
    ("attn.dequantize", "%s"): "tensor<1x2x?x1xf32>",
    ("attn.expand", "%W"): "tensor<8x16x64xf32>",
    ("attn.expand", "%x"): "vector<16xf32>",
    ("attn.fill", "%t"): "!attn.scores<1x8x?x?xi32>",
    ("attn.finish", "%m"): STATE,
    ("attn.gather", "%i"): "tensor<2x8x16xi64>",
    ("attn.gather", "%keys"): "tensor<2x2x?x64xf32>",
    ("attn.hadamard", "%k"): "tensor<1x2x?x64xf32>",
    ("attn.inner", "%x"): "vector<64xf32>",
    ("attn.inner", "%y"): "vector<64xf32>",
    ("attn.lane", "%k"): "tensor<2x8x?x4x64xf32>",
    ("attn.lane", "%q"): "tensor<2x8x?x64xf32>",
    ("attn.list_intersect", "%b"): "tensor<1x1x?x3xi32>",
    ("attn.list_union", "%b"): "tensor<1x1x?x3xi32>",
    ("attn.listed", "%n"): "index",
    ("attn.mask", "%n"): "tensor<1xi32>",
    ("attn.matmul", "%a"): "!attn.scores<1x8x?x32xf32>",
    ("attn.matmul", "%b"): "!attn.scores<1x8x32x?xf32>",
    ("attn.merge", "%prefix"): STATE,
    ("attn.merge", "%suffix"): STATE,
    ("attn.mix", "%W"): "tensor<8x8xf32>",
    ("attn.mix_heads", "%w"): "tensor<4x8xf32>",
    ("attn.paged", "%n"): "index",
    ("attn.paged", "%pool"): "tensor<?x2x16x64xf32>",
    ("attn.paged", "%table"): "tensor<1x?xi32>",
    ("attn.partial", "%v"): "tensor<1x8x?x64xf32>",
    ("attn.prefix", "%t"): "tensor<2x?xf32>",
    ("attn.qr", "%a"): "tensor<2x64x16xf32>",
    ("attn.quantize", "%x"): "tensor<1x2x?x64xf32>",
    ("attn.restrict", "%blocks"): "tensor<1x1x?x12xi32>",
    ("attn.reduce", "%last"): "index",
    ("attn.reduce", "%n"): "index",
    ("attn.restrict", "%n"): "tensor<1x1x?xi32>",
    ("attn.rope", "%p"): "tensor<1x?xi32>",
    ("attn.rope", "%q"): "tensor<1x8x?x64xf32>",
    ("attn.scatter_reduce", "%i"): "tensor<2x16xi64>",
    ("attn.scatter_reduce", "%init"): "tensor<2x?x64xf32>",
    ("attn.scatter_reduce", "%rows"): "tensor<2x16x64xf32>",
    ("attn.quad_dot", "%sums"): "vector<16xi32>",
    ("attn.quad_dot", "%x"): "vector<16xi32>",
    ("attn.quad_dot", "%y"): "vector<16xi32>",
    ("attn.score", "%a"): "tensor<2x8x?x64xi8>",
    ("attn.score", "%b"): "tensor<2x2x?x64xi8>",
    ("attn.score", "%group"): "tensor<2xi32>",
    ("attn.score", "%k"): "tensor<2x2x?x64xf32>",
    ("attn.score", "%prefix"): "tensor<?x2x?x64xf32>",
    ("attn.score", "%q"): "tensor<2x8x?x64xf32>",
    ("attn.score_with", "%k"): "tensor<1x2x7x8xf32>",
    ("attn.score_with", "%q"): "tensor<1x2x5x8xf32>",
    ("attn.search_sorted", "%sums"): "tensor<2x?xf32>",
    ("attn.search_sorted", "%u"): "tensor<2x5xf32>",
    ("attn.select_topk", "%k"): "index",
    ("attn.select_topk", "%t"): "tensor<2x8x?xf32>",
    ("attn.solve", "%a"): "tensor<2x8x16x16xf32>",
    ("attn.solve", "%b"): "tensor<2x8x16x64xf32>",
    ("attn.state_from", "%lse"): "tensor<2x8x?xf32>",
    ("attn.state_from", "%o"): "tensor<2x8x?x64xf32>",
    ("attn.stencil", "%W"): "tensor<8x1x3xf32>",
    ("attn.transpose", "%s"): "!attn.scores<1x8x5x7xf32>",
    ("attn.view", "%n"): "index",
    ("attn.view", "%stored"): "tensor<2x2x?x64xf16>",
}


def examples(page):
    """Pairs of the heading's name and the text of a block."""
    name, block = None, None
    for line in page.splitlines():
        heading = re.match(r"### `?([\w.]+)", line)
        if block is None and heading:
            name = heading.group(1)
        elif line.strip() == "```mlir":
            block = []
        elif line.strip() == "```" and block is not None:
            yield name, "\n".join(block)
            block = None
        elif block is not None:
            block.append(line)


def parse(attn_opt, module):
    """The messages of attn-opt, empty if all is well."""
    command = [attn_opt, "--verify-roundtrip"]
    run = subprocess.run(command, input=module, text=True, capture_output=True)
    return run.stderr if run.returncode else ""


def check(attn_opt, name, text):
    """The messages for one example, wrapped in a function."""
    if text.startswith("#"):
        attributes = ", ".join(f"a{k} = {line}" for k, line in enumerate(text.splitlines()))
        return parse(attn_opt, f"func.func private @example() attributes {{{attributes}}}\n")
    if text.startswith("!"):
        return parse(attn_opt, f"func.func private @example({text})\n")
    arguments = {}
    while True:
        signature = ", ".join(f"{value}: {type_}" for value, type_ in arguments.items())
        module = f"func.func @example({signature}) {{\n{text}\nreturn\n}}\n"
        messages = parse(attn_opt, module)
        place = re.search(r":(\d+):(\d+): error: use of undeclared SSA value", messages)
        if not place:
            return messages and module + messages
        line = module.splitlines()[int(place.group(1)) - 1]
        value = re.match(r"%\w+", line[int(place.group(2)) - 1 :]).group()
        type_ = BY_OP.get((name, value)) or TYPES.get(value)
        if type_ is None or value in arguments:
            return f"{value} is not in the tables of check_op_examples.py\n{module}"
        arguments[value] = type_


def main():
    attn_opt, *pages = sys.argv[1:]
    failures = count = 0
    for page in pages:
        before = count
        with open(page, encoding="utf-8") as file:
            for name, text in examples(file.read()):
                count += 1
                messages = check(attn_opt, name, text)
                if messages:
                    failures += 1
                    print(f"the example of {name} fails:\n{messages}")
        if count == before:
            sys.exit(f"error: found no examples in {page}")
    print(f"{count} examples, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
