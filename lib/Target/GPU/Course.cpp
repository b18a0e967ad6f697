//===- Course.cpp - the keys that a sweep goes through --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Course.h"

#include "attn/Dialect/Tile/IR/Tile.h"

#include <numeric>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// A tile with one block of fewer keys would be mostly empty.
static constexpr int64_t kLeastBlock = 8;

ListedBlocks ListedBlocks::find(StreamOp stream) {
  ListedBlocks blocks;
  stream.walk([&](ListedOp list) {
    int64_t keys = list.getKeyBlock();
    blocks.rows =
        std::gcd(blocks.rows, static_cast<int64_t>(list.getRowBlock()));
    if (list.getDrives() && !list.getLengths() && keys >= kLeastBlock) {
      blocks.keys = blocks.keys ? std::min(blocks.keys, keys) : keys;
    }
  });
  return blocks;
}

//===----------------------------------------------------------------------===//
// Elements of lists
//===----------------------------------------------------------------------===//

/// Writes `value` where the builder is; null if it is not computed from
/// `known`.
static Value cloneInto(Emit &e, Value value, IRMapping &known) {
  if (known.contains(value)) {
    return known.lookup(value);
  }
  Operation *op = value.getDefiningOp();
  bool mayMove = op && op->getNumRegions() == 0 &&
                 (isMemoryEffectFree(op) || isa<memref::LoadOp>(op)) &&
                 !isa<ReducerOpInterface>(op);
  if (!mayMove) {
    return Value();
  }
  for (Value operand : op->getOperands()) {
    if (!cloneInto(e, operand, known)) {
      return Value();
    }
  }
  e.clone(*op, known);
  return known.lookup(value);
}

FailureOr<ListElements> ListElements::find(Emit &e, ListedOp list, Value row,
                                           const IRMapping &known) {
  IRMapping map = known;
  auto stream = list->getParentOfType<StreamOp>();
  map.map(stream.getRowArg(), row);
  for (OpOperand &operand : list->getOpOperands()) {
    if (&operand != &list.getKeyMutable() &&
        !cloneInto(e, operand.get(), map)) {
      return list.emitOpError()
             << "asks a list that is chosen in a way which has no form in "
                "tiles yet";
    }
  }
  ListElements elements;
  elements.ids = map.lookup(list.getSource());
  elements.lengths =
      list.getLengths() ? map.lookup(list.getLengths()) : Value();
  elements.block = list.getKeyBlock();
  for (Value index : list.getIndices()) {
    elements.row.push_back(map.lookup(index));
  }
  int64_t last = cast<MemRefType>(elements.ids.getType()).getRank() - 1;
  Value zero = e.index(0);
  elements.end = memref::DimOp::create(e, elements.ids, last);
  elements.first =
      list.getFirst() ? e.max(map.lookup(list.getFirst()), zero) : zero;
  if (Value count = list.getCount()) {
    count = e.max(map.lookup(count), zero);
    elements.end = e.min(e.add(elements.first, count), elements.end);
  }
  return elements;
}

SmallVector<Value> ListElements::locate(Value element) const {
  SmallVector<Value> at(row);
  at.push_back(element);
  return at;
}

Value ListElements::read(Emit &e, Value list, Value element) const {
  Value x = e.load(list, locate(element));
  return x.getType().isIndex()
             ? x
             : arith::IndexCastOp::create(e, e.getIndexType(), x).getResult();
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Course::Course(Value lower, Value upper, int64_t keys,
               std::optional<ListElements> runs)
    : firstPlace(lower), lastPlace(upper), lower(lower), upper(upper),
      keys(keys), step(keys), list(std::move(runs)) {}

Course::Course(Emit &e, const ListElements &elements, Value lower, Value upper,
               int64_t keys)
    : kind(elements.block < kLeastBlock ? Kind::Gathered : Kind::Blocks),
      lower(lower), upper(upper), keys(keys), step(1), list(elements) {
  Value count = e.max(e.sub(list->end, list->first), e.index(0));
  if (kind == Kind::Gathered) {
    step = keys;
    // Without any keys there is none to read in place of one.
    count = e.select(e.less(e.index(0), upper), count, e.index(0));
    lastPlace = e.mul(count, list->block);
  } else {
    parts = llvm::divideCeil(list->block, keys);
    lastPlace = e.mul(count, parts);
  }
  firstPlace = e.index(0);
  // Lists are sets. In one that ascends nothing comes twice.
  SmallVector<Value> inits = {e.index(-1), e.truth(true)};
  ascends = e.loop(
      list->first, list->end, 1, inits, [&](Value element, ValueRange sofar) {
        Value id = list->getId(e, element);
        Value isMore = e.either(e.less(id, e.index(0)), e.less(sofar[0], id));
        return SmallVector<Value>{e.max(sofar[0], id),
                                  e.both(sofar[1], isMore)};
      })[1];
}

Value Course::getKey(Emit &e, Value place) const {
  if (kind == Kind::Range) {
    return place;
  }
  Value element = e.add(list->first, e.div(place, parts));
  Value part = arith::RemUIOp::create(e, place, e.index(parts));
  return e.add(e.mul(list->getId(e, element), list->block), e.mul(part, keys));
}

Value Course::getLimit(Emit &e, Value key) const {
  if (kind == Kind::Range) {
    return upper;
  }
  return e.min(e.add(e.roundDown(key, list->block), list->block), upper);
}

/// Ids from here on name nothing.
Value Course::countBlocks(Emit &e) const {
  return e.div(e.add(upper, list->block - 1), list->block);
}

Value Course::isNamedBefore(Emit &e, Value element, Value id) const {
  return e.loop(list->first, element, 1, e.truth(false),
                [&](Value other, ValueRange found) {
                  Value same = e.equal(list->getId(e, other), id);
                  return SmallVector<Value>{e.either(found[0], same)};
                })[0];
}

/// Whether some run has a key of the tile.
Value Course::isRunIn(Emit &e, Value key) const {
  Value first = e.div(key, list->block);
  Value last = e.div(e.add(key, keys - 1), list->block);
  return e.loop(list->first, list->end, 1, e.truth(false),
                [&](Value element, ValueRange found) {
                  Value start = list->getId(e, element);
                  Value length = list->getLength(e, element);
                  // Less than the length before the first, or inside.
                  Value hit =
                      e.either(e.both(e.less(start, first),
                                      e.less(e.sub(first, start), length)),
                               e.both(e.both(e.less(e.sub(first, 1), start),
                                             e.less(start, e.add(last, 1))),
                                      e.less(e.index(0), length)));
                  return SmallVector<Value>{e.either(found[0], hit)};
                })[0];
}

Value Course::hasKeys(Emit &e, Value place) const {
  if (kind != Kind::Blocks) {
    return kind == Kind::Range && list ? isRunIn(e, place) : Value();
  }
  Value element = e.add(list->first, e.div(place, parts));
  Value id = list->getId(e, element);
  // Before anything is multiplied: ids may be any numbers.
  Value exists = e.both(e.less(e.index(-1), id), e.less(id, countBlocks(e)));
  auto isNew = [&] {
    Value before = isNamedBefore(e, element, id);
    return arith::XOrIOp::create(e, before, e.truth(true)).getResult();
  };
  return e.ifValue(
      exists, e.getI1Type(),
      [&] {
        Value key = getKey(e, place);
        Value inside = e.both(e.less(key, upper), e.less(e.sub(lower, 1), key));
        return e.both(inside, e.ifValue(
                                  ascends, e.getI1Type(),
                                  [&] { return e.truth(true); }, isNew));
      },
      [&] { return e.truth(false); });
}

//===----------------------------------------------------------------------===//
// Gathered tiles
//===----------------------------------------------------------------------===//

Value Course::getGathered(Emit &e, Value place, Value number) const {
  Value at = e.min(e.add(place, number), e.sub(lastPlace, 1));
  Value id = list->getId(e, e.add(list->first, e.div(at, list->block)));
  Value within = arith::RemUIOp::create(e, at, e.index(list->block));
  Value last = e.sub(upper, 1);
  id = e.max(e.min(id, e.div(last, list->block)), e.index(0));
  return e.min(e.add(e.mul(id, list->block), within), last);
}

static Value splat(Emit &e, Value scalar, RankedTensorType type) {
  return tile::SplatOp::create(e, type, scalar);
}

Value Course::getKeys(Emit &e, Value place, RankedTensorType type) const {
  Value at = tile::IotaOp::create(e, type, 0);
  if (kind != Kind::Gathered) {
    return e.add(at, splat(e, getKey(e, place), type));
  }
  at = e.add(at, splat(e, place, type));
  Value size = splat(e, e.index(list->block), type);
  Value element = arith::DivUIOp::create(e, at, size);
  element = e.add(element, splat(e, list->first, type));
  Value exists = e.less(at, splat(e, lastPlace, type));
  Type stored = cast<MemRefType>(list->getIds().getType()).getElementType();
  Value id = tile::LoadOp::create(e, type.clone(stored), list->getIds(),
                                  list->locate(element), exists);
  if (!stored.isIndex()) {
    id = arith::IndexCastOp::create(e, type, id);
  }
  // Ids may be any numbers: one that names nothing becomes that of no key.
  Value isBlock = e.both(e.less(splat(e, e.index(-1), type), id),
                         e.less(id, splat(e, countBlocks(e), type)));
  exists = e.both(exists, isBlock);
  if (list->block > 1) {
    id = e.add(e.mul(id, size), arith::RemUIOp::create(e, at, size));
  }
  return e.select(exists, id, splat(e, e.index(-1), type));
}

Value Course::getPresence(Emit &e, Value place, Value found) const {
  auto type = cast<RankedTensorType>(found.getType());
  RankedTensorType truth = type.clone(e.getI1Type());
  Value bottom = e.max(lower, e.index(0));
  Value inside = e.both(e.less(splat(e, e.sub(bottom, 1), type), found),
                        e.less(found, splat(e, upper, type)));
  Value isNew = e.ifValue(
      ascends, truth, [&] { return splat(e, e.truth(true), truth); },
      [&] {
        Value at =
            e.add(tile::IotaOp::create(e, type, 0), splat(e, place, type));
        Value size = splat(e, e.index(list->block), type);
        Value element = e.add(arith::DivUIOp::create(e, at, size),
                              splat(e, list->first, type));
        Value id = arith::DivSIOp::create(e, found, size);
        // No element after the tile's last one is before one of its own.
        Value last = e.add(e.add(list->first, e.div(place, list->block)), keys);
        Value twice =
            e.loop(list->first, e.min(last, list->end), 1,
                   splat(e, e.truth(false), truth),
                   [&](Value other, ValueRange sofar) {
                     Value same =
                         e.equal(id, splat(e, list->getId(e, other), type));
                     Value before = e.less(splat(e, other, type), element);
                     return SmallVector<Value>{
                         e.either(sofar[0], e.both(same, before))};
                   })[0];
        return arith::XOrIOp::create(e, twice, splat(e, e.truth(true), truth))
            .getResult();
      });
  return e.both(inside, isNew);
}
