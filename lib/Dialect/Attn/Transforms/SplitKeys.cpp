//===- SplitKeys.cpp - several ranges of keys at once ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stream with few rows (decoding) leaves a machine idle. Its keys are cut in
// `splits` ranges, which become part of the batch; a second stream sweeps over
// the ranges and merges what they carried, by the action of each carry:
//
//   %o = attn.stream rows (%b, %h, %i)     %g', %l' = attn.stream rows (%bs,
//   ..)
//     %l = attn.sweep %j = 0 to %n {           in [S B, H, M] { sweep a range }
//       %g = running max %f            ==>   %o = attn.stream rows (%b, %h, %i)
//       carry sum %e act(%g by %a) }           over S {
//     (epilogue)                               %l = attn.sweep %s = 0 to S {
//                                                %x = at %g'[s B + b, h, i]
//                                                %g = running max %x
//                                                %f = 2^(a (g - x))
//                                                carry sum %l' f if x > -inf
//                                                    act(%g by %a) }
//                                              (epilogue)
//
// A range without keys carries the neutral element: zero, minus infinity for a
// gauge. Ranges whose gauge is minus infinity are absent from the merge, so
// that inf - inf is never taken. What does not merge this way (argmax, means,
// moments about a running mean) is left as it is, with a remark.
//
//===----------------------------------------------------------------------===//

#include "MaskEvaluator.h"
#include "StreamUtils.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::attn {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "attn/Dialect/Attn/Transforms/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// What can be split
//===----------------------------------------------------------------------===//

/// Why a carry does not merge; empty where it does.
static std::string whyNot(CarryOp carry, SweepOp sweep) {
  switch (carry.getKind()) {
  case CarryKind::Mean:
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    return "it carries " + stringifyCarryKind(carry.getKind()).str();
  default:
    break;
  }
  if (carry.getPolyGauge()) {
    return "a carry moves with a gauge as a polynomial";
  }
  for (auto [gauge, rate] : llvm::zip(carry.getGauges(), carry.getRates())) {
    if (!isUniform(rate, sweep)) {
      return "the rate of an action is computed inside the sweep";
    }
    if (gauge.getType() != rate.getType() ||
        gauge.getType() != getElementTypeOrSelf(carry.getType())) {
      return "a gauge and its carry have different types";
    }
  }
  return "";
}

static std::string whyNot(SweepOp sweep) {
  for (Operation &op : sweep.getBody().front()) {
    if (auto carry = dyn_cast<CarryOp>(op)) {
      if (std::string reason = whyNot(carry, sweep); !reason.empty()) {
        return reason;
      }
    } else if (auto running = dyn_cast<RunningOp>(op)) {
      if (running.getKind() != GaugeKind::Max) {
        return "a gauge is a running mean";
      }
    }
  }
  return "";
}

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
  void buildMergeSweep(OpBuilder &b, IRMapping &map, StreamOp merge,
                       StreamOp parts);
  void mergeAccumulator(OpBuilder &b, Operation *op,
                        function_ref<Value(Value)> partOf, IRMapping &map);
  void mergeCarry(OpBuilder &b, CarryOp carry,
                  function_ref<Value(Value)> partOf, IRMapping &map);
  void mapResults(IRMapping &map);
  Value batchInside(OpBuilder &b, StreamOp inner);
  Value emptyFor(Type type);
  IRMapping mapArguments(StreamOp inner);

  StreamOp stream;
  SweepOp sweep;
  int64_t splits;
  OpBuilder outer;
  Location loc;
  SetVector<Value> carried; // accumulators that are stored and merged
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

/// sum and outer move to the merged gauges; other kinds are their own merge.
void KeySplitter::mergeCarry(OpBuilder &b, CarryOp carry,
                             function_ref<Value(Value)> partOf,
                             IRMapping &map) {
  Value part = partOf(carry);
  bool outerProduct = carry.getKind() == CarryKind::Outer;
  if (carry.getKind() == CarryKind::Any) {
    Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    Value any =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, part, zero);
    map.map(carry.getResult(), createCarry(b, loc, CarryKind::Any,
                                           b.getI1Type(), Value(), Value(), any)
                                   .getResult());
    return;
  }
  Type element = getElementTypeOrSelf(carry.getType());
  Value factor, live;
  SmallVector<Value> gauges, rates;
  for (auto [gauge, rate] : llvm::zip(carry.getGauges(), carry.getRates())) {
    Value old = partOf(gauge), now = map.lookup(gauge);
    gauges.push_back(now);
    rates.push_back(map.lookup(rate));
    auto f = [&](double value) {
      return arith::ConstantOp::create(b, loc, b.getFloatAttr(element, value));
    };
    Value present =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, old,
                              f(-std::numeric_limits<double>::infinity()));
    Value still =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, now, old);
    Value moved = arith::SelectOp::create(
        b, loc, still, f(0.0), arith::SubFOp::create(b, loc, now, old));
    Value power = math::Exp2Op::create(
        b, loc, arith::MulFOp::create(b, loc, rates.back(), moved));
    factor = factor ? arith::MulFOp::create(b, loc, factor, power).getResult()
                    : power;
    live = live ? arith::AndIOp::create(b, loc, live, present).getResult()
                : present;
  }
  Value value = part, row;
  if (outerProduct) {
    row = part;
    value =
        factor ? factor
               : arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 1.0))
                     .getResult();
  } else if (factor) {
    value = arith::MulFOp::create(b, loc, part, factor);
  }
  auto merged = CarryOp::create(
      b, carry.getLoc(), carry.getType(), carry.getKind(), value, row, live,
      gauges, rates, /*poly_gauge=*/Value(), /*companions=*/ValueRange(),
      /*operand_type=*/TypeAttr());
  map.map(carry.getResult(), merged.getResult());
}

void KeySplitter::mergeAccumulator(OpBuilder &b, Operation *op,
                                   function_ref<Value(Value)> partOf,
                                   IRMapping &map) {
  if (auto running = dyn_cast<RunningOp>(op)) {
    auto merged = RunningOp::create(b, op->getLoc(), running.getType(),
                                    GaugeKind::Max, partOf(running.getResult()),
                                    /*cond=*/Value(), /*init=*/Value());
    map.map(running.getResult(), merged.getResult());
  } else if (auto fold = dyn_cast<FoldOp>(op)) {
    SmallVector<Value> parts = llvm::map_to_vector(
        fold.getResults(), [&](Value v) { return partOf(v); });
    // Clones the combination; what it lifted before is replaced by the parts.
    auto merged = cast<FoldOp>(b.clone(*op, map));
    merged.getValuesMutable().assign(parts);
    merged.getCondMutable().clear();
  } else {
    mergeCarry(b, cast<CarryOp>(op), partOf, map);
  }
}

/// The sweep over the ranges; counts are sums of integers and are added here.
void KeySplitter::buildMergeSweep(OpBuilder &b, IRMapping &map, StreamOp merge,
                                  StreamOp parts) {
  Value batch = batchInside(b, merge);
  auto load = [&](OpBuilder &at, Value accumulator, Value split) -> Value {
    unsigned k = llvm::find(carried, accumulator) - carried.begin();
    Value source = merge.addInput(parts.getResult(k));
    Type type = getElementTypeOrSelf(source.getType());
    if (auto row = dyn_cast<VectorType>(accumulator.getType())) {
      type = row;
    }
    Value position = arith::AddIOp::create(
        at, loc, arith::MulIOp::create(at, loc, split, batch),
        merge.getBatchArg());
    return AtOp::create(
        at, loc, type, source,
        ValueRange{position, merge.getHeadArg(), merge.getRowArg()});
  };
  SmallVector<Value> swept;
  for (Value value : carried) {
    auto carry = value.getDefiningOp<CarryOp>();
    if (!carry || carry.getKind() != CarryKind::Count) {
      swept.push_back(value);
      continue;
    }
    Value total;
    for (int64_t s = 0; s < splits; ++s) {
      Value part = load(b, value, cst(b, loc, s));
      total =
          total ? arith::AddIOp::create(b, loc, total, part).getResult() : part;
    }
    map.map(value, total);
  }
  if (swept.empty()) {
    return mapResults(map);
  }
  Value zero = cst(b, loc, 0), end = cst(b, loc, splits);
  auto ranges =
      SweepOp::create(b, loc, zero, end, ValueRange(swept).getTypes());
  OpBuilder body = OpBuilder::atBlockEnd(&ranges.getBody().front());
  SetVector<Operation *> ops;
  for (Value value : swept) {
    ops.insert(value.getDefiningOp());
  }
  auto partOf = [&](Value accumulator) {
    return load(body, accumulator, ranges.getKeyArg());
  };
  // Gauges come before what moves with them, as in the original.
  for (Operation &op : sweep.getBody().front()) {
    if (ops.contains(&op)) {
      mergeAccumulator(body, &op, partOf, map);
    }
  }
  SmallVector<Value> yielded;
  for (Value value : swept) {
    yielded.push_back(map.lookup(value));
  }
  YieldOp::create(body, loc, yielded);
  for (auto [value, result] : llvm::zip(swept, ranges.getResults())) {
    map.map(value, result);
  }
  mapResults(map);
}

/// Maps the results of the original sweep as what it yields is mapped.
void KeySplitter::mapResults(IRMapping &map) {
  for (auto [k, result] : llvm::enumerate(sweep.getResults())) {
    map.map(result, map.lookup(sweep.getYield().getOperand(k)));
  }
}

StreamOp KeySplitter::buildMerge(StreamOp parts) {
  auto merge = StreamOp::create(outer, loc, stream.getOrientation(),
                                {stream.getBatch(), stream.getHeads(),
                                 stream.getRows(), cst(outer, loc, splits)},
                                ValueRange(), stream.getOutputs());
  IRMapping map = mapArguments(merge);
  map.map(stream.getBatchArg(), merge.getBatchArg());
  OpBuilder b = OpBuilder::atBlockEnd(&merge.getBody().front());
  // The extent of the original is an input here.
  map.map(stream.getExtentArg(), merge.addInput(stream.getExtent()));
  for (Operation &op : stream.getBody().front()) {
    if (&op == sweep) {
      buildMergeSweep(b, map, merge, parts);
    } else {
      b.clone(op, map);
    }
  }
  eraseDeadOps(merge.getBody().front());
  dropUnusedInputs(merge);
  return merge;
}

void KeySplitter::run() {
  for (Value value : sweep.getYield().getOperands()) {
    // All results of a fold are kept together.
    for (Value result : value.getDefiningOp()->getResults()) {
      carried.insert(result);
    }
  }
  for (Value value : llvm::to_vector(carried)) {
    if (auto carry = value.getDefiningOp<CarryOp>()) {
      carried.insert(carry.getGauges().begin(), carry.getGauges().end());
    }
  }
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
    auto sweeps = llvm::to_vector(stream.getBody().getOps<SweepOp>());
    std::string reason;
    if (stream.getNumResults() != stream.getOutputs().size()) {
      reason = "it writes to buffers";
    } else if (sweeps.size() != 1) {
      reason = "it has " + std::to_string(sweeps.size()) + " sweeps";
    } else {
      hoistUniform(sweeps.front());
      reason = whyNot(sweeps.front());
    }
    if (!reason.empty()) {
      stream.emitRemark() << "keys are not split: " << reason;
      return;
    }
    KeySplitter(stream, sweeps.front(), splits).run();
  }
};
} // namespace
