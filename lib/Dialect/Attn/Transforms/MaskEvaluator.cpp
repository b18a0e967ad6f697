//===- MaskEvaluator.cpp - presence conditions on a tile ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskEvaluator.h"
#include "attn/Dialect/Attn/IR/ListOps.h"

#include "attn/Dialect/Attn/IR/NeighborOps.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using arith::CmpIPredicate;

namespace {
/// 64-bit integers that come from the program (offsets, positions, lengths)
/// are checked to lie within this when the kernel runs.
constexpr int64_t kMaxLoaded = int64_t(1) << 48;
} // namespace

MaskEvaluator::MaskEvaluator(SweepOp sweep, OpBuilder &builder, Interval row)
    : stream(sweep->getParentOfType<StreamOp>()), sweep(sweep),
      builder(builder), ib(builder, sweep.getLoc()), row(row) {}

void MaskEvaluator::setKey(Interval interval, bool loads) {
  key = interval;
  keyLoads = loads;
}

//===----------------------------------------------------------------------===//
// What a value depends on
//===----------------------------------------------------------------------===//

/// Whether some head is present, as the presence of head %h of its region,
/// where %h may be any head; null for other values.
static Value getPresenceOfHead(Value value) {
  auto mix = value.getDefiningOp<MixOp>();
  return mix && value == mix.getAny()
             ? mix.getBody().front().getTerminator()->getOperand(1)
             : Value();
}

/// The mixture whose head `value` is.
static MixOp getMixOfHead(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument ? dyn_cast<MixOp>(argument.getOwner()->getParentOp())
                  : MixOp();
}

MaskEvaluator::Traits MaskEvaluator::getTraits(Value value) {
  if (auto known = traits.find(value); known != traits.end()) {
    return known->second;
  }
  Traits result{false, false};
  Operation *def = value.getDefiningOp();
  if (Value presence = getPresenceOfHead(value)) {
    result = {true, getTraits(presence).ofKey};
  } else if (!def) {
    bool isKey = value == sweep.getKeyArg();
    bool ofStream = value.getParentRegion() == &stream.getBody();
    result = {isKey || value == stream.getRowArg() || !ofStream, isKey};
  } else {
    for (Value operand : def->getOperands()) {
      Traits of = getTraits(operand);
      result.varies |= of.varies;
      result.ofKey |= of.ofKey;
    }
    // Sweeps, carries and gauges are values of one row; so is what joins rows,
    // of one key.
    result.varies |= def->getNumRegions() != 0 || !isMemoryEffectFree(def) ||
                     isa<ReducerOpInterface, AcrossOp>(def);
  }
  traits[value] = result;
  return result;
}

Value MaskEvaluator::clone(Value value) {
  if (clones.contains(value)) {
    return clones.lookup(value);
  }
  Operation *def = value.getDefiningOp();
  if (!def) {
    return value; // an argument of the stream
  }
  for (Value operand : def->getOperands()) {
    clones.map(operand, clone(operand));
  }
  builder.clone(*def, clones);
  return clones.lookup(value);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Interval MaskEvaluator::interval(Value value) {
  if (auto known = intervals.find(value); known != intervals.end()) {
    return known->second;
  }
  Interval result = computeInterval(value);
  intervals[value] = result;
  return result;
}

Interval MaskEvaluator::computeInterval(Value value) {
  if (value == stream.getRowArg()) {
    return row;
  }
  if (value == sweep.getKeyArg()) {
    return key;
  }
  if (MixOp mix = getMixOfHead(value)) {
    int64_t last = mix.getInputHeads() - 1;
    return {ib.constant(0), ib.constant(last), 0, last, Value()};
  }
  if (!value.getType().isIntOrIndex() || value.getType().isInteger(1)) {
    return {};
  }
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    return constant.getSignificantBits() <= 64
               ? ib.constantPoint(constant.getSExtValue())
               : Interval();
  }
  if (Operation *def = value.getDefiningOp()) {
    if (Interval result = ib.fit(structured(def), value.getType())) {
      return result;
    }
  }
  return getTraits(value).varies ? Interval() : leaf(value);
}

Interval MaskEvaluator::extent(Value value) {
  if (getTraits(value).varies) {
    return interval(value);
  }
  return ib.point(clone(value), 0, kMaxExtent);
}

/// A value that is the same for the whole tile and of which no more is known.
Interval MaskEvaluator::leaf(Value value) {
  Type type = value.getType();
  bool isExtent =
      isa_and_present<tensor::DimOp, memref::DimOp>(value.getDefiningOp()) ||
      (isa<BlockArgument>(value) &&
       cast<BlockArgument>(value).getArgNumber() < StreamOp::kNumIndexArgs);
  Value point = clone(value);
  if (isExtent) {
    return ib.point(point, 0, kMaxExtent);
  }
  if (!type.isIndex()) {
    if (type.getIntOrFloatBitWidth() > 64) {
      return {};
    }
    point = builder.createOrFold<arith::IndexCastOp>(
        ib.loc, builder.getIndexType(), point);
  }
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (width < 64) {
    int64_t end = int64_t(1) << (width - 1);
    return ib.point(point, -end, end - 1);
  }
  return ib.require(ib.point(point, INT64_MIN, INT64_MAX), -kMaxLoaded,
                    kMaxLoaded);
}

/// `index`, moved into dimension `dim` of `source`: the end of an interval may
/// be a value that no entry of the tile has.
Value MaskEvaluator::clampIndex(Value index, Value source, int64_t dim) {
  auto type = cast<ShapedType>(source.getType());
  Value extent;
  if (!type.isDynamicDim(dim)) {
    extent = ib.constant(type.getDimSize(dim));
  } else if (isa<TensorType>(type)) {
    extent = tensor::DimOp::create(builder, ib.loc, source, dim);
  } else {
    extent = memref::DimOp::create(builder, ib.loc, source, dim);
  }
  Value last = ib.fold<arith::SubIOp>(extent, ib.constant(1));
  return ib.fold<arith::MinSIOp>(ib.fold<arith::MaxSIOp>(index, ib.constant(0)),
                                 last);
}

/// The index lists that `indices` can be on the tile, and when that is all of
/// them: each may take two values, the ends of its interval. That serves tables
/// over blocks, of which a tile touches one or two along each axis.
bool MaskEvaluator::enumerate(Value source, ValueRange indices,
                              SmallVectorImpl<SmallVector<Value>> &lists,
                              Value &valid) {
  lists.assign(1, {});
  for (auto [dim, index] : llvm::enumerate(indices)) {
    if (!getTraits(index).varies) {
      for (auto &list : lists) {
        list.push_back(clone(index));
      }
      continue;
    }
    Interval x = interval(index);
    if (!x || lists.size() > 2) {
      return false;
    }
    Value gap = ib.fold<arith::SubIOp>(x.hi, x.lo);
    Value near = ib.compareValues(CmpIPredicate::sle, gap, ib.constant(1));
    valid = ib.both(valid, ib.both(x.valid, x.isPoint() ? Value() : near));
    SmallVector<SmallVector<Value>> longer;
    for (const auto &list : lists) {
      for (Value end : {x.lo, x.hi}) {
        longer.push_back(list);
        longer.back().push_back(clampIndex(end, source, dim));
        if (x.isPoint()) {
          break;
        }
      }
    }
    lists.assign(longer.begin(), longer.end());
  }
  return true;
}

/// Whether a captured tensor can be read at these indices on a tile.
bool MaskEvaluator::isReadable(Value source, ValueRange indices) {
  return !indices.empty() && !getTraits(source).varies &&
         (keyLoads || llvm::none_of(indices, [&](Value index) {
            return getTraits(index).ofKey;
          }));
}

/// An element of a captured tensor: the smallest and largest over the interval
/// of the last index, at each value of the others.
Interval MaskEvaluator::load(Value source, ValueRange indices, Type type) {
  if (!type.isIntOrIndex() || type.isInteger(1) ||
      (!type.isIndex() && type.getIntOrFloatBitWidth() > 64) ||
      !isReadable(source, indices) ||
      llvm::none_of(indices, [&](Value v) { return getTraits(v).varies; })) {
    return {};
  }
  Interval last = interval(indices.back());
  Value from = clone(source), valid = last.valid;
  SmallVector<SmallVector<Value>> lists;
  if (!last || !enumerate(from, indices.drop_back(), lists, valid)) {
    return {};
  }
  Interval result{Value(), Value(), INT64_MIN, INT64_MAX, valid};
  auto toIndex = [&](Value value) -> Value {
    return type.isIndex() ? value
                          : arith::IndexCastOp::create(
                                builder, ib.loc, builder.getIndexType(), value);
  };
  for (const auto &list : lists) {
    auto range = RangeOp::create(builder, ib.loc, TypeRange{type, type}, from,
                                 list, last.lo, last.hi);
    Value lo = toIndex(range.getMin()), hi = toIndex(range.getMax());
    result.lo = result.lo ? ib.fold<arith::MinSIOp>(result.lo, lo) : lo;
    result.hi = result.hi ? ib.fold<arith::MaxSIOp>(result.hi, hi) : hi;
  }
  if (!type.isIndex() && type.getIntOrFloatBitWidth() < 64) {
    int64_t end = int64_t(1) << (type.getIntOrFloatBitWidth() - 1);
    result.min = -end;
    result.max = end - 1;
    return result;
  }
  return ib.require(result, -kMaxLoaded, kMaxLoaded);
}

/// A captured bit, where the tile touches at most two along each axis.
Predicate MaskEvaluator::loadBit(Value source, ValueRange indices) {
  Value from, valid;
  SmallVector<SmallVector<Value>> lists;
  if (!isReadable(source, indices) ||
      !enumerate(from = clone(source), indices, lists, valid)) {
    return ib.unknown();
  }
  Predicate result{ib.boolean(false), ib.boolean(true)};
  for (const auto &list : lists) {
    Value bit = AtOp::create(builder, ib.loc, builder.getI1Type(), from, list);
    result = {ib.either(result.may, bit), ib.both(result.must, bit)};
  }
  if (!valid) {
    return result;
  }
  return {ib.either(ib.negate(valid), result.may), ib.both(valid, result.must)};
}

/// The rule of an operation; unknown where there is none. Unsigned operations
/// agree with signed ones on non-negative operands, so they require those.
Interval MaskEvaluator::structured(Operation *op) {
  auto of = [&](unsigned k) { return interval(op->getOperand(k)); };
  auto natural = [&](unsigned k) {
    Interval x = of(k);
    return ib.require(x, 0, x.max);
  };
  return TypeSwitch<Operation *, Interval>(op)
      .Case<arith::AddIOp>([&](auto) { return ib.add(of(0), of(1)); })
      .Case<arith::SubIOp>([&](auto) { return ib.sub(of(0), of(1)); })
      .Case<arith::MulIOp>([&](auto) { return ib.mul(of(0), of(1)); })
      .Case<arith::DivSIOp>(
          [&](auto) { return ib.div<arith::DivSIOp>(of(0), of(1)); })
      .Case<arith::FloorDivSIOp>(
          [&](auto) { return ib.div<arith::FloorDivSIOp>(of(0), of(1)); })
      .Case<arith::CeilDivSIOp>(
          [&](auto) { return ib.div<arith::CeilDivSIOp>(of(0), of(1)); })
      .Case<arith::DivUIOp>(
          [&](auto) { return ib.div<arith::DivSIOp>(natural(0), natural(1)); })
      .Case<arith::CeilDivUIOp>([&](auto) {
        return ib.div<arith::CeilDivSIOp>(natural(0), natural(1));
      })
      .Case<arith::RemSIOp>([&](auto) { return ib.rem(of(0), of(1)); })
      .Case<arith::RemUIOp>(
          [&](auto) { return ib.rem(natural(0), natural(1)); })
      .Case<arith::MinSIOp>([&](auto) { return ib.minimum(of(0), of(1)); })
      .Case<arith::MaxSIOp>([&](auto) { return ib.maximum(of(0), of(1)); })
      .Case<arith::MinUIOp>(
          [&](auto) { return ib.minimum(natural(0), natural(1)); })
      .Case<arith::MaxUIOp>(
          [&](auto) { return ib.maximum(natural(0), natural(1)); })
      .Case<math::AbsIOp>([&](auto) { return ib.absolute(of(0)); })
      .Case<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(
          [&](auto) { return of(0); })
      .Case<arith::IndexCastUIOp, arith::ExtUIOp>([&](auto) {
        if (!op->getOperand(0).getType().isInteger(1)) {
          return natural(0);
        }
        Predicate bit = predicate(op->getOperand(0));
        Value zero = ib.constant(0), one = ib.constant(1);
        return Interval{ib.select(bit.must, one, zero),
                        ib.select(bit.may, one, zero), 0, 1, Value()};
      })
      .Case<arith::SelectOp>([&](arith::SelectOp select) {
        if (!select.getCondition().getType().isInteger(1)) {
          return Interval();
        }
        return ib.select(predicate(select.getCondition()), of(1), of(2));
      })
      .Case<AtOp>([&](AtOp at) {
        return load(at.getSource(), at.getIndices(), at.getType());
      })
      .Case<tensor::ExtractOp>([&](tensor::ExtractOp at) {
        return load(at.getTensor(), at.getIndices(), at.getType());
      })
      .Default([](Operation *) { return Interval(); });
}

//===----------------------------------------------------------------------===//
// Predicates
//===----------------------------------------------------------------------===//

Predicate MaskEvaluator::predicate(Value value) {
  if (auto known = predicates.find(value); known != predicates.end()) {
    return known->second;
  }
  Predicate result = computePredicate(value);
  predicates[value] = result;
  return result;
}

Predicate MaskEvaluator::computePredicate(Value value) {
  if (matchPattern(value, m_One()) || matchPattern(value, m_Zero())) {
    bool holds = matchPattern(value, m_One());
    return {ib.boolean(holds), ib.boolean(holds)};
  }
  // Exact where nothing varies; otherwise by the rules, which fail softly.
  if (!getTraits(value).varies) {
    Value same = clone(value);
    return {same, same};
  }
  if (Value presence = getPresenceOfHead(value)) {
    return predicate(presence);
  }
  Operation *op = value.getDefiningOp();
  if (!op) {
    return ib.unknown();
  }
  auto of = [&](unsigned k) { return predicate(op->getOperand(k)); };
  return TypeSwitch<Operation *, Predicate>(op)
      .Case<arith::AndIOp>([&](auto) { return ib.both(of(0), of(1)); })
      .Case<arith::OrIOp>([&](auto) { return ib.either(of(0), of(1)); })
      .Case<arith::XOrIOp>([&](auto) { return ib.differ(of(0), of(1)); })
      .Case<arith::SelectOp>([&](arith::SelectOp) {
        Predicate c = of(0), x = of(1), y = of(2);
        Predicate cases = ib.either(ib.both(c, x), ib.both(ib.negate(c), y));
        return Predicate{cases.may,
                         ib.either(cases.must, ib.both(x.must, y.must))};
      })
      .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) {
        if (!cmp.getLhs().getType().isInteger(1)) {
          return ib.compare(cmp.getPredicate(), interval(cmp.getLhs()),
                            interval(cmp.getRhs()));
        }
        Predicate differ = ib.differ(of(0), of(1));
        return cmp.getPredicate() == CmpIPredicate::ne   ? differ
               : cmp.getPredicate() == CmpIPredicate::eq ? ib.negate(differ)
                                                         : ib.unknown();
      })
      .Case<ListedOp>([&](ListedOp listed) {
        // Of the keys that a driven sweep visits, all are listed.
        return listed.getDrives()
                   ? Predicate{ib.boolean(true), ib.boolean(true)}
                   : ib.unknown();
      })
      .Case<AtOp>(
          [&](AtOp at) { return loadBit(at.getSource(), at.getIndices()); })
      .Case<tensor::ExtractOp>([&](tensor::ExtractOp at) {
        return loadBit(at.getTensor(), at.getIndices());
      })
      .Default([&](Operation *) { return ib.unknown(); });
}
