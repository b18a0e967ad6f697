"""Parses the ```mlir examples of a generated dialect page.

usage: check_op_examples.py ATTN_OPT PAGE

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
    **{name: "index" for name in ("%b", "%g", "%h", "%i", "%j", "%j0", "%j1")},
}
BY_OP = {
    ("attn.aggregate", "%p"): "!attn.scores<2x8x?x?xf32>",
    ("attn.aggregate", "%v"): "tensor<2x2x?x128xbf16>",
    ("attn.append", "%cache"): "tensor<1x2x?x64xf32>",
    ("attn.append", "%len"): "index",
    ("attn.append", "%new"): "tensor<1x2x1x64xf32>",
    ("attn.bias", "%t"): "tensor<1x8x?x?xf32>",
    ("attn.dequantize", "%q"): "tensor<1x2x?x64xi8>",
    ("attn.dequantize", "%s"): "tensor<1x2x?x1xf32>",
    ("attn.expand", "%W"): "tensor<8x16x64xf32>",
    ("attn.expand", "%x"): "vector<16xf32>",
    ("attn.hadamard", "%k"): "tensor<1x2x?x64xf32>",
    ("attn.inner", "%x"): "vector<64xf32>",
    ("attn.inner", "%y"): "vector<64xf32>",
    ("attn.mask", "%n"): "tensor<1xi32>",
    ("attn.paged", "%n"): "index",
    ("attn.paged", "%pool"): "tensor<?x2x16x64xf32>",
    ("attn.paged", "%table"): "tensor<1x?xi32>",
    ("attn.quantize", "%x"): "tensor<1x2x?x64xf32>",
    ("attn.rope", "%p"): "tensor<1x?xi32>",
    ("attn.rope", "%q"): "tensor<1x8x?x64xf32>",
    ("attn.view", "%n"): "index",
    ("attn.view", "%stored"): "tensor<2x2x?x64xf16>",
    ("attn.score", "%q"): "tensor<2x8x?x64xf32>",
    ("attn.score", "%k"): "tensor<2x2x?x64xf32>",
    ("attn.score_with", "%q"): "tensor<1x2x5x8xf32>",
    ("attn.score_with", "%k"): "tensor<1x2x7x8xf32>",
    ("attn.transpose", "%s"): "!attn.scores<1x8x5x7xf32>",
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
    attn_opt, page = sys.argv[1:]
    failures = count = 0
    with open(page, encoding="utf-8") as file:
        for name, text in examples(file.read()):
            count += 1
            messages = check(attn_opt, name, text)
            if messages:
                failures += 1
                print(f"the example of {name} fails:\n{messages}")
    if count < 5:
        sys.exit(f"error: found only {count} examples in {page}")
    print(f"{count} examples, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
