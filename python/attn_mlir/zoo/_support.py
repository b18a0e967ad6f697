"""What the mechanisms share: how inputs are read, how targets are named."""

from __future__ import annotations

import functools

import numpy as np

import attn_mlir as attn

#: Targets that programs run on: "cuda" and "hip" take inputs on a device of theirs.
TARGETS = ("cpu", "cuda", "hip", *(f"{chip},emulate" for chip in (
    "cuda:sm_80", "cuda:sm_86", "cuda:sm_89", "cuda:sm_90", "cuda:sm_90a",
    "hip:gfx90a", "hip:gfx942", "hip:gfx1100", "hip:gfx1201")))


def on_target(run):
    """`run` of a mechanism, whose functions are compiled for its `target`, an argument
    that the function itself does not look at. Errors: ValueError for one there is not."""
    @functools.wraps(run)
    def wrapped(target="cpu", **inputs):
        if target not in TARGETS:
            raise ValueError(f"there is no target '{target}'; there is: {', '.join(TARGETS)}")
        with attn.use_target(target):
            return run(target, **inputs)
    return wrapped


def number(value):
    """A Python number, or bool, for one that came as an array without axes."""
    return value.item() if hasattr(value, "item") else value


def at_least(name: str, value, least: int) -> int:
    """The size of that name. Errors: ValueError if it is smaller."""
    size = int(number(value))
    if size < least:
        raise ValueError(f"{name} is at least {least}, not {size}")
    return size


def choice(name: str, value, allowed):
    """The flag of that name. Errors: ValueError if it is none of the allowed values."""
    value = number(value)
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def flag(name: str, value) -> bool:
    """The flag of that name. Errors: ValueError if it is neither 0 nor 1 (or bool)."""
    return bool(choice(name, value, (0, 1)))


def check_shapes(**operands) -> dict:
    """The sizes of axes, by letter, of operands given with their axes: q=(q, "B H L D").

    Operands that are None are left out. Errors: ValueError for one that has other axes,
    or another size than the ones before it."""
    sizes: dict = {}
    for name, (value, axes) in operands.items():
        if value is None:
            continue
        letters, shape = axes.split(), tuple(np.shape(value) if isinstance(value, (list, tuple)) else value.shape)
        if len(shape) != len(letters):
            raise ValueError(f"{name} is [{', '.join(letters)}]; it has {len(shape)} axes")
        for letter, size in zip(letters, shape):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(f"{name} is [{', '.join(letters)}], where {letter} is {sizes[letter]}, not {size}")
    return sizes


def array(value, like=None):
    """An array for a list or a number; of the dtype of `like`, if it is a float."""
    if hasattr(value, "__dlpack__") and not isinstance(value, (np.ndarray, np.generic)):
        return value
    value = np.asarray(value)
    if like is not None and value.dtype.kind == "f":
        value = value.astype(like.dtype)
    return value


def heads(x, count: int):
    """[B, L, H * D] as [B, H, L, D]: a traced array, cut into heads."""
    batch, length, width = x.shape
    return x.reshape(batch, length, count, width // count).swapaxes(1, 2)


def join_heads(x):
    """[B, H, L, D] as [B, L, H * D]."""
    batch, count, length, width = x.shape
    return x.swapaxes(1, 2).reshape(batch, length, count * width)
