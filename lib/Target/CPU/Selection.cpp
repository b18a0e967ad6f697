//===- Selection.cpp - top-k and bins over a tile -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The values of a row of a tile wait in buffers for the end of its columns. A
// top-k then compares W of them at a time with the worst one that it holds, and
// looks closer only where one is better:
//
//   held   9 7 7 4          x = 8: moves 7 7 on, drops 4
//   state  [K] values, [K] keys, count, and how many of them were forced
//
//===----------------------------------------------------------------------===//

#include "Reducers.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// Whether x comes before y; a NaN counts as the largest value.
static Value comesBefore(Emit &e, TopOp op, Value x, Value y) {
  CarryKind kind = CarryKind::ArgMax;
  return op.getSmallest() ? isBetter(e, kind, y, x) : isBetter(e, kind, x, y);
}

/// What bins without entries hold.
static Value neutralOf(Emit &e, BinsOp op, Type type) {
  if (op.getKind() == CarryKind::Max || op.getKind() == CarryKind::Min) {
    return e.infinity(type, op.getKind() == CarryKind::Max);
  }
  return e.constant(type, 0);
}

void Reducers::startSelection(Operation *op, Value r) {
  Emit &e = kernel.e;
  if (auto top = dyn_cast<TopOp>(op)) {
    e.store(e.constant64(0), kernel.rowArrays.lookup(top.getCount()), r);
    return;
  }
  auto bins = cast<BinsOp>(op);
  if (bins.isTally()) {
    return;
  }
  Value rows = kernel.rowVectors.lookup(bins.getResult());
  auto type = cast<MemRefType>(rows.getType());
  Value neutral = neutralOf(
      e, bins, VectorType::get({kernel.lanes}, type.getElementType()));
  e.loop(e.index(0), e.index(type.getDimSize(1)), kernel.lanes,
         [&](Value k) { e.storeVector(neutral, rows, {r, k}); });
}

/// Values of a fold, a top-k or bins wait in rows for the end of the columns.
void Reducers::takeWaiting(Operation *op, MutableArrayRef<Entries> columns) {
  Emit &e = kernel.e;
  ArrayRef<Value> rows = state.waiting[op];
  auto keep = [&](Value x, Value row, Value column) {
    Type type = getElementTypeOrSelf(x.getType());
    if (type.isInteger(1)) {
      Type byte = VectorType::get({kernel.lanes}, e.getI8Type());
      x = arith::ExtUIOp::create(e, byte, x);
    }
    e.storeVector(x, row, column);
  };
  for (Entries &entries : columns) {
    for (auto [value, row] : llvm::zip(getReducedValues(op), rows)) {
      keep(entries.get(value), row, entries.getColumn());
    }
    if (Value present = entries.getPresence(getCondition(op))) {
      keep(present, rows.back(), entries.getColumn());
    }
  }
}

/// Puts x at its place among the entries of its kind, forced or not.
void Reducers::insert(TopOp op, Value r, Value x, Value key, Value forced,
                      Value capacity) {
  Emit &e = kernel.e;
  Value values = kernel.rowVectors.lookup(op.getValues());
  Value keys = kernel.rowVectors.lookup(op.getKeys());
  Value counts = kernel.rowArrays.lookup(op.getCount());
  Value forcedCounts = state.auxiliary.lookup(op);
  Type index = e.getIndexType(), i64 = e.getI64Type();
  Value count = arith::IndexCastOp::create(e, index, e.load(counts, r));
  Value forcedCount =
      arith::IndexCastOp::create(e, index, e.load(forcedCounts, r));
  Value first =
      forced ? e.select(forced, e.index(0), forcedCount) : forcedCount;
  Value end = forced ? e.select(forced, forcedCount, count) : count;
  // From the last place down: what is worse, and what is of a lesser kind,
  // moves one place on.
  Value last = e.min(count, e.sub(capacity, 1));
  auto shift = scf::WhileOp::create(
      e, TypeRange(index), ValueRange(last),
      [&](OpBuilder &, Location, ValueRange at) {
        Value before = e.max(e.sub(at[0], 1), e.index(0));
        Value moves = comesBefore(e, op, x, e.load(values, {r, before}));
        moves = arith::OrIOp::create(e, moves, e.less(end, at[0]));
        scf::ConditionOp::create(e, e.both(e.less(first, at[0]), moves), at);
      },
      [&](OpBuilder &, Location, ValueRange at) {
        Value before = e.sub(at[0], 1);
        e.store(e.load(values, {r, before}), values, {r, at[0]});
        e.store(e.load(keys, {r, before}), keys, {r, at[0]});
        scf::YieldOp::create(e, before);
      });
  e.setInsertionPointAfter(shift);
  Value place = shift.getResult(0);
  e.store(x, values, {r, place});
  e.store(arith::IndexCastOp::create(e, i64, key), keys, {r, place});
  auto grow = [&](Value number, Value array) {
    Value more = e.min(e.add(number, 1), capacity);
    e.store(arith::IndexCastOp::create(e, i64, more), array, r);
  };
  grow(count, counts);
  if (forced) {
    e.ifThen(forced, [&] { grow(forcedCount, forcedCounts); });
  }
}

Value Reducers::getCapacity(TopOp op, Scope &row) {
  Emit &e = kernel.e;
  Value k = e.index(cast<VectorType>(op.getKeys().getType()).getNumElements());
  return op.getLimit() ? e.min(e.max(row.get(op.getLimit()), e.index(0)), k)
                       : k;
}

void Reducers::finishTop(TopOp op, Scope &row, Tile &tile) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  ArrayRef<Value> rows = state.waiting[op];
  Value capacity = getCapacity(op, row);
  Value values = kernel.rowVectors.lookup(op.getValues());
  Value counts = kernel.rowArrays.lookup(op.getCount());
  auto isSet = [&](Value bytes) -> Value {
    return arith::CmpIOp::create(e, arith::CmpIPredicate::ne, bytes,
                                 e.constant(bytes.getType(), 0));
  };
  // Whether entries get in, one or W at a time.
  auto getsIn = [&](Value x, Value present, Value forced) {
    bool wide = isa<VectorType>(x.getType());
    auto widen = [&](Value v) {
      return wide ? e.broadcast(v, kernel.lanes) : v;
    };
    auto below = [&](Value array) {
      Value count =
          arith::IndexCastOp::create(e, e.getIndexType(), e.load(array, r));
      return e.less(count, capacity);
    };
    Value worst = e.max(e.sub(capacity, 1), e.index(0));
    Value better = comesBefore(e, op, x, widen(e.load(values, {r, worst})));
    Value room = widen(below(state.auxiliary.lookup(op)));
    Value enters = forced
                       ? e.both(better, arith::OrIOp::create(e, forced, room))
                       : e.both(better, room);
    enters = arith::OrIOp::create(e, enters, widen(below(counts)));
    if (forced) {
      enters = arith::OrIOp::create(e, enters, e.both(forced, room));
    }
    enters = e.both(enters, widen(e.less(e.index(0), capacity)));
    return present ? e.both(enters, present) : enters;
  };
  auto fetch = [&](auto load, Value c) {
    Value x = load(rows[0], c);
    Value forced = op.getForced() ? isSet(load(rows[1], c)) : Value();
    Value present = tile.full ? Value() : isSet(load(rows.back(), c));
    return SmallVector<Value>{x, forced, present};
  };
  e.loop(tile.firstColumn, tile.columns, kernel.lanes, [&](Value c) {
    SmallVector<Value> wide =
        fetch([&](Value from,
                  Value at) { return e.loadVector(from, at, kernel.lanes); },
              c);
    Value some = vector::ReductionOp::create(e, vector::CombiningKind::OR,
                                             getsIn(wide[0], wide[2], wide[1]));
    e.ifThen(some, [&] {
      e.loop(c, e.add(c, kernel.lanes), 1, [&](Value column) {
        SmallVector<Value> one = fetch(
            [&](Value from, Value at) { return e.load(from, at); }, column);
        e.ifThen(getsIn(one[0], one[2], one[1]), [&] {
          insert(op, r, one[0], tile.keyAt(e, column), one[1], capacity);
        });
      });
    });
  });
}

/// The rows of bins that a row adds to: its own, or those of outputs.
SmallVector<std::pair<Value, SmallVector<Value>>>
Reducers::getBinRows(BinsOp op, Scope &row) {
  if (!op.isTally()) {
    return {{kernel.rowVectors.lookup(op.getResult()), {row.getBlockRow()}}};
  }
  Emit &e = kernel.e;
  StreamOp stream = kernel.stream;
  Value at = row.get(stream.getRowArg());
  if (op.getRowBlock()) {
    at = arith::DivUIOp::create(e, at, row.get(op.getRowBlock()));
  }
  SmallVector<Value> place{row.get(stream.getBatchArg()),
                           row.get(stream.getHeadArg()), at};
  SmallVector<std::pair<Value, SmallVector<Value>>> rows;
  for (Value output : kernel.tallies.lookup(op)) {
    rows.push_back({output, place});
  }
  return rows;
}

/// Whether keys of one row have bins of their own, as in i - j + n.
static bool isOneToOne(const StreamAnalysis &analysis, Value bin) {
  while (Operation *op = bin.getDefiningOp()) {
    if (!isa<arith::AddIOp, arith::SubIOp, arith::IndexCastOp>(op)) {
      return false;
    }
    auto moving = llvm::make_filter_range(
        op->getOperands(), [&](Value v) { return analysis.getClass(v).key; });
    if (!llvm::hasSingleElement(moving)) {
      return false;
    }
    bin = *moving.begin();
  }
  return analysis.getClass(bin).key;
}

void Reducers::allocateBins() {
  Emit &e = kernel.e;
  for (auto &stage : plan.stages) {
    for (Operation *op : stage) {
      auto bins = dyn_cast<BinsOp>(op);
      if (!bins || !bins.isTally() || bins.getKind() != CarryKind::Sum ||
          isOneToOne(kernel.analysis, bins.getBin())) {
        continue;
      }
      Value out = kernel.tallies.lookup(op).front();
      auto type = cast<MemRefType>(out.getType());
      SmallVector<Value> sizes;
      if (type.isDynamicDim(type.getRank() - 1)) {
        sizes.push_back(memref::DimOp::create(e, out, type.getRank() - 1));
      }
      Value ofRow = memref::AllocOp::create(
          e,
          MemRefType::get(type.getShape().take_back(), type.getElementType()),
          sizes, e.getI64IntegerAttr(64));
      Value nothing = e.constant(type.getElementType(), 0);
      Value end = memref::DimOp::create(e, ofRow, int64_t{0});
      e.loop(e.index(0), end, 1,
             [&](Value bin) { e.store(nothing, ofRow, bin); });
      state.ofRow[op] = ofRow;
    }
  }
}

/// A tally takes in as many entries as a block has. Where a row has several of
/// them for a bin, they are summed first, or small ones would be lost to the
/// large sum of all.
void Reducers::finishBins(BinsOp op, Scope &row, Tile &tile) {
  Emit &e = kernel.e;
  ArrayRef<Value> waiting = state.waiting[op];
  Value bins = waiting[op.getValue() ? 1 : 0];
  for (auto &[out, place] : getBinRows(op, row)) {
    Value extent =
        op.isTally() ? memref::DimOp::create(e, out, place.size()).getResult()
                     : e.index(cast<VectorType>(op.getType()).getNumElements());
    auto forEachBin = [&](bool present, auto body) {
      e.loop(tile.firstColumn, tile.columns, 1, [&](Value c) {
        Value bin = e.load(bins, c);
        Value inside = e.both(e.less(e.index(-1), bin), e.less(bin, extent));
        if (present && !tile.full) {
          Value here = arith::CmpIOp::create(e, arith::CmpIPredicate::ne,
                                             e.load(waiting.back(), c),
                                             e.constant(e.getI8Type(), 0));
          inside = e.both(inside, here);
        }
        e.ifThen(inside, [&] { body(c, bin); });
      });
    };
    auto add = [&](Value x, Value to, ValueRange at) {
      Value old = e.load(to, at), next;
      switch (op.getKind()) {
      case CarryKind::Max:
        next = arith::MaximumFOp::create(e, old, x);
        break;
      case CarryKind::Min:
        next = arith::MinimumFOp::create(e, old, x);
        break;
      case CarryKind::Count:
        next = e.add(old, x);
        break;
      default:
        next = arith::AddFOp::create(e, old, x);
      }
      e.store(next, to, at);
    };
    auto at = [&](Value bin) {
      SmallVector<Value> indices(place);
      indices.push_back(bin);
      return indices;
    };
    Value ofRow = state.ofRow.lookup(op);
    forEachBin(/*present=*/true, [&](Value c, Value bin) {
      Value x = op.getValue() ? e.load(waiting[0], c) : e.constant64(1);
      ofRow ? add(x, ofRow, bin) : add(x, out, at(bin));
    });
    if (ofRow) {
      // A bin that is met again adds nothing more.
      Value nothing =
          e.constant(cast<MemRefType>(ofRow.getType()).getElementType(), 0);
      forEachBin(/*present=*/false, [&](Value, Value bin) {
        add(e.load(ofRow, bin), out, at(bin));
        e.store(nothing, ofRow, bin);
      });
    }
  }
}

/// Sorts by key where asked, and writes what is beyond the count.
void Reducers::endTop(TopOp op, Value r) {
  Emit &e = kernel.e;
  Value values = kernel.rowVectors.lookup(op.getValues());
  Value keys = kernel.rowVectors.lookup(op.getKeys());
  Type index = e.getIndexType();
  Value count = arith::IndexCastOp::create(
      e, index, e.load(kernel.rowArrays.lookup(op.getCount()), r));
  if (op.getByPosition()) {
    e.loop(e.index(1), count, 1, [&](Value p) {
      Value key = e.load(keys, {r, p}), value = e.load(values, {r, p});
      auto shift = scf::WhileOp::create(
          e, TypeRange(index), ValueRange(p),
          [&](OpBuilder &, Location, ValueRange at) {
            Value before = e.max(e.sub(at[0], 1), e.index(0));
            Value moves = e.less(key, e.load(keys, {r, before}));
            scf::ConditionOp::create(
                e, e.both(e.less(e.index(0), at[0]), moves), at);
          },
          [&](OpBuilder &, Location, ValueRange at) {
            Value before = e.sub(at[0], 1);
            e.store(e.load(values, {r, before}), values, {r, at[0]});
            e.store(e.load(keys, {r, before}), keys, {r, at[0]});
            scf::YieldOp::create(e, before);
          });
      e.setInsertionPointAfter(shift);
      e.store(value, values, {r, shift.getResult(0)});
      e.store(key, keys, {r, shift.getResult(0)});
    });
  }
  Value nothing =
      e.infinity(op.getValue().getType(), /*negative=*/!op.getSmallest());
  int64_t extent = cast<VectorType>(op.getKeys().getType()).getNumElements();
  e.loop(count, e.index(extent), 1, [&](Value p) {
    e.store(nothing, values, {r, p});
    e.store(e.constant64(-1), keys, {r, p});
  });
}
