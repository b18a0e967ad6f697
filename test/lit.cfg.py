"""Configuration of all lit suites of the project.

A test finds the project's tools and LLVM's (FileCheck, not, split-file) on its
PATH. Substitutions beyond lit's own: %python (with NumPy), %cc (a C compiler), %root (the source
tree), %tools_dir (the project's tools) and %llvm_include (headers and .td files
of LLVM and MLIR).
"""

import os

import lit.formats

config.name = "attn-" + config.attn_suite_name
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", "-test.py"]
config.excludes = ["Inputs", "Unit", "CMakeLists.txt"]

tools_dir = os.path.join(config.attn_build_dir, "bin")
config.environment["PATH"] = os.pathsep.join(
    [tools_dir, config.llvm_tools_dir, config.environment.get("PATH", "")]
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
