//===- DoubleMath.cpp - elementary functions of f64 -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp: x = k ln 2 + r with |r| <= ln 2 / 2, a Taylor series of r, 2^k in two
// factors. log: x = m 2^k with m in [sqrt 1/2, sqrt 2), and the series of
// ln (1 + f) in s = f / (2 + f), kept apart from f - f^2 / 2 so that its
// rounding counts little; pow, which multiplies what its logarithm is off by up
// to 1074, has the same series in pairs of numbers (T. J. Dekker, A
// floating-point technique for extending the available precision, 1971). erfc:
// the trapezoidal rule, which converges exponentially here (C. Chiarella and
// A. Reichel, On the evaluation of integrals related to the error function,
// 1968).
//
//===----------------------------------------------------------------------===//

#include "DoubleMath.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static constexpr double kLn2High = 0x1.62e42fee00000p-1;
static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
static constexpr double kLog2E = 0x1.71547652b82fep+0;
static constexpr double kLog2ELow = 0x1.777d0ffda0d24p-56;
static constexpr double kLn2 = 0x1.62e42fefa39efp-1;

Value DoubleMath::fma(Value a, Value b, Value c) {
  return math::FmaOp::create(e, a, b, c);
}
Value DoubleMath::mul(Value a, Value b) {
  return arith::MulFOp::create(e, a, b);
}
Value DoubleMath::add(Value a, Value b) {
  return arith::AddFOp::create(e, a, b);
}
Value DoubleMath::sub(Value a, Value b) {
  return arith::SubFOp::create(e, a, b);
}

Value DoubleMath::div(Value a, Value b) {
  return arith::DivFOp::create(e, a, b);
}
Value DoubleMath::neg(Value a) { return arith::NegFOp::create(e, a); }
Value DoubleMath::size(Value x) { return math::AbsFOp::create(e, x); }
Value DoubleMath::isLess(Value a, Value b) {
  return arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, a, b);
}
Value DoubleMath::isEqual(Value a, Value b) {
  return arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, a, b);
}

Value DoubleMath::keepNaN(Value x, Value inside) {
  Value nan = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, x, x);
  return e.select(nan, x, inside);
}

Value DoubleMath::polynomial(Value x, ArrayRef<double> coefficients) {
  Value sum = number(x, coefficients.back());
  for (double c : llvm::reverse(coefficients.drop_back())) {
    sum = fma(sum, x, number(x, c));
  }
  return sum;
}

Type DoubleMath::getIntegers(Value x) {
  auto vector = dyn_cast<VectorType>(x.getType());
  return vector ? Type(vector.clone(e.getI64Type())) : Type(e.getI64Type());
}

Value DoubleMath::scaledExp(Value r, Value k) {
  double terms[14] = {1.0};
  for (int n = 1; n < 14; ++n) {
    terms[n] = terms[n - 1] / n;
  }
  Value power = polynomial(r, terms);
  // 2^k = 2^(k / 2) 2^(k - k / 2): each is a normal number.
  Type integers = getIntegers(r);
  Value whole = arith::FPToSIOp::create(e, integers, k);
  Value half = arith::ShRSIOp::create(e, whole, e.constant(integers, 1));
  auto scale = [&](Value n) -> Value {
    Value bits = arith::ShLIOp::create(
        e, arith::AddIOp::create(e, n, e.constant(integers, 1023)),
        e.constant(integers, 52));
    return arith::BitcastOp::create(e, r.getType(), bits);
  };
  return mul(mul(power, scale(half)),
             scale(arith::SubIOp::create(e, whole, half)));
}

static Value atMost(Emit &e, Value x, double most) {
  Value bound = e.constant(x.getType(), most);
  Value less = arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, x, bound);
  return e.select(less, x, bound);
}

/// x within what powers of two reach; a NaN becomes a number.
static Value clampExponent(Emit &e, Value x, double most) {
  return atMost(e, e.greater(x, e.constant(x.getType(), -most)), most);
}

Value DoubleMath::expTimes(Value x, double power) {
  Value inside = clampExponent(e, x, 1500.0);
  Value k = math::RoundEvenOp::create(e, mul(inside, number(x, kLog2E)));
  Value r = fma(k, number(x, -kLn2High), inside);
  r = fma(k, number(x, -kLn2Low), r);
  // The series holds near 0 only, and factors only up to 2^1023 each.
  k = clampExponent(e, k, 2040.0);
  return keepNaN(x, scaledExp(r, power ? add(k, number(x, power)) : k));
}

Value DoubleMath::exp(Value x) { return expTimes(x, 0.0); }

Value DoubleMath::exp2(Value x) {
  Value inside = clampExponent(e, x, 2040.0);
  Value k = math::RoundEvenOp::create(e, inside);
  Value r = mul(sub(inside, k), number(x, kLn2));
  return keepNaN(x, scaledExp(r, k));
}

Value DoubleMath::expm1(Value x) {
  // Near 0, where 1 would swallow it: x + x^2 (1 / 2 + x / 6 + ...)
  double terms[15] = {0.5};
  for (int n = 1; n < 15; ++n) {
    terms[n] = terms[n - 1] / (n + 2);
  }
  Value small = fma(mul(x, x), polynomial(x, terms), x);
  Value isSmall = arith::CmpFOp::create(
      e, arith::CmpFPredicate::OLT, math::AbsFOp::create(e, x), number(x, 0.5));
  Value result = e.select(isSmall, small, sub(exp(x), number(x, 1.0)));
  return e.select(isEqual(x, number(x, 0.0)), x, result);
}

DoubleMath::Parts DoubleMath::takeApart(Value x) {
  Type integers = getIntegers(x);
  auto whole = [&](int64_t value) -> Value {
    TypedAttr attr = e.getI64IntegerAttr(value);
    if (auto vector = dyn_cast<VectorType>(integers)) {
      attr = DenseElementsAttr::get(vector, cast<Attribute>(attr));
    }
    return arith::ConstantOp::create(e, attr);
  };
  // Subnormal numbers have no exponent of their own.
  Value small = arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, x,
                                      number(x, 0x1p-1022));
  Value normal = e.select(small, mul(x, number(x, 0x1p54)), x);
  Value bits = arith::BitcastOp::create(e, integers, normal);
  // Exponents change at sqrt(1/2), whose bits these are.
  constexpr int64_t kRootBits = 0x3fe6a09e667f3bcd;
  Value above = arith::SubIOp::create(e, bits, whole(kRootBits));
  Value k = arith::ShRSIOp::create(e, above, whole(52));
  Value m = arith::BitcastOp::create(
      e, x.getType(),
      arith::SubIOp::create(
          e, bits, arith::ShLIOp::create(e, k, whole(52)).getResult()));
  Value exponent = arith::SIToFPOp::create(e, x.getType(), k);
  exponent = sub(exponent, e.select(small, number(x, 54.0), number(x, 0.0)));
  return {exponent, sub(m, number(x, 1.0))};
}

DoubleMath::Pair DoubleMath::logNearOne(Value f) {
  Value s = div(f, add(f, number(f, 2.0)));
  Value square = mul(s, s);
  double terms[11];
  for (int n = 0; n < 11; ++n) {
    terms[n] = 2.0 / (2 * n + 3);
  }
  Value rest = mul(square, polynomial(square, terms));
  Value halfSquare = mul(number(f, 0.5), mul(f, f));
  // ln (1 + f) = f - (f^2 / 2 - s (f^2 / 2 + rest))
  return {f, sub(mul(s, add(halfSquare, rest)), halfSquare)};
}

Value DoubleMath::handleSpecial(Value x, Value result) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  auto is = [&](arith::CmpFPredicate predicate, double value) -> Value {
    return arith::CmpFOp::create(e, predicate, x, number(x, value));
  };
  result = e.select(is(arith::CmpFPredicate::OEQ, kInfinity), x, result);
  result = e.select(is(arith::CmpFPredicate::OEQ, 0.0), number(x, -kInfinity),
                    result);
  // Of negative numbers and of NaN.
  return e.select(is(arith::CmpFPredicate::ULT, 0.0),
                  number(x, std::numeric_limits<double>::quiet_NaN()), result);
}

Value DoubleMath::log(Value x) {
  Parts parts = takeApart(x);
  Pair near = logNearOne(parts.f);
  Value low = fma(parts.k, number(x, kLn2Low), near.low);
  Value sum = fma(parts.k, number(x, kLn2High), add(near.high, low));
  return handleSpecial(x, sum);
}

Value DoubleMath::log2(Value x) {
  Parts parts = takeApart(x);
  Pair near = logNearOne(parts.f);
  // log2 (1 + f) in two parts: the product with log2 e is not rounded alone.
  Value sum = add(near.high, near.low);
  Value error = add(sub(near.high, sum), near.low);
  Value whole = mul(sum, number(x, kLog2E));
  Value rest = fma(sum, number(x, kLog2E), neg(whole));
  rest = fma(sum, number(x, kLog2ELow), rest);
  rest = fma(error, number(x, kLog2E), rest);
  return handleSpecial(x, add(parts.k, add(whole, rest)));
}

DoubleMath::Pair DoubleMath::product(Pair a, Pair b) {
  Value high = mul(a.high, b.high);
  Value low = fma(a.high, b.high, neg(high));
  return {high, fma(a.high, b.low, fma(a.low, b.high, low))};
}

DoubleMath::Pair DoubleMath::sum(Value a, Pair b) {
  Value high = add(a, b.high);
  Value low = add(add(sub(a, high), b.high), b.low);
  Value rounded = add(high, low);
  return {rounded, add(sub(high, rounded), low)};
}

DoubleMath::Pair DoubleMath::log2Pair(Value x) {
  Parts parts = takeApart(x);
  // s = f / (2 + f)
  Value two = number(x, 2.0), below = add(parts.f, two);
  Value lost = sub(parts.f, sub(below, two));
  Value quotient = div(parts.f, below);
  Value rest = fma(neg(quotient), below, parts.f);
  rest = div(fma(neg(quotient), lost, rest), below);
  Pair s = {quotient, rest}, square = product(s, s);
  // ln (1 + f) = 2 s + s^3 (2 / 3 + s^2 (2 / 5 + ...))
  double terms[11];
  for (int n = 0; n < 11; ++n) {
    terms[n] = 2.0 / (2 * n + 5);
  }
  Value tail = mul(square.high, polynomial(square.high, terms));
  Pair series = sum(number(x, 0x1.5555555555555p-1),
                    {tail, number(x, 0x1.5555555555555p-55)});
  Pair cube = product(product(s, square), series);
  Pair natural = sum(mul(two, s.high), {cube.high, fma(two, s.low, cube.low)});
  return sum(parts.k,
             product(natural, {number(x, kLog2E), number(x, kLog2ELow)}));
}

Value DoubleMath::log10(Value x) {
  Parts parts = takeApart(x);
  constexpr double kLog10E = 0x1.bcb7b1526e50ep-2;
  constexpr double kLog10ELow = 0x1.95355baaafad3p-57;
  constexpr double kLog10Of2 = 0x1.34413509f79ffp-2;
  constexpr double kLog10Of2Low = -0x1.9dc1da994fd21p-59;
  Pair near = logNearOne(parts.f);
  Pair natural = sum(near.high, {near.low, number(x, 0.0)});
  Pair small = product(natural, {number(x, kLog10E), number(x, kLog10ELow)});
  Pair large = product({parts.k, number(x, 0.0)},
                       {number(x, kLog10Of2), number(x, kLog10Of2Low)});
  small.low = add(small.low, large.low);
  Pair whole = sum(large.high, small);
  return handleSpecial(x, whole.high);
}

Value DoubleMath::pow(Value x, Value y) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Value one = number(x, 1.0), zero = number(x, 0.0);
  Value magnitude = size(x);
  Pair logarithm = log2Pair(magnitude);
  Value power = mul(y, logarithm.high);
  Value rest = fma(y, logarithm.low, fma(y, logarithm.high, neg(power)));
  // Infinity to the power of 0, and 1 to that of infinity, come to 1 below.
  power =
      e.select(isEqual(magnitude, zero), mul(y, number(x, -kInfinity)), power);
  power = e.select(isEqual(magnitude, number(x, kInfinity)), mul(y, magnitude),
                   power);
  power = e.select(isEqual(magnitude, one), zero, power);
  Value known = arith::AndIOp::create(e, isLess(size(power), number(x, 2040.0)),
                                      isEqual(rest, rest));
  Value bounded = clampExponent(e, power, 2040.0);
  Value k = math::RoundEvenOp::create(e, bounded);
  Value r = add(sub(bounded, k), e.select(known, rest, zero));
  Value result = scaledExp(mul(r, number(x, kLn2)), k);
  // Of negative numbers there are whole powers only; odd ones are negative.
  auto isWhole = [&](Value value) {
    return isEqual(math::FloorOp::create(e, value), value);
  };
  Value whole = isWhole(y), even = isWhole(mul(y, number(x, 0.5)));
  Value negative =
      arith::CmpIOp::create(e, arith::CmpIPredicate::slt,
                            arith::BitcastOp::create(e, getIntegers(x), x),
                            e.constant(getIntegers(x), 0));
  auto both = [&](Value a, Value b) -> Value {
    return arith::AndIOp::create(e, a, b);
  };
  Value truth = e.constant(whole.getType(), 1);
  auto isNot = [&](Value a) -> Value {
    return arith::XOrIOp::create(e, a, truth);
  };
  Value odd = both(whole, isNot(even));
  result = e.select(both(negative, odd), neg(result), result);
  Value real = isLess(zero, magnitude);
  real = both(real, isLess(magnitude, number(x, kInfinity)));
  Value none = both(both(negative, real), isNot(whole));
  result = e.select(none, number(x, std::numeric_limits<double>::quiet_NaN()),
                    result);
  result = keepNaN(y, keepNaN(x, result));
  result = e.select(isEqual(x, one), one, result);
  return e.select(isEqual(y, zero), one, result);
}

Value DoubleMath::cbrt(Value x) {
  // From a third of the logarithm by one step of Newton's method.
  Value magnitude = size(x);
  Value isSmall = isLess(magnitude, number(x, 0x1p-900));
  Value scaled =
      e.select(isSmall, mul(magnitude, number(x, 0x1p300)), magnitude);
  Value root = exp(mul(log(scaled), number(x, 1.0 / 3)));
  Value square = mul(root, root);
  Value over = fma(square, root, neg(scaled));
  // What the square lost is a part of it that counts three times as much.
  over = fma(fma(root, root, neg(square)), root, over);
  root = sub(root, div(over, mul(number(x, 3.0), square)));
  root = e.select(isSmall, mul(root, number(x, 0x1p-100)), root);
  Value twice = add(x, x);
  // Zeros, infinities and NaN are their own.
  return e.select(arith::CmpFOp::create(e, arith::CmpFPredicate::UEQ, twice, x),
                  x, math::CopySignOp::create(e, root, x));
}

Value DoubleMath::log1p(Value x) {
  // What 1 + x loses is a part of it, by which its logarithm is off.
  Value one = number(x, 1.0), whole = add(x, one);
  Value lost = sub(x, sub(whole, one));
  Value result = add(log(whole), arith::DivFOp::create(e, lost, whole));
  Value special = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ,
                                        mul(whole, number(x, 0.5)), whole);
  // Of 0 and infinity; and a zero keeps its sign.
  result = e.select(special, log(whole), result);
  Value zero =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, x, number(x, 0.0));
  return e.select(zero, x, result);
}

Value DoubleMath::tanh(Value x) {
  // 1 - 2 / (e^(2 |x|) + 1), which is rounded to 1 beyond 20.
  Value size = math::AbsFOp::create(e, x);
  Value bounded = atMost(e, size, 20.0);
  Value one = number(x, 1.0);
  Value power = exp(add(bounded, bounded));
  Value large =
      sub(one, arith::DivFOp::create(e, number(x, 2.0), add(power, one)));
  // x / (1 + x^2 / (3 + x^2 / (5 + ...))) near 0
  Value square = mul(x, x);
  Value fraction = number(x, 21.0);
  for (int odd = 19; odd > 0; odd -= 2) {
    fraction = add(number(x, odd), arith::DivFOp::create(e, square, fraction));
  }
  Value small = arith::DivFOp::create(e, size, fraction);
  Value isSmall =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, size, number(x, 0.6));
  Value result = e.select(isSmall, small, large);
  return keepNaN(x, math::CopySignOp::create(e, result, x));
}

Value DoubleMath::sinh(Value x) {
  double terms[10] = {1.0};
  for (int n = 1; n < 10; ++n) {
    terms[n] = terms[n - 1] / (2.0 * n * (2 * n + 1));
  }
  Value bounded = atMost(e, size(x), 1.0);
  Value square = mul(bounded, bounded);
  Value small = mul(bounded, polynomial(square, terms));
  Value half = expTimes(size(x), -1.0);
  Value large = sub(half, div(number(x, 0.25), half));
  Value result = e.select(isLess(size(x), number(x, 1.0)), small, large);
  return keepNaN(x, math::CopySignOp::create(e, result, x));
}

Value DoubleMath::cosh(Value x) {
  Value half = expTimes(size(x), -1.0);
  return add(half, div(number(x, 0.25), half));
}

Value DoubleMath::asinh(Value x) {
  // ln (x + sqrt (x^2 + 1)), which is ln (2 x) where the square is too large.
  Value one = number(x, 1.0), magnitude = size(x);
  Value bounded = atMost(e, magnitude, 0x1p30), square = mul(bounded, bounded);
  Value root = math::SqrtOp::create(e, add(square, one));
  Value small = log1p(add(bounded, div(square, add(root, one))));
  Value large = add(log(magnitude), number(x, kLn2));
  Value result = e.select(isLess(magnitude, number(x, 0x1p30)), small, large);
  return keepNaN(x, math::CopySignOp::create(e, result, x));
}

Value DoubleMath::acosh(Value x) {
  // ln (x + sqrt (x^2 - 1)), by what x is above 1.
  Value above = sub(atMost(e, x, 0x1p30), number(x, 1.0));
  Value square = fma(above, above, add(above, above));
  Value small = log1p(add(above, math::SqrtOp::create(e, square)));
  Value large = add(log(x), number(x, kLn2));
  Value result = e.select(isLess(x, number(x, 0x1p30)), small, large);
  Value none = isLess(x, number(x, 1.0));
  return keepNaN(
      x, e.select(none, number(x, std::numeric_limits<double>::quiet_NaN()),
                  result));
}

Value DoubleMath::atanh(Value x) {
  // Half of ln ((1 + x) / (1 - x)).
  Value magnitude = size(x);
  Value rest = sub(number(x, 1.0), magnitude);
  Value result =
      mul(number(x, 0.5), log1p(div(add(magnitude, magnitude), rest)));
  return math::CopySignOp::create(e, result, x);
}

Value DoubleMath::erfNearZero(Value x) {
  // 2 / sqrt pi (x - x^3 / 3 + x^5 / 10 - ...)
  constexpr double kTwoBySqrtPi = 0x1.20dd750429b6dp+0;
  constexpr double kTwoBySqrtPiLow = 0x1.1ae3a914fed80p-56;
  double terms[19];
  double factorial = -1.0;
  for (int n = 0; n < 19; ++n) {
    terms[n] = 1.0 / (factorial * (2 * n + 3));
    factorial *= -(n + 2);
  }
  Value square = mul(x, x);
  Value tail = mul(square, polynomial(square, terms));
  tail = fma(tail, number(x, kTwoBySqrtPi), number(x, kTwoBySqrtPiLow));
  return fma(x, number(x, kTwoBySqrtPi), mul(x, tail));
}

Value DoubleMath::erfcBeyond(Value x) {
  // x e^(-x^2) / pi times the integral of e^(-t^2) / (t^2 + x^2), by steps
  // below 1 / 2, and what its pole adds.
  constexpr long double kPi = 3.14159265358979323846264L, kStep = 0.4375L;
  Value square = mul(x, x), lost = fma(x, x, neg(square));
  Value total = number(x, 0.0);
  for (int n = 14; n >= 0; --n) {
    // What all of them were off by would not average out.
    long double t = kStep * n * kStep * n;
    auto weight =
        static_cast<double>(kStep / kPi * (n > 0 ? 2 : 1) * std::exp(-t));
    total = add(total, div(number(x, weight),
                           add(square, number(x, static_cast<double>(t)))));
  }
  Value power = exp(neg(square));
  power = fma(power, neg(lost), power);
  Value result = mul(mul(total, x), power);
  Value pole = exp(
      mul(atMost(e, x, 6.0), number(x, static_cast<double>(2 * kPi / kStep))));
  Value more = div(number(x, -2.0), sub(pole, number(x, 1.0)));
  return add(result, e.select(isLess(x, number(x, 6.0)), more, number(x, 0.0)));
}

Value DoubleMath::erf(Value x) {
  Value magnitude = size(x);
  Value large = sub(number(x, 1.0), erfcBeyond(atMost(e, magnitude, 30.0)));
  Value isSmall = isLess(magnitude, number(x, 1.0));
  return keepNaN(x, e.select(isSmall, erfNearZero(x),
                             math::CopySignOp::create(e, large, x)));
}

Value DoubleMath::erfc(Value x) {
  Value magnitude = size(x);
  Value large = erfcBeyond(atMost(e, magnitude, 30.0));
  Value isNegative = isLess(x, number(x, 0.0));
  large = e.select(isNegative, sub(number(x, 2.0), large), large);
  Value small = sub(number(x, 1.0), erfNearZero(x));
  Value isSmall = isLess(magnitude, number(x, 0.5));
  return keepNaN(x, e.select(isSmall, small, large));
}

Value DoubleMath::fmod(Value x, Value y, int64_t bits) {
  // Multiples of 2^(48 k) |y| come off, the largest first: quotients are whole
  // numbers of 48 bits, so that each product less what is left is exact.
  constexpr int64_t kStep = 48;
  SmallVector<Value> steps = {size(y)};
  for (int64_t at = kStep; at < bits; at += kStep) {
    steps.push_back(mul(steps.back(), number(x, 0x1p48)));
  }
  Value rest = size(x);
  for (Value step : llvm::reverse(steps)) {
    Value count = math::FloorOp::create(e, div(rest, step));
    Value left = fma(neg(count), step, rest);
    left = e.select(isLess(left, number(x, 0.0)), add(left, step), left);
    // Not where a step is infinite; a NaN goes on.
    rest = e.select(isLess(rest, step), rest, left);
  }
  return math::CopySignOp::create(e, rest, x);
}
