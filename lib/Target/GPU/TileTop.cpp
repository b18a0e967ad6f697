//===- TileTop.cpp - the best entries of rows, by tiles -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row has a list of its best K entries, the best one first. With a tile, it
// is merged in K rounds, each of which takes the first of the list or the best
// of the tile:
//
//   list   9 7 4      tile   8 3
//   round  7 4|9             8 3       9 was taken, and is behind what is left
//   round  7|9 8             3         4 can no longer be one of three
//   round  9 8 7
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static constexpr int64_t kNone = -1;
static constexpr int64_t kBeyond = std::numeric_limits<int64_t>::max();

static int64_t getLength(TopOp op) {
  return cast<VectorType>(op.getValues().getType()).getNumElements();
}

static Value compare(Emit &e, arith::CmpFPredicate predicate, Value a,
                     Value b) {
  return arith::CmpFOp::create(e, predicate, a, b);
}

static Value isNaN(Emit &e, Value x) {
  return compare(e, arith::CmpFPredicate::UNO, x, x);
}

static Value isEqual(Emit &e, Value a, Value b) {
  return e.either(compare(e, arith::CmpFPredicate::OEQ, a, b),
                  e.both(isNaN(e, a), isNaN(e, b)));
}

/// A NaN counts as the largest value.
static Value isBetter(Emit &e, TopOp op, Value x, Value y) {
  if (op.getSmallest()) {
    std::swap(x, y);
  }
  Value isNumber = compare(e, arith::CmpFPredicate::ORD, y, y);
  return e.either(compare(e, arith::CmpFPredicate::OGT, x, y),
                  e.both(isNaN(e, x), isNumber));
}

/// `fill` for all elements of a tile like `x`.
static Value splatLike(Emit &e, Value x, Value fill) {
  return tile::SplatOp::create(e, x.getType(), fill);
}

static Value negate(Emit &e, Value x) {
  return arith::XOrIOp::create(e, x, splatLike(e, x, e.truth(true)));
}

namespace {
/// The parts of a state: by place in the list, values, keys (or kNone) and
/// whether they are forced, if any can be; and how many count.
struct BestEntries {
  SmallVector<Value> values, keys, forced;
  Value count;

  BestEntries(TopOp op, ValueRange state) {
    auto length = static_cast<size_t>(getLength(op));
    llvm::append_range(values, state.take_front(length));
    llvm::append_range(keys, state.slice(length, length));
    if (op.getForced()) {
      llvm::append_range(forced, state.slice(2 * length, length));
    }
    count = state.back();
  }

  SmallVector<Value> flatten() const {
    SmallVector<Value> state(values);
    llvm::append_range(state, keys);
    llvm::append_range(state, forced);
    state.push_back(count);
    return state;
  }
};
} // namespace

SmallVector<Value> TileKernel::startTop(TopOp op) {
  Extent rows{/*row=*/true};
  auto length = static_cast<size_t>(getLength(op));
  Type element = op.getValue().getType();
  auto keys = typeOf(e.getI64Type(), rows);
  Value nothing = e.infinity(element, !op.getSmallest());
  SmallVector<Value> state(length, splat(nothing, typeOf(element, rows)));
  state.append(length, splat(e.constant64(kNone), keys));
  if (op.getForced()) {
    state.append(length, splat(e.truth(false), typeOf(e.getI1Type(), rows)));
  }
  state.push_back(splat(e.constant64(0), keys));
  return state;
}

/// The best of the entries that are left: its value, its key (or kBeyond), and
/// whether it is forced, if any can be.
std::array<Value, 3> TileKernel::findBest(TopOp op, Value left, Value keys) {
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  Value x = lift(op.getValue(), entries);
  /// Leaves entries for which `flag` holds, if there are any.
  auto prefer = [&](Value flag) {
    Value any = reduceEntries(tile::ReduceKind::Or, e.both(left, flag));
    Value none = liftTile(negate(e, any), rows, entries, 0);
    left = e.both(left, e.either(flag, none));
    return any;
  };
  Value forced =
      op.getForced() ? prefer(lift(op.getForced(), entries)) : Value();
  bool smallest = op.getSmallest();
  if (smallest) {
    prefer(negate(e, isNaN(e, x)));
  }
  auto kind = smallest ? tile::ReduceKind::Min : tile::ReduceKind::Max;
  Value nothing =
      splatLike(e, x, e.infinity(op.getValue().getType(), !smallest));
  Value best = reduceEntries(kind, e.select(left, x, nothing));
  Value here = e.both(left, isEqual(e, x, liftTile(best, rows, entries, 0)));
  Value beyond = splatLike(e, keys, e.constant64(kBeyond));
  Value key =
      reduceEntries(tile::ReduceKind::Min, e.select(here, keys, beyond));
  return {best, key, forced};
}

LogicalResult TileKernel::updateTop(TopOp op, State &state) {
  Extent entries{/*row=*/true, /*key=*/true}, rows{/*row=*/true};
  int64_t length = getLength(op);
  Value keys = liftTile(keyTile, {/*row=*/false, /*key=*/true}, entries, 0);
  keys = arith::IndexCastOp::create(e, typeOf(e.getI64Type(), entries), keys);
  Value present = getPresence(op.getCond());
  if (!present) {
    present = splat(e.truth(true), typeOf(e.getI1Type(), entries));
  }
  SmallVector<Value> carried = {present};
  llvm::append_range(carried, state.before);
  auto merge = [&](Value round, ValueRange values) {
    Value left = values.front();
    BestEntries list(op, values.drop_front());
    auto [best, key, forced] = findBest(op, left, keys);
    Value before =
        e.both(isEqual(e, best, list.values[0]), e.less(key, list.keys[0]));
    Value better = e.either(isBetter(e, op, best, list.values[0]), before);
    if (forced) {
      Value apart = arith::XOrIOp::create(e, forced, list.forced[0]);
      better = e.select(apart, forced, better);
    }
    Value none = splatLike(e, key, e.constant64(kNone));
    Value beyond = splatLike(e, key, e.constant64(kBeyond));
    better = e.either(better, e.equal(list.keys[0], none));
    Value taken = e.both(e.less(key, beyond), better);
    Value kept = negate(e, taken);
    // Behind what is left of the list, or from where its last one was on,
    // everything moves up.
    SmallVector<Value> moves;
    for (int64_t k = 0; k + 1 < length; ++k) {
      Value isBehind = e.less(e.index(length - 2 - k), round);
      moves.push_back(e.either(kept, splatLike(e, kept, isBehind)));
    }
    auto move = [&](SmallVectorImpl<Value> &parts, Value added) {
      Value first = parts.front();
      for (auto [k, moved] : llvm::enumerate(moves)) {
        parts[k] = e.select(moved, parts[k + 1], parts[k]);
      }
      parts.back() = e.select(taken, added, first);
    };
    move(list.values, best);
    move(list.keys, key);
    if (forced) {
      move(list.forced, forced);
    }
    Value gone = e.both(liftTile(taken, rows, entries, 0),
                        e.equal(keys, liftTile(key, rows, entries, 0)));
    SmallVector<Value> next = {e.both(left, negate(e, gone))};
    llvm::append_range(next, list.flatten());
    return next;
  };
  SmallVector<Value> merged =
      e.loop(e.index(0), e.index(length), 1, carried, merge);
  BestEntries list(op, ArrayRef(merged).drop_front());
  list.count = splatLike(e, list.count, e.constant64(0));
  Value one = splatLike(e, list.count, e.constant64(1)), zero = list.count;
  for (Value key : list.keys) {
    Value none = splatLike(e, key, e.constant64(kNone));
    list.count = e.add(list.count, e.select(e.equal(key, none), zero, one));
  }
  if (Value limit = op.getLimit()) {
    Value most =
        arith::IndexCastOp::create(e, zero.getType(), lift(limit, rows));
    list.count = e.min(list.count, e.max(most, zero));
  }
  state.after = list.flatten();
  return success();
}

/// Neighbours in the wrong order are exchanged until there can be none.
static void sortByKey(Emit &e, BestEntries &list) {
  size_t length = list.keys.size();
  for (size_t round = 0; round < length; ++round) {
    for (size_t k = round % 2; k + 1 < length; k += 2) {
      Value none = splatLike(e, list.keys[k], e.constant64(kNone));
      Value turn = e.both(e.less(list.keys[k + 1], list.keys[k]),
                          e.less(none, list.keys[k + 1]));
      for (auto *parts : {&list.values, &list.keys}) {
        Value first = (*parts)[k], second = (*parts)[k + 1];
        (*parts)[k] = e.select(turn, second, first);
        (*parts)[k + 1] = e.select(turn, first, second);
      }
    }
  }
}

Value TileKernel::finishTop(OpResult result, const State &state) {
  auto op = cast<TopOp>(result.getOwner());
  BestEntries list(op, state.before);
  if (result == op.getCount()) {
    return list.count;
  }
  Value nothing = e.infinity(op.getValue().getType(), !op.getSmallest());
  for (size_t k = 0; k < list.keys.size(); ++k) {
    Value place = e.constant64(static_cast<int64_t>(k));
    Value counts = e.less(splatLike(e, list.count, place), list.count);
    Value none = splatLike(e, list.keys[k], e.constant64(kNone));
    list.keys[k] = e.select(counts, list.keys[k], none);
    list.values[k] =
        e.select(counts, list.values[k], splatLike(e, list.values[k], nothing));
  }
  if (op.getByPosition()) {
    sortByKey(e, list);
  }
  auto &parts = result == op.getKeys() ? list.keys : list.values;
  Extent rows{/*row=*/true};
  Extent features{/*row=*/true, /*key=*/false, /*feature=*/true};
  auto type =
      typeOf(getElementTypeOrSelf(result.getType()), features, getLength(op));
  RankedTensorType index = type.clone(e.getIndexType());
  Value column = tile::IotaOp::create(e, index, 1);
  Value row = liftTile(parts.front(), rows, features, getLength(op));
  for (size_t k = 1; k < parts.size(); ++k) {
    Value isHere =
        e.equal(column, splat(e.index(static_cast<int64_t>(k)), index));
    row = e.select(isHere, liftTile(parts[k], rows, features, getLength(op)),
                   row);
  }
  return row;
}
