"""Arrays of a traced function: a subset of NumPy that compiles to linalg."""

from __future__ import annotations

import math
import operator
from functools import reduce as _fold
from typing import Any, Optional, Sequence, Union

import numpy as np

from . import _types
from ._extents import Extent
from ._operators import Operators
from ._scalar import Scalars, power, result_type
from ._trace import current, tensor_type

__all__ = ["Array"]

#: The recipe of what a reduction of scores gives.
_REDUCED = ("reduced", ())
_Axes = Union[None, int, Sequence[int]]
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def is_number(value) -> bool:
    return isinstance(value, NUMBERS)


class Array(Operators):
    """A tensor of a traced function.

    It is a stored tensor, `source`, seen through `axes`: which axis of the
    source every axis is, or None for one of extent 1 that the source lacks.
    Transposition and new axes cost nothing that way.

    Attributes:
      shape: extents; an `int` where it is fixed, an `Extent` where it is up to
        the call.
      dtype: the name of the element type, as NumPy has it.
    """

    __array_priority__ = 1000

    def __init__(self, trace, source, element, shape, axes=None, source_shape=None):
        self.trace = trace
        self.source = source
        self.element = element
        self.source_shape = tuple(shape if source_shape is None else source_shape)
        self.axes = tuple(range(len(shape))) if axes is None else tuple(axes)
        #: By name, other forms of it and the regions that they were made in.
        self._forms: dict = {}
        #: How it was computed of reductions of scores: (operation, operands). Used
        #: with scores again, it is computed where they are.
        self.recipe = None

    # What it is.

    @property
    def shape(self) -> tuple:
        return tuple(1 if axis is None else self.source_shape[axis] for axis in self.axes)

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def dtype(self) -> str:
        return _types.to_name(self.element)

    @property
    def size(self) -> Union[int, Extent]:
        """The number of elements."""
        return _fold(operator.mul, self.shape, 1)

    def __len__(self) -> int:
        if not self.axes:
            raise TypeError("an array without axes has no length")
        return int(self.shape[0])

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __repr__(self):
        extents = ", ".join(str(extent) for extent in self.shape)
        return f"Array(({extents}), {self.dtype})"

    def __bool__(self):
        raise TypeError("the elements of an array are not known while its function is traced; "
                        "use attn.where, or attn.cond for a choice between computations")

    def __float__(self):
        raise TypeError("the elements of an array are not known while its function is traced")

    __int__ = __index__ = __float__

    # Views.

    def _view(self, axes):
        view = Array(self.trace, self.source, self.element, (), axes, self.source_shape)
        if self.recipe and self.axes == tuple(range(len(self.source_shape))):
            name, operands = self.recipe
            if all(not isinstance(o, Array) or o.ndim == self.ndim for o in operands):
                view.recipe = name, tuple(o._view([None if a is None else o.axes[a] for a in axes])
                                          if isinstance(o, Array) else o for o in operands)
        elif self.recipe == _REDUCED:
            view.recipe = _REDUCED
        return view

    def stored(self) -> "Array":
        """The same array without a view, which may cost a copy."""
        if self.axes == tuple(range(len(self.source_shape))):
            return self
        return self._form("stored", self._store)

    def _form(self, name, make):
        """make(), once: but what was made inside of a region is unknown outside."""
        region, form = self._forms.get(name, (None, None))
        if not self.trace.is_open(region):
            region, form = self.trace.open_region, make()
            self._forms[name] = region, form
        return form

    def _store(self):
        real = [axis for axis in self.axes if axis is not None]
        value, shape = self.source, self.source_shape
        if real != list(range(len(shape))):
            moved = tuple(shape[axis] for axis in real)
            empty = empty_tensor(self.trace, moved, self.element)
            order = ", ".join(map(str, real))
            value = self.trace.emit(
                f"linalg.transpose ins({value} : {tensor_type(shape, self.element)}) "
                f"outs({empty} : {tensor_type(moved, self.element)}) permutation = [{order}]")
            shape = moved
        if len(real) != len(self.axes):
            groups, group = [], []
            for axis in self.axes:
                group.append(len(group) + sum(map(len, groups)))
                if axis is not None:
                    groups.append(group)
                    group = []
            if groups:
                groups[-1] += [len(groups[-1]) + sum(map(len, groups[:-1])) + i for i in range(len(group))]
            value = expand(self.trace, value, self.element, shape, groups, self.shape)
        return Array(self.trace, value, self.element, self.shape)

    def _padded(self, rank):
        return self._view((None,) * (rank - self.ndim) + self.axes)

    def compact(self) -> "Array":
        """The same array over a source that has no axes of extent 1."""
        units = [axis for axis, extent in enumerate(self.source_shape)
                 if not isinstance(extent, Extent) and extent == 1]
        return self._form("compact", lambda: self._without(units)) if units else self

    def _without(self, units):
        keep = [axis for axis in range(len(self.source_shape)) if axis not in units]
        shape = tuple(self.source_shape[axis] for axis in keep)
        groups, group = [], []
        for axis in range(len(self.source_shape)):
            group.append(axis)
            if axis in keep:
                groups.append(group)
                group = []
        if groups:
            groups[-1] += group
        value = collapse(self.trace, self.source, self.element, self.source_shape, groups, shape)
        axes = [keep.index(axis) if axis in keep else None for axis in self.axes]
        return Array(self.trace, value, self.element, (), axes, shape)

    def transpose(self, *axes: Any) -> Array:
        """Axes in another order: reversed, or as said."""
        if len(axes) == 1 and isinstance(axes[0], (tuple, list)):
            axes = tuple(axes[0])
        order = normalize_axes(axes, self.ndim) if axes else tuple(reversed(range(self.ndim)))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"transpose needs every axis once, not {axes}")
        return self._view([self.axes[axis] for axis in order])

    @property
    def T(self) -> Array:
        """All axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Array:
        """The matrices of the last two axes, transposed."""
        return self.swapaxes(-1, -2)

    def swapaxes(self, a: int, b: int) -> Array:
        """Two axes exchanged."""
        order = list(range(self.ndim))
        a, b = normalize_axes((a, b), self.ndim)
        order[a], order[b] = b, a
        return self.transpose(order)

    def __getitem__(self, key: Any) -> Array:
        from ._indexing import get_item
        return get_item(self, key)

    # Shape.

    def reshape(self, *shape: Any) -> Array:
        """The elements in another shape, in row-major order; one extent may be -1."""
        from ._shapes import reshape
        return reshape(self, shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)

    def ravel(self) -> Array:
        """The elements as one axis."""
        return self.reshape(-1)

    flatten = ravel

    def squeeze(self, axis: _Axes = None) -> Array:
        """Without axes of extent 1."""
        from ._shapes import squeeze
        return squeeze(self, axis)

    def astype(self, dtype: Any) -> Array:
        """The same numbers in another dtype; float is f64 if an argument is, else f32."""
        element = _types.from_dtype(dtype)
        if element == "float":
            element = self.trace.default_float
        return convert(self, element)

    # Arithmetic.

    def _binary(self, name, other, swapped=False):
        from ._scores import Scores
        if isinstance(other, Scores):
            return NotImplemented
        if not isinstance(other, Array) and not is_number(other) and not isinstance(other, (np.ndarray, Extent)):
            return NotImplemented
        return elementwise(name, *((other, self) if swapped else (self, other)))

    def __pow__(self, other: Any) -> Array:
        return pow_(self, other)

    def __rpow__(self, other: Any) -> Array:
        return elementwise("pow", other, self)

    def __neg__(self) -> Array:
        return elementwise("neg", self)

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return elementwise("abs", self)

    def __invert__(self) -> Array:
        return elementwise("not", self)

    def __matmul__(self, other: Any) -> Any:
        from ._scores import Scores, score
        if isinstance(other, Scores):
            return NotImplemented
        if isinstance(other, Array) and is_score_product(self, other):
            return score(self, other.mT)
        from ._products import matmul
        return matmul(self, other)

    # Reductions.

    def sum(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """The sum over axes; of bool, a count."""
        return reduce("sum", self, axis, keepdims)

    def max(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """The largest over axes; a NaN wins."""
        return reduce("max", self, axis, keepdims)

    def min(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """The smallest over axes; a NaN wins."""
        return reduce("min", self, axis, keepdims)

    def prod(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """The product over axes."""
        return reduce("prod", self, axis, keepdims)

    def any(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """Whether any holds."""
        return reduce("any", self, axis, keepdims)

    def all(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """Whether all hold."""
        return reduce("all", self, axis, keepdims)

    def mean(self, axis: _Axes = None, keepdims: bool = False) -> Array:
        """The mean over axes; integers become floats."""
        return mean(self, axis, keepdims)

    def var(self, axis: _Axes = None, keepdims: bool = False, ddof: int = 0) -> Array:
        """The variance over axes, a sum over n - ddof."""
        return var(self, axis, keepdims, ddof)

    def std(self, axis: _Axes = None, keepdims: bool = False, ddof: int = 0) -> Array:
        """The square root of the variance."""
        return elementwise("sqrt", var(self, axis, keepdims, ddof))

    def argmax(self, axis: Optional[int] = -1) -> Array:
        """The index of the largest along an axis, int64; the lower one of equals."""
        from ._selection import arg_extreme
        return arg_extreme(self, axis, "largest")

    def argmin(self, axis: Optional[int] = -1) -> Array:
        """The index of the smallest along an axis, int64; the lower one of equals."""
        from ._selection import arg_extreme
        return arg_extreme(self, axis, "smallest")

    def cumsum(self, axis: int = -1) -> Array:
        """Running sums along an axis."""
        from ._selection import cumulative
        return cumulative("sum", self, axis)

# ===----------------------------------------------------------------------===
# Helpers
# ===----------------------------------------------------------------------===


def is_score_product(a: Array, b: Array) -> bool:
    """Whether a @ b is a matrix of scores: q @ k.mT of arrays [B, H, L, D]."""
    return (a.ndim == 4 and b.ndim == 4 and a.element == b.element
            and b.axes[3] is not None and b.axes[2] is not None and b.axes[3] < b.axes[2])


def normalize_axes(axes, rank: int):
    axes = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    result = []
    for axis in axes:
        index = operator.index(axis)
        if not -rank <= index < rank:
            raise ValueError(f"axis {index} is out of range for an array of {rank} axes")
        result.append(index % rank)
    return tuple(result)


def type_of(array: Array) -> str:
    """The type of a stored array, in MLIR."""
    return tensor_type(array.shape, array.element)


def as_array(value) -> Array:
    """An array of the trace for what may stand for one."""
    if isinstance(value, Array):
        return value
    trace = current()
    if is_number(value):
        if isinstance(value, (bool, np.bool_)):
            element = "i1"
        elif isinstance(value, (int, np.integer)):
            element = "i64"
        else:
            element = trace.default_float
        return full((), value, element)
    if isinstance(value, Extent):
        index = trace.extent(value)
        integer = trace.emit(f"arith.index_cast {index} : index to i64")
        return from_scalar(trace, integer, "i64")
    if isinstance(value, (tuple, list)):
        if any(isinstance(item, Array) for item in value):
            from ._shapes import stack
            return stack(value)
        value = np.asarray(value)
        if value.dtype == np.float64:
            value = value.astype(_types.to_name(trace.default_float))
    from ._jit import capture
    return capture(trace, value)


def from_scalar(trace, value, element) -> Array:
    name = trace.emit(f"tensor.from_elements {value} : tensor<{element}>")
    return Array(trace, name, element, ())


def empty_tensor(trace, shape, element) -> str:
    for extent in shape:
        if isinstance(extent, int) and extent < 0:
            raise ValueError(f"an axis has 0 elements or more, not {extent}")
    return trace.emit(f"tensor.empty({trace.sizes(shape)}) : {tensor_type(shape, element)}")


def full(shape, value, element) -> Array:
    """An array of one number."""
    trace = current()
    constant = trace.constant(value, element) if element not in ("f16", "bf16") else \
        Scalars(trace).convert(Scalars(trace).constant(value, "f32"), element)[0]
    return fill(shape, constant, element)


def fill(shape, scalar, element) -> Array:
    trace = current()
    empty = empty_tensor(trace, shape, element)
    type_ = tensor_type(shape, element)
    value = trace.emit(f"linalg.fill ins({scalar} : {element}) outs({empty} : {type_}) -> {type_}")
    return Array(trace, value, element, shape)


def _groups(groups):
    return "[" + ", ".join("[" + ", ".join(map(str, group)) + "]" for group in groups) + "]"


def collapse(trace, value, element, shape, groups, result_shape) -> str:
    return trace.emit(f"tensor.collapse_shape {value} {_groups(groups)} : "
                      f"{tensor_type(shape, element)} into {tensor_type(result_shape, element)}")


def expand(trace, value, element, shape, groups, result_shape) -> str:
    extents = ", ".join(trace.extent(e) if isinstance(e, Extent) else str(e) for e in result_shape)
    return trace.emit(f"tensor.expand_shape {value} {_groups(groups)} output_shape [{extents}] : "
                      f"{tensor_type(shape, element)} into {tensor_type(result_shape, element)}")


def broadcast_shapes(trace, *shapes):
    """The shape that arrays of these shapes have together."""
    rank = max(map(len, shapes))
    result = []
    for axis in range(rank):
        extent = 1
        for shape in shapes:
            index = axis - rank + len(shape)
            if index < 0:
                continue
            own = shape[index]
            if not isinstance(own, Extent) and own == 1:
                continue
            if not isinstance(extent, Extent) and extent == 1:
                extent = own
            else:
                extent = trace.unify(extent, own, f"axis {axis - rank} of operands")
        result.append(extent)
    return tuple(result)


def projection(array: Array, rank: int) -> str:
    """Where a compact array lies in a space of `rank` axes, as affine map."""
    dims = [""] * len(array.source_shape)
    for axis, source in enumerate(array.axes):
        if source is not None:
            dims[source] = f"d{axis - array.ndim + rank}"
    space = ", ".join(f"d{axis}" for axis in range(rank))
    return f"affine_map<({space}) -> ({', '.join(dims)})>"


def identity_map(rank: int) -> str:
    space = ", ".join(f"d{axis}" for axis in range(rank))
    return f"affine_map<({space}) -> ({space})>"


def generic(trace, inputs, maps, output, output_type, output_map, kinds, element, body) -> str:
    """A linalg.generic; `body` gets (name, element) of inputs and of the output
    and returns the name of what to yield."""
    types = [tensor_type(a.source_shape, a.element) for a in inputs]
    names = [trace.new_name() for _ in inputs] + [trace.new_name()]
    elements = [a.element for a in inputs] + [element]
    with trace.region() as lines:
        result = body([(n, e) for n, e in zip(names, elements)])
        trace.line(f"linalg.yield {result} : {element}")
    name = trace.new_name()
    ins = f"ins({', '.join(a.source for a in inputs)} : {', '.join(types)}) " if inputs else ""
    kinds = ", ".join(f'"{kind}"' for kind in kinds)
    trace.line(f"{name} = linalg.generic {{indexing_maps = [{', '.join([*maps, output_map])}], "
               f"iterator_types = [{kinds}]}} {ins}outs({output} : {output_type}) {{")
    block = ", ".join(f"{n}: {e}" for n, e in zip(names, elements))
    trace.line(f"^bb0({block}):")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} -> {output_type} {trace.location()}")
    return name


def elementwise(name: str, *operands) -> Array:
    """A scalar operation on the elements of arrays and numbers."""
    trace = current()
    arrays = [a for a in map(_operand, operands) if isinstance(a, Array)]
    if not arrays:
        arrays = [as_array(operands[0])]
        operands = (arrays[0],) + tuple(operands[1:])
    operands = tuple(_operand(a) for a in operands)
    values = operands[1:] if name == "where" else operands
    elements = [a.element for a in values if isinstance(a, Array)]
    for value in values:
        if not isinstance(value, Array) and isinstance(value, (float, np.floating)):
            if not any(map(_types.is_float, elements)):
                elements.append(trace.default_float)
        elif not isinstance(value, Array) and not isinstance(value, (bool, np.bool_)):
            if all(e == "i1" for e in elements):
                elements.append("i64")
    if not elements:
        elements = [as_array(values[0]).element]
    operand_type, element = result_type(name, elements, trace.default_float)
    if name in ("and", "or", "xor", "not") and operand_type != "i1" and name == "not":
        raise TypeError("~ is for arrays of bool")
    compute = _types.accumulation(operand_type)
    shape = broadcast_shapes(trace, *(a.shape for a in operands if isinstance(a, Array)))
    inputs = [a.compact() for a in operands if isinstance(a, Array)]
    scalars = Scalars(trace)

    def body(blocks):
        blocks = list(blocks)
        parts = []
        for index, operand in enumerate(operands):
            wanted = "i1" if name == "where" and index == 0 else compute
            if isinstance(operand, Array):
                parts.append(scalars.convert(blocks.pop(0), wanted))
            else:
                parts.append(scalars.constant(operand, wanted))
        return scalars.convert(scalars.apply(name, parts), element)[0]

    result = pointwise(trace, inputs, shape, element, body)
    if any(isinstance(a, Array) and a.recipe for a in operands) and len(shape) <= 4:
        result.recipe = name, tuple(operands)
    return result


def pointwise(trace, inputs, shape, element, body) -> Array:
    rank = len(shape)
    empty = empty_tensor(trace, shape, element)
    value = generic(trace, inputs, [projection(a, rank) for a in inputs], empty, tensor_type(shape, element),
                    identity_map(rank), ["parallel"] * rank, element, body)
    return Array(trace, value, element, shape)


def _operand(value):
    if isinstance(value, Array) or is_number(value):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    return as_array(value)


def pow_(base, exponent) -> Array:
    name = power(exponent) if is_number(exponent) else None
    if name == "copy":
        return base
    if name == "reciprocal":
        return elementwise("div", 1.0, base)
    if name:
        return elementwise(name, base)
    if isinstance(exponent, (int, np.integer)) and 2 < exponent <= 16:
        half = pow_(base, int(exponent) // 2)
        square = elementwise("square", half)
        return elementwise("mul", square, base) if exponent % 2 else square
    return elementwise("pow", base, exponent)


def convert(array: Array, element: str) -> Array:
    """The same numbers in another type."""
    if array.element == element:
        return array
    scalars = Scalars(array.trace)
    source = array.compact()
    return pointwise(array.trace, [source], array.shape, element,
                     lambda blocks: scalars.convert(blocks[0], element)[0])


def from_indices(shape, element, body) -> Array:
    """An array computed from indices: `body` gets their names, of type index."""
    trace = current()

    def inner(_):
        names = [trace.emit(f"linalg.index {axis} : index") for axis in range(len(shape))]
        return body(names)

    return pointwise(trace, [], tuple(shape), element, inner)


# ===----------------------------------------------------------------------===
# Reductions
# ===----------------------------------------------------------------------===

_IDENTITY = {"sum": 0, "prod": 1, "any": False, "all": True}
_STEP = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}


def _reduced_axes(array, axis):
    return tuple(range(array.ndim)) if axis is None else normalize_axes(axis, array.ndim)


def _restore(result, array, axes, keepdims):
    if not keepdims:
        return result
    kept = iter(range(result.ndim))
    return result._view([None if axis in axes else result.axes[next(kept)] for axis in range(array.ndim)])


def reduce(kind: str, array, axis=None, keepdims=False) -> Array:
    """Sum, prod, max, min, any or all over axes (all of them, if None)."""
    array = as_array(array)
    trace = array.trace
    if kind in ("any", "all"):
        array = convert(array, "i1")
    elif array.element == "i1":
        array = convert(array, "i64")
    axes = _reduced_axes(array, axis)
    element, compute = array.element, _types.accumulation(array.element)
    if kind in _IDENTITY:
        start: float = _IDENTITY[kind]
    elif _types.is_float(element):
        start = -math.inf if kind == "max" else math.inf
    else:
        bits = _types.width(element) - 1
        start = -(1 << bits) if kind == "max" else (1 << bits) - 1
    kept = [extent for index, extent in enumerate(array.shape) if index not in axes]
    initial = full(tuple(kept), start, compute)
    source = array.compact()
    rank = array.ndim
    # Axes of extent 1 have nothing to add up.
    space = ", ".join(f"d{index}" for index in range(rank))
    if any(a is None for a in source.axes) or len(source.source_shape) != rank:
        source = array.stored()
    output_map = f"affine_map<({space}) -> ({', '.join(f'd{i}' for i in range(rank) if i not in axes)})>"
    kinds = ["reduction" if index in axes else "parallel" for index in range(rank)]
    scalars = Scalars(trace)

    def body(blocks):
        x = scalars.convert(blocks[0], compute)
        return scalars.apply(_STEP[kind], (blocks[1], x))[0]

    value = generic(trace, [source], [projection(source, rank)], initial.source,
                    tensor_type(tuple(kept), compute), output_map, kinds, compute, body)
    result = convert(Array(trace, value, compute, tuple(kept)), element)
    return _restore(result, array, axes, keepdims)


def _count(array, axes):
    count = 1
    for axis in axes:
        count = count * array.shape[axis]
    return count


def _over_count(total: Array, count) -> Array:
    """An array divided by a number of elements, which may be an extent."""
    if not isinstance(count, Extent):
        return elementwise("div", total, float(count))
    trace = total.trace
    scalars = Scalars(trace)
    compute = _types.accumulation(total.element)
    number = scalars.convert((trace.extent(count), "index"), compute)

    def body(blocks):
        x = scalars.convert(blocks[0], compute)
        return scalars.convert(scalars.apply("div", (x, number)), total.element)[0]

    return pointwise(trace, [total.compact()], total.shape, total.element, body)


def _as_float(array) -> Array:
    array = as_array(array)
    return array if _types.is_float(array.element) else convert(array, array.trace.default_float)


def mean(array, axis=None, keepdims=False) -> Array:
    array = _as_float(array)
    axes = _reduced_axes(array, axis)
    return _over_count(reduce("sum", array, axes, keepdims), _count(array, axes))


def var(array, axis=None, keepdims=False, ddof=0) -> Array:
    array = _as_float(array)
    axes = _reduced_axes(array, axis)
    centred = elementwise("sub", array, mean(array, axes, True))
    total = reduce("sum", elementwise("square", centred), axes, keepdims)
    return _over_count(total, _count(array, axes) - ddof)
