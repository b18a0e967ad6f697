//===- Tiling.h - blocks and tiles of a kernel ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of a block share packed keys; tiles of rows and keys are what pointwise
// stages work on. Without collectives a target's own numbers serve. A
// collective reads tiles of its region, for a mixture those of all heads: then
// a block is one tile, as large as lets these stay in the second-level cache,
// and the tile with the widest halo ends where a panel of keys does.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_TILING_H
#define ATTN_LIB_TARGET_CPU_TILING_H

#include "StreamAnalysis.h"
#include "attn/Support/Emit.h"

namespace mlir::attn::cpu {

struct Tiling {
  int64_t blockRows, tileRows, tileKeys;
  /// Rows of the microkernel, and vectors of keys that it contracts at once.
  int64_t kernelRows, keyVectors;
  /// Heads that a block works on: 1, or all of the stream.
  int64_t heads = 1;
  /// An item of the parallel loop has `step` rows. A block is as many
  /// consecutive items as were handed out together, up to `blockRows`: few
  /// threads then pack keys less often, many find enough items.
  int64_t step = 0;
  /// `period` rows, where not 0, share their lists, and no block reaches beyond
  /// them: they are cut into `parts` items.
  int64_t period = 0, parts = 1;

  static Tiling choose(StreamOp stream, StreamAnalysis &analysis,
                       const TargetInfo &target);

  /// Most items of a block.
  int64_t getItemsTogether() const { return period ? 1 : blockRows / step; }
  /// Rows of an item where some must not be separated, because they share the
  /// bins of a tally: as many such blocks as fill an item. Null elsewhere.
  /// `operands` are those of the stream.
  Value getItemRows(Emit &e, const StreamAnalysis &analysis,
                    ValueRange operands) const;
  /// The number of items of `rows` rows, where `itemRows` is that value.
  Value countItems(Emit &e, Value rows, Value itemRows) const;
  /// The first row and the number of rows of `count` items.
  std::pair<Value, Value> getBlock(Emit &e, Value item, Value count,
                                   Value rows) const;
  /// The item that a row belongs to, where rows share their lists.
  Value getBlockOf(Emit &e, Value row) const;

private:
  void fitFewKeys(StreamOp stream, StreamAnalysis &analysis,
                  const TargetInfo &target);
  void cutIntoItems(int64_t rowPeriod, int64_t itemRows);
};

/// Columns of the tile on which the region of `plan` is evaluated, where that
/// of the sweep has `columns`.
int64_t getInsideColumns(const CollectivePlan &plan, int64_t columns,
                         int64_t lanes);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_TILING_H
