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

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Kernel::Kernel(Emit &e, StreamOp stream, const TargetInfo &target,
               StreamAnalysis &analysis)
    : e(e), state(e, stream, target, analysis), kept(e), scratch(e) {
  state.allocateRow = [&](VectorType row) {
    return kept.get({pad(row.getNumElements())}, row.getElementType());
  };
}

int64_t Kernel::getBlockRows(StreamOp stream, const TargetInfo &target) {
  return target.blockRows;
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
  // Heads that share a block count as one, with the rows of all of them.
  int64_t together = state.analysis.getPackedHeads();
  Value heads = e.div(arguments[1], together);
  Value rows = e.mul(arguments[2], together);
  int64_t blockRows = getBlockRows(stream, state.target);
  Value blocks = e.div(e.add(rows, blockRows - 1), blockRows);
  Value group = arith::DivUIOp::create(e, item, blocks);
  Value block = arith::RemUIOp::create(e, item, blocks);
  bool uneven = llvm::any_of(state.analysis.getSweeps(), [](SweepPlan &plan) {
    return !plan.op.getBounds().empty();
  });
  if (uneven) {
    // Blocks with many keys, as a rule the last ones, come first.
    block = e.sub(e.sub(blocks, block), 1);
  }
  Scope scope(state);
  scope.bind(stream.getBatchArg(), arith::DivUIOp::create(e, group, heads));
  Value head = arith::RemUIOp::create(e, group, heads);
  if (together == 1) {
    scope.bind(stream.getHeadArg(), head);
  } else {
    state.firstHead = e.mul(head, together);
    for (arith::DivUIOp op : state.analysis.getGroups()) {
      scope.bind(op.getResult(),
                 e.div(state.firstHead, *getConstantIntValue(op.getRhs())));
    }
  }
  for (auto [k, value] :
       llvm::enumerate(arguments.slice(3, 1 + stream.getInputs().size()))) {
    scope.bind(stream.getBody().getArgument(3 + k), value);
  }
  Value firstRow = e.mul(block, blockRows);
  Block here{&scope, firstRow,
             e.min(e.index(blockRows), e.sub(rows, firstRow))};
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
    state.bindRow(row, e.add(firstRow, r));
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
