"""BigBird: blocks of global, neighbouring and random keys.

The sequence is cut into blocks. Queries of the first and the last block see all
keys; the others see the first and the last block, the blocks beside them, and
blocks from a table drawn once per head. A block that is named twice counts once.
Work is linear in the length: queries in the middle visit their lists of blocks.
Queries that are padding give 0.

Paper: Big Bird: Transformers for Longer Sequences, arXiv 2007.14062.
Inputs: q, k and v [B, H, L, D], L a multiple of block and at
least 5 blocks, mask [B, L] (bool, true for
tokens), rand [H, L / block - 2, r] (blocks for the query blocks in the middle),
block.
Outputs: out [B, H, L, D].
Errors: ValueError for shapes that do not agree, and for tokens that are no whole blocks or
fewer than 5.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, on_target


@attn.jit
def bigbird(q, k, v, mask, rand, block):
    scale, blocks = q.shape[-1] ** -0.5, q.shape[2] // block
    is_token = mask[attn.batch, attn.kv_idx]

    # The global queries: the first block and the last.
    ends = attn.concatenate([q[:, :, :block], q[:, :, -block:]], 2)
    o_ends = attn.softmax(ends @ k.mT * scale, where=is_token) @ v

    # The others, with lists: global, window, random.
    row = attn.arange(1, blocks - 1)[:, None]
    fixed = attn.concatenate([row * 0, row * 0 + (blocks - 1), row - 1, row, row + 1], 1)
    lists = attn.concatenate([attn.broadcast_to(fixed, (rand.shape[0], *fixed.shape)), rand], -1)
    s = attn.restrict(q[:, :, block:-block] @ k.mT * scale, lists[None], (block, block))
    o_middle = attn.softmax(s, where=is_token) @ v

    o = attn.concatenate([o_ends[:, :, :block], o_middle, o_ends[:, :, block:]], 2)
    return attn.where(mask[:, None, :, None], o, 0.0)


@on_target
def run(target="cpu", *, q, k, v, mask, rand, block=64):
    block = at_least("block", block, 1)
    if q.shape[2] % block:
        raise ValueError(f"{q.shape[2]} tokens are no multiple of blocks of {block}; pad them")
    mask, rand = array(mask), array(rand)
    sizes = check_shapes(q=(q, "B H L D"), k=(k, "B H L D"), v=(v, "B H L Dv"), mask=(mask, "B L"),
                         rand=(rand, "H rows r"))
    if sizes["rows"] != at_least("L / block", sizes["L"] // block, 5) - 2:
        raise ValueError(f"rand has rows for the {sizes['L'] // block - 2} blocks in the middle, not {sizes['rows']}")
    return {"out": bigbird(q, k, v, mask, rand, block)}


def draw_blocks(rng, heads, blocks, count):
    """A table [H, blocks - 2, count]: no block that is seen anyway, none twice."""
    def row(i):
        others = [b for b in range(1, blocks - 1) if abs(b - i) > 1]
        return rng.choice(others, count, replace=False)

    return np.array([[row(i) for i in range(1, blocks - 1)] for _ in range(heads)])


def example(rng, dtype=np.float64):
    q, k, v = (rng.standard_normal((2, 3, 72, 16)).astype(dtype) for _ in range(3))
    mask = np.arange(72) < np.array([[72], [61]])
    return {"q": q, "k": k, "v": v, "mask": mask, "rand": draw_blocks(rng, 3, 9, 2), "block": 8}
