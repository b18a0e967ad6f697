"""PowerAttention: blocks at distances that are powers of two, a window, a sink.

The sequence is cut into blocks. A query sees its own block up to itself, the
blocks 1, 2, 4, 8, ... behind it, the last `window` blocks (its own among them), and
the first `sink` blocks. With n blocks that are about log n of them, and log n
layers connect every block with all blocks before it.

Paper: PowerAttention: Exponentially Scaling of Receptive Fields for Effective
Sparse Attention.
Inputs: q [B, Hq, L, D], k and v [B, Hkv, L, D], block (tokens), window and sink
(blocks). L need not be a multiple of block.
Outputs: out [B, Hq, L, D], lse [B, Hq, L].
Errors: ValueError for shapes that do not agree, a block of no token, and a negative window
or sink.
"""

import numpy as np

import attn_mlir as attn
from ._support import at_least, check_shapes, on_target


@attn.jit
def power_attention(q, k, v, block, window, sink):
    kv_block = attn.kv_idx // block
    distance = attn.q_idx // block - kv_block
    # Powers of two have one bit; 0 has none.
    is_power = (distance & (distance - 1)) == 0
    s = q @ k.mT * q.shape[-1] ** -0.5
    where = attn.causal & (is_power | (distance < window) | (kv_block < sink))
    return attn.softmax(s, where=where) @ v, attn.logsumexp(s, where=where)


@on_target
def run(target="cpu", *, q, k, v, block=256, window=5, sink=1):
    check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv L D"), v=(v, "B Hkv L Dv"))
    out, lse = power_attention(q, k, v, at_least("block", block, 1), at_least("window", window, 0),
                               at_least("sink", sink, 0))
    return {"out": out, "lse": lse}


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, heads, 150, 16)).astype(dtype) for heads in (4, 2, 2))
    return {"q": q, "k": k, "v": v, "block": 8, "window": 2, "sink": 1}
