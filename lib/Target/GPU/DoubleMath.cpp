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
// rounding counts little.
//
//===----------------------------------------------------------------------===//

#include "DoubleMath.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static constexpr double kLn2High = 0x1.62e42fee00000p-1;
static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
static constexpr double kLog2E = 0x1.71547652b82fep+0;
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

static Value keepNaN(Emit &e, Value x, Value result) {
  Value nan = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, x, x);
  return e.select(nan, x, result);
}

Value DoubleMath::exp(Value x) {
  Value inside = clampExponent(e, x, 1500.0);
  Value k = math::RoundEvenOp::create(e, mul(inside, number(x, kLog2E)));
  Value r = fma(k, number(x, -kLn2High), inside);
  r = fma(k, number(x, -kLn2Low), r);
  // The series holds near 0 only, and factors only up to 2^1023 each.
  k = clampExponent(e, k, 2040.0);
  return keepNaN(e, x, scaledExp(r, k));
}

Value DoubleMath::exp2(Value x) {
  Value inside = clampExponent(e, x, 2040.0);
  Value k = math::RoundEvenOp::create(e, inside);
  Value r = mul(sub(inside, k), number(x, kLn2));
  return keepNaN(e, x, scaledExp(r, k));
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
  return e.select(isSmall, small, sub(exp(x), number(x, 1.0)));
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
  Value f = sub(m, number(x, 1.0));
  Value s = arith::DivFOp::create(e, f, add(f, number(x, 2.0)));
  Value square = mul(s, s);
  double terms[11];
  for (int n = 0; n < 11; ++n) {
    terms[n] = 2.0 / (2 * n + 3);
  }
  Value rest = mul(square, polynomial(square, terms));
  Value halfSquare = mul(number(x, 0.5), mul(f, f));
  // ln m = f - (f^2 / 2 - s (f^2 / 2 + rest))
  Value low = sub(mul(s, add(halfSquare, rest)), halfSquare);
  return {exponent, f, low};
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
  Value low = fma(parts.k, number(x, kLn2Low), parts.low);
  Value sum = fma(parts.k, number(x, kLn2High), add(parts.high, low));
  return handleSpecial(x, sum);
}

Value DoubleMath::log2(Value x) {
  Parts parts = takeApart(x);
  // log2 m in two parts: the product with log2 e is not rounded alone.
  constexpr double kLog2ELow = 0x1.777d0ffda0d24p-56;
  Value sum = add(parts.high, parts.low);
  Value error = add(sub(parts.high, sum), parts.low);
  Value product = mul(sum, number(x, kLog2E));
  Value rest = fma(sum, number(x, kLog2E), arith::NegFOp::create(e, product));
  rest = fma(sum, number(x, kLog2ELow), rest);
  rest = fma(error, number(x, kLog2E), rest);
  return handleSpecial(x, add(parts.k, add(product, rest)));
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
  return keepNaN(e, x, math::CopySignOp::create(e, result, x));
}

Value DoubleMath::erf(Value x) {
  constexpr int kTerms = 44, kFractions = 32;
  constexpr double kTwoBySqrtPi = 0x1.20dd750429b6dp+0;
  Value size = atMost(e, math::AbsFOp::create(e, x), 6.0);
  Value square = mul(size, size);
  // Both factors take the same square: what it is off by counts little.
  Value power = exp(arith::NegFOp::create(e, square));
  power = mul(power, number(x, kTwoBySqrtPi));
  // Up to 2.2: e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...)
  double terms[kTerms];
  long double term = 1.0;
  for (int n = 0; n < kTerms; ++n) {
    terms[n] = static_cast<double>(term);
    term = term * 2 / (2 * n + 3);
  }
  Value small = mul(power, mul(size, polynomial(square, terms)));
  // Beyond: 1 - e^(-x^2) / (x + (1 / 2) / (x + (2 / 2) / (x + ...)))
  Value fraction = size;
  for (int k = kFractions; k > 0; --k) {
    fraction =
        add(size, arith::DivFOp::create(e, number(x, 0.5 * k), fraction));
  }
  Value rest = arith::DivFOp::create(e, mul(power, number(x, 0.5)), fraction);
  Value isSmall =
      arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, size, number(x, 2.2));
  Value result = e.select(isSmall, small, sub(number(x, 1.0), rest));
  return keepNaN(e, x, math::CopySignOp::create(e, result, x));
}
