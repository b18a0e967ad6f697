//===- ReferenceSources.cpp - score matrices from several sources ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attn.concat inserts its segments into one matrix; attn.matmul sums over a
// fifth loop.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;

OpFoldResult Reference::add(OpFoldResult x, OpFoldResult y) {
  std::optional<int64_t> p = getConstantIntValue(x), q = getConstantIntValue(y);
  if (p && q) {
    return b.getIndexAttr(*p + *q);
  }
  return arith::AddIOp::create(b, loc,
                               getValueOrCreateConstantIndexOp(b, loc, x),
                               getValueOrCreateConstantIndexOp(b, loc, y))
      .getResult();
}

Value Reference::keysOf(Value matrix, OpFoldResult start, OpFoldResult size) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, matrix);
  SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
  offsets[3] = start;
  sizes[3] = size;
  return tensor::ExtractSliceOp::create(b, loc, matrix, offsets, sizes,
                                        strides);
}

Entries Reference::concat(ConcatOp op) {
  Value result = op.getResult();
  Type element = op.getResult().getType().getElementType();
  SmallVector<OpFoldResult> shape = getScoresShape(b, result);
  Entries whole{matrix(result, element), matrix(result, b.getI1Type())};
  OpFoldResult start = b.getIndexAttr(0);
  for (auto [segment, size] :
       llvm::zip(op.getSegments(), getSegmentExtents(b, op))) {
    SmallVector<OpFoldResult> sizes(shape);
    sizes[3] = size;
    SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
    offsets[3] = start;
    // A copy with the batch and heads of the result.
    auto insert = [&](Value part, Value into) -> Value {
      Type type = cast<RankedTensorType>(part.getType()).getElementType();
      Value wide = tensor::EmptyOp::create(b, loc, sizes, type);
      wide = pointwise(part, wide, [](ValueRange args) {
        return SmallVector<Value>{args[0]};
      })[0];
      return tensor::InsertSliceOp::create(b, loc, wide, into, offsets, sizes,
                                           strides);
    };
    Entries in = entries.at(segment);
    whole = {insert(in.values, whole.values),
             insert(in.present, whole.present)};
    start = add(start, size);
  }
  return whole;
}

Entries Reference::matmul(MatmulOp op) {
  Value result = op.getResult();
  ScoresType type = op.getResult().getType();
  Entries lhs = entries.at(op.getLhs()), rhs = entries.at(op.getRhs());
  // Loops (b, h, i, j, k); batch and heads of 1 broadcast.
  auto map = [&](Value matrix, unsigned row, unsigned column) {
    auto shape = cast<RankedTensorType>(matrix.getType()).getShape();
    SmallVector<AffineExpr> exprs;
    for (unsigned d : {0u, 1u}) {
      exprs.push_back(shape[d] == 1 ? b.getAffineConstantExpr(0)
                                    : b.getAffineDimExpr(d));
    }
    exprs.push_back(b.getAffineDimExpr(row));
    exprs.push_back(b.getAffineDimExpr(column));
    return AffineMap::get(5, 0, exprs, b.getContext());
  };
  AffineMap left = map(lhs.values, 2, 4), right = map(rhs.values, 4, 3);
  AffineMap out =
      AffineMap::getMultiDimMapWithTargets(5, {0, 1, 2, 3}, b.getContext());
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[4] = utils::IteratorType::reduction;
  Value init =
      filled(result, {0, 1, 2, 3}, b.getFloatAttr(type.getElementType(), 0.0));
  Value values = generic(
      {lhs.values, lhs.present, rhs.values, rhs.present},
      {left, left, right, right}, init, out, iterators, [&](ValueRange args) {
        Value both = arith::AndIOp::create(b, loc, args[1], args[3]);
        Value term = arith::MulFOp::create(b, loc, args[0], args[2]);
        Value sum = arith::AddFOp::create(b, loc, args[4], term);
        return SmallVector<Value>{select(both, sum, args[4])};
      })[0];
  Value present = pointwise({}, matrix(result, b.getI1Type()), [&](ValueRange) {
    return SmallVector<Value>{inside(getAxis(result, /*isQuery=*/true),
                                     getAxis(result, /*isQuery=*/false))};
  })[0];
  return {values, present};
}
