//===- Reducers.cpp - gauges, carries and folds over a tile ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Reducers.h. How entries are taken in is in Intake.cpp, what moves with a
// gauge in Movement.cpp.
//
//===----------------------------------------------------------------------===//

#include "Reducers.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

static bool isArg(CarryOp op) {
  return op.getKind() == CarryKind::ArgMax || op.getKind() == CarryKind::ArgMin;
}

Type Reducers::getAuxiliaryType(Operation *op) {
  Builder b(op->getContext());
  if (auto running = dyn_cast<RunningOp>(op)) {
    return running.getKind() == GaugeKind::Mean ? b.getI64Type() : Type();
  }
  if (isa<TopOp>(op)) {
    return b.getI64Type();
  }
  auto carry = dyn_cast<CarryOp>(op);
  if (!carry) {
    return {};
  }
  if (carry.getKind() == CarryKind::Mean) {
    return b.getI64Type();
  }
  return isArg(carry) ? carry.getValue().getType() : Type();
}

Value Reducers::loadState(Operation *op, Value row) {
  return kernel.e.load(kernel.rowArrays.lookup(op->getResult(0)), row);
}

void Reducers::storeState(Operation *op, Value value, Value row) {
  kernel.e.store(value, kernel.rowArrays.lookup(op->getResult(0)), row);
}

void Reducers::start(Scope &row) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  auto startOp = [&](Operation *op) {
    Type type = op->getResult(0).getType();
    if (Value auxiliary = state.auxiliary.lookup(op)) {
      e.store(e.constant(getAuxiliaryType(op), 0), auxiliary, r);
    }
    if (auto running = dyn_cast<RunningOp>(op)) {
      Value init = running.getInit() ? row.get(running.getInit())
                   : running.getKind() == GaugeKind::Max
                       ? e.infinity(type, /*negative=*/true)
                       : e.constant(type, 0);
      storeState(op, init, r);
      return;
    }
    if (auto fold = dyn_cast<FoldOp>(op)) {
      for (auto [result, identity] :
           llvm::zip(fold.getResults(),
                     fold.getIdentity().getAsValueRange<FloatAttr>())) {
        e.store(e.constant(result.getType(), identity.convertToDouble()),
                kernel.rowArrays.lookup(result), r);
      }
      return;
    }
    if (isa<TopOp, BinsOp>(op)) {
      startSelection(op, r);
      return;
    }
    if (isa<AcrossOp>(op)) {
      return; // starts in every tile
    }
    auto carry = cast<CarryOp>(op);
    switch (carry.getKind()) {
    case CarryKind::Outer: {
      Value rows = kernel.rowVectors.lookup(carry.getResult());
      auto shape = cast<MemRefType>(rows.getType()).getShape();
      Value zero = e.constant(
          VectorType::get({kernel.lanes}, getElementTypeOrSelf(rows.getType())),
          0);
      e.loop(e.index(0), e.index(shape[1]), kernel.lanes,
             [&](Value d) { e.storeVector(zero, rows, {r, d}); });
      break;
    }
    case CarryKind::Max:
    case CarryKind::Min:
      storeState(op, e.infinity(type, carry.getKind() == CarryKind::Max), r);
      break;
    case CarryKind::ArgMax:
    case CarryKind::ArgMin:
      storeState(op, e.constant(type, -1), r);
      break;
    default:
      storeState(op, e.constant(type, 0), r);
    }
  };
  for (auto &stage : plan.stages) {
    llvm::for_each(stage, startOp);
  }
}

Value Reducers::getNothing(AcrossOp op) {
  Emit &e = kernel.e;
  auto type = VectorType::get({kernel.lanes}, op.getType());
  return op.getKind() == CarryKind::Sum
             ? e.constant(type, 0)
             : e.infinity(type, op.getKind() == CarryKind::Max);
}

void Reducers::startJoined(AcrossOp op, Tile &tile) {
  Emit &e = kernel.e;
  Value buffer = tile.buffers.lookup(op.getResult());
  int64_t heads = cast<MemRefType>(buffer.getType()).getDimSize(0);
  Value nothing = getNothing(op);
  e.loop(e.index(0), e.index(heads), 1, [&](Value head) {
    e.loop(tile.firstColumn, tile.columns, kernel.lanes,
           [&](Value c) { e.storeVector(nothing, buffer, {head, c}); });
  });
}

//===----------------------------------------------------------------------===//
// Partial results of a row of a tile
//===----------------------------------------------------------------------===//

SmallVector<Value> Reducers::partials(Operation *op, Tile &tile) {
  Emit &e = kernel.e;
  auto vector = [&](Type type) {
    return VectorType::get({kernel.lanes}, type);
  };
  auto zero = [&](Type type) { return e.constant(vector(type), 0); };
  Type count = e.getI32Type();
  if (auto running = dyn_cast<RunningOp>(op)) {
    Type type = running.getResult().getType();
    if (running.getKind() == GaugeKind::Max) {
      return {e.infinity(vector(type), /*negative=*/true)};
    }
    return tile.full ? SmallVector<Value>{zero(type)}
                     : SmallVector<Value>{zero(type), zero(count)};
  }
  auto carry = dyn_cast<CarryOp>(op);
  if (!carry) {
    return {};
  }
  switch (carry.getKind()) {
  case CarryKind::Sum:
    return {zero(carry.getResult().getType())};
  case CarryKind::Max:
  case CarryKind::Min:
    return {e.infinity(vector(carry.getResult().getType()),
                       carry.getKind() == CarryKind::Max)};
  case CarryKind::Mean: {
    Type type = carry.getResult().getType();
    return tile.full ? SmallVector<Value>{zero(type)}
                     : SmallVector<Value>{zero(type), zero(count)};
  }
  case CarryKind::Count:
  case CarryKind::Any:
    return tile.full ? SmallVector<Value>{} : SmallVector<Value>{zero(count)};
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    return {zero(carry.getValue().getType()), e.constant(vector(count), -1)};
  case CarryKind::Outer:
    return {};
  }
  llvm_unreachable("all kinds handled");
}

//===----------------------------------------------------------------------===//
// After a row of a tile
//===----------------------------------------------------------------------===//

/// The number of entries that a tile's row had.
Value Reducers::countOf(Tile &tile, ValueRange partials) {
  Emit &e = kernel.e;
  Type type = e.getI64Type();
  if (partials.empty()) {
    return arith::IndexCastOp::create(e, type,
                                      e.sub(tile.columns, tile.firstColumn));
  }
  Value sum =
      vector::ReductionOp::create(e, vector::CombiningKind::ADD, partials[0]);
  return arith::ExtUIOp::create(e, type, sum);
}

static Value sumLanes(Emit &e, Value partial) {
  return vector::ReductionOp::create(e, vector::CombiningKind::ADD, partial,
                                     arith::FastMathFlags::reassoc);
}

void Reducers::finish(Operation *op, Scope &row, Tile &tile, Value tileRow,
                      ValueRange partials) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  if (auto running = dyn_cast<RunningOp>(op)) {
    if (running.getKind() == GaugeKind::Max) {
      finishGauge(running, row, tile, tileRow, partials);
    } else {
      finishMean(running, row, tile, partials);
    }
    return;
  }
  if (isa<AcrossOp>(op)) {
    return;
  }
  if (auto fold = dyn_cast<FoldOp>(op)) {
    finishFold(fold, row, tile);
    return;
  }
  if (auto top = dyn_cast<TopOp>(op)) {
    finishTop(top, row, tile);
    return;
  }
  if (auto bins = dyn_cast<BinsOp>(op)) {
    finishBins(bins, row, tile);
    return;
  }
  auto carry = cast<CarryOp>(op);
  switch (carry.getKind()) {
  case CarryKind::Mean: {
    Value counts = state.auxiliary.lookup(op);
    e.store(e.add(e.load(counts, r), countOf(tile, partials.drop_front())),
            counts, r);
    [[fallthrough]];
  }
  case CarryKind::Sum:
    storeState(
        op,
        arith::AddFOp::create(e, loadState(op, r), sumLanes(e, partials[0])),
        r);
    return;
  case CarryKind::Max:
  case CarryKind::Min:
    storeState(op,
               reduceExtremum(e, partials[0], loadState(op, r),
                              carry.getKind() == CarryKind::Max),
               r);
    return;
  case CarryKind::Count:
    storeState(op, e.add(loadState(op, r), countOf(tile, partials)), r);
    return;
  case CarryKind::Any: {
    Value some = arith::CmpIOp::create(e, arith::CmpIPredicate::ne,
                                       countOf(tile, partials),
                                       e.constant(e.getI64Type(), 0));
    storeState(op, arith::OrIOp::create(e, loadState(op, r), some), r);
    return;
  }
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    finishArg(carry, row, tile, partials);
    return;
  case CarryKind::Outer:
    return;
  }
}

/// Lanes against each other and against the state, by better value and, among
/// equals, by lower column. Tiles come in the order of their keys.
void Reducers::finishArg(CarryOp op, Scope &row, Tile &tile,
                         ValueRange partials) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow(), values = state.auxiliary.lookup(op);
  Type index = e.getI32Type();
  using P = arith::CmpIPredicate;
  Value none = e.constant(index, -1);
  Value lanes = e.index(kernel.lanes);
  SmallVector<Value> best = e.loop(
      e.index(0), lanes, 1, {e.constant(op.getValue().getType(), 0), none},
      [&](Value lane, ValueRange so) -> SmallVector<Value> {
        Value x = vector::ExtractOp::create(e, partials[0], OpFoldResult(lane));
        Value c = vector::ExtractOp::create(e, partials[1], OpFoldResult(lane));
        Value some = arith::CmpIOp::create(e, P::sge, c, e.constant(index, 0));
        Value first =
            arith::CmpIOp::create(e, P::slt, so[1], e.constant(index, 0));
        Value better = isBetter(e, op.getKind(), x, so[0]);
        Value worse = isBetter(e, op.getKind(), so[0], x);
        Value lower = arith::CmpIOp::create(e, P::slt, c, so[1]);
        Value tie =
            e.both(lower, arith::XOrIOp::create(e, worse, e.truth(true)));
        Value wins =
            e.both(some, arith::OrIOp::create(
                             e, first, arith::OrIOp::create(e, better, tie)));
        return {e.select(wins, x, so[0]), e.select(wins, c, so[1])};
      });
  Value some = arith::CmpIOp::create(e, P::sge, best[1], e.constant(index, 0));
  Value old = loadState(op, r);
  Value first =
      arith::CmpIOp::create(e, P::slt, old, e.constant(old.getType(), 0));
  Value better = isBetter(e, op.getKind(), best[0], e.load(values, r));
  e.ifThen(e.both(some, arith::OrIOp::create(e, first, better)), [&] {
    Value key =
        tile.keyAt(e, arith::IndexCastOp::create(e, e.getIndexType(), best[1]));
    storeState(op, arith::IndexCastOp::create(e, e.getI64Type(), key), r);
    e.store(best[0], values, r);
  });
}

/// A user's monoid need not commute: its entries are combined one by one.
void Reducers::finishFold(FoldOp op, Scope &row, Tile &tile) {
  Emit &e = kernel.e;
  ArrayRef<Value> rows = state.waiting[op];
  Value r = row.getBlockRow();
  SmallVector<Value> init =
      llvm::map_to_vector(op.getResults(), [&](Value result) {
        return e.load(kernel.rowArrays.lookup(result), r);
      });
  auto combineAt = [&](Value c, ValueRange so) {
    SmallVector<Value> arguments(so);
    for (unsigned k = 0; k < op.getNumResults(); ++k) {
      arguments.push_back(e.load(rows[k], c));
    }
    SmallVector<Value> joined;
    for (unsigned k = 0; k < op.getNumResults(); ++k) {
      Scope place(&row);
      joined.push_back(
          inlineRegion(e, op.getCombine(), arguments, place, 0, k));
    }
    return joined;
  };
  SmallVector<Value> result =
      e.loop(tile.firstColumn, tile.columns, 1, init,
             [&](Value c, ValueRange so) -> SmallVector<Value> {
               SmallVector<Value> joined = combineAt(c, so);
               if (tile.full) {
                 return joined;
               }
               Value present = arith::CmpIOp::create(
                   e, arith::CmpIPredicate::ne, e.load(rows.back(), c),
                   e.constant(e.getI8Type(), 0));
               for (auto [value, old] : llvm::zip(joined, so)) {
                 value = e.select(present, value, old);
               }
               return joined;
             });
  for (auto [value, array] : llvm::zip(result, op.getResults())) {
    e.store(value, kernel.rowArrays.lookup(array), r);
  }
}
