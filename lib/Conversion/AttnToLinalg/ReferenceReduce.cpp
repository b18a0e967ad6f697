//===- ReferenceReduce.cpp - reductions, one entry at a time ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops that leave the algebra for tensors. Each is a loop over all entries
// with an accumulator, in index order, that an absent entry leaves as it is.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The extents of a row (column) tensor.
static SmallVector<unsigned> keptDims(Axis axis) {
  return {0, 1, axis == Axis::Keys ? 2u : 3u};
}

SmallVector<Value> Reference::overAxis(Value scores, Axis axis,
                                       ValueRange inits, Body body) {
  Entries in = entries.at(scores);
  AffineMap identity = b.getMultiDimIdentityMap(4);
  AffineMap row =
      AffineMap::getMultiDimMapWithTargets(4, keptDims(axis), b.getContext());
  SmallVector<AffineMap> outMaps(inits.size(), row);
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  iterators[axis == Axis::Keys ? 3 : 2] = utils::IteratorType::reduction;
  return generic({in.values, in.present}, {identity, identity}, inits, outMaps,
                 iterators, [&](ValueRange args) {
                   SmallVector<Value> results = body(args);
                   for (auto [result, acc] :
                        llvm::zip_equal(results, args.drop_front(2))) {
                     result = select(args[1], result, acc);
                   }
                   return results;
                 });
}

SmallVector<Value> Reference::reduce(ReduceOp op) {
  Value scores = op.getInput();
  if (op.isBinned()) {
    return {reduceBins(op)};
  }
  Type element = op.getInput().getType().getElementType();
  SmallVector<unsigned> dims = keptDims(op.getAxis());
  auto one = [&](TypedAttr init, function_ref<Value(Value, Value)> step) {
    return overAxis(scores, op.getAxis(), filled(scores, dims, init),
                    [&](ValueRange args) {
                      return SmallVector<Value>{step(args[2], args[0])};
                    });
  };
  auto number = [&](double value) { return b.getFloatAttr(element, value); };
  switch (op.getKind()) {
  case ReduceKind::Sum:
    return one(number(0.0), [&](Value acc, Value v) -> Value {
      return arith::AddFOp::create(b, loc, acc, v);
    });
  case ReduceKind::Max:
    return one(number(-kInfinity), [&](Value acc, Value v) -> Value {
      return arith::MaximumFOp::create(b, loc, acc, v);
    });
  case ReduceKind::Min:
    return one(number(kInfinity), [&](Value acc, Value v) -> Value {
      return arith::MinimumFOp::create(b, loc, acc, v);
    });
  case ReduceKind::Count:
    return one(b.getI64IntegerAttr(0), [&](Value acc, Value) -> Value {
      Value step = arith::ConstantIntOp::create(b, loc, 1, 64);
      return arith::AddIOp::create(b, loc, acc, step);
    });
  case ReduceKind::Any:
    return one(b.getIntegerAttr(b.getI1Type(), 0), [&](Value, Value) -> Value {
      return arith::ConstantIntOp::create(b, loc, 1, 1);
    });
  case ReduceKind::Mean:
    return reduceMean(op);
  case ReduceKind::ArgMax:
  case ReduceKind::ArgMin:
    return reduceArg(op);
  case ReduceKind::Custom:
    return reduceCustom(op);
  case ReduceKind::Lse:
  case ReduceKind::Entropy:
  case ReduceKind::Moments:
    return {};
  }
  llvm_unreachable("all kinds handled");
}

SmallVector<Value> Reference::reduceMean(ReduceOp op) {
  Value scores = op.getInput();
  Type element = op.getInput().getType().getElementType();
  SmallVector<unsigned> dims = keptDims(op.getAxis());
  SmallVector<Value> inits{filled(scores, dims, b.getFloatAttr(element, 0.0)),
                           filled(scores, dims, b.getI64IntegerAttr(0))};
  SmallVector<Value> sums =
      overAxis(scores, op.getAxis(), inits, [&](ValueRange args) {
        Value step = arith::ConstantIntOp::create(b, loc, 1, 64);
        return SmallVector<Value>{
            arith::AddFOp::create(b, loc, args[2], args[0]),
            arith::AddIOp::create(b, loc, args[3], step)};
      });
  return pointwise(sums, empty(scores, dims, element), [&](ValueRange args) {
    Value zero = arith::ConstantIntOp::create(b, loc, 0, 64);
    Value none = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0));
    Value isNone =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, args[1], zero);
    Value count = arith::SIToFPOp::create(b, loc, element, args[1]);
    Value mean = arith::DivFOp::create(b, loc, args[0], count);
    return SmallVector<Value>{select(isNone, none, mean)};
  });
}

/// The first index whose value beats all before it; a NaN beats every number.
SmallVector<Value> Reference::reduceArg(ReduceOp op) {
  Value scores = op.getInput();
  Type element = op.getInput().getType().getElementType();
  SmallVector<unsigned> dims = keptDims(op.getAxis());
  SmallVector<Value> inits{filled(scores, dims, b.getFloatAttr(element, 0.0)),
                           filled(scores, dims, b.getI64IntegerAttr(-1))};
  auto beats = op.getKind() == ReduceKind::ArgMax ? arith::CmpFPredicate::OGT
                                                  : arith::CmpFPredicate::OLT;
  unsigned reduced = op.getAxis() == Axis::Keys ? 3 : 2;
  auto compare = [&](arith::CmpFPredicate predicate, Value x,
                     Value y) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  };
  SmallVector<Value> best =
      overAxis(scores, op.getAxis(), inits, [&](ValueRange args) {
        Value v = args[0], top = args[2], where = args[3];
        Value none = arith::ConstantIntOp::create(b, loc, -1, 64);
        Value better = arith::OrIOp::create(
            b, loc, compare(beats, v, top),
            arith::AndIOp::create(
                b, loc, compare(arith::CmpFPredicate::UNO, v, v),
                compare(arith::CmpFPredicate::ORD, top, top)));
        Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                            where, none);
        Value take = arith::OrIOp::create(b, loc, first, better);
        Value here =
            arith::IndexCastOp::create(b, loc, b.getI64Type(), index(reduced));
        return SmallVector<Value>{select(take, v, top),
                                  select(take, here, where)};
      });
  return {best[1]};
}

SmallVector<Value> Reference::reduceCustom(ReduceOp op) {
  Value scores = op.getInput();
  Type element = op.getInput().getType().getElementType();
  SmallVector<Value> inits;
  for (APFloat identity : op.getIdentityAttr().getAsValueRange<FloatAttr>()) {
    inits.push_back(
        filled(scores, keptDims(op.getAxis()),
               b.getFloatAttr(element, identity.convertToDouble())));
  }
  return overAxis(scores, op.getAxis(), inits, [&](ValueRange args) {
    SmallVector<Value> pair(args.drop_front(2));
    llvm::append_range(pair, inlineEntry(op.getLift(), args[0], scores));
    return inlineBlock(op.getCombine().front(), pair);
  });
}

/// sum + what the keys of one value add.
Value Reference::aggregateSegment(AggregateOp op, unsigned segment,
                                  Entries weights, Value sum) {
  Value value = op.getValues()[segment];
  ScoresType type = op.getWeights().getType();
  Type element = type.getElementType();
  // Loops (b, h, i, j, d), a sum over j.
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(5, targets, b.getContext());
  };
  SmallVector<utils::IteratorType> iterators(5, utils::IteratorType::parallel);
  iterators[3] = utils::IteratorType::reduction;
  return generic(
      {weights.values, weights.present},
      {dims({0, 1, 2, 3}), dims({0, 1, 2, 3})}, sum, dims({0, 1, 2, 4}),
      iterators, [&](ValueRange args) {
        Value p = args[0];
        if (op.getOperandType()) {
          p = convertFloat(convertFloat(p, *op.getOperandType()), element);
        }
        Value g = head(index(1), type.getDim(1), value, op.getHeadMap(segment));
        SmallVector<Value> at{batch(value, op.getBatchMap(segment)), g,
                              index(3), index(4)};
        if (AggregateOp::isPerQuery(value)) {
          at.insert(at.begin() + 2, index(2));
        }
        Value v = read(value, at);
        Value term = arith::MulFOp::create(b, loc, p, convertFloat(v, element));
        Value acc = arith::AddFOp::create(b, loc, args[2], term);
        return SmallVector<Value>{select(args[1], acc, args[2])};
      })[0];
}

Value Reference::aggregate(AggregateOp op) {
  Value weights = op.getWeights();
  Type element = op.getWeights().getType().getElementType();
  auto result = cast<RankedTensorType>(op.getResult().getType());
  Entries in = entries.at(weights);
  SmallVector<Value> sizes;
  SmallVector<OpFoldResult> extents = getScoresShape(b, weights);
  for (unsigned d = 0; d < 3; ++d) {
    if (result.isDynamicDim(d)) {
      sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, extents[d]));
    }
  }
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0.0));
  Value sum =
      tensor::EmptyOp::create(b, loc, result.getShape(), element, sizes);
  sum = linalg::FillOp::create(b, loc, zero, sum).getResult(0);
  if (op.getValues().size() == 1) {
    sum = aggregateSegment(op, 0, in, sum);
  } else {
    OpFoldResult start = b.getIndexAttr(0);
    for (auto [k, size] : llvm::enumerate(getSegmentExtents(b, op))) {
      Entries segment{keysOf(in.values, start, size),
                      keysOf(in.present, start, size)};
      sum = aggregateSegment(op, k, segment, sum);
      start = add(start, size);
    }
  }
  if (result.getElementType() == element) {
    return sum;
  }
  Value narrow = tensor::EmptyOp::create(b, loc, result.getShape(),
                                         result.getElementType(), sizes);
  return pointwise(sum, narrow, [&](ValueRange args) {
    return SmallVector<Value>{convertFloat(args[0], result.getElementType())};
  })[0];
}

Value Reference::materialize(MaterializeOp op) {
  Entries in = entries.at(op.getInput());
  Type element =
      cast<RankedTensorType>(op.getResult().getType()).getElementType();
  Value absent = arith::ConstantOp::create(
      b, loc, b.getFloatAttr(element, op.getAbsent().convertToDouble()));
  return pointwise({in.values, in.present}, matrix(op.getInput(), element),
                   [&](ValueRange args) {
                     return SmallVector<Value>{select(
                         args[1], convertFloat(args[0], element), absent)};
                   })[0];
}
