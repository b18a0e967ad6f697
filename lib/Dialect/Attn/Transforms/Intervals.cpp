//===- Intervals.cpp - interval arithmetic as emitted code ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Intervals.h"

using namespace mlir;
using namespace mlir::attn;
using arith::CmpIPredicate;

namespace {
using Wide = __int128;
/// Ends of intervals stay below this, so that 64-bit arithmetic cannot wrap.
constexpr int64_t kLimit = int64_t(1) << 62;
} // namespace

/// The interval, or unknown if its static bounds leave the safe range.
static Interval bounded(Value lo, Value hi, Wide min, Wide max, Value valid) {
  if (min < -static_cast<Wide>(kLimit) || max > static_cast<Wide>(kLimit)) {
    return {};
  }
  return {lo, hi, static_cast<int64_t>(min), static_cast<int64_t>(max), valid};
}

//===----------------------------------------------------------------------===//
// Single values
//===----------------------------------------------------------------------===//

Value IntervalBuilder::constant(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value IntervalBuilder::boolean(bool value) {
  return arith::ConstantOp::create(builder, loc, builder.getBoolAttr(value));
}

Value IntervalBuilder::negate(Value x) {
  return fold<arith::XOrIOp>(x, boolean(true));
}

Value IntervalBuilder::both(Value x, Value y) {
  if (!x || !y) {
    return x ? x : y;
  }
  return fold<arith::AndIOp>(x, y);
}

Value IntervalBuilder::either(Value x, Value y) {
  return fold<arith::OrIOp>(x, y);
}

Value IntervalBuilder::select(Value condition, Value x, Value y) {
  return builder.createOrFold<arith::SelectOp>(loc, condition, x, y);
}

Value IntervalBuilder::compareValues(CmpIPredicate predicate, Value x,
                                     Value y) {
  return builder.createOrFold<arith::CmpIOp>(loc, predicate, x, y);
}

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

Interval IntervalBuilder::point(Value value, int64_t min, int64_t max) {
  return {value, value, min, max, Value()};
}

Interval IntervalBuilder::constantPoint(int64_t value) {
  if (value < -kLimit || value > kLimit) {
    return {};
  }
  return point(constant(value), value, value);
}

Interval IntervalBuilder::add(const Interval &x, const Interval &y) {
  if (!x || !y) {
    return {};
  }
  Value lo = fold<arith::AddIOp>(x.lo, y.lo);
  Value hi = x.isPoint() && y.isPoint() ? lo : fold<arith::AddIOp>(x.hi, y.hi);
  return bounded(lo, hi, static_cast<Wide>(x.min) + y.min,
                 static_cast<Wide>(x.max) + y.max, both(x.valid, y.valid));
}

Interval IntervalBuilder::sub(const Interval &x, const Interval &y) {
  if (!x || !y) {
    return {};
  }
  Value lo = fold<arith::SubIOp>(x.lo, y.hi);
  Value hi = x.isPoint() && y.isPoint() ? lo : fold<arith::SubIOp>(x.hi, y.lo);
  return bounded(lo, hi, static_cast<Wide>(x.min) - y.max,
                 static_cast<Wide>(x.max) - y.min, both(x.valid, y.valid));
}

Interval IntervalBuilder::mul(const Interval &x, const Interval &y) {
  if (!x || !y) {
    return {};
  }
  // The extremes of a product are at corners; static bounds are one instance.
  Wide corners[] = {
      static_cast<Wide>(x.min) * y.min, static_cast<Wide>(x.min) * y.max,
      static_cast<Wide>(x.max) * y.min, static_cast<Wide>(x.max) * y.max};
  Wide min = *llvm::min_element(corners), max = *llvm::max_element(corners);
  Value valid = both(x.valid, y.valid);
  Value lo, hi;
  if (x.isNonNegative() && y.isNonNegative()) {
    lo = fold<arith::MulIOp>(x.lo, y.lo);
    hi = x.isPoint() && y.isPoint() ? lo : fold<arith::MulIOp>(x.hi, y.hi);
    return bounded(lo, hi, min, max, valid);
  }
  for (Value a : {x.lo, x.hi}) {
    for (Value b : {y.lo, y.hi}) {
      Value product = fold<arith::MulIOp>(a, b);
      lo = lo ? fold<arith::MinSIOp>(lo, product) : product;
      hi = hi ? fold<arith::MaxSIOp>(hi, product) : product;
      if (x.isPoint() && y.isPoint()) {
        return bounded(product, product, min, max, valid);
      }
    }
  }
  return bounded(lo, hi, min, max, valid);
}

/// A divisor: a point, made positive where it is not, and then invalid.
Interval IntervalBuilder::positive(Interval divisor) {
  if (!divisor || !divisor.isPoint() || divisor.max < 1) {
    return {};
  }
  if (divisor.min >= 1) {
    return divisor;
  }
  Value one = constant(1);
  Value ok = compareValues(CmpIPredicate::sge, divisor.lo, one);
  Value safe = fold<arith::MaxSIOp>(divisor.lo, one);
  return {safe, safe, 1, divisor.max, both(divisor.valid, ok)};
}

Interval IntervalBuilder::rem(const Interval &x, const Interval &y) {
  Interval d = positive(y);
  if (!x || !d) {
    return {};
  }
  if (x.isNonNegative() && x.max < d.min) {
    return x;
  }
  Value valid = both(x.valid, d.valid);
  int64_t min = x.isNonNegative() ? 0 : -(d.max - 1);
  int64_t max = x.max <= 0 ? 0 : d.max - 1;
  Value lo = fold<arith::RemSIOp>(x.lo, d.lo);
  if (x.isPoint()) {
    return {lo, lo, min, max, valid};
  }
  // With one quotient for both ends all values between have it too, and the
  // remainder grows with the value (also for the quotient 0, which holds
  // values of both signs that are their own remainders). Otherwise the sign of
  // a remainder is that of the dividend, and its magnitude at most d - 1.
  Value hi = fold<arith::RemSIOp>(x.hi, d.lo);
  Value onePeriod =
      compareValues(CmpIPredicate::eq, fold<arith::DivSIOp>(x.lo, d.lo),
                    fold<arith::DivSIOp>(x.hi, d.lo));
  Value zero = constant(0);
  Value last = fold<arith::SubIOp>(d.lo, constant(1));
  Value least = zero;
  if (!x.isNonNegative()) {
    Value floor = fold<arith::MaxSIOp>(fold<arith::SubIOp>(zero, last), x.lo);
    least = fold<arith::MinSIOp>(floor, zero);
  }
  Value most = fold<arith::MinSIOp>(last, fold<arith::MaxSIOp>(x.hi, zero));
  return {select(onePeriod, lo, least), select(onePeriod, hi, most), min, max,
          valid};
}

Interval IntervalBuilder::minimum(const Interval &x, const Interval &y) {
  if (!x || !y) {
    return {};
  }
  if (!x.valid && !y.valid && (x.max <= y.min || y.max <= x.min)) {
    return x.max <= y.min ? x : y;
  }
  Value lo = fold<arith::MinSIOp>(x.lo, y.lo);
  Value hi = x.isPoint() && y.isPoint() ? lo : fold<arith::MinSIOp>(x.hi, y.hi);
  return {lo, hi, std::min(x.min, y.min), std::min(x.max, y.max),
          both(x.valid, y.valid)};
}

Interval IntervalBuilder::maximum(const Interval &x, const Interval &y) {
  if (!x || !y) {
    return {};
  }
  if (!x.valid && !y.valid && (x.max <= y.min || y.max <= x.min)) {
    return x.max <= y.min ? y : x;
  }
  Value lo = fold<arith::MaxSIOp>(x.lo, y.lo);
  Value hi = x.isPoint() && y.isPoint() ? lo : fold<arith::MaxSIOp>(x.hi, y.hi);
  return {lo, hi, std::max(x.min, y.min), std::max(x.max, y.max),
          both(x.valid, y.valid)};
}

Interval IntervalBuilder::absolute(const Interval &x) {
  if (!x || x.isNonNegative()) {
    return x;
  }
  Interval negated = sub(constantPoint(0), x);
  if (!negated) {
    return {};
  }
  Value hi = fold<arith::MaxSIOp>(negated.hi, x.hi);
  Value lo = hi;
  if (!x.isPoint()) {
    lo = fold<arith::MaxSIOp>(constant(0),
                              fold<arith::MaxSIOp>(x.lo, negated.lo));
  }
  return {lo, hi, 0, std::max(x.max, negated.max), x.valid};
}

Interval IntervalBuilder::select(const Predicate &condition, const Interval &x,
                                 const Interval &y) {
  if (!x || !y) {
    return {};
  }
  // Surely x, surely y, or either: then the hull.
  Value lo =
      select(condition.must, x.lo,
             select(condition.may, fold<arith::MinSIOp>(x.lo, y.lo), y.lo));
  Value hi = lo;
  if (!x.isPoint() || !y.isPoint() || condition.may != condition.must) {
    hi = select(condition.must, x.hi,
                select(condition.may, fold<arith::MaxSIOp>(x.hi, y.hi), y.hi));
  }
  return {lo, hi, std::min(x.min, y.min), std::max(x.max, y.max),
          both(x.valid, y.valid)};
}

Interval IntervalBuilder::require(Interval x, int64_t min, int64_t max) {
  if (!x) {
    return {};
  }
  if (x.min < min) {
    x.valid =
        both(x.valid, compareValues(CmpIPredicate::sge, x.lo, constant(min)));
    x.min = min;
  }
  if (x.max > max) {
    x.valid =
        both(x.valid, compareValues(CmpIPredicate::sle, x.hi, constant(max)));
    x.max = max;
  }
  if (x.min > x.max) {
    return {};
  }
  return x;
}

Interval IntervalBuilder::fit(Interval x, Type type) {
  if (!x || !type.isIntOrIndex() || type.isInteger(1)) {
    return {};
  }
  if (type.isIndex() || type.getIntOrFloatBitWidth() >= 64) {
    return x;
  }
  int64_t end = int64_t(1) << (type.getIntOrFloatBitWidth() - 1);
  return require(x, -end, end - 1);
}

//===----------------------------------------------------------------------===//
// Predicates
//===----------------------------------------------------------------------===//

Predicate IntervalBuilder::less(const Interval &x, const Interval &y,
                                bool orEqual) {
  if (x.max < y.min || (orEqual && x.max == y.min)) {
    return {boolean(true), boolean(true)};
  }
  if (x.min > y.max || (!orEqual && x.min == y.max)) {
    return {boolean(false), boolean(false)};
  }
  CmpIPredicate predicate = orEqual ? CmpIPredicate::sle : CmpIPredicate::slt;
  Value may = compareValues(predicate, x.lo, y.hi);
  if (x.isPoint() && y.isPoint()) {
    return {may, may};
  }
  return {may, compareValues(predicate, x.hi, y.lo)};
}

Predicate IntervalBuilder::equal(const Interval &x, const Interval &y) {
  if (x.max < y.min || y.max < x.min) {
    return {boolean(false), boolean(false)};
  }
  if (x.isPoint() && y.isPoint()) {
    Value same = compareValues(CmpIPredicate::eq, x.lo, y.lo);
    return {same, same};
  }
  return both(less(x, y, /*orEqual=*/true), less(y, x, /*orEqual=*/true));
}

Predicate IntervalBuilder::compare(CmpIPredicate predicate, Interval x,
                                   Interval y) {
  if (!x || !y) {
    return unknown();
  }
  bool equality =
      predicate == CmpIPredicate::eq || predicate == CmpIPredicate::ne;
  if (!equality && predicate >= CmpIPredicate::ult) {
    // On non-negative values unsigned order is signed order.
    x = require(x, 0, x.max);
    y = require(y, 0, y.max);
    if (!x || !y) {
      return unknown();
    }
  }
  Predicate result;
  switch (predicate) {
  case CmpIPredicate::eq:
    result = equal(x, y);
    break;
  case CmpIPredicate::ne:
    result = negate(equal(x, y));
    break;
  case CmpIPredicate::slt:
  case CmpIPredicate::ult:
    result = less(x, y, /*orEqual=*/false);
    break;
  case CmpIPredicate::sle:
  case CmpIPredicate::ule:
    result = less(x, y, /*orEqual=*/true);
    break;
  case CmpIPredicate::sgt:
  case CmpIPredicate::ugt:
    result = less(y, x, /*orEqual=*/false);
    break;
  case CmpIPredicate::sge:
  case CmpIPredicate::uge:
    result = less(y, x, /*orEqual=*/true);
    break;
  }
  if (Value valid = both(x.valid, y.valid)) {
    return {either(negate(valid), result.may), both(valid, result.must)};
  }
  return result;
}

Predicate IntervalBuilder::both(const Predicate &p, const Predicate &q) {
  Value may = both(p.may, q.may);
  bool exact = p.may == p.must && q.may == q.must;
  return {may, exact ? may : both(p.must, q.must)};
}

Predicate IntervalBuilder::either(const Predicate &p, const Predicate &q) {
  Value may = either(p.may, q.may);
  bool exact = p.may == p.must && q.may == q.must;
  return {may, exact ? may : either(p.must, q.must)};
}

Predicate IntervalBuilder::differ(const Predicate &p, const Predicate &q) {
  return either(both(p, negate(q)), both(q, negate(p)));
}
