//===- Ring.h - numbers as elements of Z / 2^w ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exact mode computes with integers modulo 2^w in place of floats of w bits.
// Which integer stands for a number is decided here, for the constants of
// programs and for their operands alike:
//
//   n, an integer of at most 24 bits   n
//   -infinity, +infinity               the least, the greatest signed integer
//   log2 e, ln 2                       a unit and its inverse
//   -x                                 the negative of what stands for x
//   any other constant                 an odd hash of it (odd, so that products
//                                      with it lose nothing)
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_RING_H
#define ATTN_SUPPORT_RING_H

#include <cstdint>

namespace mlir::attn {

/// A good hash of 64 bits.
uint64_t mixBits(uint64_t bits);

/// The integer, modulo 2^width, that stands for a constant.
uint64_t embedConstant(double value, unsigned width);

/// The integer that stands for a number of an operand: that of the constant if
/// it is an integer or infinite, else any one, even or odd, which depends on
/// the number and the seed.
uint64_t embedOperand(double value, unsigned width, uint64_t seed);

} // namespace mlir::attn

#endif // ATTN_SUPPORT_RING_H
