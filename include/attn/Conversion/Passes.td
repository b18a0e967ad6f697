//===- Passes.td - conversions out of the attn dialect -----*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_CONVERSION_PASSES_TD
#define ATTN_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def AttnToLinalgPass : Pass<"attn-to-linalg", "func::FuncOp"> {
  let summary = "the reference: every op by itself on materialised tensors";
  let description = [{
    Each score matrix becomes two tensors [B, H, M, N], of values and of
    presence bits, and each op one or a few `linalg.generic` ops. This is the
    meaning of the dialect, and the oracle of everything else. Run
    `attn-desugar` first.

    Ops that make lists of blocks (`attn.list` and its like) become loops on
    buffers here, for every target.
  }];
  let dependentDialects = ["linalg::LinalgDialect", "tensor::TensorDialect",
                           "arith::ArithDialect", "math::MathDialect",
                           "bufferization::BufferizationDialect",
                           "memref::MemRefDialect", "scf::SCFDialect"];
}

def PromoteToF64Pass : Pass<"attn-promote-to-f64", "ModuleOp"> {
  let summary = "the same program on f64: types, constants and signatures";
  let dependentDialects = ["attn::AttnDialect"];
}

def ExactOpaquePass : Pass<"attn-exact-opaque", "func::FuncOp"> {
  let summary = "exact mode: folding does not look into float constants";
  let description = [{
    `arith.constant` of a float other than 0 and 1 becomes `attn.opaque`. Float
    arithmetic on them would be wrong in the ring that `attn-exact-arithmetic`
    puts in the place of floats; 0 and 1 are its own 0 and 1. Constant tensors
    and vectors stay as they are.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect"];
}

def ExactAppliesPass : Pass<"attn-exact-applies", "func::FuncOp"> {
  let summary = "exact mode: refuse plans that need more than a ring";
  let description = [{
    A plan is equal to the program as algebra; some of that algebra holds for
    real numbers and not modulo 2^w:

    * a running mean, and a mean merged from ranges of keys, divide by counts of
      which even ones have no inverse;
    * a maximum or comparison of values that move with a running maximum: no
      order of the ring moves with them (the sign does);
    * a root, or a power that is no integer, of such values;
    * a rate of a carry that was computed from several constants;
    * sums of operands that are rounded (`operand_type`), read by another sweep:
      only their low bits are determined.

    Each is an error that says so. Run it on fused streams.
  }];
}

def ExactArithmeticPass : Pass<"attn-exact-arithmetic", "ModuleOp"> {
  let summary = "exact mode: integers modulo 2^w in place of floats";
  let description = [{
    Types stay; what is computed on the bits of a float of w bits is arithmetic
    modulo 2^w, where sums and products may be regrouped at will. Programs that
    are equal as algebra then agree in every bit, whatever their order of
    evaluation. Run it on scalars and vectors, before math is expanded.

    | floats | ring |
    | --- | --- |
    | add, sub, mul, negate, fma | the same, wrapping |
    | a / b | a times the inverse of b; that of 2^t u, u odd, is 2^t / u |
    | exp2(x) | 5^x, so that exp2(x + y) = exp2(x) exp2(y) |
    | log2(x) | k for 5^k; -5^k and even numbers are tagged; least for 0 |
    | pow(x, c) | the power of the logarithm, tags included |
    | sqrt(x) | half the logarithm; a tag where that is odd |
    | max, min, comparisons | signed order; -inf and inf are the extremes |
    | x < 0 and the like, abs | the sign of 2^t u is + iff u mod 4 is 1 |
    | conversions of integers | the integer, truncated or sign-extended |
    | wider, narrower floats | sign extension, truncation |
    | tanh, erf, sin, floor, ... | a hash that depends on the function |

    That sign does not change under multiplication by powers of 5, as the sign
    of a float does not when a running maximum moves.

    An op without a meaning in the ring is an error that names it.
  }];
  let dependentDialects = ["arith::ArithDialect", "func::FuncDialect",
                           "math::MathDialect", "vector::VectorDialect"];
}

def StreamToLoopsPass : Pass<"attn-stream-to-loops", "func::FuncOp"> {
  let summary = "streams as plain scalar loops over memrefs: the second oracle";
  let description = [{
    One `scf.for` per stationary index and per sweep, carries as loop values, no
    tiles and no vectors beyond rows. Works on naive and on fused streams with
    memref operands (after `attn-bufferize-streams`).

    What mask analysis recorded is ignored, unless `use-bounds` is set: then a
    sweep runs only over the keys of `bounds`, skips an entry for which `tiles`
    says that nothing is needed, and takes one for present of which it says that
    everything is. Results must not change; a wrong analysis shows.
  }];
  let options = [
    Option<"useBounds", "use-bounds", "bool", "false",
           "Trust the tiles and bounds regions of sweeps">
  ];
  let dependentDialects = ["scf::SCFDialect", "arith::ArithDialect",
                           "math::MathDialect", "memref::MemRefDialect",
                           "vector::VectorDialect"];
}

def BufferizeStreamsPass : Pass<"attn-bufferize-streams", "func::FuncOp"> {
  let summary = "give streams memrefs in place of tensors";
  let description = [{
    Inputs become `bufferization.to_buffer`, outputs fresh allocations whose
    contents come back through `bufferization.to_tensor`, so that
    one-shot-bufferize sees streams as foreign ops on memrefs.
  }];
  let dependentDialects = ["bufferization::BufferizationDialect",
                           "memref::MemRefDialect"];
}

def SelectionToLoopsPass : Pass<"attn-selection-to-loops", "func::FuncOp"> {
  let summary = "top-k, sort, prefix, gather, scatter and solve as loops";
  let description = [{
    The lowering of the ops on stored tensors, the same for all targets. Operands
    become read-only buffers, results fresh allocations, as in
    `attn-bufferize-streams`; independent rows are an `scf.parallel`, which
    `attn-cpu-outline-parallel` gives to threads.
  }];
  let dependentDialects = ["arith::ArithDialect", "math::MathDialect",
                           "bufferization::BufferizationDialect",
                           "memref::MemRefDialect", "scf::SCFDialect"];
}

#endif // ATTN_CONVERSION_PASSES_TD
