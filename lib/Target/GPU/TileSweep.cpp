//===- TileSweep.cpp - the products and sums of a sweep, by tiles ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A carry moves with its gauges once per tile: from what they were before it
// to what they are after it.
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

//===----------------------------------------------------------------------===//
// Operands of products
//===----------------------------------------------------------------------===//

Value TileKernel::getShared(int64_t rows, int64_t columns, Type element,
                            int64_t count) {
  // Depths are multiples of 16; 16 bytes more spread rows over the banks.
  int64_t pad = 128 / element.getIntOrFloatBitWidth();
  SmallVector<int64_t> extents = {rows, roundUp(columns, 16) + pad};
  if (count) {
    extents.insert(extents.begin(), count);
  }
  auto type = MemRefType::get(
      extents, element, MemRefLayoutAttrInterface(),
      gpu::AddressSpaceAttr::get(e.getContext(), gpu::AddressSpace::Workgroup));
  return tile::SharedOp::create(e, type);
}

/// Where rows lie one after the other: indices but the last are the same for
/// all, and that one is the argument, or so much more.
bool TileKernel::copyRows(const FeatureRow &row, Value argument, Value first,
                          Value end, Value target) {
  if (!row.source) {
    return false;
  }
  SmallVector<Value> leading;
  for (Value index : ArrayRef(row.indices).drop_back()) {
    if (!uniform.contains(index)) {
      return false;
    }
    leading.push_back(uniform.lookup(index));
  }
  Value last = row.indices.back();
  if (last != argument) {
    Operation *op = last.getDefiningOp();
    bool isSum = isa_and_nonnull<arith::AddIOp>(op);
    if (!isSum && !isa_and_nonnull<arith::SubIOp>(op)) {
      return false;
    }
    Value a = op->getOperand(0), b = op->getOperand(1);
    if (isSum && b == argument) {
      std::swap(a, b);
    }
    if (a != argument || !uniform.contains(b)) {
      return false;
    }
    Value apart = uniform.lookup(b);
    first = isSum ? e.add(first, apart) : e.sub(first, apart);
    end = isSum ? e.add(end, apart) : e.sub(end, apart);
  }
  int64_t features = row.getFeatures();
  tile::CopyOp::create(e, uniform.lookup(row.source), leading, first, end,
                       target, features, roundUp(features, 16));
  return true;
}

LogicalResult
TileKernel::fillRows(Operation *user, const FeatureRow &row, Value count,
                     Value target,
                     llvm::function_ref<void(IRMapping &, Value)> bind) {
  int64_t features = row.getFeatures();
  auto fill =
      tile::FillOp::create(e, count, target, features, roundUp(features, 16));
  OpBuilder::InsertionGuard guard(e);
  Block *body =
      e.createBlock(&fill.getBody(), {}, {e.getIndexType(), e.getIndexType()},
                    {e.getLoc(), e.getLoc()});
  IRMapping known = uniform;
  bind(known, body->getArgument(0));
  RowElements elements(e, known);
  FailureOr<Value> x = elements.get(row, body->getArgument(1));
  if (failed(x)) {
    return user->emitOpError() << "multiplies a row that is computed in a way "
                                  "which has no form in tiles yet";
  }
  tile::YieldOp::create(e, *x);
  return success();
}

/// The keys of a place, or what is read by keys.
LogicalResult TileKernel::bringKeys(Operation *user, const FeatureRow &row,
                                    Value argument, const Course &course,
                                    Value place, Value target) {
  if (!course.isContiguous()) {
    return fillRows(user, row, e.index(shape.keys), target,
                    [&](IRMapping &known, Value number) {
                      known.map(argument, course.getGathered(e, place, number));
                    });
  }
  Value first = course.getKey(e, place), end = course.getLimit(e, first);
  if (copyRows(row, argument, first, end, target)) {
    return success();
  }
  return fillRows(user, row, e.sub(end, first), target,
                  [&](IRMapping &known, Value number) {
                    known.map(argument, e.add(first, number));
                  });
}

LogicalResult TileKernel::bringQueries(Operation *user, const FeatureRow &row,
                                       Value target) {
  // The rows of a group do not lie one after the other.
  if (shape.group.size == 1 &&
      copyRows(row, stream.getRowArg(), firstRow, rowCount, target)) {
    return success();
  }
  return fillRows(user, row, e.sub(rowCount, firstRow), target,
                  [&](IRMapping &known, Value number) {
                    Value at = e.add(firstRow, number);
                    known.map(stream.getRowArg(), e.div(at, shape.group.size));
                    known.map(stream.getHeadArg(), getHead(at));
                  });
}

template <typename Operands>
static unsigned findRow(const Operands &operands, const FeatureRow &row) {
  return llvm::find_if(operands,
                       [&](const auto &other) { return other.row == row; }) -
         operands.begin();
}

void TileKernel::placeStreamed(Operation *op, const FeatureRow &row,
                               Buffers &buffers) {
  unsigned k = findRow(buffers.streamed, row);
  if (k == buffers.streamed.size()) {
    Value shared =
        getShared(shape.keys, row.getFeatures(), row.getElementType());
    buffers.streamed.push_back({row, shared, op});
  }
  buffers.rights[op] = k;
}

/// Gives the operands of a product, if that is one, their places.
LogicalResult TileKernel::placeFactors(Operation *op, Value keyArg,
                                       Buffers &buffers) {
  SmallVector<FeatureRow, 2> factors = getFactors(op);
  if (factors.empty()) {
    return success();
  }
  Value rowArg = stream.getRowArg();
  FeatureRow left = factors[0], right = factors[1];
  if (left.reads(keyArg)) {
    std::swap(left, right);
  }
  if (left.reads(keyArg) || right.reads(rowArg)) {
    return op->emitOpError() << "multiplies rows of which one depends on rows "
                                "and keys at once, which has no form in tiles "
                                "yet";
  }
  placeStreamed(op, right, buffers);
  unsigned k = findRow(buffers.stationary, left);
  buffers.lefts[op] = k;
  if (k == buffers.stationary.size()) {
    Value shared =
        getShared(shape.rows, left.getFeatures(), left.getElementType());
    buffers.stationary.push_back({left, shared, Value()});
  }
  return success();
}

/// Those of the left operands that tensor cores take, to registers.
void TileKernel::fetchFactors(Buffers &buffers) {
  auto operandAtom = tile::getOperandAtom(shape.layout.getAtom());
  auto layout = tile::LayoutAttr::get(e.getContext(),
                                      operandAtom.value_or(tile::Atom::Grid),
                                      shape.layout.getWarps());
  for (auto &[op, k] : buffers.lefts) {
    auto &left = buffers.stationary[k];
    Type element = left.row.getElementType();
    Type right = buffers.streamed[buffers.rights[op]].row.getElementType();
    if (left.tile || !shape.tensorCores || !isSmallFloat(element) ||
        element != right || isa<DotWithOp>(op) ||
        !op->getResult(0).getType().isF32()) {
      continue;
    }
    auto tile = RankedTensorType::get(
        {shape.rows, roundUp(left.row.getFeatures(), 16)}, element, layout);
    left.tile = tile::FetchOp::create(e, tile, left.shared);
  }
}

/// Finds the operands of products, brings those that stay, and gives the others
/// a place.
LogicalResult TileKernel::findOperands(SweepOp sweep, Buffers &buffers) {
  for (Operation &op : sweep.getBody().front()) {
    e.setLoc(op.getLoc());
    size_t numKnown = buffers.stationary.size();
    if (failed(placeFactors(&op, sweep.getKeyArg(), buffers))) {
      return failure();
    }
    if (buffers.stationary.size() > numKnown &&
        failed(bringQueries(&op, buffers.stationary.back().row,
                            buffers.stationary.back().shared))) {
      return failure();
    }
    auto carry = dyn_cast<CarryOp>(op);
    if (auto joined = dyn_cast<AcrossOp>(op)) {
      Value &exchange = buffers.exchanges[joined.getType()];
      int64_t warps = shape.layout.getWarps()[0];
      if (!exchange && warps > 1) {
        exchange = getShared(warps, shape.keys, joined.getType());
      }
    } else if (carry && carry.getKind() == CarryKind::Outer) {
      FeatureRow row = FeatureRow::get(carry.getRow());
      if (row.reads(stream.getRowArg())) {
        return op.emitOpError() << "adds rows that depend on rows and keys at "
                                   "once, which has no form in tiles yet";
      }
      placeStreamed(carry, row, buffers);
      Type weight = getElementTypeOrSelf(carry.getType());
      if (!buffers.weights.count(weight)) {
        buffers.weights[weight] = getShared(shape.rows, shape.keys, weight);
      }
      if (!buffers.present) {
        buffers.present = getShared(shape.rows, shape.keys, e.getI8Type());
      }
    }
  }
  if (failed(prepareMixtures(sweep))) {
    return failure();
  }
  if (buffers.stationary.empty()) {
    return success();
  }
  tile::ArriveOp::create(e);
  gpu::BarrierOp::create(e);
  fetchFactors(buffers);
  return success();
}

/// A region over the features of two rows, which sees what is the same for all.
LogicalResult TileKernel::emitCombination(DotWithOp op, Buffers &buffers) {
  Extent entries{/*row=*/true, /*key=*/true};
  auto type = typeOf(op.getType(), entries);
  Type element = type.getElementType();
  auto &left = buffers.stationary[buffers.lefts[op]];
  auto &right = buffers.streamed[buffers.rights[op]];
  FeatureReduceKind given = op.getKind();
  auto kind = given == FeatureReduceKind::Sum   ? tile::ReduceKind::Add
              : given == FeatureReduceKind::Max ? tile::ReduceKind::Max
                                                : tile::ReduceKind::Min;
  Value start = given == FeatureReduceKind::Sum
                    ? e.constant(element, 0.0)
                    : e.infinity(element, given == FeatureReduceKind::Max);
  auto combined =
      tile::CombineOp::create(e, type, kind, left.shared, right.shared,
                              splat(start, type), left.row.getFeatures());
  OpBuilder::InsertionGuard guard(e);
  Block *body = e.createBlock(&combined.getBody(), {},
                              {element, element, e.getIndexType()},
                              {e.getLoc(), e.getLoc(), e.getLoc()});
  IRMapping map = uniform;
  bool swapped = !(getFactors(op)[0] == left.row);
  Block &region = op.getBody().front();
  map.map(region.getArgument(0), body->getArgument(swapped ? 1 : 0));
  map.map(region.getArgument(1), body->getArgument(swapped ? 0 : 1));
  map.map(region.getArgument(2), body->getArgument(2));
  for (Operation &inner : region.without_terminator()) {
    for (Value operand : inner.getOperands()) {
      if (!map.contains(operand)) {
        return inner.emitOpError() << "in a region over features reads what "
                                      "differs between rows or keys, which has "
                                      "no form in tiles yet";
      }
    }
    e.clone(inner, map);
  }
  tile::YieldOp::create(e, map.lookup(region.getTerminator()->getOperand(0)));
  set(op.getResult(), combined.getResult(), entries);
  return success();
}

LogicalResult TileKernel::emitProduct(Operation *op, Buffers &buffers) {
  if (auto dot = dyn_cast<DotWithOp>(op)) {
    return emitCombination(dot, buffers);
  }
  Extent entries{/*row=*/true, /*key=*/true};
  auto type = typeOf(op->getResult(0).getType(), entries);
  auto &left = buffers.stationary[buffers.lefts[op]];
  auto &right = buffers.streamed[buffers.rights[op]];
  // A tile serves products with operands of its own type.
  Value tile = left.row.getElementType() == right.row.getElementType()
                   ? left.tile
                   : Value();
  int64_t features = left.row.getFeatures();
  Value product = tile::ContractOp::create(
      e, type, tile ? tile : left.shared, right.shared, splat(0.0, type),
      /*present=*/Value(), /*finite=*/Value(),
      tile ? roundUp(features, 16) : features,
      /*transposed=*/true);
  set(op->getResult(0), product, entries);
  return success();
}

/// present ? x : fill.
static Value selectEntries(Emit &e, Value present, Value x, Value fill) {
  if (!present) {
    return x;
  }
  return e.select(present, x,
                  tile::SplatOp::create(e, x.getType(), fill).getResult());
}

/// What all rows have at a key, which other warps have parts of.
LogicalResult TileKernel::emitJoined(AcrossOp op, Buffers &buffers) {
  if (failed(checkOperands(op))) {
    return failure();
  }
  Extent entries{/*row=*/true, /*key=*/true}, keys{/*row=*/false, /*key=*/true};
  Type element = op.getType();
  CarryKind given = op.getKind();
  auto kind = given == CarryKind::Sum   ? tile::ReduceKind::Add
              : given == CarryKind::Max ? tile::ReduceKind::Max
                                        : tile::ReduceKind::Min;
  Value nothing = given == CarryKind::Sum
                      ? e.constant(element, 0.0)
                      : e.infinity(element, given == CarryKind::Max);
  Extent rows{/*row=*/true};
  Value present =
      liftTile(getMask(rows, typeOf(e.getI1Type(), rows), 0), rows, entries, 0);
  if (partial && op.getCond()) {
    present = e.both(present, lift(op.getCond(), entries));
  }
  Value x = selectEntries(e, present, lift(op.getValue(), entries), nothing);
  RankedTensorType type = typeOf(element, keys);
  set(op.getResult(),
      tile::ReduceOp::create(e, type, kind, x, 0,
                             buffers.exchanges.lookup(element)),
      keys);
  return success();
}

//===----------------------------------------------------------------------===//
// Gauges and carries
//===----------------------------------------------------------------------===//

/// The neutral element of max (or min).
static Value neutralOf(Emit &e, Type type, bool max) {
  if (isa<FloatType>(type)) {
    return e.infinity(type, max);
  }
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  APInt value =
      max ? APInt::getSignedMinValue(bits) : APInt::getSignedMaxValue(bits);
  return arith::ConstantOp::create(e, e.getIntegerAttr(type, value));
}

FailureOr<SmallVector<Value>> TileKernel::getInit(Operation *op) {
  Extent row{/*row=*/true};
  if (auto running = dyn_cast<RunningOp>(op)) {
    auto type = typeOf(running.getType(), row);
    if (running.getKind() == GaugeKind::Mean) {
      return SmallVector<Value>{splat(0.0, type), splat(0.0, type)};
    }
    if (running.getInit()) {
      return SmallVector<Value>{lift(running.getInit(), row)};
    }
    return SmallVector<Value>{splat(e.infinity(running.getType(), true), type)};
  }
  if (auto top = dyn_cast<TopOp>(op)) {
    return startTop(top);
  }
  if (auto binned = dyn_cast<BinsOp>(op)) {
    startBins(binned);
    return SmallVector<Value>();
  }
  auto carry = dyn_cast<CarryOp>(op);
  if (!carry) {
    op->emitOpError() << "has no form in tiles yet";
    return failure();
  }
  if (auto vector = dyn_cast<VectorType>(carry.getType())) {
    if (carry.getKind() != CarryKind::Outer) {
      op->emitOpError() << "accumulates rows in a way that has no form in "
                           "tiles yet";
      return failure();
    }
    row.feature = true;
    return SmallVector<Value>{splat(
        0.0, typeOf(vector.getElementType(), row, vector.getNumElements()))};
  }
  auto type = typeOf(carry.getType(), row);
  switch (carry.getKind()) {
  case CarryKind::Max:
  case CarryKind::Min:
    return SmallVector<Value>{
        splat(neutralOf(e, carry.getType(), carry.getKind() == CarryKind::Max),
              type)};
  case CarryKind::Mean:
    return SmallVector<Value>{splat(0.0, type), splat(0.0, type)};
  case CarryKind::ArgMax:
  case CarryKind::ArgMin: {
    Type element = carry.getValue().getType();
    Value none = neutralOf(e, element, carry.getKind() == CarryKind::ArgMax);
    return SmallVector<Value>{splat(e.constant64(-1), type),
                              splat(none, typeOf(element, {/*row=*/true}))};
  }
  default:
    return SmallVector<Value>{splat(0.0, type)};
  }
}

Value TileKernel::getPresence(Value cond) {
  if (!partial) {
    return Value();
  }
  Extent entries{/*row=*/true, /*key=*/true};
  Extent keys{/*row=*/false, /*key=*/true};
  Value inside =
      liftTile(getMask(keys, typeOf(e.getI1Type(), keys), 0), keys, entries, 0);
  if (!cond) {
    return inside;
  }
  return e.both(inside, lift(cond, entries));
}

Value TileKernel::reduceEntries(tile::ReduceKind kind, Value entries) {
  auto type = cast<RankedTensorType>(entries.getType());
  return tile::ReduceOp::create(e, tile::dropAxis(type, 1), kind, entries, 1);
}

LogicalResult TileKernel::updateRunning(RunningOp op, State &state) {
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  Value present = getPresence(op.getCond());
  Value x = lift(op.getValue(), entries);
  Value old = state.before.front();
  auto type = cast<RankedTensorType>(old.getType());
  if (op.getKind() == GaugeKind::Max) {
    x = selectEntries(e, present, x, e.infinity(op.getType(), true));
    Value max = reduceEntries(tile::ReduceKind::Max, x);
    state.after = {arith::MaximumFOp::create(e, old, max)};
    set(op.getResult(), state.after.front(), rows);
    return success();
  }
  // The mean moves by the mean of how far the new values are from it.
  Value apart = arith::SubFOp::create(e, x, liftTile(old, rows, entries, 0));
  Value zero = e.constant(op.getType(), 0.0);
  Value sum = reduceEntries(tile::ReduceKind::Add,
                            selectEntries(e, present, apart, zero));
  Value ones = splat(1.0, cast<RankedTensorType>(x.getType()));
  Value count = reduceEntries(tile::ReduceKind::Add,
                              selectEntries(e, present, ones, zero));
  count = arith::AddFOp::create(e, state.before[1], count);
  Value none = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, count,
                                     splat(0.0, type));
  Value step = arith::DivFOp::create(e, sum, count);
  Value mean = arith::AddFOp::create(e, old, step);
  state.after = {e.select(none, old, mean), count};
  set(op.getResult(), state.after.front(), rows);
  return success();
}

/// How far a gauge moved; 0 where it had no value before, or has the same one.
Value TileKernel::getMovement(State &gauge) {
  Value before = gauge.before.front(), after = gauge.after.front();
  auto type = cast<RankedTensorType>(before.getType());
  bool mean = gauge.before.size() == 2;
  Value empty = mean ? splat(0.0, type)
                     : splat(e.infinity(type.getElementType(), true), type);
  auto equal = [&](Value a, Value b) -> Value {
    return arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, a, b);
  };
  Value none =
      e.either(equal(gauge.before.back(), empty), equal(before, after));
  Value moved = arith::SubFOp::create(e, after, before);
  return e.select(none, splat(0.0, type), moved);
}

/// 2^(rate * movement of gauge), shared by the carries that need it.
Value TileKernel::getFactor(State &gauge, Value rate, Extent extent,
                            Type element, int64_t features) {
  Extent rows{/*row=*/true};
  Value &factor = factors[{gauge.op->getResult(0), rate}];
  if (!factor) {
    Value before = gauge.before.front(), after = gauge.after.front();
    auto type = cast<RankedTensorType>(before.getType());
    auto equal = [&](Value a, Value b) -> Value {
      return arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, a, b);
    };
    Value lowest = splat(e.infinity(type.getElementType(), true), type);
    Value moved = arith::SubFOp::create(e, after, before);
    Value by = e.convertFloat(lift(rate, rows), type.getElementType());
    moved = arith::MulFOp::create(e, by, moved);
    Value power = math::Exp2Op::create(e, moved);
    factor = e.select(equal(before, lowest), splat(0.0, type), power);
    factor = e.select(equal(before, after), splat(1.0, type), factor);
  }
  return liftTile(e.convertFloat(factor, element), rows, extent, features);
}

/// What was accumulated before this tile, seen from the gauges after it.
Value TileKernel::moveCarry(CarryOp op, State &state,
                            SmallVectorImpl<State> &states) {
  auto find = [&](Value value) -> State & {
    return *llvm::find_if(states, [&](State &other) {
      return other.op == value.getDefiningOp();
    });
  };
  Value moved = state.before.front();
  auto type = cast<RankedTensorType>(moved.getType());
  auto vector = dyn_cast<VectorType>(op.getType());
  Extent rows{/*row=*/true};
  Extent extent{/*row=*/true, /*key=*/false, /*feature=*/bool(vector)};
  int64_t features = vector ? vector.getNumElements() : 0;
  if (!op.getCompanions().empty()) {
    Value d = getMovement(find(op.getPolyGauge()));
    d = liftTile(e.convertFloat(d, type.getElementType()), rows, extent,
                 features);
    Value power = d;
    for (Value companion : op.getCompanions()) {
      Value term =
          arith::MulFOp::create(e, find(companion).before.front(), power);
      moved = arith::AddFOp::create(e, moved, term);
      power = arith::MulFOp::create(e, power, d);
    }
  }
  for (auto [gauge, rate] : llvm::zip(op.getGauges(), op.getRates())) {
    Value factor =
        getFactor(find(gauge), rate, extent, type.getElementType(), features);
    moved = arith::MulFOp::create(e, moved, factor);
  }
  return moved;
}

/// The index of the largest or smallest value; the first NaN wins.
Value TileKernel::updateExtremumIndex(CarryOp op, State &state, Value cond) {
  bool max = op.getKind() == CarryKind::ArgMax;
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  auto kind = max ? tile::ReduceKind::Max : tile::ReduceKind::Min;
  Value x = lift(op.getValue(), entries);
  auto type = cast<RankedTensorType>(x.getType());
  bool isFloat = isa<FloatType>(type.getElementType());
  Value bound = neutralOf(e, type.getElementType(), max);
  Value best = reduceEntries(kind, selectEntries(e, cond, x, bound));
  // Where it is: the first entry that equals it, or is NaN as it is.
  auto same = [&](Value a, Value b) -> Value {
    if (!isFloat) {
      return e.equal(a, b);
    }
    Value equal = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, a, b);
    Value nan = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, a, a);
    return e.either(equal, nan);
  };
  Value here = same(x, liftTile(best, rows, entries, 0));
  if (cond) {
    here = e.both(here, cond);
  }
  Value key = liftTile(keyTile, {/*row=*/false, /*key=*/true}, entries, 0);
  key = arith::IndexCastOp::create(e, typeOf(e.getI64Type(), entries), key);
  Value beyond = e.constant64(std::numeric_limits<int64_t>::max());
  Value index =
      reduceEntries(tile::ReduceKind::Min, selectEntries(e, here, key, beyond));
  auto counts = cast<RankedTensorType>(index.getType());
  Value any = e.less(index, splat(beyond, counts));
  // Against what came before: later keys win only if they are better.
  Value old = state.before[1], first = state.before[0];
  Value none = e.less(first, splat(e.constant64(0), counts));
  Value better;
  if (isFloat) {
    better = arith::CmpFOp::create(
        e, max ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT, best,
        old);
    Value nan = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, best, best);
    Value number =
        arith::CmpFOp::create(e, arith::CmpFPredicate::ORD, old, old);
    better = e.either(better, e.both(nan, number));
  } else {
    better = arith::CmpIOp::create(
        e, max ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt, best,
        old);
  }
  if (followsList) {
    // The blocks of a list come in any order: of equal values, the first key.
    better = e.either(better, e.both(same(best, old), e.less(index, first)));
  }
  Value take = e.both(any, e.either(none, better));
  state.after.resize(2);
  state.after[1] = e.select(take, best, old);
  return e.select(take, index, first);
}

static Value add(Emit &e, Value a, Value b) {
  if (isa<FloatType>(getElementTypeOrSelf(a.getType()))) {
    return arith::AddFOp::create(e, a, b);
  }
  return arith::AddIOp::create(e, a, b);
}

/// A bf16 has 8 bits of the 24 of a float.
constexpr int kWeightParts = 3;

/// acc + P V. With operands of 16 bits, P is rounded as the program asks, or
/// else multiplied in parts that together are what it is in f32.
Value TileKernel::updateOuter(CarryOp op, Value old, Buffers &buffers) {
  Extent entries{/*row=*/true, /*key=*/true};
  Value present = getPresence(op.getCond());
  Value p = lift(op.getValue(), entries);
  auto type = cast<RankedTensorType>(p.getType());
  auto acc = cast<RankedTensorType>(old.getType());
  std::optional<Type> rounded = op.getOperandType();
  if (rounded) {
    p = e.convertFloat(e.convertFloat(p, *rounded), type.getElementType());
  }
  p = selectEntries(e, present, p, e.constant(type.getElementType(), 0.0));
  p = e.convertFloat(p, acc.getElementType());
  Value v = buffers.streamed[buffers.rights[op]].shared;
  Type small = cast<MemRefType>(v.getType()).getElementType();
  auto multiply = [&](Value a, Value sum, Value mask, Value finite) -> Value {
    return tile::ContractOp::create(e, acc, a, v, sum, mask, finite, shape.keys,
                                    /*transposed=*/false);
  };
  auto onTensorCores = [&](Value sum) {
    auto layout = tile::LayoutAttr::get(
        e.getContext(), *tile::getOperandAtom(shape.layout.getAtom()),
        shape.layout.getWarps());
    auto operand = RankedTensorType::get(type.getShape(), small, layout);
    auto isNumber = [&](Value x) -> Value {
      return arith::CmpFOp::create(e, arith::CmpFPredicate::ORD, x, x);
    };
    Value rest = p;
    int parts = rounded && *rounded == small ? 1 : kWeightParts;
    for (int part = 0; part < parts; ++part) {
      Value x = e.convertFloat(rest, small);
      sum = multiply(tile::ConvertOp::create(e, operand, x), sum, Value(),
                     Value());
      if (part + 1 < parts) {
        // What is infinite in 16 bits leaves nothing.
        rest = arith::SubFOp::create(e, rest,
                                     e.convertFloat(x, acc.getElementType()));
        rest = e.select(isNumber(rest), rest,
                        splat(0.0, cast<RankedTensorType>(rest.getType())));
      }
    }
    return sum;
  };
  auto inMemory = [&](bool masked, Value finite = Value()) {
    Value weights = buffers.weights[acc.getElementType()];
    gpu::BarrierOp::create(e);
    tile::StashOp::create(e, p, weights);
    if (masked) {
      tile::StashOp::create(e, present, buffers.present);
    }
    gpu::BarrierOp::create(e);
    return multiply(weights, old, masked ? buffers.present : Value(), finite);
  };
  // Half floats end at 65504, which weights that nobody rounds may exceed.
  bool holdsWeights = small.isBF16() || (rounded && *rounded == small);
  bool tensorCores = shape.tensorCores && isSmallFloat(small) && holdsWeights &&
                     acc.getElementType().isF32();
  if (!present) {
    return tensorCores ? onTensorCores(old) : inMemory(/*masked=*/false);
  }
  // An absent entry has weight 0, which infinite values do not see.
  int64_t width = cast<VectorType>(op.getType()).getNumElements();
  Value finite = tile::FiniteOp::create(e, v, shape.keys, width);
  if (!tensorCores) {
    return inMemory(/*masked=*/true, finite);
  }
  return e.ifValue(
      finite, acc, [&] { return onTensorCores(old); },
      [&] { return inMemory(/*masked=*/true); });
}

LogicalResult TileKernel::updateCarry(CarryOp op, State &state,
                                      SmallVectorImpl<State> &states,
                                      Buffers &buffers) {
  Extent entries{/*row=*/true, /*key=*/true};
  Value old = state.before.front();
  auto rows = cast<RankedTensorType>(old.getType());
  Type element = rows.getElementType();
  state.after.assign(state.before.begin(), state.before.end());
  switch (op.getKind()) {
  case CarryKind::Outer:
    state.after[0] = updateOuter(op, moveCarry(op, state, states), buffers);
    break;
  case CarryKind::Sum: {
    Value x = lift(op.getValue(), entries);
    Type type = getElementTypeOrSelf(x.getType());
    if (std::optional<Type> rounded = op.getOperandType()) {
      x = e.convertFloat(e.convertFloat(x, *rounded), type);
    }
    x = selectEntries(e, getPresence(op.getCond()), x, e.constant(type, 0.0));
    state.after[0] = add(e, moveCarry(op, state, states),
                         reduceEntries(tile::ReduceKind::Add, x));
    break;
  }
  case CarryKind::Max:
  case CarryKind::Min: {
    bool max = op.getKind() == CarryKind::Max;
    Value x =
        selectEntries(e, getPresence(op.getCond()),
                      lift(op.getValue(), entries), neutralOf(e, element, max));
    Value best =
        reduceEntries(max ? tile::ReduceKind::Max : tile::ReduceKind::Min, x);
    if (isa<FloatType>(element)) {
      state.after[0] =
          max ? arith::MaximumFOp::create(e, old, best).getResult()
              : arith::MinimumFOp::create(e, old, best).getResult();
    } else {
      state.after[0] = max ? e.max(old, best) : e.min(old, best);
    }
    break;
  }
  case CarryKind::Mean: {
    Value present = getPresence(op.getCond());
    Value zero = e.constant(element, 0.0);
    Value x = lift(op.getValue(), entries);
    Value ones = splat(1.0, cast<RankedTensorType>(x.getType()));
    state.after[0] = add(e, old,
                         reduceEntries(tile::ReduceKind::Add,
                                       selectEntries(e, present, x, zero)));
    state.after[1] = add(e, state.before[1],
                         reduceEntries(tile::ReduceKind::Add,
                                       selectEntries(e, present, ones, zero)));
    break;
  }
  case CarryKind::Count: {
    Value ones = splat(1.0, typeOf(e.getI64Type(), entries));
    Value counted =
        selectEntries(e, getPresence(op.getCond()), ones, e.constant64(0));
    state.after[0] = add(e, old, reduceEntries(tile::ReduceKind::Add, counted));
    break;
  }
  case CarryKind::Any: {
    Value present = getPresence(op.getCond());
    state.after[0] =
        present ? e.either(old, reduceEntries(tile::ReduceKind::Or, present))
                : splat(e.truth(true), rows);
    break;
  }
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    state.after[0] = updateExtremumIndex(op, state, getPresence(op.getCond()));
    break;
  }
  return success();
}

LogicalResult TileKernel::update(State &state, SmallVectorImpl<State> &states,
                                 Buffers &buffers) {
  e.setLoc(state.op->getLoc());
  if (failed(checkOperands(state.op))) {
    return failure();
  }
  if (auto running = dyn_cast<RunningOp>(state.op)) {
    return updateRunning(running, state);
  }
  if (auto top = dyn_cast<TopOp>(state.op)) {
    return updateTop(top, state);
  }
  if (auto binned = dyn_cast<BinsOp>(state.op)) {
    return updateBins(binned);
  }
  return updateCarry(cast<CarryOp>(state.op), state, states, buffers);
}
