//===- StreamUtils.h - helpers of passes on streams -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STREAMUTILS_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STREAMUTILS_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// A carry without action. `value`, `row` and `cond` may be null.
CarryOp createCarry(OpBuilder &builder, Location loc, CarryKind kind, Type type,
                    Value value, Value row, Value cond);

/// Recreates a sweep with the result types that its yield has.
SweepOp addSweepResults(SweepOp sweep);

/// Moves pure ops of the body that do not depend on the key before the sweep.
void hoistUniform(SweepOp sweep);

/// Removes results without uses and the carries that nothing needs.
SweepOp pruneSweep(SweepOp sweep);

/// Erases unused pure ops between the sweeps of a stream.
void eraseDeadRowOps(StreamOp stream);

/// What a carry gives where nothing was present.
Value emptyValue(OpBuilder &builder, Location loc, CarryOp carry);

/// Removes ops whose results nothing uses, the last first.
void eraseDeadOps(Block &block);

/// Removes inputs that the body does not read.
void dropUnusedInputs(StreamOp stream);

/// Whether two extents are known to be equal: one value, equal constants, or
/// the same dimension of the same tensor, dimensions of function arguments that
/// carry one name in `attn.dims`, or sums of equal ones.
bool sameExtent(OpFoldResult a, OpFoldResult b);

/// The sum of two extents.
OpFoldResult addExtents(OpBuilder &builder, Location loc, OpFoldResult a,
                        OpFoldResult b);

/// The argument for an extent; one that is known to be equal is shared, so that
/// equal indices stay equal inside of the stream.
Value addExtent(StreamOp stream, Value extent);

/// Whether `value` is defined outside of the sweep.
bool isUniform(Value value, SweepOp sweep);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STREAMUTILS_H
