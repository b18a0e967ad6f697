"""Arrays on devices of CUDA and HIP: on which, the stream that their library works
on, and memory for results.

A device is a pair as DLPack has it: (2, 0) is the first of CUDA, (10, 0) of HIP.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from . import _native
from ._errors import CompileError

__all__ = ["Device", "find_device", "find_torch_device", "find_target", "check_place", "copy_captured", "call",
           "to_host", "synchronize"]

Device = tuple[int, int]

# Device types of DLPack: memory of the host, also what devices can read, and GPUs'.
_HOST = (1, 3, 11)
_CUDA, _HIP = 2, 10
_PLATFORMS = {_CUDA: "cuda", _HIP: "hip"}


class _Library(NamedTuple):
    """What a call on a device asks of the library that its arrays are of."""

    #: The number of the current stream of a device.
    get_stream: Callable[[int], int]
    #: An array for (shape, name of a dtype, device), in the order of that stream. None
    #: for a library that does not say what its stream is: calls wait for the device.
    allocate: Optional[Callable[[tuple, str, int], Any]]
    #: The array in memory of the host.
    to_host: Callable[[Any], Any]


def _torch() -> _Library:
    import torch

    def allocate(shape, dtype, device):
        return torch.empty(shape, dtype=getattr(torch, dtype), device=torch.device("cuda", device))

    return _Library(lambda device: torch.cuda.current_stream(device).cuda_stream, allocate,
                    lambda tensor: tensor.detach().cpu())


def _cupy() -> _Library:
    import cupy

    def allocate(shape, dtype, device):
        with cupy.cuda.Device(device):
            return cupy.empty(shape, dtype)

    def get_stream(device):
        with cupy.cuda.Device(device):
            return cupy.cuda.get_current_stream().ptr

    return _Library(get_stream, allocate, lambda array: array.get())


def _jax() -> _Library:
    import jax
    return _Library(lambda device: 0, None, lambda array: jax.device_put(array, jax.devices("cpu")[0]))


def _other() -> _Library:
    def to_host(array):
        raise TypeError(f"the elements of a {type(array).__name__} on a device are not copied to the host for a check: "
                        "pass arrays of PyTorch, CuPy or JAX, or of the host")

    return _Library(lambda device: 0, None, to_host)


_MAKERS = {"torch": _torch, "cupy": _cupy, "jax": _jax, "jaxlib": _jax}


@functools.lru_cache(maxsize=None)
def _get_library(name: str) -> _Library:
    return _MAKERS.get(name, _other)()


def find_torch_device(device) -> Device:
    """What DLPack calls a device of PyTorch, to which those of HIP are "cuda", too."""
    import torch
    kind = _HIP if torch.version.hip else _CUDA
    return (kind, device.index or 0) if device.type == "cuda" else (1, 0)


def _find_place(array) -> Device:
    if "torch" in sys.modules and isinstance(array, sys.modules["torch"].Tensor):
        return find_torch_device(array.device)
    ask = getattr(array, "__dlpack_device__", None)
    kind, number = ask() if ask else (1, 0)
    return int(kind), int(number)


def _describe(place: Device) -> str:
    kind, number = place
    if kind in _HOST:
        return "the host"
    return f"{_PLATFORMS[kind].upper()} device {number}" if kind in _PLATFORMS else \
        f"device {number} of DLPack's type {kind}"


def find_device(names, arrays) -> Optional[Device]:
    """The device that all arrays are on, or None for the host.

    Errors: ValueError for arrays in two places, and on devices of other kinds."""
    found = None
    for name, array in zip(names, arrays):
        place = _find_place(array)
        if place[0] in _HOST:
            place = (1, 0)
        elif place[0] not in _PLATFORMS:
            raise ValueError(f"'{name}' is on {_describe(place)}; programs run on the host and on CUDA and HIP devices")
        if found is not None and found[0] != place:
            raise ValueError(f"'{found[1]}' is on {_describe(found[0])}, and '{name}' on {_describe(place)}: the arrays "
                             "of a call are all in one place")
        found = found or (place, name)
    return found[0] if found and found[0][0] in _PLATFORMS else None


@functools.lru_cache(maxsize=None)
def _find_target_of(device: Device) -> str:
    target = _native.find_target(device)
    if isinstance(target, dict):
        raise CompileError(target["reason"])
    return target


@functools.lru_cache(maxsize=None)
def _check_target(target: str) -> str:
    reason = _native.check_target(target)
    if reason:
        raise CompileError(reason)
    return target


def find_target(wanted: Optional[str], device: Optional[Device]) -> str:
    """The target for arrays on a device (None: the host): the wanted one, where that
    says so much.

    Errors: CompileError for a target that there is not, and for a device that there
    is no code for, or no driver of."""
    if device is not None and wanted in (None, _PLATFORMS[device[0]]):
        return _find_target_of(device)
    if wanted is None:
        return "cpu"
    for kind, platform in _PLATFORMS.items():
        if wanted == platform:
            return _find_target_of((kind, 0))
    return _check_target(wanted)


def check_place(target: str, device: Optional[Device]) -> None:
    """Errors: ValueError for a target that does not run where the arrays are."""
    runs_on_host = target == "cpu" or target.endswith(",emulate")
    if device is None:
        if not runs_on_host:
            raise ValueError(f"the arrays are on the host, where programs for target '{target}' do not run: pass "
                             f"arrays of its device, or name the target '{target},emulate'")
        return
    platform = _PLATFORMS[device[0]]
    if runs_on_host or not target.startswith(platform + ":"):
        raise ValueError(f"the arrays are on {_describe(device)}, where programs for target '{target}' do not run: "
                         f"name no target, or '{platform}'")


def copy_captured(arrays, device: Device) -> tuple:
    """Arrays that a program has of its own, on a device: those of the host are copied."""
    return tuple(_native.copy_to_device(_close_gaps(array), device) if _find_place(array)[0] in _HOST else array
                 for array in arrays)


def _close_gaps(array):
    if isinstance(array, np.ndarray):
        return np.asarray(array, order="C")
    return array.contiguous() if hasattr(array, "contiguous") else array


def call(program, dtypes, arrays, device: Device, library: str, kind: int) -> list:
    """Calls a compiled program in the order of the library's current stream."""
    own = _get_library(library)
    # -1: no other stream is to wait. The default stream, which is to, has a number for each.
    stream = -1 if own.allocate else 1 if device[0] == _CUDA else 0
    exported = tuple(array.__dlpack__(stream=stream) for array in arrays)
    allocate = None if own.allocate is None else functools.partial(_allocate, own.allocate, dtypes, device[1])
    return program.call_on_device(exported, kind, device, own.get_stream(device[1]), allocate)


def _allocate(allocate, dtypes, device, index, shape):
    """The array of a result, or bytes to work in for -1."""
    return allocate(shape, dtypes[index] if index >= 0 else "uint8", device)


def to_host(arrays, library: str) -> tuple:
    """The arrays in memory of the host."""
    return tuple(map(_get_library(library).to_host, arrays))


def synchronize(device: Device, library: str) -> None:
    """Waits for the library's current stream."""
    _native.synchronize(device, _get_library(library).get_stream(device[1]))
