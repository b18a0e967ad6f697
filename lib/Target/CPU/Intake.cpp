//===- Intake.cpp - how reducers take in entries --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Reducers.h. Absent entries take part as the neutral element, by select:
//
//   attn.carry sum %e if %p
//   ->  arith.addf %partial, (arith.select %p, %e, 0) : vector<16xf32>
//
//===----------------------------------------------------------------------===//

#include "Reducers.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Value Reducers::presentOr(Entries &entries, Operation *op, Value value,
                          Value absent) {
  Value present = entries.getPresence(getCondition(op));
  return present ? kernel.e.select(present, value, absent) : value;
}

/// Joins the columns' values pairwise before they meet the running result, so
/// that the loop waits for one operation only.
static Value joinPairwise(SmallVector<Value> values, Value partial,
                          llvm::function_ref<Value(Value, Value)> join) {
  while (values.size() > 1) {
    SmallVector<Value> next;
    for (size_t k = 0; k + 1 < values.size(); k += 2) {
      next.push_back(join(values[k], values[k + 1]));
    }
    if (values.size() % 2) {
      next.push_back(values.back());
    }
    values = next;
  }
  return join(values.front(), partial);
}

/// partial joined with `value` of every entry, `absent` where there is none.
Value Reducers::joinEntries(Operation *op, MutableArrayRef<Entries> columns,
                            Value partial, Value absent,
                            llvm::function_ref<Value(Entries &)> value,
                            llvm::function_ref<Value(Value, Value)> join) {
  SmallVector<Value> values =
      llvm::map_to_vector(columns, [&](Entries &entries) {
        return presentOr(entries, op, value(entries), absent);
      });
  return joinPairwise(values, partial, join);
}

Value Reducers::sumEntries(Operation *op, MutableArrayRef<Entries> columns,
                           Value partial,
                           llvm::function_ref<Value(Entries &)> value) {
  Emit &e = kernel.e;
  return joinEntries(op, columns, partial, e.constant(partial.getType(), 0),
                     value, [&](Value a, Value b) -> Value {
                       return arith::AddFOp::create(e, a, b);
                     });
}

Value Reducers::countEntries(Operation *op, MutableArrayRef<Entries> columns,
                             Value partial) {
  Emit &e = kernel.e;
  Value one = e.constant(partial.getType(), 1);
  return joinEntries(
      op, columns, partial, e.constant(partial.getType(), 0),
      [&](Entries &) { return one; },
      [&](Value a, Value b) { return e.add(a, b); });
}

bool cpu::isResult(RunningOp gauge) {
  auto sweep = cast<SweepOp>(gauge->getParentOp());
  return llvm::any_of(
      llvm::zip(sweep.getYield().getValues(), sweep.getResults()),
      [&](auto pair) {
        auto [yielded, result] = pair;
        return yielded == gauge.getResult() &&
               !llvm::all_of(result.getUsers(), llvm::IsaPred<arith::CmpFOp>);
      });
}

/// A gauge that others read keeps NaN. The sign of a zero does not move an
/// exponent, and would double the price of a maximum.
static Value joinGauge(Emit &e, RunningOp op, Value a, Value b) {
  return isResult(op)
             ? arith::MaximumFOp::create(e, a, b, arith::FastMathFlags::nsz)
                   .getResult()
             : e.greater(a, b);
}

void Reducers::takeGauge(RunningOp op, MutableArrayRef<Entries> columns,
                         MutableArrayRef<Value> partials) {
  Emit &e = kernel.e;
  if (op.getKind() == GaugeKind::Max) {
    partials[0] = joinEntries(
        op, columns, partials[0], e.infinity(partials[0].getType(), true),
        [&](Entries &entries) { return entries.get(op.getValue()); },
        [&](Value a, Value b) { return joinGauge(e, op, a, b); });
    return;
  }
  partials[0] = sumEntries(op, columns, partials[0], [&](Entries &entries) {
    Value row = entries.getScope().getBlockRow();
    Value mean = e.broadcast(loadState(op, row), kernel.lanes);
    return arith::SubFOp::create(e, entries.get(op.getValue()), mean)
        .getResult();
  });
  if (partials.size() > 1) {
    partials[1] = countEntries(op, columns, partials[1]);
  }
}

/// What the rows of a head have in common waits in a row of its own; each row
/// of the tile is joined with it in turn.
void Reducers::takeJoined(AcrossOp op, MutableArrayRef<Entries> columns) {
  Emit &e = kernel.e;
  Value nothing = getNothing(op);
  for (Entries &entries : columns) {
    Value buffer = entries.getTile().buffers.lookup(op.getResult());
    SmallVector<Value> place{entries.getJoinedRow(), entries.getColumn()};
    Value x = presentOr(entries, op, entries.get(op.getValue()), nothing);
    Value before = e.loadVector(buffer, place, kernel.lanes);
    Value joined;
    switch (op.getKind()) {
    case CarryKind::Max:
      joined = arith::MaximumFOp::create(e, before, x);
      break;
    case CarryKind::Min:
      joined = arith::MinimumFOp::create(e, before, x);
      break;
    default:
      joined = arith::AddFOp::create(e, before, x);
    }
    e.storeVector(joined, buffer, place);
  }
}

/// Coefficients of an outer carry wait in a tile for the product.
void Reducers::takeOuter(CarryOp op, MutableArrayRef<Entries> columns) {
  Emit &e = kernel.e;
  Value buffer = state.coefficients.lookup(op);
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  for (Entries &entries : columns) {
    Value x = e.convertFloat(entries.get(op.getValue()), element);
    if (Value present = entries.getPresence(op.getCond())) {
      Value bits = plan.ownRows.contains(op) ? e.constant64(kMarkerBits)
                                             : entries.getTile().fill;
      Value absent = e.fromBits(bits, element);
      x = e.select(present, x, e.broadcast(absent, kernel.lanes));
    }
    e.storeVector(x, buffer, {entries.getTileRow(), entries.getColumn()});
  }
}

SmallVector<Value> Reducers::take(Operation *op,
                                  MutableArrayRef<Entries> columns,
                                  ValueRange partials) {
  Emit &e = kernel.e;
  SmallVector<Value> next(partials);
  if (auto running = dyn_cast<RunningOp>(op)) {
    takeGauge(running, columns, next);
    return next;
  }
  if (auto across = dyn_cast<AcrossOp>(op)) {
    takeJoined(across, columns);
    return next;
  }
  if (isa<FoldOp, TopOp, BinsOp>(op)) {
    takeWaiting(op, columns);
    return next;
  }
  auto carry = cast<CarryOp>(op);
  CarryKind kind = carry.getKind();
  auto value = [&](Entries &entries) { return entries.get(carry.getValue()); };
  switch (kind) {
  case CarryKind::Sum:
  case CarryKind::Mean:
    next[0] = sumEntries(op, columns, next[0], value);
    if (next.size() > 1) {
      next[1] = countEntries(op, columns, next[1]);
    }
    return next;
  case CarryKind::Max:
  case CarryKind::Min:
    next[0] = joinEntries(
        op, columns, next[0],
        e.infinity(next[0].getType(), kind == CarryKind::Max), value,
        [&](Value a, Value b) -> Value {
          return kind == CarryKind::Max
                     ? arith::MaximumFOp::create(e, a, b).getResult()
                     : arith::MinimumFOp::create(e, a, b).getResult();
        });
    return next;
  case CarryKind::Count:
  case CarryKind::Any:
    if (!next.empty()) {
      next[0] = countEntries(op, columns, next[0]);
    }
    return next;
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    for (Entries &entries : columns) {
      next = takeArg(carry, entries, next);
    }
    return next;
  case CarryKind::Outer:
    takeOuter(carry, columns);
    return next;
  }
  llvm_unreachable("all kinds handled");
}

Value cpu::isBetter(Emit &e, CarryKind kind, Value x, Value y) {
  using P = arith::CmpFPredicate;
  Value more = arith::CmpFOp::create(
      e, kind == CarryKind::ArgMax ? P::OGT : P::OLT, x, y);
  Value number = arith::CmpFOp::create(e, P::ORD, y, y);
  Value nan = arith::CmpFOp::create(e, P::UNO, x, x);
  return arith::OrIOp::create(e, more, e.both(number, nan));
}

SmallVector<Value> Reducers::takeArg(CarryOp op, Entries &entries,
                                     ValueRange partials) {
  Emit &e = kernel.e;
  Value x = entries.get(op.getValue());
  Value first = arith::CmpIOp::create(e, arith::CmpIPredicate::slt, partials[1],
                                      e.constant(partials[1].getType(), 0));
  Value better =
      arith::OrIOp::create(e, first, isBetter(e, op.getKind(), x, partials[0]));
  if (Value present = entries.getPresence(op.getCond())) {
    better = e.both(better, present);
  }
  Value column =
      arith::IndexCastOp::create(e, e.getI32Type(), entries.getColumn());
  Value columns = e.add(e.broadcast(column, kernel.lanes), entries.getIota());
  return {e.select(better, x, partials[0]),
          e.select(better, columns, partials[1])};
}
