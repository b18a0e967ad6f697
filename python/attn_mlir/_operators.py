"""Python's operators and NumPy's functions, for arrays and for scores."""

from __future__ import annotations

from ._scalar import COMPARISONS

_OPERATORS = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floordiv", "mod": "mod",
              "and": "and", "or": "or", "xor": "xor"}


class Operators:
    """What follows from `_binary(name, other, swapped)`."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        from . import _namespace
        function = _namespace.find_ufunc(ufunc.__name__)
        if function is None or method != "__call__" or options:
            return NotImplemented
        return function(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        from . import _namespace
        own = _namespace.find_function(function.__name__)
        return NotImplemented if own is None else own(*args, **kwargs)

    # Comparisons give arrays; what hashes is the object.
    __hash__ = object.__hash__


def _make(name, swapped=False):
    def operator(self, other, /):
        return self._binary(name, other, swapped)
    return operator


def _install():
    for python, name in _OPERATORS.items():
        setattr(Operators, f"__{python}__", _make(name))
        setattr(Operators, f"__r{python}__", _make(name, True))
    for name in COMPARISONS:
        setattr(Operators, f"__{name}__", _make(name))


_install()
