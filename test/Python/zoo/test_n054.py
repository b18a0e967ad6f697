import numpy as np
import pytest

from attn_mlir.zoo import n054_multi_query as mqa

from conftest import close, softmax


def oracle(x, Wq, Wk, Wv, Wo):
    q, k, v = np.einsum("ble,hed->bhld", x, Wq), x @ Wk, x @ Wv
    s = q @ k[:, None].swapaxes(-1, -2) / q.shape[-1] ** 0.5
    s = np.where(np.tri(x.shape[1], dtype=bool), s, -np.inf)
    o = softmax(s) @ v[:, None]
    y = sum(o[:, h] @ Wo[h] for h in range(len(Wo)))
    return {"y": y, "o": o, "k": k, "v": v, "lse": np.log(np.exp(s).sum(-1))}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) for name, x in inputs.items()})
    found = mqa.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)
    return found


def make(rng, B, H, L, E, D, Dv):
    shapes = {"x": (B, L, E), "Wq": (H, E, D), "Wk": (E, D), "Wv": (E, Dv), "Wo": (H, Dv, E)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def test_equals_the_definition(rng):
    found = check(mqa.example(rng, np.float32), 1e-5)
    assert all(x.dtype == np.float32 for x in found.values())
    assert mqa.multi_query.check(*mqa.example(rng).values())


@pytest.mark.parametrize("sizes", [(2, 4, 37, 48, 16, 12), (1, 1, 5, 7, 3, 5), (3, 2, 1, 6, 8, 4)])
def test_widths_need_not_be_multiples_of_anything(rng, sizes):
    check(make(rng, *sizes))


def test_the_first_token_sees_itself(rng):
    found = mqa.run(**mqa.example(rng))
    close(found["o"][:, :, 0], np.broadcast_to(found["v"][:, None, 0], (2, 4, 12)))


def test_a_prefix_does_not_depend_on_what_follows(rng):
    inputs = mqa.example(rng)
    part = mqa.run(**{**inputs, "x": inputs["x"][:, :20]})
    close(mqa.run(**inputs)["y"][:, :20], part["y"])


def test_equals_heads_that_are_copies(rng):
    inputs = mqa.example(rng)
    x = inputs["x"]
    q, k, v = (np.einsum("ble,hed->bhld", x, np.broadcast_to(W, (4, *W.shape[-2:])))
               for W in (inputs["Wq"], inputs["Wk"], inputs["Wv"]))
    s = np.where(np.tri(37, dtype=bool), q @ k.swapaxes(-1, -2) / 4, -np.inf)
    close(mqa.run(**inputs)["o"], softmax(s) @ v)


def test_one_row_of_keys_and_values_per_token_is_all_that_decoding_needs(rng):
    inputs = mqa.example(rng)
    found = mqa.run(**inputs)
    k, v = (mqa.run(**{**inputs, "x": inputs["x"][:, :t]})[n] for n, t in (("k", 36), ("v", 36)))
    x = inputs["x"][:, 36]
    k, v = (np.concatenate([old, (x @ W)[:, None]], 1) for old, W in ((k, inputs["Wk"]), (v, inputs["Wv"])))
    s = np.einsum("be,hed,bld->bhl", x, inputs["Wq"], k) / 4
    close(softmax(s) @ v, found["o"][:, :, 36])
    assert "attn.materialize" not in mqa.multi_query.lower(*inputs.values())


@pytest.mark.parametrize("changes", [{"Wk": (48, 15)}, {"Wv": (47, 12)}, {"Wo": (3, 12, 48)}, {"x": (37, 48)}])
def test_shapes_agree(rng, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        mqa.run(**{**mqa.example(rng), **{name: np.ones(shape) for name, shape in changes.items()}})
