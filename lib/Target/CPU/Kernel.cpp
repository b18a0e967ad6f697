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

LogicalResult Kernel::emit(Value begin, Value end, ValueRange arguments) {
  int64_t together = state.tiling.getItemsTogether();
  // Carries the first item that is not done.
  auto loop = scf::ForOp::create(e, begin, end, e.index(1), ValueRange{begin});
  kept.setLifetime(loop);
  scratch.setLifetime(loop);
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointToStart(loop.getBody());
  Value item = loop.getInductionVar(), next = loop.getRegionIterArg(0);
  Value open = e.equal(item, next);
  Value most = e.min(e.index(together), e.sub(end, item));
  Value done = e.ifValue(
      open, next.getType(),
      [&] { return e.add(item, emitItems(item, most, arguments)); },
      [&] { return next; });
  scf::YieldOp::create(e, done);
  return failure(state.failed);
}

Value Kernel::emitItems(Value item, Value most, ValueRange arguments) {
  StreamOp stream = state.stream;
  // Heads that share a block count as one, with the rows of all of them.
  int64_t together = state.analysis.getPackedHeads();
  Value heads = e.div(arguments[1], together);
  Value rows = e.mul(arguments[2], together);
  Value itemRows = state.tiling.getItemRows(e, state.analysis, arguments);
  Value count = state.tiling.countItems(e, rows, itemRows);
  Value group = arith::DivUIOp::create(e, item, count);
  Value block = arith::RemUIOp::create(e, item, count);
  Value taken = itemRows ? e.index(1) : e.min(most, e.sub(count, block));
  bool uneven = llvm::any_of(state.analysis.getSweeps(), [](SweepPlan &plan) {
    return !plan.op.getBounds().empty();
  });
  if (uneven) {
    // Blocks with many keys, as a rule the last ones, come first.
    block = e.sub(e.sub(count, block), taken);
  }
  Scope scope(state);
  if (state.analysis.keepsHeads()) {
    scope.bind(stream.getBatchArg(), group);
  } else {
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
  }
  for (auto [k, value] :
       llvm::enumerate(arguments.slice(3, 1 + stream.getInputs().size()))) {
    scope.bind(stream.getBody().getArgument(3 + k), value);
  }
  ValueRange outputs = arguments.drop_front(4 + stream.getInputs().size());
  stream.walk([&](BinsOp bins) {
    for (unsigned k : bins.getOutputs()) {
      state.tallies[bins].push_back(outputs[k]);
    }
  });
  computeUniform(scope, stream.getBody().front(), /*ofHead=*/false);
  if (!itemRows) {
    auto [first, number] = state.tiling.getBlock(e, block, taken, rows);
    emitBlock(scope, first, number, outputs);
    return taken;
  }
  Value begin = e.mul(block, itemRows);
  Value end = e.min(e.add(begin, itemRows), rows);
  if (!state.tiling.period) {
    int64_t most = state.tiling.blockRows;
    e.loop(begin, end, most, [&](Value first) {
      Scope place(&scope);
      emitBlock(place, first, e.min(e.index(most), e.sub(end, first)), outputs);
    });
    return taken;
  }
  // The blocks of the kernel that these rows meet, cut at their ends.
  Value from = state.tiling.getBlockOf(e, begin);
  Value to = e.add(state.tiling.getBlockOf(e, e.sub(end, 1)), 1);
  e.loop(from, to, 1, [&](Value next) {
    auto [first, number] = state.tiling.getBlock(e, next, e.index(1), rows);
    Value last = e.min(e.add(first, number), end);
    first = e.max(first, begin);
    Scope place(&scope);
    emitBlock(place, first, e.sub(last, first), outputs);
  });
  return taken;
}

void Kernel::emitBlock(Scope &scope, Value firstRow, Value rows,
                       ValueRange outputs) {
  RowBlock here{&scope, firstRow, rows, e.index(0)};
  state.startBlock(firstRow, rows);
  for (SweepPlan &plan : state.analysis.getSweeps()) {
    emitSweep(here, plan);
    scratch.giveBack();
  }
  emitStore(here, outputs);
}

void Kernel::computeUniform(Scope &scope, Block &block, bool ofHead) {
  for (Operation &op : block) {
    bool uniform = op.getNumResults() && isMemoryEffectFree(&op) &&
                   llvm::all_of(op.getResults(), [&](Value v) {
                     return state.analysis.isBlockUniform(v) &&
                            (ofHead || !state.analysis.getClass(v).head) &&
                            !isa<VectorType>(v.getType());
                   });
    if (uniform) {
      scope.get(op.getResult(0));
    }
  }
}

Value Kernel::bindNextHead(Scope &next, Value argument, Value head,
                           int64_t heads) {
  Value last = arith::CmpIOp::create(e, arith::CmpIPredicate::eq, head,
                                     e.index(heads - 1));
  next.bind(argument, e.select(last, e.index(0), e.add(head, 1)));
  return e.select(last, e.index(state.tiling.tileKeys), e.index(0));
}

void Kernel::forEachHead(RowBlock &block,
                         llvm::function_ref<void(RowBlock &)> body) {
  if (!state.analysis.keepsHeads()) {
    body(block);
    return;
  }
  e.loop(e.index(0), e.index(state.tiling.heads), 1, [&](Value head) {
    Scope scope(block.scope);
    scope.bind(state.stream.getHeadArg(), head);
    computeUniform(scope, state.stream.getBody().front(), /*ofHead=*/true);
    Scope next(block.scope);
    RowBlock here{&scope, block.firstRow, block.rows,
                  e.mul(head, state.tiling.blockRows), &next};
    here.nextKeys =
        bindNextHead(next, state.stream.getHeadArg(), head, state.tiling.heads);
    body(here);
  });
}

void Kernel::forEachRow(RowBlock &block,
                        llvm::function_ref<void(Scope &, Value)> body) {
  e.loop(e.index(0), block.rows, 1, [&](Value r) {
    Scope row(block.scope);
    state.bindRow(row, e.add(block.firstRow, r));
    row.setBlockRow(e.add(block.stateRow, r));
    body(row, r);
  });
}

void Kernel::forEachRow(Scope &outside, const Tile &tile,
                        llvm::function_ref<void(Scope &, Value)> body) {
  RowRange rows = tile.getRows();
  e.loop(e.index(0), rows.rows, 1, [&](Value r) {
    Scope row(&outside);
    rows.bind(row, r);
    row.setBlockRow(e.add(tile.firstRow, r));
    body(row, r);
  });
}

void Kernel::emitStore(RowBlock &block, ValueRange outputs) {
  StreamOp stream = state.stream;
  forEachHead(block, [&](RowBlock &here) {
    fillRowValues(here);
    forEachRow(here, [&](Scope &row, Value) {
      SmallVector<Value> place{row.get(stream.getBatchArg()),
                               row.get(stream.getHeadArg()),
                               row.get(stream.getRowArg())};
      for (auto [value, output] :
           llvm::zip(stream.getStoreRow().getValues(), outputs)) {
        if (isa<TallyType>(value.getType())) {
          continue; // stored as it grew
        }
        auto type = dyn_cast<VectorType>(value.getType());
        if (!type) {
          e.store(row.get(value), output, place);
          continue;
        }
        row.prepareRow(value);
        forEachChunk(
            e, type.getNumElements(), state.lanes, [&](Value d, int64_t width) {
              SmallVector<Value> at(place);
              at.push_back(d);
              e.storeVector(RowChunk(row, d, width).get(value), output, at);
            });
      }
    });
  });
}
