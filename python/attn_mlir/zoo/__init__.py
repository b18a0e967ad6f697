"""Published attention mechanisms, each as a short program.

    >>> from attn_mlir import zoo
    >>> zoo.find(2).title
    'QKNorm: cosine similarities times one learned scalar'

`python -m attn_mlir.zoo` lists them; `python -m attn_mlir.zoo run 2 --check` runs
one on operands of its own and compares it with its reference.

A mechanism is a module `nNNN_name` with a docstring (what it computes, its paper,
the shapes of its inputs and outputs), `run(target="cpu", **inputs) -> dict`, and
`example()`, which gives inputs for it. Batch sizes and lengths are free, outputs have
the dtype of the first input unless it is said otherwise, and flags and sizes may be
Python numbers or arrays without axes. `run` raises ValueError for targets, flags and
shapes that do not fit, and TypeError for names that it does not know.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from types import ModuleType

__all__ = ["Entry", "entries", "find"]


@dataclass(frozen=True)
class Entry:
    """A mechanism.

    Attributes:
      number: of the mechanism.
      name: of its module.
    """

    number: int
    name: str

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.name}")

    @property
    def title(self) -> str:
        """The first line of its docstring."""
        return (self.module.__doc__ or "").strip().splitlines()[0].rstrip(".")

    def run(self, target="cpu", **inputs) -> dict:
        """Its outputs, by name."""
        return self.module.run(target=target, **inputs)


def entries() -> list:
    """All mechanisms, by number."""
    names = [name for _, name, _ in pkgutil.iter_modules(__path__)]
    found = [re.fullmatch(r"n(\d{3})_\w+", name) for name in names]
    return sorted((Entry(int(m.group(1)), m.group()) for m in found if m), key=lambda e: e.number)


def find(number: int) -> Entry:
    """The mechanism of a number. Errors: KeyError."""
    for entry in entries():
        if entry.number == int(number):
            return entry
    raise KeyError(f"the zoo has no mechanism {number}")
