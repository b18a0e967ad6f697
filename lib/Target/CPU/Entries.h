//===- Entries.h - W keys of a row at once ----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pointwise program of a sweep on 1-D vectors over the keys:
//
//   %f = arith.mulf %s, %scale : f32
//   %p = arith.cmpi sle, %j, %i : index
//   ->
//   %f = arith.mulf %S[%r, %c], splat(%scale) : vector<16xf32>
//   %p = arith.cmpi sle, iota, splat(clamp(%i - %j0)) : vector<16xi32>
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_ENTRIES_H
#define ATTN_LIB_TARGET_CPU_ENTRIES_H

#include "Microkernel.h"

namespace mlir::attn::cpu {

/// Absent coefficients of outer carries, where a row that must not be touched
/// is not finite: a NaN that arithmetic does not make, in 16, 32 and 64 bits.
constexpr int64_t kMarkerBits = 0x7FF9A5A57FEB7FEB;

/// A tile of rows and keys on which a sweep's stages run.
struct Tile {
  TilePlan &plan;
  /// Buffers [rows][keys] by contraction, collective, filled or saved value;
  /// [heads][keys] by value joined over rows.
  DenseMap<Value, Value> &buffers;
  Value firstKey;             // key index of column 0
  Value upper;                // end of the sweep's keys
  Value firstRow, rows;       // in the arrays of the block
  Value packedRow;            // in the packed rows of contractions
  Value firstColumn, columns; // columns [firstColumn, columns) are computed
  Value globalRow;            // first row in the stream
  Value fill = {};            // what outer carries see of absent entries
  /// Around a stencil: the extent of rows, outside of which a tile may reach;
  /// its keys may lie before 0.
  Value rowExtent = {};
  bool halo = false;
  /// The key of each column, at least `upper` beyond the last one; null where
  /// columns are consecutive keys.
  Value table = {};
  /// The keys of a vector of columns are not consecutive.
  bool scattered = false;
  /// Where heads are worked on in turn: the place of the next one, and how much
  /// further its keys are.
  Scope *next = nullptr;
  Value nextKeys = {};
  /// The first packed row of the head, where those of all heads are kept.
  Value headRow = {};
  unsigned stage = 0;
  /// Set where only the columns within the bounds of the sweep are computed,
  /// for as many rows at a time as the microkernel has.
  Region *bounds = nullptr;
  /// Set where there are gaps in that: for each of these groups of rows, the
  /// number of pieces and the columns where each starts and ends.
  Value pieces = {};
  /// All entries are present, and all columns are keys.
  bool full = false;
  /// The same of the columns that are looked at, in a tile that is not full.
  bool dense = false;

  bool isWhole() const { return full || dense; }

  /// The key of column `c`, which has one.
  Value keyAt(Emit &e, Value c) const {
    return table ? e.load(table, c) : e.add(firstKey, c);
  }
  KeyRange getKeys() const {
    return {plan.keyArg, firstKey, columns, upper, halo, table};
  }
  RowRange getRows() const { return {plan.rowArg, globalRow, rows, rowExtent}; }
};

/// W keys, all of them in range, whose quotients are the same: pixels of one
/// row of an image. The row is a scalar there, and pixels count up by one.
struct PixelRun {
  /// Quotients and remainders by constants of key + something.
  SmallVector<Operation *> divisions;
  /// Dividend and divisor to quotient.
  DenseMap<std::pair<Value, int64_t>, Value> quotients;
};

/// What a division divides, and by which constant; null if `op` is none.
std::pair<Value, int64_t> getDivision(Operation *op);

/// Rows, keys, heads and batches of entries in a run are below this, and their
/// sums fit 32 bits.
constexpr int64_t kRunPositions = int64_t{1} << 30;

class Entries {
public:
  /// Columns [column, column + W) of tile row `tileRow`.
  Entries(Scope &row, Tile &tile, Value tileRow, Value column);
  /// The same, known to be in a run; with `absent`, no entry is present.
  Entries(Scope &row, Tile &tile, Value tileRow, Value column,
          const PixelRun &run, bool absent = false);
  Value get(Value value);
  /// The entries present under `cond` (may be null); null if all are.
  Value getPresence(Value cond);
  /// Whether any entry can be present under `cond`, as far as what is the same
  /// for all of them tells; null if it tells nothing.
  Value getCommonPresence(Value cond);
  /// Columns, and what the row's own place evaluates.
  Value getColumn() const { return column; }
  Value getTileRow() const { return tileRow; }
  /// The row of a tile of joined values that belongs to the head of this row.
  Value getJoinedRow();
  Tile &getTile() { return tile; }
  Scope &getScope() { return scope; }
  Emit &builder() { return scope.kernel.e; }
  int64_t getLanes() const { return scope.kernel.lanes; }
  VectorType getVectorType(Type element) const {
    return VectorType::get({getLanes()}, element);
  }
  /// 0, 1, 2, ... as i32.
  Value getIota();

private:
  Value compute(Value value);
  /// Whether `value` differs between these keys.
  bool isKey(Value value);
  Value load(AtOp op);
  Value gather(AtOp op);
  /// From a short row of a table, which a register holds; or null.
  Value permute(AtOp op);
  Value compare(arith::CmpIOp op);
  /// The quotient or remainder that `op` asks for, where there is a way that
  /// does not go lane by lane (IndexDivision.cpp); or null.
  Value divide(Operation *op);
  /// Products with several constants as one; or null.
  Value scale(Operation *op);
  /// An index as i32, in a run, if bounds say that it fits; or null
  /// (IndexDivision.cpp).
  Value getNarrow(Value value);
  Value emitLaneBase(Value value, Value first);
  Value getOffsets();
  Value getLimit(Value base, Value value);
  Value getKeys();
  Value loadTable();

  Scope scope;
  Tile &tile;
  Value tileRow, column;
  Value firstKey; // key index of lane 0
  Value origin;   // that from which keys of a tile are counted in lanes
  Value inside;   // lanes that are keys, in partial tiles
  const PixelRun *run = nullptr;
  bool absent = false;
  DenseMap<Value, Value> known, narrow;
  DenseMap<Value, bool> keys;
};

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_ENTRIES_H
