"""The compiler and its runtime. Arrays are objects that speak DLPack."""

from typing import Any, Callable, Optional, TypedDict, Union

class _Failure(TypedDict):
    """Why something was not made; messages are (severity, text, file, line, column)."""

    reason: str
    messages: list[tuple[str, str, str, int, int]]

class Program:
    """A compiled program, which any number of threads may call at once."""

    def __call__(self, arguments: tuple[Any, ...], kind: int) -> list[Any]:
        """Results for arrays: of NumPy (kind 0), of PyTorch (1), or with DLPack alone (2).

        Errors: ValueError for arrays that the program does not take, MemoryError,
        RuntimeError for what the emulated GPU finds.
        """
    def call_on_device(self, arguments: tuple[Any, ...], kind: int, device: tuple[int, int], stream: int,
                       allocate: Optional[Callable[[int, tuple[int, ...]], Any]]) -> list[Any]:
        """The same for arrays, or capsules of DLPack, on a device, given by DLPack's type and
        its number, in the order of a stream. allocate(index, shape) makes the array of a result, and bytes to work in as
        number -1; without it the runtime allocates, and the call is done on return.

        Errors: also RuntimeError for what the driver refuses.
        """
    @property
    def from_cache(self) -> bool: ...
    @property
    def messages(self) -> list[tuple[str, str, str, int, int]]:
        """Warnings of the compilation: (severity, text, file, line, column)."""

def compile(text: str, max_recompute_factor: int, splits: int, target: str, cache: bool) -> Union[Program, _Failure]: ...
def print(text: str, max_recompute_factor: int, splits: int, target: str, plan: bool) -> Union[str, _Failure]: ...
def check(text: str, arguments: tuple[Any, ...], max_recompute_factor: int,
          splits: int, target: str, results: tuple[Any, ...]) -> Union[list[tuple[str, float, float, float, int, bool]], _Failure]: ...
def map_tiles(text: str, arguments: tuple[Any, ...], max_recompute_factor: int, splits: int, target: str,
              block: int) -> Union[list[tuple[int, int, int, int, bytes]], _Failure]: ...
def check_target(target: str) -> str:
    """Why there is no such target; "" if there is one."""
def find_target(device: tuple[int, int]) -> Union[str, _Failure]:
    """The target of a device of CUDA or HIP."""
def copy_to_device(array: Any, device: tuple[int, int]) -> Any:
    """A copy of a contiguous array of the host on a device, with DLPack alone."""
def synchronize(device: tuple[int, int], stream: int) -> None:
    """Waits for a stream of a device."""
def set_num_threads(count: int) -> None: ...
def get_num_threads() -> int: ...
def share_threads() -> bool:
    """Runs loops on the threads of GNU's OpenMP, if a library brought one along: whether they do."""
def version() -> str: ...
