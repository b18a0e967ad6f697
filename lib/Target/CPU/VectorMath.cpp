//===- VectorMath.cpp - elementary functions on f32 -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reduction to a small interval, a polynomial, and an exact reconstruction.
// Coefficients are minimax for the relative error on the interval, rounded to
// f32 and improved by a search over neighbouring floats.
//
//   exp2(x)  = 2^n p(x - n),          n = round(x),          x - n exact
//   exp(x)   = 2^n p(x - n ln 2),     n = round(x log2 e),   ln 2 in two parts
//   log2(x)  = e + f log2 e + f^2 q(f), x = 2^e (1 + f),     f exact
//   log(x)   = e ln 2 + f + f^2 q(f)
//   tanh(x)  = x + x^3 q(x^2)         for |x| < 0.625,
//              1 - 2 / (e^2|x| + 1)   else; on AVX-512 h / (h + 1) for all,
//                                     h = (e^2|x| - 1) / 2, 20 instructions
//
// 2^n reaches subnormal results in one rounding: vscalefps on AVX-512, else two
// factors of which the first is exact. On AVX-512 exp2 is nine instructions:
// vreduceps, vsubps, six fused multiply-adds, vscalefps; vreduceps gives 0 for
// an infinity, so that no range check is needed.
//
//===----------------------------------------------------------------------===//

#include "VectorMath.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;

/// 2^r on [-1/2, 1/2], relative error 2.6e-9.
static constexpr float kExp2[] = {
    1.0f,           0x1.62e432p-1f,  0x1.ebfbe6p-3f, 0x1.c6ada4p-5f,
    0x1.3b21a6p-7f, 0x1.5f9b0ap-10f, 0x1.49c932p-13f};

/// e^r on [-ln(2)/2, ln(2)/2].
static constexpr float kExp[] = {1.0f,           1.0f,           0x1.fffffcp-2f,
                                 0x1.55548cp-3f, 0x1.555858p-5f, 0x1.123de0p-7f,
                                 0x1.6ac74ep-10f};

/// (log2(1 + f) - f log2 e) / f^2 for 1 + f in [sqrt(1/2), sqrt(2)]; relative
/// error of log2(1 + f) 5.8e-9.
static constexpr float kLog2[] = {
    -0x1.715470p-1f, 0x1.ec7096p-2f,  -0x1.715a80p-2f,
    0x1.277e3ep-2f,  -0x1.eabc90p-3f, 0x1.a30594p-3f,
    -0x1.874c38p-3f, 0x1.7d4a50p-3f,  -0x1.c25bccp-4f};

/// (log(1 + f) - f) / f^2 on the same interval, 4.5e-9.
static constexpr float kLog[] = {
    -0x1.fffff8p-2f, 0x1.555550p-2f,  -0x1.000428p-2f,
    0x1.99a3f4p-3f,  -0x1.542738p-3f, 0x1.2271d2p-3f,
    -0x1.0f3a5cp-3f, 0x1.084a9cp-3f,  -0x1.382a74p-4f};

/// (tanh(x) / x - 1) / x^2 in x^2, for |x| <= 0.625; relative error 4.4e-9.
static constexpr float kTanh[] = {-0x1.555532p-2f, 0x1.1106f6p-3f,
                                  -0x1.b835a4p-5f, 0x1.51f8cep-6f,
                                  -0x1.750ce2p-8f};

/// ln 2 in two parts; the first has 15 bits, its products with exponents are
/// exact.
static constexpr double kLn2High = 0x1.62e4p-1;
static constexpr double kLn2Low = 0x1.7f7d1cp-20;

/// log2 e in two floats.
static constexpr double kLog2eHigh = 0x1.715476p+0;
static constexpr double kLog2eLow = 0x1.4ae0c0p-26;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

VectorMath::VectorMath(OpBuilder &builder, Location loc, Type type, bool avx512)
    : builder(builder), loc(loc), type(type), avx512(false) {
  bitsType = builder.getI32Type();
  if (auto vector = dyn_cast<VectorType>(type)) {
    bitsType = vector.clone(bitsType);
    int64_t lanes = vector.getNumElements();
    this->avx512 = avx512 && getRegisterLanes(lanes) == lanes;
  }
}

int64_t VectorMath::getRegisterLanes(int64_t lanes) {
  if (lanes % 16 == 0) {
    return 16;
  }
  return lanes == 8 || lanes == 4 ? lanes : 0;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value VectorMath::constant(double value) {
  TypedAttr attr = builder.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return arith::ConstantOp::create(builder, loc, type, attr);
}

Value VectorMath::integer(uint32_t bits) {
  TypedAttr attr =
      builder.getIntegerAttr(builder.getI32Type(), APInt(32, bits));
  if (auto vector = dyn_cast<VectorType>(bitsType)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return arith::ConstantOp::create(builder, loc, bitsType, attr);
}

/// Fused where the target has it; the methods do not depend on it.
Value VectorMath::fma(Value a, Value b, Value c) {
  return LLVM::FMulAddOp::create(builder, loc, type, a, b, c);
}

Value VectorMath::add(Value a, Value b) {
  return arith::AddFOp::create(builder, loc, a, b);
}

Value VectorMath::sub(Value a, Value b) {
  return arith::SubFOp::create(builder, loc, a, b);
}

Value VectorMath::mul(Value a, Value b) {
  return arith::MulFOp::create(builder, loc, a, b);
}

Value VectorMath::select(arith::CmpFPredicate predicate, Value a, Value b,
                         Value yes, Value no) {
  Value cond = arith::CmpFOp::create(builder, loc, predicate, a, b);
  return arith::SelectOp::create(builder, loc, cond, yes, no);
}

/// Keeps NaN; each side is one minimum or maximum instruction.
Value VectorMath::clamp(Value x, double low, double high) {
  Value bound = constant(high);
  x = select(arith::CmpFPredicate::OGT, x, bound, bound, x);
  bound = constant(low);
  return select(arith::CmpFPredicate::OLT, x, bound, bound, x);
}

Value VectorMath::toBits(Value x) {
  return arith::BitcastOp::create(builder, loc, bitsType, x);
}

Value VectorMath::fromBits(Value bits) {
  return arith::BitcastOp::create(builder, loc, type, bits);
}

Value VectorMath::polynomial(Value x, ArrayRef<float> coefficients) {
  Value sum = constant(coefficients.back());
  for (float coefficient : llvm::reverse(coefficients.drop_back())) {
    sum = fma(sum, x, constant(coefficient));
  }
  return sum;
}

/// An AVX-512 intrinsic without mask; where it rounds, the rounding operand
/// exists at 512 bits.
Value VectorMath::intrinsic(StringRef stem, ValueRange args, bool rounds) {
  int64_t lanes = cast<VectorType>(type).getNumElements();
  SmallVector<Value> operands(args);
  operands.push_back(args.front());
  Type mask = builder.getIntegerType(lanes == 16 ? 16 : 8);
  operands.push_back(arith::ConstantOp::create(
      builder, loc, builder.getIntegerAttr(mask, -1)));
  if (lanes == 16 && rounds) {
    constexpr int kCurrentDirection = 4;
    operands.push_back(
        arith::ConstantIntOp::create(builder, loc, kCurrentDirection, 32));
  }
  std::string name =
      ("llvm.x86.avx512." + stem + ".ps." + Twine(lanes * 32)).str();
  return LLVM::CallIntrinsicOp::create(builder, loc, type,
                                       builder.getStringAttr(name), operands)
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

/// Adding 1.5 * 2^23 leaves no room for a fraction.
static constexpr double kRoundMagic = 0x1.8p23;
static constexpr uint32_t kRoundMagicBits = 0x4b400000;

Value VectorMath::round(Value x) {
  if (avx512) {
    return LLVM::RoundEvenOp::create(builder, loc, type, x);
  }
  Value magic = constant(kRoundMagic);
  return sub(add(x, magic), magic);
}

Value VectorMath::scale(Value p, Value n) {
  if (avx512) {
    return intrinsic("mask.scalef", {p, n});
  }
  // 2^n as 2^a 2^b with a = n div 2, b = n - a, both normal; p 2^a is exact.
  // The integer is read off the sum, as converting NaN would be undefined.
  Value whole = toBits(add(n, constant(kRoundMagic)));
  whole = arith::SubIOp::create(builder, loc, whole, integer(kRoundMagicBits));
  Value half = arith::ShRSIOp::create(builder, loc, whole, integer(1));
  Value rest = arith::SubIOp::create(builder, loc, whole, half);
  for (Value part : {half, rest}) {
    Value biased = arith::AddIOp::create(builder, loc, part, integer(127));
    biased = arith::ShLIOp::create(builder, loc, biased, integer(23));
    p = mul(p, fromBits(biased));
  }
  return p;
}

Value VectorMath::exp2(Value x) {
  Value fraction, whole;
  if (avx512) {
    // imm8: no fraction bits kept, to nearest even, no exceptions.
    Value imm = arith::ConstantIntOp::create(builder, loc, 8, 32);
    fraction = intrinsic("mask.reduce", {x, imm});
    whole = sub(x, fraction);
  } else {
    x = clamp(x, -151.0, 129.0);
    whole = round(x);
    fraction = sub(x, whole);
  }
  return scale(polynomial(fraction, kExp2), whole);
}

Value VectorMath::exp(Value x) {
  x = clamp(x, -104.0, 89.0);
  Value whole = round(mul(x, constant(0x1.715476p+0)));
  Value rest = fma(whole, constant(-kLn2High), x);
  rest = fma(whole, constant(-kLn2Low), rest);
  return scale(polynomial(rest, kExp), whole);
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

VectorMath::Split VectorMath::splitExponent(Value x) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  Value smallest = constant(0x1p-126);
  Value tiny = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, x,
                                     smallest);
  Value normal =
      arith::SelectOp::create(builder, loc, tiny, mul(x, constant(0x1p23)), x);
  Value bits =
      arith::SubIOp::create(builder, loc, toBits(normal), integer(kSqrtHalf));
  Value exponent = arith::ShRSIOp::create(builder, loc, bits, integer(23));
  exponent = arith::SIToFPOp::create(builder, loc, type, exponent);
  exponent = arith::SelectOp::create(builder, loc, tiny,
                                     sub(exponent, constant(23.0)), exponent);
  Value mantissa =
      arith::AndIOp::create(builder, loc, bits, integer(0x007fffff));
  mantissa = arith::AddIOp::create(builder, loc, mantissa, integer(kSqrtHalf));
  return {sub(fromBits(mantissa), constant(1.0)), exponent};
}

/// The values at 0, infinity, NaN and below 0.
Value VectorMath::fixLogarithm(Value x, Value result) {
  Value zero = constant(0.0), infinity = constant(kInfinity);
  Value nan = constant(std::numeric_limits<double>::quiet_NaN());
  Value outside =
      select(arith::CmpFPredicate::OEQ, x, zero, constant(-kInfinity), nan);
  result = select(arith::CmpFPredicate::OEQ, x, infinity, x, result);
  return select(arith::CmpFPredicate::OGT, x, zero, result, outside);
}

Value VectorMath::log2(Value x) {
  Split split = splitExponent(x);
  Value f = split.mantissaMinusOne;
  Value tail = mul(f, constant(kLog2eLow));
  tail = fma(mul(f, f), polynomial(f, kLog2), tail);
  Value result = fma(f, constant(kLog2eHigh), tail);
  return fixLogarithm(x, add(split.exponent, result));
}

Value VectorMath::log(Value x) {
  Split split = splitExponent(x);
  Value f = split.mantissaMinusOne;
  Value result = fma(mul(f, f), polynomial(f, kLog), f);
  result = fma(split.exponent, constant(kLn2Low), result);
  result = fma(split.exponent, constant(kLn2High), result);
  return fixLogarithm(x, result);
}

//===----------------------------------------------------------------------===//
// Hyperbolic tangent
//===----------------------------------------------------------------------===//

/// h / (h + 1) with h = (e^2x - 1) / 2 = 2^n (e^r - 1) / 2 + (2^n - 1) / 2, for
/// x >= 0: one way for all of them, as h keeps its precision near 0. Where n is
/// not 0, what ln 2 loses as it is rounded no longer matters.
Value VectorMath::tanhByQuotient(Value x) {
  // From 9.02 on the result is 1.
  x = select(arith::CmpFPredicate::OGT, x, constant(10.0), constant(10.0), x);
  x = add(x, x);
  Value n = round(mul(x, constant(kLog2eHigh)));
  Value r = fma(n, constant(-kLn2High - kLn2Low), x);
  // e^r - 1 = r + r^2 q(r).
  Value inside = fma(mul(r, r), polynomial(r, ArrayRef(kExp).drop_front(2)), r);
  Value half = scale(constant(0.5), n);
  Value h = fma(half, inside, sub(half, constant(0.5)));
  // An estimate of the inverse; the quotient's remainder h - q (h + 1), without
  // what the sum loses.
  Value inverse = intrinsic("rcp14", {add(h, constant(1.0))}, /*rounds=*/false);
  Value quotient = mul(h, inverse);
  Value rest = fma(LLVM::FNegOp::create(builder, loc, type, quotient), h,
                   sub(h, quotient));
  return fma(rest, inverse, quotient);
}

Value VectorMath::tanh(Value x) {
  Value magnitude = LLVM::FAbsOp::create(builder, loc, type, x);
  if (avx512) {
    return LLVM::CopySignOp::create(builder, loc, type,
                                    tanhByQuotient(magnitude), x);
  }
  Value square = mul(x, x);
  Value near =
      fma(mul(magnitude, square), polynomial(square, kTanh), magnitude);
  Value one = constant(1.0);
  Value power = exp(add(magnitude, magnitude));
  Value far =
      arith::DivFOp::create(builder, loc, constant(2.0), add(power, one));
  far = sub(one, far);
  Value result =
      select(arith::CmpFPredicate::OLT, magnitude, constant(0.625), near, far);
  return LLVM::CopySignOp::create(builder, loc, type, result, x);
}
