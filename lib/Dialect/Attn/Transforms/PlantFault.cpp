//===- PlantFault.cpp - wrong plans for the tests of tests ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A check that has never failed shows nothing. This pass makes the mistakes
// that kernels of attention make, for a check to find:
//
//   rescale   attn.carry sum %e act(%m by %a)   ->   attn.carry sum %e
//   bound     bounds { yield %first, %end }     ->   yield %first, %end - 1
//   tail      attn.sweep %j = %lo to %hi        ->   to %hi - %hi mod 16
//   head      attn.stream .. in [%B, %H, %M]    ->   in [%B, %H - 1, %M]
//
// What it leaves may be no valid IR: a carry without its action is an error.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "llvm/ADT/StringSwitch.h"

namespace mlir::attn {
#define GEN_PASS_DEF_PLANTFAULTPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

static Value makeConstant(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

/// Each returns whether `op` is what it damages.
static bool dropRescale(Operation *op) {
  auto carry = dyn_cast<CarryOp>(op);
  if (!carry || carry.getGauges().empty()) {
    return false;
  }
  carry.getGaugesMutable().clear();
  carry.getRatesMutable().clear();
  return true;
}

static bool shortenBounds(Operation *op) {
  auto sweep = dyn_cast<SweepOp>(op);
  if (!sweep || sweep.getBounds().empty()) {
    return false;
  }
  Operation *yield = sweep.getBounds().front().getTerminator();
  OpBuilder builder(yield);
  Value one = makeConstant(builder, op->getLoc(), 1);
  yield->setOperand(1, arith::SubIOp::create(builder, op->getLoc(),
                                             yield->getOperand(1), one));
  return true;
}

static bool dropTail(Operation *op) {
  auto sweep = dyn_cast<SweepOp>(op);
  if (!sweep) {
    return false;
  }
  OpBuilder builder(op);
  Value upper = sweep.getUpper();
  Value rest = arith::RemUIOp::create(builder, op->getLoc(), upper,
                                      makeConstant(builder, op->getLoc(), 16));
  sweep.getUpperMutable().assign(
      arith::SubIOp::create(builder, op->getLoc(), upper, rest));
  return true;
}

static bool loseHead(Operation *op) {
  auto stream = dyn_cast<StreamOp>(op);
  if (!stream) {
    return false;
  }
  OpBuilder builder(op);
  Value one = makeConstant(builder, op->getLoc(), 1);
  stream.getHeadsMutable().assign(
      arith::SubIOp::create(builder, op->getLoc(), stream.getHeads(), one));
  return true;
}

namespace {
struct PlantFaultPass : attn::impl::PlantFaultPassBase<PlantFaultPass> {
  using Base::Base;

  void runOnOperation() override {
    using Damage = bool (*)(Operation *);
    auto damage = llvm::StringSwitch<Damage>(kind)
                      .Case("rescale", dropRescale)
                      .Case("bound", shortenBounds)
                      .Case("tail", dropTail)
                      .Case("head", loseHead)
                      .Default(nullptr);
    if (!damage) {
      getOperation().emitError()
          << "a fault is rescale, bound, tail or head, not '" << kind << "'";
      return signalPassFailure();
    }
    bool found = getOperation()
                     .walk([&](Operation *op) {
                       return damage(op) ? WalkResult::interrupt()
                                         : WalkResult::advance();
                     })
                     .wasInterrupted();
    if (!found) {
      getOperation().emitError()
          << "the plan has no place for a fault of kind '" << kind << "'";
      signalPassFailure();
    }
  }
};
} // namespace
