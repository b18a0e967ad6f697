import numpy as np

from attn_mlir.zoo import n002_qknorm as qknorm

from conftest import close, repeat_heads, softmax


def oracle(q, k, v, kv_len, g, causal):
    q = q / np.maximum(np.linalg.norm(q, axis=-1, keepdims=True), 1e-12)
    k = k / np.maximum(np.linalg.norm(k, axis=-1, keepdims=True), 1e-12)
    s = np.reshape(g, (-1, 1, 1)) * (q @ repeat_heads(k, q.shape[1]).swapaxes(-1, -2))
    i, j = np.arange(s.shape[2])[:, None], np.arange(s.shape[3])
    seen = (j < np.asarray(kv_len)[:, None, None, None]) & ((j <= i) | (not causal))
    s = np.where(seen, s, -np.inf)
    with np.errstate(divide="ignore"):
        return {"o": softmax(s) @ repeat_heads(v, q.shape[1]), "lse": np.log(np.exp(s).sum(-1))}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) > 1 else x for name, x in inputs.items()})
    found = qknorm.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition(rng):
    inputs = qknorm.example(rng)
    check(inputs)
    check({**inputs, "causal": np.bool_(True), "kv_len": np.array([0, 3])})
    check({**inputs, "g": np.array([0.0, 1.0, 2.0, 30.0])})
    check(qknorm.example(rng, np.float32), 1e-5)


def test_lengths_of_queries_and_keys_do_not_matter(rng):
    inputs = qknorm.example(rng)
    scaled = {**inputs, "q": inputs["q"] * 7.0, "k": inputs["k"] * rng.uniform(0.1, 9, (2, 4, 70, 1))}
    close(qknorm.run(**scaled)["o"], qknorm.run(**inputs)["o"])


def test_a_zero_query_sees_all_keys_alike(rng):
    inputs = qknorm.example(rng)
    inputs["q"][:, :, 0] = 0
    o = qknorm.run(**inputs)["o"]
    close(o[0, :, 0], inputs["v"][0].mean(1))


def test_scale_zero_is_the_mean(rng):
    inputs = {**qknorm.example(rng), "g": 0.0}
    close(qknorm.run(**inputs)["o"][1], np.broadcast_to(inputs["v"][1, :, None, :57].mean(2), (4, 37, 16)))
