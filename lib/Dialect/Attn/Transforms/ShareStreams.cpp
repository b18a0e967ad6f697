//===- ShareStreams.cpp - one kernel for streams over one space -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two streams over the same rows and keys that read a common tensor, neither of
// which needs the other, become one stream. Their sweeps of equal level are
// joined where that cannot add work: they need the same entries, or compute the
// same contraction.
//
//   %o = attn.stream rows ... ins(%q, %k, %v) {       %o, %c = attn.stream rows
//     %l, %acc = attn.sweep { dot .. exp2 .. }            ins(%q, %k, %v) {
//     attn.store_row ... }                        ==>   %l, %acc, %t =
//     attn.sweep {
//   %c = attn.stream rows ... ins(%q, %k) {               dot .. exp2 .. }
//     %t = attn.sweep { dot .. }                        attn.store_row ... }
//     attn.store_row ... }
//
// Equal values in a joined sweep are computed once, equal gauges and carries
// are kept once.
//
//===----------------------------------------------------------------------===//

#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::attn {
#define GEN_PASS_DEF_SHARESTREAMSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Moving what depends on the first op after the second
//===----------------------------------------------------------------------===//

/// Whether `op`, with what it contains, uses a result of one of `defs`.
static bool usesAny(Operation *op, const SetVector<Operation *> &defs) {
  return op
      ->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands()) {
          if (defs.contains(operand.getDefiningOp())) {
            return WalkResult::interrupt();
          }
        }
        return WalkResult::advance();
      })
      .wasInterrupted();
}

/// `first` and the ops between it and `last`, of one block, that depend on it.
static SetVector<Operation *> dependents(Operation *first, Operation *last) {
  SetVector<Operation *> result;
  result.insert(first);
  for (Operation *op = first->getNextNode(); op != last;
       op = op->getNextNode()) {
    if (usesAny(op, result)) {
      result.insert(op);
    }
  }
  return result;
}

static bool isMovable(Operation *op) {
  if (auto stream = dyn_cast<StreamOp>(op)) {
    return stream.getNumResults() == stream.getOutputs().size();
  }
  return isa<SweepOp>(op) || isMemoryEffectFree(op);
}

/// Prepares for replacing both ops by one in the place of `second`: moves what
/// depends on `first` behind it. Fails where `second` itself does, or where an
/// op must not move.
static LogicalResult separate(Operation *first, Operation *second) {
  SetVector<Operation *> moved = dependents(first, second);
  if (usesAny(second, moved)) {
    return failure();
  }
  moved.remove(first);
  if (!llvm::all_of(moved, isMovable)) {
    return failure();
  }
  for (Operation *op : llvm::reverse(moved)) {
    op->moveAfter(second);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Joining sweeps
//===----------------------------------------------------------------------===//

namespace {
/// Compares values of two sweeps of one stream by structure.
class SweepComparison {
public:
  SweepComparison(SweepOp a, SweepOp b) : a(a), b(b) {}

  bool same(Value x, Value y) {
    if (x == y || (x && y && x == a.getKeyArg() && y == b.getKeyArg())) {
      return true;
    }
    if (!x || !y || !x.getDefiningOp() || !y.getDefiningOp()) {
      return false;
    }
    auto [known, inserted] = memo.try_emplace({x, y}, false);
    if (!inserted) {
      return known->second;
    }
    bool result = sameOp(x.getDefiningOp(), y.getDefiningOp()) &&
                  cast<OpResult>(x).getResultNumber() ==
                      cast<OpResult>(y).getResultNumber();
    memo[{x, y}] = result;
    return result;
  }

private:
  bool sameOp(Operation *x, Operation *y) {
    // A sweep, or what holds a region, equals only itself.
    if (x->getNumRegions() || x->getName() != y->getName() ||
        x->getAttrDictionary() != y->getAttrDictionary() ||
        x->getResultTypes() != y->getResultTypes() ||
        x->getNumOperands() != y->getNumOperands()) {
      return false;
    }
    return llvm::all_of(
        llvm::zip(x->getOperands(), y->getOperands()),
        [&](auto pair) { return same(std::get<0>(pair), std::get<1>(pair)); });
  }

  SweepOp a, b;
  DenseMap<std::pair<Value, Value>, bool> memo;
};
} // namespace

/// The distinct presence conditions of a sweep; null for "always".
static SetVector<Value> conditionsOf(SweepOp sweep) {
  SetVector<Value> result;
  for (Operation &op : sweep.getBody().front()) {
    if (auto reducer = dyn_cast<ReducerOpInterface>(op)) {
      result.insert(reducer.getCond());
    }
  }
  return result;
}

/// Whether one sweep in the place of two visits no tile for nothing: either
/// both need the same entries, or they share a contraction.
static bool isWorthJoining(SweepOp a, SweepOp b) {
  SweepComparison comparison(a, b);
  auto covered = [&](const SetVector<Value> &xs, const SetVector<Value> &ys,
                     bool swapped) {
    return llvm::all_of(xs, [&](Value x) {
      return llvm::any_of(ys, [&](Value y) {
        return swapped ? comparison.same(y, x) : comparison.same(x, y);
      });
    });
  };
  SetVector<Value> as = conditionsOf(a), bs = conditionsOf(b);
  if (covered(as, bs, false) && covered(bs, as, true)) {
    return true;
  }
  // A sweep that follows a list would have to visit all keys.
  auto hasList = [](SweepOp sweep) {
    return !sweep.getBody().getOps<ListedOp>().empty();
  };
  if (hasList(a) || hasList(b)) {
    return false;
  }
  auto shareAny = [&](auto xs, auto ys) {
    return llvm::any_of(xs, [&](auto x) {
      return llvm::any_of(ys, [&](auto y) { return comparison.same(x, y); });
    });
  };
  Region &one = a.getBody(), &other = b.getBody();
  return shareAny(one.getOps<DotOp>(), other.getOps<DotOp>()) ||
         shareAny(one.getOps<InnerOp>(), other.getOps<InnerOp>());
}

/// Keeps one of equal gauges and carries, and of what is computed from them.
static void unifyAccumulators(SweepOp sweep) {
  IRRewriter rewriter(sweep.getContext());
  DominanceInfo dominance(sweep);
  bool changed = true;
  while (changed) {
    changed = false;
    eliminateCommonSubExpressions(rewriter, dominance, sweep);
    SmallVector<Operation *> seen;
    for (Operation &op : llvm::make_early_inc_range(sweep.getBody().front())) {
      if (!isa<CarryOp, RunningOp>(op)) {
        continue;
      }
      auto *same = llvm::find_if(seen, [&](Operation *other) {
        return OperationEquivalence::isEquivalentTo(
            other, &op, OperationEquivalence::IgnoreLocations);
      });
      if (same == seen.end()) {
        seen.push_back(&op);
        continue;
      }
      rewriter.replaceOp(&op, (*same)->getResults());
      changed = true;
    }
  }
}

/// One sweep in the place of `b`; `a` has been separated from it.
static SweepOp joinSweeps(SweepOp a, SweepOp b) {
  IRRewriter rewriter(b.getContext());
  rewriter.setInsertionPoint(b);
  SmallVector<Type> types(a.getResultTypes());
  llvm::append_range(types, b.getResultTypes());
  auto joined =
      SweepOp::create(rewriter, b.getLoc(), b.getLower(), b.getUpper(), types);
  Block *body = &joined.getBody().front();
  SmallVector<Value> yielded(a.getYield().getOperands());
  llvm::append_range(yielded, b.getYield().getOperands());
  for (SweepOp sweep : {a, b}) {
    rewriter.eraseOp(sweep.getYield());
    rewriter.inlineBlockBefore(&sweep.getBody().front(), body, body->end(),
                               joined.getKeyArg());
  }
  rewriter.setInsertionPointToEnd(body);
  YieldOp::create(rewriter, b.getLoc(), yielded);
  rewriter.replaceOp(a, joined.getResults().take_front(a.getNumResults()));
  rewriter.replaceOp(b, joined.getResults().take_back(b.getNumResults()));
  unifyAccumulators(joined);
  return joined;
}

/// Joins the sweeps of a body where their ranges are equal and neither needs
/// the other.
static void joinSweepsOf(StreamOp stream) {
  bool changed = true;
  while (changed) {
    changed = false;
    auto sweeps = llvm::to_vector(stream.getBody().getOps<SweepOp>());
    for (auto [k, b] : llvm::enumerate(sweeps)) {
      for (SweepOp a : ArrayRef(sweeps).take_front(k)) {
        if (a.getLower() == b.getLower() && a.getUpper() == b.getUpper() &&
            isWorthJoining(a, b) && succeeded(separate(a, b))) {
          joinSweeps(a, b);
          changed = true;
          break;
        }
      }
      if (changed) {
        break;
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Merging streams
//===----------------------------------------------------------------------===//

/// The blocks of rows that share the bins of a tally, seen from outside.
static SetVector<Value> getRowBlocks(StreamOp stream) {
  SetVector<Value> blocks;
  stream.walk([&](BinsOp bins) {
    if (auto argument = dyn_cast_or_null<BlockArgument>(bins.getRowBlock())) {
      blocks.insert(stream.getInputs()[argument.getArgNumber() -
                                       StreamOp::kNumIndexArgs]);
    } else if (bins.getRowBlock()) {
      blocks.insert(bins.getRowBlock());
    }
  });
  return blocks;
}

static bool haveOneSpace(StreamOp a, StreamOp b) {
  // A kernel has one size of such blocks.
  SetVector<Value> blocks = getRowBlocks(a);
  SetVector<Value> others = getRowBlocks(b);
  if (!blocks.empty() && !others.empty() && blocks != others) {
    return false;
  }
  bool onTensors = isMovable(a) && isMovable(b);
  if (!onTensors || a.getOrientation() != b.getOrientation() ||
      !sameExtent(a.getBatch(), b.getBatch()) ||
      !sameExtent(a.getHeads(), b.getHeads()) ||
      !sameExtent(a.getRows(), b.getRows()) ||
      !sameExtent(a.getExtent(), b.getExtent())) {
    return false;
  }
  return llvm::any_of(a.getInputs(), [&](Value input) {
    return isa<RankedTensorType>(input.getType()) &&
           llvm::is_contained(b.getInputs(), input);
  });
}

/// One stream in the place of `b`; `a` has been separated from it.
static StreamOp mergeStreams(StreamOp a, StreamOp b) {
  IRRewriter rewriter(b.getContext());
  rewriter.setInsertionPoint(b);
  SetVector<Value> inputs(a.getInputs().begin(), a.getInputs().end());
  inputs.insert(b.getInputs().begin(), b.getInputs().end());
  SmallVector<Value> outputs(a.getOutputs());
  llvm::append_range(outputs, b.getOutputs());
  auto merged =
      StreamOp::create(rewriter, b.getLoc(), a.getOrientation(),
                       {a.getBatch(), a.getHeads(), a.getRows(), a.getExtent()},
                       inputs.getArrayRef(), outputs);
  Block *body = &merged.getBody().front();
  SmallVector<Value> stored(a.getStoreRow().getValues());
  llvm::append_range(stored, b.getStoreRow().getValues());
  for (StreamOp stream : {a, b}) {
    rewriter.eraseOp(stream.getStoreRow());
    SmallVector<Value> arguments(
        body->getArguments().take_front(StreamOp::kNumIndexArgs));
    for (Value input : stream.getInputs()) {
      arguments.push_back(
          merged.getInputArg(llvm::find(inputs, input) - inputs.begin()));
    }
    rewriter.inlineBlockBefore(&stream.getBody().front(), body, body->end(),
                               arguments);
  }
  rewriter.setInsertionPointToEnd(body);
  StoreRowOp::create(rewriter, b.getLoc(), stored);
  rewriter.replaceOp(a, merged.getResults().take_front(a.getNumResults()));
  rewriter.replaceOp(b, merged.getResults().take_back(b.getNumResults()));
  DominanceInfo dominance(merged);
  eliminateCommonSubExpressions(rewriter, dominance, merged);
  joinSweepsOf(merged);
  return merged;
}

/// Merges one pair of streams of the block, if any can be.
static bool mergeOnePair(Block &block) {
  auto streams = llvm::to_vector(block.getOps<StreamOp>());
  for (auto [k, b] : llvm::enumerate(streams)) {
    for (StreamOp a : ArrayRef(streams).take_front(k)) {
      if (haveOneSpace(a, b) && succeeded(separate(a, b))) {
        mergeStreams(a, b);
        return true;
      }
    }
  }
  return false;
}

namespace {
struct ShareStreamsPass : attn::impl::ShareStreamsPassBase<ShareStreamsPass> {
  using Base::Base;
  void runOnOperation() override {
    SetVector<Block *> blocks;
    getOperation().walk(
        [&](StreamOp stream) { blocks.insert(stream->getBlock()); });
    for (Block *block : blocks) {
      while (mergeOnePair(*block)) {
      }
    }
  }
};
} // namespace
