//===- Microkernel.h - packed panels and their product ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both contractions of attention, scores = Q K^T and rows += P V, are sums of
// outer products: a column of A, broadcast, times a row of B. B is packed so
// that its rows are contiguous:
//
//   K tile  [keys / panel][features][panel]     V tile  [keys][features]
//
//   A (6 rows)          B (row of 4 vectors)
//   a0 |   ->  broadcast a0 * [ b0 b1 b2 b3 ]   24 accumulators, carried by
//   a1 |   ->  broadcast a1 * [ b0 b1 b2 b3 ]   the loop over the contracted
//   ..                                          index: never in memory
//
// With bf16 pairs the contracted index counts pairs, and A and B hold two
// neighbours in each 32-bit lane; with quads of i8, four.
//
// Integers without an instruction for quads are multiplied as f32, which holds
// 2^10 products of i8 exactly: longer sums are cut and joined as i32.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_MICROKERNEL_H
#define ATTN_LIB_TARGET_CPU_MICROKERNEL_H

#include "Scope.h"

namespace mlir::attn::cpu {

/// The products of i8 whose sum an f32 holds: 2^24 / 2^7 / 2^7.
constexpr int64_t kExactTerms = 1024;

/// out[rows of the group, columns] (+)= sum over depth of a * b.
struct Product {
  Value a;          // [rows][depth], of the accumulation type, or i32 lanes
  Value aRow;       // first of kernelRows rows
  Value begin, end; // the contracted index
  Value out;        // [rows][columns]
  Value outRow, outColumn;
  int64_t vectors; // columns, in vectors
  bool accumulate;
  llvm::function_ref<Value(Value, int64_t)> loadB; // (depth, vector)
  /// The sums of a row start with a[row][end].
  bool startsWithLast = false;
};

void emitProduct(KernelState &kernel, const Product &product);

/// acc + a * b, where lanes of a and b are floats, or pairs of bf16 in i32, or
/// quads of i8 in i32: those of b are unsigned.
Value multiplyAdd(Emit &e, Value a, Value b, Value acc);

/// A buffer seen as rows of numbers, and of 32-bit lanes where these are pairs
/// of bf16 or quads of i8.
struct Packed {
  Value floats, pairs;
  explicit operator bool() const { return static_cast<bool>(floats); }
  Value operand() const { return pairs ? pairs : floats; }
};

/// Keys of a tile that `packKeys` and `packRows` read.
struct KeyRange {
  Value keyArg;         // the sweep's key
  Value first, columns; // columns of the tile, a multiple of W
  Value upper;          // keys end here; columns beyond repeat the last one
  bool halo = false;    // columns before key 0 repeat the first one
  Value table = {};     // the key of each column; null for consecutive ones
  Value begin = {};     // columns before it, whole panels, are not looked at

  Value getBegin(Emit &e) const { return begin ? begin : e.index(0); }
  /// The key of column `c`, held to the range.
  Value at(Emit &e, Value c) const;
  /// Gives `place` the key of column `c`, which may be one of the next tile.
  void bindAhead(Scope &place, Value c) const;
};

/// Rows of a block or tile that `packStationary` reads.
struct RowRange {
  Value rowArg;      // the row of the contraction's index
  Value first, rows; // rows [first, first + rows)
  Value extent;      // where set, rows are held to [0, extent)

  /// Row `r` of the range.
  Value at(Emit &e, Value r) const;
  /// Gives `place` that row.
  void bind(Scope &place, Value r) const;
};

/// Transposes each block of as many lanes as there are vectors; with as many
/// vectors as lanes, the whole.
void transpose(Emit &e, MutableArrayRef<Value> rows);

/// Rows of a range, converted: out[firstRow + r][d].
void packStationary(Scope &block, const Contraction &contraction, RowRange rows,
                    Packed out, Value firstRow);
/// Keys transposed: out[c / panel][d][c % panel], through staging[W][D'], or
/// from the rows of an outer carry that are the same.
void packKeys(Scope &tile, const Contraction &contraction, KeyRange keys,
              Packed staging, Packed sameRows, Value out);
/// Whether a contraction streams the rows that `packRows` packs as floats.
bool streamsRow(const Contraction &contraction, Value row);
/// Rows of an outer carry: out[c][d], or pairs of keys out[c / 2][d].
void packRows(Scope &tile, Value row, KeyRange keys, Packed out);
/// The cache that lines are brought to.
enum class Cache : unsigned { Second = 2, First = 3 };
constexpr int64_t kLineBits = 512;
/// Asks for the rows of `sources` at columns [first, first + count), ahead of
/// the tile that packs them.
void prefetchRows(Scope &tile, ArrayRef<RowOf> sources, KeyRange keys,
                  Value first, int64_t count);
/// The same of one key, that of `place`, and only the lines of `share` of
/// `shares`: memory answers a core a few requests at a time, and more of them
/// at once would hold up its loads.
void prefetchLines(Scope &place, ArrayRef<RowOf> sources, Value share,
                   int64_t shares, Cache cache);
/// The line that holds feature d.
void prefetchLine(Scope &place, const RowOf &row, Value d, Cache cache);
/// The bytes of a row of the source, at least one.
int64_t getRowBytes(const RowOf &row);
/// The rows in memory from which `row` is computed.
SmallVector<RowOf> getSourceRows(const RowOf &row);
/// Whether the packed rows hold an infinity or a NaN.
Value findNonFinite(KernelState &kernel, KeyRange keys, Packed rows);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_MICROKERNEL_H
