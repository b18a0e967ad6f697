//===- AttnInterfaces.td - what passes ask of score ops ----*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTNINTERFACES_TD
#define ATTN_DIALECT_ATTN_IR_ATTNINTERFACES_TD

include "mlir/IR/OpBase.td"

def Attn_ScoresOpInterface : OpInterface<"ScoresOpInterface"> {
  let cppNamespace = "::mlir::attn";
  let description = [{
    An operation with one `!attn.scores` result. `reifyScoresShape` gives the
    four extents as values or attributes, inserting `tensor.dim` where needed.
  }];
  let methods = [
    InterfaceMethod<"The extents [B, H, M, N] of the result.",
      "::llvm::SmallVector<::mlir::OpFoldResult>", "reifyScoresShape",
      (ins "::mlir::OpBuilder &":$builder)>,
    InterfaceMethod<[{
      The score operands from which an axis of the result is taken as it is,
      with its indices, and which axis of theirs it is (true for queries). By
      default both axes are those of every operand.
    }], "::llvm::SmallVector<std::pair<::mlir::Value, bool>>", "getAxisSources",
      (ins "bool":$isQuery), "", [{
        return ::mlir::attn::getScoreOperands($_op, isQuery);
      }]>
  ];
}

def Attn_AxisOpInterface : OpInterface<"AxisOpInterface"> {
  let cppNamespace = "::mlir::attn";
  let description = [{
    An operation that may attach positions, an offset, a length and segments to
    the query and key axes of its result. Accessors take `isQuery`.
  }];
  let methods = [
    InterfaceMethod<"What this op attaches to one axis (null where nothing).",
      "::mlir::attn::AxisInfo", "getAxisInfo", (ins "bool":$isQuery)>
  ];
}

def Attn_ReducerOpInterface : OpInterface<"ReducerOpInterface"> {
  let cppNamespace = "::mlir::attn";
  let description = [{
    An operation in the body of a sweep that accumulates over the keys: its
    results are known when the sweep (for a gauge, the tile) has been seen.
  }];
  let methods = [
    InterfaceMethod<"The presence condition; null for always.",
      "::mlir::Value", "getCond", (ins)>
  ];
}

#endif // ATTN_DIALECT_ATTN_IR_ATTNINTERFACES_TD
