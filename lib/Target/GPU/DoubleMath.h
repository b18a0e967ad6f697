//===- DoubleMath.h - elementary functions of f64 ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GPUs have no instructions for them, and the libraries that have them are not
// part of a program. Errors are below 2 ulp (of erf, 5); infinities, NaN, zeros
// and subnormal numbers are what the C library makes of them.
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
  Value log1p(Value x);
  Value tanh(Value x);
  Value erf(Value x);

private:
  Value number(Value like, double value) {
    return e.constant(like.getType(), value);
  }
  Value fma(Value a, Value b, Value c);
  Value mul(Value a, Value b);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value polynomial(Value x, ArrayRef<double> coefficients);
  Type getIntegers(Value x);
  /// e^r 2^k for small r and whole k.
  Value scaledExp(Value r, Value k);
  /// What the logarithms share: x = m 2^k, ln m = high + low.
  struct Parts {
    Value k, high, low;
  };
  Parts takeApart(Value x);
  /// `result`, but for what no power of two is in.
  Value handleSpecial(Value x, Value result);

  Emit &e;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_DOUBLEMATH_H
