"""QK-score: the answer to a multiple-choice question, read from one attention head.

The last token of a prompt asks, and the end-of-line token of every option answers
for it. The QK-score of an option is the product of their query and key before the
rotary embedding; the attention score is the weight that the option gets in causal
attention. A head answers with its best option, and the head that is right most often
on labelled questions is chosen.

Paper: Listening to the Wise Few: Select-and-Copy Attention Heads for Multiple-Choice QA.
Inputs: q [B, Hq, L, D], k [B, Hkv, L, D], before the rotary embedding, lens [B] (lengths
of prompts, at least 1), opt [B, n] (the positions of options, below lens), labels [B]
(the right options), theta (base of the rotary embedding, half-split pairs).
Outputs: qk_score and att_score [B, Hq, n] (one query's entries at the options),
head_acc_qk and head_acc_att [Hq], best_head (by the QK-score, the first of equals).
"""

import numpy as np

import attn_mlir as attn
from ._support import array, check_shapes, number, on_target


@attn.jit
def qk_score(q, k, lens, opt, labels, theta):
    def at_options(q, k):
        """Products [B, Hq, n] of one query with the keys of options."""
        return attn.materialize(q @ attn.gather(k, opt, 2, 1).mT)[:, :, 0]

    last = lens[:, None] - 1
    q = attn.gather(q, last, 2, 1)
    raw = at_options(q, k)
    q, k = attn.rope(q, last, base=theta) * int(q.shape[-1]) ** -0.5, attn.rope(k, base=theta)
    lse = attn.logsumexp(q @ k.mT, where=attn.lengths(lens))
    weight = attn.where(opt < lens[:, None], 1.0, 0.0)[:, None] * attn.exp(at_options(q, k) - lse)
    acc_raw, acc_weight = ((s.argmax(-1) == labels[:, None]).astype(float).mean(0) for s in (raw, weight))
    return raw, weight, acc_raw, acc_weight, acc_raw.argmax(-1)


@on_target
def run(target="cpu", *, q, k, lens, opt, labels, theta=10000.0):
    check_shapes(q=(q, "B Hq L D"), k=(k, "B Hkv L D"), lens=(lens, "B"), opt=(opt, "B n"), labels=(labels, "B"))
    results = qk_score(q, k, array(lens), array(opt), array(labels), float(number(theta)))
    return dict(zip(("qk_score", "att_score", "head_acc_qk", "head_acc_att", "best_head"), results))


def example(rng, dtype=np.float64):
    q, k = (rng.standard_normal((6, heads, 77, 16)).astype(dtype) for heads in (4, 2))
    lens = np.array([72, 63, 58, 48, 50, 39])
    opt = np.stack([np.sort(rng.choice(length - 1, 5, False)) for length in lens])
    return {"q": q, "k": k, "lens": lens, "opt": opt, "labels": np.array([0, 1, 0, 0, 1, 1]), "theta": 10000.0}
