"""The program that a traced function becomes, as text of MLIR."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Optional

from ._extents import AxisLength, Extent, Retrace, Rules, hint
from ._types import is_float

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_local = threading.local()


def current() -> "Trace":
    """The trace under way on this thread."""
    trace = getattr(_local, "trace", None)
    if trace is None:
        raise RuntimeError("this works on arrays of a function under attn.jit only")
    return trace


def is_tracing() -> bool:
    return getattr(_local, "trace", None) is not None


def _is_own(file: str) -> bool:
    """Whether a file is of the package itself; mechanisms of the zoo are users."""
    return file.startswith(_PACKAGE) and not file.startswith(_PACKAGE + "zoo")


def format_float(value: float, element: str) -> str:
    """A constant of a float type, exact also for infinities and NaN."""
    import struct

    if element == "f64":
        bits = struct.unpack("<Q", struct.pack("<d", value))[0]
        digits = 16
    else:
        try:
            bits = struct.unpack("<I", struct.pack("<f", value))[0]
        except OverflowError:
            bits = 0x7F800000 if value > 0 else 0xFF800000
        digits = 8
        if element in ("f16", "bf16"):
            raise ValueError("constants are of f32 or f64")
    finite = value == value and value not in (float("inf"), float("-inf"))
    if finite and (element == "f64" or bits & 0x7F800000 != 0x7F800000):
        text = repr(float(value))
        mantissa, _, exponent = text.partition("e")
        if "." not in mantissa:
            mantissa += ".0"
        return mantissa + ("e" + exponent if exponent else "")
    return f"0x{bits:0{digits}X}"


def format_attribute(value: float) -> str:
    """A number in the text of an operation, where its attributes are f64."""
    return format_float(float(value), "f64")


class Trace:
    """A function under construction.

    Args:
      name: of the function.
      rules: what is assumed of shapes; grows as the trace learns more.
    """

    def __init__(self, name: str, rules: Rules):
        self.name = name
        self.rules = rules
        #: (name, element type, shape) of every argument.
        self.arguments: list = []
        #: Values of arguments that the function did not get but captured.
        self.captured: list = []
        self._captured_by_id: dict = {}
        self._count = 0
        self._prefix: list = []  # what regions may use, too: extents of arguments
        self._buffers: list = [[]]
        self._depth = 1
        self._extents: dict = {}
        self._names: dict = {}
        self._constants: list = [{}]
        #: Scores that have been emitted, by their expression.
        self.emitted: dict = {}
        #: The float type of Python numbers beside integers.
        self.default_float = "f32"

    @contextmanager
    def active(self):
        previous = getattr(_local, "trace", None)
        _local.trace = self
        try:
            yield self
        finally:
            _local.trace = previous

    # Text.

    def new_name(self) -> str:
        self._count += 1
        return f"%{self._count}"

    def location(self) -> str:
        """The user's line, as a location of MLIR."""
        frame: Optional[FrameType] = sys._getframe(1)
        while frame is not None and _is_own(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None:
            return "loc(unknown)"
        file = frame.f_code.co_filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'loc("{file}":{frame.f_lineno}:1)'

    def line(self, text: str) -> None:
        self._buffers[-1].append("  " * self._depth + text)

    def emit(self, operation: str, results: int = 1):
        """Appends an operation; its result's name, or their names."""
        if results == 0:
            self.line(f"{operation} {self.location()}")
            return None
        name = self.new_name()
        if results == 1:
            self.line(f"{name} = {operation} {self.location()}")
            return name
        self.line(f"{name}:{results} = {operation} {self.location()}")
        return [f"{name}#{index}" for index in range(results)]

    @contextmanager
    def region(self):
        """Operations go to a list of their own, which is the value."""
        lines = []
        self._buffers.append(lines)
        self._depth += 1
        self._constants.append({})
        before = dict(self.emitted)
        try:
            yield lines
        finally:
            self._buffers.pop()
            self._constants.pop()
            self._depth -= 1
            # What was made inside of the region is unknown outside.
            self.emitted = before

    @property
    def open_region(self) -> list:
        """The operations of the innermost region."""
        return self._buffers[-1]

    def is_open(self, region) -> bool:
        """Whether operations may use what is made in that region."""
        return any(region is lines for lines in self._buffers)

    def constant(self, value, element: str) -> str:
        """A scalar constant, one of a kind in its region."""
        if is_float(element):
            text = f"{format_float(float(value), element)} : {element}"
        elif element == "i1":
            text = "true" if value else "false"
        else:
            text = f"{int(value)} : {element}"
        for known in self._constants:
            if text in known:
                return known[text]
        name = self.new_name()
        self.line(f"{name} = arith.constant {text}")
        self._constants[-1][text] = name
        return name

    # Arguments and extents.

    def name_axis(self, argument: int, axis: int) -> str:
        return f"{self.arguments[argument][0]}.shape[{axis}]"

    def add_argument(self, name: str, element: str, shape) -> tuple:
        """A new argument; its shape with extents that are up to the call."""
        index = len(self.arguments)
        rank = len(shape)
        result = []
        for axis, extent in enumerate(shape):
            key = (index, axis)
            # Batch and length of what has features as well.
            ordinarily = rank >= 3 and axis in (0, rank - 2)
            if key in self.rules.pinned or extent <= 1:
                self.rules.fixed[key] = extent
                result.append(extent)
            elif ordinarily or key in self.rules.free:
                result.append(Extent(self, 0, ((("axis", *key), 1),), extent))
            else:
                self.rules.fixed[key] = extent
                result.append(AxisLength(extent, *key))
        self.arguments.append((name, element, tuple(result)))
        return tuple(result)

    def fix(self, extent: Extent) -> None:
        """The extent becomes a number, in the next attempt."""
        def axes(parts):
            for atom, _ in parts:
                if atom[0] == "axis":
                    yield atom[1:]
                else:
                    yield from axes(atom[1][1])

        self.rules.pinned.update(axes(extent.parts))
        raise Retrace

    def unify(self, a, b, what: str):
        """One extent for two that have to be equal; a ValueError otherwise."""
        if isinstance(a, Extent) and isinstance(b, Extent):
            if a.terms == b.terms or self._are_equal(a, b):
                return a
            if a.hint != b.hint:
                raise ValueError(f"{what}: {a.hint} ({a!r}) and {b.hint} ({b!r}) differ")
            self.rules.equal.append((a.terms, b.terms))
            return a
        if hint(a) != hint(b):
            raise ValueError(f"{what}: {hint(a)} and {hint(b)} differ")
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Extent):
                if isinstance(other, AxisLength):
                    self.free_axis(other)
                self.fix(one)
        return a

    def _are_equal(self, a, b):
        return (a.terms, b.terms) in self.rules.equal or (b.terms, a.terms) in self.rules.equal

    def free_axis(self, length: AxisLength) -> None:
        """The extent of an axis becomes free, in the next attempt."""
        self.rules.fixed.pop((length.argument, length.axis), None)
        self.rules.free.add((length.argument, length.axis))
        raise Retrace

    def require_natural(self, extent) -> None:
        """Later calls, too, must not make the extent negative."""
        if isinstance(extent, Extent) and extent.terms not in self.rules.natural:
            self.rules.natural.append(extent.terms)

    def extent(self, extent) -> str:
        """The name of an index with an extent."""
        if not isinstance(extent, Extent):
            return self._prefix_constant(extent)
        known = self._extents.get(extent.terms)
        if known:
            return known
        total = ""
        for atom, factor in extent.parts:
            value = self._atom(atom)
            if factor != 1:
                value = self._prefix_op("arith.muli", value, self._prefix_constant(factor))
            total = self._prefix_op("arith.addi", total, value) if total else value
        if extent.constant:
            total = self._prefix_op("arith.addi", total, self._prefix_constant(extent.constant))
        self._extents[extent.terms] = total
        return total

    def _atom(self, atom) -> str:
        key = ("atom", atom)
        if key in self._extents:
            return self._extents[key]
        if atom[0] == "axis":
            _, element, shape = self.arguments[atom[1]]
            axis = self._prefix_constant(atom[2])
            type_ = tensor_type(shape, element)
            name = self.new_name()
            self._prefix.append(f"  {name} = tensor.dim %arg{atom[1]}, {axis} : {type_}")
        else:
            inner = self.extent(Extent(self, atom[1][0], atom[1][1], 0))
            op = "arith.floordivsi" if atom[0] == "div" else "arith.remsi"
            name = self._prefix_op(op, inner, self._prefix_constant(atom[2]))
        self._extents[key] = name
        return name

    def _prefix_op(self, op, a, b) -> str:
        name = self.new_name()
        self._prefix.append(f"  {name} = {op} {a}, {b} : index")
        return name

    def _prefix_constant(self, value: int) -> str:
        key = ("constant", value)
        if key not in self._extents:
            name = self.new_name()
            self._prefix.append(f"  {name} = arith.constant {value} : index")
            self._extents[key] = name
        return self._extents[key]

    def sizes(self, shape) -> str:
        """The free extents of a shape, as operands."""
        return ", ".join(self.extent(e) for e in shape if isinstance(e, Extent))

    # The whole.

    def finish(self, results) -> str:
        """The module; `results` are (name, value, element type, shape)."""
        parameters = []
        names = self._axis_names()
        for index, (name, element, shape) in enumerate(self.arguments):
            dims = ", ".join(f'"{names[index, axis]}"' if isinstance(e, Extent) else f'"{e}"'
                             for axis, e in enumerate(shape))
            dims = f", attn.dims = [{dims}]" if shape else ""
            parameters.append(
                f'    %arg{index}: {tensor_type(shape, element)} {{attn.name = "{name}"{dims}}}')
        types = ", ".join(
            f'{tensor_type(shape, element)} {{attn.name = "{name}"}}' for name, _, element, shape in results)
        values = ", ".join(value for _, value, _, _ in results)
        plain = ", ".join(tensor_type(shape, element) for _, _, element, shape in results)
        head = f"func.func @{self.name}(\n" + ",\n".join(parameters) + f"\n  ) -> ({types}) {{"
        body = self._prefix + self._buffers[0]
        return "\n".join([head, *body, f"  return {values} : {plain}", "}"]) + "\n"

    def _axis_names(self):
        """Names for free axes: equal ones share one."""
        parent = {}

        def find(axis):
            while parent.get(axis, axis) != axis:
                axis = parent[axis]
            return axis

        def single(terms):
            constant, parts = terms
            if constant == 0 and len(parts) == 1 and parts[0][1] == 1 and parts[0][0][0] == "axis":
                return parts[0][0][1:]
            return None

        for a, b in self.rules.equal:
            a, b = single(a), single(b)
            if a and b and find(a) != find(b):
                first, second = sorted((find(a), find(b)))
                parent[second] = first
        names = {}
        for index, (name, _, shape) in enumerate(self.arguments):
            for axis in range(len(shape)):
                owner = find((index, axis))
                names[index, axis] = f"{self.arguments[owner[0]][0]}_{owner[1]}"
        return names


def tensor_type(shape, element: str) -> str:
    extents = "".join(f"{'?' if isinstance(e, Extent) else e}x" for e in shape)
    return f"tensor<{extents}{element}>"


def scores_type(shape, element: str) -> str:
    extents = "".join(f"{'?' if isinstance(e, Extent) else e}x" for e in shape)
    return f"!attn.scores<{extents}{element}>"
