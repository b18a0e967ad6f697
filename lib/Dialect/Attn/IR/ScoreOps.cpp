//===- ScoreOps.cpp - where scores come from -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"

using namespace mlir;
using namespace mlir::attn;

static OpFoldResult dimOf(OpBuilder &builder, Location loc, Value tensor,
                          int64_t dim) {
  return tensor::getMixedSize(builder, loc, tensor, dim);
}

/// C1 to C6 of attn.score, shared with attn.score_with.
template <typename OpTy> static LogicalResult verifyProduct(OpTy op) {
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  auto key = cast<RankedTensorType>(op.getKey().getType());
  if (query.getRank() != 4 || key.getRank() != 4) {
    return op.emitOpError()
           << "C1: query and key have rank 4, got " << query << " and " << key;
  }
  if (query.getElementType() != key.getElementType()) {
    return op.emitOpError()
           << "C2: query and key have the same element type, got "
           << query.getElementType() << " and " << key.getElementType();
  }
  if (query.isDynamicDim(3) || query.getDimSize(3) != key.getDimSize(3)) {
    return op.emitOpError()
           << "C3: the feature sizes are static and equal, got " << query
           << " and " << key;
  }
  int64_t heads = query.getDimSize(1), groups = key.getDimSize(1);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(groups) ||
      groups == 0 || (!op.getHeadMap() && heads % groups != 0)) {
    return op.emitOpError() << "C4: the static number of query heads is a "
                               "multiple of that of key heads, got "
                            << query << " and " << key;
  }
  int64_t batch = getProductBatch(op.getQuery(), op.getKey(), op.getBatchMap());
  if (failed(verifyMap(op, op.getHeadMap(), "head_map", heads, "C5")) ||
      failed(verifyMap(op, op.getBatchMap(), "batch_map", batch, "C5"))) {
    return failure();
  }
  ScoresType result = op.getResult().getType();
  Type element = getAccumulationType(query.getElementType());
  SmallVector<int64_t> want{batch, heads, query.getDimSize(2),
                            key.getDimSize(2)};
  if (result.getShape() != ArrayRef(want) ||
      result.getElementType() != element) {
    return op.emitOpError()
           << "C6: the result is " << ScoresType::get(want, element) << ", got "
           << result;
  }
  if (!op.getBatchMap() && differ(key.getDimSize(0), batch) &&
      key.getDimSize(0) != 1) {
    InFlightDiagnostic diag = op.emitOpError()
                              << "C6: query and key have one batch size, got "
                              << query << " and " << key;
    diag.attachNote() << "batches(...) names the batch of keys that each batch "
                         "of queries reads";
    return diag;
  }
  return verifyAxes(op, "C7");
}

template <typename OpTy>
static SmallVector<OpFoldResult> reifyProduct(OpTy op, OpBuilder &builder) {
  Location loc = op.getLoc();
  return {reifyProductBatch(builder, loc, op.getQuery(), op.getKey(),
                            op.getBatchMap()),
          dimOf(builder, loc, op.getQuery(), 1),
          dimOf(builder, loc, op.getQuery(), 2),
          dimOf(builder, loc, op.getKey(), 2)};
}

//===----------------------------------------------------------------------===//
// attn.score, attn.score_with
//===----------------------------------------------------------------------===//

LogicalResult ScoreOp::verify() {
  if (failed(verifyProduct(*this))) {
    return failure();
  }
  auto query = cast<RankedTensorType>(getQuery().getType());
  if (!query.getElementType().isInteger(8)) {
    return success();
  }
  if (getScale().convertToDouble() != 1.0) {
    return emitOpError() << "C8: integer scores have no scale; multiply where "
                            "attn.map makes floats of them";
  }
  // (-128) * (-128) * 131072 is the first sum that an i32 does not hold.
  constexpr int64_t limit = int64_t(1) << 17;
  if (query.getDimSize(3) >= limit) {
    return emitOpError() << "C8: sums of " << query.getDimSize(3)
                         << " products of i8 may overflow; integer scores "
                            "have fewer than "
                         << limit << " features";
  }
  return success();
}
AxisInfo ScoreOp::getAxisInfo(bool isQuery) {
  return axisInfoOf(*this, isQuery);
}
SmallVector<OpFoldResult> ScoreOp::reifyScoresShape(OpBuilder &builder) {
  return reifyProduct(*this, builder);
}

LogicalResult ScoreWithOp::verify() {
  if (failed(verifyProduct(*this))) {
    return failure();
  }
  Type element = getResult().getType().getElementType();
  Block &block = getBody().front();
  SmallVector<Type> want{element, element,
                         IndexType::get(element.getContext())};
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!llvm::equal(block.getArgumentTypes(), want) || !yield ||
      yield.getNumOperands() != 1 || yield.getOperand(0).getType() != element) {
    return emitOpError() << "C8: the region takes (" << element << ", "
                         << element << ", index) and yields one " << element;
  }
  return verifySpeculatable(*this, getBody(), "C8");
}
AxisInfo ScoreWithOp::getAxisInfo(bool isQuery) {
  return axisInfoOf(*this, isQuery);
}
SmallVector<OpFoldResult> ScoreWithOp::reifyScoresShape(OpBuilder &builder) {
  return reifyProduct(*this, builder);
}

//===----------------------------------------------------------------------===//
// attn.bias
//===----------------------------------------------------------------------===//

LogicalResult BiasOp::verify() {
  auto type = cast<RankedTensorType>(getTensor().getType());
  if (type.getRank() != 4) {
    return emitOpError() << "C1: the tensor has rank 4, got " << type;
  }
  ScoresType result = getResult().getType();
  for (unsigned d = 0; d < 4; ++d) {
    bool broadcast = d < 2 && type.getDimSize(d) == 1;
    if (type.getDimSize(d) != result.getDim(d) && !broadcast) {
      return emitOpError() << "C2: the result has the extents of the tensor, "
                              "got "
                           << type << " and " << result;
    }
  }
  for (unsigned d = 0; d < 2; ++d) {
    if (ShapedType::isDynamic(result.getDim(d)) && type.getDimSize(d) == 1) {
      return emitOpError() << "C2: a broadcast extent of the result is static";
    }
  }
  Type element = getAccumulationType(type.getElementType());
  if (result.getElementType() != element) {
    return emitOpError() << "C2: the result has element type " << element
                         << ", got " << result.getElementType();
  }
  return verifyAxes(*this, "C3");
}
AxisInfo BiasOp::getAxisInfo(bool isQuery) {
  return axisInfoOf(*this, isQuery);
}
SmallVector<OpFoldResult> BiasOp::reifyScoresShape(OpBuilder &builder) {
  ScoresType result = getResult().getType();
  SmallVector<OpFoldResult> shape;
  for (unsigned d = 0; d < 4; ++d) {
    if (ShapedType::isDynamic(result.getDim(d))) {
      shape.push_back(dimOf(builder, getLoc(), getTensor(), d));
    } else {
      shape.push_back(builder.getIndexAttr(result.getDim(d)));
    }
  }
  return shape;
}

//===----------------------------------------------------------------------===//
// attn.with_axes
//===----------------------------------------------------------------------===//

LogicalResult WithAxesOp::verify() {
  auto type = getInput().getType();
  for (bool isQuery : {true, false}) {
    AxisInfo axis = getAxisInfo(isQuery);
    if (axis.positions && axis.offset) {
      return emitOpError() << "C3: the " << (isQuery ? "query" : "key")
                           << " axis has positions or an offset, not both";
    }
  }
  auto check = [&](bool isQuery) -> LogicalResult {
    unsigned dim = isQuery ? ScoresType::Queries : ScoresType::Keys;
    StringRef name = isQuery ? "query" : "key";
    AxisInfo axis = getAxisInfo(isQuery);
    for (auto [value, rank] : {std::pair<Value, int64_t>{axis.positions, 3},
                               {axis.offset, 1},
                               {axis.length, 2},
                               {axis.segments, 2}}) {
      auto ranked =
          value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
      if (ranked && ranked.getRank() != rank) {
        return verifyAxis(*this, axis, name, type, dim, "C1");
      }
    }
    return verifyAxis(*this, axis, name, type, dim, "C2");
  };
  return failure(failed(check(true)) || failed(check(false)));
}
AxisInfo WithAxesOp::getAxisInfo(bool isQuery) {
  return axisInfoOf(*this, isQuery);
}
SmallVector<OpFoldResult> WithAxesOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}
