"""Normalized attention pooling: rows of scores with mean 0 and variance 1.

In place of a softmax, the scores of a query are centred and divided by their
standard deviation over the keys it sees; a gain and a bias per head follow.
Weights may be negative. An ablation (NON) takes the scaled scores themselves,
over the square root of the length.

Paper: Normalized Attention Without Probability Cage, arXiv 2005.09561.
Inputs: q, k and v [B, H, L, D], gain and bias [H], key_mask [B, L] (1 where a key
is seen), causal (0 or 1).
Outputs: out and out_non [B, H, L, D], weights [B, H, L, L] (stored for this output
alone), mean and std [B, H, L]
(of the scores that are seen; 0 where none is). Rows that see nothing are 0.
Errors: ValueError for shapes that do not agree, and for another flag.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, on_target


@attn.jit
def normalized_attention(q, k, v, gain, bias, key_mask, causal):
    where = key_mask[attn.batch, attn.kv_idx] != 0
    s = attn.mask(q @ k.mT, where & attn.causal if causal else where)
    # A row that sees nothing has neither.
    seen = attn.count(s, keepdims=True) > 0
    mean = attn.where(seen, s.mean(keepdims=True), 0.0)
    std = attn.where(seen, s.std(keepdims=True), 0.0)
    a = gain[attn.head] * (s - mean) / (std + 1e-3) + bias[attn.head]
    length = attn.asarray(k.shape[2]).astype(float)
    non = (s * q.shape[-1] ** -0.5) @ v / attn.sqrt(length)
    return a @ v, attn.materialize(a), mean[..., 0], std[..., 0], non


@on_target
def run(target="cpu", *, q, k, v, gain, bias, key_mask, causal=False):
    gain, bias, key_mask = array(gain, q), array(bias, q), array(key_mask)
    check_shapes(q=(q, "B H L D"), k=(k, "B H L D"), v=(v, "B H L Dv"), gain=(gain, "H"), bias=(bias, "H"),
                 key_mask=(key_mask, "B L"))
    results = normalized_attention(q, k, v, gain, bias, key_mask, flag("causal", causal))
    return dict(zip(("out", "weights", "mean", "std", "out_non"), results))


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 4, 70, 16)).astype(dtype) for _ in range(3))
    gain, bias = rng.uniform(0.5, 1.1, 4).astype(dtype), rng.uniform(-0.3, 0.3, 4).astype(dtype)
    key_mask = (np.arange(70) < np.array([70, 59])[:, None]).astype(dtype)
    return {"q": q, "k": k, "v": v, "gain": gain, "bias": bias, "key_mask": key_mask, "causal": 0}
