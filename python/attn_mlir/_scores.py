"""Virtual matrices of scores: expressions that nothing stores.

A `Scores` is an expression over the entries (b, h, i, j) of a matrix: dot
products of queries and keys, indices, elements of captured arrays, and scalar
operations on these. It is emitted as `attn.map` where a reduction, a normalizer
or a product needs it.
"""

from __future__ import annotations

import math
from typing import Any, Sequence, Union

import numpy as np

from . import _types
from ._array import _REDUCED, Array, as_array, is_number, normalize_axes
from ._extents import Extent, hint
from ._operators import Operators
from ._scalar import COMPARISONS, FLOAT_OPS, Scalars, power
from ._trace import current, format_attribute, scores_type, tensor_type

__all__ = ["Scores", "Mask"]

_Axes = Union[int, Sequence[int]]
_INDICES = ("b", "h", "i", "j", "pi", "pj")


class Scores(Operators):
    """A matrix [batch, heads, queries, keys] that is computed and not stored.

    Besides its value every entry has a presence: masked entries are absent, take
    no part in reductions and add nothing to products.
    """

    __array_priority__ = 2000

    def __init__(self, op, args=(), kind="float", shape=None, data=None):
        self.op = op
        self.args = args
        self.kind = kind
        #: (B, H, M, N), or None for an expression of indices alone.
        self._shape = shape
        self.data = data
        #: Whether its axes say where queries and keys begin.
        self.has_origin = False

    # What it is.

    @property
    def shape(self) -> tuple:
        """(B, H, M, N). Errors: ValueError for an expression of indices alone."""
        if self._shape is None:
            raise ValueError("an expression of indices alone has the shape of the scores it is used with; "
                             "attn.generate gives it one")
        return self._shape

    @property
    def ndim(self) -> int:
        return 4

    @property
    def dtype(self) -> str:
        return {"float": _types.to_name(element_of(self)), "int": "int64", "bool": "bool"}[self.kind]

    def __repr__(self):
        extents = "" if self._shape is None else ", ".join(map(str, self._shape))
        return f"Scores(({extents}))"

    def __bool__(self):
        raise TypeError("entries of scores are not known while a function is traced; use attn.where, "
                        "or & | ~ for masks")

    def __getitem__(self, key):
        raise TypeError("scores have no elements to pick; attn.materialize stores them")

    # Arithmetic.

    def _binary(self, name, other, swapped=False):
        if not isinstance(other, (Scores, Array, np.ndarray, Extent)) and not is_number(other):
            return NotImplemented
        return pointwise(name, *((other, self) if swapped else (self, other)))

    def __pow__(self, exponent: Any) -> Scores:
        name = power(exponent) if is_number(exponent) else None
        if name == "copy":
            return self
        if name == "reciprocal":
            return pointwise("div", 1.0, self)
        if name:
            return pointwise(name, self)
        if isinstance(exponent, int) and 2 < exponent <= 16:
            half = self ** (exponent // 2)
            return pointwise("mul", half * half, self) if exponent % 2 else half * half
        return pointwise("pow", self, exponent)

    def __neg__(self) -> Scores:
        return pointwise("neg", self)

    def __pos__(self) -> Scores:
        return self

    def __abs__(self) -> Scores:
        return pointwise("abs", self)

    def __invert__(self) -> Scores:
        return pointwise("not", self)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Scores):
            return matmul(self, other)
        return aggregate(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        if isinstance(other, Array) and other.ndim == 4:
            # x.mT @ s is (s.mT @ x).mT
            return aggregate(self.mT, other.mT).mT
        return NotImplemented

    # Views.

    @property
    def mT(self) -> Scores:
        """Queries and keys exchanged."""
        if self.op == "transpose":
            return self.args[0]
        inner = emit(self)
        b, h, m, n = inner.shape
        return operation(f"attn.transpose {inner.data[0]} : {inner.data[2]} -> "
                         f"{scores_type((b, h, n, m), inner.data[1])}",
                         (b, h, n, m), inner.data[1], inner, op="transpose")

    def swapaxes(self, a: int, b: int) -> Scores:
        """Queries and keys exchanged, the axes 2 and 3; ValueError for others."""
        if set(normalize_axes((a, b), 4)) != {2, 3}:
            raise ValueError("of scores, only queries and keys can be exchanged (axes 2 and 3)")
        return self.mT

    def astype(self, dtype: Any) -> Scores:
        """Entries as floats, integers or bool; the width of floats is that of the operands."""
        element = _types.from_dtype(dtype)
        kind = "bool" if element == "i1" else "float" if element == "float" or _types.is_float(element) else "int"
        return self if kind == self.kind else Scores("convert", (self,), kind, self._shape)

    # Reductions.

    def sum(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The sum of present entries; 0 of none."""
        return reduce("sum", self, axis, keepdims)

    def max(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The largest present entry; -inf of none."""
        return reduce("max", self, axis, keepdims)

    def min(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The smallest present entry; inf of none."""
        return reduce("min", self, axis, keepdims)

    def mean(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The mean of present entries; 0 of none."""
        return reduce("mean", self, axis, keepdims)

    def var(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The variance of present entries."""
        return reduce("moments", self, axis, keepdims)[1]

    def std(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The square root of the variance."""
        from ._array import elementwise
        return elementwise("sqrt", self.var(axis, keepdims))

    def any(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """Whether any present entry holds."""
        return reduce("any", mask(self.astype(float), self), axis, keepdims)

    def argmax(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The index of the largest present entry, int64; the lower one of equals."""
        return reduce("argmax", self, axis, keepdims)

    def argmin(self, axis: _Axes = -1, keepdims: bool = False) -> Array:
        """The index of the smallest present entry, int64; the lower one of equals."""
        return reduce("argmin", self, axis, keepdims)

    # Functions and methods of PyTorch, which score_mod and mask_mod are written in.

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        from ._torch_functions import call
        return call(function, args, kwargs or {})

    device = "cpu"

    def new_ones(self, size=(), dtype=None, device=None):
        """Of tensors without axes: 1, or true."""
        return _lift(True if "bool" in str(dtype) else 1.0)

    def new_zeros(self, size=(), dtype=None, device=None):
        """Of tensors without axes: 0, or false."""
        return _lift(False if "bool" in str(dtype) else 0.0)

    def to(self, *args: Any, dtype: Any = None, **kwargs: Any) -> Scores:
        """In another dtype; a device changes nothing."""
        for value in (*args, dtype):
            if value is not None and str(value).startswith("torch.") and "strided" not in str(value):
                return self.astype(value)
        return self

    def type(self, dtype: Any) -> Scores:
        """In another dtype."""
        return self.astype(dtype)

    def float(self) -> Scores:
        """As floats."""
        return self.astype("f32")

    def __getattr__(self, name):
        # Methods of tensors: score.abs(), score.tanh(), ...
        from ._torch_functions import METHODS
        if name in METHODS:
            return lambda *args: METHODS[name](self, *args)
        raise AttributeError(f"scores have no attribute '{name}'")


class Mask(Scores):
    """A mask that has a name: tiles that it empties are skipped by arithmetic.

    `text` is its attribute in MLIR, `meaning` the same predicate on positions
    (None, if it has no short form), `operand` the name and array of a tensor that
    it takes."""

    def __init__(self, text, meaning=None, operand=None, prepare=None, compares=True):
        if meaning is None:
            super().__init__("named", (), "bool")
        else:
            super().__init__(meaning.op, meaning.args, "bool", meaning._shape, meaning.data)
        self.text = text
        self.operand = operand
        self.prepare = prepare
        self.compares = compares


# ===----------------------------------------------------------------------===
# Expressions
# ===----------------------------------------------------------------------===


def index(name: str) -> Scores:
    return Scores("index", (), "int", None, name)


def _lift(value, shape=None) -> Scores:
    """An expression for a number, an array or an expression."""
    if isinstance(value, Scores):
        return value
    if is_number(value):
        kind = "bool" if isinstance(value, (bool, np.bool_)) else \
            "int" if isinstance(value, (int, np.integer)) else "float"
        return Scores("const", (), kind, None, value)
    if isinstance(value, Extent):
        return Scores("extent", (), "int", None, value)
    array = as_array(value)
    if array.ndim > 4:
        raise ValueError(f"an array of {array.ndim} axes does not broadcast to scores [B, H, M, N]")
    return spread(array)


def spread(array: Array) -> Scores:
    """An array, broadcast to scores as NumPy does."""
    if array.recipe and array.recipe[0] != "reduced":
        # Arithmetic on results of rows is done in their kernel.
        name, operands = array.recipe
        return pointwise(name, *(spread(o) if isinstance(o, Array) else o for o in operands))
    if array.ndim == 4 and array.element in ("f32", "f64", "bf16", "f16") and \
            all(array.axes[a] is not None and hint(array.shape[a]) != 1 for a in (2, 3)):
        return bias(array)
    compact = array.compact()
    indices = [None] * len(compact.source_shape)
    shape = [1, 1, 1, 1]
    for axis, source in enumerate(compact.axes):
        if source is not None:
            place = axis - array.ndim + 4
            indices[source] = index(_INDICES[place])
            shape[place] = compact.source_shape[source]
    kind = "bool" if array.element == "i1" else "float" if _types.is_float(array.element) else "int"
    return Scores("gather", tuple(indices), kind, tuple(shape), compact)


def gather(array: Array, indices) -> Scores:
    """The element of an array at places that entries say."""
    array = array.stored()
    indices = tuple(_lift(item) for item in indices)
    if len(indices) != array.ndim:
        raise ValueError(f"indices of entries pick elements: {array.ndim} are needed, not {len(indices)}")
    for item in indices:
        if item.kind != "int":
            raise TypeError("elements are picked by integers")
    kind = "bool" if array.element == "i1" else "float" if _types.is_float(array.element) else "int"
    return Scores("gather", indices, kind, _join_shapes(indices), array)


def _join_shapes(items):
    shapes = [item._shape for item in items if item._shape is not None]
    if not shapes:
        return None
    result = []
    for axis in range(4):
        extent = 1
        for shape in shapes:
            own = shape[axis]
            if not isinstance(own, Extent) and own == 1:
                continue
            extent = own if not isinstance(extent, Extent) and extent == 1 else \
                current().unify(extent, own, f"axis {axis} of scores [B, H, M, N]")
        result.append(extent)
    return tuple(result)


def pointwise(name: str, *operands) -> Scores:
    """A scalar operation on entries."""
    items = tuple(map(_lift, operands))
    values = items[1:] if name == "where" else items
    if name in COMPARISONS or name in ("isnan", "isfinite"):
        kind = "bool"
    elif name in ("and", "or", "xor", "not") and all(item.kind == "bool" for item in values):
        kind = "bool"
    elif name in FLOAT_OPS or name in ("sigmoid", "silu", "softplus", "gelu") or \
            any(item.kind == "float" for item in values):
        kind = "float"
    elif name == "where" and all(item.kind == "bool" for item in values):
        kind = "bool"
    else:
        kind = "int"
    # Scores with factors that are numbers: scaled dot products.
    if name in ("mul", "div") and items[0].op == "dot" and items[1].op == "const" and id(items[0]) not in _emitted():
        factor = float(items[1].data)
        query, key, scale, options = items[0].data
        scaled = scale * factor if name == "mul" else scale / factor
        return Scores("dot", (), "float", items[0]._shape, (query, key, scaled, options))
    if name == "mul" and items[1].op == "dot" and items[0].op == "const":
        return pointwise(name, items[1], items[0])
    return Scores(name, items, kind, _join_shapes(items))


def _emitted():
    return current().emitted


def _leaves(node, seen, found):
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.op in ("value", "transpose", "dot") or id(node) in _emitted():
        found.append(node)
        return
    if node.op == "gather":
        found.append(node)
    for item in node.args:
        _leaves(item, seen, found)


def element_of(node: Scores) -> str:
    """The float type that an expression is computed in."""
    found: list = []
    _leaves(node, set(), found)
    element = None
    for leaf in found:
        if leaf.op == "gather":
            continue
        own = leaf.data[1] if leaf.op in ("value", "transpose") else \
            _emitted()[id(leaf)].data[1] if id(leaf) in _emitted() else \
            _types.accumulation(leaf.data[0].element)
        if own == "i32":
            continue
        element = own if element is None else _types.promote(element, own)
    if element is None:
        for leaf in found:
            if leaf.op == "gather" and _types.is_float(leaf.data.element):
                own = _types.accumulation(leaf.data.element)
                element = own if element is None else _types.promote(element, own)
    return element or current().default_float


def operation(text, shape, element, *inputs, op="value") -> Scores:
    """The scores that an operation on scores gives."""
    name = current().emit(text)
    kind = "float" if _types.is_float(element) else "int"
    result = Scores(op, inputs if op == "transpose" else (), kind, tuple(shape),
                    (name, element, scores_type(shape, element)))
    result.has_origin = any(item.has_origin for item in inputs)
    return result


def emit(node: Scores) -> Scores:
    """The scores as an operation's result."""
    trace = current()
    if node.op in ("value", "transpose"):
        return node
    known = trace.emitted.get(id(node))
    if known is not None:
        return known
    if node.op == "dot":
        result = _emit_dot(node)
    else:
        result = _emit_map(node)
    # The node is kept, so that its id stays its own.
    result.origin = node
    trace.emitted[id(node)] = result
    return result


def _emit_dot(node):
    query, key, scale, options = node.data
    element = _types.accumulation(query.element) if query.element != "i8" else "i32"
    factor = f" scale({format_attribute(scale)})" if scale != 1.0 else ""
    text = (f"attn.score {query.source}, {key.source}{factor}{options} : "
            f"{tensor_type(query.shape, query.element)}, {tensor_type(key.shape, key.element)} -> "
            f"{scores_type(node.shape, element)}")
    return operation(text, node.shape, element)


def _unify_gathers(node, shape):
    """Arrays that are read by an index of an axis have its extent."""
    trace = current()
    for place, item in enumerate(node.args):
        if item.op == "index" and item.data in _INDICES[:4]:
            own = node.data.source_shape[place]
            axis = shape[_INDICES.index(item.data)]
            if hint(own) == hint(axis) and hint(own) != 1:
                trace.unify(axis, own, "an axis of a captured array")


def write_region(trace, node, shape, element, values):
    """Emits an expression into the open region; `values` names emitted scores."""
    scalars = Scalars(trace)
    memo = {}

    def evaluate(item):
        known = memo.get(id(item))
        if known is None:
            known = memo[id(item)] = compute(item)
        return known

    def compute(item):
        if id(item) in values:
            return values[id(item)]
        if item.op == "const":
            kind = {"float": element, "int": "index", "bool": "i1"}[item.kind]
            return scalars.constant(item.data, kind)
        if item.op == "extent":
            return trace.extent(item.data), "index"
        if item.op == "index":
            return f"%{item.data}", "index"
        if item.op == "named":
            raise ValueError(f"the mask {item.text} has no form as an expression; combine it by & only")
        if item.op == "gather":
            _unify_gathers(item, shape)
            places = ", ".join(evaluate(place)[0] for place in item.args)
            array = item.data
            own = tensor_type(array.source_shape, array.element)
            loaded = trace.emit(f"tensor.extract {array.source}[{places}] : {own}"), array.element
            return scalars.convert(loaded, {"float": element, "int": "index", "bool": "i1"}[item.kind])
        parts = [evaluate(part) for part in item.args]
        if item.op == "convert":
            return scalars.convert(parts[0], {"float": element, "int": "index", "bool": "i1"}[item.kind])
        name = item.op
        kinds = [part.kind for part in item.args]
        inputs = kinds[1:] if name == "where" else kinds
        if item.kind == "float" or "float" in inputs:
            wanted = element
        elif all(kind == "bool" for kind in inputs):
            wanted = "i1"
        else:
            wanted = "index"
        first = 1 if name == "where" else 0
        parts = parts[:first] + [scalars.convert(part, wanted) for part in parts[first:]]
        if name in ("floordiv", "mod") and wanted == "index" and _is_natural(item.args[0]) and \
                item.args[1].op == "const" and item.args[1].data > 0:
            name += "_positive"
        return scalars.apply(name, parts)

    return evaluate(node)


def _is_natural(node) -> bool:
    """Whether an integer expression is sure to be at least 0."""
    if node.op == "index":
        return node.data in _INDICES[:4]
    if node.op == "const":
        return node.data >= 0
    if node.op == "extent":
        return True
    return node.op in ("add", "mul", "floordiv", "mod", "max", "min") and all(map(_is_natural, node.args))


def _operands(node):
    """The scores that a region over `node` takes: (where they occur, emitted)."""
    found = []
    _leaves(node, set(), found)
    return [(leaf, emit(leaf)) for leaf in found if leaf.op != "gather"]


def _region(node, shape, element, kind, operands):
    """Lines of a region over operands, and the header of its arguments."""
    trace = current()
    unique, values = [], {}
    for leaf, value in operands:
        names = [name for other, name in unique if other is value]
        if not names:
            names = [trace.new_name()]
            unique.append((value, names[0]))
        values[id(leaf)] = (names[0], value.data[1] if value.data[1] != "i32" else "i32")
    with trace.region() as lines:
        scalars = Scalars(trace)
        for key, (name, own) in list(values.items()):
            if own == "i32":
                values[key] = scalars.convert((name, "i32"), "index")
        result = write_region(trace, node, shape, element, values)
        wanted = {"float": element, "bool": "i1", "int": "index"}[kind]
        result = scalars.convert(result, wanted)
        trace.line(f"attn.yield {result[0]} : {result[1]}")
    arguments = ", ".join(f"{name}: {value.data[1]}" for value, name in unique)
    head = f"({arguments}) at ({', '.join('%' + name for name in _INDICES)}) {{"
    return [value for value, _ in unique], head, lines


def _emit_map(node) -> Scores:
    trace = current()
    shape = node.shape
    element = element_of(node)
    operands, head, lines = _region(node, shape, element, "float", _operands(node) + _widening(node, shape))
    types = ", ".join(value.data[2] for value in operands)
    result = scores_type(shape, element)
    sizes = "" if operands or not trace.sizes(shape) else f" sizes({trace.sizes(shape)})"
    _check_axes(operands, shape)
    name = trace.new_name()
    names = ", ".join(value.data[0] for value in operands)
    trace.line(f"{name} = attn.map{sizes} {names or '()'} {head if names else head[3:]}")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} : ({types}) -> {result} {trace.location()}")
    mapped = Scores("value", (), "float", shape, (name, element, result))
    mapped.has_origin = any(value.has_origin for value in operands)
    return mapped


def _widening(node, shape):
    """Zeros [B, H, M, N], where an array gives scores more batch elements or heads
    than their operands have."""
    operands = [value for _, value in _operands(node)]
    is_wider = any(hint(shape[axis]) != 1 and all(hint(value.shape[axis]) == 1 for value in operands)
                   for axis in (0, 1))
    if not operands or not is_wider:
        return []
    zeros = emit(generate(0.0, shape))
    return [(zeros, zeros)]


def _check_axes(operands, shape):
    for value in operands:
        for axis in (2, 3):
            if hint(value.shape[axis]) != hint(shape[axis]):
                raise ValueError("scores with one query or key do not broadcast; reduce them, or use attn.where "
                                 "with arrays of rows or columns")


# ===----------------------------------------------------------------------===
# Sources
# ===----------------------------------------------------------------------===


def _fixed(array: Array, axis: int) -> int:
    return int(array.shape[axis])


def _joined_batch(a, b):
    if not isinstance(a, Extent) and a == 1:
        return b
    if not isinstance(b, Extent) and b == 1:
        return a
    return current().unify(a, b, "the batch of queries and keys")


def _map_operand(name, array, extent):
    if array is None:
        return ""
    array = as_array(array).stored()
    return f" {name}({array.source} : {tensor_type(array.shape, array.element)})"


def score(query, key, scale=1.0, heads=None, batches=None, **axes) -> Scores:
    """Scaled dot products of queries [B, H, M, D] and keys [B or 1, G, N, D].

    See `attn.scores`.
    """
    query, key = as_array(query), as_array(key)
    if query.ndim != 4 or key.ndim != 4:
        raise ValueError("scores are of queries [B, H, M, D] and keys [B, G, N, D], "
                         f"not of {query.ndim} and {key.ndim} axes")
    if query.element != key.element:
        raise TypeError(f"queries are {query.dtype} and keys {key.dtype}; convert one with astype")
    if _fixed(query, 3) != _fixed(key, 3):
        raise ValueError(f"queries have {_fixed(query, 3)} features and keys {_fixed(key, 3)}")
    h, g = _fixed(query, 1), _fixed(key, 1)
    if heads is None and h % g:
        raise ValueError(f"{h} heads of queries are no multiple of {g} heads of keys; pass heads= to map them")
    batch = query.shape[0] if batches is not None else _joined_batch(query.shape[0], key.shape[0])
    options = _map_operand("heads", heads, h) + _map_operand("batches", batches, query.shape[0])
    shape = (batch, h, query.shape[2], key.shape[2])
    result = Scores("dot", (), "float", shape, (query.stored(), key.stored(), float(scale), options))
    return with_axes(result, **axes) if axes else result


def bias(array) -> Scores:
    """A stored array [B or 1, H or 1, M, N] of floats as scores. ValueError for other ranks."""
    array = as_array(array).stored()
    element = _types.accumulation(array.element)
    text = (f"attn.bias {array.source} : {tensor_type(array.shape, array.element)} -> "
            f"{scores_type(array.shape, element)}")
    return operation(text, array.shape, element)


def lane(query, key, scale=1.0, heads=None) -> Scores:
    """Scores of queries that have keys of their own: [B, H, M, C].

    Args:
      query: [B, H, M, D]; key: [B or 1, G, M, C, D], C keys for every query.
      scale: multiplies the products.
      heads: integers [H]: the key head of every head.

    Errors: ValueError for other ranks and for extents that differ.
    """
    query, key = as_array(query).stored(), as_array(key).stored()
    if query.ndim != 4 or key.ndim != 5:
        raise ValueError("attn.lane takes queries [B, H, M, D] and keys [B, G, M, C, D]")
    batch = _joined_batch(query.shape[0], key.shape[0])
    current().unify(query.shape[2], key.shape[2], "queries with keys of their own")
    shape = (batch, _fixed(query, 1), query.shape[2], key.shape[3])
    element = _types.accumulation(query.element)
    factor = f" scale({format_attribute(scale)})" if scale != 1.0 else ""
    return operation(f"attn.lane {query.source}, {key.source}{factor}{_map_operand('heads', heads, 0)} : "
                     f"{tensor_type(query.shape, query.element)}, {tensor_type(key.shape, key.element)} -> "
                     f"{scores_type(shape, element)}", shape, element)


def score_with(function, query, key, reduce="sum") -> Scores:
    """A function of features, reduced: sum, max or min over d of f(q_d, k_d, d).

    Args:
      function: takes a feature of the query, one of the key, and its number.
      query: [B, H, M, D]; key: [B or 1, G, N, D], of one float dtype.

    Errors: ValueError for other ranks and dtypes.
    """
    query, key = as_array(query).stored(), as_array(key).stored()
    if query.ndim != 4 or key.ndim != 4 or query.element != key.element:
        raise ValueError("attn.score_with takes queries [B, H, M, D] and keys [B, G, N, D] of one dtype")
    trace = current()
    element = _types.accumulation(query.element)
    shape = (_joined_batch(query.shape[0], key.shape[0]), _fixed(query, 1), query.shape[2], key.shape[2])
    names = [trace.new_name() for _ in range(3)]
    leaves = [Scores("value", (), "float", None, (n, element, None)) for n in names[:2]]
    feature = Scores("feature", (), "int", None, None)
    body = _lift(function(*leaves, feature))
    values = {id(leaves[0]): (names[0], element), id(leaves[1]): (names[1], element),
              id(feature): (names[2], "index")}
    with trace.region() as lines:
        result = write_region(trace, body, shape, element, values)
        result = Scalars(trace).convert(result, element)
        trace.line(f"attn.yield {result[0]} : {element}")
    name = trace.new_name()
    trace.line(f"{name} = attn.score_with {reduce} {query.source}, {key.source} {{")
    trace.line(f"^bb0({names[0]}: {element}, {names[1]}: {element}, {names[2]}: index):")
    trace._buffers[-1].extend(lines)
    result = scores_type(shape, element)
    trace.line(f"}} : {tensor_type(query.shape, query.element)}, {tensor_type(key.shape, key.element)} -> "
               f"{result} {trace.location()}")
    return Scores("value", (), "float", shape, (name, element, result))


def generate(expression, shape) -> Scores:
    """Scores [B, H, M, N] from an expression of indices and captured arrays.

    `shape` has four extents; ValueError for another number.
    """
    if len(shape) != 4:
        raise ValueError("scores have the shape (B, H, M, N)")
    expression = _lift(expression)
    shape = tuple(shape)
    if expression._shape is not None:
        shape = _join_shapes((expression, Scores("const", (), "float", shape, 0)))
    return Scores("convert" if expression.kind != "float" else "add",
                  (expression,) if expression.kind != "float" else (expression, _lift(0.0)), "float", shape)


# ===----------------------------------------------------------------------===
# Axes and masks
# ===----------------------------------------------------------------------===

_AXIS_RANKS = {"positions": 3, "length": 2, "segments": 2, "offset": 1}


def with_axes(scores, **axes) -> Scores:
    """See `attn.with_axes`."""
    inner = emit(_lift(scores))
    options = []
    for side, prefix in (("q", "query"), ("kv", "key")):
        for what, rank in _AXIS_RANKS.items():
            value = axes.pop(f"{side}_{what}", None)
            if value is None:
                continue
            options.append((f"{prefix}_{what}", _axis_operand(value, rank, what, inner, side)))
    if axes:
        raise TypeError(f"unknown axis information: {', '.join(axes)}")
    if not options:
        return inner
    text = " ".join(f"{name}({value})" for name, value in options)
    result = operation(f"attn.with_axes {inner.data[0]} {text} : {inner.data[2]}", inner.shape, inner.data[1], inner)
    result.has_origin |= any(name.endswith(("offset", "positions")) for name, _ in options)
    return result


def _axis_operand(value, rank, what, inner, side):
    trace = current()
    if what == "offset" and (is_number(value) or isinstance(value, Extent)):
        return f"{trace.extent(value)} : index"
    array = as_array(value)
    if what == "offset" and array.ndim == 0:
        number = trace.emit(f"tensor.extract {array.stored().source}[] : tensor<{array.element}>")
        return f"{Scalars(trace).convert((number, array.element), 'index')[0]} : index"
    if _types.is_float(array.element) or array.element in ("i1", "i8", "i16"):
        raise TypeError(f"{side}_{what} takes integers, not {array.dtype}")
    if array.ndim > rank:
        raise ValueError(f"{side}_{what} has at most {rank} axes, not {array.ndim}")
    length = inner.shape[2 if side == "q" else 3]
    if what in ("positions", "segments"):
        trace.unify(length, array.shape[-1], f"{side}_{what}")
        if array.ndim < rank and array.ndim > 1:
            array = array[:, None]
        while array.ndim < rank:
            array = array[None]
    else:
        while array.ndim < rank:
            array = array[..., None]
    first = array.shape[0]
    if hint(first) != 1:
        trace.unify(inner.shape[0], first, f"the batch of {side}_{what}")
    array = array.stored()
    return f"{array.source} : {tensor_type(array.shape, array.element)}"


def mask(scores, where) -> Scores:
    """Entries become absent where a condition does not hold."""
    result = _lift(scores)
    if isinstance(where, Array):
        where = spread(where) if where.element == "i1" and where.ndim <= 4 else where
    if where is None:
        return result
    for part in _conjuncts(where):
        result = _mask_once(result, part)
    return result


def _conjuncts(where):
    if isinstance(where, Mask):
        return [where]
    where = _lift(where)
    if where.op == "and" and where.kind == "bool":
        return _conjuncts(where.args[0]) + _conjuncts(where.args[1])
    return [where]


def _mask_once(scores, where) -> Scores:
    trace = current()
    if where.kind != "bool":
        raise TypeError("where= takes a mask or a condition, not numbers")
    if isinstance(where, Mask):
        inner = emit(scores)
        if where.prepare:
            inner = emit(where.prepare(inner))
        if where.compares:
            _share_origin(inner)
        operand = f" prefix({_prefix_operand(where.operand)})" if where.operand is not None else ""
        return operation(f"attn.mask {inner.data[0]} {where.text}{operand} : {inner.data[2]}",
                         inner.shape, inner.data[1], inner)
    inner = emit(scores)
    others = [(leaf, value) for leaf, value in _operands(where) if value is not inner]
    if others:
        # Another matrix decides: its own mask, and presence where both are.
        other = emit(others[0][0])
        for leaf, _ in others[1:]:
            other = emit(pointwise("add", other, leaf))
        decided = _emit_condition(trace, where, scores)
        return decided
    shape = _join_shapes((inner, where)) if where._shape is not None else inner.shape
    if [hint(e) for e in shape] != [hint(e) for e in inner.shape]:
        # The condition has more batches or heads than the scores.
        widened = _emit_map(Scores("add", (inner, Scores("const", (), "float", shape, 0.0)), "float", shape))
        return _mask_once(widened, _replace(where, inner, widened))
    operands = _operands(where)
    _, head, lines = _region(where, inner.shape, inner.data[1], "bool", operands)
    if not operands:
        name = trace.new_name()
        head = f"({name}: {inner.data[1]}){head[2:]}"
    result = trace.new_name()
    trace.line(f"{result} = attn.mask {inner.data[0]} {head}")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} : {inner.data[2]} {trace.location()}")
    masked = Scores("value", (), "float", inner.shape, (result, inner.data[1], inner.data[2]))
    masked.has_origin = inner.has_origin
    return masked


def _emit_condition(trace, where, scores) -> Scores:
    """Scores masked by a condition on other matrices: the condition as numbers,
    masked by itself, and the scores where both are present."""
    decided = emit(Scores("where", (where, _lift(1.0), _lift(0.0)), "float", _join_shapes((where, scores))))
    positive = _mask_once(decided, pointwise("gt", decided, 0.0))
    first, second = emit(scores), emit(positive)
    left = Scores("where", (pointwise("gt", second, 0.0), first, first), "float", _join_shapes((first, second)))
    return _emit_map(left)


def _replace(node, old, new):
    if node is old:
        return new
    if not node.args:
        return node
    return Scores(node.op, tuple(_replace(a, old, new) for a in node.args), node.kind, node._shape, node.data)


def _share_origin(scores):
    """Masks that compare positions need queries and keys that begin together."""
    m, n = scores.shape[2], scores.shape[3]
    if scores.has_origin:
        return
    if hint(m) != hint(n):
        raise ValueError(f"{hint(m)} queries and {hint(n)} keys: this mask compares positions, and needs to know "
                         "where the queries begin; pass q_offset= (for decoding, keys - queries) to attn.scores or "
                         "attn.with_axes")
    current().unify(m, n, "queries and keys")


def _prefix_operand(value):
    array = as_array(value)
    array = (array[None] if array.ndim == 0 else array).stored()
    return f"{array.source} : {tensor_type(array.shape, array.element)}"


def fill(scores, value) -> Scores:
    """Absent entries become present with a value, a Python number."""
    inner = emit(_lift(scores))
    return operation(f"attn.fill {inner.data[0]}, {format_attribute(value)} : {inner.data[2]}", inner.shape,
                     inner.data[1], inner)


# ===----------------------------------------------------------------------===
# Normalizers, reductions, products
# ===----------------------------------------------------------------------===


def _peel(scores):
    """Entries that are -inf where a condition says so, as absent entries: the same
    to a softmax, and tiles without others can be skipped."""
    conditions = []
    while scores.op == "where":
        condition, yes, no = scores.args
        if no.op == "const" and no.data == -math.inf:
            scores = yes
        elif yes.op == "const" and yes.data == -math.inf:
            condition, scores = pointwise("not", condition), no
        else:
            break
        conditions.append(condition)
    return scores, conditions


def mask_for_softmax(scores, where) -> Scores:
    """`mask`, where -inf is as good as absent."""
    scores, conditions = _peel(_lift(scores))
    for condition in conditions:
        scores = mask(scores, condition)
    return mask(scores, where)


def softmax(scores, where=None, axis=-1, scale=None, base=None, temperature=None, sink=None, plus_one=False) -> Scores:
    axis = normalize_axes(axis, 4)[0]
    if axis == 2:
        flipped = softmax(mask_for_softmax(scores, where).mT, None, -1, scale, base, temperature, sink, plus_one)
        return flipped.mT
    if axis != 3:
        raise ValueError("softmax runs over keys (axis -1) or queries (axis -2) of scores")
    inner = emit(mask_for_softmax(scores, where))
    options = ""
    if scale is not None:
        options += f" scale({format_attribute(scale)})"
    if base is not None:
        options += f" base({format_attribute(base)})"
    if temperature is not None:
        if is_number(temperature):
            inner = emit(pointwise("div", inner, temperature))
        else:
            array = as_array(temperature)
            if array.ndim == 4:
                array = array[..., 0]
            while array.ndim < 3:
                array = array[None] if array.ndim else array[None]
            array = array.stored()
            options += f" temperature({array.source} : {tensor_type(array.shape, array.element)})"
    if sink is not None:
        array = as_array(sink)
        array = (array[None] if array.ndim == 0 else array).stored()
        options += f" sink({array.source} : {tensor_type(array.shape, array.element)})"
    if plus_one:
        options += " plus_one"
    return operation(f"attn.softmax {inner.data[0]}{options} : {inner.data[2]}", inner.shape, inner.data[1], inner)


_AXIS_NAMES = {0: "batch", 1: "heads", 2: "queries", 3: "keys"}


def _axes_text(axes):
    names = []
    if 2 in axes and 3 in axes:
        names.append("both")
    else:
        names += [_AXIS_NAMES[a] for a in (2, 3) if a in axes]
    names += [_AXIS_NAMES[a] for a in (1, 0) if a in axes]
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def reduce(kind, scores, axis=-1, keepdims=False, groups=None):
    """A reduction over the present entries; see `attn.reduce` in the reference."""
    inner = emit(_lift(scores))
    axes = normalize_axes(axis, 4)
    if not {2, 3} & set(axes):
        raise ValueError("reductions of scores run over keys (-1) or queries (-2), and over heads (1) and batch (0) "
                         "beside; attn.reduce_heads reduces over heads alone")
    kept = [extent for index, extent in enumerate(inner.shape) if index not in axes]
    options = ""
    if groups is not None:
        options = f" groups({int(groups)})"
        kept.insert(1 if 0 not in axes else 0, int(groups))
    elements = {"count": ["i64"], "any": ["i1"], "moments": [inner.data[1]] * 2}.get(kind)
    if elements is None:
        elements = ["i64"] * len(axes) if kind in ("argmax", "argmin") else [inner.data[1]]
    types = ", ".join(tensor_type(tuple(kept), element) for element in elements)
    result = types if len(elements) == 1 else f"({types})"
    values = current().emit(f"attn.reduce {kind} {_axes_text(axes)} {inner.data[0]}{options} : "
                            f"({inner.data[2]}) -> {result}", len(elements))
    values = [values] if len(elements) == 1 else values
    arrays = []
    for value, element in zip(values, elements):
        array = Array(current(), value, element, tuple(kept))
        array.recipe = _REDUCED
        if keepdims:
            own = iter(range(array.ndim))
            array = array._view([None if a in axes and not (groups is not None and a == 1) else next(own)
                                 for a in range(4)])
        arrays.append(array)
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def binned(kind, scores, bins, by, axis=-1):
    """Reductions per bin over keys (axis -1), queries (-2), or the axes said.

    Args:
      kind: sum, max, min, mean or count.
      scores: [B, H, M, N].
      bins: how many there are: a number, or an extent.
      by: the bin of an entry: an integer expression of its score, of indices and of
        captured arrays. Entries of bins outside of 0 to bins - 1 count nowhere.

    Returns:
      [..., bins]: the axes that are kept, and one of bins; int64 for count.

    Errors: ValueError for a bin that depends on other scores.
    """
    trace = current()
    inner = emit(_lift(scores))
    axes = normalize_axes(axis, 4)
    by = _lift(by)
    kept = tuple(e for i, e in enumerate(inner.shape) if i not in axes)
    is_free = isinstance(bins, Extent)
    operands = _operands(by)
    if any(value is not inner for _, value in operands):
        raise ValueError("the bin of an entry may depend on its own score, on indices and on captured arrays")
    _, head, lines = _region(by, inner.shape, inner.data[1], "int", operands)
    if not operands:
        head = f"({trace.new_name()}: {inner.data[1]}){head[2:]}"
    element = "i64" if kind == "count" else inner.data[1]
    result = tensor_type(kept + (bins,), element)
    name = trace.new_name()
    count = trace.extent(bins) if is_free else str(int(bins))
    trace.line(f"{name} = attn.reduce {kind} {_axes_text(axes)} {inner.data[0]} bins({count}) by {head}")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} : ({inner.data[2]}) -> {result} {trace.location()}")
    return Array(trace, name, element, kept + (bins,))


def aggregate(weights, values, heads=None, operand_type=None):
    """Values [B, G, N, Dv], weighted: p @ v. A tuple of values stands side by side."""
    inner = emit(_lift(weights))
    values = values if isinstance(values, (tuple, list)) else (values,)
    arrays = [as_array(v).stored() for v in values]
    batch, h, m, n = inner.shape
    total = None
    for array in arrays:
        if array.ndim not in (4, 5):
            raise ValueError(f"values are [B, G, N, Dv] (or [B, G, M, N, Dv]), not of {array.ndim} axes")
        if h % _fixed(array, 1) and heads is None:
            raise ValueError(f"{h} heads of scores are no multiple of {_fixed(array, 1)} heads of values")
        keys = array.shape[-2]
        total = keys if total is None else total + keys
        if hint(array.shape[0]) != 1:
            batch = _joined_batch(batch, array.shape[0])
    if hint(inner.shape[0]) != hint(batch):
        # Weights of one batch element, for all of them.
        inner = emit(Scores("add", (inner, _lift(0.0)), "float", (batch, h, m, n)))
    current().unify(n, total, "keys of the scores and rows of the values")
    element = arrays[-1].element
    shape = (batch, h, m, _fixed(arrays[0], arrays[0].ndim - 1))
    operand = _map_operand("heads", heads, h)
    texts = [a.source + operand for a in arrays]
    text = texts[0] if len(arrays) == 1 else f"({', '.join(texts)})"
    rounded = f" operand_type({operand_type})" if operand_type else ""
    types = ", ".join(tensor_type(a.shape, a.element) for a in arrays)
    if len(arrays) == 1 and operand:
        text = f"({text})"
    value = current().emit(f"attn.aggregate {inner.data[0]}, {text}{rounded} : {inner.data[2]}, {types} -> "
                           f"{tensor_type(shape, element)}")
    return Array(current(), value, element, shape)


def matmul(a, b) -> Scores:
    a, b = emit(_lift(a)), emit(_lift(b))
    current().unify(a.shape[3], b.shape[2], "keys of one matrix and queries of the other")
    batch = _joined_batch(a.shape[0], b.shape[0])
    heads = a.shape[1] if hint(b.shape[1]) == 1 else b.shape[1]
    shape = (batch, heads, a.shape[2], b.shape[3])
    return operation(f"attn.matmul {a.data[0]}, {b.data[0]} : {a.data[2]}, {b.data[2]} -> "
                     f"{scores_type(shape, a.data[1])}", shape, a.data[1], a, b)


def concatenate(parts) -> Scores:
    """Matrices side by side along the keys."""
    parts = [emit(_lift(part)) for part in parts]
    total = parts[0].shape[3]
    batch, heads, m = parts[0].shape[:3]
    for part in parts[1:]:
        total = total + part.shape[3]
        batch = _joined_batch(batch, part.shape[0])
        heads = part.shape[1] if hint(heads) == 1 else heads
        m = current().unify(m, part.shape[2], "queries of matrices side by side")
    shape = (batch, heads, m, total)
    names = ", ".join(part.data[0] for part in parts)
    types = ", ".join(part.data[2] for part in parts)
    element = parts[0].data[1]
    return operation(f"attn.concat {names} : ({types}) -> {scores_type(shape, element)}", shape, element)


def convolve(scores, taps, origin, same_segment=False) -> Scores:
    """Sums over neighbours: r[i, j] = sum_uv taps[u, v] s[i + u - u0, j + v - v0].

    Args:
      scores: [B, H, M, N]. Absent neighbours count as 0; absent entries stay so.
      taps: [U, V] for all heads, or [H or 1, U, V]; extents are fixed.
      origin: (u0, v0), the tap of the entry itself.
      same_segment: neighbours of other documents (`with_axes`) count as 0.
    """
    inner, taps = emit(_lift(scores)), as_array(taps)
    if taps.ndim == 2:
        taps = taps[None]
    taps = taps.stored()
    for axis in range(3):
        _fixed(taps, axis)
    option = " same_segment" if same_segment else ""
    u, v = origin
    return operation(f"attn.convolve {inner.data[0]}, {taps.source} origin [{int(u)}, {int(v)}]{option} : "
                     f"{inner.data[2]}, {tensor_type(taps.shape, taps.element)}", inner.shape, inner.data[1], inner)


def mix_heads(scores, weights) -> Scores:
    """Sums over heads: r[h] = sum_g weights[h, g] s[g] (arXiv 2003.02436).

    Args:
      scores: [B, G, M, N].
      weights: [H, G], fixed extents.

    Returns:
      [B, H, M, N].
    """
    inner, weights = emit(_lift(scores)), as_array(weights).stored()
    shape = (inner.shape[0], _fixed(weights, 0), *inner.shape[2:])
    _fixed(weights, 1)
    return operation(f"attn.mix_heads {inner.data[0]}, {weights.source} : {inner.data[2]}, "
                     f"{tensor_type(weights.shape, weights.element)} -> {scores_type(shape, inner.data[1])}",
                     shape, inner.data[1], inner)


def reduce_heads(kind, scores, groups=1) -> Scores:
    inner = emit(_lift(scores))
    shape = (inner.shape[0], int(groups), *inner.shape[2:])
    return operation(f"attn.reduce_heads {kind} {inner.data[0]} : {inner.data[2]} -> "
                     f"{scores_type(shape, inner.data[1])}", shape, inner.data[1], inner)


def restrict(scores, blocks, block, counts=None) -> Scores:
    """Keeps the entries whose key block is in the list of the query block.

    Args:
      blocks: integers [B or 1, H or 1, ceil(M / r), L]: blocks of keys.
      block: (r, c), queries and keys of a block.
      counts: integers [B or 1, H or 1, ceil(M / r)]: elements in use.
    """
    inner, blocks = emit(_lift(scores)), as_array(blocks)
    _fixed(blocks, 1)
    blocks = blocks.stored()
    option = ""
    if counts is not None:
        counts = as_array(counts)
        _fixed(counts, 1)
        counts = counts.stored()
        option = f" counts({counts.source} : {tensor_type(counts.shape, counts.element)})"
    r, c = block
    return operation(f"attn.restrict {inner.data[0]}, {blocks.source}{option} block({int(r)}, {int(c)}) : "
                     f"{inner.data[2]}, {tensor_type(blocks.shape, blocks.element)}", inner.shape, inner.data[1], inner)


def materialize(scores, absent=0.0) -> Array:
    """Stores the matrix, as an array [B, H, M, N]; absent entries as `absent`, a number."""
    inner = emit(_lift(scores))
    option = f" absent({format_attribute(absent)})" if absent else ""
    value = current().emit(f"attn.materialize {inner.data[0]}{option} : {inner.data[2]} -> "
                           f"{tensor_type(inner.shape, inner.data[1])}")
    return Array(current(), value, inner.data[1], inner.shape)


def topk(scores, k, limit=None, smallest=False, by_position=False):
    """The k best entries of every row: values, key indices, and their number."""
    inner = emit(_lift(scores))
    options = ""
    if limit is not None:
        limit = as_array(limit)
        while limit.ndim < 3:
            limit = limit[None] if limit.ndim == 0 else limit[..., None]
        limit = limit.stored()
        options += f" limit({limit.source} : {tensor_type(limit.shape, limit.element)})"
    if smallest:
        options += " smallest"
    if by_position:
        options += " by_position"
    rows = inner.shape[:3]
    shape = rows + (int(k),)
    types = [tensor_type(shape, inner.data[1]), tensor_type(shape, "i64"), tensor_type(rows, "i64")]
    values = current().emit(f"attn.topk {inner.data[0]}{options} : ({inner.data[2]}) -> ({', '.join(types)})", 3)
    return (Array(current(), values[0], inner.data[1], shape), Array(current(), values[1], "i64", shape),
            Array(current(), values[2], "i64", rows))
