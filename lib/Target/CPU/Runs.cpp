//===- Runs.cpp - keys that are neighbours in an image --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Keys of an image are pixels, whose row and column are a quotient and a
// remainder. W consecutive keys mostly lie in one row of the image: then the
// quotient is a scalar, with all that follows from it, and remainders are the
// first one and what comes after it.
//
//   %y = arith.divui %j, %width            scalar
//   %x = arith.remui %j, %width            scalar + 0, 1, 2, ...
//   %w = attn.at %taps[%h, %y', %x']       one row of the table, permuted
//   attn.carry ... if %in_y and %in_x      nothing to do unless %in_y
//
// Whether they do is asked for each vector of keys.
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

std::pair<Value, int64_t> cpu::getDivision(Operation *op) {
  if (!isa_and_present<arith::DivUIOp, arith::DivSIOp, arith::RemUIOp,
                       arith::RemSIOp>(op)) {
    return {};
  }
  std::optional<int64_t> divisor = getConstantIntValue(op->getOperand(1));
  return divisor ? std::pair(op->getOperand(0), *divisor)
                 : std::pair<Value, int64_t>();
}

bool Entries::isKey(Value value) {
  StreamAnalysis &analysis = scope.kernel.analysis;
  if (!run || !analysis.getClass(value).key) {
    return analysis.getClass(value).key;
  }
  if (auto it = keys.find(value); it != keys.end()) {
    return it->second;
  }
  Operation *op = value.getDefiningOp();
  bool result = true;
  if (op && llvm::is_contained(run->divisions, op)) {
    result = isa<arith::RemUIOp, arith::RemSIOp>(op);
  } else if (op && (isElementwise(op) || isa<AtOp>(op)) &&
             !tile.buffers.contains(value)) {
    result = llvm::any_of(op->getOperands(),
                          [&](Value operand) { return isKey(operand); });
  }
  return keys[value] = result;
}

Value Entries::getCommonPresence(Value cond) {
  Emit &e = builder();
  Value all;
  SmallVector<Value> work{cond};
  while (!work.empty()) {
    Value part = work.pop_back_val();
    if (!part) {
      return {};
    }
    if (!isKey(part)) {
      Value here = scope.get(part);
      all = all ? e.both(all, here) : here;
    } else if (auto both = part.getDefiningOp<arith::AndIOp>()) {
      llvm::append_range(work, both.getOperands());
    }
  }
  return all;
}

/// Divisions of key + something whose quotients many keys share.
static SmallVector<Operation *>
findDivisions(SweepPlan &plan, StreamAnalysis &analysis, int64_t lanes) {
  SmallVector<Operation *> found;
  for (Operation &op : plan.op.getBody().front()) {
    auto [dividend, divisor] = getDivision(&op);
    if (!dividend || divisor < lanes || !dividend.getType().isIndex()) {
      continue;
    }
    while (dividend != plan.keyArg) {
      Operation *sum = dividend.getDefiningOp();
      if (!isa_and_present<arith::AddIOp, arith::SubIOp>(sum) ||
          analysis.getClass(sum->getOperand(1)).key) {
        break;
      }
      dividend = sum->getOperand(0);
    }
    if (dividend == plan.keyArg) {
      found.push_back(&op);
    }
  }
  return found;
}

SmallVector<Value> Kernel::takeByRuns(SweepPlan &plan, Scope &row, Tile &tile,
                                      Value tileRow, Value column,
                                      TypeRange types, TakeEntries take) {
  PixelRun run;
  if (!tile.table && !tile.isWhole()) {
    run.divisions = findDivisions(plan, state.analysis, state.lanes);
  }
  auto takeAny = [&] {
    Entries entries(row, tile, tileRow, column);
    return take(entries);
  };
  if (run.divisions.empty()) {
    return takeAny();
  }
  Value firstKey = tile.keyAt(e, column);
  Value lastKey = e.add(firstKey, state.lanes - 1);
  Value holds = e.less(lastKey, tile.upper);
  if (tile.halo) {
    holds = e.both(holds, arith::CmpIOp::create(e, arith::CmpIPredicate::sge,
                                                firstKey, e.index(0)));
  }
  StreamOp stream = state.stream;
  for (Value position :
       {row.get(stream.getBatchArg()), row.get(stream.getHeadArg()),
        row.get(stream.getRowArg()), lastKey}) {
    holds = e.both(holds, e.less(position, e.index(kRunPositions)));
  }
  Scope first(&row), last(&row);
  first.bind(plan.keyArg, firstKey);
  last.bind(plan.keyArg, lastKey);
  for (Operation *op : run.divisions) {
    std::pair<Value, int64_t> division = getDivision(op);
    auto divide = [&](Scope &place) -> Value {
      Value x = place.get(division.first), by = e.index(division.second);
      return isa<arith::DivUIOp, arith::RemUIOp>(op)
                 ? arith::DivUIOp::create(e, x, by).getResult()
                 : arith::DivSIOp::create(e, x, by).getResult();
    };
    Value &quotient = run.quotients[division];
    if (!quotient) {
      quotient = divide(first);
      holds = e.both(holds, e.equal(quotient, divide(last)));
    }
  }
  auto takeRun = [&] {
    Entries entries(row, tile, tileRow, column, run);
    Value any;
    for (Operation *op : plan.stages[tile.stage]) {
      Value here = entries.getCommonPresence(getCondition(op));
      if (!here) {
        return take(entries);
      }
      any = any ? e.either(any, here) : here;
    }
    return e.ifValues(
        any, types, [&] { return take(entries); },
        [&] {
          Entries none(row, tile, tileRow, column, run, /*absent=*/true);
          return take(none);
        });
  };
  return e.ifValues(holds, types, takeRun, takeAny);
}
