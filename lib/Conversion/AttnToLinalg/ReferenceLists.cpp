//===- ReferenceLists.cpp - lists, selections and bins --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Selection by definition: the rank of an entry is the number of present ones
// that are better, and the entry of rank k is result k. Nothing is sorted.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

static SmallVector<utils::IteratorType> loopsReducing(unsigned count,
                                                      unsigned dim) {
  SmallVector<utils::IteratorType> loops(count, utils::IteratorType::parallel);
  loops[dim] = utils::IteratorType::reduction;
  return loops;
}

/// For all (b, h, i, j), whether some l names the block of j.
Entries Reference::restrict(RestrictOp op) {
  Entries in = entries.at(op.getInput());
  Value list = op.getIndices();
  int64_t heads = op.getInput().getType().getDim(ScoresType::Heads);
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(5, targets, b.getContext());
  };
  // A vector that takes part by its extent only: that of l.
  auto type = cast<RankedTensorType>(list.getType());
  SmallVector<Value> sizes;
  if (type.isDynamicDim(3)) {
    sizes.push_back(tensor::DimOp::create(b, loc, list, 3));
  }
  Value line = tensor::EmptyOp::create(b, loc, {type.getDimSize(3)},
                                       b.getI1Type(), sizes);
  Value no = arith::ConstantIntOp::create(b, loc, 0, 1);
  line = linalg::FillOp::create(b, loc, no, line).getResult(0);
  Value init =
      filled(op.getResult(), {0, 1, 2, 3}, b.getIntegerAttr(b.getI1Type(), 0));
  Value named = generic(
      line, dims(4), init, dims({0, 1, 2, 3}), loopsReducing(5, 4),
      [&](ValueRange args) {
        Value block = arith::DivUIOp::create(b, loc, index(2),
                                             constantIndex(op.getQueryBlock()));
        Value rows = tensor::DimOp::create(b, loc, list, 2);
        Value last = arith::SubIOp::create(b, loc, rows, constantIndex(1));
        block = arith::MinSIOp::create(b, loc, block, last);
        Value key = arith::DivUIOp::create(b, loc, index(3),
                                           constantIndex(op.getKeyBlock()));
        Value g = head(index(1), heads, list, Value());
        auto compare = [&](arith::CmpIPredicate p, Value x, Value y) -> Value {
          return arith::CmpIOp::create(b, loc, p, x, y);
        };
        Value x = toIndex(read(list, {index(0), g, block, index(4)}));
        Value hit = compare(arith::CmpIPredicate::eq, x, key);
        if (Value lengths = op.getLengths()) {
          Value n = toIndex(read(lengths, {index(0), g, block, index(4)}));
          Value end = arith::AddIOp::create(b, loc, x, n);
          hit = arith::AndIOp::create(
              b, loc, compare(arith::CmpIPredicate::sle, x, key),
              compare(arith::CmpIPredicate::slt, key, end));
        }
        if (Value counts = op.getCounts()) {
          Value count = toIndex(read(counts, {index(0), g, block}));
          hit = arith::AndIOp::create(
              b, loc, hit, compare(arith::CmpIPredicate::slt, index(4), count));
        }
        return SmallVector<Value>{arith::OrIOp::create(b, loc, args[1], hit)};
      })[0];
  Value present =
      pointwise({in.present, named}, matrix(op.getResult(), b.getI1Type()),
                [&](ValueRange args) {
                  return SmallVector<Value>{
                      arith::AndIOp::create(b, loc, args[0], args[1])};
                })[0];
  return {in.values, present};
}

/// Whether x comes before y by its value; a NaN counts as the largest.
Value Reference::isBetter(TopkOp op, Value x, Value y) {
  using P = arith::CmpFPredicate;
  auto compare = [&](P predicate, Value u, Value v) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, u, v);
  };
  if (op.getSmallest()) {
    std::swap(x, y);
  }
  Value nan = arith::AndIOp::create(b, loc, compare(P::UNO, x, x),
                                    compare(P::ORD, y, y));
  return arith::OrIOp::create(b, loc, compare(P::OGT, x, y), nan);
}

SmallVector<Value> Reference::topk(TopkOp op) {
  Value scores = op.getInput();
  Entries in = entries.at(scores);
  Type i64 = b.getI64Type(), i1 = b.getI1Type();
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(5, targets, b.getContext());
  };
  AffineMap here = dims({0, 1, 2, 3}), other = dims({0, 1, 2, 4});
  auto type = cast<RankedTensorType>(op.getValues().getType());
  int64_t extent = type.getShape().back();
  auto limit = [&]() -> Value {
    Value k = arith::ConstantIntOp::create(b, loc, extent, 64);
    if (!op.getLimit()) {
      return k;
    }
    Value wanted = read(op.getLimit(), {index(0), index(1), index(2)});
    if (wanted.getType() != i64) {
      wanted = arith::ExtSIOp::create(b, loc, i64, wanted);
    }
    return arith::MinSIOp::create(b, loc, wanted, k);
  };
  auto less = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(b, loc, x, y);
  };
  auto countIf = [&](Value count, Value condition) -> Value {
    Value one = arith::ConstantIntOp::create(b, loc, 1, 64);
    return select(condition, arith::AddIOp::create(b, loc, count, one), count);
  };
  Value forced = pointwise(in.values, matrix(scores, i1), [&](ValueRange args) {
    if (op.getForced().empty()) {
      return SmallVector<Value>{
          arith::ConstantIntOp::create(b, loc, 0, 1).getResult()};
    }
    return inlineEntry(op.getForced(), args[0], scores);
  })[0];
  TypedAttr none = b.getI64IntegerAttr(0);
  Value rank = generic(
      {in.values, forced, in.values, forced, in.present},
      {here, here, other, other, other}, filled(scores, {0, 1, 2, 3}, none),
      here, loopsReducing(5, 4), [&](ValueRange args) {
        Value x = args[0], f = args[1], y = args[2], g = args[3];
        Value earlier = arith::AndIOp::create(
            b, loc, less(index(4), index(3)),
            arith::XOrIOp::create(b, loc, isBetter(op, x, y),
                                  arith::ConstantIntOp::create(b, loc, 1, 1)));
        Value byValue =
            arith::OrIOp::create(b, loc, isBetter(op, y, x), earlier);
        Value same =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, f, g);
        Value before = select(same, byValue, g);
        return SmallVector<Value>{countIf(args[5], both(before, args[4]))};
      })[0];
  Value slot = rank;
  if (op.getByPosition()) {
    slot = generic({rank, in.present}, {other, other},
                   filled(scores, {0, 1, 2, 3}, none), here,
                   loopsReducing(5, 4), [&](ValueRange args) {
                     Value chosen = both(less(args[0], limit()), args[1]);
                     return SmallVector<Value>{countIf(
                         args[2], both(chosen, less(index(4), index(3))))};
                   })[0];
  }
  // Loops (b, h, i, k, j).
  double nothing = op.getSmallest() ? kInfinity : -kInfinity;
  auto wide = [&](TypedAttr attr) -> Value {
    SmallVector<Value> sizes;
    SmallVector<OpFoldResult> extents = getScoresShape(b, scores);
    for (unsigned d = 0; d < 3; ++d) {
      if (type.isDynamicDim(d)) {
        sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, extents[d]));
      }
    }
    Value init =
        tensor::EmptyOp::create(b, loc, type.getShape(), attr.getType(), sizes);
    Value scalar = arith::ConstantOp::create(b, loc, attr);
    return linalg::FillOp::create(b, loc, scalar, init).getResult(0);
  };
  SmallVector<Value> results =
      generic({in.values, in.present, rank, slot}, {other, other, other, other},
              {wide(b.getFloatAttr(type.getElementType(), nothing)),
               wide(b.getI64IntegerAttr(-1))},
              {here, here}, loopsReducing(5, 4), [&](ValueRange args) {
                Value k = arith::IndexCastOp::create(b, loc, i64, index(3));
                Value j = arith::IndexCastOp::create(b, loc, i64, index(4));
                Value mine = arith::CmpIOp::create(
                    b, loc, arith::CmpIPredicate::eq, args[3], k);
                mine = both(both(mine, args[1]), less(args[2], limit()));
                return SmallVector<Value>{select(mine, args[0], args[4]),
                                          select(mine, j, args[5])};
              });
  results.push_back(overAxis(
      scores, Axis::Keys, filled(scores, {0, 1, 2}, none),
      [&](ValueRange args) {
        Value one = arith::ConstantIntOp::create(b, loc, 1, 64);
        Value more = arith::AddIOp::create(b, loc, args[2], one);
        Value cut = arith::MaxSIOp::create(
            b, loc, limit(), arith::ConstantIntOp::create(b, loc, 0, 64));
        return SmallVector<Value>{
            arith::MinSIOp::create(b, loc, more, cut).getResult()};
      })[0]);
  return results;
}

/// One more entry of a bin; a count takes any number for one.
Value Reference::combineBins(ReduceKind kind, Value x, Value y) {
  switch (kind) {
  case ReduceKind::Max:
    return arith::MaximumFOp::create(b, loc, x, y);
  case ReduceKind::Min:
    return arith::MinimumFOp::create(b, loc, x, y);
  case ReduceKind::Count:
    return arith::AddIOp::create(b, loc, x, y);
  default:
    return arith::AddFOp::create(b, loc, x, y);
  }
}

/// Bins [B, H, rows, n] without entries.
Value Reference::emptyBins(ReduceOp op, OpFoldResult rows) {
  auto type = cast<RankedTensorType>(op.getResultTypes()[0]);
  Type element = type.getElementType();
  SmallVector<OpFoldResult> extents = getScoresShape(b, op.getInput());
  OpFoldResult number = b.getIndexAttr(op.getBins().value_or(0));
  if (Value count = op.getBinCount()) {
    number =
        arith::MaxSIOp::create(b, loc, count, constantIndex(0)).getResult();
  }
  SmallVector<OpFoldResult> shape{extents[0], extents[1], rows, number};
  TypedAttr neutral = b.getZeroAttr(element);
  if (op.getKind() == ReduceKind::Max || op.getKind() == ReduceKind::Min) {
    neutral = b.getFloatAttr(
        element, op.getKind() == ReduceKind::Max ? -kInfinity : kInfinity);
  }
  Value init = tensor::EmptyOp::create(b, loc, shape, element);
  Value value = arith::ConstantOp::create(b, loc, neutral);
  return linalg::FillOp::create(b, loc, value, init).getResult(0);
}

/// Loops (b, h, i, j, n): every bin looks at every entry.
Value Reference::reduceBins(ReduceOp op) {
  Value scores = op.getInput();
  Entries in = entries.at(scores);
  auto type = cast<RankedTensorType>(op.getResultTypes()[0]);
  Type i64 = b.getI64Type();
  Value bin = pointwise(in.values, matrix(scores, i64), [&](ValueRange args) {
    Value x = inlineEntry(op.getBin(), args[0], scores)[0];
    return SmallVector<Value>{
        arith::IndexCastOp::create(b, loc, i64, x).getResult()};
  })[0];
  bool keys = op.getAxis() == Axis::Keys;
  unsigned kept = keys ? 2 : 3;
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(5, targets, b.getContext());
  };
  AffineMap entry = dims({0, 1, 2, 3});
  Value bins = generic(
      {in.values, in.present, bin}, {entry, entry, entry},
      emptyBins(op, getScoresShape(b, scores)[kept]), dims({0, 1, kept, 4}),
      loopsReducing(5, keys ? 3 : 2), [&](ValueRange args) {
        Value x = args[0];
        if (op.getKind() == ReduceKind::Count) {
          x = arith::ConstantIntOp::create(b, loc, 1, 64);
        }
        Value next = combineBins(op.getKind(), args[3], x);
        Value n = arith::IndexCastOp::create(b, loc, i64, index(4));
        Value mine =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, args[2], n);
        mine = arith::AndIOp::create(b, loc, mine, args[1]);
        return SmallVector<Value>{select(mine, next, args[3])};
      })[0];
  bins = op.getRowBlock() ? joinRows(op, bins) : bins;
  return bins.getType() == type
             ? bins
             : tensor::CastOp::create(b, loc, type, bins).getResult();
}

/// Loops (b, h, p, n, i): row i belongs to block p.
Value Reference::joinRows(ReduceOp op, Value bins) {
  Value size =
      arith::MaxSIOp::create(b, loc, op.getRowBlock(), constantIndex(1));
  Value rows = tensor::DimOp::create(b, loc, bins, 2);
  Value blocks = arith::CeilDivUIOp::create(b, loc, rows, size);
  auto dims = [&](ArrayRef<unsigned> targets) {
    return AffineMap::getMultiDimMapWithTargets(5, targets, b.getContext());
  };
  return generic(bins, dims({0, 1, 4, 3}), emptyBins(op, blocks),
                 dims({0, 1, 2, 3}), loopsReducing(5, 4), [&](ValueRange args) {
                   Value block = arith::DivUIOp::create(b, loc, index(4), size);
                   Value mine = arith::CmpIOp::create(
                       b, loc, arith::CmpIPredicate::eq, block, index(2));
                   Value next = combineBins(op.getKind(), args[1], args[0]);
                   return SmallVector<Value>{select(mine, next, args[1])};
                 })[0];
}
