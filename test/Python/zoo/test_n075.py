import numpy as np
import pytest

from attn_mlir.zoo import n075_bigbird as bigbird

from conftest import close, softmax


def visible(rand, blocks):
    """Which blocks see which: [H, blocks, blocks]."""
    a = np.zeros((len(rand), blocks, blocks), bool)
    a[:, [0, -1]] = a[:, :, [0, -1]] = True
    for i in range(1, blocks - 1):
        a[:, i, i - 1:i + 2] = True
        np.put_along_axis(a[:, i], rand[:, i - 1], True, -1)
    return a


def oracle(q, k, v, mask, rand, block):
    seen = visible(rand, q.shape[2] // block).repeat(block, 1).repeat(block, 2)
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    o = softmax(np.where(seen & mask[:, None, None], s, -np.inf)) @ v
    return np.where(mask[:, None, :, None], o, 0)


def check(inputs, tolerance=1e-10):
    found = bigbird.run(**inputs)
    wanted = oracle(**{name: x.astype(float) if name in "qkv" else x for name, x in inputs.items()})
    assert found.keys() == {"out"} and found["out"].dtype == inputs["q"].dtype
    close(found["out"], wanted, tolerance)


def test_gathered_blocks_equal_the_masked_matrix(rng):
    inputs = bigbird.example(rng)
    check(inputs)
    check({**inputs, "mask": rng.random((2, 72)) < 0.5, "block": np.int64(8)})
    check(bigbird.example(rng, np.float32), 1e-5)
    short = {name: inputs[name][:, :, :28] for name in "qkv"}
    check({**short, "mask": np.zeros((2, 28), bool), "rand": bigbird.draw_blocks(rng, 3, 7, 1), "block": 4})
    check({**inputs, "rand": inputs["rand"][..., :0]})
    short = {name: inputs[name][:, :, :15] for name in "qkv"}
    check({**short, "mask": np.ones((2, 15), bool), "rand": rng.integers(0, 5, (3, 3, 2)), "block": 3})


def test_a_block_named_twice_counts_once(rng):
    inputs = bigbird.example(rng)
    check({**inputs, "rand": np.zeros_like(inputs["rand"]) + [3, 3]})


def test_rows_see_few_blocks_and_all_are_near(rng):
    a = visible(bigbird.draw_blocks(rng, 2, 12, 3), 12)
    counts = a.sum(-1)
    assert (counts[:, [0, -1]] == 12).all() and (counts[:, [1, -2]] == 7).all() and (counts[:, 2:-2] == 8).all()
    assert (a.astype(int) @ a > 0).all()


def test_global_queries_see_everything(rng):
    inputs = {**bigbird.example(rng), "mask": np.ones((2, 72), bool)}
    q, k, v = (inputs[name] for name in "qkv")
    full = softmax(q @ k.swapaxes(-1, -2) / 4) @ v
    o = bigbird.run(**inputs)["out"]
    close(o[:, :, :8], full[:, :, :8])
    close(o[:, :, -8:], full[:, :, -8:])


def test_padding_does_not_matter(rng):
    inputs = bigbird.example(rng)
    other = {**inputs, **{name: inputs[name].copy() for name in "kv"}}
    for name in "kv":
        other[name][1, :, 61:] += 9
    np.testing.assert_array_equal(bigbird.run(**other)["out"], bigbird.run(**inputs)["out"])
    assert (bigbird.run(**inputs)["out"][1, :, 61:] == 0).all()


def test_lists_are_visited_and_nothing_is_stored(rng):
    inputs = bigbird.example(rng)
    assert "attn.materialize" not in bigbird.bigbird.lower(*inputs.values())
    assert "list" in str(bigbird.bigbird.plan(*inputs.values()))
    assert bigbird.bigbird.check(*inputs.values())


def test_whole_blocks_are_needed(rng):
    with pytest.raises(ValueError, match="multiple"):
        bigbird.run(**{**bigbird.example(rng), "block": 7})


@pytest.mark.parametrize("changes, text", [({"block": 24}, "at least 5, not 3"), ({"block": 0}, "block is at least 1"),
                                           ({"rand": np.zeros((3, 6, 2), int)}, "7 blocks"),
                                           ({"rand": np.zeros((1, 7, 2), int)}, "rand is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        bigbird.run(**{**bigbird.example(rng), **changes})
