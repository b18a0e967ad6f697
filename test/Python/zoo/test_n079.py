import itertools

import numpy as np
import pytest

from attn_mlir.zoo import n079_attention_basin as basin

from conftest import close, softmax


def oracle(q, k, starts, n_query, use_layers, relevance):
    length = q.shape[3]
    s = q @ np.repeat(k, q.shape[2] // k.shape[2], 2).swapaxes(-1, -2) / q.shape[-1] ** 0.5
    p = softmax(np.where(np.tri(length, dtype=bool), s, -np.inf))[..., length - n_query:, :]
    mass = np.stack([p[..., a:b].sum(-1).mean(-1) for a, b in zip(starts[:-1], starts[1:])], -1)
    profile = mass[:, use_layers].mean((0, 1, 2))
    order = np.empty(len(profile), int)
    order[np.argsort(-profile, kind="stable")] = np.argsort(-np.asarray(relevance), kind="stable")
    return {"mass": mass, "profile": profile, "order": order}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if name in "qk" else x for name, x in inputs.items()})
    found = basin.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == (np.int64 if name == "order" else inputs["q"].dtype)
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = basin.example(rng)
    check(inputs)
    check({**inputs, "starts": [0, 3, 60], "n_query": np.int64(5), "use_layers": [2], "relevance": [0.5, 0.5]})
    check(basin.example(rng, np.float32), 1e-5)


def test_a_segmentation_of_everything_has_mass_1(rng):
    inputs = basin.example(rng)
    assert (basin.run(**inputs)["mass"].sum(-1) < 1).all()
    everything = {**inputs, "starts": np.array([0, 20, 30, 40, 50, 60, 74])}
    close(basin.run(**everything)["mass"].sum(-1), np.ones((5, 3, 4)))


def test_uniform_attention_counts_tokens(rng):
    inputs = basin.example(rng)
    inputs["q"] = 0 * inputs["q"]
    rows = np.arange(67, 74)
    close(basin.run(**inputs)["mass"][0, 0, 0], np.diff(inputs["starts"]) * (1 / (rows + 1)).mean())


def test_order_pairs_large_with_large(rng):
    mass = np.array([0.30, 0.12, 0.05, 0.04, 0.10, 0.25]).reshape(1, 1, 1, 6)
    _, order = basin.attn_rank(mass, np.array([0]), np.arange(1.0, 7.0))
    assert order.tolist() == [5, 3, 1, 0, 2, 4]
    profile, relevance = rng.random(5), rng.random(5)
    _, order = basin.attn_rank(profile.reshape(1, 1, 1, 5), np.array([0]), relevance)
    best = max(profile @ relevance[list(o)] for o in itertools.permutations(range(5)))
    assert profile @ relevance[order] == best


def test_no_square_matrix(rng):
    inputs = basin.example(rng)
    rows = [inputs[name].reshape(15, *inputs[name].shape[2:]) for name in "qk"] + [inputs["starts"], 7]
    assert "attn.materialize" not in basin.document_mass.lower(*rows)
    assert basin.document_mass.check(*rows)


def test_of_equal_places_and_documents_the_first_go_together(rng):
    _, order = basin.attn_rank(np.array([0.2, 0.4, 0.2, 0.4]).reshape(1, 1, 1, 4), np.array([0]), np.ones(4))
    assert order.tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("changes, text", [({"use_layers": [3]}, "use_layers"), ({"n_query": 0}, "n_query"),
                                           ({"n_query": 75}, "longer"), ({"relevance": [1.0]}, "6 documents"),
                                           ({"k": np.ones((5, 2, 2, 74, 16))}, "k is")])
def test_what_makes_no_sense_is_refused(rng, changes, text):
    with pytest.raises(ValueError, match=text):
        basin.run(**{**basin.example(rng), **changes})
