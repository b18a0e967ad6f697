import numpy as np

from attn_mlir.zoo import n010_qk_score as qk_score

from conftest import close, repeat_heads, softmax


def rope(x, base):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[2])[:, None] * base ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def oracle(q, k, lens, opt, labels, theta):
    k = repeat_heads(k, q.shape[1])
    s = rope(q, theta) @ rope(k, theta).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    raw, weight = [], []
    for b, (length, options) in enumerate(zip(lens, opt)):
        raw.append(np.einsum("hd,hnd->hn", q[b, :, length - 1], k[b][:, options]))
        weight.append(softmax(s[b, :, length - 1, :length])[:, options])
    raw, weight = np.stack(raw), np.stack(weight)
    acc, acc_weight = ((x.argmax(-1) == labels[:, None]).mean(0) for x in (raw, weight))
    return {"qk_score": raw, "att_score": weight, "head_acc_qk": acc, "head_acc_att": acc_weight,
            "best_head": acc.argmax()}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if name in "qk" else x for name, x in inputs.items()})
    found = qk_score.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    assert all(found[name].dtype == inputs["q"].dtype for name in wanted if name != "best_head")
    assert found["best_head"].dtype == np.int64


def test_equals_the_definition(rng):
    inputs = qk_score.example(rng)
    check(inputs)
    check({**inputs, "opt": inputs["opt"][:, :2], "theta": np.array(100.0)})
    check({name: x[:1] if np.ndim(x) else x for name, x in inputs.items()})
    one = {"q": inputs["q"][:1, :, :1], "k": inputs["k"][:1, :, :1], "lens": np.array([1]), "labels": np.array([0])}
    check({**inputs, **one, "opt": np.zeros((1, 5), int)})  # a prompt of one token
    check(qk_score.example(rng, np.float32), 1e-5)


def test_the_score_depends_on_nothing_but_the_option(rng):
    inputs = qk_score.example(rng)
    other = {name: rng.standard_normal(inputs[name].shape) for name in "qk"}
    for b, length in enumerate(inputs["lens"]):
        other["q"][b, :, length - 1] = inputs["q"][b, :, length - 1]
        other["k"][b][:, inputs["opt"][b]] = inputs["k"][b][:, inputs["opt"][b]]
    close(qk_score.run(**{**inputs, **other})["qk_score"], qk_score.run(**inputs)["qk_score"])


def test_positions_do_not_change_the_score(rng):
    inputs = qk_score.example(rng)
    found = qk_score.run(**inputs)
    # Three tokens more in front, and another base of the rotation.
    later = {name: np.concatenate([rng.standard_normal(inputs[name][:, :, :3].shape), inputs[name]], 2)
             for name in "qk"}
    moved = qk_score.run(**{**inputs, **later, "lens": inputs["lens"] + 3, "opt": inputs["opt"] + 3})
    close(moved["qk_score"], found["qk_score"], 1e-13)
    turned = qk_score.run(**{**inputs, "theta": 50.0})
    close(turned["qk_score"], found["qk_score"], 1e-13)
    assert abs(turned["att_score"] - found["att_score"]).max() > 1e-3


def test_of_equal_options_and_heads_the_first_is_taken(rng):
    inputs = qk_score.example(rng)
    inputs["k"][:] = 1.0
    found = qk_score.run(**inputs)
    close(found["head_acc_qk"], np.full(4, (inputs["labels"] == 0).mean()))
    assert found["best_head"] == 0


def test_padding_is_never_seen(rng):
    inputs = qk_score.example(rng)
    other = inputs["k"].copy()
    other[0, :, 72:] = 1e3
    close(qk_score.run(**{**inputs, "k": other})["att_score"], qk_score.run(**inputs)["att_score"])
    assert (qk_score.run(**inputs)["att_score"].sum(-1) < 1).all()


def test_without_rotation_both_scores_rank_options_alike(rng):
    inputs = qk_score.example(rng)
    inputs["q"][..., [0, 8]] = 0  # the first pair turns whatever the base is
    found = qk_score.run(**{**inputs, "theta": 1e300})
    assert (found["qk_score"].argsort(-1) == found["att_score"].argsort(-1)).all()


def test_fused_as_the_reference(rng):
    inputs = qk_score.example(rng, np.float32)
    assert qk_score.qk_score.check(*(inputs[n] for n in ("q", "k", "lens", "opt", "labels")), 10000.0)
