"""Shapes of arrays: reshaping, joining, padding, repeating."""

from __future__ import annotations

import operator
from functools import reduce as _fold

from . import _types
from ._array import (Array, as_array, collapse, convert, elementwise, empty_tensor, expand, full,
                     from_indices, normalize_axes, pointwise)
from ._extents import Extent, hint
from ._scalar import Scalars
from ._trace import current, tensor_type


def _product(extents):
    return _fold(operator.mul, extents, 1)


def _same(a, b) -> bool:
    if isinstance(a, Extent) or isinstance(b, Extent):
        return isinstance(a, Extent) and isinstance(b, Extent) and a.terms == b.terms
    return a == b


def reshape(array, shape) -> Array:
    """The elements in another shape, in row-major order; one extent may be -1.

    Errors: ValueError for a shape with another number of elements."""
    array = as_array(array).stored()
    trace = array.trace
    shape = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    unknown = [i for i, e in enumerate(shape) if not isinstance(e, Extent) and e == -1]
    if len(unknown) > 1:
        raise ValueError("reshape can find one extent, not several")
    if unknown:
        shape[unknown[0]] = _find_extent(array, [e for i, e in enumerate(shape) if i != unknown[0]])
    shape = tuple(shape)
    if hint(_hinted(array.shape)) != _hinted(shape):
        raise ValueError(f"an array {_show(array.shape)} has no shape {_show(shape)}")
    if len(shape) == array.ndim and all(_same(a, b) for a, b in zip(shape, array.shape)):
        return array
    groups = _match(array.shape, shape)
    if groups is None:
        # No grouping is sure to fit: the free extents become numbers.
        for extent in (*array.shape, *shape):
            if isinstance(extent, Extent):
                trace.fix(extent)
        raise ValueError(f"an array {_show(array.shape)} has no shape {_show(shape)}")
    middle = tuple(_product(array.shape[i] for i in old) if len(old) != 1 else array.shape[old[0]]
                   for old, _ in groups)
    value = array.source
    if any(len(old) != 1 for old, _ in groups):
        value = collapse(trace, value, array.element, array.shape, [old for old, _ in groups], middle)
    if any(len(new) != 1 for _, new in groups):
        value = expand(trace, value, array.element, middle, [new for _, new in groups], shape)
    return Array(trace, value, array.element, shape)


def _hinted(shape):
    return _product(hint(e) for e in shape)


def _show(shape):
    return "(" + ", ".join(str(hint(e)) for e in shape) + ")"


def _find_extent(array, known):
    left = list(array.shape)
    for extent in known:
        for other in left:
            if _same(extent, other):
                left.remove(other)
                break
        else:
            if isinstance(extent, Extent):
                extent = int(extent)
            rest = _product(left)
            left = [rest // extent]
    return _product(left)


def _match(old, new):
    """Groups of axes with equal products: [(axes of old, axes of new), ...]."""
    groups, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        a, b = [], []
        x = y = 1
        if i < len(old):
            a, x, i = [i], old[i], i + 1
        if j < len(new):
            b, y, j = [j], new[j], j + 1
        while not _same(x, y):
            if hint(x) < hint(y) or (hint(x) == hint(y) and i < len(old) and not isinstance(old[i], Extent)
                                     and old[i] == 1):
                if i == len(old):
                    return None
                a, x, i = a + [i], x * old[i], i + 1
            elif hint(x) > hint(y):
                if j == len(new):
                    return None
                b, y, j = b + [j], y * new[j], j + 1
            else:
                return None
        # Axes of extent 1 at the end belong to the last group.
        if i == len(old) and all(not isinstance(e, Extent) and e == 1 for e in new[j:]):
            b, j = b + list(range(j, len(new))), len(new)
        elif j == len(new) and all(not isinstance(e, Extent) and e == 1 for e in old[i:]):
            a, i = a + list(range(i, len(old))), len(old)
        if not a or not b:
            if not groups:
                return [(a, b)] if not old or not new else None
            groups[-1] = (groups[-1][0] + a, groups[-1][1] + b)
            continue
        groups.append((a, b))
    if any(not a or not b for a, b in groups):
        return [] if not old or not new else None
    return groups


def squeeze(array, axis=None) -> Array:
    """Without axes of extent 1, all of them for None. ValueError for others."""
    array = as_array(array)
    units = [i for i, e in enumerate(array.shape) if not isinstance(e, Extent) and e == 1]
    axes = units if axis is None else normalize_axes(axis, array.ndim)
    for index in axes:
        if index not in units:
            raise ValueError(f"axis {index} has extent {hint(array.shape[index])}, not 1")
    compact = array.compact()
    return compact._view([a for i, a in enumerate(compact.axes) if i not in axes])


def expand_dims(array, axis) -> Array:
    """With new axes of extent 1 at these places of the result."""
    array = as_array(array)
    count = array.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    axes = normalize_axes(axis, count)
    own = iter(array.axes)
    return array._view([None if i in axes else next(own) for i in range(count)])


def moveaxis(array, source, destination) -> Array:
    """Axes moved to other places; the others keep their order."""
    array = as_array(array)
    source, destination = normalize_axes(source, array.ndim), normalize_axes(destination, array.ndim)
    order = [i for i in range(array.ndim) if i not in source]
    for d, s in sorted(zip(destination, source)):
        order.insert(d, s)
    return array.transpose(order)


def broadcast_to(array, shape) -> Array:
    """The array repeated along axes of extent 1 and new ones in front. ValueError for
    shapes that do not fit."""
    array = as_array(array)
    from ._array import broadcast_shapes
    shape = tuple(shape)
    broadcast_shapes(array.trace, array.shape, shape)
    return pointwise(array.trace, [array.compact()._padded(len(shape))], shape, array.element,
                     lambda blocks: blocks[0][0])


def _joined(arrays):
    arrays = [as_array(a) for a in arrays]
    element = arrays[0].element
    for a in arrays[1:]:
        element = _types.promote(element, a.element)
    return [convert(a, element).stored() for a in arrays], element


def concatenate(arrays, axis=0) -> Array:
    """Arrays one after the other along an axis."""
    arrays, element = _joined(arrays)
    trace = current()
    axis = normalize_axes(axis, arrays[0].ndim)[0]
    shape = list(arrays[0].shape)
    for a in arrays[1:]:
        if a.ndim != len(shape):
            raise ValueError("arrays of different ranks do not concatenate")
        for i, extent in enumerate(a.shape):
            shape[i] = shape[i] + extent if i == axis else \
                trace.unify(shape[i], extent, f"axis {i} of concatenated arrays")
    value = empty_tensor(trace, shape, element)
    start = 0
    for a in arrays:
        # Nothing has no place behind the end.
        if isinstance(a.shape[axis], Extent) or a.shape[axis]:
            value = _insert(trace, a, value, shape, element, {axis: start})
        start = start + a.shape[axis]
    return Array(trace, value, element, tuple(shape))


def _insert(trace, part, target, shape, element, starts, part_shape=None):
    def text(extent):
        return trace.extent(extent) if isinstance(extent, Extent) else str(extent)

    offsets = ", ".join(starts[i] if isinstance(starts.get(i), str) else text(starts.get(i, 0))
                        for i in range(len(shape)))
    sizes = ", ".join(text(e) for e in (part_shape or part.shape))
    ones = ", ".join("1" for _ in shape)
    return trace.emit(f"tensor.insert_slice {part.source} into {target}[{offsets}] [{sizes}] [{ones}] : "
                      f"{tensor_type(part.shape, element)} into {tensor_type(shape, element)}")


def stack(arrays, axis=0) -> Array:
    """Arrays of one shape side by side along a new axis."""
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def split(array, sections, axis=0):
    """A list of equal parts, or of parts that begin at the given indices. ValueError
    for an axis that does not split evenly."""
    array = as_array(array)
    axis = normalize_axes(axis, array.ndim)[0]
    if isinstance(sections, int):
        length = int(array.shape[axis])
        if length % sections:
            raise ValueError(f"an axis of {length} does not split into {sections} equal parts")
        bounds = list(range(0, length + 1, length // sections))
    else:
        bounds = [0, *sections, array.shape[axis]]
    before = (slice(None),) * axis
    return [array[before + (slice(a, b),)] for a, b in zip(bounds, bounds[1:])]


def pad(array, widths, value=0) -> Array:
    """With `widths[axis] = (before, after)` more elements, all `value`; one number, or
    one pair, is for all axes. ValueError for another number of pairs."""
    array = as_array(array).stored()
    trace = array.trace
    if isinstance(widths, int):
        widths = [(widths, widths)] * array.ndim
    if len(widths) == 2 and all(isinstance(w, (int, Extent)) for w in widths):
        widths = [tuple(widths)] * array.ndim
    if len(widths) != array.ndim:
        raise ValueError(f"pad takes a pair of widths for each of {array.ndim} axes")
    shape = tuple(e + a + b for e, (a, b) in zip(array.shape, widths))

    def text(extent):
        return trace.extent(extent) if isinstance(extent, Extent) else str(extent)

    scalars = Scalars(trace)
    base = scalars.constant(value, _types.accumulation(array.element))
    constant = scalars.convert(base, array.element)[0]
    low = ", ".join(text(a) for a, _ in widths)
    high = ", ".join(text(b) for _, b in widths)
    names = ", ".join(f"{trace.new_name()}: index" for _ in shape)
    name = trace.new_name()
    trace.line(f"{name} = tensor.pad {array.source} low[{low}] high[{high}] {{")
    trace.line(f"^bb0({names}):")
    trace.line(f"  tensor.yield {constant} : {array.element}")
    trace.line(f"}} : {tensor_type(array.shape, array.element)} to {tensor_type(shape, array.element)} "
               f"{trace.location()}")
    return Array(trace, name, array.element, shape)


def repeat(array, repeats: int, axis: int) -> Array:
    """Every element `repeats` times in a row (the heads of a group, say)."""
    array = as_array(array)
    axis = normalize_axes(axis, array.ndim)[0]
    wide = expand_dims(array, axis + 1)
    shape = list(wide.shape)
    shape[axis + 1] = repeats
    full_shape = broadcast_to(wide, shape)
    result = list(array.shape)
    result[axis] = result[axis] * repeats
    return reshape(full_shape, result)


def tile(array, repeats) -> Array:
    """The whole array `repeats[axis]` times along every axis."""
    array = as_array(array)
    repeats = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    rank = max(len(repeats), array.ndim)
    repeats = (1,) * (rank - len(repeats)) + repeats
    result = array._padded(rank)
    for axis, count in enumerate(repeats):
        if count != 1:
            result = concatenate([result] * count, axis)
    return result


def flip(array, axis) -> Array:
    """Elements in reverse order along an axis, or several."""
    array = as_array(array).stored()
    trace = array.trace
    axes = normalize_axes(axis, array.ndim)

    def body(names):
        places = list(names)
        for a in axes:
            last = trace.extent(array.shape[a] - 1)
            places[a] = trace.emit(f"arith.subi {last}, {names[a]} : index")
        return trace.emit(f"tensor.extract {array.source}[{', '.join(places)}] : "
                          f"{tensor_type(array.shape, array.element)}")

    return from_indices(array.shape, array.element, body)


def roll(array, shift: int, axis: int) -> Array:
    """Elements moved along an axis, around its end."""
    array = as_array(array)
    axis = normalize_axes(axis, array.ndim)[0]
    length = array.shape[axis]
    if isinstance(length, int):
        shift %= max(length, 1)
    if shift == 0:
        return array
    before = (slice(None),) * axis
    cut = length - shift if shift > 0 else -shift
    return concatenate([array[before + (slice(cut, None),)], array[before + (slice(0, cut),)]], axis)


def arange(start, stop=None, step=1, dtype=None) -> Array:
    """start, start + step, ... before stop, as int64 (or float)."""
    trace = current()
    if stop is None:
        start, stop = 0, start
    if any(isinstance(x, float) for x in (start, stop, step)):
        import numpy as np
        return as_array(np.arange(start, stop, step)).astype(dtype or float)
    count = (stop - start + step - 1) // step
    element = "i64" if dtype is None else _types.from_dtype(dtype)
    element = trace.default_float if element == "float" else element
    scalars = Scalars(trace)

    def body(names):
        place = (names[0], "index")
        if step != 1:
            place = scalars.apply("mul", (place, scalars.constant(step, "index")))
        if isinstance(start, Extent):
            place = scalars.apply("add", (place, (trace.extent(start), "index")))
        elif start != 0:
            place = scalars.apply("add", (place, scalars.constant(start, "index")))
        return scalars.convert(place, element)[0]

    return from_indices((count,), element, body)


def zeros(shape, dtype=None) -> Array:
    """Zeros; by default f64 if an argument of the function is, else f32."""
    return filled(shape, 0, dtype)


def ones(shape, dtype=None) -> Array:
    """Ones; by default f64 if an argument of the function is, else f32."""
    return filled(shape, 1, dtype)


def filled(shape, value, dtype=None) -> Array:
    """An array of one number (which may be an array without axes)."""
    trace = current()
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    element = None if dtype is None else _types.from_dtype(dtype)
    if isinstance(value, Array):
        return broadcast_to(value if element is None else convert(value, element), shape)
    if element is None or element == "float":
        element = "i1" if isinstance(value, bool) else trace.default_float
    return full(shape, value, element)


def eye(n, m=None, dtype=None, k=0) -> Array:
    """[n, m], or [n, n], with ones on the k-th diagonal."""
    trace = current()
    element = trace.default_float if dtype is None else _types.from_dtype(dtype)
    element = trace.default_float if element == "float" else element
    return _diagonals(n, n if m is None else m, "eq", k, element)


def _diagonals(n, m, comparison, k, element):
    trace = current()
    scalars = Scalars(trace)

    def body(names):
        diagonal = scalars.apply("sub", ((names[1], "index"), (names[0], "index")))
        return scalars.convert(scalars.compare(comparison, diagonal, scalars.constant(k, "index")), element)[0]

    return from_indices((n, m), element, body)


def tril(array, k=0) -> Array:
    """Matrices [..., M, N] with 0 above the k-th diagonal."""
    array = as_array(array)
    keep = _diagonals(array.shape[-2], array.shape[-1], "le", k, "i1")
    return elementwise("where", keep, array, 0)


def triu(array, k=0) -> Array:
    """Matrices [..., M, N] with 0 below the k-th diagonal."""
    array = as_array(array)
    keep = _diagonals(array.shape[-2], array.shape[-1], "ge", k, "i1")
    return elementwise("where", keep, array, 0)


def diagonal(array) -> Array:
    """The diagonals [..., N] of matrices [..., N, N]. ValueError for others."""
    array = as_array(array).stored()
    trace = array.trace
    length = trace.unify(array.shape[-2], array.shape[-1], "a diagonal is of square matrices:")

    def body(names):
        return trace.emit(f"tensor.extract {array.source}[{', '.join([*names, names[-1]])}] : "
                          f"{tensor_type(array.shape, array.element)}")

    return from_indices((*array.shape[:-2], length), array.element, body)


def trace_(array) -> Array:
    """The sums [...] of the diagonals of matrices [..., N, N]."""
    return diagonal(array).sum(-1)
