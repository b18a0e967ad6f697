//===- Kernel.h - the loop nest of one stream -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   for each item: (b, h, block of rows)
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

namespace mlir::attn::cpu {

/// Keeps an allocation or its end away from automatic deallocation.
void markManual(Operation *op);

/// Buffers of a kernel call, allocated before its first item and freed after
/// the last one; what is given back serves the next sweep. They start as zeros,
/// so that padding and rows beyond the last one hold numbers.
class Workspace {
public:
  explicit Workspace(Emit &e) : e(e) {}
  Value get(ArrayRef<int64_t> shape, Type element);
  /// Rows of floats; with `pairs`, bf16, and the same bytes as rows of i32.
  Packed getPacked(int64_t rows, int64_t columns, Type element, bool pairs);
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

  void emitItem(Value item, ValueRange arguments);
  void emitSweep(RowBlock &block, SweepPlan &plan);
  void allocateState(Sweep &sweep);
  void allocateTiles(Sweep &sweep);
  void allocateEntries(TilePlan &plan, int64_t rows, int64_t columns,
                       int64_t packedRows, TileBuffers &buffers,
                       Operation *given = nullptr);
  Value allocateTile(Value value, int64_t rows, int64_t columns);
  void prepareRows(RowBlock &block, Sweep &sweep);
  void emitTile(RowBlock &block, Sweep &sweep, Value firstKey);
  void emitHeadTile(RowBlock &block, Sweep &sweep, Value firstKey,
                    Value columns);
  void emitRowTile(Sweep &sweep, RowBlock &block, Value first, Value rows,
                   Value firstKey, Value columns);
  void emitScores(TileBuffers &buffers, Scope &scope, Tile &tile);
  void emitDotWith(Contraction &contraction, Value rows, Value keys,
                   Scope &scope, Tile &tile);
  void emitFilled(Scope &scope, Tile &tile, unsigned level);

  // Collectives.cpp.
  void allocateCollective(Sweep &sweep, CollectivePlan &plan);
  void fillCollectives(Sweep &sweep, ArrayRef<CollectivePlan *> plans,
                       Scope &scope, const Tile &around);
  void fillHeads(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                 const Tile &around, Tile &tile);
  void emitInside(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                  const Tile &around, Tile &tile, Value out);
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
  void emitStage(Sweep &sweep, Scope &scope, Tile &tile);
  void emitColumns(Sweep &sweep, Scope &row, Tile &tile, Value tileRow,
                   Value lower, Value upper, int64_t unroll,
                   SmallVector<Value> &partials);
  void emitOuters(Sweep &sweep, Scope &scope, Tile &tile, Value partial);
  void emitPrefetch(Scope &scope, Tile &tile, ArrayRef<RowOf> sources, Value r,
                    Value part, int64_t parts);
  void emitGuarded(Sweep &sweep, CarryOp outer, Tile &tile, Packed rows);
  void emitStore(RowBlock &block, ValueRange outputs);
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
  /// Elements of the arrays of a block.
  int64_t getStateRows() const {
    return state.tiling.heads * state.tiling.blockRows;
  }
  int64_t getPanel() const { return state.target.kernelVectors * state.lanes; }
  int64_t pad(int64_t extent) const {
    return (extent + state.lanes - 1) / state.lanes * state.lanes;
  }

  /// Absent coefficients, where a row that must not be touched is not finite: a
  /// NaN that arithmetic does not make, in 16, 32 and 64 bits.
  static constexpr int64_t kMarkerBits = 0x7FF9A5A57FEB7FEB;

  Emit &e;
  KernelState state;
  /// Carries and stationary rows live as long as a block, the rest as long as
  /// a sweep.
  Workspace kept, scratch;
};

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_KERNEL_H
