//===- Desugar.h - building blocks of attn-desugar ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Composed ops are written with three shapes of IR: maps and masks on entries,
// reductions, and elementwise linalg on row (or column) tensors. This header
// builds each of them in one call.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_DESUGAR_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_DESUGAR_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {
class ReduceHeadsOp;

/// Writes the region of one entry: its elements, then b, h, i, j, pi, pj.
using EntryBody =
    function_ref<Value(OpBuilder &, ValueRange elements, ValueRange indices)>;
/// Writes the body of one row: the elements of the row tensors.
using RowBody = function_ref<Value(OpBuilder &, ValueRange elements)>;

/// A few scalar operations on floats of one type.
struct ScalarBuilder {
  OpBuilder &b;
  Location loc;

  Value constant(Type type, double value);
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value mul(Value x, double y);
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  Value exp2(Value x) { return math::Exp2Op::create(b, loc, x); }
  Value log2(Value x) { return math::Log2Op::create(b, loc, x); }
  Value guard(Value x);
  Value isNegInf(Value x);
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, loc, c, x, y);
  }
};

/// Rows (the axis is keys) or columns (the axis is queries) of one score
/// matrix, and what is built on them.
class RowBuilder {
public:
  RowBuilder(OpBuilder &builder, Location loc, Value scores, Axis axis);

  Type element() const { return type.getElementType(); }
  /// The tensor type of one value per row.
  RankedTensorType rowType(Type element) const;

  Value map(ValueRange inputs, EntryBody body);
  Value mask(Value input, EntryBody body);
  Value reduce(ReduceKind kind, Value input);
  /// An elementwise op on row tensors; operands of rank 1 are per head, where
  /// an extent of 1 broadcasts.
  Value row(ValueRange inputs, RowBody body);
  /// The element of row tensor `tensor` inside an entry region.
  Value at(OpBuilder &body, Value tensor, ValueRange indices);

private:
  OpBuilder &builder;
  Location loc;
  ScoresType type;
  Axis axis;
  SmallVector<OpFoldResult> extents; // of a row tensor
};

/// The element of a captured tensor at `indices`; static extents of 1 are read
/// at 0.
Value extractBroadcast(OpBuilder &builder, Location loc, Value tensor,
                       ValueRange indices);

/// Each replaces the op by ops that the rest of the pipeline knows.
void desugarMask(MaskOp op);
void desugarSoftmax(SoftmaxOp op);
void desugarReduce(ReduceOp op);
/// Of a reduction over several axes.
void desugarAxes(ReduceOp op);
void desugarReduceHeads(ReduceHeadsOp op);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_DESUGAR_H
