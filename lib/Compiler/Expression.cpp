//===- Expression.cpp - arithmetic on extents -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   func.func @f(...) attributes {
//     attn.passed_results = [[array<i64: 1, 0>, array<i64: 0, 64>], unit],
//     attn.workspace = array<i64: ...>, attn.thread_workspace = array<i64: ...>
//   }
//
// An expression is an array of pairs: an operator and its operand.
//
//===----------------------------------------------------------------------===//

#include "Expression.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringRef kPassedResults = "attn.passed_results";
static constexpr StringRef kWorkspace = "attn.workspace";
static constexpr StringRef kThreadWorkspace = "attn.thread_workspace";
static constexpr StringRef kUnbounded = "attn.unbounded_workspace";

/// None if the value is not defined, or does not fit.
static std::optional<int64_t> fold(int64_t a, int64_t b, attn_op op) {
  int64_t value = 0;
  switch (op) {
  case ATTN_OP_ADD:
    return llvm::AddOverflow(a, b, value) ? std::nullopt : std::optional(value);
  case ATTN_OP_SUB:
    return llvm::SubOverflow(a, b, value) ? std::nullopt : std::optional(value);
  case ATTN_OP_MUL:
    return llvm::MulOverflow(a, b, value) ? std::nullopt : std::optional(value);
  case ATTN_OP_FLOORDIV:
    return b > 0 ? std::optional(llvm::divideFloorSigned(a, b)) : std::nullopt;
  case ATTN_OP_CEILDIV:
    return b > 0 ? std::optional(llvm::divideCeilSigned(a, b)) : std::nullopt;
  case ATTN_OP_MOD:
    return b > 0 ? std::optional(llvm::mod(a, b)) : std::nullopt;
  case ATTN_OP_MIN:
    return std::min(a, b);
  case ATTN_OP_MAX:
    return std::max(a, b);
  default:
    return std::nullopt;
  }
}

ExtentExpression attn::combine(ExtentExpression lhs,
                               const ExtentExpression &rhs, attn_op op) {
  if (lhs.empty() || rhs.empty()) {
    return {};
  }
  std::optional<int64_t> left = getConstant(lhs), right = getConstant(rhs);
  if (left && right) {
    if (std::optional<int64_t> value = fold(*left, *right, op)) {
      return getConstant(*value);
    }
  }
  bool isSum = op == ATTN_OP_ADD || op == ATTN_OP_SUB;
  bool isProduct =
      op == ATTN_OP_MUL || op == ATTN_OP_FLOORDIV || op == ATTN_OP_CEILDIV;
  if ((right == 0 && isSum) || (right == 1 && isProduct)) {
    return lhs;
  }
  if ((left == 0 && op == ATTN_OP_ADD) || (left == 1 && op == ATTN_OP_MUL)) {
    return rhs;
  }
  if ((left == 0 || right == 0) && op == ATTN_OP_MUL) {
    return getConstant(0);
  }
  if ((op == ATTN_OP_MIN || op == ATTN_OP_MAX) && lhs == rhs) {
    return lhs;
  }
  lhs.append(rhs);
  lhs.push_back({op});
  return lhs;
}

ExtentExpression attn::negate(const ExtentExpression &condition) {
  // Twice is none: "1 x -" is 1 - x, if the sign takes all of x.
  constexpr size_t shortest = 3;
  if (condition.size() >= shortest && condition.back().op == ATTN_OP_SUB &&
      condition.front() == ExtentTerm{ATTN_OP_CONSTANT, 1}) {
    ArrayRef<ExtentTerm> inside = ArrayRef(condition).drop_front().drop_back();
    int64_t depth = 0;
    bool isWhole = llvm::all_of(inside, [&](const ExtentTerm &term) {
      depth += hasOperand(term.op) ? 1 : -1;
      return depth > 0;
    });
    if (isWhole && depth == 1) {
      return ExtentExpression(inside);
    }
  }
  return combine(getConstant(1), condition, ATTN_OP_SUB);
}

unsigned attn::getStackDepth(const ExtentExpression &expression) {
  unsigned depth = 0, most = 0;
  for (const ExtentTerm &term : expression) {
    depth = hasOperand(term.op) ? depth + 1 : depth - 1;
    most = std::max(most, depth);
  }
  return most;
}

static Attribute encode(Builder &builder, const ExtentExpression &expression) {
  SmallVector<int64_t> numbers;
  for (const ExtentTerm &term : expression) {
    numbers.append({term.op, term.operand});
  }
  return builder.getDenseI64ArrayAttr(numbers);
}

static ExtentExpression decode(Attribute attr) {
  ExtentExpression expression;
  if (auto array = dyn_cast_if_present<DenseI64ArrayAttr>(attr)) {
    ArrayRef<int64_t> numbers = array;
    for (size_t i = 0; i + 1 < numbers.size(); i += 2) {
      expression.push_back({static_cast<attn_op>(numbers[i]), numbers[i + 1]});
    }
  }
  return expression;
}

void attn::setPassedResults(
    func::FuncOp func,
    ArrayRef<std::optional<SmallVector<ExtentExpression>>> results) {
  Builder builder(func.getContext());
  SmallVector<Attribute> attrs;
  for (const auto &extents : results) {
    if (!extents) {
      attrs.push_back(builder.getUnitAttr());
      continue;
    }
    SmallVector<Attribute> axes;
    for (const ExtentExpression &extent : *extents) {
      axes.push_back(encode(builder, extent));
    }
    attrs.push_back(builder.getArrayAttr(axes));
  }
  func->setAttr(kPassedResults, builder.getArrayAttr(attrs));
}

void attn::setWorkspace(func::FuncOp func, const CallFacts &facts) {
  Builder builder(func.getContext());
  if (!facts.unbounded.empty()) {
    func->setAttr(kUnbounded, builder.getStringAttr(facts.unbounded));
    return;
  }
  func->setAttr(kWorkspace, encode(builder, facts.workspace));
  func->setAttr(kThreadWorkspace, encode(builder, facts.threadWorkspace));
}

CallFacts attn::getCallFacts(Operation *function) {
  CallFacts facts;
  if (auto results = function->getAttrOfType<ArrayAttr>(kPassedResults)) {
    for (Attribute attr : results) {
      auto &extents = facts.results.emplace_back();
      if (auto axes = dyn_cast<ArrayAttr>(attr)) {
        extents.emplace();
        for (Attribute axis : axes) {
          extents->push_back(decode(axis));
        }
      }
    }
  }
  facts.workspace = decode(function->getAttr(kWorkspace));
  facts.threadWorkspace = decode(function->getAttr(kThreadWorkspace));
  if (auto reason = function->getAttrOfType<StringAttr>(kUnbounded)) {
    facts.unbounded = reason.str();
  } else if (facts.workspace.empty() || facts.threadWorkspace.empty()) {
    facts.unbounded = "it was not measured";
  }
  return facts;
}
