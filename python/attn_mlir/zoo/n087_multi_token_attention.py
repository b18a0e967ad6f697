"""Multi-token attention: scores and weights convolved over queries and keys.

Before and after the softmax, the matrix of a head may be convolved with a small
kernel, over earlier queries and over keys at both sides, and heads may be mixed.
What a query does not see counts as 0 in convolutions and is hidden again behind
them, so that nothing looks ahead; weights are not normalized again. The output is
normalized over a head's features, scaled by a number that grows with the layer, and
gated. A gate or a mix that is the identity, and kernels of one tap, leave attention
as it is.

Paper: Multi-Token Attention, arXiv 2504.00927.
Inputs: q [B, H, L, D], k and v [B, H or fewer, L, D], k_pre and k_post [H, cq, ck], ck odd,
w_pre [H, H] (head out, head in), w_post [H / ch, ch, ch] (group, head in, head out),
norm_g and gate_w [D], gate_b, flags (convolution and mix before, convolution and mix
after), layer, key_keep [B, L] (bool).
Outputs: attn [B, H, L, D], weighted values; weights and softmax [B, H, L, L], stored
as they are asked for; lse [B, H, L]; out [B, H, L, D], normalized and gated.
Errors: ValueError for shapes that do not agree, an even ck, and flags that are not four of
0 or 1.
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, flag, number, on_target


@attn.jit
def multi_token_attention(q, k, v, k_pre, w_pre, k_post, w_post, norm_g, gate_w, gate_b, flags, depth, key_keep,
                          is_decoding=False):
    """Decoding takes the query of the last token behind those of the 2 (cq - 1) before
    it; the last row is that of the whole."""
    pre_conv, pre_head, post_conv, post_head = flags
    where = attn.causal & key_keep[attn.batch, attn.kv_idx]
    # Absent entries count as 0 in a convolution, and stay absent.
    scale = q.shape[-1] ** -0.5
    s = attn.scores(q, k, scale, q_offset=k.shape[2] - q.shape[2]) if is_decoding else q @ k.mT * scale
    s = attn.mask(s, where)
    if pre_conv:
        s = attn.convolve(s, k_pre, (k_pre.shape[1] - 1, k_pre.shape[2] // 2))
    if pre_head:
        s = attn.mix_heads(s, w_pre)
    p = w = attn.softmax(s)
    if post_conv:
        w = attn.convolve(w, k_post, (k_post.shape[1] - 1, k_post.shape[2] // 2))
    if post_head:
        w = attn.mix_heads(w, w_post)
    o = w @ v
    y = attn.rms_norm(o, norm_g, eps=1e-5) * depth
    y = y * attn.sigmoid((y * gate_w).sum(-1, keepdims=True) + gate_b)
    return o, attn.materialize(w), attn.materialize(p), attn.logsumexp(s), y


def mix_of_groups(groups):
    """[H / ch, ch, ch] as [H, H] of which a row says what goes into a head."""
    groups = np.asarray(groups)
    count, size, _ = groups.shape
    mix = np.zeros((count, size, count, size), groups.dtype)
    mix[np.arange(count), :, np.arange(count)] = groups.swapaxes(1, 2)
    return mix.reshape(count * size, count * size)


@on_target
def run(target="cpu", *, q, k, v, k_pre, w_pre, k_post, w_post, norm_g, gate_w, gate_b, flags=(1, 1, 1, 1), layer,
        key_keep):
    key_keep = array(key_keep)
    sizes = check_shapes(q=(q, "B H L D"), k=(k, "B G L D"), v=(v, "B G L D"), k_pre=(k_pre, "H cq ck"),
                         w_pre=(w_pre, "H H"), k_post=(k_post, "H rows columns"), w_post=(w_post, "groups ch ch"),
                         norm_g=(norm_g, "D"), gate_w=(gate_w, "D"), key_keep=(key_keep, "B L"))
    if sizes["ck"] % 2 == 0 or sizes["columns"] % 2 == 0:
        raise ValueError(f"kernels have an odd number of keys, not {sizes['ck']} and {sizes['columns']}")
    if sizes["groups"] * sizes["ch"] != sizes["H"]:
        raise ValueError(f"{sizes['groups']} groups of {sizes['ch']} are not {sizes['H']} heads")
    if len(flags) != 4:
        raise ValueError(f"there are 4 flags, not {len(flags)}")
    depth = array(1.0 - (0.8 - 0.6 * np.exp(-0.3 * number(layer))), q)
    o, weights, softmax, lse, out = multi_token_attention(
        q, k, v, k_pre, w_pre, k_post, mix_of_groups(w_post), norm_g, gate_w, array(gate_b, q),
        tuple(flag("flags", value) for value in flags), depth, key_keep)
    return {"attn": o, "weights": weights, "softmax": softmax, "lse": lse, "out": out}


def example(rng, dtype=np.float64):
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)
    inputs = {"q": draw(2, 4, 45, 16), "k": draw(2, 4, 45, 16), "v": draw(2, 4, 45, 16), "k_pre": draw(4, 3, 5) / 4,
              "w_pre": draw(4, 4) / 2, "k_post": draw(4, 3, 5) / 4, "w_post": draw(2, 2, 2), "norm_g": draw(16),
              "gate_w": draw(16) / 4}
    keep = rng.random((2, 45)) < 0.9
    return {**inputs, "gate_b": 0.1, "flags": np.ones(4, int), "layer": 2, "key_keep": keep}
