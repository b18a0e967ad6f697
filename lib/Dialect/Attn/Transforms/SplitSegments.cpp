//===- SplitSegments.cpp - a sweep per segment of keys --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Streams are formed and fused as if a concatenation were one source, whose
// entries are a choice. Afterwards every choice by key is decided by cutting:
//
//   %r = attn.sweep %j = %lo to %hi {        %a = attn.sweep %j = %lo to %m {
//     %c = attn.before %j, %n1                 attn.dot %Q[%i], %K1[%j] ... }
//     %x = select %c, %j, 0            ==>   %b = attn.sweep %j = %m to %hi {
//     %y = select %c, 0, %j - %n1              attn.dot %Q[%i], %K2[%j - %n1]
//     select %c, (dot K1[%x]),                 ... }
//                (dot K2[%y]) ... }          %r = what merges %a and %b
//
// with %m = %n1 held to [%lo, %hi]; the merge is that of MergeRanges.h. Keys
// keep their numbers, so that indices (argmax) need no care. A choice by row,
// in streams over the keys of a concatenation, cuts the stream instead:
//
//   stream cols (%j) in [%N]  ==>  stream cols (%j) in [%n1] and in [%N - %n1],
//                                  side by side in the outputs
//
//===----------------------------------------------------------------------===//

#include "MergeRanges.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/FoldUtils.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

namespace mlir::attn {
#define GEN_PASS_DEF_SPLITSEGMENTSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Places to cut
//===----------------------------------------------------------------------===//

namespace {
/// `index` = variable + added - subtracted; the lists are uniform values.
struct Offset {
  SmallVector<Value> added, subtracted;
};
} // namespace

static std::optional<Offset> offsetFrom(Value index, Value variable,
                                        function_ref<bool(Value)> isFixed) {
  Offset offset;
  while (index != variable) {
    Operation *op = index.getDefiningOp();
    if (!isa_and_present<arith::AddIOp, arith::SubIOp>(op)) {
      return std::nullopt;
    }
    Value lhs = op->getOperand(0), rhs = op->getOperand(1);
    if (isa<arith::AddIOp>(op) && isFixed(lhs)) {
      std::swap(lhs, rhs);
    }
    if (!isFixed(rhs)) {
      return std::nullopt;
    }
    (isa<arith::AddIOp>(op) ? offset.added : offset.subtracted).push_back(rhs);
    index = lhs;
  }
  return offset;
}

/// The first choice below `root` that `variable` decides.
static BeforeOp findChoice(Operation *root, Value variable,
                           function_ref<bool(Value)> isFixed) {
  BeforeOp found;
  root->walk([&](BeforeOp op) {
    if (isFixed(op.getBoundary()) &&
        offsetFrom(op.getIndex(), variable, isFixed)) {
      found = op;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return found;
}

/// Decides the choices that are equal to `choice`, folds what follows.
static void decide(Operation *root, BeforeOp choice, IRMapping &map,
                   bool answer) {
  Value index = map.lookupOrDefault(choice.getIndex());
  Value boundary = map.lookupOrDefault(choice.getBoundary());
  SmallVector<BeforeOp> equal;
  root->walk([&](BeforeOp op) {
    if (op.getIndex() == index && op.getBoundary() == boundary) {
      equal.push_back(op);
    }
  });
  for (BeforeOp op : equal) {
    OpBuilder b(op);
    op.replaceAllUsesWith(
        arith::ConstantIntOp::create(b, op.getLoc(), answer, 1).getResult());
    op.erase();
  }
  SmallVector<Operation *> ops;
  for (Region &region : root->getRegions()) {
    region.walk([&](Operation *op) {
      if (!isa<ReducerOpInterface, SweepOp, YieldOp, StoreRowOp>(op)) {
        ops.push_back(op);
      }
    });
  }
  OperationFolder folder(root->getContext());
  for (Operation *op : ops) {
    (void)folder.tryToFold(op);
  }
  // What the other side read is not to be hoisted.
  for (Region &region : root->getRegions()) {
    if (!region.empty()) {
      eraseDeadOps(region.front());
    }
  }
  // What is always present has no condition.
  root->walk([&](Operation *op) {
    auto drop = [&](auto accumulator) {
      if (accumulator.getCond() &&
          matchPattern(accumulator.getCond(), m_One())) {
        accumulator.getCondMutable().clear();
      }
    };
    llvm::TypeSwitch<Operation *, void>(op).Case<CarryOp, RunningOp, FoldOp>(
        drop);
  });
}

//===----------------------------------------------------------------------===//
// Sweeps
//===----------------------------------------------------------------------===//

/// Cuts `sweep` until no choice by its key is left; the pieces are appended in
/// the order of their keys.
static void cutSweep(SweepOp sweep, SmallVectorImpl<SweepOp> &pieces) {
  hoistUniform(sweep);
  auto isFixed = [&](Value value) { return isUniform(value, sweep); };
  BeforeOp choice = findChoice(sweep, sweep.getKeyArg(), isFixed);
  if (!choice) {
    pieces.push_back(sweep);
    return;
  }
  OpBuilder b(sweep);
  Location loc = sweep.getLoc();
  Offset offset = *offsetFrom(choice.getIndex(), sweep.getKeyArg(), isFixed);
  Value cut = choice.getBoundary();
  for (Value value : offset.added) {
    cut = b.createOrFold<arith::SubIOp>(loc, cut, value);
  }
  for (Value value : offset.subtracted) {
    cut = b.createOrFold<arith::AddIOp>(loc, cut, value);
  }
  // A cut before the first key, or after the last one, leaves one side empty.
  Value middle = cut;
  if (!matchPattern(sweep.getLower(), m_Zero())) {
    middle = arith::MaxSIOp::create(b, loc, middle, sweep.getLower());
  }
  middle = arith::MinSIOp::create(b, loc, middle, sweep.getUpper());
  for (bool first : {true, false}) {
    IRMapping map;
    auto piece = cast<SweepOp>(b.clone(*sweep, map));
    (first ? piece.getUpperMutable() : piece.getLowerMutable()).assign(middle);
    decide(piece, choice, map, first);
    cutSweep(piece, pieces);
  }
  sweep.erase();
}

/// Cuts `sweep` and puts the merged accumulators in the place of its results.
static void splitSweep(SweepOp sweep) {
  hoistUniform(sweep);
  if (!findChoice(sweep, sweep.getKeyArg(),
                  [&](Value value) { return isUniform(value, sweep); })) {
    return;
  }
  Location loc = sweep.getLoc();
  if (!canMerge(sweep)) {
    sweep.emitRemark() << "segments are not cut: selections and bins are kept "
                          "whole, and all of them are read for every key";
    return;
  }
  // One more sweep stays behind uncut, to name the accumulators.
  DenseMap<Value, Value> auxiliary;
  SetVector<Value> carried = collectAccumulators(sweep, auxiliary);
  OpBuilder b(sweep);
  auto wide = SweepOp::create(b, loc, sweep.getLower(), sweep.getUpper(),
                              ValueRange(carried.getArrayRef()).getTypes());
  IRMapping map;
  map.map(sweep.getKeyArg(), wide.getKeyArg());
  b.setInsertionPointToEnd(&wide.getBody().front());
  for (Operation &op : sweep.getBody().front().without_terminator()) {
    b.clone(op, map);
  }
  YieldOp::create(b, loc, llvm::map_to_vector(carried, [&](Value value) {
                    return map.lookup(value);
                  }));
  SmallVector<SweepOp> pieces;
  cutSweep(wide, pieces);

  b.setInsertionPoint(sweep);
  auto load = [&](Value accumulator) {
    unsigned k = llvm::find(carried, accumulator) - carried.begin();
    return llvm::map_to_vector(pieces, [&](SweepOp piece) -> Value {
      Value part = piece.getResult(k);
      return part.getType().isInteger(1)
                 ? arith::ExtUIOp::create(b, loc, b.getI32Type(), part)
                 : part;
    });
  };
  IRMapping merged;
  RangeMerger merger(b, loc, load, auxiliary, merged);
  for (Operation &op : sweep.getBody().front()) {
    if (op.getNumResults() && carried.contains(op.getResult(0))) {
      merger.merge(&op);
    }
  }
  for (auto [result, value] :
       llvm::zip(sweep.getResults(), sweep.getYield().getValues())) {
    result.replaceAllUsesWith(merged.lookup(value));
  }
  sweep.erase();
  for (SweepOp piece : pieces) {
    pruneSweep(piece);
  }
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// A uniform value of a stream, computed before it; null if it cannot be.
static Value computeOutside(Value value, StreamOp stream, OpBuilder &b) {
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    unsigned k = arg.getArgNumber();
    bool row = k + 1 < StreamOp::kNumIndexArgs; // b, h and i
    return row || arg.getOwner() != &stream.getBody().front()
               ? Value()
               : stream->getOperand(k);
  }
  Operation *op = value.getDefiningOp();
  if (!op || !isPure(op) || op->getNumRegions()) {
    return {};
  }
  IRMapping map;
  for (Value operand : op->getOperands()) {
    Value outside = computeOutside(operand, stream, b);
    if (!outside) {
      return {};
    }
    map.map(operand, outside);
  }
  return b.clone(*op, map)->getResult(cast<OpResult>(value).getResultNumber());
}

namespace {
/// Cuts a stream in two where a choice by its row changes.
class RowSplitter {
public:
  explicit RowSplitter(StreamOp stream) : stream(stream), b(stream) {}

  /// Returns the two streams; neither where there is nothing to cut.
  std::pair<StreamOp, StreamOp> run();

private:
  bool findCut();
  StreamOp buildPart(bool first);

  StreamOp stream;
  OpBuilder b;
  BeforeOp choice;
  OpFoldResult cut, rest;
  Value cutValue;
};
} // namespace

bool RowSplitter::findCut() {
  if (stream.getNumResults() != stream.getOutputs().size()) {
    return false;
  }
  auto isFixed = [&](Value value) {
    return value.getParentRegion() == &stream.getBody() &&
           static_cast<bool>(computeOutside(value, stream, b));
  };
  for (auto sweep : stream.getBody().getOps<SweepOp>()) {
    hoistUniform(sweep);
  }
  choice = findChoice(stream, stream.getRowArg(), isFixed);
  if (!choice) {
    return false;
  }
  Location loc = stream.getLoc();
  Offset offset = *offsetFrom(choice.getIndex(), stream.getRowArg(), isFixed);
  Value place = computeOutside(choice.getBoundary(), stream, b);
  for (Value value : offset.added) {
    place = b.createOrFold<arith::SubIOp>(loc, place,
                                          computeOutside(value, stream, b));
  }
  for (Value value : offset.subtracted) {
    place = b.createOrFold<arith::AddIOp>(loc, place,
                                          computeOutside(value, stream, b));
  }
  std::optional<int64_t> at = getConstantIntValue(place);
  std::optional<int64_t> rows = getConstantIntValue(stream.getRows());
  if (at && rows) {
    int64_t first = std::clamp<int64_t>(*at, 0, *rows);
    cut = b.getIndexAttr(first);
    rest = b.getIndexAttr(*rows - first);
  } else {
    place = arith::MaxSIOp::create(b, loc, place,
                                   arith::ConstantIndexOp::create(b, loc, 0));
    cut = arith::MinSIOp::create(b, loc, place, stream.getRows()).getResult();
    rest = arith::SubIOp::create(b, loc, stream.getRows(), cast<Value>(cut))
               .getResult();
  }
  cutValue = getValueOrCreateConstantIndexOp(b, loc, cut);
  return true;
}

StreamOp RowSplitter::buildPart(bool first) {
  Location loc = stream.getLoc();
  OpFoldResult rows = first ? cut : rest;
  SmallVector<Value> outputs;
  for (Value output : stream.getOutputs()) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, output);
    sizes[2] = rows;
    outputs.push_back(tensor::EmptyOp::create(
        b, loc, sizes,
        cast<RankedTensorType>(output.getType()).getElementType()));
  }
  auto part = StreamOp::create(b, loc, stream.getOrientation(),
                               {stream.getBatch(), stream.getHeads(),
                                getValueOrCreateConstantIndexOp(b, loc, rows),
                                stream.getExtent()},
                               ValueRange(), outputs);
  IRMapping map;
  map.map(stream.getBatchArg(), part.getBatchArg());
  map.map(stream.getHeadArg(), part.getHeadArg());
  map.map(stream.getRowArg(), part.getRowArg());
  map.map(stream.getExtentArg(), part.getExtentArg());
  for (auto [k, input] : llvm::enumerate(stream.getInputs())) {
    map.map(stream.getInputArg(k), part.addInput(input));
  }
  OpBuilder body = OpBuilder::atBlockEnd(&part.getBody().front());
  if (!first) {
    std::optional<int64_t> constant = getConstantIntValue(cut);
    Value skipped = constant
                        ? arith::ConstantIndexOp::create(body, loc, *constant)
                        : Value(part.addInput(cutValue));
    map.map(stream.getRowArg(),
            arith::AddIOp::create(body, loc, part.getRowArg(), skipped)
                .getResult());
  }
  for (Operation &op : stream.getBody().front()) {
    body.clone(op, map);
  }
  if (!first) {
    // Rows that share a list begin at its multiples in the whole only.
    std::optional<int64_t> skipped = getConstantIntValue(cut);
    part.walk([&](ListedOp list) {
      list.setRowBlock(skipped ? std::gcd(list.getRowBlock(), *skipped) : 1);
    });
  }
  decide(part, choice, map, first);
  for (auto sweep : llvm::to_vector(part.getBody().getOps<SweepOp>())) {
    pruneSweep(sweep);
  }
  eraseDeadRowOps(part);
  dropUnusedInputs(part);
  return part;
}

std::pair<StreamOp, StreamOp> RowSplitter::run() {
  if (!findCut()) {
    return {};
  }
  Location loc = stream.getLoc();
  StreamOp parts[] = {buildPart(true), buildPart(false)};
  for (auto [k, result] : llvm::enumerate(stream.getResults())) {
    Value whole = stream.getOutputs()[k];
    OpFoldResult start = b.getIndexAttr(0);
    for (StreamOp part : parts) {
      Value rows = part.getResult(k);
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, rows);
      SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
      offsets[2] = start;
      whole = tensor::InsertSliceOp::create(b, loc, rows, whole, offsets, sizes,
                                            strides);
      start = cut;
    }
    result.replaceAllUsesWith(whole);
  }
  stream.erase();
  return {parts[0], parts[1]};
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct SplitSegmentsPass
    : attn::impl::SplitSegmentsPassBase<SplitSegmentsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<StreamOp> streams;
    getOperation().walk([&](StreamOp stream) {
      bool chooses =
          stream->walk([](BeforeOp) { return WalkResult::interrupt(); })
              .wasInterrupted();
      if (chooses) {
        streams.push_back(stream);
      }
    });
    while (!streams.empty()) {
      StreamOp stream = streams.pop_back_val();
      auto [first, second] = RowSplitter(stream).run();
      if (first) {
        streams.append({first, second});
        continue;
      }
      splitSweeps(stream);
    }
  }

  /// Outer sweeps first: what they decide may be all that inner ones ask.
  static void splitSweeps(Operation *root) {
    SmallVector<SweepOp> sweeps;
    for (Region &region : root->getRegions()) {
      for (auto sweep : region.getOps<SweepOp>()) {
        sweeps.push_back(sweep);
      }
    }
    for (SweepOp sweep : sweeps) {
      splitSweep(sweep);
    }
    sweeps.clear();
    for (Region &region : root->getRegions()) {
      for (auto sweep : region.getOps<SweepOp>()) {
        sweeps.push_back(sweep);
      }
    }
    for (SweepOp sweep : sweeps) {
      splitSweeps(sweep);
    }
    // What nothing decided is asked.
    root->walk([](BeforeOp op) {
      OpBuilder b(op);
      op.replaceAllUsesWith(
          arith::CmpIOp::create(b, op.getLoc(), arith::CmpIPredicate::slt,
                                op.getIndex(), op.getBoundary())
              .getResult());
      op.erase();
    });
  }
};
} // namespace
