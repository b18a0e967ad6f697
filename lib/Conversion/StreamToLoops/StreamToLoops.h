//===- StreamToLoops.h - parts of the scalar lowering -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the files of this conversion only.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_STREAMTOLOOPS_STREAMTOLOOPS_H
#define ATTN_LIB_CONVERSION_STREAMTOLOOPS_STREAMTOLOOPS_H

#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn::loops {

/// Copies a region to the insertion point and returns what it yields.
SmallVector<Value> cloneRegion(OpBuilder &builder, Region &region,
                               ValueRange args);

/// Replaces a stream on buffers by what one of its rows computes. `enterRow`
/// gives its batch, head and number, and leaves the builder where the row goes;
/// the stream's own operands are in sight there.
void lowerRow(StreamOp stream, bool useBounds,
              function_ref<SmallVector<Value>(OpBuilder &)> enterRow);

/// Replaces attn.across by loops that compute the other rows again.
void expandJoinedRows(StreamOp stream);

/// Replaces attn.at, dot, dot_with, inner, expand, range, listed, guard,
/// stencil and mix under `root` by loads, loops and arithmetic.
void expandRowAccesses(Operation *root);

/// A buffer for one row in the frame of the function that holds `user`.
Value createRowBuffer(Operation *user, VectorType row);

/// Writes a scalar or a row to element or row [indices] of `buffer`.
void storeElementOrRow(OpBuilder &builder, Location loc, Value value,
                       Value buffer, ValueRange indices);

/// Replaces a sweep by an `scf.for` with its carries as loop values.
void lowerSweep(SweepOp sweep, bool useBounds);

/// A floating-point constant, splat over `type` if that is a vector.
Value floatConstant(OpBuilder &builder, Location loc, Type type, double value);

} // namespace mlir::attn::loops

#endif // ATTN_LIB_CONVERSION_STREAMTOLOOPS_STREAMTOLOOPS_H
