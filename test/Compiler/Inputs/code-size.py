"""Checks the caps on generated code in LLVM IR text: 4,000 instructions per
function before optimization, 512 elements per vector.

Usage: code-size.py FILE.ll
"""

import re
import sys

MAX_INSTRUCTIONS = 4000
MAX_ELEMENTS = 512

text = open(sys.argv[1]).read()
functions = re.findall(r"^define [^@]*@([\w.]+)\(.*?^}", text, re.M | re.S)
bodies = re.findall(r"^define .*?^}", text, re.M | re.S)
assert functions, "no functions"
for name, body in zip(functions, bodies):
    # Instructions are indented; labels and comments are not.
    count = sum(line.startswith("  ") for line in body.splitlines())
    print(name, count)
    assert count <= MAX_INSTRUCTIONS, (name, count)
for lanes in re.findall(r"<(\d+) x ", text):
    assert int(lanes) <= MAX_ELEMENTS, lanes
print("within the caps")
