import numpy as np
import pytest

from attn_mlir.zoo import n060_memory_efficient_attention as efficient

from conftest import close, softmax


def oracle(q, k, v, dout, mask):
    scale = q.shape[-1] ** -0.5
    s = q @ k.swapaxes(-1, -2) * scale
    p = softmax(s if mask is None else np.where(mask, s, -np.inf))
    out = p @ v
    ds = p * (dout @ v.swapaxes(-1, -2) - (dout * out).sum(-1, keepdims=True))
    return {"out": out, "dq": ds @ k * scale, "dk": ds.swapaxes(-1, -2) @ q * scale, "dv": p.swapaxes(-1, -2) @ dout}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.asarray(x).dtype.kind == "f" else x for name, x in inputs.items()})
    found = efficient.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


@pytest.mark.parametrize("masked", [True, False])
def test_equals_the_definition(rng, masked):
    inputs = efficient.example(rng)
    check(inputs if masked else {**inputs, "mask": None})


def test_float32(rng):
    found = check(efficient.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())


def test_agrees_with_the_reference(rng):
    q, k, v, mask, dout = efficient.example(rng).values()
    forward = efficient.forward.check(q, k, v, mask)
    out, lse = efficient.forward(q, k, v, mask)
    assert forward and efficient.backward.check(q, k, v, mask, dout, out, lse)


def test_large_scores_stay_finite(rng):
    inputs = efficient.example(rng)
    check({**inputs, "q": inputs["q"] * 200}, 1e-9)


def test_rows_and_keys_that_nobody_sees_have_no_gradient(rng):
    inputs = efficient.example(rng)
    inputs["mask"][0, :, 3] = False
    inputs["mask"][..., 64:96] = False
    found = check(inputs)
    assert (found["out"][0, :, 3] == 0).all() and (found["dq"][0, :, 3] == 0).all()
    assert (found["dk"][:, :, 64:96] == 0).all()


def test_nothing_of_the_size_of_the_scores_is_stored(rng):
    q, k, v, mask, dout = efficient.example(rng).values()
    text = efficient.backward.lower(q, k, v, mask, dout, dout, q[..., 0])
    assert "materialize" not in text


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 1, 7, 2), (1, 33, 5, 9)])
def test_lengths_of_one_and_odd_widths(rng, sizes):
    Lq, Lk, D, Dv = sizes
    shapes = {"q": (Lq, D), "k": (Lk, D), "v": (Lk, Dv), "dout": (Lq, Dv)}
    check({**{name: rng.standard_normal((1, 2, *shape)) for name, shape in shapes.items()},
           "mask": rng.random((1, 2, Lq, Lk)) < 0.6})


def test_gradients_equal_differences(rng):
    inputs = {name: x[:1, :1, :9] for name, x in efficient.example(rng).items()}
    inputs["mask"] = inputs["mask"][..., :9]
    found = efficient.run(**inputs)
    for name in "qkv":
        step = 1e-5 * rng.standard_normal(inputs[name].shape)
        ends = [(oracle(**{**inputs, name: inputs[name] + d})["out"] * inputs["dout"]).sum() for d in (step, -step)]
        assert abs((found[f"d{name}"] * step).sum() - (ends[0] - ends[1]) / 2) < 1e-12


def test_the_forward_pass_stores_no_scores(rng):
    q, k, v, mask, _ = efficient.example(rng).values()
    assert "materialize" not in efficient.forward.lower(q, k, v, mask)


@pytest.mark.parametrize("changes", [{"k": (2, 1, 101, 16)}, {"dout": (2, 2, 75, 16)}, {"v": (2, 2, 75, 24)}])
def test_shapes_agree(rng, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        efficient.run(**{**efficient.example(rng), **{name: np.ones(shape) for name, shape in changes.items()}})
