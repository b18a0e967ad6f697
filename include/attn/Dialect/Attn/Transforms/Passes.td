//===- Passes.td - passes of the attn dialect --------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_TRANSFORMS_PASSES_TD
#define ATTN_DIALECT_ATTN_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ResolveStatesPass : Pass<"attn-resolve-states", "ModuleOp"> {
  let summary = "turn states into programs over all of their keys";
  let description = [{
    An `attn.finish` becomes the program of its states, run over the
    concatenation of their scores and values; `attn.state_from` takes part as
    one key per query. Reports states that are carried by a loop or passed
    between functions, and merges of different programs. No states are left.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "tensor::TensorDialect"];
}

def ResolveScoresPass : Pass<"attn-resolve-scores", "ModuleOp"> {
  let summary = "confine score matrices to one block, or say why not";
  let description = [{
    Inlines private callees that take or return scores, turns an
    `arith.select` of two score matrices under one condition into a map and a
    mask, and unrolls small static `scf.for` loops that carry scores. What is
    left outside of one block is reported once per function, with the remedy:
    carry row and column tensors, or ask for the matrix with
    `attn.materialize`.
  }];
  let options = [
    Option<"maxUnrolledIterations", "max-unrolled-iterations", "int64_t", "16",
           "Largest trip count of a loop carrying scores that is unrolled">
  ];
  let dependentDialects = ["attn::AttnDialect", "scf::SCFDialect"];
}

def DesugarPass : Pass<"attn-desugar", "func::FuncOp"> {
  let summary = "write softmax, named masks and composed reductions out";
  let description = [{
    * A named mask becomes a region on positions (and captured segments).
    * `attn.softmax` becomes a maximum, an exponential (base 2), a sum and a
      map that divides; the maximum takes part as `attn.guard`.
    * `lse`, `entropy` and `moments` become reductions by the primitive kinds
      and elementwise `linalg.generic` ops on row (or column) tensors.

    After this pass only score, score_with, lane, bias, with_axes, map, region
    masks, fill, transpose, concat, matmul, reduce (sum, max, min, mean, count, any, argmax, argmin,
    custom), aggregate and materialize are left.
  }];
  let dependentDialects = ["attn::AttnDialect", "linalg::LinalgDialect",
                           "tensor::TensorDialect", "math::MathDialect"];
}

def ExpandStoragePass : Pass<"attn-expand-storage", "func::FuncOp"> {
  let summary = "write pages, codes and rotations out as views";
  let description = [{
    `attn.paged`, `attn.dequantize`, `attn.rope` and `attn.hadamard` become
    `attn.view`, row arithmetic that a stream evaluates on load; the angles of a
    `rope` with positions are tabulated. `attn.quantize` becomes elementwise
    `linalg.generic` ops.
  }];
  let dependentDialects = ["attn::AttnDialect", "linalg::LinalgDialect",
                           "tensor::TensorDialect", "math::MathDialect",
                           "scf::SCFDialect", "vector::VectorDialect"];
}

def StoreViewsPass : Pass<"attn-store-views", "func::FuncOp"> {
  let summary = "store the views that something else than a stream reads";
  let description = [{
    A view of rows becomes a stream without sweeps, a view of elements a
    `linalg.generic`. Their sizes replace `tensor.dim`.
  }];
  let dependentDialects = ["attn::AttnDialect", "linalg::LinalgDialect",
                           "tensor::TensorDialect"];
}

def FormStreamsPass : Pass<"attn-form-streams", "func::FuncOp"> {
  let summary = "turn reductions and aggregates into naive streams";
  let description = [{
    Every reduction and aggregate becomes a sweep of a stream whose body
    evaluates the flattened expression; reductions over the same axis that
    depend on each other only through rows share a stream, one sweep per level.
    Elementwise `linalg.generic` ops on row tensors between them become row
    arithmetic. No scores are left.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "math::MathDialect", "tensor::TensorDialect",
                           "vector::VectorDialect"];
}

def ResidentAxesPass : Pass<"attn-resident-axes", "func::FuncOp"> {
  let summary = "reductions over a short static axis become pointwise work";
  let description = [{
    A stream that reduces over an axis of a few static entries stores tensors
    along the other one. A stream whose rows are that short axis, and that reads
    them at its keys, holds all rows in one block: it computes them itself, by
    `attn.across`, and the first stream goes away. A remark names what was made
    resident, and why a stream of such an axis stays: then its tensors are
    stored, for all who read them.
  }];
  let options = [
    Option<"maxRows", "max-rows", "int64_t", "16",
           "Longest axis that is made resident; 0 for none">
  ];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect"];
}

def FuseSweepsPass : Pass<"attn-fuse-sweeps", "func::FuncOp"> {
  let summary = "derive online forms: fuse the sweeps of a stream";
  let description = [{
    Types every value of a sweep by how it moves when a running maximum or mean
    moves, and fuses a sweep with the earlier one whose results it uses when
    every carry has a derived action. Factors of finished sums are applied
    after the sweep. A remark explains each sweep that stays.
  }];
  let options = [
    Option<"maxTerms", "max-terms", "int64_t", "4",
           "Largest number of terms into which one carry is split">,
    Option<"maxRecomputeFactor", "max-recompute-factor", "int64_t", "4",
           "Refuse streams that visit their scores more often than this; 0 "
           "for no limit">
  ];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "math::MathDialect", "vector::VectorDialect"];
}

def ShareStreamsPass : Pass<"attn-share-streams", "func::FuncOp"> {
  let summary = "merge streams over the same space into one kernel";
  let dependentDialects = ["attn::AttnDialect"];
}

def SplitSegmentsPass : Pass<"attn-split-segments", "func::FuncOp"> {
  let summary = "cut sweeps and streams at the boundaries of concatenations";
  let description = [{
    A sweep over joined keys asks of every key which segment it is in
    (`attn.before`). This pass cuts it there: one sweep per segment, in which
    the answer is known, whose accumulators are merged by their actions. A
    stream whose rows are the joined keys becomes one stream per segment. No
    `attn.before` is left.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "math::MathDialect", "tensor::TensorDialect",
                           "vector::VectorDialect"];
}

def FoldSingleKeysPass : Pass<"attn-fold-single-keys", "func::FuncOp"> {
  let summary = "turn sweeps over a single key into arithmetic of their rows";
  let description = [{
    An imported state (`attn.state_from`) is a segment of one key. What a sweep
    over it accumulates is its only entry, or the neutral element where that is
    absent: arithmetic of the row, which needs no tiles. Sweeps that contract
    rows stay.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "vector::VectorDialect"];
}

def AnalyzeMasksPass : Pass<"attn-analyze-masks", "func::FuncOp"> {
  let summary = "find empty and full tiles by interval analysis";
  let description = [{
    Evaluates the presence conditions of each sweep on intervals of rows and
    keys, and records the result as code: the `tiles` region (may anything be
    present, is everything present) and the `bounds` region (a range of keys).
    Nothing is stored; captured integer vectors enter by their minima and
    maxima over a tile.
  }];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect"];
}

def SplitKeysPass : Pass<"attn-split-keys", "func::FuncOp"> {
  let summary = "split the streamed axis of streams with few rows";
  let description = [{
    A stream with one fused sweep becomes a stream of unnormalised carries over
    disjoint ranges of keys and a second one that merges them, by the action of
    each carry.
  }];
  let options = [
    Option<"splits", "splits", "int64_t", "0",
           "Number of ranges; 0 leaves every stream as it is">,
    Option<"mostRows", "most-rows", "int64_t", "0",
           "Split only streams known to have so many rows at most; 0 for all">
  ];
  let dependentDialects = ["attn::AttnDialect", "arith::ArithDialect",
                           "math::MathDialect", "tensor::TensorDialect"];
}

def PrintPlanPass : Pass<"attn-print-plan"> {
  let summary = "print streams, sweeps and relative work";
}

def PlantFaultPass : Pass<"attn-plant-fault", "func::FuncOp"> {
  let summary = "damage a plan in one place, to test what tests it";
  let description = [{
    Makes one of the mistakes that kernels of attention make, in the first place
    that has room for it:

    | kind | mistake |
    | --- | --- |
    | `rescale` | a carry does not move with its running maximum |
    | `bound` | the range of keys that a mask leaves ends one key early |
    | `tail` | keys beyond the last multiple of 16 are not visited |
    | `head` | the last head is not computed |

    The result may not verify. For tests only; no pipeline runs it unasked.
  }];
  let options = [
    Option<"kind", "kind", "std::string", "\"\"",
           "The mistake: rescale, bound, tail or head">
  ];
  let dependentDialects = ["arith::ArithDialect"];
}

#endif // ATTN_DIALECT_ATTN_TRANSFORMS_PASSES_TD
