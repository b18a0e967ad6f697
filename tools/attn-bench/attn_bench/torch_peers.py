"""PyTorch's attention, on CPUs and on devices."""

import contextlib

import numpy as np

from .measure import Prepared
from .packages import say
from .runtime import Failure


def make_options(torch, problem, device):
    """Those of scaled_dot_product_attention."""
    options = {"enable_gqa": True} if problem.groups != problem.heads else {}
    if problem.window():
        i, j = torch.arange(problem.queries, device=device)[:, None], torch.arange(problem.keys, device=device)[None]
        return {**options, "attn_mask": (j <= i) & (j > i - problem.window())}
    return {**options, "is_causal": problem.mask == "causal" and not problem.decodes()}


def prepare_call(function, scope=contextlib.nullcontext):
    result = []

    def call():
        result[:] = [function()]

    return Prepared(call, lambda: result[0].float().cpu().numpy(), scope)


class Torch:
    """On the CPU."""

    name = "torch"

    def __init__(self, threads):
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.version = torch.__version__

    def prepare(self, problem, operands, _):
        torch = self.torch
        if problem.type == "bf16":
            q, k, v = (torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) for x in operands.stored)
        else:
            q, k, v = map(torch.from_numpy, operands.stored)
        options = make_options(torch, problem, "cpu")
        return prepare_call(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, **options))


class Kernels:
    """scaled_dot_product_attention on a device, by one kind of its kernels."""

    def __init__(self, torch, name, backend):
        self.torch, self.name, self.backend = torch, name, backend

    def prepare(self, problem, operands, _):
        torch = self.torch
        q, k, v = map(torch.from_dlpack, operands.capsules())
        options = make_options(torch, problem, q.device)
        # The choice is global, so that it holds for the calls of one system at a time.
        backend = getattr(torch.nn.attention.SDPBackend, self.backend)
        return prepare_call(
            lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, **options),
            lambda: torch.nn.attention.sdpa_kernel(backend),
        )


class Flex:
    """FlexAttention on a device, compiled."""

    name = "FlexAttention"

    def __init__(self, torch):
        self.torch = torch

    def prepare(self, problem, operands, _):
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        torch = self.torch
        q, k, v = map(torch.from_dlpack, operands.capsules())
        mask = None
        if problem.mask != "full":
            window = problem.window() or problem.keys
            keep = lambda b, h, i, j: (j <= i) & (j > i - window)
            mask = create_block_mask(keep, None, None, problem.queries, problem.keys, device=q.device)
        # After a few shapes of one function PyTorch stops compiling it, unless it forgets them.
        torch.compiler.reset()
        flex = torch.compile(flex_attention, dynamic=False)
        return prepare_call(lambda: flex(q, k, v, block_mask=mask, enable_gqa=problem.groups != problem.heads))


DEVICE_PEERS = {
    "cudnn": lambda torch: Kernels(torch, "cuDNN", "CUDNN_ATTENTION"),
    "flash": lambda torch: Kernels(torch, "FlashAttention", "FLASH_ATTENTION"),
    "efficient": lambda torch: Kernels(torch, "PyTorch's own", "EFFICIENT_ATTENTION"),
    "flex": Flex,
}


def load_torch(device):
    """PyTorch, if it can work on a device."""
    try:
        import torch
    except ImportError as error:
        raise Failure(f"PyTorch cannot be imported: {error}") from None
    kind = "hip" if torch.version.hip else "cuda"
    if kind != device.kind() or not torch.cuda.is_available():
        raise Failure(f"PyTorch {torch.__version__} has no GPU of {device.kind()}")
    torch.cuda.set_device(device.id)
    torch.set_grad_enabled(False)
    return torch


def choose_peers(device, names):
    """PyTorch, or None, and its systems: those of these names, of which a failure
    is one of the whole, or all, which are left out where they cannot be had."""
    try:
        torch = load_torch(device)
    except Failure as failure:
        if names:
            raise
        say(f"peers are left out: {failure}")
        return None, []
    return torch, [DEVICE_PEERS[name](torch) for name in (DEVICE_PEERS if names is None else names)]
