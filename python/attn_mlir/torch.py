"""PyTorch: compiled functions as custom ops, and FlexAttention's interface.

>>> import torch, attn_mlir as attn
>>> from attn_mlir.torch import flex_attention
>>> q = torch.zeros(1, 2, 8, 16)
>>> flex_attention(q, q, q, lambda score, b, h, i, j: score - 0.1 * abs(i - j)).shape
torch.Size([1, 2, 8, 16])
"""

from __future__ import annotations

import functools
import inspect
import types
from collections import OrderedDict
from typing import Any, Callable, Optional, Union

import torch
from torch.overrides import TorchFunctionMode

from . import _namespace as attn
from . import _devices, _scores, _torch_functions, _types
from ._array import Array
from ._errors import NO_GRADIENT
from ._extents import _evaluate
from ._jit import Function, jit
from ._scores import Scores

__all__ = ["custom_op", "flex_attention"]


# ===----------------------------------------------------------------------===
# Custom ops
# ===----------------------------------------------------------------------===


def custom_op(function: Callable[..., Any], name: Optional[str] = None) -> Callable[..., Any]:
    """A compiled function as an operator of PyTorch, for torch.compile and
    torch.export.

    Args:
      function: made by `attn.jit` (or to be made by it). Parameters are tensors;
        those annotated with, or by default, a bool, int, float or str are not.
      name: of the op, "namespace::name"; by default "attn_mlir::" and the
        function's own.

    Returns:
      a function that takes what `function` takes, and returns a tensor, or a tuple
      of tensors. Shapes may be symbolic: the program says what its results'
      extents are. Calling it where a gradient is needed is an error when the
      gradient is asked for.
    """
    if not isinstance(function, Function):
        function = jit(function)
    name = name or f"attn_mlir::{function.__name__}"
    parameters, order = [], []
    for parameter in inspect.signature(function.function).parameters.values():
        kind = parameter.annotation if parameter.annotation in (bool, int, float, str) else \
            type(parameter.default) if isinstance(parameter.default, (bool, int, float, str)) else None
        default = "" if parameter.default is inspect.Parameter.empty else \
            f'="{parameter.default}"' if kind is str else f"={parameter.default}"
        text = {bool: "bool", int: "int", float: "float", str: "str", None: "Tensor"}[kind]
        parameters.append(f"{text} {parameter.name}{default}")
        order.append(parameter.name)

    def run(*args):
        with torch.no_grad():
            results = function(*args)
        return list(results) if isinstance(results, (tuple, list)) else [results]

    op = torch.library.custom_op(name, run, mutates_args=(), schema=f"({', '.join(parameters)}) -> Tensor[]")
    op.register_fake(lambda *args: _infer(function, args))

    def backward(context, *gradients):
        raise RuntimeError(NO_GRADIENT)

    op.register_autograd(backward, setup_context=lambda ctx, inputs, output: None)
    signature = inspect.signature(function.function)

    @functools.wraps(function.function)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        results = op(*bound.args)
        return results[0] if len(results) == 1 else tuple(results)

    return wrapper


def _infer(function, args):
    """Results of a call, without their elements."""
    def stand_in(value):
        if not isinstance(value, torch.Tensor):
            return value
        return _Shape(tuple(_hint(e) for e in value.shape), value.dtype, value.device)

    tensors = [a for a in args if isinstance(a, torch.Tensor)]
    program, *_ = function._find(tuple(map(stand_in, args)), {})
    shapes = [tuple(t.shape) for t in tensors]
    if not program.rules.hold(shapes):
        raise RuntimeError(f"'{function.__name__}' is traced for other shapes than {shapes}")
    device = tensors[0].device if tensors else "cpu"
    results = []
    for element, shape in program.results:
        extents = [_evaluate(e.terms, shapes) if hasattr(e, "terms") else e for e in shape]
        results.append(torch.empty(extents, dtype=getattr(torch, _types.to_name(element)), device=device))
    return results


def _hint(extent) -> int:
    # A SymInt knows the extent of the call that is being traced; taking it from
    # the node asks for no guard.
    return extent if isinstance(extent, int) else int(extent.node.hint)


class _Shape:
    """A tensor of which only shape, dtype and device are known."""

    requires_grad = False

    def __init__(self, shape, dtype, device):
        self.shape, self.dtype, self.device = shape, dtype, device

    def __dlpack_device__(self):
        return _devices.find_torch_device(self.device)

    def __dlpack__(self, **_):
        raise TypeError("a tensor without elements")


# ===----------------------------------------------------------------------===
# FlexAttention
# ===----------------------------------------------------------------------===


class _Captured(TorchFunctionMode):
    """Tensors that a score_mod or mask_mod reads are arrays of the program."""

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays  # by id of the tensor

    def convert(self, value):
        if isinstance(value, torch.Tensor):
            array = self.arrays.get(id(value))
            if array is None:
                from ._jit import capture
                from ._trace import current
                array = capture(current(), value.detach())
            return array if array.ndim else _scores.spread(array)
        return value

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flat = list(args) + list(kwargs.values())
        keys = [k for a in flat if isinstance(a, tuple) for k in a]
        if any(isinstance(a, Scores) for a in flat + keys):
            return _torch_functions.call(function, args, kwargs, self.convert)
        return function(*args, **kwargs)


def _describe(value, tensors, seen):
    """What tells a score_mod from others; the tensors that it reads are appended."""
    if isinstance(value, torch.Tensor):
        if all(value is not t for t in tensors):
            tensors.append(value)
        place = next(i for i, t in enumerate(tensors) if t is value)
        return ("tensor", place)
    if isinstance(value, (bool, int, float, str, type(None))):
        return (type(value).__name__, value)
    if id(value) in seen:
        return ("again", seen.index(id(value)))
    if isinstance(value, types.FunctionType):
        seen.append(id(value))
        cells = tuple(_describe(cell.cell_contents, tensors, seen) for cell in value.__closure__ or ())
        names = [n for code in _codes(value.__code__) for n in code.co_names]
        globals_ = tuple((n, _describe(value.__globals__[n], tensors, seen)) for n in sorted(set(names))
                         if isinstance(value.__globals__.get(n), (torch.Tensor, types.FunctionType, int, float, bool)))
        defaults = tuple(_describe(d, tensors, seen) for d in value.__defaults__ or ())
        return ("function", value.__code__, cells, globals_, defaults)
    if isinstance(value, functools.partial):
        return ("partial", _describe(value.func, tensors, seen),
                tuple(_describe(a, tensors, seen) for a in value.args),
                tuple((k, _describe(a, tensors, seen)) for k, a in sorted(value.keywords.items())))
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, *(_describe(v, tensors, seen) for v in value))
    if isinstance(value, types.ModuleType):
        return ("module", value.__name__)
    if callable(value) and hasattr(value, "fn"):
        return _describe(value.fn, tensors, seen)
    return ("object", _Identity(value))


class _Identity:
    """Equal to itself alone, and alive as long as it is a key."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self):
        return id(self.value)


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


_functions: OrderedDict = OrderedDict()
_MOST_FUNCTIONS = 256


def _block_list(block_mask):
    """Blocks that a BlockMask lists, partial and full ones, in ascending order:
    [B, H, rows, L]; -1 stands for none."""
    known = getattr(block_mask, "_attn_mlir_list", None)
    if known is not None:
        return known
    parts = []
    for count, indices in ((block_mask.kv_num_blocks, block_mask.kv_indices),
                           (block_mask.full_kv_num_blocks, block_mask.full_kv_indices)):
        if count is not None:
            place = torch.arange(indices.shape[-1], device=indices.device)
            parts.append(torch.where(place < count[..., None], indices, -1))
    listed = torch.cat(parts, -1).to(torch.int32).sort(-1).values
    try:
        block_mask._attn_mlir_list = listed
    except AttributeError:
        pass
    return listed


#: Block masks of more entries are not looked through.
_MOST_ENTRIES = 1 << 28


def _says_all(block_mask) -> bool:
    """Whether the blocks that a BlockMask lists are those in which its mask_mod holds
    somewhere, as create_block_mask makes them: the list then adds nothing."""
    known = getattr(block_mask, "_attn_mlir_says_all", None)
    if known is not None:
        return known
    from torch.nn.attention.flex_attention import create_block_mask, noop_mask
    rows, keys = block_mask.seq_lengths
    known = False
    if block_mask.mask_mod is not noop_mask and rows * keys <= _MOST_ENTRIES:
        batch, heads = block_mask.kv_indices.shape[:2]
        made = create_block_mask(block_mask.mask_mod, batch, heads, rows, keys, device=block_mask.kv_indices.device,
                                 BLOCK_SIZE=block_mask.BLOCK_SIZE)
        known = torch.equal(made.to_dense(), block_mask.to_dense())
    try:
        block_mask._attn_mlir_says_all = known
    except AttributeError:
        pass
    return known


def _reads_only_vectors(mask) -> bool:
    """Whether mask analysis sees which tiles a condition empties: it reads indices,
    and captured vectors at the index of the query or of the key."""
    if mask.op == "gather":
        return all(place.op in ("index", "const") for place in mask.args)
    return all(map(_reads_only_vectors, mask.args))


@torch.compiler.disable
def flex_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                   score_mod: Optional[Callable[..., Any]] = None, block_mask: Any = None,
                   scale: Optional[float] = None, enable_gqa: bool = False, return_lse: bool = False,
                   kernel_options: Any = None, *, return_aux: Any = None
                   ) -> Union[torch.Tensor, tuple[torch.Tensor, Any]]:
    """torch.nn.attention.flex_attention.flex_attention on compiled kernels.

    Args:
      query: [B, Hq, L, E]; key: [B or 1, Hkv, S, E]; value: [B or 1, Hkv, S, Ev].
      score_mod: (score, b, h, q_idx, kv_idx) -> score, in functions of torch.
      block_mask: a BlockMask. Its mask_mod decides in every listed block; blocks
        that are not listed are not seen.
      scale: of the scores; 1 / sqrt(E) by default.
      enable_gqa: allows fewer heads of keys and values than of queries.
      return_lse: the logarithm of the sum of exponentials, [B, Hq, L], as well.
      kernel_options: accepted, and not needed.
      return_aux: an AuxRequest; of what it may ask for there are lse and max_scores.

    Errors: RuntimeError where a gradient would be needed; ValueError and TypeError
    for shapes and functions that do not fit; CompileError for programs that cannot
    be compiled.
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        raise RuntimeError(NO_GRADIENT)
    if not enable_gqa and query.shape[1] != key.shape[1]:
        raise ValueError(f"{query.shape[1]} heads of queries and {key.shape[1]} of keys need enable_gqa=True")
    scale = float(query.shape[-1]) ** -0.5 if scale is None else float(scale)
    wants_lse = return_lse or bool(getattr(return_aux, "lse", False))
    wants_max = bool(getattr(return_aux, "max_scores", False))
    tensors: list = []
    seen: list = []
    mask_mod = None if block_mask is None else block_mask.mask_mod
    described = (_describe(score_mod, tensors, seen), _describe(mask_mod, tensors, seen))
    blocks = None if block_mask is None else tuple(block_mask.BLOCK_SIZE)
    if block_mask is not None and (block_mask.seq_lengths[0] < query.shape[2]
                                   or block_mask.seq_lengths[1] < key.shape[2]):
        raise ValueError(f"the block mask is for {tuple(block_mask.seq_lengths)} queries and keys, not for "
                         f"{query.shape[2]} and {key.shape[2]}")
    identity = (described, scale, wants_lse, wants_max, blocks)
    function = _functions.get(identity)
    if function is None:
        function = _functions[identity] = _make_flex(score_mod, mask_mod, tensors, scale, wants_lse, wants_max, blocks)
        while len(_functions) > _MOST_FUNCTIONS:
            _functions.popitem(last=False)
    else:
        _functions.move_to_end(identity)
    listed = None if block_mask is None else _block_list(block_mask)
    says_all = block_mask is not None and _says_all(block_mask)
    with torch.no_grad():
        results = function(query, key, value, [t.detach() for t in tensors], listed, says_all)
    o, lse, top = results
    if return_aux is not None:
        from torch.nn.attention.flex_attention import AuxOutput
        return o, AuxOutput(lse=lse, max_scores=top)
    return (o, lse) if return_lse else o


def _make_flex(score_mod, mask_mod, tensors, scale, wants_lse, wants_max, blocks):
    ids = [id(t) for t in tensors]

    def flex(query, key, value, captured, listed, says_all):
        entry = (attn.batch, attn.head, attn.q_idx, attn.kv_idx)
        s = _scores.score(query, key, scale)
        with _Captured(dict(zip(ids, captured))) as mode:
            if score_mod is not None:
                s = _scores._lift(mode.convert(score_mod(s, *entry)))
            where = None if mask_mod is None else mask_mod(*entry)
        if isinstance(where, (bool, Array, torch.Tensor)):
            where = _scores._lift(where)
        # Arithmetic on positions finds the tiles without the list.
        if listed is not None and not (says_all and _reads_only_vectors(where)):
            s = _scores.restrict(s, listed, blocks)
        if where is not None:
            s = _scores.mask(s, where)
        o = _scores.softmax(s) @ value
        return (o, attn.logsumexp(s) if wants_lse else None, s.max(-1) if wants_max else None)

    # The tensors are held, so that their ids stay their own.
    flex.tensors = tensors
    return jit(flex)
