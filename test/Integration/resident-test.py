# RUN: %python %s
# RUN: %python %s --loops=fused
# RUN: %python %s --reference
# RUN: %python %s --splits=3
"""Softmax over a short axis and sums over the long one, against NumPy: few
queries or few keys, masks that leave rows and columns empty, shared heads,
lengths, segments, numbers that are not finite."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_program import FLOATS, arguments, bf16, check, finish, from_bf16, np, run

rng = np.random.default_rng(3)

MASKS = {
    "none": ("", lambda b, i, j, n: True),
    # Keys from 3 i on: the first columns lack most rows.
    "late": ("%f = arith.muli %i, %c3 : index\n%y = arith.cmpi sle, %f, %j : index", lambda b, i, j, n: 3 * i <= j),
    # No row has column 1, and row 1 no column.
    "holes": (
        "%u = arith.cmpi ne, %i, %c1 : index\n%w = arith.cmpi ne, %j, %c1 : index\n%y = arith.andi %u, %w : i1",
        lambda b, i, j, n: i != 1 and j != 1,
    ),
}


def slots(m, n, heads=4, groups=4, mask="none", element="f32", axes="", seen=None, dynamic=True, poison=None, **extra):
    """Weights over the queries, with eps normalised over the keys, aggregated;
    and the weights summed per query."""
    acc = "f64" if element == "f64" else "f32"
    size = "?" if dynamic else n
    few, turned = f"!attn.scores<2x{heads}x{m}x{size}x{acc}>", f"!attn.scores<2x{heads}x{size}x{m}x{acc}>"
    query, key = f"tensor<2x{heads}x{m}x20x{element}>", f"tensor<2x{groups}x{size}x20x{element}>"
    row, out = f"tensor<2x{heads}x{m}x{acc}>", f"tensor<2x{heads}x{m}x20x{acc}>"
    text, visible = MASKS[mask]
    masked = f"%c = attn.mask %s (%x: {acc}) at (%b, %h, %i, %j) {{ {text}\nattn.yield %y : i1 }} : !few" if text else ""
    types = {"q": query, "k": key, "v": key} | {name: type for name, (type, _) in extra.items()}
    program = f"""
    !few = {few}
    !turned = {turned}
    func.func @f({arguments(**types)}) -> ({out}, {row}) {{
      %c1 = arith.constant 1 : index
      %c3 = arith.constant 3 : index
      %eps = arith.constant 1.0e-3 : {acc}
      %s = attn.score %q, %k scale(0.25) {axes} : {query}, {key} -> !few
      {masked}
      %t = attn.transpose {"%c" if text else "%s"} : !few -> !turned
      %a = attn.softmax %t : !turned
      %p = attn.transpose %a : !turned -> !few
      %l = attn.reduce sum keys %p : (!few) -> {row}
      %w = attn.map %p (%x: {acc}) at (%b, %h, %i) {{
        %d = tensor.extract %l[%b, %h, %i] : {row}
        %e = arith.addf %d, %eps : {acc}
        %y = arith.divf %x, %e : {acc}
        attn.yield %y : {acc}
      }} : (!few) -> !few
      %o = attn.aggregate %w, %v : !few, {key} -> {out}
      return %o, %l : {out}, {row}
    }}"""
    q, k, v = rng.normal(size=(2, heads, m, 20)), rng.normal(size=(2, groups, n, 20)), rng.normal(size=(2, groups, n, 20))
    if poison is not None and n > 2:
        k[:, :, 2, 0] = poison  # column 2, in all rows
    if element == "bf16":
        stored = [bf16(x) for x in (q, k, v)]
        q, k, v = (from_bf16(x) for x in stored)
    else:
        stored = [x.astype(FLOATS[element][0]) for x in (q, k, v)]
    got = run(program, q=stored[0], k=stored[1], v=stored[2], **{name: value for name, (_, value) in extra.items()})
    share = heads // groups
    k, v = np.repeat(k, share, 1), np.repeat(v, share, 1)
    with np.errstate(all="ignore"):
        s = 0.25 * np.einsum("bhid,bhjd->bhij", q, k)
        present = np.zeros(s.shape, bool)
        for b in range(2):
            for i in range(m):
                for j in range(n):
                    present[b, :, i, j] = visible(b, i, j, n) and (seen is None or seen(b, i, j))
        f = np.where(present, s, -np.inf)
        top = np.max(f, 2, keepdims=True)
        present &= top != -np.inf
        e = np.where(present, np.exp(s - np.where(top == -np.inf, 0, top)), 0)
        p = np.where(present, e / e.sum(2, keepdims=True), 0)
        total = p.sum(3)
        w = p / (total[..., None] + 1e-3)
        want = np.einsum("bhij,bhjd->bhid", w, v)
    tolerance = {"bf16": 2e-5, "f32": 2e-5, "f64": 1e-12}[element]
    what = f"slots {m} x {n}, {heads} heads of {groups}, {mask}, {element} {axes}"
    check(what, got[0], want, tolerance)
    check(what + ", sums", got[1], total, tolerance)


for n in (1, 3, 129, 300):
    slots(7, n)
slots(1, 50)
slots(16, 131, mask="late")
slots(2, 77, heads=8, groups=2)  # heads of a group share a block
slots(7, 140, heads=16, groups=2, mask="late")
slots(7, 70, heads=32, groups=4)  # as many heads as fit a tile
slots(4, 65, heads=8, groups=1, mask="holes")
slots(5, 40, mask="holes", dynamic=False)
slots(7, 150, element="f64", mask="late")
slots(7, 67, element="bf16")
slots(3, 67, heads=4, groups=2, element="bf16", mask="late")
slots(16, 67, heads=4, groups=2, element="bf16")
for poison in (np.nan, np.inf, -np.inf):
    # All rows aggregate column 2; below, columns are looked at one by one.
    slots(4, 40, poison=poison)

length = np.array([[13], [0]], np.int32)
slots(
    6,
    30,
    axes="key_length(%length : tensor<2x1xi32>)",
    seen=lambda b, i, j: j < length[b, 0],
    length=("tensor<2x1xi32>", length),
)
rows = np.array([[2], [5]], np.int32)
slots(
    6,
    30,
    axes="query_length(%length : tensor<2x1xi32>)",
    seen=lambda b, i, j: i < rows[b, 0],
    length=("tensor<2x1xi32>", rows),
)
own, keys = rng.integers(0, 3, (2, 5)).astype(np.int32), rng.integers(0, 3, (2, 33)).astype(np.int32)


def segments():
    """A softmax over the queries of the key's own segment."""
    program = f"""
    !few = !attn.scores<2x2x5x?xf32>
    !turned = !attn.scores<2x2x?x5xf32>
    func.func @f({arguments(t="tensor<2x2x5x?xf32>", v="tensor<2x2x?x8xf32>", a="tensor<2x5xi32>", c="tensor<2x?xi32>")})
        -> tensor<2x2x5x8xf32> {{
      %s = attn.bias %t query_segments(%a : tensor<2x5xi32>) key_segments(%c : tensor<2x?xi32>)
         : tensor<2x2x5x?xf32> -> !few
      %m = attn.mask %s document : !few
      %u = attn.transpose %m : !few -> !turned
      %p = attn.softmax %u : !turned
      %w = attn.transpose %p : !turned -> !few
      %o = attn.aggregate %w, %v : !few, tensor<2x2x?x8xf32> -> tensor<2x2x5x8xf32>
      return %o : tensor<2x2x5x8xf32>
    }}"""
    t, v = rng.normal(size=(2, 2, 5, 33)), rng.normal(size=(2, 2, 33, 8))
    got = run(program, t=t.astype(np.float32), v=v.astype(np.float32), a=own, c=keys)
    present = (own[:, None, :, None] == keys[:, None, None, :]) & np.ones(t.shape, bool)
    e = np.where(present, np.exp(t), 0)
    w = e / np.maximum(e.sum(2, keepdims=True), 1e-30)
    check("segments", got[0], np.einsum("bhij,bhjd->bhid", w, v), 2e-5)


segments()


def columns(n, m, value):
    """A softmax over a few keys; each row of the result is one query's: what is
    not finite stays in it."""
    program = f"""
    !few = !attn.scores<1x1x?x{n}xf32>
    !turned = !attn.scores<1x1x{n}x?xf32>
    func.func @f({arguments(t=f"tensor<1x1x?x{n}xf32>", x=f"tensor<1x1x?x{m}xf32>")})
        -> (tensor<1x1x{n}xf32>, tensor<1x1x{n}x{m}xf32>) {{
      %s = attn.bias %t : tensor<1x1x?x{n}xf32> -> !few
      %p = attn.softmax %s : !few
      %r = attn.reduce sum queries %p : (!few) -> tensor<1x1x{n}xf32>
      %w = attn.transpose %p : !few -> !turned
      %o = attn.aggregate %w, %x : !turned, tensor<1x1x?x{m}xf32> -> tensor<1x1x{n}x{m}xf32>
      return %r, %o : tensor<1x1x{n}xf32>, tensor<1x1x{n}x{m}xf32>
    }}"""
    t = rng.normal(size=(1, 1, m, n)).astype(np.float32)
    t[0, 0, 4, 1] = value
    t[0, 0, 6, :] = -np.inf
    got = run(program, t=t, x=np.eye(m, dtype=np.float32)[None, None])
    with np.errstate(all="ignore"):
        top = t.max(-1, keepdims=True)
        e = np.exp(t - np.where(top == -np.inf, 0, top))
        p = np.where(top == -np.inf, 0, e / e.sum(-1, keepdims=True))
    check(f"{n} keys with {value}, sums", got[0], p.sum(2), 2e-5)
    if np.isfinite(value):
        check(f"{n} keys with {value}", got[1], p.swapaxes(2, 3), 2e-5)


columns(8, 33, 0.5)
columns(3, 70, np.nan)
columns(15, 20, np.inf)


def statistics(kind, m, n):
    """Column statistics in pointwise use: means and counts of what is there."""
    program = f"""
    !few = !attn.scores<1x2x{m}x?xf32>
    func.func @f({arguments(t=f"tensor<1x2x{m}x?xf32>")}) -> tensor<1x2x{m}xf32> {{
      %s = attn.bias %t : tensor<1x2x{m}x?xf32> -> !few
      %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j) {{
        %y = arith.cmpi sle, %j, %i : index
        attn.yield %y : i1
      }} : !few
      %r = attn.reduce {kind} queries %c : (!few) -> tensor<1x2x?xf32>
      %d = attn.map %s (%x: f32) at (%b, %h, %i, %j) {{
        %m = tensor.extract %r[%b, %h, %j] : tensor<1x2x?xf32>
        %e = arith.subf %x, %m : f32
        %f = math.tanh %e : f32
        attn.yield %f : f32
      }} : (!few) -> !few
      %o = attn.reduce sum keys %d : (!few) -> tensor<1x2x{m}xf32>
      return %o : tensor<1x2x{m}xf32>
    }}"""
    t = rng.normal(size=(1, 2, m, n)).astype(np.float32)
    got = run(program, t=t)
    present = np.tri(m, n, dtype=bool)
    x = t.astype(float)
    with np.errstate(all="ignore"):
        empty = {"mean": 0.0, "min": np.inf, "max": -np.inf, "sum": 0.0}[kind]
        total = np.where(present, x, 0).sum(2)
        r = {
            "mean": np.where(present.any(0), total / np.maximum(present.sum(0), 1), 0),
            "sum": total,
            "min": np.where(present, x, np.inf).min(2),
            "max": np.where(present, x, -np.inf).max(2),
        }[kind]
        assert (np.where(present.any(0), empty, r) == empty).all()
        check(f"{kind} of {m} queries", got[0], np.tanh(x - r[:, :, None]).sum(3), 2e-5)


for kind in ("mean", "sum", "min", "max"):
    statistics(kind, 7, 40)
finish()
