//===- VectorMath.h - elementary functions on f32 ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds exp2, exp, log2, log and tanh out of arithmetic, for f32 and 1-D
// vectors of it. VectorMath.cpp has the methods and their error bounds.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_VECTORMATH_H
#define ATTN_LIB_TARGET_CPU_VECTORMATH_H

#include "attn/Target/CPU/Passes.h"

namespace mlir::attn {

class VectorMath {
public:
  /// `type` is f32 or a 1-D vector of it; `avx512` allows AVX-512 F, VL and DQ
  /// where the vector fills whole registers.
  VectorMath(OpBuilder &builder, Location loc, Type type, bool avx512);

  Value exp2(Value x);
  Value exp(Value x);
  Value log2(Value x);
  Value log(Value x);
  Value tanh(Value x);

  /// Widest register piece that covers vectors of `lanes` on AVX-512, or 0.
  static int64_t getRegisterLanes(int64_t lanes);

private:
  /// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); subnormal x included.
  struct Split {
    Value mantissaMinusOne, exponent;
  };
  Split splitExponent(Value x);
  Value fixLogarithm(Value x, Value result);
  /// p * 2^n for whole n, |n| <= 151, rounded once.
  Value scale(Value p, Value n);
  Value tanhByQuotient(Value x);
  /// Rounds to the nearest whole number, ties to even; |x| < 2^22.
  Value round(Value x);

  Value constant(double value);
  Value integer(uint32_t bits);
  Value fma(Value a, Value b, Value c);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value select(arith::CmpFPredicate predicate, Value a, Value b, Value yes,
               Value no);
  Value clamp(Value x, double low, double high);
  Value toBits(Value x);
  Value fromBits(Value bits);
  /// Horner's scheme; coefficients from the constant term up.
  Value polynomial(Value x, ArrayRef<float> coefficients);
  Value intrinsic(StringRef stem, ValueRange args, bool rounds = true);

  OpBuilder &builder;
  Location loc;
  Type type, bitsType;
  bool avx512;
};

} // namespace mlir::attn

#endif // ATTN_LIB_TARGET_CPU_VECTORMATH_H
