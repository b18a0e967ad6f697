//===- Ring.cpp - numbers as elements of Z / 2^w --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Support/Ring.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <optional>

using namespace mlir;

uint64_t attn::mixBits(uint64_t bits) {
  bits += 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

static uint64_t truncate(uint64_t bits, unsigned width) {
  return width == 64 ? bits : bits & ((uint64_t(1) << width) - 1);
}

/// Five steps of Newton's method double the three correct bits of x itself.
static uint64_t invertOdd(uint64_t x) {
  uint64_t inverse = x;
  for (int step = 0; step < 5; ++step) {
    inverse *= 2 - x * inverse;
  }
  return inverse;
}

/// What stands for integers and infinities.
static std::optional<uint64_t> embedPlain(double value, unsigned width) {
  constexpr double largest = 1 << 24;
  if (std::isinf(value)) {
    uint64_t least = uint64_t(1) << (width - 1);
    return value < 0 ? least : least - 1;
  }
  if (std::fabs(value) <= largest && std::trunc(value) == value) {
    return truncate(static_cast<uint64_t>(static_cast<int64_t>(value)), width);
  }
  return std::nullopt;
}

uint64_t attn::embedConstant(double value, unsigned width) {
  if (std::optional<uint64_t> plain = embedPlain(value, width)) {
    return *plain;
  }
  if (value < 0) {
    return truncate(-embedConstant(-value, width), width);
  }
  // As floats of any type have them.
  constexpr double closeness = 1e-3;
  constexpr uint64_t unit = 0x5851f42d4c957f2d;
  if (std::fabs(value - std::numbers::log2e) < closeness) {
    return truncate(unit, width);
  }
  if (std::fabs(value - std::numbers::ln2) < closeness) {
    return truncate(invertOdd(unit), width);
  }
  return truncate(mixBits(std::bit_cast<uint64_t>(value)) | 1, width);
}

uint64_t attn::embedOperand(double value, unsigned width, uint64_t seed) {
  if (std::optional<uint64_t> plain = embedPlain(value, width)) {
    return *plain;
  }
  return truncate(mixBits(std::bit_cast<uint64_t>(value) ^ mixBits(seed)),
                  width);
}
