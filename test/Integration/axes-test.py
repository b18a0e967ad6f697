# RUN: %python %s --reference
# RUN: %python %s --loops
# RUN: %python %s --loops=fused
# RUN: %python %s
"""Reductions over lists of axes, over heads alone and in bins, from their
definitions: the reference shares the second reduction with what it checks."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, check, finish, np, run

B, H, M, N = 2, 4, 6, 9
FLOAT_KINDS = ["sum", "max", "min", "mean", "lse", "entropy"]
# Axes as written, groups, and the axes that NumPy reduces of [B, G, R, M, N].
CASES = [
    ("both", None, (3, 4)),
    ("[keys, heads]", None, (1, 2, 4)),
    ("[queries, heads]", 2, (2, 3)),
    ("[both, heads]", 2, (2, 3, 4)),
    ("[keys, batch]", None, (0, 4)),
    ("[both, batch, heads]", 4, (0, 2, 3, 4)),
]


def shape_of(axes, groups):
    shape = [] if "batch" in axes else [B]
    shape += ([groups] if groups else []) if "heads" in axes else [H]
    return shape + ([M] if "keys" in axes else [N] if "queries" in axes else [])


def masked(t):
    """Scores of which a float tensor says which are present."""
    tensor = f"tensor<{B}x{H}x{M}x{N}x{t}>"
    return f"""
      %all = attn.bias %x : {tensor} -> !s
      %k = attn.bias %keep : {tensor} -> !s
      %m = attn.mask %k (%v: {t}) {{
        %zero = arith.constant 0.0 : {t}
        %p = arith.cmpf ogt, %v, %zero : {t}
        attn.yield %p : i1
      }} : !s
      %s = attn.map %all, %m (%v: {t}, %w: {t}) {{
        attn.yield %v : {t}
      }} : (!s, !s) -> !s"""


def function(t, results, body):
    tensor = f"tensor<{B}x{H}x{M}x{N}x{t}>"
    names, types = zip(*results)
    return f"""
    !s = !attn.scores<{B}x{H}x{M}x{N}x{t}>
    func.func @f({arguments(x=tensor, keep=tensor)}) -> ({", ".join(types)}) {{
      {masked(t)}
      {body}
      return {", ".join(names)} : {", ".join(types)}
    }}"""


def kinds_program(t, axes, groups):
    shape = "x".join(map(str, shape_of(axes, groups)))
    dims = shape + "x" if shape else ""
    tail = f" groups({groups})" if groups else ""
    reduced = 1 + (axes.count("both")) + axes.count("heads") + axes.count("batch")
    lines, results = [], []
    for kind in [*FLOAT_KINDS, "count", "any"]:
        element = {"count": "i64", "any": "i1"}.get(kind, t)
        lines.append(f"%{kind} = attn.reduce {kind} {axes} %s{tail} : (!s) -> tensor<{dims}{element}>")
        results.append((f"%{kind}", f"tensor<{dims}{element}>"))
    for kind, count, element in (("moments", 2, t), ("argmax", reduced, "i64"), ("argmin", reduced, "i64")):
        types = [f"tensor<{dims}{element}>"] * count
        lines.append(f"%{kind}:{count} = attn.reduce {kind} {axes} %s{tail} : (!s) -> ({', '.join(types)})")
        results += [(f"%{kind}#{k}", type) for k, type in enumerate(types)]
    lines.append(f"""%product = attn.reduce custom {axes} %s{tail} identity [1.0] lift (%v: {t}) {{
        attn.yield %v : {t}
      }} combine {{
      ^bb0(%a: {t}, %b: {t}):
        %p = arith.mulf %a, %b : {t}
        attn.yield %p : {t}
      }} : (!s) -> tensor<{dims}{t}>""")
    results.append(("%product", f"tensor<{dims}{t}>"))
    return function(t, results, "\n".join(lines))


def position(values, present, axes, best):
    """Indices of the first extremum in the order b, h, i, j."""
    kept = [a for a in range(5) if a not in axes]
    order = (*kept, *axes)
    v = values.transpose(order).reshape(*[values.shape[a] for a in kept], -1)
    p = present.transpose(order).reshape(v.shape)
    flat = best(np.where(p, v, -np.inf if best is np.argmax else np.inf), -1)
    places = list(np.unravel_index(flat, [values.shape[a] for a in axes]))
    if 2 in axes:
        heads = places[axes.index(2)]
        if 1 in axes:
            heads = heads + places[axes.index(1)] * values.shape[2]
        else:
            at = kept.index(1)
            group = np.arange(values.shape[1]).reshape([-1 if k == at else 1 for k in range(len(kept))])
            heads = heads + group * values.shape[2]
        places[axes.index(2)] = heads
        if 1 in axes:
            del places[axes.index(1)]
    return [np.where(p.any(-1), place, -1) for place in places]


def defined(x, present, axes):
    v = np.where(present, x, 0)
    count = present.sum(axes)
    with np.errstate(all="ignore"):
        mean = np.where(count > 0, v.sum(axes) / count, 0)
        off = np.where(present, x - np.expand_dims(mean, axes), 0)
        lse = np.log(np.where(present, np.exp(x), 0).sum(axes))
        w = np.where(present, np.exp(x - np.expand_dims(lse, axes)), 0)
        return [
            v.sum(axes),
            np.where(present, x, -np.inf).max(axes),
            np.where(present, x, np.inf).min(axes),
            mean,
            lse,
            -np.where(w > 0, w * np.log(w), 0).sum(axes),
            count,
            count > 0,
            mean,
            np.where(count > 0, (off**2).sum(axes) / count, 0),
            *position(x, present, list(axes), np.argmax),
            *position(x, present, list(axes), np.argmin),
            np.where(present, x, 1).prod(axes),
        ]


def bins_program(t):
    diagonal = """by (%v: {t}) at (%b, %h, %i, %j) {{
        %d = arith.subi %i, %j : index
        %e = arith.addi %d, %last : index
        attn.yield %e : index
      }}""".format(t=t)
    block = """by (%v: {t}) at (%b, %h, %i, %j) {{
        %e = arith.divui %j, %four : index
        attn.yield %e : index
      }}""".format(t=t)
    body = f"""
      %last = arith.constant {N - 1} : index
      %four = arith.constant 4 : index
      %number = arith.addi %four, %last : index
      %r0 = attn.reduce sum both %s bins(%number) {diagonal} : (!s) -> tensor<{B}x{H}x?x{t}>
      %r1 = attn.reduce max [both, heads, batch] %s bins({M + N - 1}) {diagonal} : (!s) -> tensor<{M + N - 1}x{t}>
      %r2 = attn.reduce count [keys, heads] %s groups(2) bins(3) {block} : (!s) -> tensor<{B}x2x{M}x3xi64>
      %r3 = attn.reduce min keys %s bins(3) {block} rows(%four) : (!s) -> tensor<{B}x{H}x?x3x{t}>
      %r4 = attn.reduce sum queries %s bins(%four) {block} : (!s) -> tensor<{B}x{H}x{N}x?x{t}>"""
    types = [
        f"tensor<{B}x{H}x?x{t}>",
        f"tensor<{M + N - 1}x{t}>",
        f"tensor<{B}x2x{M}x3xi64>",
        f"tensor<{B}x{H}x?x3x{t}>",
        f"tensor<{B}x{H}x{N}x?x{t}>",
    ]
    return function(t, [(f"%r{k}", type) for k, type in enumerate(types)], body)


def binned(x, present, bin, number, join, start):
    """Bins of every row [B, H, M] on their own, in order."""
    out = np.full((B, H, M, N, number), start, dtype=float)
    for place in np.ndindex(B, H, M, N):
        n = bin(*place[2:])
        if present[place] and 0 <= n < number:
            out[place][n] = x[place] if join else 1
    return out


def heads_program(t):
    body, results = "", []
    for kind in ("sum", "max", "min", "mean", "count"):
        body += f"""
      %{kind} = attn.reduce_heads {kind} %s : !s -> !attn.scores<{B}x2x{M}x{N}x{t}>
      %{kind}_of = attn.materialize %{kind} absent(-7.0) : !attn.scores<{B}x2x{M}x{N}x{t}> -> tensor<{B}x2x{M}x{N}x{t}>
      %{kind}_row = attn.reduce sum keys %{kind} : (!attn.scores<{B}x2x{M}x{N}x{t}>) -> tensor<{B}x2x{M}x{t}>"""
        results += [(f"%{kind}_of", f"tensor<{B}x2x{M}x{N}x{t}>"), (f"%{kind}_row", f"tensor<{B}x2x{M}x{t}>")]
    return function(t, results, body)


rng = np.random.default_rng(5)
for t, (dtype, tolerance) in FLOATS.items():
    x = rng.normal(size=(B, H, M, N)).astype(dtype)
    x[0, 1] = np.round(x[0, 1])
    keep = (rng.random((B, H, M, N)) > 0.4).astype(dtype)
    keep[0, :2] = 0
    keep[:, :, 2] = 0
    present = keep > 0
    x = np.where(present, x, np.nan).astype(dtype)
    for axes, groups, reduced in CASES:
        grouped = x.astype(float).reshape(B, groups or 1, -1, M, N)
        if "heads" not in axes:
            grouped = x.astype(float).reshape(B, H, 1, M, N)
            reduced = tuple(a for a in reduced if a != 2)
        there = present.reshape(grouped.shape)
        results = run(kinds_program(t, axes, groups), x=x, keep=keep)
        shape = shape_of(axes, groups)
        for k, (got, want) in enumerate(zip(results, defined(grouped, there, reduced), strict=True)):
            check(f"result {k} over {axes}, {t}", got, np.asarray(want).reshape(shape), tolerance)

    values = x.astype(float)
    diagonal = lambda i, j: i - j + N - 1
    block = lambda i, j: j // 4
    sums = binned(values, present, diagonal, N + 3, True, 0).sum((2, 3))
    largest = binned(values, present, diagonal, M + N - 1, True, -np.inf).max((0, 1, 2, 3))
    counts = binned(values, present, block, 3, False, 0).sum(3).reshape(B, 2, 2, M, 3).sum(2)
    least = binned(values, present, block, 3, True, np.inf).min(3)
    least = np.stack([least[:, :, :4].min(2), least[:, :, 4:].min(2)], 2)
    columns = binned(values, present, block, 4, True, 0).sum(2)
    for k, (got, want) in enumerate(
        zip(run(bins_program(t), x=x, keep=keep), [sums, largest, counts, least, columns], strict=True)
    ):
        check(f"bins {k}, {t}", got, want, tolerance)

    v, p = values.reshape(B, 2, 2, M, N), present.reshape(B, 2, 2, M, N)
    total, count = np.where(p, v, 0).sum(2), p.sum(2)
    with np.errstate(all="ignore"):
        joined = [total, np.where(p, v, -np.inf).max(2), np.where(p, v, np.inf).min(2), total / count, count]
    results = run(heads_program(t), x=x, keep=keep)
    for k, want in enumerate(joined):
        check(f"heads {k}, {t}", results[2 * k], np.where(count > 0, want, -7), tolerance)
        check(f"rows of heads {k}, {t}", results[2 * k + 1], np.where(count > 0, want, 0).sum(-1), tolerance)
finish()
