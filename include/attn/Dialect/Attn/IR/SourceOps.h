//===- SourceOps.h - scores from several sources ----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Concatenations, private keys, products of virtual matrices, and states.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_SOURCEOPS_H
#define ATTN_DIALECT_ATTN_IR_SOURCEOPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/SourceOps.h.inc"

namespace mlir::attn {

/// The number of keys of each segment.
SmallVector<OpFoldResult> getSegmentExtents(OpBuilder &builder, ConcatOp op);

/// The number of keys of each value of an aggregate: those of the segments that
/// it weighs, where it does, else the rows of the values.
SmallVector<OpFoldResult> getSegmentExtents(OpBuilder &builder, AggregateOp op);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_SOURCEOPS_H
