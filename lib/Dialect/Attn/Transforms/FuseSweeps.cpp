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

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"

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

static bool overSameKeys(SweepOp a, SweepOp b) {
  return a.getLower() == b.getLower() && a.getUpper() == b.getUpper();
}

/// What `op` uses, and what that uses, of the ops behind `first`; none if a
/// sweep is among it.
static std::optional<DenseSet<Operation *>> usedBetween(Operation *first,
                                                        Operation *op) {
  DenseSet<Operation *> used;
  SmallVector<Operation *> pending{op};
  while (!pending.empty()) {
    Operation *next = pending.pop_back_val();
    SetVector<Value> values(next->operand_begin(), next->operand_end());
    getUsedValuesDefinedAbove(next->getRegions(), values);
    for (Value value : values) {
      Operation *def = value.getDefiningOp();
      if (!def || def->getBlock() != first->getBlock() ||
          !first->isBeforeInBlock(def) || !used.insert(def).second) {
        continue;
      }
      if (isa<SweepOp>(def)) {
        return std::nullopt;
      }
      pending.push_back(def);
    }
  }
  return used;
}

/// Brings sweeps over the same keys together: one program may run over several
/// sets of keys.
static void gatherSweeps(StreamOp stream) {
  for (auto sweep : llvm::to_vector(stream.getBody().getOps<SweepOp>())) {
    SweepOp base;
    bool apart = false;
    for (auto other : stream.getBody().getOps<SweepOp>()) {
      if (other == sweep) {
        break;
      }
      apart = !overSameKeys(other, sweep);
      base = apart ? base : other;
    }
    if (!base || !apart) {
      continue;
    }
    std::optional<DenseSet<Operation *>> used = usedBetween(base, sweep);
    if (!used) {
      continue;
    }
    Operation *last = base;
    for (Operation &op : llvm::make_early_inc_range(llvm::make_range(
             std::next(base->getIterator()), sweep->getIterator()))) {
      if (used->contains(&op)) {
        op.moveAfter(last);
        last = &op;
      }
    }
    sweep->moveAfter(last);
  }
}

/// How many entries of other matrices each entry of a sweep sums up; none if
/// that is not known.
static std::optional<int64_t> innerVisits(SweepOp sweep) {
  int64_t visits = 0;
  for (auto inner : sweep.getBody().getOps<SweepOp>()) {
    std::optional<int64_t> extent = getConstantIntValue(inner.getUpper());
    std::optional<int64_t> more = innerVisits(inner);
    if (!extent || !more) {
      return std::nullopt;
    }
    visits += *extent * (1 + *more);
  }
  return visits;
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
    gatherSweeps(stream);
    sweeps = llvm::to_vector(stream.getBody().front().getOps<SweepOp>());
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
    return maxRecomputeFactor == 0 ? success() : checkVisits(stream);
  }

  /// Refuses what visits its scores too often: once per sweep over the same
  /// keys, and K times more per entry for the product of two matrices.
  LogicalResult checkVisits(StreamOp stream) {
    int64_t visits = 0;
    bool products = false;
    llvm::MapVector<std::pair<Value, Value>, int64_t> byKeys;
    for (auto sweep : stream.getBody().getOps<SweepOp>()) {
      std::optional<int64_t> more = innerVisits(sweep);
      if (!more) {
        InFlightDiagnostic diag = emitError(stream.getLoc())
                                  << "every entry of this stream is a sum over "
                                     "a dynamic number of others (attn.matmul),"
                                     " which no max-recompute-factor bounds";
        diag.attachNote() << "give the shared axis a static extent, or lift "
                             "the limit by max-recompute-factor = 0";
        return diag;
      }
      int64_t &here = byKeys[{sweep.getLower(), sweep.getUpper()}];
      here += 1 + *more;
      visits = std::max(visits, here);
      products |= *more > 0;
    }
    if (visits <= maxRecomputeFactor) {
      return success();
    }
    InFlightDiagnostic diag = emitError(stream.getLoc())
                              << "this stream visits its scores " << visits
                              << " times, more than max-recompute-factor = "
                              << maxRecomputeFactor.getValue();
    diag.attachNote() << (products ? "attn.matmul visits its shared axis for "
                                     "every entry; raise the option"
                                   : "raise the option, or store the matrix "
                                     "with attn.materialize");
    return diag;
  }
};
} // namespace
