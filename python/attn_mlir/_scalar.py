"""Scalar operations: what every function of elements is in MLIR.

Operands and results are (name, element type). Integers that count or index are
of type `index` in the programs of scores, and of their own type in arrays.
"""

from __future__ import annotations

import math

from ._types import is_float, promote

COMPARISONS = {"eq": ("oeq", "eq"), "ne": ("une", "ne"), "lt": ("olt", "slt"), "le": ("ole", "sle"),
               "gt": ("ogt", "sgt"), "ge": ("oge", "sge")}
_FLOAT_BINARY = {"add": "arith.addf", "sub": "arith.subf", "mul": "arith.mulf", "div": "arith.divf",
                 "max": "arith.maximumf", "min": "arith.minimumf", "pow": "math.powf", "mod": "arith.remf",
                 "atan2": "math.atan2"}
_INT_BINARY = {"add": "arith.addi", "sub": "arith.subi", "mul": "arith.muli", "max": "arith.maxsi",
               "min": "arith.minsi", "and": "arith.andi", "or": "arith.ori", "xor": "arith.xori"}
_FLOAT_UNARY = {"exp": "math.exp", "exp2": "math.exp2", "expm1": "math.expm1", "log": "math.log",
                "log2": "math.log2", "log1p": "math.log1p", "sqrt": "math.sqrt", "rsqrt": "math.rsqrt",
                "tanh": "math.tanh", "sin": "math.sin", "cos": "math.cos", "erf": "math.erf",
                "floor": "math.floor", "ceil": "math.ceil", "round": "math.roundeven", "abs": "math.absf",
                "neg": "arith.negf", "atan": "math.atan", "tan": "math.tan", "sinh": "math.sinh",
                "cosh": "math.cosh", "arcsin": "math.asin", "arccos": "math.acos"}

#: What is computed in floats, whatever its operands are.
FLOAT_OPS = set(_FLOAT_UNARY) - {"abs", "neg"} | {"div", "pow", "atan2"}


class Scalars:
    """Emits scalar operations into a trace."""

    def __init__(self, trace):
        self.trace = trace

    def constant(self, value, element):
        return self.trace.constant(value, element), element

    def _op(self, text, element):
        return self.trace.emit(text), element

    def convert(self, operand, element):
        """The number in another type."""
        value, own = operand
        if own == element:
            return operand
        if is_float(own) and is_float(element):
            if own in ("f16", "bf16") and element in ("f16", "bf16"):
                return self.convert(self.convert(operand, "f32"), element)
            widths = {"f16": 16, "bf16": 16, "f32": 32, "f64": 64}
            name = "arith.extf" if widths[own] < widths[element] else "arith.truncf"
            return self._op(f"{name} {value} : {own} to {element}", element)
        if is_float(element):
            if own == "index":
                return self.convert(self.convert(operand, "i64"), element)
            name = "arith.uitofp" if own == "i1" else "arith.sitofp"
            return self._op(f"{name} {value} : {own} to {element}", element)
        if element == "i1":
            return self.compare("ne", operand, self.constant(0, own))
        if is_float(own):
            target = "i64" if element == "index" else element
            return self.convert(self._op(f"arith.fptosi {value} : {own} to {target}", target), element)
        if own == "i1":
            target = "i64" if element == "index" else element
            return self.convert(self._op(f"arith.extui {value} : i1 to {target}", target), element)
        if "index" in (own, element):
            return self._op(f"arith.index_cast {value} : {own} to {element}", element)
        name = "arith.extsi" if int(own[1:]) < int(element[1:]) else "arith.trunci"
        return self._op(f"{name} {value} : {own} to {element}", element)

    def compare(self, name, a, b):
        float_name, int_name = COMPARISONS[name]
        element = a[1]
        if is_float(element):
            return self._op(f"arith.cmpf {float_name}, {a[0]}, {b[0]} : {element}", "i1")
        if element == "i1" and name in ("lt", "le", "gt", "ge"):
            int_name = "u" + int_name[1:]
        return self._op(f"arith.cmpi {int_name}, {a[0]}, {b[0]} : {element}", "i1")

    def select(self, condition, a, b):
        return self._op(f"arith.select {condition[0]}, {a[0]}, {b[0]} : {a[1]}", a[1])

    def apply(self, name, operands):
        """An operation on operands of one type (a condition of `where` aside)."""
        if name == "where":
            return self.select(*operands)
        if name in COMPARISONS:
            return self.compare(name, *operands)
        if len(operands) == 1:
            return self._unary(name, operands[0])
        return self._binary(name, *operands)

    def _unary(self, name, a):
        value, element = a
        number = lambda x: self.constant(x, element)
        if name == "not":
            return self._op(f"arith.xori {value}, {self.trace.constant(True, 'i1')} : i1", "i1")
        if name == "isnan":
            return self._op(f"arith.cmpf uno, {value}, {value} : {element}", "i1")
        if name == "isfinite":
            size = self._unary("abs", a)
            return self.compare("lt", size, number(math.inf))
        if name == "sign":
            positive = self.convert(self.compare("gt", a, number(0)), element)
            negative = self.convert(self.compare("lt", a, number(0)), element)
            return self.apply("sub", (positive, negative))
        if name == "square":
            return self.apply("mul", (a, a))
        if name == "relu":
            return self.apply("max", (a, number(0)))
        if name == "sigmoid":
            e = self._unary("exp", self._unary("neg", a))
            return self.apply("div", (number(1), self.apply("add", (number(1), e))))
        if name == "silu":
            return self.apply("mul", (a, self._unary("sigmoid", a)))
        if name == "softplus":
            e = self._unary("exp", self._unary("neg", self._unary("abs", a)))
            return self.apply("add", (self._unary("relu", a), self._unary("log1p", e)))
        if name == "gelu":
            inner = self._unary("erf", self.apply("mul", (a, number(math.sqrt(0.5)))))
            half = self.apply("mul", (a, number(0.5)))
            return self.apply("mul", (half, self.apply("add", (inner, number(1)))))
        if not is_float(element):
            if name == "neg":
                return self.apply("sub", (number(0), a))
            if name == "abs":
                if element == "index":
                    return self.convert(self._unary("abs", self.convert(a, "i64")), "index")
                return self._op(f"math.absi {value} : {element}", element)
            if name in ("floor", "ceil", "round"):
                return a
        if name not in _FLOAT_UNARY:
            raise TypeError(f"there is no '{name}' of elements")
        return self._op(f"{_FLOAT_UNARY[name]} {value} : {element}", element)

    def _binary(self, name, a, b):
        element = a[1]
        if is_float(element):
            if name == "floordiv":
                return self._unary("floor", self.apply("div", (a, b)))
            if name == "mod":
                # The sign of the divisor, as Python and NumPy have it.
                return self.apply("sub", (a, self.apply("mul", (b, self._binary("floordiv", a, b)))))
            if name not in _FLOAT_BINARY:
                raise TypeError(f"there is no '{name}' of floats")
            return self._op(f"{_FLOAT_BINARY[name]} {a[0]}, {b[0]} : {element}", element)
        if element == "i1" and name in ("add", "sub", "mul", "max", "min"):
            name = {"add": "or", "max": "or", "sub": "xor", "mul": "and", "min": "and"}[name]
        if name == "floordiv":
            return self._op(f"arith.floordivsi {a[0]}, {b[0]} : {element}", element)
        if name == "mod":
            return self.apply("sub", (a, self.apply("mul", (b, self._binary("floordiv", a, b)))))
        if name == "floordiv_positive":
            return self._op(f"arith.divui {a[0]}, {b[0]} : {element}", element)
        if name == "mod_positive":
            return self._op(f"arith.remui {a[0]}, {b[0]} : {element}", element)
        if name not in _INT_BINARY:
            raise TypeError(f"there is no '{name}' of integers")
        return self._op(f"{_INT_BINARY[name]} {a[0]}, {b[0]} : {element}", element)


def power(exponent):
    """How x ** exponent is computed for a number, or None: (name, factor count)."""
    simple = {0.5: "sqrt", -0.5: "rsqrt", 2: "square", 1: "copy", -1: "reciprocal"}
    return simple.get(exponent)


def result_type(name, elements, default_float):
    """The type operands are converted to, and that of the result."""
    joined = elements[0]
    for element in elements[1:]:
        joined = promote(joined, element)
    if name in COMPARISONS or name in ("isnan", "isfinite"):
        return joined, "i1"
    if name in FLOAT_OPS or name in ("sigmoid", "silu", "softplus", "gelu"):
        if not is_float(joined):
            joined = default_float
    return joined, joined
