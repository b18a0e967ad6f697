//===- Random.h - the same numbers on every machine -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operands and random programs are known by their seed, so nothing here depends
// on the C++ library's distributions.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_RANDOM_H
#define ATTN_SUPPORT_RANDOM_H

#include <cmath>
#include <cstdint>

namespace mlir::attn {

/// SplitMix64: one multiplication chain per number, good enough for operands
/// and programs.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  /// Uniform in (0, 1).
  double unit() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

  double normal() {
    double radius = std::sqrt(-2.0 * std::log(unit()));
    return radius * std::cos(6.283185307179586 * unit());
  }

  /// Uniform in [0, bound).
  int64_t below(int64_t bound) {
    return bound <= 0
               ? 0
               : static_cast<int64_t>(next() % static_cast<uint64_t>(bound));
  }

private:
  uint64_t state;
};

} // namespace mlir::attn

#endif // ATTN_SUPPORT_RANDOM_H
