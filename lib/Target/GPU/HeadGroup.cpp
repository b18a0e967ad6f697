//===- HeadGroup.cpp - heads whose rows share a block ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HeadGroup.h"

#include "RowElements.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <numeric>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

namespace {
/// What differs from head to head within a group.
class HeadDependence {
public:
  HeadDependence(StreamOp stream, ArrayRef<Operation *> quotients) {
    values.insert(stream.getHeadArg());
    stream.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (!llvm::is_contained(quotients, op) &&
          llvm::any_of(op->getOperands(), [&](Value operand) {
            return values.contains(operand);
          })) {
        values.insert(op->result_begin(), op->result_end());
      }
    });
  }

  bool contains(Value value) const { return values.contains(value); }
  bool contains(const FeatureRow &row) const {
    return llvm::any_of(row.indices,
                        [&](Value index) { return contains(index); }) ||
           (row.value && contains(row.value));
  }
  bool isReadIn(Region &region) {
    return region
        .walk([&](Operation *op) {
          return llvm::any_of(op->getOperands(),
                              [&](Value x) { return contains(x); })
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  }

private:
  DenseSet<Value> values;
};
} // namespace

/// Whether all heads go through the same keys and multiply the same rows.
static bool sharesKeys(SweepOp sweep, HeadDependence &dependence) {
  if (dependence.contains(sweep.getLower()) ||
      dependence.contains(sweep.getUpper()) ||
      dependence.isReadIn(sweep.getTiles()) ||
      dependence.isReadIn(sweep.getBounds())) {
    return false;
  }
  Value key = sweep.getKeyArg();
  if (ListedOp list = getDriver(sweep)) {
    if (llvm::any_of(list->getOperands(),
                     [&](Value x) { return dependence.contains(x); })) {
      return false;
    }
  }
  for (Operation &op : sweep.getBody().front()) {
    SmallVector<FeatureRow, 2> rows = getFactors(&op);
    if (auto carry = dyn_cast<CarryOp>(op);
        carry && carry.getKind() == CarryKind::Outer) {
      rows.push_back(FeatureRow::get(carry.getRow()));
    }
    for (const FeatureRow &row : rows) {
      if (row.reads(key) && dependence.contains(row)) {
        return false;
      }
    }
  }
  return true;
}

HeadGroup HeadGroup::find(StreamOp stream, int64_t most) {
  HeadGroup group;
  int64_t size = getConstantIntValue(stream.getHeads()).value_or(0);
  stream.walk([&](arith::DivUIOp op) {
    std::optional<int64_t> divisor = getConstantIntValue(op.getRhs());
    if (op.getLhs() == stream.getHeadArg() && divisor && *divisor > 0) {
      group.quotients.push_back(op);
      size = std::gcd(size, *divisor);
    }
  });
  for (int64_t parts = 2; size > most; ++parts) {
    size = size % parts == 0 && size / parts <= most ? size / parts : size;
  }
  HeadDependence dependence(stream, group.quotients);
  bool shares = true;
  stream.walk([&](SweepOp sweep) { shares &= sharesKeys(sweep, dependence); });
  if (size < 2 || !shares) {
    return {};
  }
  group.size = size;
  return group;
}
