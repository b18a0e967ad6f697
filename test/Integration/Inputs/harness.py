"""Runs attn-run on generated programs.

Programs are text, made by `attention` below; attn-run reads them from its
standard input. Two run at a time.
"""

import concurrent.futures
import subprocess
import sys


def scores_type(heads, element):
    return f"!attn.scores<?x{heads}x?x?x{element}>"


def attention(
    heads=4,
    groups=2,
    features=64,
    values=None,
    element="f32",
    extra=(),
    axes="",
    body="",
    softmax="",
    weights="%p",
    outputs=(),
    operand_type="",
):
    """A program: scores, `body` (from %s to %t), softmax, aggregate.

    `extra` are more arguments as (name, type, dims, init); `axes` goes to
    attn.score; `outputs` are more results as (name, kind, axis, operand).
    """
    values = values or features
    acc = "f64" if element == "f64" else "f32"
    scores = scores_type(heads, acc)
    query = f"tensor<?x{heads}x?x{features}x{element}>"
    key = f"tensor<?x{groups}x?x{features}x{element}>"
    value = f"tensor<?x{groups}x?x{values}x{element}>"
    result = f"tensor<?x{heads}x?x{values}x{element}>"
    arguments = [
        ("q", query, ["B", heads, "M", features], ""),
        ("k", key, ["B", groups, "N", features], ""),
        ("v", value, ["B", groups, "N", values], ""),
        *extra,
    ]
    lines = []
    for name, type_, dims, init in arguments:
        quoted = ", ".join(f'"{dim}"' for dim in dims)
        attributes = f'attn.name = "{name}", attn.dims = [{quoted}]'
        if init:
            attributes += f', attn.init = "{init}"'
        lines.append(f"  %{name}: {type_} {{{attributes}}}")
    results, returns, reductions = [result], ["%o"], []
    for name, kind, axis, operand in outputs:
        elements = {"count": "i64", "any": "i1", "argmax": "i64", "argmin": "i64"}
        type_ = f"tensor<?x{heads}x?x{elements.get(kind, acc)}>"
        count = 2 if kind == "moments" else 1
        left = f"%{name}:2" if count == 2 else f"%{name}"
        right = f"({type_}, {type_})" if count == 2 else type_
        reductions.append(f"  {left} = attn.reduce {kind} {axis} {operand} : ({scores}) -> {right}")
        results += [type_] * count
        returns += [f"%{name}#0", f"%{name}#1"] if count == 2 else [f"%{name}"]
    named = [f'{type_} {{attn.name = "{value[1:].replace("#", "")}"}}' for type_, value in zip(results, returns)]
    return "\n".join(
        [
            "func.func @attention(",
            ",\n".join(lines),
            f") -> ({', '.join(named)}) {{",
            "  %c2 = arith.constant 2 : index",
            f"  %M = tensor.dim %q, %c2 : {query}",
            f"  %N = tensor.dim %k, %c2 : {key}",
            "  %past = arith.subi %N, %M : index",
            f"  %s = attn.score %q, %k scale({features ** -0.5}) {axes} : {query}, {key} -> {scores}",
            body.replace("SCORES", scores) if body else f"  %t = attn.fill %s, 0.0 : {scores}",
            f"  %p = attn.softmax %t {softmax} : {scores}",
            *reductions,
            f"  %o = attn.aggregate {weights}, %v {operand_type} : {scores}, {value} -> {result}",
            f"  return {', '.join(returns)} : {', '.join(results)}",
            "}",
            "",
        ]
    )


# Axes aligned at the bottom right, for any M and N.
BOTTOM_RIGHT = "query_offset(%past : index)"
CAUSAL = "  %t = attn.mask %s causal : SCORES"
STATISTICS = (("lse", "lse", "keys", "%t"), ("received", "sum", "queries", "%p"))


def run(program, options):
    """The exit code and output of attn-run."""
    command = ["attn-run", "-", *options]
    try:
        done = subprocess.run(command, input=program, text=True, capture_output=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "timeout", ""
    return done.returncode, done.stdout + done.stderr


def sizes(**values):
    return ["--size", *(f"{name}={value}" for name, value in values.items())]


def check_all(cases, mode):
    """Runs every (name, program, options) with --check, or with what `mode` has
    in its place; exits 1 on a failure."""
    checks = [] if "--check=exact" in mode else ["--check"]

    def check(case):
        name, program, options = case
        return name, program, options, *run(program, [*checks, *mode, *options])

    failures = refused = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, program, options, code, output in pool.map(check, cases):
            if code == 3 and "exact mode does not apply" in output:
                refused += 1
            elif code != 0:
                failures += 1
                print(f"FAILED {name}: exit code {code}\n  options {' '.join(options)}\n{output}\n{program}")
    print(f"{len(cases)} cases, {refused} refused, {failures} failures")
    if not cases:
        sys.exit("error: no cases")
    sys.exit(failures > 0)
