import itertools

import numpy as np
import pytest

from attn_mlir.zoo import n078_marginal_attention as marginal

from conftest import close, softmax


def oracle(q, k, v, log_prior):
    scale = q.shape[-1] ** -0.5
    score = lambda q: q @ k.swapaxes(-1, -2) * scale + log_prior
    s = score(q)
    with np.errstate(divide="ignore"):
        F = np.log(np.exp(s).sum(-1))
    slots = np.where(log_prior > -np.inf, softmax(s, -2) + 1e-8, 0)
    mass = slots.sum(-1, keepdims=True)
    state = q
    for _ in range(3):
        state = softmax(score(state)) @ k
    return {"log_marginal": F, "out": softmax(s) @ v, "out_bernoulli": (1 / (1 + np.exp(-s))) @ v,
            "out_slot": slots / np.where(mass == 0, 1, mass) @ v, "grad_q": scale * softmax(s) @ k, "hopfield": state}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) for name, x in inputs.items()})
    found = marginal.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = marginal.example(rng)
    inputs["log_prior"][0, 3] = inputs["log_prior"][1, :, 7] = -np.inf
    found = check(inputs)
    assert (found["out"][:, 0, 3] == 0).all() and (found["log_marginal"][:, 0, 3] == -np.inf).all()
    check({"q": inputs["q"][:, :, :3], "k": inputs["v"], "v": inputs["k"], "log_prior": inputs["log_prior"][:, :3]})
    check(marginal.example(rng, np.float32), 1e-5)


def enumerate_edges(s, allowed):
    """Marginals of edges, and the log of the sum, over all matrices that are allowed."""
    total, marginals = 0, np.zeros_like(s)
    for bits in itertools.product((0, 1), repeat=s.size):
        edges = np.reshape(bits, s.shape)
        if allowed(edges):
            weight = np.exp((edges * s).sum())
            total, marginals = total + weight, marginals + weight * edges
    return marginals / total, np.log(total)


def test_weights_are_marginals_of_structures(rng):
    q, k = rng.standard_normal((1, 2, 3, 16)), rng.standard_normal((1, 2, 4, 16))
    prior, v = rng.standard_normal((2, 3, 4)), np.tile(np.eye(4, 16), (1, 2, 1, 1))
    found = marginal.run(q=q, k=k, v=v, log_prior=prior)
    s = (q @ k.swapaxes(-1, -2) / 4 + prior)[0, 0]
    one_key, F = enumerate_edges(s, lambda edges: (edges.sum(1) == 1).all())
    close(found["out"][0, 0, :, :4], one_key)
    close(found["log_marginal"][0, 0].sum(), F)
    close(found["out_bernoulli"][0, 0, :, :4], enumerate_edges(s, lambda edges: True)[0])
    one_query = enumerate_edges(s, lambda edges: (edges.sum(0) == 1).all())[0] + 1e-8
    close(found["out_slot"][0, 0, :, :4], one_query / one_query.sum(1, keepdims=True))


def test_a_constant_in_the_prior_moves_the_marginal_alone(rng):
    inputs = marginal.example(rng)
    found, moved = marginal.run(**inputs), marginal.run(**{**inputs, "log_prior": inputs["log_prior"] + 2})
    close(moved["out"], found["out"])
    close(moved["log_marginal"], found["log_marginal"] + 2)


def test_attention_to_keys_is_the_gradient(rng):
    inputs, step = marginal.example(rng), np.zeros(16)
    step[5] = 1e-5
    above, below = (marginal.run(**{**inputs, "q": inputs["q"] + d})["log_marginal"] for d in (step, -step))
    close(marginal.run(**inputs)["grad_q"][..., 5], (above - below) / 2e-5, 1e-7)


def test_retrieval_never_goes_down(rng):
    inputs = marginal.example(rng)
    goal = lambda q: 4 * marginal.run(**{**inputs, "q": q})["log_marginal"] - (q ** 2).sum(-1) / 2
    assert (goal(marginal.run(**inputs)["hopfield"]) >= goal(inputs["q"])).all()


def test_nothing_is_stored(rng):
    assert "attn.materialize" not in marginal.marginal_attention.lower(*marginal.example(rng).values())


@pytest.mark.parametrize("changes", [{"log_prior": (1, 33, 50)}, {"log_prior": (2, 50, 33)}, {"k": (2, 1, 50, 16)}])
def test_shapes_agree(rng, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        marginal.run(**{**marginal.example(rng), **{name: np.ones(shape) for name, shape in changes.items()}})
