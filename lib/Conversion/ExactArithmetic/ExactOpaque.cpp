//===- ExactOpaque.cpp - float constants that do not fold -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exact mode replaces float arithmetic at the end of a pipeline. What folding
// would have computed with floats until then could not be undone:
//
//   %c = arith.constant 0.7 : f32     ->    %c = attn.opaque 0.7 : f32
//
//===----------------------------------------------------------------------===//

#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Attn/IR/ExactOps.h"

namespace mlir::attn {
#define GEN_PASS_DEF_EXACTOPAQUEPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// The numbers that the ring has itself: their folding is the ring's.
static bool isRingNumber(const APFloat &value) {
  return value.isZero() || value.isExactlyValue(1.0) ||
         value.isExactlyValue(-1.0) || value.isInfinity();
}

/// Folds into a dense constant, which no dictionary can be part of.
static bool feedsTensor(arith::ConstantOp op) {
  return llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<tensor::FromElementsOp, tensor::SplatOp, vector::FromElementsOp>(
        user);
  });
}

/// What a map yields is inlined into others, where a function of it would be
/// folded to a number that the ring does not have.
static bool isYieldOfMap(OpOperand &use) {
  return isa<YieldOp>(use.getOwner()) &&
         isa<MapOp>(use.getOwner()->getParentOp());
}

namespace {
struct ExactOpaquePass : attn::impl::ExactOpaquePassBase<ExactOpaquePass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation().walk([](arith::ConstantOp op) {
      auto value = dyn_cast<FloatAttr>(op.getValue());
      if (!value || feedsTensor(op)) {
        return;
      }
      APFloat number = value.getValue();
      bool isOne = number.isExactlyValue(1.0) || number.isExactlyValue(-1.0);
      if (isRingNumber(number) &&
          !(isOne && llvm::any_of(op->getUses(), isYieldOfMap))) {
        return;
      }
      OpBuilder builder(op);
      auto opaque = OpaqueOp::create(builder, op.getLoc(), value);
      op.getResult().replaceUsesWithIf(opaque.getResult(), [&](OpOperand &use) {
        return !isOne || isYieldOfMap(use);
      });
      if (op->use_empty()) {
        op.erase();
      }
    });
  }
};
} // namespace
