//===- EntryEvaluator.h - one entry of a score expression as scalars -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluates the expression behind a `!attn.scores` value at one (b, h, i, j),
// inside the body of a sweep: every op on the way is flattened into scalar
// arithmetic, loads (`attn.at`) and contractions (`attn.dot`).
//
//   %c = attn.mask %s causal        %x = attn.dot %Q[%b, %h, %i], %K[%b, %g,
//   %j] (at %i, %j)               ==>   %p = arith.cmpi sle, %j, %i
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ENTRYEVALUATOR_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ENTRYEVALUATOR_H

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::attn {

/// A value and its presence; a null presence means always present.
struct Entry {
  Value value;
  Value present;
};

/// Where an entry is evaluated: indices of the matrix at hand, queries first.
struct EntrySite {
  Value b, h, i, j;
  bool operator==(const EntrySite &) const = default;
};

class EntryEvaluator {
public:
  /// `body` inserts into the sweep, `outer` before the stream. `rowValue` gives
  /// the value of a tensor at the stationary row where the stream computes it
  /// itself, or null.
  EntryEvaluator(OpBuilder &body, OpBuilder &outer, StreamOp stream,
                 std::function<Value(Value)> rowValue,
                 DenseMap<Value, int64_t> &extents)
      : body(body), outer(outer), stream(stream), rowValue(std::move(rowValue)),
        extents(extents) {}

  Entry evaluate(Value scores, const EntrySite &site);

  /// Reads tensor[indices...] (an element, or a row if one index is missing),
  /// clamping indices that are not known to be in range.
  Value read(Value tensor, ValueRange indices);

  /// The six index arguments of an entry region on `scores`.
  SmallVector<Value> indexArguments(Value scores, const EntrySite &site);

  /// Inlines a region of an op of the algebra with the given arguments.
  SmallVector<Value> inlineRegion(Region &region, ValueRange arguments);

  /// An outside value as seen in the stream.
  Value capture(Value value);

  /// The head of a key or value tensor that belongs to query head h.
  Value keyHead(Value h, int64_t heads, Value tensor, Value headMap);
  /// The batch of a key or value tensor that belongs to batch b of queries.
  Value keyBatch(Value b, Value tensor, Value batchMap);

  Value toIndex(Value integer);
  /// Chooses what segment `index` falls in, of segments with these extents:
  /// `make(k, local)` is called for each with the index in it, or 0 where the
  /// index is in another one.
  Entry choose(ArrayRef<OpFoldResult> extents, Value index,
               function_ref<Entry(unsigned, Value)> make);

  /// Batch index for a tensor or matrix of `batch` elements.
  Value broadcast(Value index, int64_t extent);

  Location loc() { return stream.getLoc(); }

private:
  Entry evaluateScore(ScoreOp op, const EntrySite &site);
  Entry evaluateScoreWith(ScoreWithOp op, const EntrySite &site);
  Entry evaluateBias(BiasOp op, const EntrySite &site);
  Entry evaluateMap(MapOp op, const EntrySite &site);
  Entry evaluateMask(MaskOp op, const EntrySite &site);
  Entry evaluateConvolve(ConvolveOp op, const EntrySite &site);
  Entry evaluateMixHeads(MixHeadsOp op, const EntrySite &site);
  Entry evaluateReduceHeads(ReduceHeadsOp op, const EntrySite &site);
  Entry fillMix(MixOp mix, Value input, const EntrySite &site);
  /// Fills the region of a collective with the entry of `scores` at `site`.
  Entry fillRegion(Region &region, Value scores, const EntrySite &site);
  Value extentInside(OpFoldResult extent);
  Entry evaluateRestrict(RestrictOp op, const EntrySite &site);
  Entry evaluateConcat(ConcatOp op, const EntrySite &site);
  Entry evaluateLane(LaneOp op, const EntrySite &site);
  Entry evaluateMatmul(MatmulOp op, const EntrySite &site);
  Value scaled(Value dot, double scale);
  Value contract(Type type, Value q, ValueRange lhs, Value k, ValueRange rhs);
  Value listedKey(RestrictOp op, const EntrySite &site);
  Value listedQuery(RestrictOp op, const EntrySite &site);
  Value blockOf(Value index, int64_t block);
  EntrySite siteOf(Value operand, const EntrySite &site);
  Value position(const AxisInfo &axis, const EntrySite &site, Value index);
  Value insideLengths(Value scores, const EntrySite &site);
  Value belowLength(const AxisInfo &axis, const EntrySite &site, Value index);
  Value both(Value a, Value b);
  Value constantIndex(int64_t value);
  Value mappedIndex(Value map, Value index, Value tensor, int64_t dim);
  Value clampIndex(Value index, Value tensor, int64_t dim);
  Value extractInRegion(tensor::ExtractOp op, IRMapping &mapping);

  OpBuilder &body, &outer;
  StreamOp stream;
  std::function<Value(Value)> rowValue;
  /// Static extents (or kDynamic) of the index values of the stream.
  DenseMap<Value, int64_t> &extents;
  SmallVector<std::pair<std::pair<Value, EntrySite>, Entry>> memo;
  /// Number of collectives around the entry at hand: behind one, the row is not
  /// that of the stream.
  unsigned depth = 0;
};

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_ENTRYEVALUATOR_H
