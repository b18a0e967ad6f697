import numpy as np
import pytest

from attn_mlir.zoo import n114_nexus as nexus

from conftest import close, softmax


def attend(q, k, v, heads, causal):
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for x in (q, k, v))
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        s = np.where(np.tri(s.shape[-1], dtype=bool), s, -np.inf)
    o = (softmax(s) @ v).swapaxes(1, 2)
    return o.reshape(*o.shape[:2], -1)


def oracle(x, wq, wk, wv, wo, heads, depth, causal):
    """The binary tree of attentions, from the leaves up."""
    def level(y, depth):
        q, k = y @ wq, y @ wk
        if depth:
            q, k = level(q, depth - 1)[0], level(k, depth - 1)[0]
        return attend(q, k, y @ wv, heads, causal), q, k

    o, q, k = level(x, depth)
    return {"out": o @ wo, "q": q, "k": k}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = nexus.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["x"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = nexus.example(rng)
    for depth, causal in ((0, 1), (1, 0), (1, 1), (2, 1)):
        check({**inputs, "x": inputs["x"][:, :20 + depth], "depth": np.int64(depth), "causal": causal})
    check(nexus.example(rng, np.float32), 1e-5)


def test_depth_r_takes_a_binary_tree_of_attentions(rng):
    inputs = nexus.example(rng)
    for depth, count in ((0, 1), (1, 3), (2, 7)):
        text = nexus.nexus.lower(*{**inputs, "depth": depth, "causal": True}.values())
        assert text.count("attn.softmax") == count and "attn.materialize" not in text
    assert nexus.nexus.check(*{**inputs, "depth": 1, "causal": True}.values())


def test_later_tokens_do_not_matter(rng):
    inputs = nexus.example(rng)
    other = inputs["x"].copy()
    other[:, 20:] += 1
    close(nexus.run(**{**inputs, "x": other})["out"][:, :20], nexus.run(**inputs)["out"][:, :20], 1e-14)


def test_without_a_mask_order_does_not_matter(rng):
    inputs = {**nexus.example(rng), "causal": 0}
    order = rng.permutation(37)
    close(nexus.run(**{**inputs, "x": inputs["x"][:, order]})["out"], nexus.run(**inputs)["out"][:, order])


def test_only_depth_0_has_bilinear_scores(rng):
    inputs = nexus.example(rng)
    scaled = {**inputs, "x": 3 * inputs["x"]}
    for depth, bilinear in ((0, True), (1, False)):
        q, scaled_q = (nexus.run(**{**i, "depth": depth})["q"] for i in (inputs, scaled))
        assert np.allclose(scaled_q, 3 * q) == bilinear


def test_depth_1_is_two_attentions_with_products_of_the_weights(rng):
    i = nexus.example(rng)
    wq, wk, wv, x = i["wq"], i["wk"], i["wv"], i["x"]
    q, k = (attend(*(x @ (w @ inner) for inner in (wq, wk, wv)), 3, True) for w in (wq, wk))
    found = nexus.run(**i)
    close(found["q"], q, 1e-12)
    close(found["out"], attend(q, k, x @ wv, 3, True) @ i["wo"], 1e-12)


@pytest.mark.parametrize("changes, text", [({"depth": -1}, "depth is at least 0"), ({"heads": 5}, "5 heads"),
                                           ({"causal": 2}, "causal is one of 0, 1"),
                                           ({"wv": np.ones((24, 12))}, "wv is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        nexus.run(**{**nexus.example(rng), **changes})
