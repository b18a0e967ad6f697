"""What functions of PyTorch do with scores: score_mod and mask_mod as they are
written for FlexAttention."""

from __future__ import annotations

from . import _namespace, _scores

#: Names of functions, and of methods, of torch: what they are here.
FUNCTIONS = {
    "where": lambda c, x, y: _namespace.where(c, x, y),
    "clamp": lambda x, min=None, max=None: _namespace.clip(x, min, max),
    "clip": lambda x, min=None, max=None: _namespace.clip(x, min, max),
    "abs": _namespace.abs, "absolute": _namespace.abs, "neg": lambda x: -x, "negative": lambda x: -x,
    "exp": _namespace.exp, "exp2": _namespace.exp2, "expm1": _namespace.expm1, "log": _namespace.log,
    "log2": _namespace.log2, "log1p": _namespace.log1p, "sqrt": _namespace.sqrt, "rsqrt": _namespace.rsqrt,
    "tanh": _namespace.tanh, "sigmoid": _namespace.sigmoid, "sin": _namespace.sin, "cos": _namespace.cos,
    "erf": _namespace.erf, "floor": _namespace.floor, "ceil": _namespace.ceil, "round": _namespace.round,
    "sign": _namespace.sign, "square": _namespace.square, "relu": _namespace.relu, "silu": _namespace.silu,
    "softplus": _namespace.softplus, "gelu": _namespace.gelu, "isnan": _namespace.isnan,
    "isfinite": _namespace.isfinite, "reciprocal": lambda x: 1.0 / x,
    "logical_and": lambda x, y: x & y, "logical_or": lambda x, y: x | y, "logical_not": lambda x: ~x,
    "logical_xor": lambda x, y: x ^ y, "bitwise_and": lambda x, y: x & y, "bitwise_or": lambda x, y: x | y,
    "bitwise_not": lambda x: ~x, "maximum": _namespace.maximum, "minimum": _namespace.minimum,
    "max": _namespace.maximum, "min": _namespace.minimum, "pow": lambda x, y: _power(x, y),
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "subtract": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "multiply": lambda x, y: x * y, "div": lambda x, y: x / y, "divide": lambda x, y: x / y,
    "true_divide": lambda x, y: x / y, "floor_divide": lambda x, y: x // y, "remainder": lambda x, y: x % y,
    "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y, "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y, "rsub": lambda x, y: y - x,
    "less": lambda x, y: x < y, "less_equal": lambda x, y: x <= y, "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y, "square_": _namespace.square,
    "ones_like": lambda x, **_: _scores._lift(1.0), "zeros_like": lambda x, **_: _scores._lift(0.0),
}
METHODS = {name: function for name, function in FUNCTIONS.items() if name not in ("where", "max", "min")}
METHODS |= {"int": lambda x: x.astype(int), "long": lambda x: x.astype(int), "bool": lambda x: x.astype(bool),
            "double": lambda x: x.astype("f64"), "contiguous": lambda x: x, "clone": lambda x: x,
            "item": lambda x: x, "detach": lambda x: x}

_OPERATORS = {"__add__": "add", "__radd__": "add", "__sub__": "sub", "__rsub__": "rsub", "__mul__": "mul",
              "__rmul__": "mul", "__truediv__": "div", "__floordiv__": "floor_divide", "__mod__": "remainder",
              "__and__": "logical_and", "__or__": "logical_or", "__xor__": "logical_xor", "__eq__": "eq",
              "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge", "__invert__": "bitwise_not",
              "__rand__": "logical_and", "__ror__": "logical_or", "__pow__": "pow"}


def _power(x, y):
    return x ** y if isinstance(x, _scores.Scores) else _namespace.power(x, y)


def is_known(function) -> bool:
    """Whether there is something for a function of torch."""
    name = getattr(function, "__name__", "")
    return name == "__getitem__" or name in FUNCTIONS or name in _OPERATORS


def call(function, args, kwargs, convert=lambda value: value):
    """A function of torch, on scores; `convert` says what tensors are here."""
    name = getattr(function, "__name__", "")
    if name == "__getitem__":
        array, key = args
        keys = key if isinstance(key, tuple) else (key,)
        return _scores.gather(convert(array), tuple(map(convert, keys)))
    if name == "__rtruediv__":
        return convert(args[1]) / convert(args[0])
    own = FUNCTIONS.get(_OPERATORS.get(name, name))
    if own is None:
        raise TypeError(f"torch's '{name}' has no meaning for entries of scores")
    values = {key: convert(value) for key, value in kwargs.items() if key not in ("dtype", "device")}
    return own(*map(convert, args), **values)
