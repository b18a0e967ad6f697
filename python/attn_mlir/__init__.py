"""Attention as the paper writes it, compiled into kernels that never store the
score matrix.

    import attn_mlir as attn

    @attn.jit
    def attention(q, k, v):
        return attn.softmax(q @ k.mT * 0.125, where=attn.causal) @ v

`q @ k.mT` of arrays [B, H, L, D] is a virtual matrix of scores: arithmetic on it,
normalizers, masks, reductions and products with values compile into streams over
queries and keys. Other arrays are a subset of NumPy on the same compiled path.
"""

from . import _namespace as _namespace, linalg as linalg
from ._array import Array as Array
from ._errors import CompileError as CompileError
from ._jit import Function as Function, jit as jit, use_target as use_target
from ._namespace import *  # noqa: F401,F403
from ._native import get_num_threads as get_num_threads, set_num_threads as set_num_threads
from ._native import version as _version
from ._scores import Mask as Mask, Scores as Scores

__version__ = _version()
