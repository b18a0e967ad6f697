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
