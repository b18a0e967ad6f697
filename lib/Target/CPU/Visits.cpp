//===- Visits.cpp - the keys that a list makes a sweep visit --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Visits.h.
//
//===----------------------------------------------------------------------===//

#include "Visits.h"

#include "Kernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

ListReader::ListReader(Scope &place, ListedOp list)
    : e(place.kernel.e), source(place.get(list.getSource())),
      at(place.get(list.getIndices())) {
  if (list.getLengths()) {
    lengths = place.get(list.getLengths());
  }
  int64_t last = cast<MemRefType>(source.getType()).getRank() - 1;
  extent = memref::DimOp::create(e, source, last);
  if (list.getFirst()) {
    first = e.max(place.get(list.getFirst()), e.index(0));
    extent = e.max(e.sub(extent, first), e.index(0));
  }
  if (list.getCount()) {
    extent = e.min(e.max(place.get(list.getCount()), e.index(0)), extent);
  }
}

Value ListReader::load(Value buffer, Value l) {
  SmallVector<Value> place(at);
  place.push_back(first ? e.add(first, l) : l);
  Value x = e.load(buffer, place);
  return x.getType().isIndex()
             ? x
             : arith::IndexCastOp::create(e, e.getIndexType(), x).getResult();
}

Run ListReader::get(Value l) {
  Value first = load(source, l);
  return {first, e.add(first, hasRuns() ? load(lengths, l) : e.index(1))};
}

/// The part of element l that is in [lo, hi).
static Run getInside(Emit &e, ListReader &list, Value l, Value lo, Value hi) {
  Run run = list.get(l);
  return {e.max(run.first, lo), e.min(run.end, hi)};
}

static Value allocate(Emit &e, Value extent, Type element) {
  auto alloc = memref::AllocOp::create(
      e, MemRefType::get({ShapedType::kDynamic}, element), extent,
      e.getI64IntegerAttr(64));
  markManual(alloc);
  return alloc;
}

/// Copies the list as long as it ascends; gives the number of units and whether
/// it did. A unit that was there is passed over, so that no more than one place
/// per unit is written.
static SmallVector<Value> copyAscending(Emit &e, ListReader &list, Value lo,
                                        Value hi, Value units) {
  SmallVector<Value> start{e.index(0), lo, lo, e.truth(true)};
  SmallVector<Value> end = e.loop(
      e.index(0), list.getExtent(), 1, start,
      [&](Value l, ValueRange so) -> SmallVector<Value> {
        Run run = getInside(e, list, l, lo, hi);
        Value some = e.less(run.first, run.end);
        Value behind = e.both(some, e.less(run.first, so[2]));
        Value ascends =
            e.both(so[3], arith::XOrIOp::create(e, behind, e.truth(true)));
        Value first = e.max(run.first, so[1]);
        e.loop(first, run.end, 1, [&](Value unit) {
          e.store(unit, units, e.add(so[0], e.sub(unit, first)));
        });
        Value added = e.max(e.sub(run.end, first), e.index(0));
        return {e.add(so[0], added), e.max(so[1], e.select(some, run.end, lo)),
                e.select(some, run.first, so[2]), ascends};
      });
  return {end[0], end[3]};
}

/// A byte per unit of [lo, hi): whether the list names it.
static Value markUnits(Emit &e, ListReader &list, Value lo, Value hi) {
  Type byte = e.getI8Type();
  Value map = allocate(e, e.sub(hi, lo), byte);
  Value none = e.constant(byte, 0), one = e.constant(byte, 1);
  e.loop(e.index(0), e.sub(hi, lo), 1, [&](Value k) { e.store(none, map, k); });
  e.loop(e.index(0), list.getExtent(), 1, [&](Value l) {
    Run run = getInside(e, list, l, lo, hi);
    e.loop(run.first, run.end, 1,
           [&](Value unit) { e.store(one, map, e.sub(unit, lo)); });
  });
  return map;
}

/// The same for a list in any order.
static Value copyMarked(Emit &e, ListReader &list, Value lo, Value hi,
                        Value units) {
  Value map = markUnits(e, list, lo, hi);
  Value count = e.loop(e.index(0), e.sub(hi, lo), 1, e.index(0),
                       [&](Value k, ValueRange so) -> SmallVector<Value> {
                         // Written past the end or over, unless the unit is
                         // there.
                         e.store(e.add(lo, k), units, so[0]);
                         Value here = arith::IndexCastUIOp::create(
                             e, e.getIndexType(), e.load(map, k));
                         return {e.add(so[0], here)};
                       })[0];
  markManual(memref::DeallocOp::create(e, map));
  return count;
}

Visits cpu::emitVisits(Scope &place, ListedOp list, Value lower, Value upper) {
  Emit &e = place.kernel.e;
  int64_t keys = list.getKeyBlock();
  Value lo = e.div(lower, keys), hi = e.div(e.add(upper, keys - 1), keys);
  ListReader reader(place, list);
  Value room = e.sub(hi, lo);
  if (!reader.hasRuns()) {
    room = e.min(room, reader.getExtent());
  }
  Value units = allocate(e, e.add(room, 1), e.getIndexType());
  SmallVector<Value> copied = copyAscending(e, reader, lo, hi, units);
  Value count = e.ifValue(
      copied[1], e.getIndexType(), [&] { return copied[0]; },
      [&] { return copyMarked(e, reader, lo, hi, units); });
  return {units, count};
}

Value cpu::emitListMap(Scope &place, ListedOp list, Value upper) {
  Emit &e = place.kernel.e;
  int64_t keys = list.getKeyBlock();
  ListReader reader(place, list);
  return markUnits(e, reader, e.index(0), e.div(e.add(upper, keys - 1), keys));
}

void cpu::freeVisits(Emit &e, const Visits &visits) {
  markManual(memref::DeallocOp::create(e, visits.units));
}
