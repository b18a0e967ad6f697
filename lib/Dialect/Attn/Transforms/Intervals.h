//===- Intervals.h - interval arithmetic as emitted code ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Mask analysis asks, for a tile of rows and keys, what a predicate can be on
// it. The tile is known when the kernel runs, so the answer is code: every
// integer of the predicate becomes a pair of index values, its least and its
// greatest value on the tile, and every i1 a pair of i1 (may hold, must hold).
//
//   %d = subi %j, %i          lo = j0 - i1, hi = j1 - i0
//   %p = cmpi sle, %d, %w     may = lo <= w, must = hi <= w
//
// Soundness. For a valid interval, lo <= value <= hi for every entry of the
// tile; for a predicate, must => value => may for every entry. Each rule
// keeps both. Machine integers wrap and intervals do not, hence two guards:
// `min` and `max` bound an interval while compiling, and an operation that
// could leave the 64-bit range is unknown; one that could leave a narrower
// type is computed in 64 bits and is `valid` only where it stayed inside.
// An invalid interval says nothing: may is true, must is false.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_INTERVALS_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_INTERVALS_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn {

/// No tensor has an extent above this, so no index reaches it.
constexpr int64_t kMaxExtent = int64_t(1) << 40;

/// What an integer value can be on a tile; unknown where `lo` is null.
struct Interval {
  Value lo, hi;             // of index type; the same value for a point
  int64_t min = 0, max = 0; // known while compiling: min <= lo, hi <= max
  Value valid;              // i1; null where always valid

  explicit operator bool() const { return static_cast<bool>(lo); }
  bool isPoint() const { return lo == hi; }
  bool isNonNegative() const { return min >= 0; }
};

/// What a predicate can be on a tile.
struct Predicate {
  Value may, must;
};

/// Emits arithmetic on intervals and predicates, folding what is constant.
class IntervalBuilder {
public:
  IntervalBuilder(OpBuilder &builder, Location loc)
      : builder(builder), loc(loc) {}

  OpBuilder &builder;
  Location loc;

  // Single values.
  Value constant(int64_t value);
  Value boolean(bool value);
  Value negate(Value x);
  Value both(Value x, Value y);   // a null operand counts as true
  Value either(Value x, Value y); // no null operands
  Value select(Value condition, Value x, Value y);
  Value compareValues(arith::CmpIPredicate predicate, Value x, Value y);
  template <typename OpTy> Value fold(Value x, Value y) {
    return builder.createOrFold<OpTy>(loc, x, y);
  }

  // Intervals. Unknown operands give an unknown result.
  Interval point(Value value, int64_t min, int64_t max);
  Interval constantPoint(int64_t value);
  /// The lower (upper) end as a point, as valid as the interval.
  Interval lower(const Interval &x) {
    return {x.lo, x.lo, x.min, x.max, x.valid};
  }
  Interval upper(const Interval &x) {
    return {x.hi, x.hi, x.min, x.max, x.valid};
  }
  Interval add(const Interval &x, const Interval &y);
  Interval sub(const Interval &x, const Interval &y);
  Interval mul(const Interval &x, const Interval &y);
  /// Division by a point that is (checked to be) positive; OpTy is one of the
  /// signed divisions of arith, all of which are monotone.
  template <typename OpTy> Interval div(const Interval &x, const Interval &y);
  /// Remainder of signed, truncating division by a positive point.
  Interval rem(const Interval &x, const Interval &y);
  Interval minimum(const Interval &x, const Interval &y);
  Interval maximum(const Interval &x, const Interval &y);
  Interval absolute(const Interval &x);
  Interval select(const Predicate &condition, const Interval &x,
                  const Interval &y);
  /// `x` as a value of `type`: valid only where it fits.
  Interval fit(Interval x, Type type);
  /// `x`, valid only where it lies in [min, max].
  Interval require(Interval x, int64_t min, int64_t max);

  // Predicates.
  Predicate unknown() { return {boolean(true), boolean(false)}; }
  Predicate compare(arith::CmpIPredicate predicate, Interval x, Interval y);
  Predicate negate(const Predicate &p) {
    return {negate(p.must), negate(p.may)};
  }
  Predicate both(const Predicate &p, const Predicate &q);
  Predicate either(const Predicate &p, const Predicate &q);
  Predicate differ(const Predicate &p, const Predicate &q);

private:
  Interval positive(Interval divisor);
  Predicate less(const Interval &x, const Interval &y, bool orEqual);
  Predicate equal(const Interval &x, const Interval &y);
};

template <typename OpTy>
Interval IntervalBuilder::div(const Interval &x, const Interval &y) {
  Interval d = positive(y);
  if (!x || !d) {
    return {};
  }
  // Magnitudes shrink; rounding up reaches at most the dividend.
  constexpr bool up = std::is_same_v<OpTy, arith::CeilDivSIOp>;
  int64_t min = std::min<int64_t>(x.min, 0), max = std::max<int64_t>(x.max, 0);
  if (d.min == d.max && !up) {
    min = x.min / d.min - (x.min < 0);
    max = x.max / d.min;
  }
  auto divide = [&](Value value) {
    return x.isNonNegative() && !up ? fold<arith::DivSIOp>(value, d.lo)
                                    : fold<OpTy>(value, d.lo);
  };
  Value lo = divide(x.lo);
  Value hi = x.isPoint() ? lo : divide(x.hi);
  return {lo, hi, min, max, both(x.valid, d.valid)};
}

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_INTERVALS_H
