"""The compiler and its runtime. Arrays are objects that speak DLPack."""

from typing import Any, TypedDict, Union

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
    @property
    def from_cache(self) -> bool: ...
    @property
    def messages(self) -> list[tuple[str, str, str, int, int]]:
        """Warnings of the compilation: (severity, text, file, line, column)."""

def compile(text: str, max_recompute_factor: int, splits: int, target: str, cache: bool) -> Union[Program, _Failure]: ...
def print(text: str, max_recompute_factor: int, splits: int, target: str, plan: bool) -> Union[str, _Failure]: ...
def check(text: str, arguments: tuple[Any, ...], max_recompute_factor: int,
          splits: int, target: str) -> Union[list[tuple[str, float, float, float, int, bool]], _Failure]: ...
def map_tiles(text: str, arguments: tuple[Any, ...], max_recompute_factor: int, splits: int, target: str,
              block: int) -> Union[list[tuple[int, int, int, int, bytes]], _Failure]: ...
def set_num_threads(count: int) -> None: ...
def get_num_threads() -> int: ...
def share_threads() -> bool:
    """Runs loops on the threads of GNU's OpenMP, if a library brought one along: whether they do."""
def version() -> str: ...
