//===- MergeRanges.cpp - carries of disjoint ranges of keys ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MergeRanges.h"
#include "StreamUtils.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A constant of `type`, in every element of a vector.
Value RangeMerger::number(Type type, double value) {
  TypedAttr attr = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto row = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(row, static_cast<Attribute>(attr));
  }
  return arith::ConstantOp::create(b, loc, attr);
}

template <typename OpTy> Value RangeMerger::combine(ArrayRef<Value> values) {
  Value result = values.front();
  for (Value value : values.drop_front()) {
    result = OpTy::create(b, loc, result, value);
  }
  return result;
}

/// What has to be known of the ranges besides `value` itself.
static void addRequired(Value value, SetVector<Value> &carried,
                        DenseMap<Value, Value> &auxiliary) {
  Operation *op = value.getDefiningOp();
  // All results of a fold are kept together.
  carried.insert(op->result_begin(), op->result_end());
  OpBuilder b(op);
  auto addSecond = [&](CarryKind kind, Type type, Value operand, Value cond) {
    if (!auxiliary.contains(value)) {
      Value second =
          createCarry(b, op->getLoc(), kind, type, operand, Value(), cond);
      auxiliary[value] = second;
      carried.insert(second);
    }
  };
  if (auto running = dyn_cast<RunningOp>(op)) {
    if (running.getKind() == GaugeKind::Mean) {
      addSecond(CarryKind::Count, b.getI64Type(), Value(), running.getCond());
    }
    return;
  }
  auto carry = dyn_cast<CarryOp>(op);
  if (!carry) {
    return;
  }
  carried.insert(carry.getGauges().begin(), carry.getGauges().end());
  carried.insert(carry.getCompanions().begin(), carry.getCompanions().end());
  if (carry.getPolyGauge()) {
    carried.insert(carry.getPolyGauge());
  }
  switch (carry.getKind()) {
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    addSecond(carry.getKind() == CarryKind::ArgMax ? CarryKind::Max
                                                   : CarryKind::Min,
              carry.getValue().getType(), carry.getValue(), carry.getCond());
    break;
  case CarryKind::Mean:
    addSecond(CarryKind::Count, b.getI64Type(), Value(), carry.getCond());
    break;
  default:
    break;
  }
}

bool mlir::attn::canMerge(SweepOp sweep) {
  return llvm::all_of(sweep.getBody().front(), [](Operation &op) {
    return !isa<ReducerOpInterface>(op) || isa<CarryOp, RunningOp, FoldOp>(op);
  });
}

SetVector<Value>
mlir::attn::collectAccumulators(SweepOp sweep,
                                DenseMap<Value, Value> &auxiliary) {
  SetVector<Value> carried(sweep.getYield().getValues().begin(),
                           sweep.getYield().getValues().end());
  for (unsigned k = 0; k < carried.size(); ++k) {
    addRequired(carried[k], carried, auxiliary);
  }
  return carried;
}

void RangeMerger::merge(Operation *accumulator) {
  if (auto running = dyn_cast<RunningOp>(accumulator)) {
    SmallVector<Value> parts = load(running.getResult());
    map.map(running.getResult(), running.getKind() == GaugeKind::Mean
                                     ? mergeMean(running.getResult())
                                     : combine<arith::MaximumFOp>(parts));
    gaugeParts[running.getResult()] = parts;
  } else if (auto fold = dyn_cast<FoldOp>(accumulator)) {
    mergeFold(fold);
  } else {
    auto carry = cast<CarryOp>(accumulator);
    map.map(carry.getResult(), mergeCarry(carry));
  }
}

Value RangeMerger::mergeCarry(CarryOp carry) {
  switch (carry.getKind()) {
  case CarryKind::Sum:
  case CarryKind::Outer:
    return mergeSum(carry);
  case CarryKind::Max:
    return combine<arith::MaximumFOp>(load(carry.getResult()));
  case CarryKind::Min:
    return combine<arith::MinimumFOp>(load(carry.getResult()));
  case CarryKind::Count:
    return combine<arith::AddIOp>(load(carry.getResult()));
  case CarryKind::Any:
    return mergeAny(carry);
  case CarryKind::Mean:
    return mergeMean(carry.getResult());
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    return mergeArgument(carry);
  }
  return {};
}

/// How far a gauge is from that of a range: 0 where the range has none, and for
/// equal ones, infinities among them.
Value RangeMerger::distance(Value now, Value old) {
  Type type = now.getType();
  Value still = arith::CmpFOp::create(b, loc, CmpFPredicate::OEQ, now, old);
  Value none = arith::CmpFOp::create(b, loc, CmpFPredicate::OEQ, old,
                                     number(type, -kInfinity));
  return arith::SelectOp::create(
      b, loc, arith::OrIOp::create(b, loc, still, none), number(type, 0.0),
      arith::SubFOp::create(b, loc, now, old));
}

void RangeMerger::weigh(CarryOp carry, SmallVectorImpl<Value> &weights,
                        SmallVectorImpl<Value> &live) {
  for (auto [gauge, rate] : llvm::zip(carry.getGauges(), carry.getRates())) {
    Type type = gauge.getType();
    Value now = map.lookup(gauge);
    Value a = convertFloat(b, loc, map.lookupOrDefault(rate), type);
    for (auto [s, old] : llvm::enumerate(gaugeParts[gauge])) {
      Value moved = arith::MulFOp::create(b, loc, a, distance(now, old));
      Value weight = math::Exp2Op::create(b, loc, moved);
      weight =
          convertFloat(b, loc, weight, getElementTypeOrSelf(carry.getType()));
      Value present = arith::CmpFOp::create(b, loc, CmpFPredicate::UNE, old,
                                            number(type, -kInfinity));
      if (s == weights.size()) {
        weights.push_back(weight);
        live.push_back(present);
        continue;
      }
      weights[s] = arith::MulFOp::create(b, loc, weights[s], weight);
      live[s] = arith::AndIOp::create(b, loc, live[s], present);
    }
  }
}

/// The parts of a carry as polynomials in how far the mean of each range is
/// from the common one.
SmallVector<Value> RangeMerger::movedParts(CarryOp carry) {
  SmallVector<Value> parts = load(carry.getResult());
  Value gauge = carry.getPolyGauge();
  if (!gauge) {
    return parts;
  }
  Type type = carry.getType();
  SmallVector<Value> distances;
  for (Value old : gaugeParts[gauge]) {
    Value d = convertFloat(b, loc, distance(map.lookup(gauge), old),
                           getElementTypeOrSelf(type));
    distances.push_back(
        isa<VectorType>(type)
            ? vector::BroadcastOp::create(b, loc, type, d).getResult()
            : d);
  }
  SmallVector<Value> powers = distances;
  for (Value companion : carry.getCompanions()) {
    SmallVector<Value> terms = load(companion);
    for (auto [part, term, power, d] :
         llvm::zip(parts, terms, powers, distances)) {
      part = arith::AddFOp::create(b, loc, part,
                                   arith::MulFOp::create(b, loc, term, power));
      power = arith::MulFOp::create(b, loc, power, d);
    }
  }
  return parts;
}

Value RangeMerger::mergeSum(CarryOp carry) {
  SmallVector<Value> parts = movedParts(carry), weights, live;
  weigh(carry, weights, live);
  if (weights.empty()) {
    return combine<arith::AddFOp>(parts);
  }
  // One part after the other: together they may be more than registers hold.
  Type type = carry.getType();
  Value sum;
  for (auto [part, weight, present] : llvm::zip(parts, weights, live)) {
    if (isa<VectorType>(type)) {
      weight = vector::BroadcastOp::create(b, loc, type, weight);
    }
    Value moved = arith::MulFOp::create(b, loc, part, weight);
    moved = arith::SelectOp::create(b, loc, present, moved, number(type, 0.0));
    sum = sum ? arith::AddFOp::create(b, loc, sum, moved).getResult() : moved;
  }
  return sum;
}

Value RangeMerger::mergeAny(CarryOp carry) {
  Value any = combine<arith::OrIOp>(load(carry.getResult()));
  Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
  return arith::CmpIOp::create(b, loc, CmpIPredicate::ne, any, zero);
}

Value RangeMerger::mergeMean(Value accumulator) {
  Type type = accumulator.getType();
  SmallVector<Value> means = load(accumulator);
  SmallVector<Value> counts = load(auxiliary.lookup(accumulator));
  for (auto [mean, count] : llvm::zip(means, counts)) {
    Value weight = arith::SIToFPOp::create(b, loc, type, count);
    mean = arith::MulFOp::create(b, loc, mean, weight);
  }
  Value total = combine<arith::AddIOp>(counts);
  Value zero = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
  Value none = arith::CmpIOp::create(b, loc, CmpIPredicate::eq, total, zero);
  Value mean =
      arith::DivFOp::create(b, loc, combine<arith::AddFOp>(means),
                            arith::SIToFPOp::create(b, loc, type, total));
  return arith::SelectOp::create(b, loc, none, number(type, 0.0), mean);
}

/// The first NaN wins, then the larger (smaller) value, then the lower index; a
/// range without keys has the index -1.
Value RangeMerger::mergeArgument(CarryOp carry) {
  SmallVector<Value> indices = load(carry.getResult());
  SmallVector<Value> values = load(auxiliary.lookup(carry.getResult()));
  CmpFPredicate better = carry.getKind() == CarryKind::ArgMax
                             ? CmpFPredicate::OGT
                             : CmpFPredicate::OLT;
  Value none = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(-1));
  Value index = indices.front(), value = values.front();
  auto cmp = [&](CmpFPredicate predicate, Value x, Value y) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, x, y);
  };
  auto has = [&](CmpIPredicate predicate, Value x) -> Value {
    return arith::CmpIOp::create(b, loc, predicate, x, none);
  };
  auto both = [&](Value x, Value y) -> Value {
    return arith::AndIOp::create(b, loc, x, y);
  };
  auto either = [&](Value x, Value y) -> Value {
    return arith::OrIOp::create(b, loc, x, y);
  };
  for (auto [i, v] : llvm::drop_begin(llvm::zip(indices, values))) {
    Value firstNaN = both(cmp(CmpFPredicate::UNO, v, v),
                          cmp(CmpFPredicate::ORD, value, value));
    Value wins = either(cmp(better, v, value), firstNaN);
    wins = both(either(wins, has(CmpIPredicate::eq, index)),
                has(CmpIPredicate::ne, i));
    index = arith::SelectOp::create(b, loc, wins, i, index);
    value = arith::SelectOp::create(b, loc, wins, v, value);
  }
  return index;
}

void RangeMerger::mergeFold(FoldOp fold) {
  SmallVector<Value> merged;
  SmallVector<SmallVector<Value>> parts;
  for (Value result : fold.getResults()) {
    parts.push_back(load(result));
    merged.push_back(parts.back().front());
  }
  Block &combination = fold.getCombine().front();
  for (size_t s = 1; s < parts.front().size(); ++s) {
    IRMapping inner(map);
    for (auto [k, value] : llvm::enumerate(merged)) {
      inner.map(combination.getArgument(k), value);
      inner.map(combination.getArgument(k + merged.size()), parts[k][s]);
    }
    for (Operation &op : combination.without_terminator()) {
      b.clone(op, inner);
    }
    for (auto [value, yielded] :
         llvm::zip(merged, combination.getTerminator()->getOperands())) {
      value = inner.lookupOrDefault(yielded);
    }
  }
  map.map(fold.getResults(), merged);
}
