//===- Reference.h - materialised score matrices --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The state of attn-to-linalg: which pair of tensors stands for which score
// matrix, and the helpers by which every op is written as `linalg.generic`.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_ATTNTOLINALG_REFERENCE_H
#define ATTN_LIB_CONVERSION_ATTNTOLINALG_REFERENCE_H

#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::attn {

/// A score matrix as two tensors [B, H, M, N].
struct Entries {
  Value values;  // T
  Value present; // i1
};

/// Whether `op` makes a list of blocks, on tensors only.
bool isListMaker(Operation *op);
/// Writes loops before such an op, and redirects its users.
void writeList(Operation *op);

class Reference {
public:
  explicit Reference(MLIRContext *context) : b(context) {}

  /// Writes `op` before itself and keeps it; the users of its tensors are
  /// redirected. Reports an op that it does not know.
  LogicalResult convert(Operation *op);

private:
  using Body = function_ref<SmallVector<Value>(ValueRange args)>;

  // The ops, one function each (Reference.cpp, ReferenceLists.cpp,
  // ReferenceReduce.cpp, ReferenceSources.cpp).
  Entries score(ScoreOp op);
  Entries scoreWith(ScoreWithOp op);
  Entries bias(BiasOp op);
  Entries withAxes(WithAxesOp op);
  Entries map(MapOp op);
  Entries mask(MaskOp op);
  Entries restrict(RestrictOp op);
  Entries fill(FillOp op);
  Entries transpose(TransposeOp op);
  Entries convolve(ConvolveOp op);
  Entries mixHeads(MixHeadsOp op);
  Entries reduceHeads(ReduceHeadsOp op);
  Entries concat(ConcatOp op);
  Entries lane(LaneOp op);
  Entries matmul(MatmulOp op);
  SmallVector<Value> reduce(ReduceOp op);
  SmallVector<Value> reduceMean(ReduceOp op);
  SmallVector<Value> reduceArg(ReduceOp op);
  SmallVector<Value> reduceCustom(ReduceOp op);
  Value reduceBins(ReduceOp op);
  Value emptyBins(ReduceOp op, OpFoldResult rows);
  Value joinRows(ReduceOp op, Value bins);
  Value combineBins(ReduceKind kind, Value x, Value y);
  SmallVector<Value> topk(TopkOp op);
  Value aggregate(AggregateOp op);
  Value aggregateSegment(AggregateOp op, unsigned segment, Entries weights,
                         Value sum);
  Value materialize(MaterializeOp op);

  // linalg.generic.
  SmallVector<Value> generic(ValueRange ins, ArrayRef<AffineMap> inMaps,
                             ValueRange inits, ArrayRef<AffineMap> outMaps,
                             ArrayRef<utils::IteratorType> iterators,
                             Body body);
  /// All iterators parallel, all maps of `inits` the identity; operands with a
  /// static extent of 1 broadcast.
  SmallVector<Value> pointwise(ValueRange ins, ValueRange inits, Body body);
  /// A reduction of the entries of `scores` over `axis` into `inits`; the body
  /// takes value, present and the accumulators.
  SmallVector<Value> overAxis(Value scores, Axis axis, ValueRange inits,
                              Body body);
  Value empty(Value scores, ArrayRef<unsigned> dims, Type element);
  Value filled(Value scores, ArrayRef<unsigned> dims, TypedAttr value);
  Value matrix(Value scores, Type element) {
    return empty(scores, {0, 1, 2, 3}, element);
  }

  /// sum + weight * value, where an absent value counts as 0.
  Value addTap(Value sum, Value weight, Value value, Value present);

  // Scalars inside of a body.
  Value index(unsigned dim) { return linalg::IndexOp::create(b, loc, dim); }
  Value constantIndex(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value toIndex(Value value);
  Value convertFloat(Value value, Type type);
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, loc, c, x, y);
  }
  /// Reads `tensor`; static extents of 1 are read at 0.
  Value read(Value tensor, ArrayRef<Value> indices);
  Value head(Value h, int64_t heads, Value tensor, Value headMap);
  Value batch(Value tensor, Value batchMap);
  Value position(const AxisInfo &axis, Value index);
  Value insideLength(const AxisInfo &axis, Value index);
  Value inside(const AxisInfo &query, const AxisInfo &key);
  /// Copies an entry region into the current body.
  SmallVector<Value> inlineEntry(Region &region, ValueRange elements,
                                 Value scores);
  SmallVector<Value> inlineBlock(Block &block, ValueRange args);

  Value isBetter(TopkOp op, Value x, Value y);
  /// Keys [start, start + size) of a matrix.
  Value keysOf(Value matrix, OpFoldResult start, OpFoldResult size);
  OpFoldResult add(OpFoldResult x, OpFoldResult y);
  template <typename OpTy> Entries dot(OpTy op);
  Entries rooted(Value scores, Value values);
  /// What a map names at `index`, moved into [0, extent).
  Value mapped(Value map, Value index, Value extent);
  template <typename OpTy>
  Value reduceProduct(OpTy op, TypedAttr identity,
                      function_ref<Value(Value, Value, Value)> combine);

  OpBuilder b;
  Location loc = UnknownLoc::get(b.getContext());
  DenseMap<Value, Entries> entries;
};

} // namespace mlir::attn

#endif // ATTN_LIB_CONVERSION_ATTNTOLINALG_REFERENCE_H
