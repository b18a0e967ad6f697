//===- Reducers.h - gauges, carries and folds over a tile -------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How each reducing op of a sweep starts, takes in W entries, ends a row of a
// tile, and ends the sweep. Between tiles its state is one element (or row)
// per row of the block; inside a row of a tile it is a few vectors carried by
// the column loop.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_REDUCERS_H
#define ATTN_LIB_TARGET_CPU_REDUCERS_H

#include "Entries.h"

namespace mlir::attn::cpu {

/// Where the state of the reducers of a sweep lives.
struct ReducerState {
  /// A second element per row: counts of means, values of argmax, how many
  /// entries of a top-k were forced.
  DenseMap<Operation *, Value> auxiliary;
  /// Coefficients of outer carries, [tileRows][tileKeys].
  DenseMap<Operation *, Value> coefficients;
  /// Values and presence of folds, top-ks and bins, one row of a tile each.
  DenseMap<Operation *, SmallVector<Value>> waiting;
  /// Tallies of which a row may add several keys to one bin: bins, all zero
  /// between rows, in which those are summed first.
  DenseMap<Operation *, Value> ofRow;
};

class Reducers {
public:
  Reducers(KernelState &kernel, SweepPlan &plan, ReducerState &state)
      : kernel(kernel), plan(plan), state(state) {}

  /// The element type of the auxiliary array of `op`; null if it has none.
  static Type getAuxiliaryType(Operation *op);

  /// Before the rows of a block: the bins of one row.
  void allocateBins();
  /// Before the first tile, for one row.
  void start(Scope &row);
  /// Before the first row of a tile.
  void startJoined(AcrossOp op, Tile &tile);
  /// The vectors that the column loop of `op` carries.
  SmallVector<Value> partials(Operation *op, Tile &tile);
  /// Takes in `entries`, W columns each.
  SmallVector<Value> take(Operation *op, MutableArrayRef<Entries> entries,
                          ValueRange partials);
  /// After the columns of one row: state of the row, movement of its carries.
  void finish(Operation *op, Scope &row, Tile &tile, Value tileRow,
              ValueRange partials);
  /// After the last tile, for one row.
  void end(Scope &row);

private:
  Value loadState(Operation *op, Value row);
  void storeState(Operation *op, Value value, Value row);
  Value presentOr(Entries &entries, Operation *op, Value value, Value absent);
  Value joinEntries(Operation *op, MutableArrayRef<Entries> columns,
                    Value partial, Value absent,
                    llvm::function_ref<Value(Entries &)> value,
                    llvm::function_ref<Value(Value, Value)> join);
  Value sumEntries(Operation *op, MutableArrayRef<Entries> columns,
                   Value partial, llvm::function_ref<Value(Entries &)> value);
  Value countEntries(Operation *op, MutableArrayRef<Entries> columns,
                     Value partial);
  void takeGauge(RunningOp op, MutableArrayRef<Entries> columns,
                 MutableArrayRef<Value> partials);
  void takeWaiting(Operation *op, MutableArrayRef<Entries> columns);
  /// What no rows at all are joined to.
  Value getNothing(AcrossOp op);
  void takeJoined(AcrossOp op, MutableArrayRef<Entries> columns);
  void takeOuter(CarryOp op, MutableArrayRef<Entries> columns);
  void finishGauge(RunningOp op, Scope &row, Tile &tile, Value tileRow,
                   ValueRange partials);
  Value findNaN(RunningOp op, Scope &row, Tile &tile, Value tileRow);
  void finishMean(RunningOp op, Scope &row, Tile &tile, ValueRange partials);
  void finishArg(CarryOp op, Scope &row, Tile &tile, ValueRange partials);
  void finishFold(FoldOp op, Scope &row, Tile &tile);
  void startSelection(Operation *op, Value row);
  Value getCapacity(TopOp op, Scope &row);
  void finishTop(TopOp op, Scope &row, Tile &tile);
  void insert(TopOp op, Value row, Value x, Value key, Value forced,
              Value capacity);
  void endTop(TopOp op, Value row);
  SmallVector<std::pair<Value, SmallVector<Value>>> getBinRows(BinsOp op,
                                                               Scope &row);
  void finishBins(BinsOp op, Scope &row, Tile &tile);
  void move(RunningOp gauge, Scope &row, Value before, Value after);
  void movePolynomials(RunningOp gauge, Value row, Value distance);
  Value countOf(Tile &tile, ValueRange partials);
  SmallVector<Value> takeArg(CarryOp op, Entries &entries, ValueRange partials);

  KernelState &kernel;
  SweepPlan &plan;
  ReducerState &state;
};

/// Whether a gauge is a result of its sweep that others compute with. Then it
/// is NaN where an entry is; one that only shifts exponentials leaves that to
/// their sums.
bool isResult(RunningOp gauge);

/// Whether x replaces y as the extremum: a NaN does, unless y is one.
Value isBetter(Emit &e, CarryKind kind, Value x, Value y);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_REDUCERS_H
