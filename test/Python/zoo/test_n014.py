import numpy as np

import attn_mlir as attn
from attn_mlir.zoo import n014_attention_survey as survey

from conftest import close, peak_growth, softmax

OPERANDS = ("q", "k", "v", "kv_len", "W", "b", "W0", "W1", "b1", "W2", "b2", "w_imp", "Wloc")


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


def oracle(q, k, v, kv_len, W, b, W0, W1, b1, W2, b2, w_imp, Wloc, Wmd, Wp, vp, win, scores=survey.SCORES):
    j = np.arange(k.shape[1])
    seen = (j < np.asarray(kv_len)[:, None])[:, None]
    results = {}
    for score in scores:
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


def check(inputs):
    wanted, found = oracle(**inputs), survey.run(**inputs)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == inputs["v"].dtype
        close(found[name], wanted[name], 1e-9)


def cut(inputs, queries, keys):
    """The first queries and keys, of one batch element."""
    return {**inputs, "q": inputs["q"][:1, :queries], "k": inputs["k"][:1, :keys], "v": inputs["v"][:1, :keys],
            "kv_len": np.array([keys]), "Wloc": inputs["Wloc"][:, :keys]}


def test_equals_the_definitions(rng):
    inputs = survey.example(rng)
    check(inputs)
    check({**inputs, "kv_len": np.array([1, 0]), "win": np.array(2)})
    check(cut(inputs, 7, 3))
    check(cut(inputs, 1, 1))


def test_single_precision(rng):
    inputs = survey.example(rng, np.float32)
    # The tanh of large products is 1, and many keys are the best.
    inputs["W"] /= 16
    scores = ("activated_general", "kernel", "additive")
    wanted = oracle(**{name: x.astype(float) if np.ndim(x) and name != "kv_len" else x for name, x in inputs.items()},
                    scores=scores)
    for score in scores:
        for name, o in zip(survey.DISTRIBUTIONS, survey.attend(score, *(inputs[n] for n in OPERANDS))):
            assert o.dtype == np.float32
            close(o, wanted[f"{score}.{name}"], 1e-4)


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


def test_additive_scores_are_those_of_concatenated_vectors(rng):
    inputs = survey.example(rng)
    q, k = (inputs[name] for name in "qk")
    pairs = np.concatenate([np.repeat(q[:, :, None], 37, 2), np.repeat(k[:, None], 11, 1)], -1)
    s = np.tanh(pairs @ np.concatenate([inputs["W0"], inputs["W1"]]) + inputs["b1"]) @ inputs["w_imp"]
    s = np.where(np.arange(37) < inputs["kv_len"][:, None, None], s, -np.inf)
    close(survey.attend("additive", *(inputs[n] for n in OPERANDS))[0], softmax(s) @ inputs["v"])


def test_location_reads_no_keys(rng):
    inputs = survey.example(rng)
    other = {**inputs, "k": rng.standard_normal((2, 37, 8))}
    for a, b in zip(*(survey.attend("location", *(x[n] for n in OPERANDS)) for x in (inputs, other))):
        close(a, b, 0)


def test_hidden_units_of_pairs_are_not_stored(rng):
    @attn.jit
    def additive(*operands):
        s = survey.align("additive", *operands[:2], *operands[4:])
        return attn.softmax(s) @ operands[2][:, None]

    def operands(L):
        shapes = {"q": (1, L, 4), "k": (1, L, 4), "v": (1, L, 6), "W": (4, 4), "b": (4,), "W0": (4, 32),
                  "W1": (4, 32), "b1": (32,), "W2": (32, 32), "b2": (32,), "w_imp": (32,), "Wloc": (4, L)}
        inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        return [inputs.get(name, np.array([L])) for name in OPERANDS]

    additive(*operands(64))
    large = operands(640)
    assert peak_growth(lambda: additive(*large)) < 640 * 640 * 32 * 8 / 4


def test_large_scores_leave_the_best_key(rng):
    inputs = {**survey.example(rng), "W": 1e4 * np.eye(8)}
    found = survey.run(**inputs)
    for name in ("softmax", "sparsemax"):
        close(found["general." + name], found["general.hard"], 1e-6)


def test_sparse_weights_sum_to_1(rng):
    inputs = {**survey.example(rng), "v": np.repeat(np.eye(37)[None], 2, 0)}
    p = np.asarray(survey.attend("dot", *(inputs[n] for n in OPERANDS))[2])
    close(p.sum(-1), np.ones((2, 11)))
    assert (p == 0).any() and (p >= 0).all()


def test_fused_as_the_reference(rng):
    inputs = survey.example(rng, np.float32)
    assert survey.attend.check("deep", *(inputs[name] for name in OPERANDS))
