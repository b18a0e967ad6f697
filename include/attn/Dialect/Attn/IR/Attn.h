//===- Attn.h - the attn dialect --------------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything one includes to use the dialect: types, attributes, operations.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTN_H
#define ATTN_DIALECT_ATTN_IR_ATTN_H

#include "attn/Dialect/Attn/IR/RequiredOperands.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::attn {

/// What is known of one axis of a score matrix. Null where nothing was said;
/// then position = index, length = extent.
struct AxisInfo {
  Value positions; // [B|1, H|1, L] integers
  Value offset;    // index, or integers [B|1]
  Value length;    // [B|1, H|1] integers
  Value segments;  // [B|1, L] integers

  bool hasOrigin() const { return positions || offset; }
  bool empty() const { return !positions && !offset && !length && !segments; }
};

/// The values from which a named mask builds its predicate, all of index type
/// (prefix and segments may be null).
struct MaskSite {
  Value queryPosition, keyPosition;
  Value querySegment, keySegment;
  Value prefix;
};

/// The score operands of `op`, each with `isQuery`.
SmallVector<std::pair<Value, bool>> getScoreOperands(Operation *op,
                                                     bool isQuery);

} // namespace mlir::attn

#include "attn/Dialect/Attn/IR/AttnDialect.h.inc"
#include "attn/Dialect/Attn/IR/AttnEnums.h.inc"

#include "attn/Dialect/Attn/IR/AttnAttrInterfaces.h.inc"
#include "attn/Dialect/Attn/IR/AttnInterfaces.h.inc"

#define GET_TYPEDEF_CLASSES
#include "attn/Dialect/Attn/IR/AttnTypes.h.inc"

#define GET_ATTRDEF_CLASSES
#include "attn/Dialect/Attn/IR/AttnAttrs.h.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/AttnOps.h.inc"

namespace mlir::attn {

/// The axis of `scores` as seen by regions of its users: what the ops on the
/// way from the roots attached, nearest first per field; transposes are
/// followed. For an op with several operands the first that knows a field wins.
AxisInfo getAxis(Value scores, bool isQuery);

/// Whether `getAxis` sees all of the expression: no score matrix on the way is
/// an argument of a block or the result of an op of another dialect.
bool hasKnownAxes(Value scores);

/// Checks that every score matrix of `function` is made and used by ops of this
/// dialect; reports the first that is not, with the remedy and with what
/// `explain` has to say of the op.
LogicalResult
verifyResolvedScores(Operation *function,
                     function_ref<std::string(Operation *)> explain = nullptr);

/// The extents [B, H, M, N] of a score matrix.
SmallVector<OpFoldResult> getScoresShape(OpBuilder &builder, Value scores);

/// Number of index arguments that entry regions have after the elements:
/// b, h, i, j, pi, pj.
constexpr unsigned kNumEntryIndices = 6;

/// The accumulation type of contractions on `elementType`: f64 for f64, i32 for
/// i8, else f32.
Type getAccumulationType(Type elementType);

/// `value`, a scalar or a vector, with the floating-point element type `type`.
Value convertFloat(OpBuilder &builder, Location loc, Value value, Type type);

/// `value`, a scalar or a vector, as an operand of a contraction that
/// accumulates in `type`.
Value convertOperand(OpBuilder &builder, Location loc, Value value, Type type);

/// x * y and x + y, of floats or of integers.
Value createProduct(OpBuilder &builder, Location loc, Value x, Value y);
Value createSum(OpBuilder &builder, Location loc, Value x, Value y);

/// What an absent entry becomes.
Value createFillValue(OpBuilder &builder, Location loc, FillOp op);

/// 0 of `type`: a float or an integer, or a vector of them.
Value createZero(OpBuilder &builder, Location loc, Type type);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_ATTN_H
