//===- Formats.cpp - numbers as registers hold them
//------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "attn_emulator.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace attn::emulator;

uint32_t attn::emulator::getPacking(int32_t type) {
  switch (type) {
  case ATTN_EMULATOR_F16:
  case ATTN_EMULATOR_BF16:
    return 2;
  case ATTN_EMULATOR_S8:
  case ATTN_EMULATOR_U8:
  case ATTN_EMULATOR_E4M3:
  case ATTN_EMULATOR_E5M2:
    return 4;
  default:
    return 1;
  }
}

float attn::emulator::halfToFloat(uint16_t bits) {
  _Float16 half;
  std::memcpy(&half, &bits, sizeof(half));
  return static_cast<float>(half);
}

uint16_t attn::emulator::floatToHalf(float value) {
  auto half = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &half, sizeof(bits));
  return bits;
}

/// With a bias of 7, no infinities, and a NaN of all ones.
static double unpackE4M3(uint32_t bits) {
  uint32_t exponent = bits >> 3 & 15, fraction = bits & 7;
  double value =
      exponent ? std::ldexp(8.0 + fraction, static_cast<int>(exponent) - 10)
               : std::ldexp(fraction, -9);
  value = (bits & 0x7f) == 0x7f ? std::nan("") : value;
  return bits & 0x80 ? -value : value;
}

double attn::emulator::unpack(int32_t type, uint32_t bits, uint32_t i) {
  switch (type) {
  case ATTN_EMULATOR_F16:
    return halfToFloat(static_cast<uint16_t>(bits >> 16 * i));
  case ATTN_EMULATOR_BF16:
    return std::bit_cast<float>(bits >> 16 * i << 16);
  case ATTN_EMULATOR_TF32:
    // The bits behind the fraction of tf32 are not looked at.
    return std::bit_cast<float>(bits & ~0x1fffu);
  case ATTN_EMULATOR_S8:
    return static_cast<int8_t>(bits >> 8 * i);
  case ATTN_EMULATOR_U8:
    return static_cast<uint8_t>(bits >> 8 * i);
  case ATTN_EMULATOR_E4M3:
    return unpackE4M3(bits >> 8 * i & 0xff);
  case ATTN_EMULATOR_E5M2:
    // The upper half of an f16.
    return halfToFloat(static_cast<uint16_t>((bits >> 8 * i & 0xff) << 8));
  case ATTN_EMULATOR_S32:
    return static_cast<int32_t>(bits);
  default:
    return std::bit_cast<float>(bits);
  }
}

uint32_t attn::emulator::packInteger(double sum, bool saturates) {
  constexpr double kLeast = -2147483648.0, kMost = 2147483647.0;
  if (saturates) {
    sum = sum < kLeast ? kLeast : sum > kMost ? kMost : sum;
  }
  return static_cast<uint32_t>(static_cast<int64_t>(sum));
}
