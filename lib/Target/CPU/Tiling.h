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
  /// Rows of the microkernel.
  int64_t kernelRows;
  /// Heads that a block works on: 1, or all of the stream.
  int64_t heads = 1;
  /// `period` rows, where not 0, share their lists, and no block reaches beyond
  /// them: they are cut into `parts` blocks of `step` rows.
  int64_t period = 0, parts = 1, step = 0;

  static Tiling choose(StreamOp stream, StreamAnalysis &analysis,
                       const TargetInfo &target);

  /// The number of blocks of `rows` rows.
  Value countBlocks(Emit &e, Value rows) const;
  /// The first row and the number of rows of a block.
  std::pair<Value, Value> getBlock(Emit &e, Value block, Value rows) const;
  /// The block that a row belongs to.
  Value getBlockOf(Emit &e, Value row) const;
  /// Rows of an item where `rowBlock` rows at a time must not be separated: as
  /// many such blocks as fill one of the kernel.
  Value getItemRows(Emit &e, Value rowBlock) const;

private:
  void cutAtLists(int64_t period);
};

/// Columns of the tile on which the region of `plan` is evaluated, where that
/// of the sweep has `columns`.
int64_t getInsideColumns(const CollectivePlan &plan, int64_t columns,
                         int64_t lanes);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_TILING_H
