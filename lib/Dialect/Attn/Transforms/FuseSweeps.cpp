//===- FuseSweeps.cpp - online forms of the sweeps of a stream -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks the sweeps of each stream in order and fuses each into the one before
// it where SweepFusion derives an online form; a remark says which was fused
// and why another was not.
//
//===----------------------------------------------------------------------===//

#include "StreamUtils.h"
#include "SweepFusion.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"

#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"

namespace mlir::attn {
#define GEN_PASS_DEF_FUSESWEEPSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// "max, sum, outer": what a sweep accumulates.
static std::string describe(SweepOp sweep) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(sweep.getYield().getOperands(), os, [&](Value value) {
    Operation *def = value.getDefiningOp();
    if (auto carry = dyn_cast<CarryOp>(def)) {
      os << stringifyCarryKind(carry.getKind());
    } else if (auto running = dyn_cast<RunningOp>(def)) {
      os << "running " << stringifyGaugeKind(running.getKind());
    } else {
      os << def->getName().stripDialect();
    }
  });
  return text;
}

namespace {
struct FuseSweepsPass : attn::impl::FuseSweepsPassBase<FuseSweepsPass> {
  using Base::Base;

  void runOnOperation() override {
    // Expressions are compared by value.
    IRRewriter rewriter(&getContext());
    DominanceInfo dominance(getOperation());
    eliminateCommonSubExpressions(rewriter, dominance, getOperation());
    SmallVector<StreamOp> streams;
    getOperation().walk([&](StreamOp stream) { streams.push_back(stream); });
    for (StreamOp stream : streams) {
      if (failed(runOnStream(stream))) {
        signalPassFailure();
      }
    }
  }

  LogicalResult runOnStream(StreamOp stream) {
    auto sweeps = llvm::to_vector(stream.getBody().front().getOps<SweepOp>());
    if (sweeps.empty()) {
      return success();
    }
    SmallVector<SweepOp> kept;
    SweepOp base = sweeps.front();
    for (SweepOp sweep : ArrayRef(sweeps).drop_front()) {
      std::string what = describe(sweep);
      Location loc = sweep.getLoc();
      SweepFusion fusion(base, sweep, maxTerms);
      FailureOr<SweepOp> fused = fusion.run();
      if (succeeded(fused)) {
        emitRemark(loc) << "sweep (" << what << ") is fused into the one "
                        << "before it";
        base = *fused;
        continue;
      }
      emitRemark(loc) << "sweep (" << what
                      << ") stays on its own: " << fusion.getReason();
      kept.push_back(base);
      base = sweep;
    }
    kept.push_back(base);
    // Later sweeps first: pruning one may free results of an earlier one.
    for (SweepOp sweep : llvm::reverse(kept)) {
      eraseDeadRowOps(stream);
      pruneSweep(sweep);
    }
    if (static_cast<int64_t>(kept.size()) > maxRecomputeFactor) {
      InFlightDiagnostic diag = emitError(stream.getLoc())
                                << "this stream visits its scores "
                                << kept.size()
                                << " times, more than max-recompute-factor = "
                                << maxRecomputeFactor.getValue();
      diag.attachNote() << "raise the option, or store the matrix with "
                           "attn.materialize";
      return diag;
    }
    return success();
  }
};
} // namespace
