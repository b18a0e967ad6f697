//===- AxisVerifier.h - checks shared by ops with axis operands -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_IR_AXISVERIFIER_H
#define ATTN_LIB_DIALECT_ATTN_IR_AXISVERIFIER_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// Checks the shapes of what one axis carries against `scores`, whose extent
/// `extentDim` is that of the axis; messages start with `label`.
LogicalResult verifyAxis(Operation *op, const AxisInfo &axis, StringRef name,
                         ScoresType scores, unsigned extentDim,
                         StringRef label);

/// Whether two static extents differ.
bool differ(int64_t a, int64_t b);

/// Checks that `map` (which may be null) has shape [extent].
LogicalResult verifyMap(Operation *op, Value map, StringRef name,
                        int64_t extent, StringRef label);

/// The batch of an op that contracts `query` with `key`, read through
/// `batchMap` where there is one: that of the query, unless it is 1.
int64_t getProductBatch(Value query, Value key, Value batchMap);
OpFoldResult reifyProductBatch(OpBuilder &builder, Location loc, Value query,
                               Value key, Value batchMap);

/// Checks that rows of i8, and only those, are contracted to an i32.
LogicalResult verifyContractionType(Operation *op, Value lhs, Value rhs,
                                    StringRef label);

/// `(%x: f32) at (%b, %h, %i, %j) { ... }`: a region on entries.
ParseResult parseEntryRegion(OpAsmParser &parser, Region &region);
void printEntryRegion(OpAsmPrinter &printer, Operation *op, Region &region);

/// Checks the block arguments of an entry region: `elements`, then six indices.
LogicalResult verifyEntryRegion(Operation *op, Region &region,
                                TypeRange elements, TypeRange yields,
                                StringRef argLabel, StringRef yieldLabel);

/// Checks that every op of the region may run on absent entries.
LogicalResult verifySpeculatable(Operation *op, Region &region,
                                 StringRef label);

/// Both axes of an op with the shared axis operands.
template <typename OpTy> LogicalResult verifyAxes(OpTy op, StringRef label) {
  auto type = cast<ScoresType>(op.getResult().getType());
  if (failed(verifyAxis(op, op.getAxisInfo(true), "query", type,
                        ScoresType::Queries, label))) {
    return failure();
  }
  return verifyAxis(op, op.getAxisInfo(false), "key", type, ScoresType::Keys,
                    label);
}

template <typename OpTy> AxisInfo axisInfoOf(OpTy op, bool isQuery) {
  if (isQuery) {
    return {op.getQueryPositions(), op.getQueryOffset(), op.getQueryLength(),
            op.getQuerySegments()};
  }
  return {op.getKeyPositions(), op.getKeyOffset(), op.getKeyLength(),
          op.getKeySegments()};
}

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_IR_AXISVERIFIER_H
