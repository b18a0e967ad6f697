//===- RowGroups.h - which reductions share a stream -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A group is the future stream: reductions and aggregates over one streamed
// axis that depend on each other only through values of the same row, and the
// elementwise ops on row tensors between them.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ROWGROUPS_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ROWGROUPS_H

#include "attn/Dialect/Attn/IR/Attn.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::attn {

/// A reduction, selection or aggregate, seen from its root expression.
struct Sink {
  Operation *op;
  Value scores; // operand with leading transposes stripped
  bool
      queriesStay; // whether the stationary axis is that of queries of `scores`
};

/// Describes `op` if it is attn.reduce, attn.topk or attn.aggregate.
std::optional<Sink> getSink(Operation *op);

struct RowGroup {
  Orientation orientation = Orientation::Rows;
  SmallVector<Operation *> members; // sinks and row ops, in program order
  bool contains(Operation *op) const { return llvm::is_contained(members, op); }
  bool contains(Value v) const {
    return v.getDefiningOp() && contains(v.getDefiningOp());
  }
};

/// Whether `op` is elementwise on rows: a parallel linalg.generic whose results
/// are [B, H, L] with identity maps.
bool isRowOp(Operation *op);

/// What the expression of a sink reads: tensors read only at [b, h, row], and
/// everything else.
struct Captures {
  SetVector<Value> rows, others;
};
Captures getCaptures(const Sink &sink);

/// The groups of a block, in program order of their first members.
SmallVector<std::unique_ptr<RowGroup>> formGroups(Block &block);

/// Whether a result of a member is read outside of the group.
bool isNeededOutside(Value result, const RowGroup &group,
                     ArrayRef<std::unique_ptr<RowGroup>> groups);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ROWGROUPS_H
