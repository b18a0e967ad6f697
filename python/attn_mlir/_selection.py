"""Sorting, selecting, gathering and scattering; running values."""

from __future__ import annotations

from typing import Optional

from . import _types
from ._array import Array, as_array, convert, normalize_axes, type_of
from ._extents import Extent
from ._scalar import Scalars
from ._trace import current, tensor_type


def sort_with_indices(array, axis=-1, descending=False):
    """Sorted values, and where they were; equal elements keep their order."""
    array = as_array(array).stored()
    axis = normalize_axes(axis, array.ndim)[0]
    places = tensor_type(array.shape, "i64")
    option = " descending" if descending else ""
    names = array.trace.emit(f"attn.argsort {array.source} dim({axis}){option} : {type_of(array)} -> "
                             f"{places}, {type_of(array)}", 2)
    return (Array(array.trace, names[1], array.element, array.shape),
            Array(array.trace, names[0], "i64", array.shape))


def sort(array, axis=-1, descending=False) -> Array:
    """The elements in ascending order along an axis; NaN is largest."""
    return sort_with_indices(array, axis, descending)[0]


def argsort(array, axis=-1, descending=False) -> Array:
    """Where the elements of the sorted array are, int64; a stable sort."""
    return sort_with_indices(array, axis, descending)[1]


def select_topk(array, k: int, axis=-1, largest=True, limit=None, among=None, by_position=False):
    """The k largest (smallest) elements along an axis.

    Returns (values, indices, count): sorted by value, or by position; where there
    are fewer candidates than k, values are 0 and indices -1 beyond the count.
    Ties go to the lower index.
    """
    array = as_array(array).stored()
    trace = array.trace
    axis = normalize_axes(axis, array.ndim)[0]
    k = int(k)
    shape = array.shape[:axis] + (k,) + array.shape[axis + 1:]
    rest = array.shape[:axis] + array.shape[axis + 1:]
    options = ""
    if limit is not None:
        limit = as_array(limit)
        if limit.ndim == 0:
            number = trace.emit(f"tensor.extract {limit.stored().source}[] : tensor<{limit.element}>")
            options += f" k({Scalars(trace).convert((number, limit.element), 'index')[0]} : index)"
        else:
            limit = limit.stored()
            options += f" k({limit.source} : {type_of(limit)})"
    if among is not None:
        among = convert(as_array(among), "i1").stored()
        options += f" among({among.source} : {type_of(among)})"
    if axis != array.ndim - 1:
        options += f" dims [{axis}]"
    if by_position:
        options += " sorted_by(position)"
    types = f"{tensor_type(shape, array.element)}, {tensor_type(shape, 'i64')}, {tensor_type(rest, 'i64')}"
    names = trace.emit(f"attn.select_topk {'largest' if largest else 'smallest'} {array.source}{options} : "
                       f"{type_of(array)} -> {types}", 3)
    return (Array(trace, names[0], array.element, shape), Array(trace, names[1], "i64", shape),
            Array(trace, names[2], "i64", rest))


def arg_extreme(array, axis, order) -> Array:
    array = as_array(array)
    if axis is None:
        array, axis = array.reshape(-1), 0
    axis = normalize_axes(axis, array.ndim)[0]
    found = select_topk(array, 1, axis, order == "largest")[1]
    return found[(slice(None),) * axis + (0,)]


def take(array, indices, axis) -> Array:
    """Elements (or rows) at indices along an axis; negative ones give 0."""
    array, indices = as_array(array).stored(), as_array(indices).stored()
    axis = normalize_axes(axis, array.ndim)[0]
    shape = array.shape[:axis] + indices.shape + array.shape[axis + 1:]
    value = array.trace.emit(f"attn.gather {array.source}, {indices.source} dim({axis}) : {type_of(array)}, "
                             f"{type_of(indices)} -> {tensor_type(shape, array.element)}")
    return Array(array.trace, value, array.element, shape)


def gather(array, indices, axis, batch) -> Array:
    """`take` with the first `batch` axes shared: r[b, p] = array[b, indices[b, p]].

    Where the last shared axis of the indices is a multiple of the array's, its
    members are grouped (query heads that read one key head)."""
    array, indices = as_array(array).stored(), as_array(indices).stored()
    axis = normalize_axes(axis, array.ndim)[0]
    shape = indices.shape[:batch] + array.shape[batch:axis] + indices.shape[batch:] + array.shape[axis + 1:]
    value = array.trace.emit(f"attn.gather {array.source}, {indices.source} dim({axis}) batch({batch}) : "
                             f"{type_of(array)}, {type_of(indices)} -> {tensor_type(shape, array.element)}")
    return Array(array.trace, value, array.element, shape)


def take_along_axis(array, indices, axis) -> Array:
    """r[..., p, ...] = array[..., indices[..., p, ...], ...]; shapes agree but for the
    axis. ValueError otherwise; negative indices give 0."""
    array, indices = as_array(array).stored(), as_array(indices).stored()
    axis = normalize_axes(axis, array.ndim)[0]
    shape = tuple(array.trace.unify(a, b, "array and indices") if i != axis else b
                  for i, (a, b) in enumerate(zip(array.shape, indices.shape)))
    value = array.trace.emit(f"attn.gather {array.source}, {indices.source} dim({axis}) along : {type_of(array)}, "
                             f"{type_of(indices)} -> {tensor_type(shape, array.element)}")
    return Array(array.trace, value, array.element, shape)


def scatter(array, indices, source, axis, kind="replace", batch=0, along=False) -> Array:
    """The array with `source` combined into it at indices along an axis.

    Args:
      array: [..., n, ...]; indices: integers [p], negative ones are left out.
      source: [..., p, ...], converted to the dtype of the array.
      kind: replace (the last one wins), sum, max, min or prod.
      batch: so many first axes are shared with the indices [..., p].
      along: indices have the shape of the source, as in `take_along_axis`.
    """
    array, indices = as_array(array).stored(), as_array(indices).stored()
    source = convert(as_array(source), array.element).stored()
    axis = normalize_axes(axis, array.ndim)[0]
    options = f" batch({batch})" if batch else ""
    options += " along" if along else ""
    value = array.trace.emit(f"attn.scatter_reduce {kind} {array.source}, {indices.source}, {source.source} "
                             f"dim({axis}){options} : {type_of(array)}, {type_of(indices)}, {type_of(source)}")
    return Array(array.trace, value, array.element, array.shape)


def searchsorted(sorted_array, values, side="left") -> Array:
    """Where values [..., n] belong in ascending lists [..., m], or [m]: int64 [..., n], the
    first place that keeps the order, or the last ("right")."""
    a, v = as_array(sorted_array), as_array(values)
    v = convert(v, a.element)
    while a.ndim < v.ndim:
        a = a[None]
    a, v = a.stored(), v.stored()
    option = " right" if side == "right" else ""
    value = a.trace.emit(f"attn.search_sorted {a.source}, {v.source}{option} : {type_of(a)}, {type_of(v)} -> "
                         f"{tensor_type(v.shape, 'i64')}")
    return Array(a.trace, value, "i64", v.shape)


def compact(bits, size=None):
    """Indices of the true elements of the last axis, ascending, and their number.

    bits [..., n] give int64 [..., size] and int64 [...]: `size` indices (by default as
    many as there are elements), -1 behind the last."""
    bits = convert(as_array(bits), "i1").stored()
    size = bits.shape[-1] if size is None else int(size)
    shape = bits.shape[:-1] + (size,)
    bound = f" bound({bits.trace.extent(size)})" if isinstance(size, Extent) else ""
    names = bits.trace.emit(f"attn.compact {bits.source}{bound} : {type_of(bits)} -> {tensor_type(shape, 'i64')}, "
                            f"{tensor_type(bits.shape[:-1], 'i64')}", 2)
    return Array(bits.trace, names[0], "i64", shape), Array(bits.trace, names[1], "i64", bits.shape[:-1])


_STEP = {"sum": ("add", 0), "prod": ("mul", 1), "max": ("max", None), "min": ("min", None)}


def cumulative(kind, array, axis=-1, exclusive=False, reverse=False) -> Array:
    """Running sums, products, maxima or minima along an axis."""
    array = as_array(array)
    if array.element == "i1":
        array = convert(array, "i64")
    array = array.stored()
    start: Optional[float]
    name, start = _STEP[kind]
    element = _types.accumulation(array.element)
    if start is None:
        if _types.is_float(element):
            start = float("-inf") if kind == "max" else float("inf")
        else:
            edge = 1 << (_types.width(element) - 1)
            start = -edge if kind == "max" else edge - 1
    result = scan_elements(lambda a, x: (elementwise_scalar(name, a, x),), [array], axis, [start], exclusive, reverse)
    return result[0]


def elementwise_scalar(name, a, b):
    return Scalars(current()).apply(name, (a, b))


def scan_elements(function, arrays, axis, identity, exclusive=False, reverse=False):
    trace = current()
    arrays = [as_array(a).stored() for a in arrays]
    axis = normalize_axes(axis, arrays[0].ndim)[0]
    types = [_types.accumulation(a.element) for a in arrays]
    from ._trace import format_float
    starts = ", ".join(f"{format_float(float(s), t) if _types.is_float(t) else int(s)} : {t}"
                       for s, t in zip(identity, types))
    names = [trace.new_name() for _ in range(2 * len(arrays))]
    with trace.region() as lines:
        values = function(*[(n, t) for n, t in zip(names, types * 2)])
        trace.line(f"attn.yield {', '.join(v[0] for v in values)} : {', '.join(types)}")
    name = trace.new_name()
    count = f":{len(arrays)}" if len(arrays) > 1 else ""
    options = (" exclusive" if exclusive else "") + (" reverse" if reverse else "")
    inputs = ", ".join(a.source for a in arrays)
    trace.line(f"{name}{count} = attn.prefix {inputs} dim({axis}) identity [{starts}]{options} {{")
    trace.line("^bb0(" + ", ".join(f"{n}: {t}" for n, t in zip(names, types * 2)) + "):")
    trace._buffers[-1].extend(lines)
    own = ", ".join(map(type_of, arrays))
    trace.line(f"}} : {own} -> {own} {trace.location()}")
    results = [name] if len(arrays) == 1 else [f"{name}#{i}" for i in range(len(arrays))]
    return [Array(trace, r, a.element, a.shape) for r, a in zip(results, arrays)]
