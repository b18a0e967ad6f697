//===- Expression.cpp - extents computed from others ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Expression.h"

#include "attn_module.h"

using namespace attn;

bool Operation::hasOperand() const {
  return op <= ATTN_OP_ARGUMENT || op == ATTN_OP_STRIDE;
}

bool attn::isWellFormed(const Expression &expression) {
  uint32_t depth = 0;
  for (uint32_t i = 0; i < expression.count; ++i) {
    const Operation &operation = expression.operations[i];
    if (operation.hasOperand()) {
      if (++depth > ATTN_MAX_STACK) {
        return false;
      }
    } else if (operation.op > ATTN_OP_STRIDE || depth < 2) {
      return false;
    } else {
      --depth;
    }
  }
  return depth == 1;
}

/// The quotient rounded down, and the rest, for a positive divisor.
static int64_t floorDivide(int64_t a, int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

static bool apply(uint8_t op, int64_t a, int64_t b, int64_t &value) {
  switch (op) {
  case ATTN_OP_ADD:
    return !__builtin_add_overflow(a, b, &value);
  case ATTN_OP_SUB:
    return !__builtin_sub_overflow(a, b, &value);
  case ATTN_OP_MUL:
    return !__builtin_mul_overflow(a, b, &value);
  case ATTN_OP_FLOORDIV:
    value = b > 0 ? floorDivide(a, b) : 0;
    return b > 0;
  case ATTN_OP_CEILDIV:
    value = b > 0 ? a / b + (a % b > 0 ? 1 : 0) : 0;
    return b > 0;
  case ATTN_OP_MOD:
    value = b > 0 ? a % b + (a % b < 0 ? b : 0) : 0;
    return b > 0;
  case ATTN_OP_MIN:
    value = a < b ? a : b;
    return true;
  default:
    value = a > b ? a : b;
    return true;
  }
}

bool attn::evaluate(const Expression &expression,
                    const Environment &environment, int64_t &value) {
  int64_t stack[ATTN_MAX_STACK];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < expression.count; ++i) {
    auto [op, operand] = expression.operations[i];
    if (op == ATTN_OP_CONSTANT) {
      stack[depth++] = operand;
    } else if (op == ATTN_OP_SYMBOL) {
      stack[depth++] = environment.symbols[operand];
    } else if (op == ATTN_OP_ARGUMENT) {
      stack[depth++] = environment.scalars[operand];
    } else if (op == ATTN_OP_STRIDE) {
      stack[depth++] = environment.descriptors[operand];
    } else {
      --depth;
      if (!apply(op, stack[depth - 1], stack[depth], stack[depth - 1])) {
        return false;
      }
    }
  }
  value = stack[0];
  return true;
}
