//===- Expression.h - arithmetic on extents ---------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expressions of attn_module.h as the compiler makes them, and where they lie
// between the passes that find them and the record that they end up in.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_EXPRESSION_H
#define ATTN_LIB_COMPILER_EXPRESSION_H

#include "attn_module.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::attn {

/// A step of an expression in postfix order.
struct ExtentTerm {
  attn_op op;
  int64_t operand = 0;

  bool operator==(const ExtentTerm &other) const {
    return op == other.op && operand == other.operand;
  }
};
/// Empty if it is not known. Until names are known, symbols are numbered as
/// `getAxisNumber` does.
using ExtentExpression = SmallVector<ExtentTerm, 3>;

inline int64_t getAxisNumber(unsigned argument, unsigned axis) {
  return int64_t{argument} * ATTN_MAX_RANK + axis;
}

inline bool hasOperand(attn_op op) {
  return op == ATTN_OP_CONSTANT || op == ATTN_OP_SYMBOL ||
         op == ATTN_OP_ARGUMENT || op == ATTN_OP_STRIDE;
}

inline ExtentExpression getConstant(int64_t value) {
  return {{ATTN_OP_CONSTANT, value}};
}

/// The value of an expression that is a constant.
inline std::optional<int64_t> getConstant(const ExtentExpression &expression) {
  return expression.size() == 1 && expression.front().op == ATTN_OP_CONSTANT
             ? std::optional(expression.front().operand)
             : std::nullopt;
}

/// Unknown if an operand is. Constants fold, and so do neutral elements.
ExtentExpression combine(ExtentExpression lhs, const ExtentExpression &rhs,
                         attn_op op);

/// 1 for 0, and 0 for 1.
ExtentExpression negate(const ExtentExpression &condition);

/// The entries of the stack that the evaluation takes.
unsigned getStackDepth(const ExtentExpression &expression);

/// What the passes found out of a public function.
struct CallFacts {
  /// Of every result that is a tensor and that the caller passes, its extents;
  /// none for the others. Results that are arguments are left out.
  SmallVector<std::optional<SmallVector<ExtentExpression>>> results;
  /// Bytes that a call takes outside of parallel loops, and per thread in them.
  ExtentExpression workspace, threadWorkspace;
  /// Why nobody can tell how many; empty if they are known.
  std::string unbounded;
};

/// As attributes of the function.
void setPassedResults(
    func::FuncOp func,
    ArrayRef<std::optional<SmallVector<ExtentExpression>>> results);
void setWorkspace(func::FuncOp func, const CallFacts &facts);

/// Reads them off what became of the function.
CallFacts getCallFacts(Operation *function);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_EXPRESSION_H
