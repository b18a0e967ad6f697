//===- TileVisit.cpp - a sweep as a visit of tiles of keys ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   copy the stationary rows
//   tile.visit, for each tile of keys inside the bounds:
//     needed: is anything in it present?
//     bring:  copy its keys and values
//     body:   if all entries are present: the program without conditions
//             else: the program with them
//
//===----------------------------------------------------------------------===//

#include "Course.h"
#include "TileKernel.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// Whether a reduction takes in some entries only.
static bool hasCondition(Operation &op) {
  Value cond = llvm::TypeSwitch<Operation *, Value>(&op)
                   .Case<RunningOp, CarryOp, TopOp, BinsOp, AcrossOp>(
                       [](auto reducer) { return reducer.getCond(); })
                   .Default(Value());
  return cond != nullptr;
}

template <typename States>
static SmallVector<Value> flatten(const States &states, bool after) {
  SmallVector<Value> all;
  for (const auto &state : states) {
    llvm::append_range(all, after ? state.after : state.before);
  }
  return all;
}

/// Hands out the values of all states in order.
template <typename States> static void bind(States &states, ValueRange values) {
  for (auto &state : states) {
    size_t count = state.before.size();
    state.before.assign(values.begin(), values.begin() + count);
    values = values.drop_front(count);
  }
}

/// The program of the sweep on one tile, whose kind `partial` says.
LogicalResult TileKernel::emitTile(SweepOp sweep, const Course &course,
                                   Value place, Buffers &buffers,
                                   SmallVectorImpl<State> &states) {
  this->sweep = sweep;
  this->course = &course;
  this->place = place;
  Extent keys{/*row=*/false, /*key=*/true};
  keyTile = course.getKeys(e, place, typeOf(e.getIndexType(), keys));
  set(sweep.getKeyArg(), keyTile, keys);
  gathered =
      course.isContiguous() ? Value() : course.getPresence(e, place, keyTile);
  auto *outside = std::exchange(current, &buffers);
  // What the other kind of tile has computed is not seen here.
  auto known = tiles;
  IRMapping before = uniform;
  factors.clear();
  for (Operation &op : sweep.getBody().front().without_terminator()) {
    auto state =
        llvm::find_if(states, [&](State &state) { return state.op == &op; });
    if (failed(state == states.end() ? emitOp(op)
                                     : update(*state, states, buffers))) {
      return failure();
    }
  }
  tiles = std::move(known);
  uniform = before;
  factors.clear();
  current = outside;
  return success();
}

/// The keys that the rows of the block go through.
FailureOr<Course> TileKernel::findCourse(SweepOp sweep, Value lastQuery) {
  for (Value bound : {sweep.getLower(), sweep.getUpper()}) {
    if (!uniform.contains(bound)) {
      return sweep.emitOpError() << "visits other keys in every row, which "
                                    "has no form in tiles yet";
    }
  }
  Value lower = uniform.lookup(sweep.getLower());
  Value upper = uniform.lookup(sweep.getUpper());
  std::optional<ListElements> runs;
  if (ListedOp list = getDriver(sweep)) {
    FailureOr<ListElements> elements =
        ListElements::find(e, list, firstQuery, uniform);
    if (failed(elements)) {
      return failure();
    }
    if (!elements->hasRuns()) {
      // Of what is visited, all keys are listed.
      uniform.map(list.getResult(), e.truth(true));
      return Course(e, *elements, lower, upper, shape.keys);
    }
    runs = *elements;
  }
  if (!sweep.getBounds().empty()) {
    auto bounds = evaluate(sweep.getBounds(), {firstQuery, lastQuery});
    lower = e.max(lower, bounds[0]);
    upper = e.min(upper, bounds[1]);
  }
  return Course(lower, upper, shape.keys, runs);
}

/// Whether a list has the blocks of keys, which are asked one by one.
LogicalResult TileKernel::emitListed(ListedOp op) {
  FailureOr<ListElements> elements =
      ListElements::find(e, op, firstQuery, uniform);
  if (failed(elements)) {
    return failure();
  }
  Extent extent = extentOf(op.getKey());
  Value key = lift(op.getKey(), extent);
  auto type = cast<RankedTensorType>(key.getType());
  RankedTensorType truth = type.clone(e.getI1Type());
  Value block =
      arith::DivUIOp::create(e, key, splat(e.index(elements->block), type));
  Value found = e.loop(
      elements->first, elements->end, 1, splat(e.truth(false), truth),
      [&](Value element, ValueRange sofar) {
        Value apart = e.sub(block, splat(elements->getId(e, element), type));
        Value zero = splat(e.index(0), type), hit = e.equal(apart, zero);
        if (elements->hasRuns()) {
          Value length = splat(elements->getLength(e, element), type);
          hit = e.both(e.less(e.sub(zero, splat(e.index(1), type)), apart),
                       e.less(apart, length));
        }
        return SmallVector<Value>{e.either(sofar[0], hit)};
      })[0];
  set(op.getResult(), found, extent);
  return success();
}

LogicalResult TileKernel::emitSweep(SweepOp sweep) {
  // What is the same for all keys and rows is computed once.
  for (Operation &op : sweep.getBody().front()) {
    if (isUniformOp(op)) {
      e.setLoc(op.getLoc());
      e.clone(op, uniform);
    }
  }
  Buffers buffers;
  if (failed(findOperands(sweep, buffers))) {
    return failure();
  }
  e.setLoc(sweep.getLoc());
  Value last = e.sub(e.min(e.add(firstRow, shape.rows), rowCount), 1);
  firstQuery = e.div(firstRow, shape.group.size);
  Value lastQuery = e.div(last, shape.group.size);
  FailureOr<Course> course = findCourse(sweep, lastQuery);
  if (failed(course)) {
    return failure();
  }
  followsList = course->isListed();
  SmallVector<State> states;
  for (Operation &op : sweep.getBody().front()) {
    if (isa<ReducerOpInterface>(op)) {
      e.setLoc(op.getLoc());
      FailureOr<SmallVector<Value>> init = getInit(&op);
      if (failed(init)) {
        return failure();
      }
      states.push_back({&op, *init, {}});
    }
  }
  e.setLoc(sweep.getLoc());
  if (failed(emitVisit(sweep, *course, lastQuery, buffers, states))) {
    return failure();
  }
  for (auto [value, yielded] :
       llvm::zip(sweep.getResults(), sweep.getYield().getValues())) {
    State &state = *llvm::find_if(states, [&, from = yielded](State &state) {
      return state.op == from.getDefiningOp();
    });
    setResult(value, cast<OpResult>(yielded), state);
  }
  return success();
}

/// What the accumulated values of a state come to.
void TileKernel::setResult(Value value, OpResult from, const State &state) {
  Extent extent{/*row=*/true, /*key=*/false,
                /*feature=*/isa<VectorType>(value.getType())};
  if (auto op = dyn_cast<BinsOp>(state.op)) {
    if (!op.isTally()) {
      set(value, finishBins(op), extent);
    }
    return;
  }
  Value final = state.before.front();
  auto carry = dyn_cast<CarryOp>(state.op);
  if (isa<TopOp>(state.op)) {
    final = finishTop(from, state);
  } else if (carry && carry.getKind() == CarryKind::Mean) {
    auto type = cast<RankedTensorType>(final.getType());
    Value mean = arith::DivFOp::create(e, final, state.before[1]);
    Value none = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ,
                                       state.before[1], splat(0.0, type));
    final = e.select(none, splat(0.0, type), mean);
  }
  set(value, final, extent);
}

/// The visit, after which `states` are what it leaves.
LogicalResult TileKernel::emitVisit(SweepOp sweep, const Course &course,
                                    Value lastQuery, Buffers &buffers,
                                    SmallVectorImpl<State> &states) {
  SmallVector<Value> rings;
  for (auto &operand : buffers.streamed) {
    rings.push_back(operand.shared);
  }
  SmallVector<Value> inits = flatten(states, /*after=*/false);
  SmallVector<Type> types(ValueRange(inits).getTypes());
  auto visit = tile::VisitOp::create(e, types, course.getFirstPlace(),
                                     course.getLastPlace(), course.getStep(),
                                     rings, inits);
  OpBuilder::InsertionGuard guard(e);
  /// The arguments of a region, which the builder goes to.
  auto enter = [&](Region &region, TypeRange types) -> ValueRange {
    SmallVector<Type> all = {e.getIndexType()};
    llvm::append_range(all, types);
    return e
        .createBlock(&region, {}, all,
                     SmallVector<Location>(all.size(), e.getLoc()))
        ->getArguments();
  };
  /// What the masks say of the tile: is anything in it present, is everything.
  auto getKinds = [&](Value key) {
    Value end = e.min(e.add(key, shape.keys), course.getLimit(e, key));
    return evaluate(sweep.getTiles(),
                    {firstQuery, lastQuery, key, e.sub(end, 1)});
  };
  // Gathered keys have no first and last one.
  bool hasKinds = !sweep.getTiles().empty() && course.isContiguous();
  auto isPresent = [&](Value place) {
    return hasKinds ? getKinds(course.getKey(e, place))[0] : e.truth(true);
  };
  Value place = enter(visit.getNeeded(), {})[0];
  Value has = course.hasKeys(e, place);
  Value needed = has ? e.ifValue(
                           has, e.getI1Type(), [&] { return isPresent(place); },
                           [&] { return e.truth(false); })
                     : isPresent(place);
  tile::YieldOp::create(e, needed);

  ValueRange arguments = enter(visit.getBring(), ValueRange(rings).getTypes());
  for (auto [operand, matrix] :
       llvm::zip(buffers.streamed, arguments.drop_front())) {
    if (failed(bringKeys(operand.user, operand.row, sweep.getKeyArg(), course,
                         arguments[0], matrix))) {
      return failure();
    }
  }
  tile::YieldOp::create(e);

  SmallVector<Type> both(ValueRange(rings).getTypes());
  llvm::append_range(both, types);
  arguments = enter(visit.getBody(), both);
  place = arguments[0];
  for (auto [operand, matrix] :
       llvm::zip(buffers.streamed, arguments.drop_front())) {
    operand.shared = matrix;
  }
  bind(states, arguments.take_back(types.size()));
  bool isConditional = llvm::any_of(sweep.getBody().front(), hasCondition);
  Value whole = e.truth(false);
  if (course.isContiguous()) {
    firstKey = course.getKey(e, place);
    keyEnd = course.getLimit(e, firstKey);
    // Where all keys of a tile may be listed, only the list says so.
    bool isOpen = getDriver(sweep) && !course.isListed();
    Value full =
        hasKinds && !isOpen ? getKinds(firstKey)[1] : e.truth(!isConditional);
    whole = e.both(full,
                   arith::CmpIOp::create(e, arith::CmpIPredicate::sle,
                                         e.add(firstKey, shape.keys), keyEnd));
  }
  LogicalResult result = success();
  auto program = [&](bool isPartial) {
    partial = isPartial;
    if (succeeded(result)) {
      result = emitTile(sweep, course, place, buffers, states);
    }
    partial = false;
    return flatten(states, /*after=*/succeeded(result));
  };
  SmallVector<Value> next = e.ifValues(
      whole, types, [&] { return program(false); },
      [&] { return program(true); });
  if (failed(result)) {
    return failure();
  }
  tile::YieldOp::create(e, next);
  bind(states, visit.getResults());
  firstKey = keyEnd = gathered = Value();
  return success();
}
