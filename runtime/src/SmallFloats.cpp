//===- SmallFloats.cpp - conversions of small floats ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the CPU has no instruction for it, LLVM calls these for conversions to
// and from f16 and bf16; GCC's support library gained them only lately. The
// types fix the calling convention.
//
//===----------------------------------------------------------------------===//

#include "attn_runtime.h"

#if (defined(__x86_64__) || defined(__aarch64__)) &&                           \
    (defined(__clang__) || __GNUC__ >= 13)

#include <bit>
#include <cmath>
#include <cstdint>

using Half = _Float16;
using BFloat = __bf16;

namespace {
/// f32 to bf16, to nearest even; a NaN stays one.
uint16_t roundToBFloat(uint32_t bits) {
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// f64 to f32 by rounding to odd, after which another rounding is harmless.
float roundToOdd(double value) {
  float nearest = static_cast<float>(value);
  double back = nearest;
  if (!(back < value) && !(back > value)) {
    return nearest; // exact, infinite or NaN
  }
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  bool tooLarge = std::fabs(back) > std::fabs(value);
  uint32_t towardZero = tooLarge ? bits - 1 : bits;
  return std::bit_cast<float>(towardZero | 1u);
}

/// f32 to f16 in integer arithmetic: `static_cast` could call us back.
uint16_t roundToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477ff000u) { // rounds beyond 65504
    return sign | 0x7c00u;
  }
  if (magnitude < 0x38800000u) { // subnormal: let an addition round
    float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign |
                                 (std::bit_cast<uint32_t>(sum) - 0x3f000000u));
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

} // namespace

extern "C" {

ATTN_RUNTIME_EXPORT BFloat __truncsfbf2(float value) {
  return std::bit_cast<BFloat>(roundToBFloat(std::bit_cast<uint32_t>(value)));
}

ATTN_RUNTIME_EXPORT BFloat __truncdfbf2(double value) {
  return __truncsfbf2(roundToOdd(value));
}

ATTN_RUNTIME_EXPORT Half __truncsfhf2(float value) {
  return std::bit_cast<Half>(roundToHalf(value));
}

ATTN_RUNTIME_EXPORT Half __truncdfhf2(double value) {
  return __truncsfhf2(roundToOdd(value));
}

ATTN_RUNTIME_EXPORT float __extendhfsf2(Half value) {
  uint16_t bits = std::bit_cast<uint16_t>(value);
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  uint32_t wide = exponent == 31 ? 0xffu : exponent + 112u;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

} // extern "C"

#endif
