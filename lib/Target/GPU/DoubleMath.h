//===- DoubleMath.h - elementary functions of f64 ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GPUs have no instructions for them, and the libraries that have them are not
// part of a program. Errors are below 2 ulp, of sin, cos and tan for arguments
// up to 2^52; infinities, NaN, zeros and subnormal numbers are what the C
// library makes of them.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_DOUBLEMATH_H
#define ATTN_LIB_TARGET_GPU_DOUBLEMATH_H

#include "attn/Support/Emit.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::attn::gpu_target {

/// Functions of numbers of f64, or of vectors of them.
class DoubleMath {
public:
  explicit DoubleMath(Emit &e) : e(e) {}

  Value exp(Value x);
  Value exp2(Value x);
  Value expm1(Value x);
  Value log(Value x);
  Value log2(Value x);
  Value log10(Value x);
  Value log1p(Value x);
  Value pow(Value x, Value y);
  Value cbrt(Value x);
  Value sinh(Value x);
  Value cosh(Value x);
  Value tanh(Value x);
  Value asinh(Value x);
  Value acosh(Value x);
  Value atanh(Value x);
  Value erf(Value x);
  Value erfc(Value x);
  // In Trigonometry.cpp.
  Value sin(Value x);
  Value cos(Value x);
  Value tan(Value x);
  Value asin(Value x);
  Value acos(Value x);
  Value atan(Value x);
  Value atan2(Value y, Value x);
  /// What is left of x after whole multiples of y, exactly, with the sign of x,
  /// where x / y is below 2^bits for all finite numbers.
  Value fmod(Value x, Value y, int64_t bits);

private:
  Value number(Value like, double value) {
    return e.constant(like.getType(), value);
  }
  Value fma(Value a, Value b, Value c);
  Value mul(Value a, Value b);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value div(Value a, Value b);
  Value neg(Value a);
  Value size(Value x);
  Value isLess(Value a, Value b);
  Value isEqual(Value a, Value b);
  /// x, but `inside` where x is a number.
  Value keepNaN(Value x, Value inside);
  Value polynomial(Value x, ArrayRef<double> coefficients);
  Type getIntegers(Value x);
  /// e^r 2^k for small r and whole k.
  Value scaledExp(Value r, Value k);
  /// e^x 2^k, for x of any size; a NaN stays one.
  Value expTimes(Value x, double k);
  /// x = (1 + f) 2^k, with 1 + f between the roots of 1/2 and of 2.
  struct Parts {
    Value k, f;
  };
  Parts takeApart(Value x);
  /// A number as a sum that is not rounded.
  struct Pair {
    Value high, low;
  };
  /// a b, given what each of them lacks.
  Pair product(Pair a, Pair b);
  /// a + b where |a| >= |b|, or a = 0.
  Pair sum(Value a, Pair b);
  /// ln (1 + f), rounded to high + low with low a correction to f.
  Pair logNearOne(Value f);
  /// log2 x for finite x > 0, to 2^-64.
  Pair log2Pair(Value x);
  /// `result`, but for what no power of two is in.
  Value handleSpecial(Value x, Value result);
  /// erf x up to 1, and 1 - erf x from 1/2 on.
  Value erfNearZero(Value x);
  Value erfcBeyond(Value x);
  /// x = n pi / 2 + r: the sine and the cosine of r, and n modulo 4.
  struct Circle {
    Value sine, cosine, quadrant;
  };
  Circle reduce(Value x);
  Value hasBit(Value integers, int64_t bit);

  Emit &e;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_DOUBLEMATH_H
