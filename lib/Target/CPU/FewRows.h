//===- FewRows.h - what products of few rows share --------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is read next is asked for ahead, a few lines at each step of a product:
// a core waits for a limited number of lines, and bursts would hold up the
// loads of the product itself. Pages of a tile are touched together before
// that.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_FEWROWS_H
#define ATTN_LIB_TARGET_CPU_FEWROWS_H

#include "Sweep.h"

namespace mlir::attn::cpu {

/// The rows in memory behind `row` that differ from key to key.
SmallVector<RowOf> getStreamedRows(const KernelState &state, const RowOf &row);

/// How many keys ahead of those in use each cache is asked for: the nearer
/// cache answers sooner and holds less.
using KeysAhead = SmallVector<std::pair<int64_t, Cache>>;
KeysAhead getKeysAhead(ArrayRef<RowOf> sources, const Tiling &tiling);

/// Touches the pages of the keys of a tile that are asked for during it. Each
/// costs a walk through the page tables, which holds up what comes after; here
/// they overlap.
void touchPages(Scope &scope, const Tile &tile, ArrayRef<RowOf> sources,
                int64_t ahead);

/// Block i of the result, of `block` lanes, is the sum of the blocks of vector
/// i.
Value sumLanes(Emit &e, ArrayRef<Value> vectors, int64_t block = 1);

/// Features [d, d + width) of two keys, whose row `row` is bf16 or is extended
/// from there: pairs of one feature each, filled up to vectors with zeros.
SmallVector<Value> loadKeyPairs(MutableArrayRef<Scope> keys, Value row, Value d,
                                int64_t width);

/// Whether each row of `sources` has `depth` features, `perLine` to a line.
bool fillsLines(ArrayRef<RowOf> sources, int64_t depth, int64_t perLine);

/// Writes pairs [rows][units] to `out` as many times as products of blocks of
/// keys use each; it has `getSpreadUnits` columns.
void spreadPairs(KernelState &kernel, const Contraction &contraction,
                 Value pairs, Value out);
int64_t getSpreadUnits(const Contraction &contraction, int64_t lanes);
/// Scores of few rows in bf16 whose pairs of features are spread.
void emitScorePairs(Scope &scope, Tile &tile, const Contraction &contraction,
                    Value queries);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_FEWROWS_H
