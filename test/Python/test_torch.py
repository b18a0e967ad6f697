"""PyTorch as a client, and as an independent reference."""

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch.nn.attention import flex_attention as flex

import attn_mlir as attn
from attn_mlir.torch import custom_op, flex_attention

B, H, L, D = 2, 4, 192, 32
warnings.filterwarnings("ignore")


def operands(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator).to(dtype) for _ in range(3)]


@attn.jit
def causal(q, k, v):
    return attn.softmax(q @ k.mT * q.shape[-1] ** -0.5, where=attn.causal) @ v


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 2e-2)])
def test_tensors_in_tensors_out(dtype, tolerance):
    q, k, v = operands(B, H, 33, D, dtype=dtype)
    o = causal(q, k, v)
    want = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=True)
    assert o.dtype == dtype and (o.double() - want).abs().max() < tolerance


def test_gradients_are_refused_clearly():
    q, k, v = operands(1, 1, 4, 8)
    with pytest.raises(RuntimeError, match="gradients of compiled functions are not available yet"):
        causal(q.requires_grad_(), k, v)
    with torch.no_grad():
        causal(q, k, v)


op = custom_op(causal, "attn_mlir_test::causal")


def test_custom_op_in_a_compiled_function():
    compiled = torch.compile(lambda q, k, v: op(q * 2, k, v) + 1, fullgraph=True, backend="aot_eager")
    for length in (33, 57, 64):
        q, k, v = operands(B, H, length, D)
        torch.testing.assert_close(compiled(q, k, v), causal(q * 2, k, v) + 1)


def test_custom_op_in_an_exported_program():
    class Module(torch.nn.Module):
        def forward(self, q, k, v):
            return op(q, k, v)

    length = torch.export.Dim("length", min=2, max=4096)
    program = torch.export.export(Module(), tuple(operands(B, H, 33, D)),
                                  dynamic_shapes={name: {2: length} for name in "qkv"})
    q, k, v = operands(B, H, 71, D)
    torch.testing.assert_close(program.module()(q, k, v), causal(q, k, v))


def test_custom_op_passes_torch_checks():
    torch.library.opcheck(torch.ops.attn_mlir_test.causal.default, tuple(operands(B, H, 9, D)),
                          test_utils=("test_schema", "test_faketensor"))


def test_custom_op_refuses_gradients_when_they_are_asked_for():
    q, k, v = operands(1, 1, 4, 8)
    o = op(q.requires_grad_(), k, v)
    with pytest.raises(RuntimeError, match="gradients of compiled functions are not available yet"):
        o.sum().backward()


# score_mod and mask_mod as people write them.

SLOPES = torch.tensor([0.5, 0.25, 0.125, 0.1])
DOCUMENTS = (torch.arange(L) // 50).repeat(B, 1)
TABLE = torch.linspace(-1, 1, H * 2 * L).reshape(H, 2 * L)


def alibi(score, b, h, q_idx, kv_idx):
    return score - SLOPES[h] * (q_idx - kv_idx).abs()


def softcap(score, b, h, q_idx, kv_idx):
    return 20 * torch.tanh(score / 20)


def relative(score, b, h, q_idx, kv_idx):
    return score + TABLE[h, q_idx - kv_idx + L]


def causal_by_infinity(score, b, h, q_idx, kv_idx):
    return torch.where(q_idx >= kv_idx, score, -float("inf"))


def causal_mask(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def window(b, h, q_idx, kv_idx):
    return (q_idx - kv_idx).abs() < 40


def document(b, h, q_idx, kv_idx):
    return DOCUMENTS[b, q_idx] == DOCUMENTS[b, kv_idx]


def prefix(b, h, q_idx, kv_idx):
    return kv_idx < 64


SCORE_MODS = [None, alibi, softcap, relative, causal_by_infinity]
MASK_MODS = {"none": None, "causal": causal_mask, "window": window,
             "documents": flex.and_masks(document, causal_mask), "prefix": flex.or_masks(prefix, causal_mask)}


def reference(q, k, v, score_mod, block_mask):
    """By the definition, in f64."""
    return flex.flex_attention(q.double(), k.double(), v.double(), score_mod, block_mask)


@pytest.mark.parametrize("score_mod", SCORE_MODS)
@pytest.mark.parametrize("mask", ["none", "causal"])
def test_score_mods(score_mod, mask):
    q, k, v = operands(B, H, L, D)
    block_mask = MASK_MODS[mask] and flex.create_block_mask(MASK_MODS[mask], None, None, L, L, device="cpu")
    o = flex_attention(q, k, v, score_mod, block_mask)
    assert (o.double() - reference(q, k, v, score_mod, block_mask)).abs().max() < 2e-5


@pytest.mark.parametrize("mask", list(MASK_MODS)[1:])
def test_mask_mods(mask):
    q, k, v = operands(B, H, L, D)
    block_mask = flex.create_block_mask(MASK_MODS[mask], B, None, L, L, device="cpu")
    o = flex_attention(q, k, v, block_mask=block_mask)
    assert (o.double() - reference(q, k, v, None, block_mask)).abs().max() < 2e-6


def test_blocks_that_are_not_listed_are_not_seen():
    q, k, v = operands(1, 1, 256, D)
    block_mask = flex.BlockMask.from_kv_blocks(torch.tensor([[[1, 2]]]), torch.tensor([[[[1, 0], [0, 1]]]]))
    o = flex_attention(q, k, v, block_mask=block_mask)
    s = q.double() @ k.double().mT * D ** -0.5
    s[:, :, :128, :128] = -torch.inf
    assert (o.double() - s.softmax(-1) @ v.double()).abs().max() < 2e-6


def test_grouped_heads_and_the_log_of_the_sum():
    q, k, v = (x[:, :h] for x, h in zip(operands(B, H, 65, D), (4, 2, 2)))
    o, lse = flex_attention(q, k, v, enable_gqa=True, return_lse=True)
    s = q.double() @ k.double().repeat_interleave(2, 1).mT * D ** -0.5
    assert (lse.double() - s.logsumexp(-1)).abs().max() < 2e-6
    assert (o.double() - s.softmax(-1) @ v.double().repeat_interleave(2, 1)).abs().max() < 2e-6
    with pytest.raises(ValueError, match="enable_gqa=True"):
        flex_attention(q, k, v)


def test_new_closures_over_other_tensors_use_one_program():
    from attn_mlir import torch as own

    def make(bias):
        return lambda score, b, h, i, j: score + bias[h, j]

    q, k, v = operands(B, H, 65, D)
    before = len(own._functions)
    for seed in range(3):
        bias = torch.randn(H, 65, generator=torch.Generator().manual_seed(seed))
        o = flex_attention(q, k, v, make(bias))
        want = (q.double() @ k.double().mT * D ** -0.5 + bias[:, None].double()).softmax(-1) @ v.double()
        assert (o.double() - want).abs().max() < 2e-6
    assert len(own._functions) == before + 1


ONE_SET = """
import os, torch
import attn_mlir as attn
torch.set_num_threads(3)
attn.set_num_threads(3)
x = torch.randn(1, 4, 512, 64)
x @ x.mT
before = len(os.listdir("/proc/self/task"))
run = attn.jit(lambda q: attn.softmax(q @ q.mT * 0.125) @ q)
program, *_ = run._find((x,), {})
program.compile()
compiled = len(os.listdir("/proc/self/task"))
for _ in range(3):
    o = run(x)
    x @ x.mT
assert len(os.listdir("/proc/self/task")) == compiled
assert (o - (x @ x.mT * 0.125).softmax(-1) @ x).abs().max() < 1e-5
if os.fork() == 0:
    # PyTorch itself does not survive this.
    os._exit(0 if (run(x).numpy() == o.numpy()).all() else 1)
assert os.wait()[1] == 0
"""


@pytest.mark.skipif("libgomp" not in open("/proc/self/maps").read(), reason="this PyTorch has other threads")
def test_there_is_one_set_of_threads():
    import subprocess
    import sys
    done = subprocess.run([sys.executable, "-c", ONE_SET], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_functions_of_torch_without_a_meaning_are_named():
    q, k, v = operands(1, 1, 4, 8)
    with pytest.raises(TypeError, match="torch's 'cumsum'"):
        flex_attention(q, k, v, lambda score, b, h, i, j: torch.cumsum(score, 0))
