//===- Trigonometry.cpp - sines, cosines and their inverses in f64 --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Taylor series: of what is left after multiples of pi / 2 that are exact to
// 2^-160 (W. J. Cody and W. Waite, Software manual for the elementary
// functions, 1980), and of the arc tangent up to pi / 8.
//
//===----------------------------------------------------------------------===//

#include "DoubleMath.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

// pi / 2 is the sum of these.
static constexpr double kHalfPi = 0x1.921fb54442d18p+0;
static constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
static constexpr double kHalfPiLowest = -0x1.f1976b7ed8fbcp-110;

Value DoubleMath::hasBit(Value integers, int64_t bit) {
  Value mask = e.constant(integers.getType(), static_cast<double>(bit));
  return e.equal(arith::AndIOp::create(e, integers, mask), mask);
}

DoubleMath::Circle DoubleMath::reduce(Value x) {
  constexpr double kTwoByPi = 0x1.45f306dc9c883p-1;
  Value count = math::RoundEvenOp::create(e, mul(x, number(x, kTwoByPi)));
  // The first difference is exact; of the second, what rounding takes is kept.
  Value first = fma(count, number(x, -kHalfPi), x);
  Value part = mul(count, number(x, kHalfPiLow));
  Value r = sub(first, part);
  Value lost = sub(sub(first, r), part);
  lost = sub(lost, fma(count, number(x, kHalfPiLow), neg(part)));
  lost = fma(count, number(x, -kHalfPiLowest), lost);
  // What is too large is NaN, as infinities are, and NaN is no integer.
  Value inside = isLess(size(x), number(x, 0x1p52));
  r = e.select(inside, r, number(x, std::numeric_limits<double>::quiet_NaN()));
  Value quadrant = arith::FPToSIOp::create(
      e, getIntegers(x), e.select(inside, count, number(x, 0.0)));
  double sines[9] = {1.0}, cosines[9] = {1.0};
  for (int n = 1; n < 9; ++n) {
    sines[n] = -sines[n - 1] / (2.0 * n * (2 * n + 1));
    cosines[n] = -cosines[n - 1] / (2.0 * n * (2 * n - 1));
  }
  Value square = mul(r, r), half = mul(square, number(x, 0.5));
  Value cosine = sub(number(x, 1.0), half);
  Value sine =
      mul(mul(square, r), polynomial(square, ArrayRef(sines).drop_front()));
  sine = add(r, fma(lost, cosine, sine));
  // Of 1 - r^2 / 2 as well.
  Value rest = sub(sub(number(x, 1.0), cosine), half);
  rest = fma(number(x, -0.5), fma(r, r, neg(square)), rest);
  rest = fma(neg(r), lost, rest);
  rest = fma(mul(square, square),
             polynomial(square, ArrayRef(cosines).drop_front(2)), rest);
  return {sine, add(cosine, rest), quadrant};
}

Value DoubleMath::sin(Value x) {
  Circle circle = reduce(x);
  Value result =
      e.select(hasBit(circle.quadrant, 1), circle.cosine, circle.sine);
  result = e.select(hasBit(circle.quadrant, 2), neg(result), result);
  return e.select(isEqual(x, number(x, 0.0)), x, result);
}

Value DoubleMath::cos(Value x) {
  Circle circle = reduce(x);
  Value quadrant = arith::AddIOp::create(
      e, circle.quadrant, e.constant(circle.quadrant.getType(), 1));
  Value result = e.select(hasBit(quadrant, 1), circle.cosine, circle.sine);
  return e.select(hasBit(quadrant, 2), neg(result), result);
}

Value DoubleMath::tan(Value x) {
  Circle circle = reduce(x);
  Value odd = hasBit(circle.quadrant, 1);
  Value above = e.select(odd, neg(circle.cosine), circle.sine);
  Value result = div(above, e.select(odd, circle.sine, circle.cosine));
  return e.select(isEqual(x, number(x, 0.0)), x, result);
}

Value DoubleMath::atan2(Value y, Value x) {
  constexpr double kTangentOfEighth = 0x1.a827999fcef32p-2;
  Value zero = number(x, 0.0), one = number(x, 1.0);
  Value across = size(x), up = size(y);
  Value isSteep = isLess(across, up);
  Value low = e.select(isSteep, across, up);
  Value high = e.select(isSteep, up, across);
  Value ratio = div(low, high);
  // Two zeros are an angle of 0, two infinities one of pi / 4.
  ratio = e.select(isEqual(low, high), one, ratio);
  ratio = e.select(isEqual(high, zero), zero, ratio);
  // From pi / 8 on, as an angle to pi / 4.
  Value isWide = isLess(number(x, kTangentOfEighth), ratio);
  Value t = e.select(isWide, div(sub(ratio, one), add(ratio, one)), ratio);
  double terms[22];
  for (int n = 0; n < 22; ++n) {
    terms[n] = (n % 2 ? 1.0 : -1.0) / (2 * n + 3);
  }
  Value square = mul(t, t);
  Value rest = mul(mul(t, square), polynomial(square, terms));
  Value angle = add(t, rest);
  Value wide = add(t, add(rest, number(x, 0.5 * kHalfPiLow)));
  angle = e.select(isWide, add(number(x, 0.5 * kHalfPi), wide), angle);
  // Reflections.
  auto reflect = [&](Value condition, double times) {
    Value other = sub(number(x, times * kHalfPi),
                      sub(angle, number(x, times * kHalfPiLow)));
    angle = e.select(condition, other, angle);
  };
  reflect(isSteep, 1.0);
  Value signs = arith::BitcastOp::create(e, getIntegers(x), x);
  reflect(arith::CmpIOp::create(e, arith::CmpIPredicate::slt, signs,
                                e.constant(getIntegers(x), 0)),
          2.0);
  angle = math::CopySignOp::create(e, angle, y);
  return keepNaN(x, keepNaN(y, angle));
}

Value DoubleMath::atan(Value x) { return atan2(x, number(x, 1.0)); }

Value DoubleMath::asin(Value x) {
  Value rest = fma(neg(x), x, number(x, 1.0));
  return atan2(x, math::SqrtOp::create(e, rest));
}

Value DoubleMath::acos(Value x) {
  Value rest = fma(neg(x), x, number(x, 1.0));
  return atan2(math::SqrtOp::create(e, rest), x);
}
