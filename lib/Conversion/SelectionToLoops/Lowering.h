//===- Lowering.h - one selection op as loops over buffers ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every selection op is a program per row: independent stretches along one or a
// few dimensions. This class has what the ops share, buffers and the loop over
// rows; the lower functions write what happens in a row.
//
//   scf.parallel (%item) = 0 to ceil(rows / chunk) {
//     %scratch = memref.alloc(...)
//     scf.for %row = %item * chunk to min(rows, (%item + 1) * chunk) {
//       ... one row ...
//     }
//   }
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_SELECTIONTOLOOPS_LOWERING_H
#define ATTN_LIB_CONVERSION_SELECTIONTOLOOPS_LOWERING_H

#include "attn/Dialect/Attn/IR/SelectionOps.h"
#include "attn/Support/Emit.h"

namespace mlir::attn::selection {

/// A buffer that one row after the other uses.
struct Scratch {
  Type element;
  SmallVector<Value> extents;
};

class Lowering : public Emit {
public:
  explicit Lowering(Operation *op)
      : Emit(op->getLoc(), op), op(op), buffers(op->getNumResults()) {}

  /// The contents of an operand.
  Value read(Value tensor);
  Value extent(Value tensor, int64_t dim);
  SmallVector<Value> extents(Value tensor);
  /// A fresh buffer for a result, of its element type or another.
  Value allocate(OpResult result, Type element = {});
  Value allocate(OpResult result, ValueRange extents, Type element = {});
  /// Replaces the op by the contents of the buffers of its results.
  void finish();

  /// Calls `body(indices, scratch)` for every row of the index space
  /// `extents`, in parallel. `work` is about the number of elements touched for
  /// one row; rows with little work are done several at a time.
  void forEachRow(ValueRange extents, Value work, ArrayRef<Scratch> scratch,
                  llvm::function_ref<void(ValueRange, ValueRange)> body);

  /// Nested loops over an index space.
  void forEach(ValueRange extents, llvm::function_ref<void(ValueRange)> body);
  /// The indices of element `linear` of an index space, in row-major order.
  SmallVector<Value> delinearize(Value linear, ValueRange extents);
  Value product(ValueRange values);

  /// An integer of any width, as index.
  Value toIndex(Value integer);
  /// An index as i64.
  Value toI64(Value index) {
    return arith::IndexCastOp::create(*this, getI64Type(), index);
  }
  /// Whether 0 <= index < extent.
  Value inside(Value index, Value extent) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, index,
                                 extent);
  }
  Value zero(Type element) { return constant(element, 0); }

private:
  Operation *op;
  SmallVector<Value> buffers;
};

/// `values` with `value` at `position`.
SmallVector<Value> insertAt(ValueRange values, int64_t position, Value value);
/// `values` without `count` of them from `position` on.
SmallVector<Value> dropAt(ValueRange values, int64_t position,
                          int64_t count = 1);

/// The integer type and value by which elements are ordered: floats by value, 0
/// equal to -0, NaN the largest; in reverse if `descending`.
Type getKeyType(Type element);
Value emitKey(Emit &e, Value element, bool descending);

/// Sorts the first `count` of parallel arrays by the first one, ascending and
/// stable. Arrays are memref<2x?>; the result says in which half they end up.
Value emitMergeSort(Lowering &e, ValueRange arrays, Value count);

void lower(SelectTopKOp op);
void lower(ArgSortOp op);
void lower(SearchSortedOp op);
void lower(PrefixOp op);
void lower(CompactOp op);
void lower(GatherOp op);
void lower(ScatterReduceOp op);
void lower(SolveOp op);
void lower(CholeskyOp op);
void lower(QROp op);

} // namespace mlir::attn::selection

#endif // ATTN_LIB_CONVERSION_SELECTIONTOLOOPS_LOWERING_H
