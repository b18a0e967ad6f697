"""Checks the code blocks of Markdown files.

usage: run_documents.py ROOT TOOLS_DIR WORK PATH...

A ```mlir block is a complete program and goes through attn-opt. One opened with
```mlir file=NAME is also written to NAME. ```sh blocks are then run as they
stand, in order, where `build/bin` holds the tools and `examples` the examples;
a command that fails fails the document, and a ```text block that follows a
```sh block lists output that must occur, line by line, where `...` stands for
anything. A ```c from=PATH block is a part of that file. Blocks in other
languages are prose.
"""

import os
import re
import shutil
import subprocess
import sys


def blocks(text):
    """Triples of line number, info string and contents."""
    info, start, lines = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if info is None:
                info, start, lines = line[3:].strip(), number, []
            else:
                yield start, info, "\n".join(lines) + "\n"
                info = None
        elif info is not None:
            lines.append(line)


def missing_lines(expected, output):
    """Lines of `expected` that do not occur in `output` in this order."""
    at = 0
    for line in filter(str.strip, expected.splitlines()):
        pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
        found = re.compile(pattern).search(output, at)
        if not found:
            yield line
        else:
            at = found.end()


def check(path, root, tools, work):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    output = None
    for number, info, contents in blocks(text):
        where = f"{path}:{number}"
        language, _, argument = info.partition(" ")
        if language == "mlir":
            attn_opt = os.path.join(tools, "attn-opt")
            run = subprocess.run([attn_opt, "-", "-o", os.devnull], input=contents, text=True, capture_output=True)
            if run.returncode:
                yield f"{where}: the program does not parse\n{run.stderr}"
            if argument.startswith("file="):
                with open(os.path.join(work, argument[5:]), "w", encoding="utf-8") as program:
                    program.write(contents)
        elif argument.startswith("from="):
            with open(os.path.join(root, argument[5:]), encoding="utf-8") as file:
                if contents not in file.read():
                    yield f"{where}: this is not in {argument[5:]}"
        elif language == "sh":
            run = subprocess.run(["bash", "-euo", "pipefail", "-c", contents], cwd=work, text=True, stdin=subprocess.DEVNULL, capture_output=True)
            output = run.stdout + run.stderr
            if run.returncode:
                yield f"{where}: exit code {run.returncode}\n{contents}{output}"
            continue
        elif language == "text" and output is not None:
            for line in missing_lines(contents, output):
                yield f"{where}: '{line}' is not in the output\n{output}"
        output = None


def main():
    root, tools, work, *paths = sys.argv[1:]
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(work, "build"))
    os.symlink(tools, os.path.join(work, "build", "bin"))
    os.symlink(os.path.join(root, "examples"), os.path.join(work, "examples"))
    documents = []
    for path in paths:
        if os.path.isdir(path):
            documents += sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith(".md"))
        else:
            documents.append(path)
    problems = [problem for path in documents for problem in check(path, root, tools, work)]
    print("\n".join(problems))
    print(f"{len(documents)} documents, {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
