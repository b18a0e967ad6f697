import numpy as np
import pytest

from attn_mlir.zoo import n094_secondary_sinks as sinks

from conftest import close, softmax


def oracle(q, k, hidden, bos_candidates, cos_min, min_life, long_gap):
    layers, batch, _, length, width = q.shape
    s = q @ np.repeat(k, q.shape[2] // k.shape[2], 2).swapaxes(-1, -2) / width ** 0.5
    p = softmax(np.where(np.tri(length, dtype=bool), s, -np.inf))
    head_score = p.sum(-2) / np.arange(length, 0, -1)
    norm = np.linalg.norm(hidden, axis=-1)
    life, first, kind = np.zeros((batch, length), int), np.full((batch, length), -1), np.zeros((batch, length), int)
    bos, window = [], []
    for b in range(batch):
        bos.append(max(bos_candidates, key=lambda j: norm[:, b, j].mean()))
        d = np.diff(norm[:, b, bos[-1]])
        start = d.argmax() + 1
        end = d[start:].argmin() + start + 1 if start < layers else layers
        window.append((start, end))
        for j in range(bos[-1], length):
            cos = [hidden[l, b, j] @ hidden[l, b, bos[-1]] / norm[l, b, j] / norm[l, b, bos[-1]]
                   for l in range(start, end)]
            hits = [start + i for i, c in enumerate(cos) if abs(c) > cos_min]
            n = life[b, j] = len(hits)
            if n:
                first[b, j] = hits[0]
                kind[b, j] = 3 if n >= layers - long_gap else 2 if n > min_life else 1
    return {"head_score": head_score, "score": head_score.mean(2), "bos": bos, "window": window, "life": life,
            "first": first, "kind": kind, "norm": norm}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) > 1 else x for name, x in inputs.items()})
    found = sinks.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def small(rng, dtype=np.float64):
    """Fewer tokens."""
    inputs = sinks.example(rng, dtype)
    return {**inputs, **{name: inputs[name][..., :40, :] for name in ("q", "k", "hidden")}}


def test_equals_the_definition(rng):
    check(small(rng))
    other = {**small(rng), "hidden": rng.standard_normal((17, 2, 40, 24)), "cos_min": 0.3, "min_life": np.int64(1)}
    check({**other, "bos_candidates": [1, 0, 7], "long_gap": 12})
    check(small(rng, np.float32), 1e-5)


def test_planted_sinks_are_found(rng):
    found = sinks.run(**small(rng))
    assert (found["bos"] == 0).all() and (found["window"] == (3, 14)).all()
    assert found["kind"][0, [0, 20, 31, 5]].tolist() == [3, 2, 1, 0]
    assert found["life"][0, [20, 31, 5]].tolist() == [6, 2, 0]
    assert found["first"][0, [20, 31, 5]].tolist() == [4, 5, -1]


def test_scores_share_out_the_queries(rng):
    inputs = small(rng)
    score = sinks.run(**inputs)["head_score"]
    close((np.arange(40, 0, -1) * score).sum(-1), np.full((16, 2, 4), 40.0))
    uniform = sinks.run(**{**inputs, "q": 0 * inputs["q"]})["head_score"][0, 0, 0]
    close(uniform, [(1 / np.arange(j + 1, 41)).mean() for j in range(40)])


def test_no_square_matrix(rng):
    inputs = small(rng)
    rows = [inputs[name].reshape(-1, *inputs[name].shape[2:]) for name in "qk"]
    assert "attn.materialize" not in sinks.received_attention.lower(*rows)
    assert sinks.received_attention.check(*rows)


def test_planted_scores_rise_for_the_life_of_a_sink(rng):
    """Keys of the sinks are pulled to the queries in their layers: BOS more than another token."""
    inputs = small(rng)
    inputs["q"][..., 0] += 4
    inputs["k"][3:14, :, :, 0, 0] += 4
    inputs["k"][4:10, :, :, 20, 0] += 3
    score = sinks.run(**inputs)["score"][:, 0]
    alive, others = slice(4, 10), np.delete(np.arange(30), [0, 20])
    assert (score[alive, 20] > np.median(score[alive][:, others], 1)).all()
    assert (score[alive, 20] < score[alive, 0]).all()
    assert score[10:, 20].mean() < 0.5 * score[alive, 20].mean()


@pytest.mark.parametrize("changes, text", [({"bos_candidates": [40]}, "bos_candidates"),
                                           ({"bos_candidates": []}, "some"),
                                           ({"hidden": np.ones((16, 2, 40, 24))}, "17 hidden states"),
                                           ({"k": np.ones((4, 2, 2, 40, 16))}, "k is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        sinks.run(**{**small(rng), **changes})
