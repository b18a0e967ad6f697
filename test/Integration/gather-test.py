# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops=fused
"""Prefixes, gathers, scatters with duplicates and factorisations against NumPy,
on odd and empty shapes and with indices that are out of range."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import arguments, bf16, check, finish, from_bf16, np, run

rng = np.random.default_rng(1)
TYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64}
PRECISION = {"f32": 2e-5, "f64": 1e-12, "i32": 0, "i64": 0}


def unknown(array, element):
    return f"tensor<{'?x' * array.ndim}{element}>"


def sample(t, shape):
    dtype = TYPES[t]
    if np.issubdtype(dtype, np.integer):
        return rng.integers(-3, 4, shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


# Prefixes.


def prefix(t, shape, dim, kind, exclusive, reverse):
    x = sample(t, shape)
    op = {"sum": ("arith.addf", "0.0", np.add, 0),
          "max": ("arith.maximumf", "0xFF800000", np.maximum, -np.inf)}[kind]
    name, identity, f, start = op
    if t.startswith("i"):
        name, identity = "arith.addi", "0"
    elif t == "f64" and kind == "max":
        identity = "0xFFF0000000000000"
    moved = np.moveaxis(x, dim, -1)
    if reverse:
        moved = moved[..., ::-1]
    want = f.accumulate(moved, -1, dtype=moved.dtype) if moved.size else moved
    if exclusive and want.shape[-1]:
        first = np.full(want[..., :1].shape, start)
        want = np.concatenate([first, want[..., :-1]], -1)
    if reverse:
        want = want[..., ::-1]
    type = unknown(x, t)
    program = f"""
    func.func @f({arguments(x=type)}) -> {type} {{
      %r = attn.prefix %x dim({dim}) identity [{identity} : {t}]
          {"exclusive" if exclusive else ""} {"reverse" if reverse else ""} {{
      ^bb0(%a: {t}, %y: {t}):
        %n = {name} %a, %y : {t}
        attn.yield %n : {t}
      }} : {type} -> {type}
      return %r : {type}
    }}"""
    (got,) = run(program, x=x)
    check(f"prefix {kind} {t} {shape} dim {dim} {exclusive} {reverse}", got,
          np.moveaxis(want, -1, dim), PRECISION[t])


for exclusive in (False, True):
    for reverse in (False, True):
        prefix("f32", (2, 3, 37), 2, "sum", exclusive, reverse)
        prefix("f32", (2, 37, 67), 1, "sum", exclusive, reverse)
        prefix("f64", (19, 3, 5), 0, "max", exclusive, reverse)
prefix("i64", (3, 11), 1, "sum", False, False)
prefix("f32", (3, 0), 1, "sum", False, False)
prefix("f32", (0, 3), 0, "max", False, False)
prefix("f32", (5,), 0, "max", False, True)

# Two values at once: a gated recurrence s' = g s + x, and bits that are counted.
g, x = rng.random((2, 9, 5)).astype(np.float32), sample("f32", (2, 9, 5))
bits = rng.random((2, 9)) < 0.5
program = f"""
func.func @f({arguments(g="tensor<2x?x5xf32>", x="tensor<2x?x5xf32>", bits="tensor<2x?xi1>")})
    -> (tensor<2x?x5xf32>, tensor<2x?xi64>) {{
  %p, %s = attn.prefix %g, %x dim(1) identity [1.0 : f32, 0.0 : f32] {{
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    %ac = arith.mulf %a, %c : f32
    %bc = arith.mulf %b, %c : f32
    %n = arith.addf %bc, %d : f32
    attn.yield %ac, %n : f32, f32
  }} : tensor<2x?x5xf32>, tensor<2x?x5xf32> -> tensor<2x?x5xf32>, tensor<2x?x5xf32>
  %n = attn.prefix %bits dim(1) identity [0 : i64] exclusive {{
  ^bb0(%a: i64, %b: i64):
    %s2 = arith.addi %a, %b : i64
    attn.yield %s2 : i64
  }} : tensor<2x?xi1> -> tensor<2x?xi64>
  return %s, %n : tensor<2x?x5xf32>, tensor<2x?xi64>
}}"""
state, want = np.zeros((2, 5)), []
for i in range(9):
    state = g[:, i] * state + x[:, i]
    want.append(state)
got, count = run(program, g=g, x=x, bits=bits)
check("prefix of a gated recurrence", got, np.stack(want, 1), 1e-5)
check("prefix of bits", count, np.cumsum(bits, 1) - bits)

# A sum of bf16 in f32, rounded once per element.
x = from_bf16(bf16(rng.normal(size=(3, 50))))
program = f"""
func.func @f({arguments(x="tensor<3x50xbf16>")}) -> (tensor<3x50xbf16>, tensor<3x50xf32>) {{
  %r, %w = attn.prefix %x, %x dim(1) identity [0.0 : f32, 0.0 : f32] {{
  ^bb0(%a: f32, %b: f32, %y: f32, %z: f32):
    %n = arith.addf %a, %y : f32
    attn.yield %n, %n : f32, f32
  }} : tensor<3x50xbf16>, tensor<3x50xbf16> -> tensor<3x50xbf16>, tensor<3x50xf32>
  return %r, %w : tensor<3x50xbf16>, tensor<3x50xf32>
}}"""
narrow, wide = run(program, x=bf16(x))
want = np.cumsum(x.astype(np.float32), 1, dtype=np.float32)
check("prefix bf16", from_bf16(narrow), from_bf16(bf16(want)))
check("prefix bf16 to f32", wide, want)

# Gathers and scatters.


def indices_for(shape, extent, dtype=np.int64):
    return rng.integers(-2, extent + 2, shape).astype(dtype)


def gather_reference(x, idx, dim, batch, along, fill, group):
    if along:
        valid = (idx >= 0) & (idx < x.shape[dim])
        safe = np.where(valid, idx, 0)
        if x.shape[dim] == 0:
            return np.full(idx.shape, fill, x.dtype)
        return np.where(valid, np.take_along_axis(x, safe, dim), fill)
    b = idx.shape[:batch]
    o, n = x.shape[batch:dim], x.shape[dim + 1 :]
    r = np.full(b + o + idx.shape[batch:] + n, fill, x.dtype)
    for at in np.ndindex(*b):
        source = x[at[:-1] + (at[-1] // group,)] if batch else x
        for mid in np.ndindex(*o):
            for p in np.ndindex(*idx.shape[batch:]):
                i = idx[at + p]
                if 0 <= i < x.shape[dim]:
                    r[at + mid + p] = source[mid + (i,)]
    return r


def gather(t, shape, index_shape, dim, batch=0, along=False, fill=None, index="i64",
           known=False):
    x = sample(t, shape)
    dtype = np.int32 if index == "i32" else np.int64
    idx = indices_for(index_shape, shape[dim], dtype)
    group = index_shape[batch - 1] // shape[batch - 1] if batch else 1
    want = gather_reference(x, idx, dim, batch, along, fill or 0, group)
    full = lambda a, e: f"tensor<{''.join(f'{n}x' for n in a.shape)}{e}>"
    type = full if known else unknown
    types = {"x": type(x, t), "idx": type(idx, index)}
    out = type(want, t)
    clauses = f"dim({dim})" + (f" batch({batch})" if batch else "")
    clauses += (" along" if along else "") + (f" fill({fill} : {t})" if fill else "")
    program = f"""
    func.func @f({arguments(**types)}) -> {out} {{
      %r = attn.gather %x, %idx {clauses} : {types["x"]}, {types["idx"]} -> {out}
      return %r : {out}
    }}"""
    (got,) = run(program, x=x, idx=idx)
    check(f"gather {t} {shape} {index_shape} {clauses}", got, want)


gather("f32", (2, 3, 17, 5), (2, 3, 7), 2, batch=2)
gather("f32", (2, 3, 17, 5), (2, 12, 7), 2, batch=2, known=True)
gather("f32", (2, 17, 4, 5), (2, 7, 3), 1, batch=1, index="i32")
gather("f64", (2, 6, 17, 5), (2, 4), 2, batch=1, fill=1.5)
gather("f32", (17,), (5, 3), 0)
gather("f32", (17, 3), (), 0)
gather("i64", (4, 17), (4, 9), 1, batch=1, fill=-7)
gather("f32", (4, 17, 3), (4, 9, 3), 1, along=True)
gather("f32", (4, 17), (4, 9), 1, along=True, fill=2.0)
gather("f32", (0, 3), (4,), 0)
gather("f32", (4, 3), (0,), 0)
gather("f32", (5,), (), 0)


def scatter(t, kind, shape, index_shape, dim, batch=0, along=False, nan=False):
    init = sample(t, shape)
    idx = indices_for(index_shape, shape[dim])
    source_shape = index_shape if along else (
        index_shape[:batch] + shape[batch:dim] + index_shape[batch:] + shape[dim + 1 :])
    source = sample(t, source_shape)
    if nan:
        source.flat[::3] = np.nan
    f = {"sum": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
         "replace": lambda a, b: b}[kind]
    want = init.copy()
    for at in np.ndindex(*source.shape):
        if along:
            place = idx[at]
            target = at[:dim] + (place,) + at[dim + 1 :]
        else:
            places = len(index_shape) - batch
            place = idx[at[:batch] + at[dim : dim + places]]
            target = at[:dim] + (place,) + at[dim + places :]
        if 0 <= place < shape[dim]:
            want[target] = f(want[target], source[at])
    types = {"init": unknown(init, t), "idx": unknown(idx, "i64"),
             "source": unknown(source, t)}
    clauses = f"dim({dim})" + (f" batch({batch})" if batch else "")
    clauses += " along" if along else ""
    program = f"""
    func.func @f({arguments(**types)}) -> ({types["init"]}, {types["init"]}) {{
      %r = attn.scatter_reduce {kind} %init, %idx, %source {clauses}
        : {types["init"]}, {types["idx"]}, {types["source"]}
      return %r, %init : {types["init"]}, {types["init"]}
    }}"""
    got, same = run(program, init=init, idx=idx, source=source)
    check(f"scatter {kind} {t} {shape} {index_shape} {clauses}", got, want, PRECISION[t])
    check("the operand of a scatter", same, init)


scatter("f32", "sum", (2, 5, 67), (2, 40), 1, batch=1)
scatter("f32", "max", (2, 5, 3), (2, 40), 1, batch=1, nan=True)
scatter("f64", "min", (2, 3, 5, 4), (2, 7, 2), 2, batch=1)
scatter("f32", "mul", (7, 3), (9,), 0)
scatter("i64", "replace", (2, 7), (2, 19), 1, batch=1)
scatter("i32", "sum", (7,), (3, 9), 0)
scatter("f32", "sum", (4, 5, 3), (4, 9, 3), 1, along=True)
scatter("i64", "max", (4, 5), (4, 9), 1, along=True)
scatter("f32", "replace", (4, 3), (0,), 0)
scatter("f32", "sum", (0, 3), (4,), 0)

# Narrow sums are rounded once.
source = from_bf16(bf16(rng.normal(size=(200,))))
idx = rng.integers(0, 3, 200)
program = f"""
func.func @f({arguments(init="tensor<3xbf16>", idx="tensor<200xi64>", source="tensor<200xbf16>")}) -> tensor<3xbf16> {{
  %r = attn.scatter_reduce sum %init, %idx, %source dim(0)
    : tensor<3xbf16>, tensor<200xi64>, tensor<200xbf16>
  return %r : tensor<3xbf16>
}}"""
want = np.zeros(3, np.float32)
np.add.at(want, idx, source.astype(np.float32))
(got,) = run(program, init=np.zeros(3, np.uint16), idx=idx, source=bf16(source))
check("scatter bf16", from_bf16(got), from_bf16(bf16(want)))

# Factorisations.


def solve(t, lead, n, r, triangle, flags):
    a = sample(t, lead + (n, n)) / max(n, 1) + 2 * np.eye(n, dtype=TYPES[t])
    b = sample(t, lead + ((r, n) if "right" in flags else (n, r)))
    m = np.tril(a) if triangle == "lower" else np.triu(a)
    if "unit" in flags:
        m = m - m * np.eye(n) + np.eye(n)
    m = np.swapaxes(m, -1, -2) if "transposed" in flags else m
    inverse = np.linalg.inv(m.astype(float)) if n else m
    want = b @ inverse if "right" in flags else inverse @ b
    types = {"a": unknown(a, t), "b": unknown(b, t)}
    program = f"""
    func.func @f({arguments(**types)}) -> {types["b"]} {{
      %x = attn.solve {triangle} %a, %b {" ".join(flags)} : {types["a"]}, {types["b"]}
      return %x : {types["b"]}
    }}"""
    # What the other triangle holds does not matter.
    keep = np.tril(np.ones((n, n), bool), -1 if "unit" in flags else 0)
    keep = keep if triangle == "lower" else keep.T
    (got,) = run(program, a=np.where(keep, a, np.nan), b=b)
    check(f"solve {t} {triangle} {flags} {n}x{r}", got, want, PRECISION[t])


for triangle in ("lower", "upper"):
    for flags in ([], ["unit"], ["transposed"], ["unit", "transposed", "right"], ["right"]):
        solve("f32", (2, 3), 7, 5, triangle, flags)
solve("f64", (), 33, 1, "lower", [])
solve("f32", (2,), 0, 3, "lower", [])
solve("f32", (3,), 4, 0, "upper", [])


def cholesky(t, lead, n):
    x = sample(t, lead + (n, n))
    a = x @ np.swapaxes(x, -1, -2) + np.eye(n, dtype=TYPES[t])
    type = unknown(a, t)
    program = f"""
    func.func @f({arguments(a=type)}) -> {type} {{
      %l = attn.cholesky %a : {type}
      return %l : {type}
    }}"""
    above = np.triu(np.ones((n, n), bool), 1)
    (got,) = run(program, a=np.where(above, np.nan, a))
    want = np.linalg.cholesky(a.astype(float)) if n else a
    check(f"cholesky {t} {n}", got, want, 20 * PRECISION[t])
    if n == 5: # not positive definite from the third pivot on
        a[..., 2, 2] = -100
        (got,) = run(program, a=a)
        check("cholesky up to the pivot", got[..., :, :2], np.linalg.cholesky(
            np.where(np.eye(5) * [0, 0, 1, 0, 0], 1e4, a).astype(float))[..., :, :2],
            20 * PRECISION[t])
        check("cholesky beyond it", got[..., 2:], np.where(
            np.tril(np.ones((5, 5)))[:, 2:], np.nan, np.zeros(a[..., 2:].shape)))


cholesky("f32", (2, 3), 5)
cholesky("f64", (2,), 17)
cholesky("f32", (2,), 0)


def qr(t, lead, m, n, scale=1.0):
    a = sample(t, lead + (m, n)) * TYPES[t](scale)
    types = {"a": unknown(a, t)}
    program = f"""
    func.func @f({arguments(**types)}) -> ({types["a"]}, {types["a"]}) {{
      %q, %r = attn.qr %a : {types["a"]} -> {types["a"]}, {types["a"]}
      return %q, %r : {types["a"]}, {types["a"]}
    }}"""
    q, r = run(program, a=a)
    want_q, want_r = np.linalg.qr(a.astype(float))
    sign = np.sign(np.diagonal(want_r, axis1=-2, axis2=-1))
    check(f"qr {t} {m}x{n} Q", q, want_q * sign[..., None, :], 50 * PRECISION[t])
    check(f"qr {t} {m}x{n} R", r / scale, want_r * sign[..., :, None] / scale, 50 * PRECISION[t])


qr("f32", (2, 3), 9, 4)
qr("f32", (2,), 4, 9)
qr("f64", (), 31, 31)
qr("f32", (), 8, 3, 1e30)
qr("f32", (3,), 1, 1)

# Without full rank, Q is still orthonormal and Q R is the matrix.
a = np.zeros((6, 4), np.float32)
a[:, 1] = a[:, 3] = [1, 2, 3, 4, 5, 6]
program = f"""
func.func @f({arguments(a="tensor<6x4xf32>")}) -> (tensor<6x4xf32>, tensor<4x4xf32>) {{
  %q, %r = attn.qr %a : tensor<6x4xf32> -> tensor<6x4xf32>, tensor<4x4xf32>
  return %q, %r : tensor<6x4xf32>, tensor<4x4xf32>
}}"""
q, r = run(program, a=a)
check("qr without full rank", q @ r, a, 1e-5)
check("its Q", q.T @ q, np.eye(4), 1e-6)
check("its diagonal", np.minimum(np.diagonal(r), 0), np.zeros(4))

finish()
