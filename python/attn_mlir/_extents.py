"""Extents of axes while a function is traced.

An axis of an argument is an `int` where the compiled program has it fixed, and
an `Extent` where it is up to the call: a linear expression in the extents of
arguments. An `Extent` has the value of the call that is traced as a hint, so
that Python code may look at it; whatever it learns that way becomes part of
what later calls have to agree with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

__all__ = ["Extent", "AnyExtent", "AxisLength", "Rules", "Retrace", "hint"]


class Retrace(Exception):
    """The trace has to begin again, because a rule was added."""


@dataclass
class Rules:
    """What a compiled program assumes of the shapes of its arguments."""

    #: Axes (argument, axis) that have to have the extent they were traced with.
    fixed: dict = field(default_factory=dict)
    #: Axes of which the extent is free although arguments of their rank
    #: ordinarily have fixed ones.
    free: set = field(default_factory=set)
    #: Axes that were fixed because Python code asked for the number.
    pinned: set = field(default_factory=set)
    #: Pairs of extents that have to be equal.
    equal: list = field(default_factory=list)
    #: Extents that must not be negative.
    natural: list = field(default_factory=list)

    def hold(self, shapes) -> bool:
        """Whether arguments of these shapes may be passed."""
        for (argument, axis), extent in self.fixed.items():
            # Captured arrays come behind the arguments, and stay what they are.
            if argument < len(shapes) and shapes[argument][axis] != extent:
                return False
        return all(_evaluate(a, shapes) == _evaluate(b, shapes) for a, b in self.equal) and \
            all(_evaluate(a, shapes) >= 0 for a in self.natural)


def _evaluate(terms, shapes) -> int:
    constant, parts = terms
    return constant + sum(factor * _evaluate_atom(atom, shapes) for atom, factor in parts)


def _evaluate_atom(atom, shapes) -> int:
    if atom[0] == "axis":
        return shapes[atom[1]][atom[2]]
    value = _evaluate(atom[1], shapes)
    return value // atom[2] if atom[0] == "div" else value % atom[2]


class AxisLength(int):
    """The fixed extent of an argument's axis that may yet become free."""

    argument: int
    axis: int

    def __new__(cls, value, argument, axis):
        result = super().__new__(cls, value)
        result.argument, result.axis = argument, axis
        return result


class Extent:
    """An extent that is up to the call.

    Sums, differences, products with numbers, and quotients and remainders by
    numbers are extents again. Comparisons, `int` and everything else that needs
    the number fix it: the program then is for this extent alone.
    """

    __slots__ = ("trace", "constant", "parts", "hint")

    def __init__(self, trace, constant, parts, hint):
        self.trace = trace
        self.constant = constant
        #: ((atom, factor), ...) in a fixed order.
        self.parts = parts
        self.hint = hint

    @property
    def terms(self):
        return (self.constant, self.parts)

    # What is an extent again.

    def _combine(self, other, sign):
        if isinstance(other, Extent):
            constant, parts, value = other.constant, other.parts, other.hint
        elif isinstance(other, int):
            constant, parts, value = other, (), other
        else:
            return NotImplemented
        factors = dict(self.parts)
        for atom, factor in parts:
            factors[atom] = factors.get(atom, 0) + sign * factor
        return _make(self.trace, self.constant + sign * constant, factors, self.hint + sign * value)

    def __add__(self, other):
        return self._combine(other, 1)

    __radd__ = __add__

    def __sub__(self, other):
        return self._combine(other, -1)

    def __rsub__(self, other):
        return (-self) + other

    def __neg__(self):
        return self * -1

    def __mul__(self, other):
        if isinstance(other, Extent):
            return int(self) * int(other)
        if not isinstance(other, int):
            return float(self) * other if isinstance(other, float) else NotImplemented
        factors = {atom: factor * other for atom, factor in self.parts}
        return _make(self.trace, self.constant * other, factors, self.hint * other)

    __rmul__ = __mul__

    def _divide(self, other, kind):
        value = self.hint // other if kind == "div" else self.hint % other
        if self.constant % other == 0 and all(f % other == 0 for _, f in self.parts):
            if kind == "mod":
                return 0
            factors = {atom: factor // other for atom, factor in self.parts}
            return _make(self.trace, self.constant // other, factors, value)
        return Extent(self.trace, 0, (((kind, self.terms, other), 1),), value)

    def __floordiv__(self, other):
        if isinstance(other, int) and other > 0:
            return self._divide(other, "div")
        return int(self) // other

    def __mod__(self, other):
        if isinstance(other, int) and other > 0:
            return self._divide(other, "mod")
        return int(self) % other

    def __divmod__(self, other):
        return self // other, self % other

    # What needs the number.

    def __int__(self):
        self.trace.fix(self)
        return self.hint

    __index__ = __int__

    def __float__(self):
        return float(int(self))

    def __truediv__(self, other):
        return int(self) / other

    def __rtruediv__(self, other):
        return other / int(self)

    def __rfloordiv__(self, other):
        return other // int(self)

    def __pow__(self, other):
        return int(self) ** other

    def __rpow__(self, other):
        return other ** int(self)

    def __eq__(self, other):
        if isinstance(other, Extent) and other.terms == self.terms:
            return True
        return _number(other) is not None and int(self) == _number(other)

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return int(self) < other

    def __le__(self, other):
        return int(self) <= other

    def __gt__(self, other):
        return int(self) > other

    def __ge__(self, other):
        return int(self) >= other

    def __hash__(self):
        return hash(self.terms)

    def __bool__(self):
        return int(self) != 0

    def __repr__(self):
        def name(atom):
            if atom[0] == "axis":
                return self.trace.name_axis(atom[1], atom[2])
            inner = Extent(self.trace, atom[1][0], atom[1][1], 0)
            return f"({inner!r} {'//' if atom[0] == 'div' else '%'} {atom[2]})"

        texts = [name(atom) if f == 1 else f"{f} * {name(atom)}" for atom, f in self.parts]
        if self.constant:
            texts.append(str(self.constant))
        return " + ".join(texts)


AnyExtent = Union[int, Extent]


def _make(trace, constant, factors, value):
    parts = tuple(sorted(((a, f) for a, f in factors.items() if f), key=repr))
    return Extent(trace, constant, parts, value) if parts else constant


def _number(value):
    if isinstance(value, Extent):
        return int(value)
    return value if isinstance(value, (int, float)) else None


def hint(extent: AnyExtent) -> int:
    """The extent in the call that is traced, without fixing it."""
    return extent.hint if isinstance(extent, Extent) else extent
