import itertools

import numpy as np

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
