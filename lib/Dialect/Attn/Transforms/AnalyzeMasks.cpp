//===- AnalyzeMasks.cpp - find empty and full tiles -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A blocked kernel skips a tile in which no entry can be present, and drops the
// mask in a tile where every entry is. Both are decided when the kernel runs,
// by code that this pass derives from the conditions of the sweep's carries
// and gauges: the same predicate on intervals.
//
//   attn.sweep %j = %c0 to %n {
//     %p = arith.cmpi sle, %j, %i
//     attn.carry sum %e if %p
//   } tiles (%i0, %i1, %j0, %j1) {      // any present?   all present?
//     %may = arith.cmpi sle, %j0, %i1
//     %all = arith.cmpi sle, %j1, %i0
//     attn.yield %may, %all
//   } bounds (%i0, %i1) {               // keys [0, min(i1 + 1, n))
//     ...
//   }
//
// A test for a list that every condition implies is marked as the driver: the
// sweep need visit listed keys only, and `tiles` speaks of those.
//
// A tile is needed if any condition may hold in it, and full only if all of
// them must hold everywhere, as the kernel then drops them all. Conditions on
// floats (a threshold on a score) are never decided, but in a conjunction the
// index part still empties tiles. The rules are in MaskEvaluator.cpp, why they
// are sound in Intervals.h.
//
//===----------------------------------------------------------------------===//

#include "MaskEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::attn {
#define GEN_PASS_DEF_ANALYZEMASKSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

/// The distinct conditions of the sweep; null stands for "always".
static SetVector<Value> collectConditions(SweepOp sweep) {
  SetVector<Value> conditions;
  for (Operation &op : sweep.getBody().front()) {
    if (auto reducer = dyn_cast<ReducerOpInterface>(op)) {
      conditions.insert(reducer.getCond());
    }
  }
  return conditions;
}

/// Conditions that only say which entries are joined with others: no tile is
/// visited for them, but one in which they do not all hold is not full.
static SetVector<Value> collectJoined(SweepOp sweep) {
  SetVector<Value> conditions;
  for (auto across : sweep.getBody().getOps<AcrossOp>()) {
    if (across.getCond()) {
      conditions.insert(across.getCond());
    }
  }
  return conditions;
}

/// Gives `region` a block with `count` index arguments.
static Block *makeBlock(Region &region, unsigned count, Location loc) {
  Block &block = region.emplaceBlock();
  for (unsigned k = 0; k < count; ++k) {
    block.addArgument(IndexType::get(region.getContext()), loc);
  }
  return &block;
}

static Interval argumentInterval(Block *block, unsigned first) {
  return {block->getArgument(first), block->getArgument(first + 1), 0,
          kMaxExtent, Value()};
}

/// Fills in `tiles`; leaves it empty if it could not tell anything.
static void buildTiles(SweepOp sweep, ArrayRef<Value> conditions,
                       ArrayRef<Value> joined) {
  Location loc = sweep.getLoc();
  Block *block = makeBlock(sweep.getTiles(), 4, loc);
  OpBuilder builder = OpBuilder::atBlockBegin(block);
  MaskEvaluator evaluator(sweep, builder, argumentInterval(block, 0));
  evaluator.setKey(argumentInterval(block, 2), /*loads=*/true);
  IntervalBuilder &ib = evaluator.getBuilder();
  Value may = ib.boolean(false), must = ib.boolean(true);
  for (Value condition : conditions) {
    Predicate p{ib.boolean(true), ib.boolean(true)};
    if (condition) {
      p = evaluator.predicate(condition);
    }
    may = ib.either(may, p.may);
    must = ib.both(must, p.must);
  }
  for (Value condition : joined) {
    must = ib.both(must, evaluator.predicate(condition).must);
  }
  if (matchPattern(may, m_One()) && matchPattern(must, m_Zero())) {
    sweep.getTiles().getBlocks().clear();
    return;
  }
  YieldOp::create(builder, loc, ValueRange{may, must});
  eraseDeadOps(*block);
}

/// Fills in `bounds`; leaves it empty if no condition limits the keys.
static void buildBounds(SweepOp sweep, ArrayRef<Value> conditions) {
  Location loc = sweep.getLoc();
  Block *block = makeBlock(sweep.getBounds(), 2, loc);
  OpBuilder builder = OpBuilder::atBlockBegin(block);
  MaskEvaluator evaluator(sweep, builder, argumentInterval(block, 0));
  IntervalBuilder &ib = evaluator.getBuilder();
  Interval lower = evaluator.extent(sweep.getLower());
  Interval upper = evaluator.extent(sweep.getUpper());
  KeyRange range;
  if (lower && upper && !lower.valid && !upper.valid &&
      !llvm::is_contained(conditions, Value())) {
    Value last = ib.fold<arith::SubIOp>(upper.hi, ib.constant(1));
    evaluator.setKey({lower.lo, last, 0, kMaxExtent, Value()},
                     /*loads=*/false);
    for (auto [k, condition] : llvm::enumerate(conditions)) {
      KeyRange keys = evaluator.keysWhere(condition, /*holds=*/true);
      range = k == 0 ? keys : evaluator.unite(range, keys);
    }
  }
  if (range.isFull()) {
    sweep.getBounds().getBlocks().clear();
    return;
  }
  Value lo = lower.lo, hi = upper.hi;
  if (range.lo) {
    lo = ib.fold<arith::MinSIOp>(ib.fold<arith::MaxSIOp>(range.lo, lo), hi);
  }
  if (range.hi) {
    hi = ib.fold<arith::MinSIOp>(range.hi, hi);
  }
  // An empty range ends where it starts.
  hi = ib.fold<arith::MaxSIOp>(hi, lo);
  YieldOp::create(builder, loc, ValueRange{lo, hi});
  eraseDeadOps(*block);
}

/// A list whose keys are the only ones that any condition lets in becomes the
/// one that the sweep follows; but no list does where a block of rows has all
/// heads, each with a list of its own, because some sweep mixes them.
static void findDriver(SweepOp sweep, ArrayRef<Value> conditions) {
  if (getDriver(sweep)) {
    return; // a copy of an analysed sweep
  }
  auto stream = sweep->getParentOfType<StreamOp>();
  bool mixes =
      stream && stream->walk([](MixOp) { return WalkResult::interrupt(); })
                    .wasInterrupted();
  if (mixes) {
    return;
  }
  for (auto listed : sweep.getBody().getOps<ListedOp>()) {
    if (listed.getKey() == sweep.getKeyArg() &&
        llvm::all_of(conditions, [&](Value condition) {
          return impliesTest(condition, listed);
        })) {
      listed.setDrives(true);
      return;
    }
  }
}

void mlir::attn::analyzeMasks(SweepOp sweep) {
  if (isa<SweepOp>(sweep->getParentOp())) {
    return; // inside of an entry, there are no tiles
  }
  sweep.getTiles().getBlocks().clear();
  sweep.getBounds().getBlocks().clear();
  SetVector<Value> conditions = collectConditions(sweep);
  if (conditions.empty() || (conditions.size() == 1 && !conditions.front())) {
    return;
  }
  findDriver(sweep, conditions.getArrayRef());
  buildTiles(sweep, conditions.getArrayRef(),
             collectJoined(sweep).getArrayRef());
  buildBounds(sweep, conditions.getArrayRef());
}

namespace {
struct AnalyzeMasksPass : attn::impl::AnalyzeMasksPassBase<AnalyzeMasksPass> {
  using Base::Base;
  void runOnOperation() override { getOperation().walk(analyzeMasks); }
};
} // namespace
