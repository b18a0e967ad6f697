"""Folders of compiled problems: made where the compiler is, opened anywhere.

A folder has everything that the other machine needs but Python, NumPy and the
driver: the packages, the runtime library, and this script."""

import json
import pathlib
import shutil
import subprocess
import sys
from dataclasses import asdict

from .problems import Problem
from .runtime import HERE, LIBRARY, Failure, Refusal

MANIFEST = "manifest.json"


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_tool(command, what, text=None):
    """Its output, or a refusal that begins with `what`."""
    try:
        done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True)
    except OSError as error:
        raise Refusal(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise Refusal(f"{what}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def compile_text(tools, text, path, options, name):
    what = f"attn-compile refuses {name}"
    run_tool([tools / "attn-compile", "-", "-o", path, *options], what, text)


def find_library(tools):
    """The runtime library, and OpenMP's, which is part of LLVM."""
    library = next((f / LIBRARY for f in (tools, tools.parent / "lib") if (f / LIBRARY).exists()), None)
    if not library:
        raise Failure(f"there is no {LIBRARY} beside {tools}")
    needed = [line.split() for line in run_tool(["ldd", library], "ldd").splitlines()]
    return [library, *(pathlib.Path(words[2]) for words in needed if words[0].startswith("libomp"))]


def carry(folder, tools):
    """Copies what runs packages beside them."""
    for file in find_library(tools):
        shutil.copy(file.resolve(), folder / file.name)
    # Its first line may name the Python of this machine.
    _, _, script = (HERE / "attn-bench").read_text().partition("\n")
    (folder / "attn-bench").write_text(f"#!/usr/bin/env python3\n{script}")
    (folder / "attn-bench").chmod(0o755)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "attn_bench", folder / "attn_bench", dirs_exist_ok=True, ignore=ignore)


def make_options(targets, cpu):
    """Those of attn-compile."""
    return [f"--target={targets}", *([f"--cpu={cpu}"] if cpu else [])]


def save(folder, problems, targets, cpu, tools, **extra):
    """Makes a folder; `extra` is written to its list of contents."""
    files, options = {}, make_options(targets, cpu)
    folder.mkdir(parents=True, exist_ok=True)
    for number, problem in enumerate(problems):
        say(f"{number + 1} of {len(problems)}: {problem.name()}")
        files[f"problem{number}.so"] = asdict(problem)
        compile_text(tools, problem.program(), folder / f"problem{number}.so", options, problem.name())
    carry(folder, tools)
    (folder / MANIFEST).write_text(json.dumps({"targets": targets, "problems": files, **extra}, indent=1) + "\n")


class Packages:
    """An open folder."""

    def __init__(self, folder):
        self.folder = folder
        try:
            self.manifest = json.loads((folder / MANIFEST).read_text())
            self.targets = self.manifest["targets"]
            self.files = {Problem(**fields): folder / name for name, fields in self.manifest["problems"].items()}
        except OSError as error:
            raise Failure(f"{folder} is no folder of packages: {MANIFEST}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"{folder / MANIFEST} is damaged: {error}") from None
