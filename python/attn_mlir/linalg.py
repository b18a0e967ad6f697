"""Small dense algebra on the last two axes of arrays, computed in the
accumulation type (f32 for 16-bit floats)."""

from __future__ import annotations

from typing import Any, Sequence, Union

import numpy as np

from ._array import Array, as_array, convert, type_of
from ._shapes import eye
from ._trace import tensor_type
from . import _types

_ArrayLike = Union[Array, np.ndarray, Any]

__all__ = ["solve_triangular", "cholesky", "qr", "inv_triangular", "cho_solve", "norm"]


def _pair(a, b):
    a, b = as_array(a), as_array(b)
    element = _types.promote(a.element, b.element)
    a, b = convert(a, element), convert(b, element)
    from ._shapes import broadcast_to
    from ._array import broadcast_shapes
    lead = broadcast_shapes(a.trace, a.shape[:-2], b.shape[:-2]) if a.ndim > 2 or b.ndim > 2 else ()
    if tuple(a.shape[:-2]) != tuple(lead):
        a = broadcast_to(a, (*lead, *a.shape[-2:]))
    if tuple(b.shape[:-2]) != tuple(lead):
        b = broadcast_to(b, (*lead, *b.shape[-2:]))
    return a.stored(), b.stored()


def solve_triangular(a: _ArrayLike, b: _ArrayLike, lower: bool = True, unit_diagonal: bool = False,
                     transposed: bool = False) -> Array:
    """X with op(A) X = B for the lower (upper) triangle A of `a` [..., n, n] and
    B [..., n, r]; op transposes if `transposed`. A vector b [n] is a column."""
    b = as_array(b)
    if b.ndim == 1:
        return solve_triangular(a, b[:, None], lower, unit_diagonal, transposed)[:, 0]
    a, b = _pair(a, b)
    option = (" unit" if unit_diagonal else "") + (" transposed" if transposed else "")
    value = a.trace.emit(f"attn.solve {'lower' if lower else 'upper'} {a.source}, {b.source}{option} : "
                         f"{type_of(a)}, {type_of(b)}")
    return Array(a.trace, value, b.element, b.shape)


def inv_triangular(a: _ArrayLike, lower: bool = True, unit_diagonal: bool = False) -> Array:
    """The inverse of the lower (upper) triangle of `a` [..., n, n]."""
    a = as_array(a)
    n = a.shape[-1]
    return solve_triangular(a, eye(n, dtype=a.dtype), lower, unit_diagonal)


def cholesky(a: _ArrayLike) -> Array:
    """The lower L with A = L L^T for positive definite A [..., n, n]; NaN from
    the first pivot that is not positive on."""
    x = as_array(a).stored()
    return Array(x.trace, x.trace.emit(f"attn.cholesky {x.source} : {type_of(x)}"), x.element, x.shape)


def cho_solve(factor: _ArrayLike, b: _ArrayLike) -> Array:
    """X with L L^T X = B for a factor L [..., n, n] of `cholesky` and B [..., n, r] (or [n])."""
    return solve_triangular(factor, solve_triangular(factor, b), transposed=True)


def qr(a: _ArrayLike) -> tuple[Array, Array]:
    """Thin Q [..., m, p] and R [..., p, n] of A [..., m, n], p = min(m, n), with a
    diagonal of R that is not negative."""
    a = as_array(a).stored()
    m, n = int(a.shape[-2]), int(a.shape[-1])
    p = min(m, n)
    q, r = a.shape[:-2] + (m, p), a.shape[:-2] + (p, n)
    names = a.trace.emit(f"attn.qr {a.source} : {type_of(a)} -> {tensor_type(q, a.element)}, "
                         f"{tensor_type(r, a.element)}", 2)
    return Array(a.trace, names[0], a.element, q), Array(a.trace, names[1], a.element, r)


def norm(x: _ArrayLike, axis: Union[None, int, Sequence[int]] = -1, keepdims: bool = False) -> Array:
    """The Euclidean norm along axes; all of them for None."""
    from ._array import elementwise
    x = as_array(x)
    return elementwise("sqrt", elementwise("square", x).sum(axis, keepdims))
