//===- Sweep.h - the buffers of one sweep -----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What Sweep.cpp allocates and RowTile.cpp fills.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_SWEEP_H
#define ATTN_LIB_TARGET_CPU_SWEEP_H

#include "Kernel.h"

namespace mlir::attn::cpu {

/// What the entries of a tile are computed in.
struct Kernel::TileBuffers {
  /// Tiles of scores, of results of collectives, and of filled and saved
  /// values.
  DenseMap<Value, Value> tiles;
  /// Per contraction: stationary rows, staging of keys, transposed keys.
  SmallVector<Packed> rows, staging;
  SmallVector<Value> keys;
  /// Pairs of few rows, spread for keys that are read where they are; else
  /// null.
  SmallVector<Value> spread;
  /// Arrays of row values.
  SmallVector<Value> arrays;
};

/// The region of a collective on its tile, and the result on that of its user.
/// A mixture has the tiles of its heads below one another, rows apart.
struct Kernel::CollectiveBuffers {
  TileBuffers inside;
  Value operand, result;
  /// A contraction whose tile is that of the operand.
  Operation *inPlace = nullptr;
  int64_t operandRows = 0, resultRows = 0;
  /// Where the heads of a mixture are those of the whole block: for each, the
  /// packed rows of its contractions, and whether they have been packed.
  int64_t packedRows = 0;
  Value packed;
  /// Where some head of a mixture is present, if anyone asks.
  Value any;
  /// Taps [rows][keys], or weights [G][H], in the type of the sums.
  Value weights;
  /// Segments of the rows and keys of the operand's tile.
  Value rowSegments, keySegments;
};

struct Kernel::Sweep {
  explicit Sweep(SweepPlan &plan) : plan(plan) {}

  SweepPlan &plan;
  Value upper; // keys end here, for this block
  Value begin; // the first key that it needs; null where tiles start with it
  ReducerState reducers;
  TileBuffers entries;
  DenseMap<CollectivePlan *, CollectiveBuffers> collectives;
  /// Rows and coefficients of outer carries.
  llvm::MapVector<std::pair<Value, Type>, Packed> values;
  DenseMap<Operation *, Packed> coefficients;
  /// The key of each column, where a tile collects keys from several places.
  Value table;
  /// The pieces of a tile (Tile::pieces), where it may have gaps.
  Value pieces;
  /// Where the sweep begins, if that may be within a unit of its driver.
  Value start;
  /// Whether the packed rows of this tile hold an infinity or a NaN.
  Value nonFinite;
};

/// Whether a coefficient, or each of a vector of them, is not that of an absent
/// entry.
Value isPresent(Emit &e, Value coefficient);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_SWEEP_H
