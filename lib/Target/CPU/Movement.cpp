//===- Movement.cpp - what happens when a gauge moves ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// When the maximum of a row grows by d, carries are multiplied by 2^(a d), or
// re-centred as polynomials in d, before the tile's entries are added. Rows
// whose gauge stays where it was, soon nearly all, skip this.
//
//===----------------------------------------------------------------------===//

#include "Reducers.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

void Reducers::finishGauge(RunningOp op, Scope &row, Tile &tile, Value tileRow,
                           ValueRange partials) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  Value before = loadState(op, r);
  if (isResult(op)) {
    Value after = reduceExtremum(e, partials[0], before, /*max=*/true);
    e.ifThen(e.differs(after, before), [&] {
      storeState(op, after, r);
      move(op, row, before, after);
    });
    return;
  }
  Value max =
      vector::ReductionOp::create(e, vector::CombiningKind::MAXNUMF,
                                  partials[0], arith::FastMathFlags::nnan);
  Value after = e.greater(max, before);
  // The maximum passes over NaNs; only where nothing else was found does it
  // matter, for a row of NaNs is not an empty one.
  Value none = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, after,
                                     e.infinity(after.getType(), true));
  after = e.ifValue(
      none, after.getType(), [&] { return findNaN(op, row, tile, tileRow); },
      [&] { return after; });
  e.ifThen(e.differs(after, before), [&] {
    storeState(op, after, r);
    move(op, row, before, after);
  });
}

/// NaN if a present entry is one, else -inf: looked for without arithmetic, for
/// exact mode has a different one.
Value Reducers::findNaN(RunningOp op, Scope &row, Tile &tile, Value tileRow) {
  Emit &e = kernel.e;
  Type type = op.getResult().getType();
  Value absent =
      e.infinity(VectorType::get({kernel.lanes}, type), /*negative=*/true);
  Value start = e.constant(VectorType::get({kernel.lanes}, e.getI1Type()), 0);
  Value seen = e.loop(
      tile.firstColumn, tile.columns, kernel.lanes, start,
      [&](Value column, ValueRange carried) -> SmallVector<Value> {
        Entries entries(row, tile, tileRow, column);
        Value x = presentOr(entries, op, entries.get(op.getValue()), absent);
        Value isNaN = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, x, x);
        return {arith::OrIOp::create(e, carried[0], isNaN)};
      })[0];
  Value any = vector::ReductionOp::create(e, vector::CombiningKind::OR, seen);
  return e.select(any,
                  e.constant(type, std::numeric_limits<double>::quiet_NaN()),
                  e.infinity(type, /*negative=*/true));
}

void Reducers::finishMean(RunningOp op, Scope &row, Tile &tile,
                          ValueRange partials) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow(), counts = state.auxiliary.lookup(op);
  Value count = countOf(tile, partials.drop_front());
  Type type = op.getResult().getType();
  Value zero = e.constant(e.getI64Type(), 0);
  Value some = arith::CmpIOp::create(e, arith::CmpIPredicate::ne, count, zero);
  e.ifThen(some, [&] {
    Value total = e.add(e.load(counts, r), count);
    e.store(total, counts, r);
    Value sum =
        vector::ReductionOp::create(e, vector::CombiningKind::ADD, partials[0],
                                    arith::FastMathFlags::reassoc);
    Value step =
        arith::DivFOp::create(e, sum, arith::SIToFPOp::create(e, type, total));
    Value before = loadState(op, r);
    Value after = arith::AddFOp::create(e, before, step);
    storeState(op, after, r);
    move(op, row, before, after);
  });
}

/// 2^(rate * distance); the first movement away from -inf drops what was there.
static Value factorOf(Emit &e, Value rate, Value before, Value distance) {
  Type type = distance.getType();
  Value first = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, before,
                                      e.infinity(type, /*negative=*/true));
  Value zero = e.constant(type, 0);
  // No infinite distance: a power that underflows takes a hundred cycles.
  distance = e.select(first, zero, distance);
  Value power =
      math::Exp2Op::create(e, arith::MulFOp::create(e, rate, distance));
  return e.select(first, zero, power);
}

void Reducers::move(RunningOp gauge, Scope &row, Value before, Value after) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  Value distance = arith::SubFOp::create(e, after, before);
  if (gauge.getKind() == GaugeKind::Max) {
    Value first = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, before,
                                        e.infinity(before.getType(), true));
    movePolynomials(gauge, r,
                    e.select(first, e.constant(before.getType(), 0), distance));
  } else {
    movePolynomials(gauge, r, distance);
  }
  DenseMap<Value, Value> factors; // by rate
  Scope place(&row);
  for (CarryOp carry : plan.op.getBody().getOps<CarryOp>()) {
    for (auto [moving, rate] : llvm::zip(carry.getGauges(), carry.getRates())) {
      if (moving != gauge.getResult()) {
        continue;
      }
      Value &factor = factors[rate];
      if (!factor) {
        factor = factorOf(e, place.get(rate), before, distance);
      }
      if (carry.getKind() != CarryKind::Outer) {
        Value old = loadState(carry, r);
        storeState(carry,
                   arith::MulFOp::create(e, old,
                                         e.convertFloat(factor, old.getType())),
                   r);
        continue;
      }
      Value rows = kernel.rowVectors.lookup(carry.getResult());
      auto type = cast<MemRefType>(rows.getType());
      Value lanes = e.broadcast(e.convertFloat(factor, type.getElementType()),
                                kernel.lanes);
      e.loop(
          e.index(0), e.index(type.getDimSize(1)), kernel.lanes, [&](Value d) {
            Value old = e.loadVector(rows, {r, d}, kernel.lanes);
            e.storeVector(arith::MulFOp::create(e, old, lanes), rows, {r, d});
          });
    }
  }
}

/// c0 += c1 d + c2 d^2 + ...: all from old values, so companions, which come
/// first in the program, move last.
void Reducers::movePolynomials(RunningOp gauge, Value row, Value distance) {
  Emit &e = kernel.e;
  auto carries = llvm::to_vector(plan.op.getBody().getOps<CarryOp>());
  for (CarryOp carry : llvm::reverse(carries)) {
    if (carry.getPolyGauge() != gauge.getResult()) {
      continue;
    }
    bool outer = carry.getKind() == CarryKind::Outer;
    auto shift = [&](auto load, Value d) -> Value {
      // Horner, from the highest coefficient.
      Value sum;
      for (Value companion : llvm::reverse(carry.getCompanions())) {
        Value coefficient = load(companion);
        sum = sum ? arith::AddFOp::create(e, coefficient,
                                          arith::MulFOp::create(e, sum, d))
                  : coefficient;
      }
      return arith::AddFOp::create(e, load(carry.getResult()),
                                   arith::MulFOp::create(e, sum, d));
    };
    if (!outer) {
      Value moved = shift(
          [&](Value c) { return e.load(kernel.rowArrays.lookup(c), row); },
          distance);
      storeState(carry, moved, row);
      continue;
    }
    Value rows = kernel.rowVectors.lookup(carry.getResult());
    auto type = cast<MemRefType>(rows.getType());
    Value lanes = e.broadcast(e.convertFloat(distance, type.getElementType()),
                              kernel.lanes);
    e.loop(e.index(0), e.index(type.getDimSize(1)), kernel.lanes, [&](Value d) {
      Value moved = shift(
          [&](Value c) {
            return e.loadVector(kernel.rowVectors.lookup(c), {row, d},
                                kernel.lanes);
          },
          lanes);
      e.storeVector(moved, rows, {row, d});
    });
  }
}

void Reducers::end(Scope &row) {
  Emit &e = kernel.e;
  Value r = row.getBlockRow();
  for (TopOp top : plan.op.getBody().getOps<TopOp>()) {
    endTop(top, r);
  }
  for (CarryOp carry : plan.op.getBody().getOps<CarryOp>()) {
    if (carry.getKind() != CarryKind::Mean) {
      continue;
    }
    Value count = e.load(state.auxiliary.lookup(carry), r);
    Value sum = loadState(carry, r);
    Value none = arith::CmpIOp::create(e, arith::CmpIPredicate::eq, count,
                                       e.constant(e.getI64Type(), 0));
    Value mean = arith::DivFOp::create(
        e, sum, arith::SIToFPOp::create(e, sum.getType(), count));
    storeState(carry, e.select(none, e.constant(sum.getType(), 0), mean), r);
  }
}
