import numpy as np
import pytest

from attn_mlir.zoo import n083_powerattention as power

from conftest import close, repeat_heads, softmax


def lists(length, block, window, sink):
    """Visible keys from lists of blocks: sinks, window, powers of two."""
    seen = np.zeros((length, length), bool)
    for i in range(length):
        own = i // block
        blocks = {*range(min(sink, own + 1)), *range(max(own - window + 1, 0), own + 1), own,
                  *(own - 2 ** e for e in range(12) if 2 ** e <= own)}
        for b in blocks:
            seen[i, b * block:(b + 1) * block] = True
    return seen & np.tri(length, dtype=bool)


def oracle(q, k, v, block, window, sink):
    s = q @ repeat_heads(k, q.shape[1]).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    s = np.where(lists(q.shape[2], block, window, sink), s, -np.inf)
    return {"out": softmax(s) @ repeat_heads(v, q.shape[1]), "lse": np.log(np.exp(s).sum(-1))}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else int(x) for name, x in inputs.items()})
    found = power.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


def test_predicate_equals_lists_of_blocks(rng):
    inputs = power.example(rng)
    check(inputs)
    check(power.example(rng, np.float32), 1e-5)
    short = {name: x[:, :, :61] if np.ndim(x) else x for name, x in inputs.items()}
    check({**short, "block": np.int64(4), "window": 3, "sink": 2})
    check({**short, "block": 1, "window": 1, "sink": 0})


def test_a_huge_window_is_causal_attention(rng):
    inputs = power.example(rng)
    check({**inputs, "window": 150, "sink": 0})


def test_a_block_is_reached_in_as_many_layers_as_its_distance_has_bits():
    n = 32
    step = lists(n, 1, 1, 0).astype(int)
    step -= np.eye(n, dtype=int)
    reach, first = np.eye(n, dtype=int), np.full((n, n), -1)
    for layers in range(6):
        first[(reach > 0) & (first < 0)] = layers
        reach = (reach @ step > 0).astype(int)
    assert all(first[i, j] == bin(i - j).count("1") for i in range(n) for j in range(i + 1))


def test_rows_see_few_blocks():
    seen = lists(256, 1, 3, 2)
    assert seen.sum(1).max() <= 3 + 2 + 8 + 1


def test_nothing_is_stored(rng):
    inputs = power.example(rng)
    assert "attn.materialize" not in power.power_attention.lower(*inputs.values())
    assert power.power_attention.check(*inputs.values())


@pytest.mark.parametrize("changes, text", [({"block": 0}, "block is at least 1"), ({"window": -1}, "window"),
                                           ({"sink": -1}, "sink"), ({"k": np.ones((2, 2, 9, 16))}, "k is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        power.run(**{**power.example(rng), **changes})


def test_one_token_and_a_block_that_is_longer_than_everything(rng):
    inputs = {name: x[:1, :, :1] if np.ndim(x) else x for name, x in power.example(rng).items()}
    check({**inputs, "block": 256})
