"""Functions that compile themselves when they are called."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import re
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Callable, Optional, overload

import numpy as np

from . import _devices, _native, _types
from ._array import Array, pointwise
from ._control import _flatten, _rebuild
from ._errors import NO_GRADIENT, CompileError
from ._extents import Extent, Retrace, Rules
from ._scores import Scores
from ._trace import Trace, is_tracing

if TYPE_CHECKING:
    from ._plan import Check, Plan, Timing

__all__ = ["jit", "Function", "use_target"]

_TARGET: contextvars.ContextVar[Optional[str]] = contextvars.ContextVar("target", default=None)

_STATIC = (bool, int, float, complex, str, bytes, type(None))


def _is_array(value) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "__dlpack__") and hasattr(value, "shape"))


def capture(trace: Trace, value) -> Array:
    """An array of outside as an argument that the caller does not see."""
    if not _is_array(value):
        raise TypeError(f"a {type(value).__name__} is no array")
    known = trace._captured_by_id.get(id(value))
    if known is not None:
        return known
    index = len(trace.arguments)
    trace.rules.pinned.update((index, axis) for axis in range(len(value.shape)))
    element = _types.from_dtype(value.dtype)
    shape = trace.add_argument(f"captured{len(trace.captured)}", element, tuple(value.shape))
    array = Array(trace, f"%arg{index}", element, shape)
    trace.captured.append(value)
    trace._captured_by_id[id(value)] = array
    return array


class _Program:
    """One compiled form of a function."""

    def __init__(self, text, rules, captured, tree, places, options):
        self.text = text
        self.rules = rules
        self.captured = tuple(captured)
        self.copies = {}  # by device
        self.tree = tree
        #: Of every leaf of the result: the index of a result, or ("static", value).
        self.places = places
        self.options = options
        self.target = options[2]
        self.compiled = None
        #: (element type, shape) of the results.
        self.results = []
        #: Their dtypes, by name.
        self.dtypes = []
        self.is_single = isinstance(tree, Array)

    def compile(self):
        if self.compiled is None:
            made = _native.compile(self.text, *self.options)
            if isinstance(made, dict):
                raise CompileError(made["reason"], made["messages"])
            self.compiled = made
            for severity, text, file, line, _ in made.messages:
                if severity == "warning":
                    warnings.warn_explicit(text, UserWarning, file, line)
        return self.compiled

    def get_captured(self, device):
        """Arrays that the program reads beside its arguments."""
        if device is None or not self.captured:
            return self.captured
        if device not in self.copies:
            self.copies[device] = _devices.copy_captured(self.captured, device)
        return self.copies[device]

    def call(self, arrays, device, library):
        """Results, in order, of arrays on a device, or on the host for None."""
        arrays = (*arrays, *self.get_captured(device))
        compiled, kind = self.compile(), _KINDS.get(library, 2)
        if device is None:
            results = compiled(arrays, kind)
        else:
            # NumPy has no arrays there.
            results = _devices.call(compiled, self.dtypes, arrays, device, library, kind or 2)
        # What a library allocates itself is its own already.
        if library in _IMPORTS and not type(results[0]).__module__.startswith(library):
            results = [_IMPORTS[library](result) for result in results]
        return results


class Function:
    """A function that is traced and compiled for the arguments it is called with.

    Calls with other batch sizes and lengths use the program that there is; other
    dtypes, ranks, head counts and feature sizes, and other Python values, make a
    new one. Made by `jit`.
    """

    __name__: str

    def __init__(self, function: Callable[..., Any], max_recompute_factor: int = 4, splits: int = 0,
                 cache: bool = True, target: Optional[str] = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._signature = inspect.signature(function)
        self._options = (int(max_recompute_factor), int(splits))
        self._cache = cache
        self._target = target
        self._exact: dict = {}  # by shapes
        self._forms: dict = {}  # by everything but shapes
        self._lock = threading.Lock()
        #: How many programs have been compiled.
        self.num_compiled = 0

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    # Calls.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return self.function(*args, **kwargs)
        # The short way: arrays of one library, of shapes that were seen, and plain values.
        key, arrays = (None, args) if kwargs else _fast_key(args, self._target or _TARGET.get())
        if key is not None:
            found = self._exact.get(key)
            if found is not None:
                program, kind, place = found
                if place is None:
                    results = program.compiled(arrays + program.captured, kind)
                else:
                    results = program.call(arrays, *place)
                return results[0] if program.is_single else self._assemble(program, results)
        program, arrays, library, device = self._find(args, kwargs)
        _devices.check_place(program.target, device)
        results = program.call(arrays, device, library)
        if key is not None:
            if len(self._exact) >= _MOST_SHAPES:
                self._exact.clear()
            self._exact[key] = program, _KINDS[library], None if device is None else (device, library)
        return results[0] if program.is_single else self._assemble(program, results)

    def _assemble(self, program, results):
        return _rebuild(program.tree, [results[p] if isinstance(p, int) else p[1] for p in program.places])

    def _find(self, args, kwargs):
        """The program for arguments, traced if there is none yet, the arrays among
        them, their library, and their device."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        names, leaves = [], []
        for name, value in bound.arguments.items():
            _collect(name, value, names, leaves)
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        library = _find_library(arrays)
        device = _devices.find_device([n for n, leaf in zip(names, leaves) if _is_array(leaf)], arrays)
        form = tuple(("array", len(leaf.shape), _types.from_dtype(leaf.dtype)) if _is_array(leaf)
                     else _static_key(leaf) for leaf in leaves)
        target = _devices.find_target(self._target or _TARGET.get(), device)
        form = (form, _structure(bound.arguments), target)
        shapes = [tuple(leaf.shape) for leaf in arrays]
        with self._lock:
            for program in self._forms.get(form, ()):
                if program.rules.hold(shapes):
                    return program, arrays, library, device
            program = self._trace(bound, names, leaves, target)
            self._forms.setdefault(form, []).append(program)
            self.num_compiled += 1
        return program, arrays, library, device

    def _trace(self, bound, names, leaves, target) -> _Program:
        rules = Rules()
        name = re.sub(r"\W", "_", self.__name__)
        name = name if re.match(r"[A-Za-z]", name) else "program"
        elements = [_types.from_dtype(leaf.dtype) for leaf in leaves if _is_array(leaf)]
        for _ in range(1000):
            rules.fixed.clear()
            trace = Trace(name, rules)
            trace.default_float = "f64" if "f64" in elements else "f32"
            with trace.active():
                try:
                    return self._trace_once(trace, bound, names, leaves, target)
                except Retrace:
                    continue
        raise RuntimeError(f"tracing {self.__name__} finds no end")

    def _trace_once(self, trace, bound, names, leaves, target):
        values = []
        for leaf_name, leaf in zip(names, leaves):
            if _is_array(leaf):
                element = _types.from_dtype(leaf.dtype)
                index = len(trace.arguments)
                shape = trace.add_argument(leaf_name, element, tuple(leaf.shape))
                values.append(Array(trace, f"%arg{index}", element, shape))
            else:
                values.append(leaf)
        values = iter(values)
        arguments = {name: _substitute(value, values) for name, value in bound.arguments.items()}
        copy = inspect.BoundArguments(self._signature, arguments)
        tree = self.function(*copy.args, **copy.kwargs)
        results, places = [], []
        for leaf in _flatten(tree):
            if isinstance(leaf, Scores):
                raise TypeError("a result is a matrix of scores, which nothing stores; use attn.materialize")
            if not isinstance(leaf, Array):
                places.append(("static", int(leaf) if isinstance(leaf, Extent) else leaf))
                continue
            array = leaf.stored()
            if array.source.startswith("%arg") or any(array.source == r[1] for r in results):
                array = pointwise(trace, [array.compact()], array.shape, array.element, lambda blocks: blocks[0][0])
            places.append(len(results))
            results.append((f"r{len(results)}", array.source, array.element, array.shape))
        if not results:
            raise TypeError(f"{self.__name__} returns no array")
        text = trace.finish(results)
        program = _Program(text, trace.rules, trace.captured, tree, places, (*self._options, target, self._cache))
        program.results = [(element, shape) for _, _, element, shape in results]
        program.dtypes = [_types.to_name(element) for element, _ in program.results]
        return program

    # Looking at it.

    def lower(self, *args: Any, **kwargs: Any) -> str:
        """The program for these arguments, in the attn dialect."""
        program = self._find(args, kwargs)[0]
        return self._print(program, False)

    def plan(self, *args: Any, block: int = 64, **kwargs: Any) -> Plan:
        """What the program becomes for these arguments: a `Plan`, with kernels,
        sweeps and what they carry as text, and the tiles of `block` queries and
        keys that they visit as a picture."""
        from ._plan import Plan, TileMap
        program, arrays, library, device = self._find(args, kwargs)
        text = self._print(program, True)
        factor, splits, target, _ = program.options
        if device is not None:
            arrays = _devices.to_host(arrays, library)
        maps = _native.map_tiles(program.text, (*arrays, *program.captured), factor, splits, target, block)
        if isinstance(maps, dict):
            raise CompileError(maps["reason"], maps["messages"])
        return Plan(text, self.__name__, [
            TileMap(stream + 1, sweep + 1, rows, keys, tiles, block) for stream, sweep, rows, keys, tiles in maps])

    def _print(self, program, plan):
        printed = _native.print(program.text, *program.options[:3], plan)
        if isinstance(printed, dict):
            raise CompileError(printed["reason"], printed["messages"])
        return printed

    def check(self, *args: Any, **kwargs: Any) -> Check:
        """Compares the program on these arguments with the same program run op by
        op on stored matrices, in f64: a `Check`, true if all results are within
        twice the error that the stored computation has in its own dtypes."""
        from ._plan import Check
        program, arrays, library, device = self._find(args, kwargs)
        _devices.check_place(program.target, device)
        results = ()
        if device is not None:
            results = _devices.to_host(program.call(arrays, device, library), library)
            arrays = _devices.to_host(arrays, library)
        factor, splits, target, _ = program.options
        found = _native.check(program.text, (*arrays, *program.captured), factor, splits, target, results)
        if isinstance(found, dict):
            raise CompileError(found["reason"], found["messages"])
        return Check(found)

    def benchmark(self, *args: Any, seconds: float = 1.0, **kwargs: Any) -> Timing:
        """Calls for about so many seconds: a `Timing`, in seconds per call. On a
        device, calls that follow each other are timed together."""
        from ._plan import Timing
        _, _, library, device = self._find(args, kwargs)

        def measure(count):
            before = time.perf_counter()
            for _ in range(count):
                self(*args, **kwargs)
            if device is not None:
                _devices.synchronize(device, library)
            return (time.perf_counter() - before) / count

        measure(1)
        # A wait for the device takes some microseconds.
        count = 1 if device is None else max(1, int(1e-3 / measure(3)))
        times: list = []
        start = time.perf_counter()
        while time.perf_counter() - start < seconds or len(times) < 3:
            times.append(measure(count))
        return Timing(times)


def _collect(name, value, names, leaves):
    """Leaves of an argument, with names for those that are arrays."""
    if isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            _collect(f"{name}_{index}", item, names, leaves)
    elif isinstance(value, dict):
        for key in sorted(value):
            _collect(f"{name}_{key}" if not re.fullmatch(r"kwargs|options", name) else str(key),
                     value[key], names, leaves)
    else:
        names.append(name)
        leaves.append(value.item() if isinstance(value, np.generic) else value)


def _substitute(value, values):
    if isinstance(value, (tuple, list)):
        return type(value)(_substitute(item, values) for item in value)
    if isinstance(value, dict):
        return {key: _substitute(value[key], values) for key in sorted(value)}
    return next(values)


def _structure(value):
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, *map(_structure, value))
    if isinstance(value, dict):
        return ("dict", *((key, _structure(value[key])) for key in sorted(value)))
    return None


def _static_key(value):
    if isinstance(value, _STATIC):
        return (type(value), value)
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"a {type(value).__name__} is neither an array nor a value that programs can be told apart "
                        "by; pass arrays, numbers, strings, or tuples, lists and dicts of them") from None
    return ("object", value)


#: How results come back: as arrays of NumPy, of PyTorch, or to be imported.
_KINDS = {"numpy": 0, "torch": 1}


def _fast_key(args, target):
    """What tells calls apart whose arguments are arrays of NumPy, tensors of PyTorch
    that want no gradient, and plain values; None for others. And the arrays."""
    key = [target]
    plain = False
    for value in args:
        if type(value) is np.ndarray:
            key.append(value.shape)
            key.append(value.dtype.num)
        elif type(value) in _TENSORS and not value.requires_grad:
            key.append(value.shape)
            key.append(value.dtype)
            key.append(value.device)
        elif type(value) in _STATIC:
            plain = True
            key.append(type(value))
            key.append(value)
        else:
            return None, args
    return tuple(key), tuple(a for a in args if type(a) not in _STATIC) if plain else args


#: The type of PyTorch's tensors, once one was seen.
_TENSORS: set = set()


def _import_jax(result):
    import jax.numpy
    return jax.numpy.from_dlpack(result)


def _import_cupy(result):
    import cupy
    return cupy.from_dlpack(result)


_IMPORTS = {"jax": _import_jax, "jaxlib": _import_jax, "cupy": _import_cupy}
#: So many shapes of arguments are remembered per function.
_MOST_SHAPES = 4096


def _find_library(arrays) -> str:
    """The library that the arguments are of, and the results are to be."""
    for array in arrays:
        library = type(array).__module__.partition(".")[0]
        if library == "torch":
            import torch
            if not _TENSORS:
                # Layers of a model call PyTorch and this in turn: one set of threads.
                _native.share_threads()
                _TENSORS.add(torch.Tensor)
            if torch.is_grad_enabled() and any(getattr(a, "requires_grad", False) for a in arrays):
                raise RuntimeError(NO_GRADIENT)
        if library in _KINDS or library in _IMPORTS:
            if library != "numpy":
                return library
    return "numpy"


@contextlib.contextmanager
def use_target(name: Optional[str]):
    """Functions that name no target of their own are compiled for this one inside a
    `with` statement, on this thread.

    Args:
      name: None for where the arrays are: the host, or their GPU. "cpu".
        "cuda", or "cuda:sm_80" (also sm_86, sm_89, sm_90, sm_90a) for kernels of one
        architecture: arrays are on a CUDA device. "hip", or "hip:gfx942" (also
        gfx90a, gfx1100, gfx1201): on a HIP device. "cuda:sm_80,emulate",
        "hip:gfx942,emulate" and the like: GPU kernels, run on the emulated GPU,
        which reports races and accesses out of bounds as a RuntimeError. Slow: for
        small sizes.
    """
    token = _TARGET.set(name)
    try:
        yield
    finally:
        _TARGET.reset(token)


@overload
def jit(function: Callable[..., Any], *, max_recompute_factor: int = 4, splits: int = 0,
        cache: bool = True, target: Optional[str] = None) -> Function: ...


@overload
def jit(function: None = None, *, max_recompute_factor: int = 4, splits: int = 0,
        cache: bool = True, target: Optional[str] = None) -> Callable[[Callable[..., Any]], Function]: ...


def jit(function: Optional[Callable[..., Any]] = None, *, max_recompute_factor: int = 4, splits: int = 0,
        cache: bool = True, target: Optional[str] = None) -> Any:
    """Compiles a function of arrays.

    The function is called once with arrays that record what is done with them:
    NumPy-like code, the functions of this package, and Python around them. Loops
    of Python are unrolled, and values that it looks at (flags, numbers, extents
    that it computes with) become part of the program.

    Args:
      function: takes and returns arrays, and tuples, lists and dicts of them.
        Other arguments (numbers, strings, None) are fixed per program.
      max_recompute_factor: how often scores may be computed again in place of
        being stored; a program that needs more is refused. 0: no limit.
      splits: ranges into which keys are split for few queries; 0: as the
        target sees fit.
      cache: keep compiled code on disk, where ATTN_CACHE_DIR says.
      target: what to compile for, as `use_target` has it; left out, what that
        says, or else where the arrays are.

    Returns:
      A `Function`, which takes NumPy arrays, or whatever speaks DLPack (PyTorch,
      JAX, CuPy), all on the host or all on one device of CUDA or HIP, and returns
      arrays of the kind that came in, there. On a device, kernels are given to the current
      stream of PyTorch or CuPy, and a call returns before they are done. Arrays
      that the function closes over are read at every call; those of the host are
      copied to a device once.

    Raises:
      CompileError: when called, for a program that cannot be compiled; it names
        the line. Also for a device without a driver, or without code for it.
      ValueError: when called, for arrays that the program does not take, or that
        are not in one place.
      RuntimeError: when called, for what the driver of a device refuses.

    >>> import numpy as np, attn_mlir as attn
    >>> @attn.jit
    ... def attention(q, k, v):
    ...     return attn.softmax(q @ k.mT * 0.125, where=attn.causal) @ v
    >>> q = np.zeros((1, 2, 5, 64), np.float32)
    >>> attention(q, q, q).shape
    (1, 2, 5, 64)
    """
    if function is None:
        return functools.partial(jit, max_recompute_factor=max_recompute_factor, splits=splits, cache=cache,
                                 target=target)
    return Function(function, max_recompute_factor, splits, cache, target)
