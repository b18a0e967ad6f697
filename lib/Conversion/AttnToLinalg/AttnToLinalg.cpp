//===- AttnToLinalg.cpp - the reference: ops on materialised tensors ------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The meaning of the dialect as a program that runs, and the oracle of every
// kernel: each score matrix becomes two tensors, values and presence bits,
//
//   %m = attn.mask %s causal
//   %c = attn.reduce sum keys %m
// becomes
//   %present' = linalg.generic(%values, %present): and(present, j <= i)
//   %c = linalg.generic(%values, %present') over j: present' ? acc + v : acc
//
// After attn-form-streams it converts what is left, the matrices that
// attn.materialize asks for, and leaves the streams alone.
//
// Nothing is fused or reordered, and nothing here is fast. An absent entry is
// kept out by arith.select, so that a NaN in it reaches no one.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include "attn/Conversion/Passes.h"

#include <limits>

namespace mlir::attn {
#define GEN_PASS_DEF_ATTNTOLINALGPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// Keeps the reads of a region that may run on absent entries in bounds.
static void clampReads(Operation *op) {
  SmallVector<tensor::ExtractOp> reads;
  op->walk([&](tensor::ExtractOp read) { reads.push_back(read); });
  for (tensor::ExtractOp read : reads) {
    OpBuilder b(read);
    Location loc = read.getLoc();
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    for (auto [d, index] : llvm::enumerate(read.getIndicesMutable())) {
      Value extent =
          tensor::DimOp::create(b, loc, read.getTensor(), d).getResult();
      Value last = arith::SubIOp::create(b, loc, extent, one);
      Value low = arith::MinSIOp::create(b, loc, index.get(), last);
      index.set(arith::MaxSIOp::create(b, loc, low, zero));
    }
  }
}

/// guard(x) = x == -inf ? 0 : x.
static void expandGuard(GuardOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Type type = op.getType();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  };
  Value isNegInf =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, op.getValue(),
                            constant(-std::numeric_limits<double>::infinity()));
  op.replaceAllUsesWith(
      arith::SelectOp::create(b, loc, isNegInf, constant(0.0), op.getValue())
          .getResult());
  op.erase();
}

static bool touchesScores(Operation *op) {
  auto isScores = [](Type type) { return isa<ScoresType>(type); };
  return llvm::any_of(op->getOperandTypes(), isScores) ||
         llvm::any_of(op->getResultTypes(), isScores);
}

namespace {
struct AttnToLinalgPass : attn::impl::AttnToLinalgPassBase<AttnToLinalgPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(verifyResolvedScores(getOperation()))) {
      return signalPassFailure();
    }
    SmallVector<Operation *> ops;
    SmallVector<GuardOp> guards;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (touchesScores(op) || isListMaker(op)) {
        ops.push_back(op);
      }
    });
    Reference reference(&getContext());
    for (Operation *op : ops) {
      clampReads(op);
      if (isListMaker(op)) {
        writeList(op);
        continue;
      }
      if (failed(reference.convert(op))) {
        return signalPassFailure();
      }
    }
    for (Operation *op : llvm::reverse(ops)) {
      op->erase();
    }
    // Streams, where there are any, know what a guard is.
    getOperation().walk([&](GuardOp op) {
      if (!op->getParentOfType<StreamOp>()) {
        guards.push_back(op);
      }
    });
    llvm::for_each(guards, expandGuard);
  }
};
} // namespace
