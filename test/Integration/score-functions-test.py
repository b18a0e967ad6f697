# Scores may be any function of the math dialect, on CPUs and on GPUs.
# RUN: %python %s %t
"""Sums of a few functions each, checked against f64."""

import itertools
import os
import subprocess
import sys

# Of %x, which is at least 1, %u within 0 and 1, the constant %c, and the integers %i and %j.
FUNCTIONS = {
    **{name: f"math.{name} %x" for name in (
        "absf", "acosh", "asinh", "atan", "cbrt", "ceil", "cos", "erf", "erfc", "exp", "exp2", "floor", "log", "log10",
        "log1p", "log2", "round", "roundeven", "rsqrt", "sin", "sqrt", "tanh", "trunc")},
    **{name: f"math.{name} %u" for name in ("acos", "asin", "atanh", "cosh", "expm1", "sinh", "tan")},
    **{name: f"math.{name} %x, %c" for name in ("atan2", "copysign", "powf")},
    **{name: f"arith.{name} %x, %c" for name in ("maxnumf", "minnumf", "remf")},
    "fma": "math.fma %x, %u, %c", "clampf": "math.clampf %x to [%u, %c]",
    "fpowi": "math.fpowi %u, %j : f32, i32",
    # Two results.
    "sincos": "math.sincos %x",
    **{name: f"math.{name} %i" for name in ("absi", "ctlz", "ctpop", "cttz")},
    "ipowi": "math.ipowi %j, %j",
    **{name: f"math.{name} %x" for name in ("isfinite", "isinf", "isnan", "isnormal")},
}


def write_function(name):
    """Lines that end in %<name>, an f32."""
    value = FUNCTIONS[name]
    if name == "sincos":
        return [f"%sine, %cosine = {value} : f32", "%half = arith.mulf %cosine, %cosine : f32",
                "%sincos = arith.addf %sine, %half : f32"]
    if name.startswith("is"):
        return [f"%{name}0 = {value} : f32", f"%{name} = arith.uitofp %{name}0 : i1 to f32"]
    if name in ("absi", "ctlz", "ctpop", "cttz", "ipowi"):
        return [f"%{name}0 = {value} : i32", f"%{name} = arith.sitofp %{name}0 : i32 to f32"]
    return [f"%{name} = {value}" + ("" if ":" in value else " : f32")]


def write(names):
    lines = [line for name in names for line in write_function(name)]
    total = "%" + names[0]
    for number, name in enumerate(names[1:]):
        lines.append(f"%t{number} = arith.addf {total}, %{name} : f32")
        total = f"%t{number}"
    tensors = {name: f"tensor<?x2x?x16xf32> {{attn.name = \"{name}\", attn.dims = [\"B\", \"2\", \"{axis}\", \"16\"]}}"
               for name, axis in (("q", "M"), ("k", "N"), ("v", "N"))}
    arguments = ", ".join(f"%{name}: {tensor}" for name, tensor in tensors.items())
    body = "\n    ".join(lines)
    return f"""!rows = tensor<?x2x?x16xf32>
!scores = !attn.scores<?x2x?x?xf32>
func.func @f({arguments}) -> (!rows {{attn.name = "o"}}) {{
  %s = attn.score %q, %k : !rows, !rows -> !scores
  %m = attn.map %s (%s0: f32) {{
    %c = arith.constant 1.75 : f32
    %one = arith.constant 1.0 : f32
    %tenth = arith.constant 0.1 : f32
    %s1 = arith.mulf %s0, %tenth : f32
    %u0 = math.tanh %s1 : f32
    %u = math.absf %u0 : f32
    %x = arith.addf %u, %one : f32
    %k0 = arith.constant 40.0 : f32
    %i0 = arith.mulf %u0, %k0 : f32
    %i = arith.fptosi %i0 : f32 to i32
    %three = arith.constant 3 : i32
    %j = arith.remsi %i, %three : i32
    {body}
    attn.yield {total} : f32
  }} : (!scores) -> !scores
  %p = attn.softmax %m : !scores
  %o = attn.aggregate %p, %v : !scores, !rows -> !rows
  return %o : !rows
}}
"""


os.makedirs(sys.argv[1], exist_ok=True)
names, failed = iter(FUNCTIONS), False
for number in itertools.count():
    group = list(itertools.islice(names, 6))
    if not group:
        break
    path = os.path.join(sys.argv[1], f"{number}.mlir")
    with open(path, "w", encoding="utf-8") as file:
        file.write(write(group))
    for target, sizes in (("cpu", "B=1,M=20,N=70"), ("cuda:sm_80,emulate", "B=1,M=5,N=19")):
        where = () if target == "cpu" else (f"--target={target}",)
        done = subprocess.run(["attn-run", path, *where, "--check", "--size", sizes], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            failed = True
            print(f"{target}: {', '.join(group)}:\n{done.stdout}{done.stderr}")
sys.exit(1 if failed else 0)
