# RUN: env MALLOC_PERTURB_=165 PYTHONMALLOC=malloc %python %s %tools_dir
"""PyTorch's attention as a device's peers call it, on memory of the host: it
reads our tensors where they are, and gives what float64 gives. What is freed is
overwritten, so that nobody reads a description that is gone."""

import contextlib
import os
import pathlib
import sys

# FlexAttention as it is written; compiling it takes long.
os.environ["TORCHDYNAMO_DISABLE"] = "1"
TOOLS = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(TOOLS))
if b"__asan_init" in (TOOLS.parent / "lib/libattn_runtime.so").read_bytes():
    print("skipped: Python does not load libraries with sanitizers")
    sys.exit(0)
try:
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(0)

from attn_bench import measure, problems, torch_peers  # noqa: E402
from attn_bench.device import DeviceOperands  # noqa: E402
from attn_bench.runtime import Runtime  # noqa: E402

torch.set_grad_enabled(False)
RUNTIME = Runtime()
PEERS = [torch_peers.DEVICE_PEERS[name](torch) for name in ("flash", "flex")]

for problem in (
    problems.Problem("full", "f32", 2, 8, 2, 1, 300, 64),
    problems.Problem("causal", "bf16", 1, 4, 4, 256, 256, 64),
    problems.Problem("window=30", "f32", 1, 8, 4, 128, 128, 32),
):
    operands = problems.Operands(problem)
    with contextlib.ExitStack() as stack:
        placed = DeviceOperands(RUNTIME, operands, stack)
        addresses = [torch.from_dlpack(capsule).data_ptr() for capsule in placed.capsules()]
        assert addresses == [tensor.data for tensor in placed.tensors], addresses
        for peer in PEERS:
            prepared = measure.prepare(peer, problem, operands, placed, stack)
            assert isinstance(prepared, measure.Prepared), (problem, peer.name, prepared)
        cudnn = measure.prepare(torch_peers.DEVICE_PEERS["cudnn"](torch), problem, operands, placed, stack)
        assert isinstance(cudnn, str), cudnn  # the host has none
