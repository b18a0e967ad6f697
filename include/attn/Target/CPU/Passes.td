//===- Passes.td - the CPU target --------------------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_CPU_PASSES_TD
#define ATTN_TARGET_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def StreamToCPUPass : Pass<"attn-stream-to-cpu", "ModuleOp"> {
  let summary = "streams as tiled kernels over packed panels and 1-D vectors";
  let description = [{
    Each stream becomes a function `tile_fn(args, begin, end)` over row blocks
    and a call of the runtime's parallel loop. Contractions run in a
    microkernel whose accumulators are carried by the loop; every stage of the
    sweep's program is a row loop around a column loop with the scalar program
    widened to 1-D vectors, once for full and once for partial tiles.
  }];
  let options = [
    Option<"triple", "triple", "std::string", "\"\"",
           "Target triple; the host's if empty">,
    Option<"cpu", "cpu", "std::string", "\"\"",
           "Target CPU in LLVM's naming; the host's if both are empty">
  ];
  let dependentDialects = ["scf::SCFDialect", "arith::ArithDialect",
                           "math::MathDialect", "memref::MemRefDialect",
                           "vector::VectorDialect", "LLVM::LLVMDialect"];
}

def CPUExpandMathPass : Pass<"attn-cpu-expand-math", "ModuleOp"> {
  let summary = "vector exp2, exp, log2, log, tanh as polynomials";
  let description = [{
    Expands math ops on vectors (and scalars) of f32 into range reduction and
    polynomials of at most 2 ulp error, with the exact values at 0, infinities
    and NaN. f64 ops go to the runtime's scalar functions.
  }];
  let dependentDialects = ["arith::ArithDialect", "math::MathDialect",
                           "vector::VectorDialect"];
}

#endif // ATTN_TARGET_CPU_PASSES_TD
