"""What a wheel has in it works by itself, without the build tree.

The Python part is a wheel that scikit-build-core makes without running CMake; the
native part is what CMake installs from the build that is tested."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

import attn_mlir

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(attn_mlir.__file__).parents[2]

PROGRAM = """
import pathlib, sys
import numpy as np
import attn_mlir as attn

assert pathlib.Path(attn.__file__).parents[1] == pathlib.Path(sys.argv[1]), attn.__file__

@attn.jit
def attention(q, k, v):
    return attn.softmax(q @ k.mT * 0.25, where=attn.causal) @ v

q = np.random.default_rng(0).standard_normal((1, 2, 77, 16), dtype=np.float32)
assert attention.check(q, q, q) and attention(q, q, q).shape == q.shape
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not (BUILD / "CMakeCache.txt").exists():
        pytest.skip("the package under test is not in a build tree")
    pytest.importorskip("scikit_build_core")
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    # Debian 12's pip has no short name for this option.
    settings = [f"--config-settings={setting}" for setting in ("wheel.cmake=false", f"build-dir={wheels / 'build'}")]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels,
                    *settings, ROOT], check=True)
    zipfile.ZipFile(next(wheels.glob("*.whl"))).extractall(target)
    subprocess.run(["cmake", "--install", BUILD, "--component", "python", "--prefix", target], check=True)
    return target


def run(installed, *arguments):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return subprocess.run([sys.executable, *arguments], cwd=installed, capture_output=True, text=True,
                          env={**environment, "PYTHONPATH": str(installed)})


def test_files(installed):
    package = installed / "attn_mlir"
    sources = ROOT / "python" / "attn_mlir"
    for source in sources.rglob("*.py*"):
        if "__pycache__" not in source.parts:
            assert (package / source.relative_to(sources)).exists(), source
    assert (package / "py.typed").exists()
    assert list(package.glob("_native.*.so")) and (package / "libattn_runtime.so.0").exists()
    assert not list(installed.rglob("__pycache__"))


def test_a_program(installed):
    done = run(installed, "-c", PROGRAM, str(installed))
    assert done.returncode == 0, done.stderr


def test_the_zoo(installed):
    listed = run(installed, "-m", "attn_mlir.zoo")
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == len(list((ROOT / "python/attn_mlir/zoo").glob("n[0-9]*.py")))
    checked = run(installed, "-m", "attn_mlir.zoo", "run", "18", "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
