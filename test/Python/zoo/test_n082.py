import numpy as np

from attn_mlir.zoo import n082_sinkformer as sinkformer

from conftest import close, softmax


def weights(s, n_it, eps, keep):
    """All half-steps on stored matrices; keep is of one batch element."""
    s = np.where(keep[:, None] & keep, s, -np.inf)
    u, f, n = np.zeros(s.shape[:-1]), np.zeros(s.shape[:-1]), keep.sum()
    for t in range(n_it):
        with np.errstate(divide="ignore"):
            lse = np.log(np.exp((s + u[..., None] + f[..., None, :]) / eps).sum(-2 if t % 2 else -1))
        step = np.where(keep, eps * (-np.log(n) - lse), 0)
        u, f = (u, f + step) if t % 2 else (u + step, f)
    return n * np.exp((s + u[..., None] + f[..., None, :]) / eps)


def oracle(q, k, v, n_it, eps, keep):
    s = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    p = np.stack([weights(*item) for item in zip(s, [n_it] * len(s), [eps] * len(s), keep)])
    return {"out": p @ v, "p": p}


def check(inputs, tolerance=1e-10):
    found = sinkformer.run(**inputs)
    operands = {name: x.astype(float) if name in "qkv" else x for name, x in inputs.items() if name != "dout"}
    for name, wanted in oracle(**operands).items():
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted, tolerance)
    return found


def test_equals_the_definition(rng):
    inputs = sinkformer.example(rng)
    p = check(inputs)["p"]
    close(p.sum(-1), np.ones((2, 2, 50)), 1e-12)
    padded = np.arange(50) < np.array([[50], [37]])
    found = check({**inputs, "keep": padded, "eps": np.array(0.5)})
    assert (found["out"][1, :, 37:] == 0).all() and (found["dk"][1, :, 37:] == 0).all()
    close(check({**inputs, "n_it": np.int64(4)})["p"].sum(-2), np.ones((2, 2, 50)), 1e-12)
    check(sinkformer.example(rng, np.float32), 1e-5)


def test_one_half_step_is_the_softmax(rng):
    inputs = {**sinkformer.example(rng), "n_it": 1}
    close(sinkformer.run(**inputs)["p"], softmax(inputs["q"] @ inputs["k"].swapaxes(-1, -2) / 4))


def test_gradients(rng):
    for n_it in (3, 4):
        inputs = {**sinkformer.example(rng), "n_it": n_it, "eps": 0.7}
        inputs["keep"][1, 40:] = False
        found = sinkformer.run(**inputs)
        for name in "qkv":
            step = 1e-5 * rng.standard_normal((2, 2, 50, 16))
            loss = lambda x: (oracle(**{**{n: inputs[n] for n in ("q", "k", "v", "n_it", "eps", "keep")}, name: x})
                              ["out"] * inputs["dout"]).sum()
            numeric = (loss(inputs[name] + step) - loss(inputs[name] - step)) / 2
            assert abs((found[f"d{name}"] * step).sum() - numeric) < 1e-7 * max(1e-5, abs(numeric) * 10)


def test_converges_to_doubly_stochastic_weights(rng):
    inputs = {**sinkformer.example(rng), "n_it": 31}
    close(sinkformer.run(**inputs)["p"].sum(-2), np.ones((2, 2, 50)), 1e-4)
    p = sinkformer.run(**{**inputs, "k": inputs["q"], "eps": 2.0})["p"]
    close(p, p.swapaxes(-1, -2), 1e-4)
