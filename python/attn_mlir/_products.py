"""Products of arrays: matmul, einsum, convolutions, pooling."""

from __future__ import annotations

import math

from . import _types
from ._array import Array, as_array, convert, full, generic
from ._extents import Extent
from ._scalar import Scalars
from ._shapes import pad
from ._trace import current, tensor_type


def matmul(a, b) -> Array:
    """Matrix products over the last two axes, as NumPy has them: a stored [..., m, n].

    ValueError for operands without axes, or whose extents differ."""
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul needs axes; multiply by *")
    letters = "abcdefghijklmnopqrstuvw"
    batch = max(a.ndim, b.ndim) - 2
    lead = letters[:max(batch, 0)]
    left = "x" if a.ndim == 1 else lead[max(batch, 0) - (a.ndim - 2):] + "yx"
    right = "x" if b.ndim == 1 else lead[max(batch, 0) - (b.ndim - 2):] + "xz"
    result = lead + ("y" if a.ndim > 1 else "") + ("z" if b.ndim > 1 else "")
    return einsum(f"{left},{right}->{result}", a, b)


def einsum(subscripts: str, *operands) -> Array:
    """Sums of products, as numpy.einsum has them (without repeated axes).

    Accumulated in f32 for 16-bit floats. ValueError for subscripts that do not fit."""
    arrays = [as_array(a) for a in operands]
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"'{subscripts}' is for {len(terms)} arrays, not {len(arrays)}")
    terms, result = _expand_dots(terms, arrays, result if arrow else None)
    for term, array in zip(terms, arrays):
        if len(term) != array.ndim:
            raise ValueError(f"'{term}' names {len(term)} axes of an array of {array.ndim}")
        if len(set(term)) != len(term):
            raise ValueError(f"'{term}' repeats an axis; take attn.diagonal first")
    if result is None:
        every = "".join(terms)
        result = "".join(sorted(c for c in set(every) if every.count(c) == 1))
    # Pairs from the left; what neither the result nor others need is summed.
    while len(arrays) > 2:
        needed = set("".join(terms[2:]) + result)
        kept = "".join(dict.fromkeys(c for c in terms[0] + terms[1] if c in needed))
        joined = _contract(terms[:2], arrays[:2], kept)
        terms, arrays = [kept] + terms[2:], [joined] + arrays[2:]
    return _contract(terms, arrays, result)


def _expand_dots(terms, arrays, result):
    if not any("..." in t for t in terms):
        return terms, result
    used = set("".join(terms)) - {"."}
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in used]
    count = max(a.ndim - len(t) + 3 for t, a in zip(terms, arrays) if "..." in t)
    names = "".join(spare[:count])
    expanded = [t.replace("...", names[count - (a.ndim - len(t) + 3):]) if "..." in t else t
                for t, a in zip(terms, arrays)]
    return expanded, None if result is None else result.replace("...", names)


def _contract(terms, arrays, result) -> Array:
    trace = current()
    element = arrays[0].element
    for array in arrays[1:]:
        element = _types.promote(element, array.element)
    if element == "i1":
        element = "i64"
    compute = _types.accumulation(element)
    extents: dict = {}
    for term, array in zip(terms, arrays):
        for name, extent in zip(term, array.shape):
            known = extents.get(name, 1)
            if not isinstance(extent, Extent) and extent == 1:
                extents.setdefault(name, 1)
            elif not isinstance(known, Extent) and known == 1:
                extents[name] = extent
            else:
                extents[name] = trace.unify(known, extent, f"axis '{name}' of a product")
    # A sum over an axis that has extent 1 in all operands is none.
    names = list(dict.fromkeys(result)) + [n for n, e in extents.items() if n not in result
                                           and (isinstance(e, Extent) or e != 1)]
    if any(name not in extents for name in result):
        raise ValueError(f"'{result}' names an axis that no operand has")
    rank = len(names)
    space = ", ".join(f"d{i}" for i in range(rank))
    inputs, maps = [], []
    for term, array in zip(terms, arrays):
        compact = array.compact()
        places = [""] * len(compact.source_shape)
        for name, source in zip(term, compact.axes):
            if source is not None:
                places[source] = f"d{names.index(name)}"
        inputs.append(compact)
        maps.append(f"affine_map<({space}) -> ({', '.join(places)})>")
    shape = tuple(extents[name] for name in result)
    start = full(shape, 0, compute)
    output_map = f"affine_map<({space}) -> ({', '.join(f'd{names.index(n)}' for n in result)})>"
    kinds = ["parallel" if name in result else "reduction" for name in names]
    scalars = Scalars(trace)

    def body(blocks):
        *factors, total = [(n, e) for n, e in blocks]
        factors = [scalars.convert(f, compute) for f in factors]
        product = factors[0]
        for factor in factors[1:]:
            product = _fused("mul", product, factor, trace, compute)
        return _fused("add", total, product, trace, compute)[0]

    value = generic(trace, inputs, maps, start.source, tensor_type(shape, compute), output_map, kinds, compute, body)
    return convert(Array(trace, value, compute, shape), element)


def _fused(name, a, b, trace, element):
    if not _types.is_float(element):
        return trace.emit(f"arith.{name}i {a[0]}, {b[0]} : {element}"), element
    return trace.emit(f"arith.{name}f {a[0]}, {b[0]} fastmath<contract> : {element}"), element


def _tuple(value, rank):
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _paddings(padding, sizes, dilation, rank):
    if padding == "same":
        return [((d * (s - 1)) // 2, d * (s - 1) - (d * (s - 1)) // 2) for s, d in zip(sizes, dilation)]
    if padding == "valid":
        return [(0, 0)] * rank
    if padding == "causal":
        return [(d * (s - 1), 0) for s, d in zip(sizes, dilation)]
    if isinstance(padding, int):
        return [(padding, padding)] * rank
    return [(p, p) if isinstance(p, int) else tuple(p) for p in padding]


def conv(x, weight, stride=1, padding="valid", dilation=1, groups=1) -> Array:
    """Convolution (cross-correlation) over the axes behind batch and channels.

    Args:
      x: [B, C, ...], 1 to 3 spatial axes.
      weight: [O, C / groups, ...].
      stride, dilation: a number, or one per axis.
      padding: "valid", "same", "causal" (all before), a number, or a pair per
        axis; zeros.
      groups: channels are cut into this many groups; C of them is a depthwise
        convolution.

    Returns:
      [B, O, ...].
    """
    x, weight = as_array(x), as_array(weight).stored()
    rank = x.ndim - 2
    if rank < 1 or weight.ndim != x.ndim:
        raise ValueError("attn.conv takes x [B, C, ...] and weight [O, C / groups, ...] with as many axes")
    sizes = [int(e) for e in weight.shape[2:]]
    stride, dilation = _tuple(stride, rank), _tuple(dilation, rank)
    channels, outputs = int(x.shape[1]), int(weight.shape[0])
    if channels % groups or outputs % groups or int(weight.shape[1]) != channels // groups:
        raise ValueError(f"{channels} channels in {groups} groups need weights of {channels // max(groups, 1)}, "
                         f"not {weight.shape[1]}")
    widths = _paddings(padding, sizes, dilation, rank)
    if any(w != (0, 0) for w in widths):
        x = pad(x, [(0, 0), (0, 0), *widths])
    x = x.stored()
    trace = x.trace
    spatial = tuple((e - d * (s - 1) - 1) // t + 1 for e, s, d, t in zip(x.shape[2:], sizes, dilation, stride))
    element = _types.promote(x.element, weight.element)
    compute = _types.accumulation(element)
    inner, per = channels // groups, outputs // groups
    # Groups are an axis of their own: nothing is divided where it runs.
    grouped_x = x.reshape(x.shape[0], groups, inner, *x.shape[2:])
    grouped_w = weight.reshape(groups, per, inner, *sizes)
    shape = (x.shape[0], groups, per, *spatial)
    n = 3 + rank
    names = [f"d{i}" for i in range(n + 1 + rank)]
    space = ", ".join(names)
    taps = names[n + 1:]
    places = [f"{names[3 + i]} * {stride[i]} + {taps[i]} * {dilation[i]}" for i in range(rank)]
    maps = [f"affine_map<({space}) -> ({', '.join([names[0], names[1], names[n], *places])})>",
            f"affine_map<({space}) -> ({', '.join([names[1], names[2], names[n], *taps])})>"]
    start = full(shape, 0, compute)
    scalars = Scalars(trace)

    def body(blocks):
        a, b = (scalars.convert(f, compute) for f in blocks[:2])
        return _fused("add", blocks[2], _fused("mul", a, b, trace, compute), trace, compute)[0]

    value = generic(trace, [grouped_x, grouped_w], maps, start.source, tensor_type(shape, compute),
                    f"affine_map<({space}) -> ({', '.join(names[:n])})>",
                    ["parallel"] * n + ["reduction"] * (1 + rank), compute, body)
    result = convert(Array(trace, value, compute, shape), element)
    return result.reshape(x.shape[0], outputs, *spatial)


def pool(kind: str, x, window, stride=None, padding=0) -> Array:
    """Max, sum or mean of x [B, C, ...] over windows of the axes behind channels.

    `stride` is the window by default; padding counts as nothing for max, and as
    zeros for sum and mean."""
    x = as_array(x)
    rank = x.ndim - 2
    window = _tuple(window, rank)
    stride = window if stride is None else _tuple(stride, rank)
    widths = _paddings(padding, window, (1,) * rank, rank)
    compute = _types.accumulation(x.element)
    lowest = -math.inf if _types.is_float(compute) else -(1 << (_types.width(compute) - 1))
    if any(w != (0, 0) for w in widths):
        x = pad(x, [(0, 0), (0, 0), *widths], lowest if kind == "max" else 0)
    x = x.stored()
    trace = x.trace
    spatial = tuple((e - s) // t + 1 for e, s, t in zip(x.shape[2:], window, stride))
    shape = (*x.shape[:2], *spatial)
    n = 2 + rank
    names = [f"d{i}" for i in range(n + rank)]
    space = ", ".join(names)
    places = [f"{names[2 + i]} * {stride[i]} + {names[n + i]}" for i in range(rank)]
    empty = trace.emit(f"tensor.empty() : {tensor_type(window, compute)}")
    shape_only = Array(trace, empty, compute, window)
    maps = [f"affine_map<({space}) -> ({', '.join([names[0], names[1], *places])})>",
            f"affine_map<({space}) -> ({', '.join(names[n:])})>"]
    start = full(shape, lowest if kind == "max" else 0, compute)
    scalars = Scalars(trace)

    def body(blocks):
        a = scalars.convert(blocks[0], compute)
        return scalars.apply("max" if kind == "max" else "add", (blocks[2], a))[0]

    value = generic(trace, [x, shape_only], maps, start.source, tensor_type(shape, compute),
                    f"affine_map<({space}) -> ({', '.join(names[:n])})>",
                    ["parallel"] * n + ["reduction"] * rank, compute, body)
    result = Array(trace, value, compute, shape)
    if kind == "mean":
        result = result * (1.0 / math.prod(window))
    return convert(result, x.element)
