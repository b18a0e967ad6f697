"""A taxonomy of attention: ten alignment functions, four distribution functions, local and vector forms.

An alignment function scores a query and a key: their cosine, products, a bilinear form
(with a bias, or behind a tanh), the logarithm of a product of feature maps elu + 1, a
network of one hidden layer or two, or the place of the key alone. A distribution
function makes weights of a row: softmax, sigmoid, sparsemax (the nearest point of the
simplex) or the best key alone. Beside these stand a window around a predicted centre,
and attention with a score per channel of the values.

Paper: An Attentive Survey of Attention Models.
Inputs: q [B, Lq, Dq], k [B, Lk, Dk], v [B, Lk, Dv], kv_len [B] (visible keys), W [Dq, Dk],
b [Dk], W0 [Dq, A], W1 [Dk, A], b1 [A], W2 [A, A], b2 [A], w_imp [A], Wloc [Dq, Lk], Wmd [A,
Dv], Wp [Dq, A], vp [A], win (keys on each side of the centre, at least 1, else a
ValueError). Products of queries and keys need Dq = Dk.
Outputs: "score.distribution" for all pairs, local_p, multi_dim; all [B, Lq, Dv].
"""

import numpy as np

import attn_mlir as attn
from ._support import array, at_least, check_shapes, on_target

SCORES = ("similarity", "dot", "scaled_dot", "general", "biased_general", "activated_general", "kernel", "additive",
          "deep", "location")
DISTRIBUTIONS = ("softmax", "sigmoid", "sparsemax", "hard")


def phi(x):
    """elu(x) + 1."""
    return attn.where(x > 0, x + 1, attn.exp(attn.minimum(x, 0)))


def hidden(q, k, W0, W1, b1):
    """tanh(q W0 + k W1 + b1), a matrix of scores per hidden unit."""
    units = (attn.moveaxis(x, -1, 1)[..., None] for x in (q @ W0 + b1, k @ W1))
    return attn.score_with(lambda a, c, d: attn.tanh(a + c), *units)


def align(score, q, k, W, b, W0, W1, b1, W2, b2, w_imp, Wloc):
    """Scores [B, 1, Lq, Lk]."""
    one_q, one_k = q[:, None], k[:, None]
    if score == "similarity":
        length = [attn.sqrt((x * x).sum(-1)) for x in (q, k)]
        product = length[0][attn.batch, attn.q_idx] * length[1][attn.batch, attn.kv_idx]
        return one_q @ one_k.mT / attn.maximum(product, 1e-12)
    if score == "dot":
        return one_q @ one_k.mT
    if score == "scaled_dot":
        return one_q @ one_k.mT * int(k.shape[-1]) ** -0.5
    if score == "general":
        return one_q @ W @ one_k.mT
    if score == "biased_general":
        return (one_q @ W + b) @ one_k.mT
    if score == "activated_general":
        return attn.tanh(one_q @ W @ one_k.mT + b1[0])
    if score == "kernel":
        return attn.log(phi(one_q) @ phi(one_k).mT)
    if score == "additive":
        return attn.score_with(lambda a, c, d: w_imp[d] * attn.tanh(a + c), (q @ W0 + b1)[:, None], (k @ W1)[:, None])
    if score == "deep":
        second = attn.tanh(attn.mix_heads(hidden(q, k, W0, W1, b1), W2.T) + b2[attn.head])
        return attn.mix_heads(second, w_imp[None])
    return attn.scores(one_q, Wloc.T[None, None])


def sparsemax_threshold(s):
    """tau with sum max(s - tau, 0) = 1, by Newton's method from below: the support
    shrinks until it is that of the solution."""
    def step(state):
        tau, size, _ = state
        above = attn.mask(s, s > tau[..., None])
        count = attn.count(above)
        return (above.sum(-1) - 1) / attn.maximum(count, 1).astype(tau.dtype), count, size

    top = s.max(-1)
    some = attn.full(top.shape, 0).astype(np.int64) + s.shape[3]
    return attn.while_loop(lambda state: (state[1] < state[2]).any(), step, (top - 1, some + 1, some + 2))[0]


@attn.jit
def attend(score, q, k, v, kv_len, *parameters):
    s = attn.mask(align(score, q, k, *parameters), attn.kv_idx < kv_len[attn.batch])
    v = v[:, None]
    sparse = attn.maximum(s - sparsemax_threshold(s)[..., None], 0.0)
    best = attn.gather(v, s.argmax(-1), 2, 2)
    return [x[:, 0] for x in (attn.softmax(s) @ v, attn.sigmoid(s) @ v, sparse @ v, best)]


@attn.jit
def local_p(q, k, v, kv_len, W, Wp, vp, win):
    centre = kv_len.astype(q.dtype)[:, None] * attn.sigmoid(attn.tanh(q @ Wp) @ vp)
    at = centre[attn.batch, attn.q_idx]
    where = (attn.kv_idx < kv_len[attn.batch]) & (attn.abs(attn.kv_idx - attn.round(at)) <= win)
    p = attn.softmax(q[:, None] @ W @ k[:, None].mT, where=where)
    return ((p * attn.exp(-2 * ((attn.kv_idx - at) / win) ** 2)) @ v[:, None])[:, 0]


@attn.jit
def multi_dim(q, k, v, kv_len, W0, W1, b1, Wmd):
    s = attn.mix_heads(hidden(q, k, W0, W1, b1), Wmd.T)
    p = attn.softmax(s, where=attn.kv_idx < kv_len[attn.batch])
    return attn.moveaxis((p @ attn.moveaxis(v, -1, 1)[..., None])[..., 0], 1, -1)


@on_target
def run(target="cpu", *, q, k, v, kv_len, W, b, W0, W1, b1, W2, b2, w_imp, Wloc, Wmd, Wp, vp, win=4):
    check_shapes(q=(q, "B Lq Dq"), k=(k, "B Lk Dk"), v=(v, "B Lk Dv"), kv_len=(kv_len, "B"), W=(W, "Dq Dk"),
                 b=(b, "Dk"), W0=(W0, "Dq A"), W1=(W1, "Dk A"), b1=(b1, "A"), W2=(W2, "A A"), b2=(b2, "A"),
                 w_imp=(w_imp, "A"), Wloc=(Wloc, "Dq Lk"), Wmd=(Wmd, "A Dv"), Wp=(Wp, "Dq A"), vp=(vp, "A"))
    kv_len, win = array(kv_len), at_least("win", win, 1)
    W, b, W0, W1, b1, W2, b2, w_imp, Wloc, Wmd, Wp, vp = (
        array(x, q) for x in (W, b, W0, W1, b1, W2, b2, w_imp, Wloc, Wmd, Wp, vp))
    results = {}
    for score in SCORES:
        values = attend(score, q, k, v, kv_len, W, b, W0, W1, b1, W2, b2, w_imp, Wloc)
        results |= {f"{score}.{name}": value for name, value in zip(DISTRIBUTIONS, values)}
    return {**results, "local_p": local_p(q, k, v, kv_len, W, Wp, vp, win),
            "multi_dim": multi_dim(q, k, v, kv_len, W0, W1, b1, Wmd)}


def example(rng, dtype=np.float64):
    shapes = {"q": (2, 11, 8), "k": (2, 37, 8), "v": (2, 37, 6), "W": (8, 8), "b": (8,), "W0": (8, 10), "W1": (8, 10),
              "b1": (10,), "W2": (10, 10), "b2": (10,), "w_imp": (10,), "Wloc": (8, 37), "Wmd": (10, 6),
              "Wp": (8, 10), "vp": (10,)}
    inputs = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return {**inputs, "kv_len": np.array([37, 31]), "win": 4}
