//===- Expression.h - extents computed from others ------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EXPRESSION_H
#define ATTN_RUNTIME_EXPRESSION_H

#include <cstddef>
#include <cstdint>

namespace attn {

/// An operator of an expression in postfix order: see attn_module.h.
struct Operation {
  uint8_t op = 0;
  int64_t operand = 0;

  bool hasOperand() const;
};

struct Expression {
  Operation *operations = nullptr;
  uint32_t count = 0;

  bool isEmpty() const { return count == 0; }
};

/// What an expression may refer to.
struct Environment {
  const int64_t *symbols = nullptr;
  /// Values of scalar arguments, by the number of the argument.
  const int64_t *scalars = nullptr;
  /// What operands of strides are numbers of; null where there are none.
  const int64_t *descriptors = nullptr;
};

/// Whether the expression has exactly one value and stays within the limits;
/// what symbols and arguments it names is for the caller to check.
bool isWellFormed(const Expression &expression);

/// The value of a well-formed expression. False on overflow and on division by
/// a number that is not positive.
bool evaluate(const Expression &expression, const Environment &environment,
              int64_t &value);

} // namespace attn

#endif // ATTN_RUNTIME_EXPRESSION_H
