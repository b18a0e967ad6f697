import numpy as np

from attn_mlir.zoo import n027_agent_attention as agent

from conftest import close, softmax


def resized(table, h, w):
    """[..., 7, 7] at h x w points, sample by sample."""
    result = np.zeros((*table.shape[:-2], h, w))
    for y in range(h):
        for x in range(w):
            (y0, dy), (x0, dx) = (divmod(max((i + 0.5) * 7 / n - 0.5, 0), 1) for i, n in ((y, h), (x, w)))
            y0, x0, y1, x1 = int(y0), int(x0), min(int(y0) + 1, 6), min(int(x0) + 1, 6)
            result[..., y, x] = ((1 - dy) * ((1 - dx) * table[..., y0, x0] + dx * table[..., y0, x1])
                                 + dy * ((1 - dx) * table[..., y1, x0] + dx * table[..., y1, x1]))
    return result


def oracle(q, k, v, an, na, ah, aw, ha, wa, conv_w, conv_b, hw, H, a):
    (h, w), (B, N, C) = hw, q.shape
    image = q.reshape(B, h, w, C)
    cells = [(slice(i * h // a, -(-(i + 1) * h // a)), slice(j * w // a, -(-(j + 1) * w // a)))
             for i in range(a) for j in range(a)]
    A = np.stack([image[:, y, x].mean((1, 2)) for y, x in cells], 1)
    B1 = (resized(an, h, w) + ah[..., None] + aw[:, :, None]).reshape(H, a * a, N)
    B2 = np.moveaxis(resized(na, h, w), 1, -1) + ha[:, :, None] + wa[:, None]
    q, k, values, A = (x.reshape(B, -1, H, C // H).swapaxes(1, 2) for x in (q, k, v, A))
    s = (C // H) ** -0.5
    P = softmax(s * q @ A.swapaxes(-1, -2) + B2.reshape(H, N, a * a)) @ softmax(s * A @ k.swapaxes(-1, -2) + B1)
    o = (P @ values).swapaxes(1, 2).reshape(B, N, C)
    padded = np.pad(v.reshape(B, h, w, C), [(0, 0), (1, 1), (1, 1), (0, 0)])
    local = sum(padded[:, i:i + h, j:j + w] * conv_w[:, i, j] for i in range(3) for j in range(3))
    return {"attn": o, "out": o + local.reshape(B, N, C) + conv_b, "P": P}


def check(inputs, tolerance=1e-10):
    wanted = oracle(**{name: x.astype(float) if name not in ("hw", "H", "a") else x for name, x in inputs.items()})
    found = agent.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["q"].dtype
        close(found[name], wanted[name], tolerance)


def sized(rng, h, w, a, dtype=np.float64):
    """Inputs of another grid and other agents."""
    n = a * a
    shapes = {"an": (3, n, 7, 7), "na": (3, n, 7, 7), "ah": (3, n, h), "aw": (3, n, w), "ha": (3, h, n),
              "wa": (3, w, n), **{name: (1, h * w, 24) for name in "qkv"}}
    return {**agent.example(rng, dtype), "hw": [h, w], "a": a,
            **{name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}}


def test_equals_the_definition_with_explicit_matrices(rng):
    check(agent.example(rng))
    check(sized(rng, 5, 16, 4))
    check(agent.example(rng, np.float32), 1e-5)


def test_weights_are_a_mixture_of_low_rank(rng):
    P = agent.run(**agent.example(rng))["P"]
    close(P.sum(-1), np.ones(P.shape[:3]))
    assert (P >= 0).all() and (np.linalg.matrix_rank(P) <= 9).all()


def test_one_agent_is_the_mean_query(rng):
    inputs = {name: 0 * x if name in ("an", "na", "ah", "aw", "ha", "wa") else x
              for name, x in sized(rng, 4, 6, 1).items()}
    q, k, v = (inputs[name].reshape(1, 24, 3, 8).swapaxes(1, 2) for name in "qkv")
    one = softmax(q.mean(2, keepdims=True) @ k.swapaxes(-1, -2) / 8 ** 0.5) @ v
    close(agent.run(**inputs)["attn"], np.broadcast_to(one.reshape(1, 1, 24), (1, 24, 24)))


def test_constant_biases_and_values_change_nothing(rng):
    inputs = agent.example(rng)
    shifted = {**inputs, "an": inputs["an"] + 2.0, "ha": inputs["ha"] + 3.0, "v": np.ones_like(inputs["v"])}
    close(agent.run(**shifted)["P"], agent.run(**inputs)["P"])
    close(agent.run(**shifted)["attn"], shifted["v"])


def test_fused_as_the_reference(rng):
    inputs = agent.example(rng, np.float32)
    tables = [t.astype(np.float32) for t in (agent.pooling(10, 3), agent.pooling(9, 3), agent.interpolation(10),
                                             agent.interpolation(9))]
    names = ("q", "k", "v", "an", "na", "ah", "aw", "ha", "wa", "conv_w", "conv_b")
    assert agent.agent_attention.check(*(inputs[name] for name in names), *tables, 3)
