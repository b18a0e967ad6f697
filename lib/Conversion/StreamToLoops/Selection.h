//===- Selection.h - top-k and bins, one key at a time ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The accumulators of ListOps.td as scalar loops, and the test for a list.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_STREAMTOLOOPS_SELECTION_H
#define ATTN_LIB_CONVERSION_STREAMTOLOOPS_SELECTION_H

#include "StreamToLoops.h"
#include "attn/Dialect/Attn/IR/ListOps.h"

namespace mlir::attn::loops {

/// What a bin without entries holds.
Value getNeutral(OpBuilder &builder, BinsOp op);

/// The buffers of `op`, attn.top or attn.bins, ready for the first key; those
/// of a tally are outputs of the stream.
SmallVector<Value> startSelection(OpBuilder &builder, Operation *op);

/// Takes in one key. Loop values are the number of entries and how many of
/// them were forced.
SmallVector<Value> updateTop(OpBuilder &builder, TopOp op, ValueRange buffers,
                             ValueRange before, Value cond, Value key);
void updateBins(OpBuilder &builder, BinsOp op, ValueRange buffers, Value cond);

/// The results of `op` after the last key; something for a tally, which has
/// none.
SmallVector<Value> finishSelection(OpBuilder &builder, Operation *op,
                                   ValueRange buffers, ValueRange finals);

/// The list's elements one by one.
Value expandListed(OpBuilder &builder, ListedOp op);

} // namespace mlir::attn::loops

#endif // ATTN_LIB_CONVERSION_STREAMTOLOOPS_SELECTION_H
