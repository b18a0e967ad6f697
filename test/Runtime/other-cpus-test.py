# RUN: %python %s %root %tools_dir %t
"""Programs compiled for other CPUs than this one give the same results: lesser
ones of this kind, and 64-bit Arm under an emulator, with the runtime built for
it. Where there is no cross compiler or emulator, that part says so."""

import pathlib
import platform
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_runtime import Program, Runtime, np
from operands import make_operands

ROOT, TOOLS, WORK = map(pathlib.Path, sys.argv[1:])
INPUTS = pathlib.Path(__file__).parent / "Inputs"
LIBRARY = TOOLS.parent / "lib" / "libattn_runtime.so"
ARM = "aarch64-linux-gnu"
EXAMPLES = {
    "causal-gqa": {"B": 2, "L": 65},
    "block-sparse-from-list": {"B": 1, "L": 150, "Q": 3},
    "entropy-and-column-statistics": {"B": 1, "L": 40, "M": 33, "N": 40},
    "int8-scores": {"B": 1, "M": 33, "N": 70, "MB": 3, "NB": 3},
    "paged-decode-int8": {"B": 2, "pages": 9, "maxpages": 4},
    "ragged-cross-attention": {"B": 3, "M": 33, "N": 70},
    "rope": {"B": 1, "L": 40},
    "slot-attention": {"B": 1, "N": 200},
    "talking-heads": {"B": 1, "L": 50},
}


def compile_program(name, *target):
    path = WORK / f"{name}.so"
    subprocess.run([TOOLS / "attn-compile", ROOT / f"examples/{name}.mlir", "-o", path, *target], check=True)
    return path


def build_for_arm():
    """The runtime, and what calls a program in it."""
    headers = WORK / "include"
    headers.mkdir()
    found = next(p for p in map(pathlib.Path, ("/usr/local/include", "/usr/include")) if (p / "dlpack").exists())
    (headers / "dlpack").symlink_to(found / "dlpack")
    include = [f"-I{ROOT}/runtime/include", f"-I{headers}"]
    shared = ["-std=c++20", "-O1", "-shared", "-fPIC", "-fno-exceptions", "-fno-rtti"]
    sources = [*sorted((ROOT / "runtime/src").glob("*.cpp")), *sorted((ROOT / "runtime/src/gpu").glob("*.cpp"))]
    runtime = WORK / "libattn_runtime.so"
    command = [f"{ARM}-g++", *shared, '-DATTN_RUNTIME_VERSION="test"', *include, *sources, "-o", runtime, "-ldl",
               "-Wl,--no-as-needed", "-lm"]
    subprocess.run(command, check=True)
    subprocess.run([f"{ARM}-gcc", *include, INPUTS / "call.c", runtime, "-lm", "-o", WORK / "call"], check=True)


def call_on_arm(path, program, operands, shapes):
    lines, files = [], []
    for parameter, shape in zip([*program.arguments, *program.results], [*(a.shape for a in operands), *shapes]):
        files.append(WORK / f"tensor{len(files)}")
        lines.append(" ".join(map(str, [files[-1], parameter.code, parameter.bits, len(shape), *shape])) + "\n")
    for file, array in zip(files, operands):
        file.write_bytes(array.tobytes())
    (WORK / "list").write_text("".join(lines))
    emulator = ["qemu-aarch64", "-L", f"/usr/{ARM}", "-E", f"LD_LIBRARY_PATH={WORK}"]
    subprocess.run([*emulator, WORK / "call", path, WORK / "list", str(len(operands))], check=True)
    return files[len(operands) :]


def main():
    runtime = Runtime(str(LIBRARY))
    here = platform.machine() == "x86_64"
    arm = shutil.which("qemu-aarch64") and shutil.which(f"{ARM}-g++")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    if arm:
        build_for_arm()
    else:
        print("64-bit Arm is left out: no emulator or no cross compiler")
    failures = 0

    def compare(name, cpu, results, want):
        nonlocal failures
        for result, array in zip(results, want.values()):
            tolerance = 1e-4
            if array.dtype == np.uint16:  # bf16 by its bits
                result, array = ((x.astype("u4") << 16).view("f4") for x in (result, array))
                tolerance = 2e-2
            error = np.abs(result - array).max() / max(1, np.abs(array).max())
            if not error < tolerance:
                failures += 1
                print(f"{name} for {cpu} is off by {error} of its largest number")

    for name, sizes in EXAMPLES.items():
        program = Program(runtime, str(compile_program(name)))
        operands = list(make_operands(program, (ROOT / f"examples/{name}.mlir").read_text(), sizes).values())
        want = program.call(operands)
        for cpu in ("x86-64", "haswell") if here else ():
            lesser = Program(runtime, str(compile_program(name, f"--cpu={cpu}")))
            compare(name, cpu, lesser.call(operands).values(), want)
            lesser.close()
        if arm:
            path = compile_program(name, f"--triple={ARM}")
            files = call_on_arm(path, program, operands, [array.shape for array in want.values()])
            results = [np.fromfile(f, a.dtype).reshape(a.shape) for f, a in zip(files, want.values())]
            compare(name, ARM, results, want)
        program.close()
    print(f"{len(EXAMPLES)} programs, {failures} failures")
    sys.exit(failures > 0)


main()
