//===- Ring.h - emitting arithmetic modulo 2^w ------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The group of units modulo 2^w is {1, -1} x {5^k}, k modulo 2^(w - 2). Every
// number but 0 is 2^t s 5^k with a sign s; k is its logarithm. Unless t is 0,
// the upper t bits of 5^k are unknown, and so are those of k; they are taken
// for 0 where they matter, and shifted out again where they do not.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_EXACTARITHMETIC_RING_H
#define ATTN_LIB_CONVERSION_EXACTARITHMETIC_RING_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace mlir::attn::exact {

/// The integers that hold the bits of a float, or of a vector of floats.
Type getBitsType(Type type);

/// x = 2^twos * (negative ? -unit : unit), with unit modulo 4 equal to 1.
struct Factors {
  Value twos, negative, unit;
};

/// Emits integer arithmetic on one type: scalars, or vectors of some length.
class Ring {
public:
  Ring(OpBuilder &builder, Location loc, Type bits);

  Type getType() const { return bits; }
  unsigned getWidth() const { return width; }

  Value constant(uint64_t value);
  Value least() { return constant(uint64_t(1) << (width - 1)); }
  Value greatest() { return constant((uint64_t(1) << (width - 1)) - 1); }

  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value both(Value a, Value b);
  Value either(Value a, Value b);
  Value flip(Value condition);
  Value shiftLeft(Value a, Value by);
  Value shiftRight(Value a, Value by);
  Value compare(arith::CmpIPredicate predicate, Value a, Value b);
  Value equal(Value a, Value b) {
    return compare(arith::CmpIPredicate::eq, a, b);
  }
  Value select(Value condition, Value yes, Value no);
  Value negateIf(Value condition, Value a) {
    return select(condition, sub(constant(0), a), a);
  }
  /// Whether a and mask have a bit in common.
  Value meets(Value a, uint64_t mask);

  /// Those of 0 are 2^(w - 1) and 1.
  Factors factor(Value x);

  // What takes many operations: see RingFunctions.h.
  Value inverse(Value x);
  Value exponential(Value x);
  Value logarithm(Value x);
  Value squareRoot(Value x);
  Value power(Value x, Value exponent);
  Value positive(Value x);
  Value magnitude(Value x);
  Value hash(Value salt, Value x);

private:
  /// k of 5^k.
  Value discreteLogarithm(Value unit);

  OpBuilder &builder;
  Location loc;
  Type bits;
  unsigned width;
};

} // namespace mlir::attn::exact

#endif // ATTN_LIB_CONVERSION_EXACTARITHMETIC_RING_H
