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

    A stream whose number of rows is not known becomes two functions where the
    keys of a single row would be read in place: `..._one_row` is called for one
    row, as while decoding.
  }];
  let options = [
    Option<"oneRowForms", "one-row-forms", "bool", "true",
           "Make kernels for one row where the number of rows is not known">,
    Option<"triple", "triple", "std::string", "\"\"",
           "Target triple; the host's if empty">,
    Option<"cpu", "cpu", "std::string", "\"\"",
           "Target CPU in LLVM's naming; the host's if both are empty">
  ];
  let dependentDialects = ["scf::SCFDialect", "arith::ArithDialect",
                           "math::MathDialect", "memref::MemRefDialect",
                           "vector::VectorDialect", "LLVM::LLVMDialect",
                           "x86vector::X86VectorDialect"];
}

def LinalgToCPUPass : Pass<"attn-linalg-to-cpu", "ModuleOp"> {
  let summary = "linalg.generic on buffers as threaded kernels of 1-D vectors";
  let description = [{
    One loop gives the lanes of vectors: a parallel one along which every operand
    steps by 1 or not at all, or else such a reduction. Parallel loops whose
    steps share loads are held in registers (6 x 4 vectors of accumulators for a
    product with AVX-512). The rest of the parallel loops become the items of
    the runtime's parallel loop; little work stays on the calling thread.

    Sums over lanes are reassociated; other sums keep their order. Ops whose
    body or layout has no such form are left alone.
  }];
  let options = [
    Option<"triple", "triple", "std::string", "\"\"",
           "Target triple; the host's if empty">,
    Option<"cpu", "cpu", "std::string", "\"\"",
           "Target CPU in LLVM's naming; the host's if both are empty">
  ];
  let dependentDialects = ["scf::SCFDialect", "arith::ArithDialect",
                           "affine::AffineDialect", "func::FuncDialect",
                           "memref::MemRefDialect", "vector::VectorDialect",
                           "LLVM::LLVMDialect"];
}

def CPUOutlineParallelPass : Pass<"attn-cpu-outline-parallel", "ModuleOp"> {
  let summary = "parallel loops outside of streams run on the runtime's threads";
  let description = [{
    Every outermost one-dimensional `scf.parallel` without results, on buffers,
    becomes a function and a call of `attn_parallel_for`. Its inner loops are
    vectorized by LLVM. Other loops stay and run in order.
  }];
  let dependentDialects = ["scf::SCFDialect", "arith::ArithDialect",
                           "func::FuncDialect", "LLVM::LLVMDialect"];
}

def CPUExpandMathPass : Pass<"attn-cpu-expand-math", "ModuleOp"> {
  let summary = "exp2, exp, log2, log and tanh of f32 as polynomials, dots of bytes, choices of lanes";
  let description = [{
    Expands these math ops on f32, scalars and vectors, into range reduction and
    a polynomial: at most 2 ulp of error over the whole range, subnormal results
    included, and the exact values at 0, infinities and NaN. f16 and bf16 are
    computed in f32. Everything else (f64, pow, sin, erf, ...) is left for
    `convert-math-to-libm`, which unrolls vectors into calls.

    `attn.quad_dot` becomes vpdpbusd where `triple` and `cpu` have AVX-512 VNNI,
    and shifts and products elsewhere.

    With `isa=avx512` (F, VL and DQ) vectors of 4, 8 and multiples of 16 use
    vreduceps and vscalefps; `generic` is any CPU. `auto` follows `triple` and
    `cpu`, as in `attn-stream-to-cpu`.
  }];
  let options = [
    Option<"isa", "isa", "std::string", "\"auto\"",
           "Instructions to use: auto, generic or avx512">,
    Option<"triple", "triple", "std::string", "\"\"",
           "Target triple; the host's if empty">,
    Option<"cpu", "cpu", "std::string", "\"\"",
           "Target CPU in LLVM's naming; the host's if both are empty">
  ];
  let dependentDialects = ["arith::ArithDialect", "LLVM::LLVMDialect",
                           "vector::VectorDialect"];
}

#endif // ATTN_TARGET_CPU_PASSES_TD
