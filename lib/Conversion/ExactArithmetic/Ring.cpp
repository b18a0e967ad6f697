//===- Ring.cpp - emitting arithmetic modulo 2^w --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ring.h"

#include "attn/Support/Ring.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::exact;

Type exact::getBitsType(Type type) {
  Type bits = IntegerType::get(
      type.getContext(), getElementTypeOrSelf(type).getIntOrFloatBitWidth());
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.clone(bits) : bits;
}

Ring::Ring(OpBuilder &builder, Location loc, Type bits)
    : builder(builder), loc(loc), bits(bits),
      width(getElementTypeOrSelf(bits).getIntOrFloatBitWidth()) {}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Ring::constant(uint64_t value) {
  TypedAttr attr = builder.getIntegerAttr(
      getElementTypeOrSelf(bits),
      APInt(width, value, /*isSigned=*/false, /*implicitTrunc=*/true));
  if (auto vector = dyn_cast<VectorType>(bits)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return arith::ConstantOp::create(builder, loc, attr);
}

Value Ring::add(Value a, Value b) {
  return arith::AddIOp::create(builder, loc, a, b);
}

Value Ring::sub(Value a, Value b) {
  return arith::SubIOp::create(builder, loc, a, b);
}

Value Ring::mul(Value a, Value b) {
  return arith::MulIOp::create(builder, loc, a, b);
}

Value Ring::both(Value a, Value b) {
  return arith::AndIOp::create(builder, loc, a, b);
}

Value Ring::either(Value a, Value b) {
  return arith::OrIOp::create(builder, loc, a, b);
}

Value Ring::flip(Value condition) {
  Type type = condition.getType();
  TypedAttr truth = builder.getBoolAttr(true);
  if (auto vector = dyn_cast<VectorType>(type)) {
    truth = DenseElementsAttr::get(vector, truth);
  }
  return arith::XOrIOp::create(builder, loc, condition,
                               arith::ConstantOp::create(builder, loc, truth));
}

Value Ring::shiftLeft(Value a, Value by) {
  return arith::ShLIOp::create(builder, loc, a, by);
}

Value Ring::shiftRight(Value a, Value by) {
  return arith::ShRUIOp::create(builder, loc, a, by);
}

Value Ring::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, predicate, a, b);
}

Value Ring::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(builder, loc, condition, yes, no);
}

Value Ring::meets(Value a, uint64_t mask) {
  return compare(arith::CmpIPredicate::ne, both(a, constant(mask)),
                 constant(0));
}

//===----------------------------------------------------------------------===//
// Factors and logarithms
//===----------------------------------------------------------------------===//

Factors Ring::factor(Value x) {
  Value zero = equal(x, constant(0));
  x = select(zero, least(), x);
  Value twos = math::CountTrailingZerosOp::create(builder, loc, x);
  Value odd = shiftRight(x, twos);
  Value negative = meets(odd, 2);
  return {twos, negative, negateIf(negative, odd)};
}

/// 5^(2^i) is 1 + 2^(i + 2) modulo 2^(i + 3): bits of k follow one by one.
Value Ring::discreteLogarithm(Value unit) {
  Value k = constant(0);
  uint64_t root = 0xcccccccccccccccd; // 1 / 5
  for (unsigned i = 0; i + 2 < width; ++i) {
    Value hit = meets(unit, uint64_t(4) << i);
    unit = select(hit, mul(unit, constant(root)), unit);
    k = select(hit, either(k, constant(uint64_t(1) << i)), k);
    root *= root;
  }
  return k;
}

Value Ring::exponential(Value x) {
  Value result = constant(1);
  uint64_t root = 5;
  for (unsigned i = 0; i + 2 < width; ++i) {
    result =
        select(meets(x, uint64_t(1) << i), mul(result, constant(root)), result);
    root *= root;
  }
  return result;
}

/// An odd number has three correct bits of its own inverse.
Value Ring::inverse(Value x) {
  Factors factors = factor(x);
  Value unit = factors.unit, result = unit;
  for (unsigned correct = 3; correct < width; correct *= 2) {
    result = mul(result, sub(constant(2), mul(unit, result)));
  }
  result = negateIf(factors.negative, shiftLeft(result, factors.twos));
  return select(equal(x, constant(0)), x, result);
}

/// Tags for 2 and -1 keep logarithms of products sums.
Value Ring::logarithm(Value x) {
  Factors factors = factor(x);
  Value result = discreteLogarithm(factors.unit);
  result = add(result, mul(factors.twos, constant(mixBits(2))));
  result = select(factors.negative, add(result, least()), result);
  return select(equal(x, constant(0)), least(), result);
}

Value Ring::squareRoot(Value x) {
  Factors factors = factor(x);
  Value one = constant(1);
  Value k = discreteLogarithm(factors.unit);
  Value result = exponential(shiftRight(k, one));
  auto tag = [&](Value condition, uint64_t salt) {
    result =
        select(condition, mul(result, constant(mixBits(salt) | 1)), result);
  };
  tag(meets(k, 1), 5);
  tag(meets(factors.twos, 1), 2);
  tag(factors.negative, 1);
  result = shiftLeft(result, shiftRight(factors.twos, one));
  return select(equal(x, constant(0)), x, result);
}

/// 2^(t c) s^c 5^(k c).
Value Ring::power(Value x, Value exponent) {
  Factors factors = factor(x);
  Value k = discreteLogarithm(factors.unit);
  Value result = exponential(mul(k, exponent));
  Value negative = Ring::both(factors.negative, meets(exponent, 1));
  Value twos = mul(factors.twos, exponent);
  Value last = constant(width - 1);
  Value beyond = compare(arith::CmpIPredicate::ugt, twos, last);
  result = shiftLeft(result, select(beyond, last, twos));
  result = select(beyond, constant(0), negateIf(negative, result));
  Value zero = equal(x, constant(0));
  return select(zero, select(equal(exponent, x), constant(1), x), result);
}

//===----------------------------------------------------------------------===//
// Signs and hashes
//===----------------------------------------------------------------------===//

Value Ring::positive(Value x) {
  Value infinite = equal(x, greatest());
  Value nothing = either(equal(x, constant(0)), equal(x, least()));
  Value sign = flip(either(factor(x).negative, nothing));
  return either(infinite, sign);
}

Value Ring::magnitude(Value x) {
  Value result = select(positive(x), x, sub(constant(0), x));
  return select(equal(x, least()), greatest(), result);
}

Value Ring::hash(Value salt, Value x) {
  Value half = constant(width / 2);
  x = add(mul(x, constant(mixBits(7) | 1)), salt);
  for (uint64_t round = 0; round < 3; ++round) {
    x = arith::XOrIOp::create(builder, loc, x, shiftRight(x, half));
    x = mul(x, constant(mixBits(round) | 1));
  }
  return arith::XOrIOp::create(builder, loc, x, shiftRight(x, half));
}
