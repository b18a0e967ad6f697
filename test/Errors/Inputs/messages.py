"""Every message of the compiler, the runtime and the tools occurs in a test.

usage: messages.py ROOT

A message is the strings of one statement that reports something (REPORTERS).
What is filled in cuts it into pieces; a test has it if it has one of the pieces
that are long enough to be known by, or the beginning of one. Messages with the
same words count as many times as they are written: so that the shapes of two
ops are not taken for tested when those of one are.
"""

import os
import re
import sys

REPORTERS = {
    "attachNote", "complain", "createStringError", "damaged", "emitError", "emitOpError", "emitRemark", "emitWarning",
    "error", "fail", "formatv", "makeError", "refuse", "reject", "report",
}  # fmt: skip

# What no test can bring about, by its first words, and why.
EXCUSED = {
    "not enough memory": "memory runs out",
    "has no memory to": "memory runs out",
    "no memory to": "memory runs out",
    "this system does not let a process": "needs a system without /proc/self/clear_refs",
    "/proc/self/status cannot be read": "needs a system without /proc",
    "there is no home directory": "needs a user without one",
    "a .npz file is limited": "needs 4 GiB of results",
    "differs in shape between": "guards a comparison: signatures fix the shapes",
    "the peak kernel does not parse": "guards text that the project writes itself",
    "the target cannot write": "guards an interface of LLVM: both targets can",
    "returned a result that is not row-major": "guards generated code: its results are",
    "the host has no object writer": "guards an interface of LLVM: both targets have one",
    "no code generator for": "guards an interface of LLVM: both targets have one",
    "cannot write PTX for ptxas": "the disk is full",
    "linking failed: an earlier link": "needs a crash of the linker",
    "the code object": "guards an interface of LLVM: metadata of all kernels is there",
    "the CPU target meets an index": "guards the evaluator of kernels",
    "it needs a result that is finished": "guards what splitting refuses first, with the op's name",
    "a product of values with different": "guards a sum of rates: those of exponentials are constants",
    "a quotient of values with different": "guards a sum of rates: those of exponentials are constants",
}

TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+|^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*)
       |R"(?P<d>[^()\s\\]{0,16})\((?P<raw>.*?)\)(?P=d)"
       |"(?P<string>(?:[^"\\\n]|\\.)*)"
       |(?P<end>[;{}])
       |(?P<word>\w+|'(?:[^'\\\n]|\\.)+'|.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
FILLED_IN = re.compile(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t)?[diouxXeEfgGcsp]|\{\d[^}]*\}|\\n")
LEAST_LETTERS = 10
KNOWN_BY = 36


def normalize(text):
    return re.sub(r"\s+", " ", text.replace("\\n", " ").replace("\\", ""))


def find_files(root, folders, endings):
    for folder in folders:
        for path, _, names in os.walk(os.path.join(root, folder)):
            yield from (os.path.join(path, name) for name in sorted(names) if name.endswith(endings))


def find_messages(path):
    """Yields the line and the pieces of every message in a C++ file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    strings, reports, joins, start, last = [], False, False, 0, ""
    for token in TOKEN.finditer(text):
        if token["skip"] is not None:
            continue
        if token["string"] is not None:
            start = start or token.start()
            if joins:
                strings[-1] += token["string"]
            else:
                strings.append(token["string"])
        elif token["end"]:
            if strings and reports:
                yield text.count("\n", 0, start) + 1, split(strings)
            strings, reports, start = [], False, 0
        reports |= token["word"] == "(" and last in REPORTERS
        last = token["word"] or ""
        joins = token["string"] is not None


def split(strings):
    pieces = [normalize(piece).strip(" ':;,()") for string in strings for piece in FILLED_IN.split(string)]
    return [p for p in pieces if sum(c.isalpha() for c in p) >= LEAST_LETTERS and " " in p]


def read_tests(root):
    parts = []
    own = os.path.abspath(__file__)
    for path in find_files(root, ("test", "examples"), ("",)):
        if os.path.abspath(path) != own:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            if path.endswith((".cpp", ".h", ".py", ".c")):
                text = re.sub(r'"\s*\n\s*f?"', "", text)
            parts.append(normalize(text))
    return "\n".join(parts)


def main(root):
    tests = read_tests(root)
    places = {}
    for path in find_files(root, ("include", "lib", "tools", "runtime"), (".cpp", ".h")):
        for line, pieces in find_messages(path):
            if pieces:
                places.setdefault(tuple(pieces), []).append(f"{os.path.relpath(path, root)}:{line}")
    untested, excused = 0, set()
    for pieces, found in places.items():
        reason = next((key for key in EXCUSED if pieces[0].startswith(key)), None)
        if reason:
            excused.add(reason)
            continue
        count = max(tests.count(piece[:KNOWN_BY]) for piece in pieces)
        if count < len(found):
            untested += 1
            print(f"{', '.join(found)}: {count} tests for {len(found)}: {' ... '.join(pieces)}")
    for key in set(EXCUSED) - excused:
        untested += 1
        print(f"excused, but no message: {key}")
    print(f"{sum(map(len, places.values()))} messages, {len(EXCUSED)} excused, {untested} without a test")
    return untested > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
