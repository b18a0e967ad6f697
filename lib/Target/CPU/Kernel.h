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

  static int64_t getBlockRows(StreamOp stream, const TargetInfo &target);

private:
  struct Block {
    Scope *scope;
    Value firstRow, rows;
  };
  struct Sweep;

  void emitItem(Value item, ValueRange arguments);
  void emitSweep(Block &block, SweepPlan &plan);
  void allocateState(Sweep &sweep);
  void allocateTiles(Sweep &sweep);
  void allocateEntries(SweepPlan &plan, int64_t rows, int64_t columns,
                       DenseMap<Value, Value> &buffers);
  void emitTile(Block &block, Sweep &sweep, Value firstKey);
  void emitRowTile(Sweep &sweep, Scope &scope, Value first, Value rows,
                   Value firstRow, Value firstKey, Value columns);
  void emitScores(Sweep &sweep, Scope &scope, Tile &tile);
  void emitDotWith(Sweep &sweep, unsigned k, Scope &scope, Tile &tile);
  /// Calls a body for each row of a tile, in a scope of its own.
  using RowLoop =
      llvm::function_ref<void(llvm::function_ref<void(Scope &, Value)>)>;
  void emitPairs(KernelState &kernel, Tile &tile, RowLoop rows);
  void emitOwnRows(Sweep &sweep, CarryOp outer, Scope &scope, Tile &tile);
  void emitFilled(KernelState &kernel, Tile &tile, unsigned level,
                  RowLoop rows);
  void emitProducts(KernelState &kernel, Scope &scope, Tile &tile,
                    RowLoop rows);
  void emitMatmul(KernelState &kernel, Scope &scope, Tile &tile,
                  ProductPlan &product, RowLoop rows);
  Value emitFactor(KernelState &kernel, FactorPlan &factor, Tile &tile,
                   Value out, Value absent, RowLoop rows);
  void emitStage(Sweep &sweep, Scope &scope, Tile &tile);
  void emitColumns(Sweep &sweep, Scope &row, Tile &tile, Value tileRow,
                   Value lower, Value upper, int64_t unroll,
                   SmallVector<Value> &partials);
  void emitOuters(Sweep &sweep, Scope &scope, Tile &tile, Value partial);
  void emitPrefetch(Sweep &sweep, Scope &scope, Tile &tile,
                    ArrayRef<RowOf> sources, Value r, Value part,
                    int64_t parts);
  void emitGuarded(Sweep &sweep, CarryOp outer, Tile &tile, Packed rows);
  void emitStore(Block &block, ValueRange outputs);
  void forEachRow(Scope &outside, Value firstBlockRow, Value rows,
                  Value firstRow,
                  llvm::function_ref<void(Scope &, Value)> body);
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
