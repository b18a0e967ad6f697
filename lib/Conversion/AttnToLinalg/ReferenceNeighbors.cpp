//===- ReferenceNeighbors.cpp - sums over neighbours and heads ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attn.convolve and attn.mix_heads on stored matrices: a reduction over the
// taps or the heads, whose body reads the entries of the operand.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;

Value Reference::addTap(Value sum, Value weight, Value value, Value present) {
  Type type = sum.getType();
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0.0));
  Value product = arith::MulFOp::create(b, loc, convertFloat(weight, type),
                                        select(present, value, zero));
  return arith::AddFOp::create(b, loc, sum, product);
}

Entries Reference::convolve(ConvolveOp op) {
  Entries in = entries.at(op.getInput());
  Value result = op.getResult();
  Type element = op.getInput().getType().getElementType();
  SmallVector<OpFoldResult> shape = getScoresShape(b, op.getInput());
  Value extents[] = {
      getValueOrCreateConstantIndexOp(b, loc, shape[ScoresType::Queries]),
      getValueOrCreateConstantIndexOp(b, loc, shape[ScoresType::Keys])};
  // Loops (b, h, i, j, u, v).
  MLIRContext *context = b.getContext();
  bool oneHead =
      cast<RankedTensorType>(op.getTaps().getType()).getDimSize(0) == 1;
  AffineExpr head =
      oneHead ? b.getAffineConstantExpr(0) : b.getAffineDimExpr(1);
  AffineMap taps = AffineMap::get(
      6, 0, {head, b.getAffineDimExpr(4), b.getAffineDimExpr(5)}, context);
  AffineMap entry =
      AffineMap::getMultiDimMapWithTargets(6, {0, 1, 2, 3}, context);
  SmallVector<utils::IteratorType> iterators(6, utils::IteratorType::parallel);
  iterators[4] = iterators[5] = utils::IteratorType::reduction;
  auto place = [&](unsigned axis, Value &counts) {
    Value centre = index(2 + axis);
    Value there = arith::AddIOp::create(b, loc, centre, index(4 + axis));
    there = arith::SubIOp::create(b, loc, there,
                                  constantIndex(op.getOrigin()[axis]));
    Value last = arith::SubIOp::create(b, loc, extents[axis], constantIndex(1));
    Value inside = arith::MaxSIOp::create(
        b, loc, arith::MinSIOp::create(b, loc, there, last), constantIndex(0));
    auto both = [&](Value x, Value y) {
      Value equal =
          arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
      counts = counts ? arith::AndIOp::create(b, loc, counts, equal).getResult()
                      : equal;
    };
    both(there, inside);
    if (op.getSameSegment()) {
      Value segments = getAxis(op.getInput(), /*isQuery=*/axis == 0).segments;
      both(read(segments, {index(0), centre}),
           read(segments, {index(0), inside}));
    }
    return inside;
  };
  Value init = filled(result, {0, 1, 2, 3}, b.getFloatAttr(element, 0.0));
  Value values =
      generic(op.getTaps(), taps, init, entry, iterators, [&](ValueRange args) {
        Value counts;
        Value i = place(0, counts), j = place(1, counts);
        SmallVector<Value> at{index(0), index(1), i, j};
        Value present = arith::AndIOp::create(
            b, loc, counts, tensor::ExtractOp::create(b, loc, in.present, at));
        Value value = tensor::ExtractOp::create(b, loc, in.values, at);
        return SmallVector<Value>{addTap(args[1], args[0], value, present)};
      })[0];
  return {values, in.present};
}

Entries Reference::mixHeads(MixHeadsOp op) {
  Entries in = entries.at(op.getInput());
  Value result = op.getResult();
  Type element = op.getInput().getType().getElementType();
  // Loops (b, g, i, j, h).
  auto dims = [&](ArrayRef<unsigned> positions) {
    return AffineMap::getMultiDimMapWithTargets(5, positions, b.getContext());
  };
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[4] = utils::IteratorType::reduction;
  AffineMap entry = dims({0, 1, 2, 3}), from = dims({0, 4, 2, 3});
  SmallVector<Value> outs = generic(
      {in.values, in.present, op.getWeights()}, {from, from, dims({1, 4})},
      {filled(result, {0, 1, 2, 3}, b.getFloatAttr(element, 0.0)),
       filled(result, {0, 1, 2, 3}, b.getBoolAttr(false))},
      {entry, entry}, iterators, [&](ValueRange args) {
        return SmallVector<Value>{
            addTap(args[3], args[2], args[0], args[1]),
            arith::OrIOp::create(b, loc, args[4], args[1])};
      });
  return {outs[0], outs[1]};
}

Entries Reference::reduceHeads(ReduceHeadsOp op) {
  Entries in = entries.at(op.getInput());
  Value result = op.getResult();
  Type element = op.getInput().getType().getElementType();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  ReduceKind kind = op.getKind();
  double neutral = kind == ReduceKind::Max   ? -infinity
                   : kind == ReduceKind::Min ? infinity
                                             : 0.0;
  SmallVector<Value> outs = pointwise(
      {}, {matrix(result, element), matrix(result, b.getI1Type())},
      [&](ValueRange) {
        Value size = constantIndex(op.getGroupSize());
        Value first = arith::MulIOp::create(b, loc, index(1), size);
        Value value =
            arith::ConstantOp::create(b, loc, b.getFloatAttr(element, neutral));
        Value some = arith::ConstantIntOp::create(b, loc, 0, 1);
        for (int64_t k = 0; k < op.getGroupSize(); ++k) {
          Value h = arith::AddIOp::create(b, loc, first, constantIndex(k));
          SmallVector<Value> at{index(0), h, index(2), index(3)};
          Value x = tensor::ExtractOp::create(b, loc, in.values, at);
          Value present = tensor::ExtractOp::create(b, loc, in.present, at);
          value = select(present, combineBins(kind, value, x), value);
          some = arith::OrIOp::create(b, loc, some, present);
        }
        return SmallVector<Value>{value, some};
      });
  return {outs[0], outs[1]};
}
