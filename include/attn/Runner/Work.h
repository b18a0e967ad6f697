//===- Work.h - how much a plan computes ------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_WORK_H
#define ATTN_RUNNER_WORK_H

#include "attn/Runner/Arguments.h"

namespace mlir::attn {

/// The contractions of a plan on given operands.
struct Work {
  /// Two per multiplication and addition of a contraction; what is done once
  /// per entry (exponentials and the like) is not counted.
  double flops = 0.0;
  /// Entries of all sweeps, and those of them that a tile of one entry would
  /// have to visit.
  double entries = 0.0;
  double visited = 0.0;
  /// Whether contractions accumulate in f64.
  bool isF64 = false;
};

/// Counts the work of the streams of a function after `attn-plan`; nothing if
/// an extent cannot be told from the operands. The share of entries that masks
/// leave is sampled, everything else is exact.
std::optional<Work> countWork(func::FuncOp plan, ArrayRef<Array> inputs);

/// What a sweep visits, tile by tile, for one batch element and head.
struct TileMap {
  enum Tile : uint8_t { Empty, Partial, Full };
  /// Of the function.
  unsigned stream = 0, sweep = 0;
  int64_t rows = 0, keys = 0;
  /// Row by row; a tile may be smaller at the ends.
  std::vector<uint8_t> tiles;
};

/// A map of every sweep of a plan, in tiles of `block` rows and keys; nothing
/// if an extent cannot be told from the operands. Conditions that only the
/// program can answer count as partial tiles.
std::optional<std::vector<TileMap>>
mapTiles(func::FuncOp plan, ArrayRef<Array> inputs, int64_t block);

} // namespace mlir::attn

#endif // ATTN_RUNNER_WORK_H
