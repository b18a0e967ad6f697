//===- Sweeps.cpp - sweeps as loops over one key at a time ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sweep becomes one `scf.for` whose loop values are the states of its carries
// and gauges. With tiles of one key, "so far including this tile" is "up to
// this key", and a carry moves before each contribution:
//
//   %g = attn.running max %f if %p          g' = p ? max(g, f) : g
//   %l = attn.carry sum %e if %p            s = g' == g ? 1 : g == -inf ? 0
//          act(%g by %a)                        : exp2(a * (g' - g))
//                                           l' = p ? l * s + e : l * s
//
// A factor of 0 is a product and no select, so that NaN in a carry stays.
//
//===----------------------------------------------------------------------===//

#include "Selection.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::loops;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

namespace {

/// Loop values of one carry or gauge. Before the loop they are initial values,
/// in it what was reached before and after the key at hand.
struct State {
  Operation *op;
  SmallVector<Value> init;
  SmallVector<Value> before, after;
  SmallVector<Value, 2> buffers; // of accumulators with many elements
};

/// Builds the update of one key, op by op.
class SweepBody {
public:
  SweepBody(SmallVectorImpl<State> &states, Value key, Value allPresent)
      : states(states), key(key), allPresent(allPresent) {
    for (auto [k, state] : llvm::enumerate(states)) {
      position[state.op] = k;
      if (auto carry = dyn_cast<CarryOp>(state.op)) {
        SmallVector<Operation *> &own = companions[carry];
        for (Value companion : carry.getCompanions()) {
          own.push_back(companion.getDefiningOp());
        }
      }
    }
  }

  void update(OpBuilder &builder, State &state);

private:
  void updateRunning(OpBuilder &builder, RunningOp op, State &state);
  void updateCarry(OpBuilder &builder, CarryOp op, State &state);
  void updateFold(OpBuilder &builder, FoldOp op, State &state);
  Value updateExtremumIndex(OpBuilder &builder, CarryOp op, State &state,
                            Value cond);
  /// The state before this key, as it is seen from the gauges after it.
  Value moveCarry(OpBuilder &builder, CarryOp op, State &state);
  Value movePolynomial(OpBuilder &builder, CarryOp op, Value old);
  Value getFactor(OpBuilder &builder, Location loc, Value gauge, Value rate,
                  Type type);
  Value getMovement(OpBuilder &builder, Location loc, State &gauge);
  Value getCondition(OpBuilder &builder, Location loc, Value cond);
  State &getGauge(Value gauge);

  SmallVectorImpl<State> &states;
  Value key, allPresent;
  DenseMap<Operation *, unsigned> position;
  DenseMap<Operation *, SmallVector<Operation *>> companions;
  DenseMap<Value, unsigned> gaugeOf; // the value after the update -> its state
  DenseMap<std::pair<Value, Value>, Value> factors;
};

} // namespace

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

static Value zeroOf(OpBuilder &builder, Location loc, Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

/// The neutral element of max (or min).
static Value neutralOf(OpBuilder &builder, Location loc, Type type, bool max) {
  if (isa<FloatType>(getElementTypeOrSelf(type))) {
    return floatConstant(builder, loc, type, max ? -kInfinity : kInfinity);
  }
  unsigned bits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  APInt value =
      max ? APInt::getSignedMinValue(bits) : APInt::getSignedMaxValue(bits);
  return arith::ConstantOp::create(builder, loc,
                                   builder.getIntegerAttr(type, value));
}

static SmallVector<Value> getInit(OpBuilder &builder, Operation *op) {
  Location loc = op->getLoc();
  Type type = op->getResult(0).getType();
  if (auto running = dyn_cast<RunningOp>(op)) {
    if (running.getKind() == GaugeKind::Mean) {
      return {zeroOf(builder, loc, type), zeroOf(builder, loc, type)};
    }
    Value init = running.getInit();
    return {init ? init : floatConstant(builder, loc, type, -kInfinity)};
  }
  if (auto fold = dyn_cast<FoldOp>(op)) {
    SmallVector<Value> identity;
    for (auto value : fold.getIdentity().getAsValueRange<FloatAttr>()) {
      identity.push_back(
          floatConstant(builder, loc, type, value.convertToDouble()));
    }
    return identity;
  }
  if (isa<BinsOp>(op)) {
    return {};
  }
  if (isa<TopOp>(op)) {
    Value none = arith::ConstantIndexOp::create(builder, loc, 0);
    return {none, none};
  }
  auto carry = cast<CarryOp>(op);
  switch (carry.getKind()) {
  case CarryKind::Max:
    return {neutralOf(builder, loc, type, /*max=*/true)};
  case CarryKind::Min:
    return {neutralOf(builder, loc, type, /*max=*/false)};
  case CarryKind::Mean: // sum and count
    return {zeroOf(builder, loc, type), zeroOf(builder, loc, type)};
  case CarryKind::ArgMax:
  case CarryKind::ArgMin: // best index and value
    return {arith::ConstantIntOp::create(builder, loc, -1, 64),
            neutralOf(builder, loc, carry.getValue().getType(),
                      carry.getKind() == CarryKind::ArgMax)};
  default:
    return {zeroOf(builder, loc, type)};
  }
}

/// A result of the sweep from the loop values after the last key.
static Value finish(OpBuilder &builder, OpResult result, ValueRange values) {
  auto carry = dyn_cast<CarryOp>(result.getOwner());
  if (isa<FoldOp, TopOp, BinsOp>(result.getOwner())) {
    return values[result.getResultNumber()];
  }
  if (!carry || carry.getKind() != CarryKind::Mean) {
    return values.front();
  }
  Location loc = result.getLoc();
  Value zero = zeroOf(builder, loc, values[1].getType());
  Value mean = arith::DivFOp::create(builder, loc, values[0], values[1]);
  Value none = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                     values[1], zero);
  return arith::SelectOp::create(builder, loc, none, zero, mean);
}

//===----------------------------------------------------------------------===//
// Gauges
//===----------------------------------------------------------------------===//

void SweepBody::update(OpBuilder &builder, State &state) {
  if (auto running = dyn_cast<RunningOp>(state.op)) {
    builder.setInsertionPoint(state.op);
    updateRunning(builder, running, state);
    gaugeOf[state.after.front()] = position[state.op];
  } else if (auto fold = dyn_cast<FoldOp>(state.op)) {
    updateFold(builder, fold, state);
  } else if (auto top = dyn_cast<TopOp>(state.op)) {
    Value cond = getCondition(builder, top.getLoc(), top.getCond());
    state.after =
        updateTop(builder, top, state.buffers, state.before, cond, key);
    return;
  } else if (auto bins = dyn_cast<BinsOp>(state.op)) {
    Value cond = getCondition(builder, bins.getLoc(), bins.getCond());
    updateBins(builder, bins, state.buffers, cond);
    return;
  } else {
    updateCarry(builder, cast<CarryOp>(state.op), state);
  }
  for (auto [result, value] : llvm::zip(state.op->getResults(), state.after)) {
    result.replaceAllUsesWith(value);
  }
}

Value SweepBody::getCondition(OpBuilder &builder, Location loc, Value cond) {
  if (!cond || !allPresent) {
    return cond;
  }
  return arith::OrIOp::create(builder, loc, cond, allPresent);
}

State &SweepBody::getGauge(Value gauge) {
  auto found = gaugeOf.find(gauge);
  return states[found == gaugeOf.end() ? position[gauge.getDefiningOp()]
                                       : found->second];
}

static Value selectIf(OpBuilder &builder, Location loc, Value cond, Value yes,
                      Value no) {
  return cond ? arith::SelectOp::create(builder, loc, cond, yes, no).getResult()
              : yes;
}

SmallVector<Value> attn::loops::cloneRegion(OpBuilder &builder, Region &region,
                                            ValueRange args) {
  IRMapping map;
  map.map(region.getArguments(), args);
  for (Operation &op : region.front().without_terminator()) {
    builder.clone(op, map);
  }
  SmallVector<Value> results;
  for (Value value : region.front().getTerminator()->getOperands()) {
    results.push_back(map.lookupOrDefault(value));
  }
  return results;
}

void SweepBody::updateRunning(OpBuilder &builder, RunningOp op, State &state) {
  Location loc = op.getLoc();
  Value cond = getCondition(builder, loc, op.getCond());
  Value old = state.before.front();
  if (op.getKind() == GaugeKind::Max) {
    Value max = arith::MaximumFOp::create(builder, loc, old, op.getValue());
    state.after = {selectIf(builder, loc, cond, max, old)};
    return;
  }
  Value one = floatConstant(builder, loc, old.getType(), 1.0);
  Value count = arith::AddFOp::create(builder, loc, state.before[1], one);
  Value step = arith::SubFOp::create(builder, loc, op.getValue(), old);
  step = arith::DivFOp::create(builder, loc, step, count);
  Value mean = arith::AddFOp::create(builder, loc, old, step);
  state.after = {selectIf(builder, loc, cond, mean, old),
                 selectIf(builder, loc, cond, count, state.before[1])};
}

/// How far a gauge moved; 0 where it had no value before, or has the same one.
Value SweepBody::getMovement(OpBuilder &builder, Location loc, State &gauge) {
  Value before = gauge.before.front(), after = gauge.after.front();
  bool mean = gauge.before.size() == 2;
  Type type = before.getType();
  Value empty = mean ? floatConstant(builder, loc, type, 0.0)
                     : floatConstant(builder, loc, type, -kInfinity);
  Value first = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                      gauge.before.back(), empty);
  Value same = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                     before, after);
  Value none = arith::OrIOp::create(builder, loc, first, same);
  Value moved = arith::SubFOp::create(builder, loc, after, before);
  Value zero = floatConstant(builder, loc, type, 0.0);
  return arith::SelectOp::create(builder, loc, none, zero, moved);
}

/// 2^(rate * movement of gauge), shared by the carries that need it.
Value SweepBody::getFactor(OpBuilder &builder, Location loc, Value gauge,
                           Value rate, Type type) {
  Value &factor = factors[{gauge, rate}];
  if (!factor) {
    State &state = getGauge(gauge);
    Value before = state.before.front(), after = state.after.front();
    Type scalar = before.getType();
    Value lowest = floatConstant(builder, loc, scalar, -kInfinity);
    Value zero = floatConstant(builder, loc, scalar, 0.0);
    Value one = floatConstant(builder, loc, scalar, 1.0);
    Value moved = arith::SubFOp::create(builder, loc, after, before);
    moved = arith::MulFOp::create(
        builder, loc, convertFloat(builder, loc, rate, scalar), moved);
    Value power = math::Exp2Op::create(builder, loc, moved);
    Value first = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        before, lowest);
    factor = arith::SelectOp::create(builder, loc, first, zero, power);
    Value same = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                       before, after);
    factor = arith::SelectOp::create(builder, loc, same, one, factor);
  }
  return convertFloat(builder, loc, factor, type);
}

//===----------------------------------------------------------------------===//
// Carries
//===----------------------------------------------------------------------===//

static Value splat(OpBuilder &builder, Location loc, Value scalar, Type type) {
  if (!isa<VectorType>(type)) {
    return scalar;
  }
  return vector::BroadcastOp::create(builder, loc, type, scalar);
}

/// c0' = c0 + c1 d + ... + ck d^k, all from values before this key. A companion
/// moves by a list of its own.
Value SweepBody::movePolynomial(OpBuilder &builder, CarryOp op, Value old) {
  ArrayRef<Operation *> terms = companions[op];
  if (terms.empty()) {
    return old;
  }
  Location loc = op.getLoc();
  Type type = old.getType();
  Value d = getMovement(builder, loc, getGauge(op.getPolyGauge()));
  d = convertFloat(builder, loc, d, getElementTypeOrSelf(type));
  d = splat(builder, loc, d, type);
  Value power = d;
  for (Operation *companion : terms) {
    Value term = states[position[companion]].before.front();
    term = arith::MulFOp::create(builder, loc, term, power);
    old = arith::AddFOp::create(builder, loc, old, term);
    power = arith::MulFOp::create(builder, loc, power, d);
  }
  return old;
}

Value SweepBody::moveCarry(OpBuilder &builder, CarryOp op, State &state) {
  Location loc = op.getLoc();
  Value moved = movePolynomial(builder, op, state.before.front());
  Type type = moved.getType();
  for (auto [gauge, rate] : llvm::zip(op.getGauges(), op.getRates())) {
    Value factor =
        getFactor(builder, loc, gauge, rate, getElementTypeOrSelf(type));
    moved = arith::MulFOp::create(builder, loc, moved,
                                  splat(builder, loc, factor, type));
  }
  return moved;
}

/// The index of the largest or smallest value; the first NaN wins.
Value SweepBody::updateExtremumIndex(OpBuilder &builder, CarryOp op,
                                     State &state, Value cond) {
  Location loc = op.getLoc();
  bool max = op.getKind() == CarryKind::ArgMax;
  Value index = state.before[0], best = state.before[1], x = op.getValue();
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
  Value take = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                     index, zero);
  Value better;
  if (isa<FloatType>(x.getType())) {
    better = arith::CmpFOp::create(
        builder, loc,
        max ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT, x, best);
    // x is NaN and best is not.
    Value isNan =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, x, x);
    Value noNan = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::ORD,
                                        best, best);
    Value firstNan = arith::AndIOp::create(builder, loc, isNan, noNan);
    better = arith::OrIOp::create(builder, loc, better, firstNan);
  } else {
    better = arith::CmpIOp::create(
        builder, loc,
        max ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::slt, x, best);
  }
  take = arith::OrIOp::create(builder, loc, take, better);
  if (cond) {
    take = arith::AndIOp::create(builder, loc, take, cond);
  }
  state.after.resize(2);
  state.after[1] = arith::SelectOp::create(builder, loc, take, x, best);
  Value here =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), key);
  return arith::SelectOp::create(builder, loc, take, here, index);
}

/// old + term, for floats and integers.
static Value add(OpBuilder &builder, Location loc, Value old, Value term) {
  if (isa<FloatType>(getElementTypeOrSelf(old.getType()))) {
    return arith::AddFOp::create(builder, loc, old, term);
  }
  return arith::AddIOp::create(builder, loc, old, term);
}

static Value extremum(OpBuilder &builder, Location loc, Value old, Value x,
                      bool max) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(old.getType()));
  if (max) {
    return isFloat ? arith::MaximumFOp::create(builder, loc, old, x).getResult()
                   : arith::MaxSIOp::create(builder, loc, old, x).getResult();
  }
  return isFloat ? arith::MinimumFOp::create(builder, loc, old, x).getResult()
                 : arith::MinSIOp::create(builder, loc, old, x).getResult();
}

/// The operand of a sum: the value, or value * row, rounded as asked.
static Value getTerm(OpBuilder &builder, CarryOp op) {
  Location loc = op.getLoc();
  Value x = op.getValue();
  Type type = x.getType();
  if (std::optional<Type> rounded = op.getOperandType()) {
    x = convertFloat(builder, loc, x, *rounded);
    x = convertFloat(builder, loc, x, type);
  }
  if (op.getKind() != CarryKind::Outer) {
    return x;
  }
  Value row = convertFloat(builder, loc, op.getRow(), type);
  x = splat(builder, loc, x, row.getType());
  return arith::MulFOp::create(builder, loc, x, row);
}

void SweepBody::updateCarry(OpBuilder &builder, CarryOp op, State &state) {
  Location loc = op.getLoc();
  Value cond = getCondition(builder, loc, op.getCond());
  Value old = state.before.front();
  Value next;
  switch (op.getKind()) {
  case CarryKind::Sum:
  case CarryKind::Outer:
    old = moveCarry(builder, op, state);
    next = add(builder, loc, old, getTerm(builder, op));
    break;
  case CarryKind::Max:
  case CarryKind::Min:
    next = extremum(builder, loc, old, op.getValue(),
                    op.getKind() == CarryKind::Max);
    break;
  case CarryKind::Mean: {
    next = add(builder, loc, old, op.getValue());
    Value one = floatConstant(builder, loc, old.getType(), 1.0);
    Value count = add(builder, loc, state.before[1], one);
    state.after = {Value(),
                   selectIf(builder, loc, cond, count, state.before[1])};
    break;
  }
  case CarryKind::Count:
    next = add(builder, loc, old,
               arith::ConstantIntOp::create(builder, loc, 1, 64));
    break;
  case CarryKind::Any:
    next = arith::ConstantIntOp::create(builder, loc, 1, 1);
    break;
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    next = updateExtremumIndex(builder, op, state, cond);
    cond = Value();
    break;
  }
  state.after.resize(state.before.size());
  state.after[0] = selectIf(builder, loc, cond, next, old);
}

void SweepBody::updateFold(OpBuilder &builder, FoldOp op, State &state) {
  Location loc = op.getLoc();
  Value cond = getCondition(builder, loc, op.getCond());
  SmallVector<Value> args(state.before);
  llvm::append_range(args, op.getValues());
  SmallVector<Value> next = cloneRegion(builder, op.getCombine(), args);
  for (auto [value, old] : llvm::zip(next, state.before)) {
    state.after.push_back(selectIf(builder, loc, cond, value, old));
  }
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

static SmallVector<Value> flatten(ArrayRef<State> states,
                                  SmallVector<Value> State::*field) {
  SmallVector<Value> all;
  for (const State &state : states) {
    llvm::append_range(all, state.*field);
  }
  return all;
}

/// Moves the body of the sweep before the insertion point and updates states.
static void buildBody(OpBuilder &builder, SweepOp sweep,
                      SmallVectorImpl<State> &states, Value key,
                      Value allPresent) {
  Block &body = sweep.getBody().front();
  sweep.getKeyArg().replaceAllUsesWith(key);
  builder.getInsertionBlock()->getOperations().splice(
      builder.getInsertionPoint(), body.getOperations(), body.begin(),
      std::prev(body.end()));
  SweepBody update(states, key, allPresent);
  // Carries come last: only the yield uses them.
  for (bool carries : {false, true}) {
    for (State &state : states) {
      if (isa<RunningOp>(state.op) != carries) {
        OpBuilder::InsertionGuard guard(builder);
        update.update(builder, state);
      }
    }
  }
  for (State &state : llvm::reverse(states)) {
    state.op->dropAllReferences();
  }
}

void attn::loops::lowerSweep(SweepOp sweep, bool useBounds) {
  OpBuilder builder(sweep);
  Location loc = sweep.getLoc();
  SmallVector<State> states;
  for (Operation &op : sweep.getBody().front()) {
    if (isa<ReducerOpInterface>(op)) {
      states.push_back({&op, getInit(builder, &op), {}, {}, {}});
      if (isa<TopOp, BinsOp>(op)) {
        states.back().buffers = startSelection(builder, &op);
      }
    }
  }
  // Which state, and which of its op's results, each result is.
  SmallVector<std::pair<unsigned, unsigned>> yielded;
  for (Value value : sweep.getYield().getValues()) {
    auto found = llvm::find_if(states, [&](const State &state) {
      return state.op == value.getDefiningOp();
    });
    yielded.push_back(
        {found - states.begin(), cast<OpResult>(value).getResultNumber()});
  }

  Value lower = sweep.getLower(), upper = sweep.getUpper();
  if (useBounds && !sweep.getBounds().empty()) {
    Value row = sweep->getParentOfType<StreamOp>().getRowArg();
    auto bounds = cloneRegion(builder, sweep.getBounds(), {row, row});
    lower = arith::MaxSIOp::create(builder, loc, lower, bounds[0]);
    upper = arith::MinSIOp::create(builder, loc, upper, bounds[1]);
  }
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(
      builder, loc, lower, upper, one, flatten(states, &State::init),
      [](OpBuilder &, Location, Value, ValueRange) {});
  ValueRange iter = loop.getRegionIterArgs();
  for (State &state : states) {
    state.before.assign(iter.begin(), iter.begin() + state.init.size());
    iter = iter.drop_front(state.init.size());
  }

  Value key = loop.getInductionVar();
  builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> next;
  if (useBounds && !sweep.getTiles().empty()) {
    Value row = sweep->getParentOfType<StreamOp>().getRowArg();
    auto tile = cloneRegion(builder, sweep.getTiles(), {row, row, key, key});
    auto visit = scf::IfOp::create(
        builder, loc, TypeRange(loop.getRegionIterArgs()), tile[0],
        /*addThenBlock=*/true, /*addElseBlock=*/true);
    builder.setInsertionPointToEnd(visit.elseBlock());
    scf::YieldOp::create(builder, loc, loop.getRegionIterArgs());
    builder.setInsertionPointToEnd(visit.thenBlock());
    buildBody(builder, sweep, states, key, tile[1]);
    scf::YieldOp::create(builder, loc, flatten(states, &State::after));
    builder.setInsertionPointToEnd(loop.getBody());
    next = llvm::to_vector_of<Value>(visit.getResults());
  } else {
    buildBody(builder, sweep, states, key, Value());
    next = flatten(states, &State::after);
  }
  scf::YieldOp::create(builder, loc, next);

  builder.setInsertionPoint(sweep);
  SmallVector<SmallVector<Value>> results;
  ValueRange finals = loop.getResults();
  for (State &state : states) {
    results.emplace_back(finals.begin(), finals.begin() + state.init.size());
    finals = finals.drop_front(state.init.size());
    if (isa<TopOp, BinsOp>(state.op)) {
      results.back() =
          finishSelection(builder, state.op, state.buffers, results.back());
    }
  }
  for (auto [result, which] : llvm::zip(sweep.getResults(), yielded)) {
    auto [k, number] = which;
    OpResult accumulator = states[k].op->getResult(number);
    result.replaceAllUsesWith(finish(builder, accumulator, results[k]));
  }
  sweep.getYield()->setOperands({});
  for (State &state : states) {
    state.op->erase();
  }
  sweep.erase();
}
