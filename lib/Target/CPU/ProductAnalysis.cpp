//===- ProductAnalysis.cpp - the factors of entries that are products -----===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sweep inside of an entry is a product of two virtual matrices. One factor
// belongs to the rows of the sweep around it and one to its keys; each is
// planned like a tile of its own, seen from there. Products.cpp writes them.
//
//===----------------------------------------------------------------------===//

#include "StreamAnalysis.h"

#include "attn/Dialect/Attn/IR/GaugeTyping.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// The factors of a product, which arithmetic may have multiplied already.
static void collectFactors(Value value, SweepOp inner,
                           SmallVectorImpl<Value> &factors) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  if (product && product->getParentOp() == inner) {
    collectFactors(product.getLhs(), inner, factors);
    collectFactors(product.getRhs(), inner, factors);
    return;
  }
  factors.push_back(value);
}

LogicalResult StreamAnalysis::planProduct(TilePlan &plan, SweepOp inner) {
  bool collects = inner
                      .walk([](Operation *op) {
                        return isCollective(op) ? WalkResult::interrupt()
                                                : WalkResult::advance();
                      })
                      .wasInterrupted();
  if (collects) {
    return inner.emitError("the CPU target has no form for a convolution or a "
                           "mixture of heads in a factor of attn.matmul; "
                           "materialize the factor (attn.materialize)");
  }
  auto reducers = llvm::make_filter_range(
      inner.getBody().front(), [](Operation &op) { return isReducer(&op); });
  CarryOp sum;
  for (Operation &op : reducers) {
    sum = sum ? CarryOp() : dyn_cast<CarryOp>(op);
  }
  if (!sum || sum.getKind() != CarryKind::Sum || inner.getNumResults() != 1 ||
      !isBlockUniform(inner.getLower()) || !isBlockUniform(inner.getUpper())) {
    return inner.emitError("the CPU target runs a sweep inside of an entry as "
                           "one sum of products only");
  }
  auto result = std::make_shared<ProductPlan>();
  ProductPlan &product = *result;
  product.op = inner;
  SmallVector<Value> values, conditions;
  collectFactors(sum.getValue(), inner, values);
  if (sum.getCond()) {
    collectConjuncts(sum.getCond(), conditions);
  }
  auto deal = [&](ArrayRef<Value> from, SmallVector<Value> FactorPlan::*to) {
    for (Value value : from) {
      ValueClass c = getClass(value);
      if ((c.row && c.key) || c.level) {
        return false;
      }
      ((c.key ? product.ofKeys : product.ofRows).*to).push_back(value);
    }
    return true;
  };
  if (!deal(values, &FactorPlan::values) ||
      !deal(conditions, &FactorPlan::conditions)) {
    return inner.emitError("a factor of attn.matmul depends on the row and the "
                           "key of the product at once");
  }
  product.ofRows.plan.rowArg = plan.rowArg;
  product.ofRows.plan.keyArg = inner.getKeyArg();
  product.ofKeys.plan.rowArg = inner.getKeyArg();
  product.ofKeys.plan.keyArg = plan.keyArg;
  if (failed(planFactor(product.ofRows, inner)) ||
      failed(planFactor(product.ofKeys, inner))) {
    return failure();
  }
  plan.products.push_back(std::move(result));
  return success();
}

/// The inner key counts columns in the factor of rows, rows in that of keys.
LogicalResult StreamAnalysis::planFactor(FactorPlan &factor, SweepOp inner) {
  factor.analysis =
      std::make_shared<StreamAnalysis>(stream, target, sharesScores);
  StreamAnalysis &own = *factor.analysis;
  own.classes = classes;
  own.elementBits = elementBits;
  own.mixes = mixes;
  ValueClass &key = own.classes[inner.getKeyArg()];
  (factor.plan.keyArg == inner.getKeyArg() ? key.key : key.row) = true;
  for (Operation &op : inner.getBody().front()) {
    own.classify(op);
  }
  DenseSet<Value> seen;
  for (Value value : llvm::concat<Value>(factor.values, factor.conditions)) {
    own.collectLeaves(factor, value, seen);
  }
  for (Value value : factor.plan.filled) {
    if (auto nested = value.getDefiningOp<SweepOp>();
        nested && failed(own.planProduct(factor.plan, nested))) {
      return failure();
    }
  }
  llvm::erase_if(factor.plan.filled, [](Value value) {
    return value.getDefiningOp<SweepOp>() != nullptr;
  });
  return success();
}

/// Notes what the entries of a factor read from tiles.
void StreamAnalysis::collectLeaves(FactorPlan &factor, Value value,
                                   DenseSet<Value> &seen) {
  Operation *op = value.getDefiningOp();
  if (!op || !getClass(value).key || !seen.insert(value).second) {
    return;
  }
  if (auto dot = dyn_cast<DotOp>(op)) {
    factor.plan.pairs.push_back(dot);
    return;
  }
  if (isFilled(op)) {
    factor.plan.filled.push_back(value);
    return;
  }
  for (Value operand : op->getOperands()) {
    collectLeaves(factor, operand, seen);
  }
}
