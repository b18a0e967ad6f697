"""Hugging Face transformers: an attention implementation that models name.

>>> import transformers                                            # doctest: +SKIP
>>> import attn_mlir.transformers                                  # doctest: +SKIP
>>> attn_mlir.transformers.register()                              # doctest: +SKIP
>>> model = transformers.AutoModel.from_pretrained(name, attn_implementation="attn_mlir")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any, Optional

import torch

from . import _namespace as attn
from ._errors import NO_GRADIENT
from ._jit import jit

__all__ = ["register", "attention"]


@jit
def _attend(query, key, value, padding, sinks, scaling, causal, window, softcap):
    # The last query is at the last key.
    s = attn.scores(query, key, scaling, q_offset=key.shape[2] - query.shape[2])
    if softcap is not None:
        s = attn.tanh(s / softcap) * softcap
    where = None
    if causal:
        where = attn.causal if window is None else attn.sliding_window(window)
    elif window is not None:
        where = attn.window(window - 1, window - 1)
    if padding is not None and padding.ndim == 2:
        seen = padding[attn.batch, attn.kv_idx]
        where = seen if where is None else where & seen
    elif padding is not None and padding.dtype == "bool":
        s = attn.mask(s, padding)
    elif padding is not None:
        s = s + padding
    p = attn.softmax(s, where=where, sink=sinks)
    return (p @ value).swapaxes(1, 2)


def attention(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
              attention_mask: Optional[torch.Tensor], scaling: Optional[float] = None, dropout: float = 0.0,
              is_causal: Optional[bool] = None, sliding_window: Optional[int] = None, softcap: Optional[float] = None,
              s_aux: Optional[torch.Tensor] = None, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """The function that transformers calls in a layer of attention.

    Args:
      query: [B, H, L, D]; key, value: [B, G, S, D].
      attention_mask: None; bool [B, S] of the keys that are no padding; or, from
        models with masks of their own, [B or 1, H or 1, L, S] of bool, or added.
      sliding_window: so many keys up to the query are seen.
      softcap: scores become softcap * tanh(score / softcap).
      s_aux: logits [H] that take part in the sums of softmax alone.

    Returns:
      ([B, L, H, D], None): no weights, because nobody stores them.

    Errors: ValueError for dropout in training, and for output_attentions.
    """
    if dropout and module.training:
        raise ValueError("attn_mlir has no dropout: set attention_dropout to 0, or model.eval()")
    if kwargs.get("output_attentions"):
        raise ValueError("attn_mlir stores no weights: use attn_implementation='eager' for output_attentions")
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    stored = attention_mask is not None and attention_mask.ndim == 4
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    if attention_mask is not None and attention_mask.ndim == 2:
        attention_mask = attention_mask[:, -key.shape[2]:].to(torch.bool)
    if query.requires_grad or key.requires_grad or value.requires_grad:
        if torch.is_grad_enabled():
            raise RuntimeError(NO_GRADIENT)
        query, key, value = query.detach(), key.detach(), value.detach()
    # A stored mask says everything about what is seen.
    o = _attend(query, key, value, attention_mask, s_aux, scaling,
                bool(causal) and not stored, None if stored else sliding_window, softcap)
    return o, None


def _make_mask(batch_size, q_length, kv_length, q_offset=0, kv_offset=0, mask_function=None, attention_mask=None,
               **kwargs):
    """Padding alone: whether it is causal, or a window, is the layer's to say."""
    from transformers.masking_utils import flash_attention_mask
    return flash_attention_mask(batch_size, q_length, kv_length, q_offset, kv_offset,
                                *(() if mask_function is None else (mask_function,)), attention_mask=attention_mask)


def register(name: str = "attn_mlir") -> None:
    """Makes attn_implementation=`name` known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, _make_mask)
