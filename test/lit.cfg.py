"""Configuration of all lit suites of the project.

A test finds the project's tools and LLVM's (FileCheck, not, split-file) on its
PATH; ptxas is Triton's where the PATH has none. Substitutions beyond lit's own:
%python (with NumPy), %cc (a C compiler), %root (the source tree), %tools_dir
(the project's tools) and %llvm_include (headers and .td files of LLVM and MLIR).
"""

import os
import shutil
import subprocess

import lit.formats

config.name = "attn-" + config.attn_suite_name
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", "-test.py"]
config.excludes = ["Inputs", "Unit", "CMakeLists.txt"]



def list_assemblers(path):
    """Folders of ptxas, where `path` has none."""
    if shutil.which("ptxas", path=path):
        return []
    code = "import importlib.util as u; s = u.find_spec('triton'); print(*s.submodule_search_locations if s else ())"
    done = subprocess.run([config.python, "-c", code], capture_output=True, text=True, check=False)
    return [os.path.join(folder, "backends", "nvidia", "bin") for folder in done.stdout.splitlines() if folder]


tools_dir = os.path.join(config.attn_build_dir, "bin")
path = config.environment.get("PATH", "")
config.environment["PATH"] = os.pathsep.join(
    [tools_dir, config.llvm_tools_dir, path, *list_assemblers(path)]
)
# Sanitizer builds say how they want to be run; colours never belong in output.
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "OMP_NUM_THREADS", "HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%python", config.python))
config.substitutions.append(("%cc", config.c_compiler))
config.substitutions.append(("%llvm_include", config.llvm_include_dir))
config.substitutions.append(("%root", config.attn_source_dir))
config.substitutions.append(("%tools_dir", tools_dir))
