"""Element types: names of MLIR, of NumPy, and what they become together."""

from __future__ import annotations

import numpy as np

FLOATS = ("f16", "bf16", "f32", "f64")
INTEGERS = ("i1", "i8", "i16", "i32", "i64", "index")

_BY_NAME = {
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16",
    "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "i8", "bool": "i1", "bool_": "i1",
    "float8_e4m3fn": "f8E4M3FN", "float8_e5m2": "f8E5M2",
}
_NAMES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64",
          "i32": "int32", "i16": "int16", "i8": "int8", "i1": "bool"}


def from_dtype(dtype) -> str:
    """The element type for a dtype of NumPy or PyTorch, or for its name."""
    if isinstance(dtype, str) and (dtype in FLOATS or dtype in INTEGERS):
        return dtype
    if dtype is float:
        return "float"
    if dtype is int:
        return "i64"
    if dtype is bool:
        return "i1"
    name = str(dtype)
    if isinstance(dtype, type) and issubclass(dtype, np.generic):
        name = np.dtype(dtype).name
    name = name.rsplit(".", 1)[-1]
    if name not in _BY_NAME:
        raise TypeError(f"attn-mlir has no element type for dtype {dtype}")
    return _BY_NAME[name]


def to_name(element: str) -> str:
    """The dtype as NumPy names it."""
    return _NAMES.get(element, element)


def is_float(element: str) -> bool:
    return element in FLOATS


def width(element: str) -> int:
    return {"index": 64, "bf16": 16}.get(element) or int(element[1:])


def accumulation(element: str) -> str:
    """The type that sums and products of a type are computed in."""
    if element == "f64":
        return "f64"
    return "f32" if is_float(element) else element


def promote(a: str, b: str) -> str:
    """The type that elements of two arrays become when they are combined."""
    if a == b:
        return a
    if is_float(a) and is_float(b):
        if width(a) == width(b):
            return "f32"
        return a if width(a) > width(b) else b
    if is_float(a) or is_float(b):
        return a if is_float(a) else b
    return a if width(a) >= width(b) else b
