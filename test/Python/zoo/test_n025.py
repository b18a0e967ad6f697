import numpy as np

from attn_mlir.zoo import n025_kv_transformer as kv_transformer

from conftest import close, peak_growth, softmax


def table(L, C_p):
    """P [L, L, C_p]: the first half of the channels encodes i, the second j."""
    C = 2 * -(-C_p // 4)
    m = np.arange(C) // 2
    angle = np.arange(L)[:, None] * 10000.0 ** (-2 * m / C)
    code = np.where(np.arange(C) % 2 == 0, np.sin(angle), np.cos(angle))
    P = np.concatenate([np.repeat(code[:, None], L, 1), np.repeat(code[None], L, 0)], -1)
    return P[..., :C_p]


def oracle(k, v, w, b, causal):
    L, D = k.shape[2:]
    s = k @ k.swapaxes(-1, -2) / D ** 0.5
    w = np.broadcast_to(w, (k.shape[1], np.shape(w)[-1]))
    mapped = np.einsum("bhij,hc->bhij", s, w) + np.einsum("ijc,hc->hij", table(L, w.shape[-1]), w) + b
    seen = np.tri(L, dtype=bool) | (not causal)
    return {"kv": softmax(np.where(seen, s, -np.inf)) @ v, "kv_pos": softmax(np.where(seen, mapped, -np.inf)) @ v}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) else x for name, x in inputs.items()})
    found = kv_transformer.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["v"].dtype
        close(found[name], wanted[name], tolerance)


def test_equals_the_definition_with_the_whole_table(rng):
    inputs = kv_transformer.example(rng)
    check(inputs)
    check({**inputs, "causal": np.bool_(False), "w": rng.standard_normal(50) / 50})
    check({**inputs, "w": rng.standard_normal((4, 7))})
    check({**inputs, "k": inputs["k"][:1, :, :9], "v": inputs["v"][:1, :, :9], "w": -np.ones(2), "b": np.array(3.0)})
    check({**inputs, "k": inputs["k"][:, :, :1], "v": inputs["v"][:, :, :1]})
    check(kv_transformer.example(rng, np.float32), 2e-5)


def test_a_map_that_reads_scores_alone_changes_nothing(rng):
    found = kv_transformer.run(**{**kv_transformer.example(rng), "w": np.eye(10)[0]})
    close(found["kv_pos"], found["kv"])


def test_the_constant_cancels(rng):
    inputs = kv_transformer.example(rng)
    close(kv_transformer.run(**{**inputs, "b": 100.0})["kv_pos"], kv_transformer.run(**inputs)["kv_pos"])


def test_weights_are_symmetric_but_for_the_sums_of_rows(rng):
    k = rng.standard_normal((1, 1, 12, 4))
    p = kv_transformer.run(k=k, v=np.eye(12)[None, None], w=np.ones(4), b=0.0, causal=False)["kv"][0, 0]
    total = np.exp(k[0, 0] @ k[0, 0].T / 2).sum(-1, keepdims=True)
    close(p * total, (p * total).T)
    assert abs(p - p.T).max() > 1e-3 and np.linalg.eigvalsh(np.log(p * total)).min() > -1e-12


def test_fused_as_the_reference(rng):
    inputs = kv_transformer.example(rng, np.float32)
    assert kv_transformer.kv_pos_attention.check(inputs["k"], inputs["v"], inputs["w"][None], np.float32(1), True)


def test_neither_the_table_nor_a_matrix_is_stored(rng):
    inputs = kv_transformer.example(rng)
    kv_transformer.run(**inputs)
    large = {name: np.concatenate([inputs[name]] * 24, 2) for name in "kv"}
    assert peak_growth(lambda: kv_transformer.run(**{**inputs, **large})) < 2 * 4 * 1200 * 1200 * 8 / 4
