//===- Kernel.cpp - items, rows and results of one stream -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Kernel.h. Sweeps are in Sweep.cpp, tiles in RowTile.cpp.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Kernel::Kernel(Emit &e, StreamOp stream, const TargetInfo &target,
               StreamAnalysis &analysis, const Rows &rows)
    : e(e), state(e, stream, target, analysis), blocks(rows), kept(e),
      scratch(e) {}

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

Kernel::Rows Kernel::getRows(const StreamAnalysis &analysis,
                             const TargetInfo &target) {
  int64_t period = analysis.getRowPeriod();
  if (!period) {
    return {0, 1, target.blockRows};
  }
  int64_t parts = ceilDiv(period, target.blockRows);
  return {period, parts, ceilDiv(period, parts)};
}

TargetInfo Kernel::fit(const TargetInfo &target, const Rows &rows) {
  if (!rows.period) {
    return target;
  }
  TargetInfo fitted = target;
  auto whole = [&](int64_t count) {
    return ceilDiv(count, fitted.kernelRows) * fitted.kernelRows;
  };
  fitted.kernelRows = std::min(target.kernelRows, rows.step);
  fitted.blockRows = whole(rows.step);
  fitted.tileRows =
      whole(ceilDiv(rows.step, ceilDiv(rows.step, target.tileRows)));
  return fitted;
}

Value Kernel::Rows::countBlocks(Emit &e, Value rows) const {
  int64_t length = period ? period : step;
  return e.mul(e.div(e.add(rows, length - 1), length), parts);
}

std::pair<Value, Value> Kernel::Rows::getBlock(Emit &e, Value block,
                                               Value rows) const {
  if (parts == 1) {
    Value first = e.mul(block, step);
    return {first, e.min(e.index(step), e.sub(rows, first))};
  }
  Value list = e.div(block, parts);
  Value part = e.sub(block, e.mul(list, parts));
  Value first = e.add(e.mul(list, period), e.mul(part, step));
  Value end = e.min(e.mul(e.add(list, 1), period), rows);
  return {first, e.min(e.index(step), e.sub(end, first))};
}

LogicalResult Kernel::emit(Value begin, Value end, ValueRange arguments) {
  auto loop = scf::ForOp::create(e, begin, end, e.index(1));
  kept.setLifetime(loop);
  scratch.setLifetime(loop);
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointToStart(loop.getBody());
  emitItem(loop.getInductionVar(), arguments);
  return failure(state.failed);
}

void Kernel::emitItem(Value item, ValueRange arguments) {
  StreamOp stream = state.stream;
  Value heads = arguments[1], rows = arguments[2];
  Value count = blocks.countBlocks(e, rows);
  Value group = arith::DivUIOp::create(e, item, count);
  Value block = arith::RemUIOp::create(e, item, count);
  bool uneven = llvm::any_of(state.analysis.getSweeps(), [](SweepPlan &plan) {
    return !plan.op.getBounds().empty();
  });
  if (uneven) {
    // Blocks with many keys, as a rule the last ones, come first.
    block = e.sub(e.sub(count, block), 1);
  }
  Scope scope(state);
  scope.bind(stream.getBatchArg(), arith::DivUIOp::create(e, group, heads));
  scope.bind(stream.getHeadArg(), arith::RemUIOp::create(e, group, heads));
  for (auto [k, value] :
       llvm::enumerate(arguments.slice(3, 1 + stream.getInputs().size()))) {
    scope.bind(stream.getBody().getArgument(3 + k), value);
  }
  auto [firstRow, blockRows] = blocks.getBlock(e, block, rows);
  Block here{&scope, firstRow, blockRows};
  for (Operation &op : stream.getBody().front()) {
    bool uniform =
        op.getNumResults() && llvm::all_of(op.getResults(), [&](Value v) {
          return state.analysis.isBlockUniform(v) &&
                 !isa<VectorType>(v.getType());
        });
    if (uniform && isMemoryEffectFree(&op)) {
      scope.get(op.getResult(0));
    }
  }
  for (SweepPlan &plan : state.analysis.getSweeps()) {
    emitSweep(here, plan);
    scratch.giveBack();
  }
  emitStore(here, arguments.drop_front(4 + stream.getInputs().size()));
}

void Kernel::forEachRow(Scope &outside, Value firstBlockRow, Value rows,
                        Value firstRow,
                        llvm::function_ref<void(Scope &, Value)> body) {
  e.loop(e.index(0), rows, 1, [&](Value r) {
    Scope row(&outside);
    Value blockRow = e.add(firstBlockRow, r);
    row.bind(state.stream.getRowArg(), e.add(firstRow, r));
    row.setBlockRow(blockRow);
    body(row, r);
  });
}

void Kernel::emitStore(Block &block, ValueRange outputs) {
  StreamOp stream = state.stream;
  Scope &scope = *block.scope;
  forEachRow(
      scope, e.index(0), block.rows, block.firstRow, [&](Scope &row, Value) {
        SmallVector<Value> place{row.get(stream.getBatchArg()),
                                 row.get(stream.getHeadArg()),
                                 row.get(stream.getRowArg())};
        for (auto [value, output] :
             llvm::zip(stream.getStoreRow().getValues(), outputs)) {
          auto type = dyn_cast<VectorType>(value.getType());
          if (!type) {
            e.store(row.get(value), output, place);
            continue;
          }
          row.prepareRow(value);
          forEachChunk(e, type.getNumElements(), state.lanes,
                       [&](Value d, int64_t width) {
                         SmallVector<Value> at(place);
                         at.push_back(d);
                         e.storeVector(RowChunk(row, d, width).get(value),
                                       output, at);
                       });
        }
      });
}
