"""Other systems that do attention on CPUs; PyTorch is in torch_peers.py."""

import importlib.metadata
import sys
import time

import numpy as np

from .measure import Prepared


class OnnxRuntime:
    """The faster of the standard Attention operator and MultiHeadAttention.

    It has neither for bf16 on CPUs: such a problem is done in f32, on the same
    values."""

    name = "onnxruntime"

    def __init__(self, threads):
        import onnx
        import onnxruntime

        self.onnx, self.ort, self.threads = onnx, onnxruntime, threads
        self.version = onnxruntime.__version__

    def session(self, problem, fused):
        helper, float32 = self.onnx.helper, self.onnx.TensorProto.FLOAT
        b, h, d = problem.batch, problem.heads, problem.features
        if fused:
            shape = lambda rows: [b, rows, h * d]
            node = helper.make_node(
                "MultiHeadAttention", ["q", "k", "v"], ["o"], domain="com.microsoft",
                num_heads=h, unidirectional=int(problem.mask == "causal"),
            )
        else:
            shape = lambda rows: [b, h, rows, d]
            node = helper.make_node("Attention", ["q", "k", "v"], ["o"], is_causal=int(problem.mask == "causal"))
        info = lambda name, rows: helper.make_tensor_value_info(name, float32, shape(rows))
        graph = helper.make_graph(
            [node], "attention",
            [info("q", problem.queries), info("k", problem.keys), info("v", problem.keys)],
            [info("o", problem.queries)],
        )
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4
        return self.ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def prepare(self, problem, operands, _):
        if problem.window() or problem.groups != problem.heads or problem.decodes():
            return None
        best = None
        for fused in (True, False):
            try:
                candidate = self.bind(problem, operands, fused)
                candidate[0]()
                start = time.perf_counter()
                candidate[0]()
                seconds = time.perf_counter() - start
            except Exception as error:  # whatever ONNX Runtime throws
                print(f"onnxruntime: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            if best is None or seconds < best[0]:
                best = seconds, candidate
        return best and Prepared(*best[1])

    def bind(self, problem, operands, fused):
        session = self.session(problem, fused)
        pack = lambda x: x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1) if fused else x
        binding = session.io_binding()
        for name, x in zip("qkv", (operands.q, operands.k, operands.v)):
            value = self.ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(pack(x)))
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("o")

        def fetch():
            out = binding.get_outputs()[0].numpy()
            if not fused:
                return out
            return out.reshape(problem.batch, problem.queries, problem.heads, -1).transpose(0, 2, 1, 3)

        return lambda: session.run_with_iobinding(binding), fetch


class Iree:
    """Its attention operation on llvm-cpu, for the host."""

    name = "iree"

    def __init__(self, threads):
        from iree import compiler, runtime

        self.compiler, self.runtime = compiler, runtime
        runtime.flags.parse_flags(f"--task_topology_max_group_count={threads}")
        self.config = runtime.Config("local-task")
        self.version = importlib.metadata.version("iree-base-compiler")

    def prepare(self, problem, operands, _):
        if problem.mask != "full" or problem.type != "f32" or problem.groups != problem.heads:
            return None
        n, m, l, d = problem.batch * problem.heads, problem.queries, problem.keys, problem.features
        tensor = lambda rows: f"tensor<{n}x{rows}x{d}xf32>"
        maps = ["(b, m, n, k, l) -> (b, m, k)", "(b, m, n, k, l) -> (b, l, k)",
                "(b, m, n, k, l) -> (b, l, n)", "(b, m, n, k, l) -> ()", "(b, m, n, k, l) -> (b, m, n)"]
        text = f"""
func.func @attention(%q: {tensor(m)}, %k: {tensor(l)}, %v: {tensor(l)}) -> {tensor(m)} {{
  %scale = arith.constant {d**-0.5} : f32
  %e = tensor.empty() : {tensor(m)}
  %o = iree_linalg_ext.attention <{{indexing_maps = [{", ".join(f"affine_map<{x}>" for x in maps)}]}}>
    ins(%q, %k, %v, %scale : {tensor(m)}, {tensor(l)}, {tensor(l)}, f32) outs(%e : {tensor(m)}) {{
    ^bb0(%s: f32):
      iree_linalg_ext.yield %s : f32
  }} -> {tensor(m)}
  return %o : {tensor(m)}
}}"""
        binary = self.compiler.compile_str(
            text,
            extra_args=[
                "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
                "--iree-llvmcpu-target-cpu=host",
            ],
        )
        context = self.runtime.SystemContext(config=self.config)
        context.add_vm_module(self.runtime.VmModule.copy_buffer(context.instance, binary))
        function = context.modules.module["attention"]
        flat = [x.reshape(n, -1, d) for x in operands.stored]
        inputs = [self.runtime.asdevicearray(self.config.device, x) for x in flat]
        result = []

        def call():
            result[:] = [function(*inputs)]

        return Prepared(call, lambda: result[0].to_host().reshape(problem.batch, problem.heads, m, d))
