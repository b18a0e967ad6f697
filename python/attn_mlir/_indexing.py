"""Picking elements, slices and rows of arrays."""

from __future__ import annotations

import operator

import numpy as np

from . import _types
from ._array import Array, as_array, collapse
from ._extents import Extent, hint
from ._scalar import Scalars
from ._trace import tensor_type


def get_item(array: Array, key):
    """array[key]: numbers, slices, None, ..., arrays of integers, and, for
    elements of captured arrays in scores, expressions of entries."""
    from ._scores import Scores, gather
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, Scores) for k in keys):
        return gather(array, keys)
    real = sum(1 for k in keys if k is not None and k is not Ellipsis)
    if real > array.ndim:
        raise IndexError(f"{real} indices for an array of {array.ndim} axes")
    if Ellipsis in [k for k in keys if k is Ellipsis]:
        place = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[place:place + 1] = [slice(None)] * (array.ndim - real)
    keys += [slice(None)] * (array.ndim - sum(1 for k in keys if k is not None))

    lists = [i for i, k in enumerate(keys) if _is_list(k)]
    if lists:
        return _take(array, keys, lists)
    result = _slice(array, [k for k in keys if k is not None])
    if None not in [k for k in keys if k is None]:
        return result
    own = iter(result.axes)
    axes: list = []
    for k in keys:
        if k is None:
            axes.append(None)
        elif isinstance(k, slice):
            axes.append(next(own))
    return result._view(axes)


def _is_list(key):
    if isinstance(key, Array):
        return key.ndim > 0
    return isinstance(key, (list, np.ndarray)) and np.ndim(key) > 0


def _slice(array: Array, keys) -> Array:
    trace = array.trace
    if all(isinstance(k, slice) and k == slice(None) for k in keys):
        return array
    # Axes that are only looked at whole stay as they are in a view.
    offsets, sizes, strides, dropped = {}, {}, {}, []
    for axis, key in enumerate(keys):
        extent = array.shape[axis]
        if isinstance(key, slice):
            if key == slice(None):
                continue
            step = 1 if key.step is None else operator.index(key.step)
            if step < 1:
                raise ValueError("slices with negative steps are not supported; use attn.flip")
            start, stop = _bound(key.start, extent, 0), _bound(key.stop, extent, extent)
            length = stop - start
            if hint(length) < 0:
                length = 0
            if not isinstance(length, Extent) and length == 0:
                start = 0  # a slice of nothing may not begin at the end
            trace.require_natural(length)
            offsets[axis], strides[axis] = start, step
            sizes[axis] = (length + step - 1) // step if step != 1 else length
        else:
            if isinstance(key, Array):
                offsets[axis] = _element(key)
            elif isinstance(key, Extent):
                if key.hint >= hint(extent):
                    raise IndexError(f"index {key.hint} is out of range for axis {axis} with extent {hint(extent)}")
                offsets[axis] = key
                trace.require_natural(extent - key - 1)
            else:
                index = operator.index(key)
                if not -hint(extent) <= index < hint(extent):
                    raise IndexError(f"index {index} is out of range for axis {axis} with extent {hint(extent)}")
                offsets[axis] = index if index >= 0 else extent + index
                trace.require_natural(extent - (index + 1 if index >= 0 else -index))
            strides[axis], sizes[axis] = 1, 1
            dropped.append(axis)
    units = [a for a in offsets if array.axes[a] is None]
    if units:
        array = array.stored()
    source_offsets, source_sizes, source_strides = [], [], []
    shape = []
    position = {source: axis for axis, source in enumerate(array.axes) if source is not None}
    kept = []
    for source, extent in enumerate(array.source_shape):
        axis = position[source]
        source_offsets.append(offsets.get(axis, 0))
        size = sizes.get(axis, extent)
        source_sizes.append(size)
        source_strides.append(strides.get(axis, 1))
        if axis not in dropped:
            kept.append(source)
            shape.append(size)

    def text(value):
        if isinstance(value, str):
            return value
        return trace.extent(value) if isinstance(value, Extent) else str(value)

    # Where an axis that stays has one place, a slice of lower rank does not say which one goes.
    is_clear = len(kept) == len(source_sizes) or 1 not in shape
    cut = shape if is_clear else source_sizes
    value = trace.emit(
        f"tensor.extract_slice {array.source}[{', '.join(map(text, source_offsets))}] "
        f"[{', '.join(map(text, source_sizes))}] [{', '.join(map(text, source_strides))}] : "
        f"{tensor_type(array.source_shape, array.element)} to {tensor_type(tuple(cut), array.element)}")
    if not is_clear:
        starts = [0, *kept[1:], len(source_sizes)]
        groups = [range(start, end) for start, end in zip(starts, starts[1:])]
        value = collapse(trace, value, array.element, tuple(cut), groups, tuple(shape))
    axes = [None if source is None else kept.index(source)
            for axis, source in enumerate(array.axes) if axis not in dropped]
    return Array(trace, value, array.element, (), axes, tuple(shape))


def _bound(value, extent, default):
    if value is None:
        return default
    if isinstance(value, Extent):
        # A slice ends with its axis, in this call as in later ones.
        is_inside = value.hint <= hint(extent)
        value.trace.require_natural(extent - value if is_inside else value - extent)
        return value if is_inside else extent
    index = operator.index(value)
    if index < 0:
        index = extent + index
        return index if hint(index) >= 0 else 0
    if not isinstance(extent, Extent):
        return min(index, extent)
    if index > extent.hint:
        return int(extent)
    extent.trace.require_natural(extent - index)
    return index


def _element(array: Array) -> str:
    """An array without axes, as an index."""
    if array.ndim or _types.is_float(array.element):
        raise TypeError("an index is an integer")
    trace = array.trace
    value = trace.emit(f"tensor.extract {array.stored().source}[] : tensor<{array.element}>")
    return Scalars(trace).convert((value, array.element), "index")[0]


def _take(array, keys, lists) -> Array:
    from ._selection import take
    if len(lists) > 1:
        raise IndexError("one array of indices at a time; index step by step, or use attn.take_along_axis")
    place = lists[0]
    axis = sum(1 for k in keys[:place] if k is None or isinstance(k, slice))
    rest = [slice(None) if i == place else k for i, k in enumerate(keys)]
    return take(get_item(array, tuple(rest)), keys[place], axis)


def dynamic_update(array, update, start) -> Array:
    """The array with `update` in place of the elements from `start` on.

    `start` has an index per axis: a number, or an array without axes."""
    from ._shapes import _insert
    array, update = as_array(array).stored(), as_array(update)
    from ._array import convert
    update = convert(update, array.element).stored()
    if update.ndim != array.ndim or len(start) != array.ndim:
        raise ValueError("dynamic_update needs one rank for array, update and start")
    starts = {}
    for axis, value in enumerate(start):
        starts[axis] = _element(value) if isinstance(value, Array) else value
    value = _insert(array.trace, update, array.source, array.shape, array.element, starts)
    return Array(array.trace, value, array.element, array.shape)
