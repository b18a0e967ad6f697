# RUN: %python %s
# RUN: %python %s --reference
# RUN: %python %s --loops=fused
"""Top-k, sort and compaction against NumPy: ties, NaN, signed zeros, duplicates,
k beyond the extent and k known at run time only, empty and odd extents."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import arguments, bf16, check, finish, from_bf16, np, run

rng = np.random.default_rng(0)


def sample(dtype, shape):
    """Few different values, so that there are ties; NaN and zeros of both
    signs among floats."""
    if np.issubdtype(dtype, np.integer):
        x = rng.integers(-4, 5, shape).astype(dtype)
        if x.size > 3:
            x.flat[1], x.flat[2] = np.iinfo(dtype).max, np.iinfo(dtype).min
        return x
    x = (rng.integers(-4, 5, shape) / 2).astype(dtype)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    mask = rng.random(shape) < 0.3
    return np.where(mask, special[rng.integers(0, 5, shape)], x)


def order(x, smallest):
    """The stable order of a vector, NaN the largest number."""
    nan = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    x = np.where(nan, 0, x)
    keys = [(nan[i], x[i]) for i in range(len(x))]
    places = sorted(range(len(x)), key=lambda i: keys[i], reverse=not smallest)
    return np.array(places, np.int64)


def select(x, k, bound, smallest, forced, among, by_position):
    """What attn.select_topk says of one stretch."""
    places = [i for i in order(x, smallest) if among[i]]
    places = [i for i in places if forced[i]] + [i for i in places if not forced[i]]
    count = max(0, min(k, bound, len(places)))
    places = places[:count]
    if by_position:
        places = sorted(places)
    indices = np.full(bound, -1, np.int64)
    values = np.zeros(bound, x.dtype)
    indices[:count] = places
    values[:count] = x[places]
    return values, indices, count


def shape_type(shape, element):
    return f"tensor<{''.join(f'{n}x' for n in shape)}{element}>"


def topk(dtype, t, shape, dims, bound, k=None, smallest=False, with_forced=False,
         with_among=False, by_position=False, dynamic=False):
    x = sample(dtype, shape)
    first, last = dims[0], dims[-1]
    outer = shape[:first] + shape[last + 1 :]
    joined = int(np.prod(shape[first : last + 1]))
    forced = rng.random(shape) < 0.2 if with_forced else np.zeros(shape, bool)
    among = rng.random(shape) < 0.6 if with_among else np.ones(shape, bool)
    kinds = {None: lambda: bound, "scalar": lambda: int(rng.integers(0, bound + 3)),
             "row": lambda: rng.integers(-1, bound + 2, outer).astype(np.int32)}
    wanted = kinds[k]()
    flat = lambda a: np.moveaxis(
        a.reshape(shape[:first] + (joined,) + shape[last + 1 :]), first, -1)
    got_shape = shape[:first] + (bound,) + shape[last + 1 :]
    values = np.zeros(outer + (bound,), dtype)
    indices = np.zeros(outer + (bound,), np.int64)
    counts = np.zeros(outer, np.int64)
    for at in np.ndindex(*outer):
        here = wanted[at] if k == "row" else wanted
        values[at], indices[at], counts[at] = select(
            flat(x)[at], int(here), bound, smallest, flat(forced)[at],
            flat(among)[at], by_position)
    unknown = ["?"] * len(shape)
    types = {"x": shape_type(unknown, t)}
    inputs = {"x": x}
    clauses = []
    if k == "scalar":
        types["k"], inputs["k"] = "index", np.array(wanted)
        clauses.append("k(%k : index)")
    if k == "row":
        types["k"] = shape_type(["?"] * len(outer), "i32")
        inputs["k"] = wanted
        clauses.append(f"k(%k : {types['k']})")
    for name, bits, used in (("forced", forced, with_forced), ("among", among, with_among)):
        if used:
            types[name], inputs[name] = shape_type(unknown, "i1"), bits
            clauses.append(f"{name}(%{name} : {types[name]})")
    extent = bound
    if dynamic:
        extent = "?"
        types["bound"], inputs["bound"] = "index", np.array(bound)
        clauses.append("bound(%bound)")
    if len(dims) > 1 or dims[0] != len(shape) - 1:
        clauses.append(f"dims {list(dims)}")
    if by_position:
        clauses.append("sorted_by(position)")
    out = ["?"] * len(got_shape)
    out[first] = extent
    vt, it = shape_type(out, t), shape_type(out, "i64")
    ct = shape_type(["?"] * len(outer), "i64")
    program = f"""
    func.func @f({arguments(**types)}) -> ({vt}, {it}, {ct}) {{
      %v, %i, %n = attn.select_topk {"smallest" if smallest else "largest"} %x {" ".join(clauses)}
        : {types["x"]} -> {vt}, {it}, {ct}
      return %v, %i, %n : {vt}, {it}, {ct}
    }}"""
    v, i, n = run(program, **inputs)
    what = f"topk {t} {shape} {dims} K={bound} k={k} {clauses}"
    back = lambda a: np.moveaxis(a, -1, first)
    check(f"{what} values", v, back(values))
    check(f"{what} indices", i, back(indices))
    check(f"{what} count", n, counts)


topk(np.float32, "f32", (2, 3, 37), (2,), 5)
topk(np.float32, "f32", (2, 3, 37), (2,), 5, smallest=True)
topk(np.float32, "f32", (300, 3), (1,), 7, k="row", by_position=True)
topk(np.float64, "f64", (3, 29, 5), (1,), 11, k="scalar", smallest=True)
topk(np.float32, "f32", (2, 5, 7, 3), (1, 2), 9, k="row", with_forced=True)
topk(np.float32, "f32", (2, 33), (1,), 8, k="row", with_forced=True, with_among=True)
topk(np.float32, "f32", (2, 33), (1,), 40, with_forced=True, by_position=True)
topk(np.float32, "f32", (2, 33), (1,), 6, with_among=True, smallest=True, dynamic=True)
topk(np.int64, "i64", (2, 41), (1,), 6)
topk(np.int32, "i32", (2, 41), (1,), 6, smallest=True, by_position=True)
topk(np.float32, "f32", (0, 5), (1,), 3)
topk(np.float32, "f32", (4, 0), (1,), 3, k="row")
topk(np.float32, "f32", (4, 5), (1,), 0, dynamic=True)
topk(np.float32, "f32", (1000,), (0,), 200, k="scalar")


def argsort(dtype, t, shape, dim, descending):
    x = sample(dtype, shape)
    moved = np.moveaxis(x, dim, -1)
    indices = np.zeros(moved.shape, np.int64)
    for at in np.ndindex(*moved.shape[:-1]):
        indices[at] = order(moved[at], not descending)
    values = np.moveaxis(np.take_along_axis(moved, indices, -1), -1, dim)
    type, places = (shape_type(["?"] * len(shape), e) for e in (t, "i64"))
    program = f"""
    func.func @f({arguments(x=type)}) -> ({places}, {type}) {{
      %i, %v = attn.argsort %x dim({dim}) {"descending" if descending else ""}
        : {type} -> {places}, {type}
      return %i, %v : {places}, {type}
    }}"""
    i, v = run(program, x=x)
    what = f"argsort {t} {shape} dim {dim} descending={descending}"
    check(f"{what} indices", i, np.moveaxis(indices, -1, dim))
    check(f"{what} values", v, values)


for descending in (False, True):
    argsort(np.float32, "f32", (3, 37), 1, descending)
    argsort(np.float64, "f64", (2, 16, 3), 1, descending)
    argsort(np.int64, "i64", (65,), 0, descending)
argsort(np.int32, "i32", (3, 0), 1, False)
argsort(np.float32, "f32", (3, 1), 1, False)
argsort(np.float16, "f16", (100, 5), 0, True)


def search(dtype, t, lead, n, m, right):
    x = np.sort(sample(dtype, lead + (n,)), -1)
    values = sample(dtype, lead + (m,))
    want = np.zeros(values.shape, np.int64)
    for at in np.ndindex(*lead):
        want[at] = np.searchsorted(x[at], values[at], "right" if right else "left")
    types = {"x": shape_type(["?"] * x.ndim, t), "v": shape_type(["?"] * x.ndim, t)}
    out = shape_type(["?"] * x.ndim, "i64")
    program = f"""
    func.func @f({arguments(**types)}) -> {out} {{
      %i = attn.search_sorted %x, %v {"right" if right else ""}
        : {types["x"]}, {types["v"]} -> {out}
      return %i : {out}
    }}"""
    (got,) = run(program, x=x, v=values)
    check(f"search {t} {lead} {n} {m} {right}", got, want)


for right in (False, True):
    search(np.float32, "f32", (2, 3), 37, 11, right)
    search(np.int64, "i64", (), 40, 600, right)
search(np.float64, "f64", (3,), 0, 4, False)


def compact(shape, bound, dynamic):
    bits = rng.random(shape) < 0.4
    indices = np.full(shape[:-1] + (bound,), -1)
    count = np.zeros(shape[:-1])
    for at in np.ndindex(*shape[:-1]):
        places = np.nonzero(bits[at])[0][:bound]
        indices[at][: len(places)] = places
        count[at] = len(places)
    unknown = ["?"] * len(shape)
    types = {"bits": shape_type(unknown, "i1")}
    it = shape_type(unknown[:-1] + (["?"] if dynamic else [bound]), "i64")
    ct = shape_type(unknown[:-1], "i64")
    inputs = {"bits": bits}
    clause = ""
    if dynamic and bound != shape[-1]:
        types["bound"], inputs["bound"] = "index", np.array(bound)
        clause = "bound(%bound)"
    program = f"""
    func.func @f({arguments(**types)}) -> ({it}, {ct}) {{
      %i, %n = attn.compact %bits {clause} : {types["bits"]} -> {it}, {ct}
      return %i, %n : {it}, {ct}
    }}"""
    i, n = run(program, **inputs)
    check(f"compact {shape} {bound} indices", i, indices)
    check(f"compact {shape} {bound} count", n, count)


compact((3, 2, 37), 8, False)
compact((3, 37), 50, False)
compact((3, 37), 37, True)
compact((3, 37), 12, True)
compact((19,), 19, True)
compact((2, 0), 4, False)

# bf16 is ordered by value as well.
x = sample(np.float32, (2, 21))
program = f"""
func.func @f({arguments(x="tensor<2x21xbf16>")}) -> (tensor<2x4xbf16>, tensor<2x4xi64>, tensor<2xi64>) {{
  %v, %i, %n = attn.select_topk largest %x
    : tensor<2x21xbf16> -> tensor<2x4xbf16>, tensor<2x4xi64>, tensor<2xi64>
  return %v, %i, %n : tensor<2x4xbf16>, tensor<2x4xi64>, tensor<2xi64>
}}"""
v, i, n = run(program, x=bf16(x))
for row in range(2):
    values, places, _ = select(x[row], 4, 4, False, np.zeros(21), np.ones(21), False)
    check("topk bf16 values", from_bf16(v[row]), values)
    check("topk bf16 indices", i[row], places)

finish()
