"""The functions of the package, on arrays and on scores alike."""

from __future__ import annotations

import builtins

import numpy as np

from . import _array, _control, _indexing, _products, _scores, _selection, _shapes
from ._array import Array, as_array
from ._extents import Extent, hint as _hint
from ._scores import Mask, Scores, index

# ===----------------------------------------------------------------------===
# Entries of scores
# ===----------------------------------------------------------------------===

#: Indices of an entry of scores: its batch element, head, query and key, and the
#: positions of query and key, which an offset moves.
batch, head, q_idx, kv_idx, q_pos, kv_pos = map(index, ("b", "h", "i", "j", "pi", "pj"))

#: Keys at or before the query.
causal = Mask("causal", kv_pos <= q_pos)


def window(left: int, right: int = 0) -> Mask:
    """Keys from `left` positions before the query to `right` positions behind it."""
    left, right = int(left), int(right)
    return Mask(f"window<left = {left}, right = {right}>", (q_pos - kv_pos <= left) & (kv_pos - q_pos <= right))


def sliding_window(size: int) -> Mask:
    """The query and the `size` - 1 keys before it (Mistral, arXiv 2310.06825)."""
    return window(int(size) - 1, 0)


def chunked(size: int) -> Mask:
    """Causal inside of chunks of `size` positions."""
    return Mask(f"chunked<size = {int(size)}>", (kv_pos <= q_pos) & (q_pos // int(size) == kv_pos // int(size)))


def dilated(window: int, dilation: int) -> Mask:
    """`window` keys, `dilation` apart, up to the query (LongNet, arXiv 2307.02486)."""
    w, d = int(window), int(dilation)
    return Mask(f"dilated<window = {w}, dilation = {d}>")


def neighborhood(shape, window, dilation=None, causal=None) -> Mask:
    """Neighborhood attention on a row-major grid of 1 to 3 axes (arXiv 2403.04690)."""
    def text(values):
        return "[" + ", ".join(str(int(v)) for v in values) + "]"

    shape, window = tuple(np.atleast_1d(shape)), tuple(np.atleast_1d(window))
    options = f"shape = {text(shape)}, window = {text(window)}"
    if dilation is not None:
        options += f", dilation = {text(np.atleast_1d(dilation))}"
    if causal is not None:
        options += f", causal = {text(np.atleast_1d(causal).astype(int))}"
    return Mask(f"neighborhood<{options}>")


def prefix_lm(length) -> Mask:
    """Causal, and all keys of a prefix: `length` is an array [B], or a number."""
    return Mask("prefix", None, length)


def document(q_segments, kv_segments=None) -> Mask:
    """Queries and keys of one document: integers [L] or [B, L] that tell them apart."""
    kv = q_segments if kv_segments is None else kv_segments
    return Mask("document", None, None,
                lambda scores: _scores.with_axes(scores, q_segments=q_segments, kv_segments=kv), False)


def lengths(kv_length, q_length=None) -> Mask:
    """Keys (and queries) before a length of their batch element: integers [B]."""
    where = kv_idx < as_array(kv_length)[batch]
    return where if q_length is None else where & (q_idx < as_array(q_length)[batch])


# ===----------------------------------------------------------------------===
# Scores
# ===----------------------------------------------------------------------===


def scores(query, key, scale=1.0, heads=None, batches=None, **axes) -> Scores:
    """Dot products of queries and keys, `query @ key.mT * scale` with more to say.

    Args:
      query: [B, H, M, D].
      key: [B or 1, G, N, D]; head h reads key head h // (H / G).
      heads: integers [H]: the key head of every head, in place of that.
      batches: integers [B]: the batch element of the keys of every batch element.
      axes: q_offset, kv_offset, q_positions, kv_positions, q_length, kv_length,
        q_segments, kv_segments, as `with_axes` takes them.
    """
    return _scores.score(query, key, scale, heads, batches, **axes)


def with_axes(scores, **axes) -> Scores:
    """The same entries, where masks and lengths know more of the axes.

    Args (for queries, and the same for keys as kv_...):
      q_offset: a number or [B]: the position of the first query.
      q_positions: [L], [B, L] or [B, H, L]: the position of every query.
      q_length: [B] or [B, H]: queries at or beyond it are absent.
      q_segments: [L] or [B, L]: the document of every query.
    """
    return _scores.with_axes(scores, **axes)


def softmax(x, where=None, axis=-1, scale=None, base=None, temperature=None, sink=None, plus_one=False):
    """Exponentials over their sum, without overflow.

    Of scores, over keys (axis -1) or queries (-2) for which `where` holds; a row
    without any has no weights. Of an array, over an axis.

    Args:
      where: a mask, or a condition on entries.
      scale: multiplies scores first.
      base: of the powers, in place of e.
      temperature: divides scores: a number, or an array [B, H, M].
      sink: logits [H] that take part in the sum alone (arXiv 2309.17453).
      plus_one: 1 is added to the sum.
    """
    if isinstance(x, Scores):
        return _scores.softmax(x, where, axis, scale, base, temperature, sink, plus_one)
    x = _array._as_float(x)
    if scale is not None:
        x = x * scale
    if temperature is not None:
        x = x / temperature
    if where is not None:
        x = globals()["where"](where, x, -np.inf)
    top = x.max(axis, keepdims=True)
    if where is not None:
        top = globals()["where"](top == -np.inf, 0.0, top)
    e = exp(x - top)
    total = e.sum(axis, keepdims=True)
    if where is not None:
        total = globals()["where"](total == 0.0, 1.0, total)
    return e / total


def log_softmax(x, axis=-1):
    """Logarithms of `softmax`, of scores or of an array, with its shape."""
    return x - logsumexp(x, axis=axis, keepdims=True)


def logsumexp(x, where=None, axis=-1, keepdims=False):
    """ln sum exp x, without overflow; -inf of nothing.

    Of scores [B, H, M, N], over keys (axis -1) or queries (-2) for which `where`
    holds; of an array, over an axis. An array, without that axis.
    """
    if isinstance(x, Scores):
        return _scores.reduce("lse", _scores.mask_for_softmax(x, where), axis, keepdims)
    x = _array._as_float(x)
    top = x.max(axis, keepdims=True)
    safe = globals()["where"](top == -np.inf, 0.0, top)
    result = log(exp(x - safe).sum(axis, keepdims=True)) + safe
    return result if keepdims else _shapes.squeeze(result, axis)


def mask(scores, where) -> Scores:
    """Entries become absent where a mask or condition does not hold.

    `where` is a named mask, an expression of entries, or an array of bool that
    broadcasts to [B, H, M, N]. Errors: ValueError for shapes that do not fit.
    """
    return _scores.mask(scores, where)


fill = _scores.fill
generate = _scores.generate
bias = _scores.bias
lane = _scores.lane
score_with = _scores.score_with
convolve = _scores.convolve
mix_heads = _scores.mix_heads
restrict = _scores.restrict
materialize = _scores.materialize
binned = _scores.binned


def aggregate(weights, values, heads=None, operand_type=None) -> Array:
    """`weights @ values`: [B, H, M, Dv].

    Args:
      weights: scores [B, H, M, N].
      values: [B or 1, G, N, Dv], or [B or 1, G, M, N, Dv] for rows with values of
        their own; or a tuple of such, whose keys stand side by side.
      heads: integers [H] that map heads to heads of values; h // (H / G) without.
      operand_type: weights are rounded to this element type first ("bf16", say).

    Errors: ValueError for ranks, heads and numbers of keys that do not fit.
    """
    return _scores.aggregate(weights, values, heads, operand_type)


def reduce_heads(scores, kind="sum", groups=1) -> Scores:
    """Sum, max, min, mean or count over adjacent heads: [B, groups, M, N]."""
    return _scores.reduce_heads(kind, scores, groups)


def entropy(x, where=None, axis=-1, keepdims=False) -> Array:
    """The entropy of softmax(x) in nats, over keys (axis -1) or queries (-2) of
    scores [B, H, M, N]; 0 of nothing."""
    return _scores.reduce("entropy", _scores.mask(x, where), axis, keepdims)


def count(x, where=None, axis=-1, keepdims=False) -> Array:
    """How many entries of scores are present along keys (axis -1) or queries (-2); int64."""
    return _scores.reduce("count", _scores.mask(x, where), axis, keepdims)


def topk(x, k, axis=-1, largest=True, limit=None, among=None, by_position=False):
    """The k best entries of rows of scores, or elements of an array along an axis.

    Args:
      x: scores [B, H, M, N], of which rows are looked at, or an array.
      k: how many, a Python number.
      largest: the smallest otherwise.
      limit: at most so many: an integer, or an array of them for rows.
      among: bool, of the shape of an array x: the candidates.
      by_position: in ascending order of index, not of value.

    Returns:
      (values, indices, count): [..., k], int64 [..., k], int64 [...]. Behind the
      count, indices are -1 and values 0, of scores -inf (inf for the smallest).
      Ties go to the lower index.
    """
    if isinstance(x, Scores):
        return _scores.topk(x, k, limit, not largest, by_position)
    return _selection.select_topk(x, k, axis, largest, limit, among, by_position)


# ===----------------------------------------------------------------------===
# Elements
# ===----------------------------------------------------------------------===


def _apply(name, *operands):
    if builtins.any(isinstance(o, Scores) for o in operands):
        return _scores.pointwise(name, *operands)
    return _array.elementwise(name, *operands)


_OF_ELEMENTS = " Of all elements of an array, or of all entries of scores; the shape stays."
_OF_PAIRS = " Arrays, scores and numbers broadcast; the result is scores if an operand is."


def _unary(name, text):
    def function(x):
        return _apply(name, x)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text + _OF_ELEMENTS
    return function


def _binary(name, own, text):
    def function(x, y):
        return _apply(own, x, y)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text + _OF_PAIRS
    return function


_UNARY = {
    "exp": "e to the power of x.", "exp2": "2 to the power of x.", "expm1": "exp(x) - 1, accurate near 0.",
    "log": "The natural logarithm.", "log2": "The logarithm to base 2.", "log1p": "log(1 + x), accurate near 0.",
    "sqrt": "The square root.", "rsqrt": "1 / sqrt(x).", "tanh": "The hyperbolic tangent.", "sin": "The sine.",
    "cos": "The cosine.", "tan": "The tangent.", "erf": "The error function.", "floor": "The integer at or below x.",
    "ceil": "The integer at or above x.", "round": "The nearest integer, ties to even.", "abs": "The magnitude.",
    "sign": "-1, 0 or 1.", "square": "x * x.", "relu": "max(x, 0).", "sigmoid": "1 / (1 + exp(-x)).",
    "silu": "x * sigmoid(x).", "softplus": "log(1 + exp(x)).", "gelu": "x times the normal distribution function.",
    "isnan": "Whether x is NaN.", "isfinite": "Whether x is neither NaN nor infinite.",
    "arcsin": "The inverse sine.", "arccos": "The inverse cosine.", "sinh": "The hyperbolic sine.",
    "cosh": "The hyperbolic cosine.",
}
_BINARY = {
    "maximum": ("max", "The larger; a NaN wins."), "minimum": ("min", "The smaller; a NaN wins."),
    "logical_and": ("and", "Both."), "logical_or": ("or", "Either."), "logical_xor": ("xor", "One of them."),
    "power": ("pow", "x to the power of y."), "mod": ("mod", "The remainder, with the sign of y."),
    "arctan2": ("atan2", "The angle of (y, x)."),
}
for _name, _text in _UNARY.items():
    globals()[_name] = _unary(_name, _text)
for _name, (_own, _text) in _BINARY.items():
    globals()[_name] = _binary(_name, _own, _text)
exp, log = globals()["exp"], globals()["log"]


def logical_not(x):
    """Where x, of bool, does not hold."""
    return ~x


def where(condition, x, y):
    """x where the condition holds, else y: scores if any of them is, else an array.

    Errors: ValueError for a named mask without an expression (`dilated`, ...)."""
    if isinstance(condition, Mask) and condition.op == "named":
        raise ValueError(f"the mask {condition.text} has no form as an expression; use softmax(where=)")
    return _apply("where", condition, x, y)


def clip(x, low=None, high=None):
    """Held between two bounds, which broadcast; None is no bound."""
    if low is not None:
        x = _apply("max", x, low)
    return x if high is None else _apply("min", x, high)


# ===----------------------------------------------------------------------===
# Reductions
# ===----------------------------------------------------------------------===


def _reduction(name, text):
    def function(x, axis=None, keepdims=False):
        if isinstance(x, Scores):
            return getattr(x, name)(-1 if axis is None else axis, keepdims)
        return getattr(as_array(x), name)(axis, keepdims)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text + (" Of an array, along axes, along all for None. Of scores, over "
                               "keys (-1) by default, or over the axes said, of entries that are present.")
    return function


for _name, _text in {"sum": "The sum over axes.", "max": "The largest.", "min": "The smallest.",
                     "mean": "The mean.", "var": "The variance.", "std": "The standard deviation.",
                     "any": "Whether any holds."}.items():
    globals()[_name] = _reduction(_name, _text)


def all(x, axis=None, keepdims=False):
    """Whether all elements hold along axes; along all for None."""
    return as_array(x).all(axis, keepdims)


def prod(x, axis=None, keepdims=False):
    """The product of elements along axes; along all for None."""
    return as_array(x).prod(axis, keepdims)


def argmax(x, axis=-1):
    """The index of the largest along an axis, int64; the lower one of equals. -1 in
    rows of scores without any entry."""
    return x.argmax(axis) if isinstance(x, Scores) else as_array(x).argmax(axis)


def argmin(x, axis=-1):
    """The index of the smallest along an axis, int64; the lower one of equals. -1 in
    rows of scores without any entry."""
    return x.argmin(axis) if isinstance(x, Scores) else as_array(x).argmin(axis)


def cumsum(x, axis=-1, exclusive=False, reverse=False):
    """Running sums along an axis: up to and with every element; without it
    (`exclusive`), or from the end (`reverse`). Of bool, int64."""
    return _selection.cumulative("sum", x, axis, exclusive, reverse)


def cumprod(x, axis=-1, exclusive=False, reverse=False):
    """Running products along an axis, as `cumsum` has sums."""
    return _selection.cumulative("prod", x, axis, exclusive, reverse)


def cummax(x, axis=-1):
    """Running maxima along an axis."""
    return _selection.cumulative("max", x, axis)


# ===----------------------------------------------------------------------===
# Shapes, products, selection, loops
# ===----------------------------------------------------------------------===

asarray = as_array
reshape, squeeze, expand_dims, moveaxis = _shapes.reshape, _shapes.squeeze, _shapes.expand_dims, _shapes.moveaxis
broadcast_to, stack, split, pad = _shapes.broadcast_to, _shapes.stack, _shapes.split, _shapes.pad
repeat, tile, flip, roll = _shapes.repeat, _shapes.tile, _shapes.flip, _shapes.roll
arange, zeros, ones, full, eye = _shapes.arange, _shapes.zeros, _shapes.ones, _shapes.filled, _shapes.eye
tril, triu, diagonal, trace = _shapes.tril, _shapes.triu, _shapes.diagonal, _shapes.trace_
matmul, einsum, conv, pool = _products.matmul, _products.einsum, _products.conv, _products.pool
sort, argsort, searchsorted = _selection.sort, _selection.argsort, _selection.searchsorted
take_along_axis, gather, scatter, compact = (_selection.take_along_axis, _selection.gather, _selection.scatter,
                                             _selection.compact)
dynamic_update = _indexing.dynamic_update
fori_loop, while_loop, scan, cond = _control.fori_loop, _control.while_loop, _control.scan, _control.cond


def concatenate(arrays, axis=0):
    """One after the other along an axis; matrices of scores along the keys.

    Other extents have to agree: ValueError, otherwise, and for scores on other axes.
    """
    arrays = list(arrays)
    if isinstance(arrays[0], Scores):
        if axis not in (-1, 3):
            raise ValueError("scores stand side by side along the keys: axis -1")
        return _scores.concatenate(arrays)
    return _shapes.concatenate(arrays, axis)


def transpose(x, axes=None):
    """Axes in another order; reversed for None."""
    return as_array(x).transpose(*([axes] if axes is not None else []))


def swapaxes(x, a, b):
    """Two axes exchanged; of scores, queries and keys."""
    return x.swapaxes(a, b)


def take(x, indices, axis=0):
    """Elements or rows at indices along an axis; negative indices give 0.

    x [a, n, b] and indices of shape S give [a, *S, b] for axis 1.
    """
    return _selection.take(x, indices, axis)


def zeros_like(x, dtype=None):
    """Zeros of the shape, and by default the dtype, of x."""
    return _shapes.zeros(x.shape, x.dtype if dtype is None else dtype)


def ones_like(x, dtype=None):
    """Ones of the shape, and by default the dtype, of x."""
    return _shapes.ones(x.shape, x.dtype if dtype is None else dtype)


def rope(x, positions=None, base=10000.0, pairing="half", rotary_dim=None, cos=None, sin=None) -> Array:
    """Rotary position embedding of rows [B, H, L, D] (RoFormer, arXiv 2104.09864).

    Args:
      positions: integers [L] or [B, L]; 0, 1, ... by default.
      base: angles are position * base ** (-2 k / R) for pair k.
      pairing: "half" for pairs (k, k + R / 2), "interleaved" for (2 k, 2 k + 1).
      rotary_dim: R, the features that are rotated; all by default.
      cos, sin: [L, R / 2] or [B, L, R / 2], in place of positions and base.

    Returns:
      an array of the shape and dtype of x. Errors: ValueError for other ranks,
      for an odd number of features and for positions of another length.
    """
    from ._trace import format_attribute, tensor_type
    x = as_array(x).stored()
    if x.ndim != 4:
        raise ValueError("attn.rope takes rows [B, H, L, D]")
    rotated = int(x.shape[3]) if rotary_dim is None else int(rotary_dim)
    if rotated % 2 or not 0 < rotated <= int(x.shape[3]):
        raise ValueError(f"attn.rope rotates pairs of the {int(x.shape[3])} features; it cannot rotate {rotated}")
    options = ""

    def rows(table, rank):
        table = as_array(table)
        table = (table[None] if table.ndim == rank - 1 else table).stored()
        if table.ndim != rank:
            raise ValueError(f"attn.rope takes a table for rows [L] or [B, L], not one of {table.ndim} axes")
        x.trace.unify(table.shape[1], x.shape[2], "rows and their positions")
        batch = table.shape[0]
        if isinstance(batch, Extent) and _hint(batch) == 1 != _hint(x.shape[0]):
            int(batch)  # the one row of all batch elements
        elif isinstance(batch, Extent) or batch != 1:
            x.trace.unify(batch, x.shape[0], "the batch of rows and of their positions")
        return table

    if cos is not None:
        for name, table in (("cos", rows(cos, 3)), ("sin", rows(sin, 3))):
            options += f" {name}({table.source} : {tensor_type(table.shape, table.element)})"
    else:
        positions = rows(arange(x.shape[2]) if positions is None else positions, 2)
        options = f" positions({positions.source} : {tensor_type(positions.shape, positions.element)})"
    options += f" {pairing}"
    if cos is None:
        options += f" base({format_attribute(base)})"
    if rotary_dim is not None:
        options += f" rotary_dim({rotated})"
    value = x.trace.emit(f"attn.rope {x.source}{options} : {tensor_type(x.shape, x.element)}")
    return Array(x.trace, value, x.element, x.shape)


def l2_normalize(x, axis=-1, eps=1e-12):
    """x / max(|x|, eps), with the norm along an axis; an array of the shape of x."""
    return x / _apply("max", _apply("sqrt", (x * x).sum(axis, keepdims=True)), eps)


def rms_norm(x, gain=None, axis=-1, eps=1e-6):
    """x / sqrt(mean(x ** 2) + eps), times a gain that broadcasts (arXiv 1910.07467);
    the mean is along an axis."""
    y = x * _apply("rsqrt", (x * x).mean(axis, keepdims=True) + eps)
    return y if gain is None else y * gain


def layer_norm(x, gain=None, bias=None, axis=-1, eps=1e-5):
    """(x - mean) / sqrt(variance + eps), times a gain, plus a bias that broadcast (arXiv
    1607.06450); moments are along an axis."""
    centred = x - x.mean(axis, keepdims=True)
    y = centred * _apply("rsqrt", (centred * centred).mean(axis, keepdims=True) + eps)
    y = y if gain is None else y * gain
    return y if bias is None else y + bias


# ===----------------------------------------------------------------------===
# NumPy's names
# ===----------------------------------------------------------------------===

_UFUNCS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
           "floor_divide": "floordiv", "remainder": "mod", "power": "pow", "maximum": "max", "minimum": "min",
           "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
           "greater_equal": "ge", "logical_and": "and", "logical_or": "or", "bitwise_and": "and",
           "bitwise_or": "or", "absolute": "abs", "negative": "neg", "rint": "round", "invert": "not",
           "logical_not": "not", "arctan2": "atan2"}


def find_ufunc(name):
    """The function that stands for a ufunc of NumPy; None if there is none."""
    if name == "matmul":
        return lambda a, b: (a if isinstance(a, (Array, Scores)) else as_array(a)) @ b
    if name in _UFUNCS:
        return lambda *operands: _apply(_UFUNCS[name], *operands)
    return globals().get(name) if name in _UNARY else None


def find_function(name):
    """The function that stands for one of NumPy; None if there is none."""
    names = {"amax": "max", "amin": "min", "linalg_norm": None}
    found = globals().get(names.get(name, name))
    return found if callable(found) and not name.startswith("_") else None


__all__ = [name for name, value in list(globals().items())
           if not name.startswith("_") and name not in (
               "annotations", "builtins", "np", "index", "find_ufunc", "find_function", "as_array", "Array", "Mask", "Scores")]
