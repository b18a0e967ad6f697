//===- SourceOps.cpp - scores from several sources ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attn.concat, attn.lane, attn.matmul. States are in StateOps.cpp.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SourceOps.h"

#include "AxisVerifier.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;

/// The extent of a dimension that broadcasts.
static int64_t joinExtents(int64_t a, int64_t b) { return a == 1 ? b : a; }

//===----------------------------------------------------------------------===//
// attn.concat
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::verify() {
  if (getSegments().empty()) {
    return emitOpError() << "C1: there is at least one segment";
  }
  ScoresType result = getResult().getType();
  int64_t batch = 1, heads = 1, keys = 0;
  for (Value segment : getSegments()) {
    auto type = cast<ScoresType>(segment.getType());
    batch = joinExtents(batch, type.getDim(ScoresType::Batch));
    heads = joinExtents(heads, type.getDim(ScoresType::Heads));
    int64_t own = type.getDim(ScoresType::Keys);
    keys = ShapedType::isDynamic(own) || ShapedType::isDynamic(keys)
               ? ShapedType::kDynamic
               : keys + own;
  }
  for (Value segment : getSegments()) {
    auto type = cast<ScoresType>(segment.getType());
    int64_t b = type.getDim(ScoresType::Batch);
    int64_t h = type.getDim(ScoresType::Heads);
    if (type.getElementType() != result.getElementType() ||
        (b != 1 && differ(b, batch)) || (h != 1 && h != heads) ||
        type.getDim(ScoresType::Queries) !=
            result.getDim(ScoresType::Queries)) {
      return emitOpError() << "C2: segments agree in element type, queries, "
                              "and, up to broadcast, in batch and heads, got "
                           << type << " in " << result;
    }
  }
  SmallVector<int64_t> want{batch, heads, result.getDim(ScoresType::Queries),
                            keys};
  if (result.getShape() != ArrayRef(want)) {
    return emitOpError() << "C3: the result is "
                         << ScoresType::get(want, result.getElementType())
                         << ", got " << result;
  }
  return success();
}

SmallVector<OpFoldResult> mlir::attn::getSegmentExtents(OpBuilder &builder,
                                                        ConcatOp op) {
  return llvm::map_to_vector(op.getSegments(), [&](Value segment) {
    return getScoresShape(builder, segment)[ScoresType::Keys];
  });
}

/// The concatenation whose keys are those of `scores`, if it has `count`
/// segments.
static ConcatOp findConcat(Value scores, size_t count) {
  SmallVector<Value> pending{scores};
  DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    auto op = value.getDefiningOp<ScoresOpInterface>();
    if (!op || !seen.insert(value).second) {
      continue;
    }
    auto concat = value.getDefiningOp<ConcatOp>();
    if (concat && concat.getSegments().size() == count) {
      return concat;
    }
    for (auto [operand, isQuery] : op.getAxisSources(/*isQuery=*/false)) {
      if (!isQuery) {
        pending.push_back(operand);
      }
    }
  }
  return {};
}

SmallVector<OpFoldResult> mlir::attn::getSegmentExtents(OpBuilder &builder,
                                                        AggregateOp op) {
  if (ConcatOp concat = findConcat(op.getWeights(), op.getValues().size())) {
    return getSegmentExtents(builder, concat);
  }
  return llvm::map_to_vector(op.getValues(), [&](Value value) {
    int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
    return tensor::getMixedSize(builder, op.getLoc(), value, rank - 2);
  });
}

SmallVector<OpFoldResult> ConcatOp::reifyScoresShape(OpBuilder &builder) {
  SmallVector<OpFoldResult> shape;
  for (Value segment : getSegments()) {
    SmallVector<OpFoldResult> own = getScoresShape(builder, segment);
    if (shape.empty()) {
      shape = own;
      continue;
    }
    for (unsigned d : {ScoresType::Batch, ScoresType::Heads}) {
      if (getConstantIntValue(shape[d]) == 1) {
        shape[d] = own[d];
      }
    }
    OpFoldResult &keys = shape[ScoresType::Keys], more = own[ScoresType::Keys];
    std::optional<int64_t> a = getConstantIntValue(keys),
                           b = getConstantIntValue(more);
    if (a && b) {
      keys = builder.getIndexAttr(*a + *b);
      continue;
    }
    keys = builder.createOrFold<arith::AddIOp>(
        getLoc(), getValueOrCreateConstantIndexOp(builder, getLoc(), keys),
        getValueOrCreateConstantIndexOp(builder, getLoc(), more));
  }
  return shape;
}

SmallVector<std::pair<Value, bool>> ConcatOp::getAxisSources(bool isQuery) {
  SmallVector<std::pair<Value, bool>> sources;
  if (isQuery) {
    for (Value segment : getSegments()) {
      sources.push_back({segment, true});
    }
  }
  return sources;
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  // One segment alone keeps its key axis, which it loses here: no fold. Joined
  // segments that are themselves joined are one list.
  bool changed = false;
  SmallVector<Value> flat;
  for (Value segment : getSegments()) {
    if (auto inner = segment.getDefiningOp<ConcatOp>()) {
      llvm::append_range(flat, inner.getSegments());
      changed = true;
    } else {
      flat.push_back(segment);
    }
  }
  if (!changed) {
    return {};
  }
  getSegmentsMutable().assign(flat);
  return getResult();
}

//===----------------------------------------------------------------------===//
// attn.lane
//===----------------------------------------------------------------------===//

LogicalResult LaneOp::verify() {
  auto query = cast<RankedTensorType>(getQuery().getType());
  auto key = cast<RankedTensorType>(getKey().getType());
  if (query.getRank() != 4 || key.getRank() != 5) {
    return emitOpError() << "C1: query has rank 4 and key rank 5, got " << query
                         << " and " << key;
  }
  if (query.getElementType() != key.getElementType()) {
    return emitOpError() << "C2: query and key have the same element type, got "
                         << query.getElementType() << " and "
                         << key.getElementType();
  }
  if (query.isDynamicDim(3) || query.getDimSize(3) != key.getDimSize(4)) {
    return emitOpError() << "C3: the feature sizes are static and equal, got "
                         << query << " and " << key;
  }
  int64_t heads = query.getDimSize(1), groups = key.getDimSize(1);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(groups) ||
      groups == 0 || (!getHeadMap() && heads % groups != 0)) {
    return emitOpError() << "C4: the static number of query heads is a "
                            "multiple of that of key heads, got "
                         << query << " and " << key;
  }
  int64_t batch = getProductBatch(getQuery(), getKey(), getBatchMap());
  if (failed(verifyMap(*this, getHeadMap(), "head_map", heads, "C5")) ||
      failed(verifyMap(*this, getBatchMap(), "batch_map", batch, "C5"))) {
    return failure();
  }
  SmallVector<int64_t> want{batch, heads, query.getDimSize(2),
                            key.getDimSize(3)};
  Type element = getAccumulationType(query.getElementType());
  ScoresType result = getResult().getType();
  if (result.getShape() != ArrayRef(want) ||
      result.getElementType() != element ||
      differ(key.getDimSize(2), query.getDimSize(2)) ||
      (!getBatchMap() && key.getDimSize(0) != 1 &&
       differ(key.getDimSize(0), batch))) {
    return emitOpError() << "C6: the result is "
                         << ScoresType::get(want, element)
                         << " and key has a row per query, got " << result
                         << " and " << key;
  }
  return verifyAxes(*this, "C7");
}

AxisInfo LaneOp::getAxisInfo(bool isQuery) {
  return axisInfoOf(*this, isQuery);
}

SmallVector<OpFoldResult> LaneOp::reifyScoresShape(OpBuilder &builder) {
  auto dim = [&](Value tensor, int64_t d) {
    return tensor::getMixedSize(builder, getLoc(), tensor, d);
  };
  return {
      reifyProductBatch(builder, getLoc(), getQuery(), getKey(), getBatchMap()),
      dim(getQuery(), 1), dim(getQuery(), 2), dim(getKey(), 3)};
}

//===----------------------------------------------------------------------===//
// attn.matmul
//===----------------------------------------------------------------------===//

LogicalResult MatmulOp::verify() {
  ScoresType lhs = getLhs().getType(), rhs = getRhs().getType();
  if (differ(lhs.getDim(ScoresType::Keys), rhs.getDim(ScoresType::Queries))) {
    return emitOpError() << "C1: the keys of lhs are the queries of rhs, got "
                         << lhs << " and " << rhs;
  }
  SmallVector<int64_t> want;
  for (unsigned d : {ScoresType::Batch, ScoresType::Heads}) {
    int64_t a = lhs.getDim(d), b = rhs.getDim(d);
    want.push_back(joinExtents(a, b));
    if (a != 1 && b != 1 && differ(a, b)) {
      return emitOpError() << "C2: batch and heads agree up to broadcast, got "
                           << lhs << " and " << rhs;
    }
  }
  if (lhs.getElementType() != rhs.getElementType()) {
    return emitOpError() << "C2: element types agree, got " << lhs << " and "
                         << rhs;
  }
  want.push_back(lhs.getDim(ScoresType::Queries));
  want.push_back(rhs.getDim(ScoresType::Keys));
  auto type = ScoresType::get(want, lhs.getElementType());
  if (getResult().getType() != type) {
    return emitOpError() << "C3: the result is " << type << ", got "
                         << getResult().getType();
  }
  return success();
}

SmallVector<OpFoldResult> MatmulOp::reifyScoresShape(OpBuilder &builder) {
  SmallVector<OpFoldResult> a = getScoresShape(builder, getLhs()),
                            b = getScoresShape(builder, getRhs());
  auto join = [&](unsigned d) {
    return getConstantIntValue(a[d]) == 1 ? b[d] : a[d];
  };
  return {join(0), join(1), a[ScoresType::Queries], b[ScoresType::Keys]};
}

SmallVector<std::pair<Value, bool>> MatmulOp::getAxisSources(bool isQuery) {
  return {{isQuery ? getLhs() : getRhs(), isQuery}};
}
