import numpy as np

from attn_mlir.zoo import n014_attention_survey as survey

from conftest import close, softmax


def hidden(q, k, W0, W1, b1):
    return np.tanh((q @ W0)[:, :, None] + (k @ W1)[:, None] + b1)


def phi(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def align(score, q, k, W, b, W0, W1, b1, W2, b2, w_imp, Wloc):
    length = [np.linalg.norm(x, axis=-1) for x in (q, k)]
    T = k.swapaxes(-1, -2)
    return {"similarity": lambda: q @ T / np.maximum(length[0][:, :, None] * length[1][:, None], 1e-12),
            "dot": lambda: q @ T, "scaled_dot": lambda: q @ T / k.shape[-1] ** 0.5, "general": lambda: q @ W @ T,
            "biased_general": lambda: (q @ W + b) @ T, "activated_general": lambda: np.tanh(q @ W @ T + b1[0]),
            "kernel": lambda: np.log(phi(q) @ phi(T)), "additive": lambda: hidden(q, k, W0, W1, b1) @ w_imp,
            "deep": lambda: np.tanh(hidden(q, k, W0, W1, b1) @ W2 + b2) @ w_imp, "location": lambda: q @ Wloc}[score]()


def sparsemax(s):
    """By sorting, as in the definition."""
    top = -np.sort(-s, -1)
    m = np.arange(1, s.shape[-1] + 1)
    with np.errstate(invalid="ignore"):
        total = np.cumsum(top, -1)
        kappa = (1 + m * top > total).sum(-1, keepdims=True)
    tau = (np.take_along_axis(total, np.maximum(kappa, 1) - 1, -1) - 1) / np.maximum(kappa, 1)
    return np.where(np.isfinite(tau), np.maximum(s - np.where(np.isfinite(tau), tau, 0), 0), 0)


def oracle(q, k, v, kv_len, W, b, W0, W1, b1, W2, b2, w_imp, Wloc, Wmd, Wp, vp, win):
    j = np.arange(k.shape[1])
    seen = (j < np.asarray(kv_len)[:, None])[:, None]
    results = {}
    for score in survey.SCORES:
        s = np.where(seen, align(score, q, k, W, b, W0, W1, b1, W2, b2, w_imp, Wloc), -np.inf)
        best = (j == s.argmax(-1)[..., None]) & seen
        for name, p in zip(survey.DISTRIBUTIONS, (softmax(s), 1 / (1 + np.exp(-s)), sparsemax(s), best)):
            results[f"{score}.{name}"] = p @ v
    c = np.asarray(kv_len)[:, None] / (1 + np.exp(-np.tanh(q @ Wp) @ vp))
    near = seen & (abs(j - np.round(c)[..., None]) <= win)
    p = softmax(np.where(near, q @ W @ k.swapaxes(-1, -2), -np.inf))
    results["local_p"] = p * np.exp(-(j - c[..., None]) ** 2 / (2 * (win / 2) ** 2)) @ v
    s = np.where(seen[..., None], hidden(q, k, W0, W1, b1) @ Wmd, -np.inf)
    return {**results, "multi_dim": np.einsum("bijd,bjd->bid", softmax(s, 2), v)}


def check(inputs, tolerance=1e-9):
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) and name != "kv_len" else x for name, x in inputs.items()})
    found = survey.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["v"].dtype
        close(found[name], wanted[name], tolerance)
    return found


def test_equals_the_definitions(rng):
    inputs = survey.example(rng)
    check(inputs)
    check({**inputs, "kv_len": np.array([1, 0]), "win": np.array(2)})
    # In f32 the tanh of large products is 1, and many keys are the best.
    single = survey.example(rng, np.float32)
    check({**single, "W": single["W"] / 16}, 1e-4)


def test_forms_that_coincide(rng):
    inputs = {**survey.example(rng), "W": np.eye(8), "b": np.zeros(8)}
    found = survey.run(**inputs)
    for name in survey.DISTRIBUTIONS:
        close(found["general." + name], found["dot." + name])
        close(found["biased_general." + name], found["dot." + name])
    # The softmax of the kernel's logarithm is linear attention.
    q, k = phi(inputs["q"][:1]), phi(inputs["k"][:1])
    linear = q @ (k.swapaxes(-1, -2) @ inputs["v"][:1]) / (q @ k.sum(1)[..., None])
    close(found["kernel.softmax"][:1], linear)


def test_large_scores_leave_the_best_key(rng):
    inputs = {**survey.example(rng), "W": 1e4 * np.eye(8)}
    found = survey.run(**inputs)
    for name in ("softmax", "sparsemax"):
        close(found["general." + name], found["general.hard"], 1e-6)


def test_sparse_weights_sum_to_1(rng):
    inputs = {**survey.example(rng), "v": np.repeat(np.eye(37)[None], 2, 0)}
    p = np.asarray(survey.attend("dot", *(inputs[n] for n in ("q", "k", "v", "kv_len", "W", "b", "W0", "W1", "b1",
                                                               "W2", "b2", "w_imp", "Wloc")))[2])
    close(p.sum(-1), np.ones((2, 11)))
    assert (p == 0).any() and (p >= 0).all()


def test_fused_as_the_reference(rng):
    inputs = survey.example(rng, np.float32)
    names = ("q", "k", "v", "kv_len", "W", "b", "W0", "W1", "b1", "W2", "b2", "w_imp", "Wloc")
    assert survey.attend.check("deep", *(inputs[name] for name in names))
