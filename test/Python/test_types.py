"""Annotations are right: mypy agrees with them, and they with what there is."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import attn_mlir
from attn_mlir import _native

pytest.importorskip("mypy")
ROOT = pathlib.Path(__file__).resolve().parents[2]

PROGRAM = '''
import numpy as np
import attn_mlir as attn

@attn.jit
def attention(q: attn.Array, k: attn.Array, v: attn.Array) -> attn.Array:
    p = attn.softmax(attn.scores(q, k, 0.125), where=attn.causal)
    reveal_type(p)
    reveal_type(attn.exp(p))
    reveal_type(attn.exp(q))
    reveal_type(p.sum(-1))
    return attn.aggregate(p, v)

reveal_type(attention)
reveal_type(attention.plan(np.zeros((1, 1, 2, 4)), block=8).num_kernels)
attn.window("wide")
attn.softmax(attn.q_idx, axes=-1)
'''


def mypy(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_package():
    done = mypy("mypy", "--cache-dir=/dev/null")
    assert done.returncode == 0, done.stdout


def test_stubs_are_what_there_is(tmp_path):
    # The list of public names is computed.
    (tmp_path / "allowed").write_text("attn_mlir._namespace.__all__\n")
    done = mypy("mypy.stubtest", "attn_mlir._namespace", "attn_mlir._operators", "--allowlist", tmp_path / "allowed",
                "--mypy-config-file", ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout


def test_users_are_told_types(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = mypy("mypy", "--cache-dir=/dev/null", "--strict", tmp_path / "program.py")
    revealed = re.findall(r'Revealed type is "(?:attn_mlir\.\w+\.)?([\w.]+)', done.stdout)
    assert revealed == ["Scores", "Scores", "Array", "Array", "Function", "int"], done.stdout
    errors = re.findall(r":(\d+): error: .*\[([\w-]+)\]", done.stdout)
    assert set(errors) == {("16", "arg-type"), ("17", "call-overload")}, done.stdout


def test_the_native_module():
    tree = ast.parse((ROOT / "python/attn_mlir/_native.pyi").read_text())
    functions = {node.name: [a.arg for a in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
    there = {name for name in dir(_native) if not name.startswith("_") and name != "Program"}
    assert set(functions) == there
    for name, arguments in functions.items():
        text = getattr(_native, name).__nb_signature__[0][0]
        named = re.findall(r"(?:\(|, )(\w+): ", text)
        assert named == arguments or len(named) == len(arguments) == 1, text
    methods = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Program")
    assert all(hasattr(_native.Program, node.name) for node in methods.body if isinstance(node, ast.FunctionDef))


def test_every_public_function_says_what_it_does():
    names = [name for name in dir(attn_mlir) if not name.startswith("_") and callable(getattr(attn_mlir, name))]
    silent = [name for name in names if not (getattr(attn_mlir, name).__doc__ or "").strip()]
    assert not silent
