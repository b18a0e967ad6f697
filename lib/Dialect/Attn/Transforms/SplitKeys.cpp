//===- SplitKeys.cpp - several ranges of keys at once ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stream with few rows (decoding) leaves a machine idle. Its keys are cut in
// `splits` ranges, which become part of the batch; a second stream merges what
// the ranges carried, by the action of each carry (MergeRanges.h):
//
//   %o = attn.stream rows (%b, %h, %i)     %g, %l = attn.stream rows (%bs, ..)
//     %l = attn.sweep %j = 0 to %n {           in [S B, H, M] { sweep a range }
//       %g = running max %f            ==>   %o = attn.stream rows (%b, %h, %i)
//       carry sum %e act(%g by %a) }           %g0 = at %g[b, h, i]
//     (epilogue)                               %g1 = at %g[B + b, h, i] ...
//                                              %m  = max(%g0, %g1, ...)
//                                              %l  = %l0 2^(a (%m - %g0)) + ...
//                                              (epilogue)
//
// The merge is arithmetic of one row, not a sweep: there are few ranges, and
// what it sums differs from row to row, which no matrix product would share.
//
//===----------------------------------------------------------------------===//

#include "MaskEvaluator.h"
#include "MergeRanges.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::attn {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// The two streams
//===----------------------------------------------------------------------===//

namespace {
class KeySplitter {
public:
  KeySplitter(StreamOp stream, SweepOp sweep, int64_t splits)
      : stream(stream), sweep(sweep), splits(splits), outer(stream),
        loc(stream.getLoc()) {}

  void run();

private:
  StreamOp buildParts();
  StreamOp buildMerge(StreamOp parts);
  void buildRange(OpBuilder &b, IRMapping &map, Value split);
  void mergeRanges(OpBuilder &b, IRMapping &map, StreamOp merge,
                   StreamOp parts);
  Value batchInside(OpBuilder &b, StreamOp inner);
  Value emptyFor(Type type);
  IRMapping mapArguments(StreamOp inner);

  StreamOp stream;
  SweepOp sweep;
  int64_t splits;
  OpBuilder outer;
  Location loc;
  SetVector<Value> carried;         // accumulators that are stored and merged
  DenseMap<Value, Value> auxiliary; // of carries that need a second one
  Value partBatch;
};
} // namespace

static Value cst(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

/// The batch extent of the original stream as a value inside of `inner`.
Value KeySplitter::batchInside(OpBuilder &b, StreamOp inner) {
  if (std::optional<int64_t> batch = getConstantIntValue(stream.getBatch())) {
    return cst(b, loc, *batch);
  }
  return inner.addInput(stream.getBatch());
}

IRMapping KeySplitter::mapArguments(StreamOp inner) {
  IRMapping map;
  map.map(stream.getHeadArg(), inner.getHeadArg());
  map.map(stream.getRowArg(), inner.getRowArg());
  for (auto [k, input] : llvm::enumerate(stream.getInputs())) {
    map.map(stream.getInputArg(k), inner.addInput(input));
  }
  return map;
}

/// The tensor that keeps one accumulator of every range. Bits are kept as i32:
/// loads of vectors of bits are packed.
Value KeySplitter::emptyFor(Type type) {
  SmallVector<int64_t> shape;
  SmallVector<Value> sizes;
  Value extents[] = {partBatch, stream.getHeads(), stream.getRows()};
  for (Value size : extents) {
    std::optional<int64_t> constant = getConstantIntValue(size);
    shape.push_back(constant.value_or(ShapedType::kDynamic));
    if (!constant) {
      sizes.push_back(size);
    }
  }
  if (auto row = dyn_cast<VectorType>(type)) {
    shape.push_back(row.getDimSize(0));
  }
  Type element = getElementTypeOrSelf(type);
  if (element.isInteger(1)) {
    element = outer.getI32Type();
  }
  return tensor::EmptyOp::create(outer, loc,
                                 RankedTensorType::get(shape, element), sizes);
}

/// The sweep over range `split` of the keys, and what it carried.
void KeySplitter::buildRange(OpBuilder &b, IRMapping &map, Value split) {
  Value lower = map.lookup(sweep.getLower());
  Value upper = map.lookup(sweep.getUpper());
  // Ranges of ceil(keys / splits) keys; the last ones may be shorter or empty.
  Value keys = arith::SubIOp::create(b, loc, upper, lower);
  Value rounded = arith::AddIOp::create(b, loc, keys, cst(b, loc, splits - 1));
  Value chunk = arith::DivUIOp::create(b, loc, rounded, cst(b, loc, splits));
  if (ListedOp list = getDriver(sweep)) {
    // A block of keys that is visited is visited by one range.
    Value block = cst(b, loc, list.getKeyBlock());
    chunk = arith::MulIOp::create(
        b, loc, arith::CeilDivUIOp::create(b, loc, chunk, block), block);
  }
  Value offset = arith::MulIOp::create(b, loc, split, chunk);
  Value first = arith::MinSIOp::create(
      b, loc, arith::AddIOp::create(b, loc, lower, offset), upper);
  Value last = arith::MinSIOp::create(
      b, loc, arith::AddIOp::create(b, loc, first, chunk), upper);
  auto range = SweepOp::create(b, sweep.getLoc(), first, last,
                               ValueRange(carried.getArrayRef()).getTypes());
  map.map(sweep.getKeyArg(), range.getKeyArg());
  OpBuilder body = OpBuilder::atBlockEnd(&range.getBody().front());
  for (Operation &op : sweep.getBody().front().without_terminator()) {
    body.clone(op, map);
  }
  SmallVector<Value> yielded;
  for (Value value : carried) {
    yielded.push_back(map.lookup(value));
  }
  YieldOp::create(body, loc, yielded);
  SmallVector<Value> stored;
  for (Value value : range.getResults()) {
    stored.push_back(
        value.getType().isInteger(1)
            ? arith::ExtUIOp::create(b, loc, b.getI32Type(), value).getResult()
            : value);
  }
  StoreRowOp::create(b, loc, stored);
  if (!sweep.getTiles().empty()) {
    analyzeMasks(range);
  }
}

StreamOp KeySplitter::buildParts() {
  partBatch = arith::MulIOp::create(outer, loc, stream.getBatch(),
                                    cst(outer, loc, splits));
  if (std::optional<int64_t> batch = getConstantIntValue(stream.getBatch())) {
    partBatch = cst(outer, loc, *batch * splits);
  }
  SmallVector<Value> outputs;
  for (Value value : carried) {
    outputs.push_back(emptyFor(value.getType()));
  }
  auto parts = StreamOp::create(
      outer, loc, stream.getOrientation(),
      {partBatch, stream.getHeads(), stream.getRows(), stream.getExtent()},
      ValueRange(), outputs);
  IRMapping map = mapArguments(parts);
  map.map(stream.getExtentArg(), parts.getExtentArg());
  OpBuilder b = OpBuilder::atBlockEnd(&parts.getBody().front());
  Value batch = batchInside(b, parts);
  map.map(
      stream.getBatchArg(),
      arith::RemUIOp::create(b, loc, parts.getBatchArg(), batch).getResult());
  Value split = arith::DivUIOp::create(b, loc, parts.getBatchArg(), batch);
  for (Operation &op : stream.getBody().front()) {
    if (&op == sweep) {
      break;
    }
    b.clone(op, map);
  }
  buildRange(b, map, split);
  eraseDeadOps(parts.getBody().front());
  dropUnusedInputs(parts);
  return parts;
}

/// Merges every accumulator of the ranges at one row.
void KeySplitter::mergeRanges(OpBuilder &b, IRMapping &map, StreamOp merge,
                              StreamOp parts) {
  Value batch = batchInside(b, merge);
  SmallVector<Value> positions;
  for (int64_t s = 0; s < splits; ++s) {
    Value skipped = arith::MulIOp::create(b, loc, cst(b, loc, s), batch);
    positions.push_back(
        arith::AddIOp::create(b, loc, skipped, merge.getBatchArg()));
  }
  auto load = [&](Value accumulator) {
    unsigned k = llvm::find(carried, accumulator) - carried.begin();
    Value source = merge.addInput(parts.getResult(k));
    Type type = getElementTypeOrSelf(source.getType());
    if (auto row = dyn_cast<VectorType>(accumulator.getType())) {
      type = row;
    }
    SmallVector<Value> values;
    for (Value position : positions) {
      values.push_back(AtOp::create(
          b, loc, type, source,
          ValueRange{position, merge.getHeadArg(), merge.getRowArg()}));
    }
    return values;
  };
  RangeMerger merger(b, loc, load, auxiliary, map);
  // Gauges come before what moves with them, as in the original.
  for (Operation &op : sweep.getBody().front()) {
    if (op.getNumResults() && carried.contains(op.getResult(0))) {
      merger.merge(&op);
    }
  }
  for (auto [k, result] : llvm::enumerate(sweep.getResults())) {
    map.map(result, map.lookup(sweep.getYield().getOperand(k)));
  }
}

/// The rows of all ranges at once would be more than there are registers.
static void loadWhereUsed(Block &block) {
  for (AtOp at : llvm::to_vector(block.getOps<AtOp>())) {
    Operation *first = nullptr;
    for (Operation *user : at->getUsers()) {
      if (!first || user->isBeforeInBlock(first)) {
        first = user;
      }
    }
    at->moveBefore(first);
  }
}

StreamOp KeySplitter::buildMerge(StreamOp parts) {
  auto merge = StreamOp::create(outer, loc, stream.getOrientation(),
                                {stream.getBatch(), stream.getHeads(),
                                 stream.getRows(), stream.getExtent()},
                                ValueRange(), stream.getOutputs());
  IRMapping map = mapArguments(merge);
  map.map(stream.getBatchArg(), merge.getBatchArg());
  OpBuilder b = OpBuilder::atBlockEnd(&merge.getBody().front());
  map.map(stream.getExtentArg(), merge.getExtentArg());
  for (Operation &op : stream.getBody().front()) {
    if (&op == sweep) {
      mergeRanges(b, map, merge, parts);
    } else {
      b.clone(op, map);
    }
  }
  eraseDeadOps(merge.getBody().front());
  dropUnusedInputs(merge);
  loadWhereUsed(merge.getBody().front());
  return merge;
}

void KeySplitter::run() {
  carried = collectAccumulators(sweep, auxiliary);
  StreamOp merge = buildMerge(buildParts());
  stream.replaceAllUsesWith(merge.getResults());
  stream.erase();
}

namespace {
struct SplitKeysPass : attn::impl::SplitKeysPassBase<SplitKeysPass> {
  using Base::Base;
  void runOnOperation() override {
    if (splits < 2) {
      return;
    }
    SmallVector<StreamOp> streams;
    getOperation().walk([&](StreamOp stream) { streams.push_back(stream); });
    for (StreamOp stream : streams) {
      splitStream(stream);
    }
  }

  void splitStream(StreamOp stream) {
    std::optional<int64_t> rows = getConstantIntValue(stream.getRows());
    if (mostRows > 0 && (!rows || *rows > mostRows)) {
      return;
    }
    auto sweeps = llvm::to_vector(stream.getBody().getOps<SweepOp>());
    std::string reason;
    if (stream.getNumResults() != stream.getOutputs().size()) {
      reason = "it writes to buffers";
    } else if (sweeps.size() != 1) {
      reason = "it has " + std::to_string(sweeps.size()) + " sweeps";
    } else if (!canMerge(sweeps.front())) {
      reason = "selections and bins are kept whole";
    } else {
      hoistUniform(sweeps.front());
    }
    if (!reason.empty()) {
      stream.emitRemark() << "keys are not split: " << reason;
      return;
    }
    KeySplitter(stream, sweeps.front(), splits).run();
  }
};
} // namespace
