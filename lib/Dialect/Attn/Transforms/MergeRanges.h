//===- MergeRanges.h - carries of disjoint ranges of keys -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a sweep would have accumulated over all keys, from what it accumulated
// over disjoint ranges of them:
//
//   gauge         g = max g_s
//   sum, outer    c = sum_s c_s 2^(a (g - g_s)), over each gauge and rate of
//                 of its act; where it moves with a mean as a polynomial,
//                 sum_s (c_s + c1_s d + c2_s d^2 + ...), d = g - g_s
//   mean          sum_s n_s mean_s / sum_s n_s, as a gauge too
//   argmax        the index of the range with the larger maximum; the earlier
//                 range, which has the lower indices, among equals
//   fold          its combination, in the order of the ranges
//   max, min, count, any: the same over the ranges
//
// A range without keys carries the neutral element. One whose gauge is minus
// infinity is left out of sums, so that neither inf - inf is formed nor a NaN
// let in from entries that have no weight.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MERGERANGES_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MERGERANGES_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// Whether every accumulator of a sweep can be merged: selections and bins are
/// kept whole.
bool canMerge(SweepOp sweep);

/// The accumulators of a sweep from which its results over several ranges can
/// be merged, in the order of the program. A second one is added where it takes
/// one: `auxiliary` names the maximum of an argmax and the count of a mean.
SetVector<Value> collectAccumulators(SweepOp sweep,
                                     DenseMap<Value, Value> &auxiliary);

class RangeMerger {
public:
  /// Loads the parts of an accumulator, in the order of the ranges; bits come
  /// as i32.
  using Loader = function_ref<SmallVector<Value>(Value)>;

  /// `auxiliary` as `collectAccumulators` gives it.
  RangeMerger(OpBuilder &builder, Location loc, Loader load,
              const DenseMap<Value, Value> &auxiliary, IRMapping &map)
      : b(builder), loc(loc), load(load), auxiliary(auxiliary), map(map) {}

  /// Merges a gauge or carry and maps its results to the merged ones.
  void merge(Operation *accumulator);

private:
  Value mergeCarry(CarryOp carry);
  Value mergeSum(CarryOp carry);
  Value mergeMean(Value mean);
  SmallVector<Value> movedParts(CarryOp carry);
  Value mergeArgument(CarryOp carry);
  Value mergeAny(CarryOp carry);
  void mergeFold(FoldOp fold);
  /// The weight of each range, and whether it has any; empty without act.
  void weigh(CarryOp carry, SmallVectorImpl<Value> &weights,
             SmallVectorImpl<Value> &live);
  Value distance(Value now, Value old);
  Value number(Type type, double value);
  template <typename OpTy> Value combine(ArrayRef<Value> values);

  OpBuilder &b;
  Location loc;
  Loader load;
  const DenseMap<Value, Value> &auxiliary;
  IRMapping &map;
  DenseMap<Value, SmallVector<Value>> gaugeParts;
};

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_MERGERANGES_H
