//===- MaskEvaluator.h - presence conditions on a tile --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks the values that a condition of a sweep is made of and rebuilds them on
// intervals (Intervals.h). What does not depend on the row, on the key or on an
// earlier sweep is the same for the whole tile: it is cloned and is a point.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MASKEVALUATOR_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MASKEVALUATOR_H

#include "Intervals.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::attn {

/// Derives `tiles` and `bounds` of a sweep anew.
void analyzeMasks(SweepOp sweep);

/// A range [lo, hi) of keys; a null end is not constrained.
struct KeyRange {
  Value lo, hi;
  bool isFull() const { return !lo && !hi; }
};

class MaskEvaluator {
public:
  /// Emits at `builder`'s insertion point, which must be inside a region of
  /// `sweep`; everything used is rebuilt from block arguments of the stream.
  MaskEvaluator(SweepOp sweep, OpBuilder &builder, Interval row);

  /// Sets what the key can be; `loads` says whether captured vectors may be
  /// read over that stretch.
  void setKey(Interval interval, bool loads);

  Interval interval(Value value);
  /// An end of a sweep: like `interval`, but known to be an index of a key.
  Interval extent(Value value);
  Predicate predicate(Value value);
  /// The keys for which `value` can be `holds` on some row of the tile, within
  /// the range of keys set before.
  KeyRange keysWhere(Value value, bool holds);

  /// The hull of two ranges.
  KeyRange unite(KeyRange x, KeyRange y);

  IntervalBuilder &getBuilder() { return ib; }

private:
  struct Traits {
    bool varies; // with the row, the key or something unknown
    bool ofKey;  // with the key
  };
  Traits getTraits(Value value);
  /// The same value in the region; only for what does not vary.
  Value clone(Value value);

  Interval computeInterval(Value value);
  Interval structured(Operation *op);
  Interval leaf(Value value);
  Interval load(Value source, ValueRange indices, Type type);
  Predicate loadBit(Value source, ValueRange indices);
  bool isReadable(Value source, ValueRange indices);
  bool enumerate(Value source, ValueRange indices,
                 SmallVectorImpl<SmallVector<Value>> &lists, Value &valid);
  Value clampIndex(Value index, Value source, int64_t dim);
  Predicate computePredicate(Value value);

  KeyRange computeKeys(Value value, bool holds);
  KeyRange intersect(KeyRange x, KeyRange y);
  KeyRange whenever(Value condition);
  KeyRange keysWhereCompared(arith::CmpIOp cmp, bool holds);
  KeyRange solve(Value value, bool atMost, Interval limit);
  KeyRange solveDivision(Value dividend, Value divisor, bool atMost,
                         Interval limit);
  KeyRange solveProduct(arith::MulIOp op, bool atMost, Interval limit);

  StreamOp stream;
  SweepOp sweep;
  OpBuilder &builder;
  IntervalBuilder ib;
  Interval row, key;
  bool keyLoads = true;
  DenseMap<Value, Interval> intervals;
  DenseMap<Value, Predicate> predicates;
  DenseMap<Value, Traits> traits;
  DenseMap<std::pair<Value, unsigned>, KeyRange> ranges;
  IRMapping clones;
};

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MASKEVALUATOR_H
