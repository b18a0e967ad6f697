//===- StreamAnalysis.h - what a stream's values depend on ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The scalar program of a sweep falls into stages: a gauge is known only when
// the whole tile has been seen, so whatever reads it waits. This analysis says
// for every value whether it differs between rows, between keys, and at which
// stage it is known; which contractions run in the microkernel; and which
// values are worth keeping from one stage to the next.
//
//   %s = attn.dot ...              row, key, level 0
//   %f = arith.mulf %s, %scale     row, key, level 0
//   %m = attn.running max %f       row,      level 1    (reduced in stage 0)
//   %e = math.exp2 (%f - %m)       row, key, level 1
//   %l = attn.carry sum %e                              (reduced in stage 1)
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H
#define ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H

#include "TargetInfo.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include <vector>

namespace mlir::attn::cpu {

struct ValueClass {
  bool row = false;   // differs between the rows of a block
  bool key = false;   // differs between the keys of a tile
  unsigned level = 0; // number of gauges on the longest path to it

  ValueClass &operator|=(const ValueClass &other) {
    row |= other.row;
    key |= other.key;
    level = std::max(level, other.level);
    return *this;
  }
};

/// One side of a contraction: row `indices` of `source`, or a computed row.
struct RowOf {
  Value source;
  ValueRange indices;
  Value value = {};

  /// The row behind a row value: that in memory if it is loaded as it is.
  static RowOf get(Value row);
  int64_t getLength() const;
  Type getElementType() const {
    return getElementTypeOrSelf((value ? value : source).getType());
  }
  bool operator==(const RowOf &other) const {
    return source == other.source && value == other.value &&
           llvm::equal(indices, other.indices);
  }
};

/// A contraction of a stationary row with a streamed one (attn.dot, attn.inner,
/// or attn.dot_with, whose region takes the stationary row first iff !swapped).
struct Contraction {
  Operation *op;
  RowOf stationary, streamed;
  bool swapped = false;
  /// Both sides are bf16, and the target multiplies pairs of them.
  bool pairs = false;

  Value getResult() const { return op->getResult(0); }
  int64_t getDepth() const { return stationary.getLength(); }
};

struct SweepPlan {
  SweepOp op;
  /// Gauges, carries and folds, by the stage that reduces them.
  SmallVector<SmallVector<Operation *>> stages;
  SmallVector<Contraction> contractions;
  /// Entries with no vector form, evaluated one by one into a tile.
  SmallVector<Value> filled;
  /// Values computed in one stage (the mapped number) and read in later ones.
  llvm::MapVector<Value, unsigned> saved;
  /// The last stage that reads a contraction's result.
  DenseMap<Value, unsigned> lastUse;
  /// Row values that are kept in arrays, because they cost more than
  /// arithmetic.
  SmallVector<Value> rowValues;
  /// Whether any gauge or carry has a condition.
  bool conditional = false;

  SmallVector<CarryOp> getOuters();
};

class StreamAnalysis {
public:
  StreamAnalysis(StreamOp stream, const TargetInfo &target)
      : stream(stream), target(target) {}
  /// Classifies and plans; reports what this target cannot do.
  LogicalResult run();

  ValueClass getClass(Value value) const { return classes.lookup(value); }
  /// A single value for all keys and rows, known before the sweep's tiles.
  bool isBlockUniform(Value value) const {
    ValueClass c = getClass(value);
    return !c.row && !c.key;
  }
  MutableArrayRef<SweepPlan> getSweeps() { return sweeps; }
  /// The bits of the widest float type that the kernel computes with.
  int64_t getElementBits() const { return elementBits; }
  /// The number of rows per head, where it is known and small; else 0.
  int64_t getFewRows() const { return fewRows; }
  /// Heads whose rows share a block because they read the same keys.
  int64_t getPackedHeads() const { return packedHeads; }
  /// Quotients of the head that are the same for all heads of a block.
  ArrayRef<arith::DivUIOp> getGroups() const { return groups; }

private:
  void analyse();
  void choosePackedHeads();
  bool suitsPackedHeads();
  void classify(Operation &op);
  void planSweep(SweepOp op);
  void planContraction(SweepPlan &plan, Operation *op);
  LogicalResult checkSweep(SweepPlan &plan);
  void visit(SweepPlan &plan, Value value, unsigned stage,
             DenseSet<Value> &seen, DenseMap<Value, unsigned> &computed);
  unsigned levelOf(ValueRange values) const;
  void collectRowValues(SweepPlan &plan);

  StreamOp stream;
  const TargetInfo &target;
  DenseMap<Value, ValueClass> classes;
  std::vector<SweepPlan> sweeps;
  int64_t elementBits = 32, fewRows = 0, packedHeads = 1;
  SmallVector<arith::DivUIOp> groups;
};

/// Whether `op` maps lanes to lanes when its operands become vectors.
bool isElementwise(Operation *op);

/// The values a reducing op (running, carry, fold) reads per entry.
SmallVector<Value> getReducedValues(Operation *op);
Value getCondition(Operation *op);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_STREAMANALYSIS_H
