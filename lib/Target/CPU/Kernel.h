//===- Kernel.h - the loop nest of one stream -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   for each item: (b, h, block of rows, or those that share bins)
//     for each sweep:
//       start the carries; pack the stationary rows
//       for each tile of keys inside the bounds:
//         pack keys and rows
//         for each tile of rows that needs these keys:
//           contractions -> stages, for a full or a partial tile -> rows += P V
//     store the rows
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_KERNEL_H
#define ATTN_LIB_TARGET_CPU_KERNEL_H

#include "Microkernel.h"
#include "Reducers.h"
#include "Visits.h"
#include "attn/Support/Buffers.h"

namespace mlir::attn::cpu {

/// Buffers of a kernel call, allocated before its first item and freed after
/// the last one; what is given back serves the next sweep. They start as zeros,
/// so that padding and rows beyond the last one hold numbers.
class Workspace {
public:
  explicit Workspace(Emit &e) : e(e) {}
  Value get(ArrayRef<int64_t> shape, Type element);
  /// Rows of floats; with `pairs`, bf16, and the same bytes as rows of i32.
  /// Rows of narrow numbers, seen as 32-bit lanes of `group` each, too.
  Packed getPacked(int64_t rows, int64_t columns, Type element, int64_t group);
  void giveBack() { used.clear(); }
  /// Allocations go before `op`, and are freed after it.
  void setLifetime(Operation *op) { lifetime = op; }

private:
  Emit &e;
  Operation *lifetime = nullptr;
  DenseMap<Type, SmallVector<Value>> buffers;
  DenseMap<Type, unsigned> used;
};

class Kernel {
public:
  Kernel(Emit &e, StreamOp stream, const TargetInfo &target,
         StreamAnalysis &analysis);
  /// Writes the loop over items [begin, end); `arguments` are the stream's
  /// operands (b, h, i are made here) in the order of the op.
  LogicalResult emit(Value begin, Value end, ValueRange arguments);

private:
  struct RowBlock {
    Scope *scope;
    Value firstRow, rows;
    Value stateRow;        // of the first row, in the arrays of the block
    Scope *next = nullptr; // the place of the next head, and how much further
    Value nextKeys = {};   // its keys are
  };
  struct Sweep;
  struct TileBuffers;
  struct CollectiveBuffers;
  /// The keys of a tile: columns of which the first and the last key are these.
  struct Span {
    Value firstKey, columns, lastKey;
    Value begin = {}; // columns before it are not needed
  };

  /// Does up to `most` items from `item` on, of the same heads; how many.
  Value emitItems(Value item, Value most, ValueRange arguments);
  void emitBlock(Scope &scope, Value firstRow, Value rows, ValueRange outputs);
  void emitSweep(RowBlock &block, SweepPlan &plan);
  void allocateState(Sweep &sweep);
  void allocateTiles(Sweep &sweep);
  void allocateEntries(TilePlan &plan, int64_t rows, int64_t columns,
                       int64_t packedRows, TileBuffers &buffers,
                       Operation *given = nullptr);
  Value allocateTile(Value value, int64_t rows, int64_t columns);
  void allocateEntryTiles(TilePlan &plan, int64_t rows, int64_t columns,
                          DenseMap<Value, Value> &tiles);
  void prepareRows(RowBlock &block, Sweep &sweep);
  void emitRange(RowBlock &block, Sweep &sweep, Value lower);
  void emitListed(RowBlock &block, Sweep &sweep, Value lower);
  KeyRange getKeys(Sweep &sweep, const Span &span);
  Value packValues(Sweep &sweep, Scope &tile, KeyRange keys);
  void fillTable(Sweep &sweep, const Visits &visits, Value v, Value count,
                 Value firstColumn);
  void emitCollected(RowBlock &block, Sweep &sweep, const Visits &visits);
  void emitTile(RowBlock &block, Sweep &sweep, const Span &span);
  void emitHeadTile(RowBlock &block, Sweep &sweep, const Span &span);
  void emitRowTile(Sweep &sweep, RowBlock &block, Value first, Value rows,
                   const Span &span);
  std::pair<Value, Value> trim(Scope &scope, Sweep &sweep, Value firstRow,
                               Value lastRow, Value firstKey, Value from,
                               Value end, Value full);
  /// The tile, with the columns that the rows of a microkernel from `row` on
  /// have in it, in vectors of `width` columns.
  Tile narrow(Scope &scope, const Tile &tile, Value row, int64_t width);
  /// Columns in which the rows of a microkernel from `row` on may have entries,
  /// piece by piece, cut at multiples of `width` or `lanes`.
  void forEachPiece(Scope &scope, const Tile &tile, Value row, int64_t width,
                    llvm::function_ref<void(Value, Value)> body);
  bool mayCutPieces(SweepPlan &plan);
  /// Fills in the pieces of a tile: vectors of keys in which the rows of a
  /// microkernel may have entries, joined where they are neighbours.
  void findPieces(Sweep &sweep, Scope &scope, Tile &tile, Value full);
  void emitScores(TileBuffers &buffers, Scope &scope, Tile &tile);
  void emitDotWith(Contraction &contraction, Value rows, Value keys,
                   Scope &scope, Tile &tile);
  /// Calls a body for each row of a tile, in a scope of its own.
  using RowLoop =
      llvm::function_ref<void(llvm::function_ref<void(Scope &, Value)>)>;
  void emitFilled(KernelState &kernel, Tile &tile, unsigned level,
                  RowLoop rows);
  /// Everything that entries at `level` read from tiles, contractions aside.
  void emitEntryTiles(Scope &scope, Tile &tile, unsigned level);

  // FewRows.cpp.
  void emitScoresDirect(const Contraction &contraction, Packed rows,
                        Scope &scope, Tile &tile);
  void emitOuterDirect(Sweep &sweep, CarryOp outer, Scope &scope, Tile &tile);
  Value findNonFiniteDirect(Scope &scope, Tile &tile, Value row);
  /// Whether rows of an outer carry are read where they are.
  bool isDirect(Value row) const;

  // OwnKeys.cpp.
  void emitPairs(KernelState &kernel, Tile &tile, RowLoop rows);
  void emitOwnRows(Sweep &sweep, CarryOp outer, Scope &scope, Tile &tile);

  // Products.cpp.
  void emitProducts(KernelState &kernel, Scope &scope, Tile &tile,
                    RowLoop rows);
  void emitMatmul(KernelState &kernel, Scope &scope, Tile &tile,
                  ProductPlan &product, RowLoop rows);
  Value emitFactor(KernelState &kernel, FactorPlan &factor, Tile &tile,
                   Value out, Value absent, RowLoop rows);

  // Collectives.cpp.
  void allocateCollective(Sweep &sweep, CollectivePlan &plan);
  /// Before the tiles of a block of rows.
  void startCollectives(Sweep &sweep);
  void fillCollectives(Sweep &sweep, ArrayRef<CollectivePlan *> plans,
                       Scope &scope, const Tile &around);
  void fillHeads(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                 const Tile &around, Tile &tile);
  void emitInside(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                  const Tile &around, Tile &tile, Value out);
  Value isWholeRow(CollectivePlan &plan, Scope &row, const Tile &tile,
                   Value condition);
  void emitOperand(CollectivePlan &plan, CollectiveBuffers &buffers,
                   Scope &scope, Tile &tile, Value out);
  void bindResults(Sweep &sweep, TilePlan &plan, Scope &scope,
                   DenseMap<Value, Value> &tiles);
  void emitStencil(CollectivePlan &plan, CollectiveBuffers &buffers,
                   Scope &scope, const Tile &inside, Value rows, Value columns);
  void emitSegmentStencil(CollectivePlan &plan, CollectiveBuffers &buffers,
                          Scope &scope, const Tile &inside, Value rows,
                          Value columns);
  void emitMix(CollectivePlan &plan, CollectiveBuffers &buffers, Scope &scope,
               Tile &tile);
  /// Columns of a tile; `dense` ones have all entries.
  struct ColumnRange {
    Value first, end;
    int64_t unroll;
    bool dense;
  };
  std::pair<Value, Value> findDense(Scope &scope, SweepPlan &plan,
                                    const Tile &tile, Value row);
  void emitStageRow(Sweep &sweep, Scope &row, Tile &tile, Value r,
                    ArrayRef<ColumnRange> ranges);
  void emitStage(Sweep &sweep, Scope &scope, Tile &tile);
  /// Hands `take` the entries at W columns, in a form that fits them
  /// (Runs.cpp).
  using TakeEntries =
      llvm::function_ref<SmallVector<Value>(MutableArrayRef<Entries>)>;
  SmallVector<Value> takeByRuns(SweepPlan &plan, Scope &row, Tile &tile,
                                Value tileRow, Value column, TypeRange types,
                                TakeEntries take);
  void emitColumns(Sweep &sweep, Scope &row, Tile &tile, Value tileRow,
                   Value lower, Value upper, int64_t unroll,
                   SmallVector<Value> &partials);
  Value needsGuard(Sweep &sweep, CarryOp outer, Scope &scope, Tile &tile,
                   Value partial, bool marked);
  void emitOuters(Sweep &sweep, Scope &scope, Tile &tile, Value partial,
                  bool marked);
  void emitPrefetch(Scope &scope, Tile &tile, ArrayRef<RowOf> sources, Value r,
                    Value part, int64_t parts);
  void emitGuarded(Sweep &sweep, CarryOp outer, Scope &scope, Tile &whole,
                   Packed rows);
  void emitStore(RowBlock &block, ValueRange outputs);
  void fillRowValues(RowBlock &block); // RowLanes.cpp
  /// Computes in `scope` what all rows and keys of a block share, and all
  /// heads, or those that are `ofHead` too.
  void computeUniform(Scope &scope, Block &block, bool ofHead);
  /// Binds `argument` to the head after `head`, of `heads`, in `next`; returns
  /// how much further its keys are: a tile after the last head.
  Value bindNextHead(Scope &next, Value argument, Value head, int64_t heads);
  /// The block once per head that it works on.
  void forEachHead(RowBlock &block, llvm::function_ref<void(RowBlock &)> body);
  void forEachRow(RowBlock &block,
                  llvm::function_ref<void(Scope &, Value)> body);
  void forEachRow(Scope &outside, const Tile &tile,
                  llvm::function_ref<void(Scope &, Value)> body);
  /// What the `tiles` or `bounds` region of a sweep yields, joined over the
  /// heads of the block: some tile is needed, all are full; the widest range.
  std::pair<Value, Value> evaluate(RowBlock &block, Region &region,
                                   ValueRange arguments);
  /// The same where one head is known.
  static std::pair<Value, Value> evaluateHere(Scope &outside, Region &region,
                                              ValueRange arguments);
  /// Binds the first arguments of `region` in `rows` and evaluates there what
  /// needs no others: a loop over the others does not repeat it.
  static void evaluateRows(Scope &rows, Region &region, ValueRange arguments);
  /// Elements of the arrays of a block.
  int64_t getStateRows() const {
    return state.tiling.heads * state.tiling.blockRows;
  }
  int64_t getPanel() const { return state.tiling.keyVectors * state.lanes; }
  int64_t pad(int64_t extent) const {
    return (extent + state.lanes - 1) / state.lanes * state.lanes;
  }

  Emit &e;
  KernelState state;
  /// Carries and stationary rows live as long as a block, the rest as long as
  /// a sweep.
  Workspace kept, scratch;
};

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_KERNEL_H
