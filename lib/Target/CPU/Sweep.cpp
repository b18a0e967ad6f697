//===- Sweep.cpp - tiles of keys over a block of rows ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Kernel.h.
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// The two values that a tiles or bounds region yields.
static std::pair<Value, Value> evaluate(Scope &outside, Region &region,
                                        ValueRange arguments) {
  Scope scope(&outside);
  for (auto [from, to] : llvm::zip(region.getArguments(), arguments)) {
    scope.bind(from, to);
  }
  Operation *yield = region.front().getTerminator();
  Value first = scope.get(yield->getOperand(0));
  return {first, scope.get(yield->getOperand(1))};
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

void Kernel::allocateState(Sweep &sweep) {
  int64_t rows = state.target.blockRows;
  for (auto &stage : sweep.plan.stages) {
    for (Operation *op : stage) {
      if (Type type = Reducers::getAuxiliaryType(op)) {
        sweep.reducers.auxiliary[op] = kept.get({rows}, type);
      }
      for (Value result : op->getResults()) {
        if (auto row = dyn_cast<VectorType>(result.getType())) {
          state.rowVectors[result] =
              kept.get({rows, pad(row.getNumElements())}, row.getElementType());
        } else {
          state.rowArrays[result] = kept.get({rows}, result.getType());
        }
      }
    }
  }
  SweepOp op = sweep.plan.op;
  for (auto [result, value] :
       llvm::zip(op.getResults(), op.getYield().getValues())) {
    if (isa<VectorType>(result.getType())) {
      state.rowVectors[result] = state.rowVectors.lookup(value);
    } else {
      state.rowArrays[result] = state.rowArrays.lookup(value);
    }
  }
}

/// The bf16 row behind `row` if pairs of keys can be multiplied directly.
static bool holdsBF16(Value row) {
  if (auto extend = row.getDefiningOp<arith::ExtFOp>()) {
    row = extend.getIn();
  }
  return row.getDefiningOp<AtOp>() &&
         getElementTypeOrSelf(row.getType()).isBF16();
}

void Kernel::allocateTiles(Sweep &sweep) {
  SweepPlan &plan = sweep.plan;
  const TargetInfo &target = state.target;
  int64_t rows = target.tileRows, columns = target.tileKeys;
  int64_t panel = target.kernelVectors * state.lanes;
  for (Contraction &contraction : plan.contractions) {
    Type type = contraction.getResult().getType();
    Type element = contraction.pairs ? e.getBF16Type() : type;
    int64_t depth = contraction.getDepth();
    // In units of what the microkernel multiplies.
    int64_t units = pad(contraction.pairs ? (depth + 1) / 2 : depth);
    int64_t features = contraction.pairs ? 2 * units : units;
    sweep.buffers[contraction.getResult()] = scratch.get({rows, columns}, type);
    sweep.staging.push_back(
        scratch.getPacked(state.lanes, features, element, contraction.pairs));
    sweep.keys.push_back(
        scratch.get({columns / panel, units, panel},
                    contraction.pairs ? Type(e.getI32Type()) : type));
  }
  auto elementOf = [&](Value value) {
    // Bits are kept as bytes.
    return value.getType().isInteger(1) ? Type(e.getI8Type()) : value.getType();
  };
  auto tileOf = [&](Value value) {
    return scratch.get({rows, columns}, elementOf(value));
  };
  for (Value value : plan.filled) {
    sweep.buffers[value] = tileOf(value);
  }
  for (auto [value, stage] : plan.saved) {
    sweep.buffers[value] = tileOf(value);
  }
  DenseSet<Value> taken;
  for (auto [stage, ops] : llvm::enumerate(plan.stages)) {
    for (Operation *op : ops) {
      if (isa<FoldOp, TopOp, BinsOp>(op)) {
        SmallVector<Value> &buffers = sweep.reducers.waiting[op];
        for (Value value : getReducedValues(op)) {
          buffers.push_back(scratch.get({columns}, elementOf(value)));
        }
        buffers.push_back(scratch.get({columns}, e.getI8Type()));
      }
      auto outer = dyn_cast<CarryOp>(op);
      if (!outer || outer.getKind() != CarryKind::Outer) {
        continue;
      }
      Type type = getElementTypeOrSelf(outer.getResult().getType());
      auto operand = outer.getOperandType();
      bool pairs = target.hasBF16Dot && operand && operand->isBF16() &&
                   holdsBF16(outer.getRow()) && type.isF32();
      Type element = pairs ? e.getBF16Type() : type;
      Packed coefficients;
      // Scores that nobody reads after this stage give their tile.
      for (Contraction &contraction : plan.contractions) {
        Value score = contraction.getResult();
        if (!pairs && score.getType() == type &&
            plan.lastUse.lookup(score) <= stage && taken.insert(score).second) {
          coefficients.floats = sweep.buffers.lookup(score);
          break;
        }
      }
      if (!coefficients) {
        coefficients = scratch.getPacked(rows, columns, element, pairs);
      }
      sweep.coefficients[op] = coefficients;
      sweep.reducers.coefficients[op] = coefficients.floats;
      Packed &values = sweep.values[outer.getRow()];
      int64_t width =
          pad(cast<VectorType>(outer.getRow().getType()).getNumElements());
      if (!values && pairs) {
        values.pairs = scratch.get({columns / 2, width}, e.getI32Type());
        values.floats = values.pairs;
      } else if (!values) {
        values.floats = scratch.get({columns, width}, type);
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// The sweep
//===----------------------------------------------------------------------===//

void Kernel::emitSweep(Block &block, SweepPlan &plan) {
  SweepOp op = plan.op;
  Sweep sweep(plan);
  allocateState(sweep);
  allocateTiles(sweep);
  Reducers reducers(state, plan, sweep.reducers);
  Scope &scope = *block.scope;
  Value lower = scope.get(op.getLower());
  sweep.upper = scope.get(op.getUpper());
  if (!op.getBounds().empty()) {
    Value last = e.sub(e.add(block.firstRow, block.rows), 1);
    auto [from, to] = evaluate(scope, op.getBounds(), {block.firstRow, last});
    lower = e.max(lower, from);
    sweep.upper = e.min(sweep.upper, to);
  }
  forEachRow(scope, e.index(0), block.rows, block.firstRow,
             [&](Scope &row, Value) { reducers.start(row); });
  e.ifThen(e.less(lower, sweep.upper), [&] {
    Scope inside(&scope);
    Block here{&inside, block.firstRow, block.rows};
    SmallVector<Value> arrays;
    if (!plan.rowValues.empty()) {
      int64_t rows = state.target.blockRows;
      for (Value value : plan.rowValues) {
        arrays.push_back(scratch.get({rows}, value.getType()));
      }
      forEachRow(inside, e.index(0), block.rows, block.firstRow,
                 [&](Scope &row, Value r) {
                   for (auto [value, array] :
                        llvm::zip(plan.rowValues, arrays)) {
                     e.store(row.get(value), array, r);
                   }
                 });
      for (auto [value, array] : llvm::zip(plan.rowValues, arrays)) {
        state.rowArrays[value] = array;
      }
    }
    for (Contraction &contraction : plan.contractions) {
      bool pairs = contraction.pairs;
      Type element =
          pairs ? e.getBF16Type() : contraction.getResult().getType();
      int64_t units = pad(pairs ? (contraction.getDepth() + 1) / 2
                                : contraction.getDepth());
      Packed rows = scratch.getPacked(
          state.target.blockRows, pairs ? 2 * units : units, element, pairs);
      packStationary(inside, contraction, block.rows, state.stream.getRowArg(),
                     block.firstRow, rows);
      sweep.rows.push_back(rows);
    }
    Scope firstRow(&inside);
    firstRow.bind(state.stream.getRowArg(), block.firstRow);
    for (ListedOp test : plan.tests) {
      state.listMaps[test] = emitListMap(firstRow, test, sweep.upper);
    }
    if (plan.driver) {
      emitListed(here, sweep, lower);
    } else {
      emitRange(here, sweep, lower);
    }
    for (Value value : plan.rowValues) {
      state.rowArrays.erase(value);
    }
    for (ListedOp test : plan.tests) {
      markManual(memref::DeallocOp::create(e, state.listMaps.lookup(test)));
    }
  });
  forEachRow(scope, e.index(0), block.rows, block.firstRow,
             [&](Scope &row, Value) { reducers.end(row); });
}

/// Consecutive keys from `lower` to the sweep's end, a tile at a time.
void Kernel::emitRange(Block &block, Sweep &sweep, Value lower) {
  e.loop(lower, sweep.upper, state.target.tileKeys, [&](Value firstKey) {
    Value columns =
        e.min(e.index(state.target.tileKeys), e.sub(sweep.upper, firstKey));
    emitTile(block, sweep,
             {firstKey, columns, e.sub(e.add(firstKey, columns), 1)});
  });
}

/// The keys that the list of this block of rows names, in their order.
void Kernel::emitListed(Block &block, Sweep &sweep, Value lower) {
  ListedOp driver = sweep.plan.driver;
  int64_t keys = driver.getKeyBlock();
  Scope first(block.scope);
  first.bind(state.stream.getRowArg(), block.firstRow);
  Visits visits = emitVisits(first, driver, lower, sweep.upper);
  if (keys < state.target.tileKeys) {
    emitCollected(block, sweep, visits);
    freeVisits(e, visits);
    return;
  }
  Value end = sweep.upper;
  e.loop(e.index(0), visits.count, 1, [&](Value v) {
    Value start = e.mul(e.load(visits.units, v), keys);
    sweep.upper = e.min(e.add(start, keys), end);
    emitRange(block, sweep, e.max(start, lower));
  });
  sweep.upper = end;
  freeVisits(e, visits);
}

/// Writes the keys of `count` units from number v on to the sweep's table.
void Kernel::fillTable(Sweep &sweep, const Visits &visits, Value v, Value count,
                       Value firstColumn) {
  int64_t keys = sweep.plan.driver.getKeyBlock();
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value start = e.mul(e.load(visits.units, e.add(v, u)), keys);
    Value column = e.add(firstColumn, e.mul(u, keys));
    e.loop(e.index(0), e.index(keys), 1, [&](Value k) {
      e.store(e.add(start, k), sweep.table, e.add(column, k));
    });
  });
}

/// Tiles of several units each, found through a table of keys. It holds the
/// keys of the next tile as well, which are asked for ahead.
void Kernel::emitCollected(Block &block, Sweep &sweep, const Visits &visits) {
  SweepPlan &plan = sweep.plan;
  int64_t keys = plan.driver.getKeyBlock();
  int64_t columns = state.target.tileKeys, units = columns / keys;
  sweep.table = scratch.get({2 * columns}, e.getIndexType());
  auto from = [&](Value v) {
    return e.max(e.min(e.index(units), e.sub(visits.count, v)), e.index(0));
  };
  Value first = e.index(0);
  fillTable(sweep, visits, first, from(first), first);
  SmallVector<RowOf> sources;
  for (Contraction &contraction : plan.contractions) {
    sources.push_back(contraction.streamed);
  }
  for (CarryOp outer : plan.getOuters()) {
    llvm::append_range(sources, getSourceRows(outer.getRow()));
  }
  e.loop(first, e.mul(from(first), keys), 1, [&](Value c) {
    Scope scope(block.scope);
    prefetchRows(scope, sources,
                 {plan.op.getKeyArg(), {}, {}, sweep.upper, sweep.table}, c, 1);
  });
  e.loop(first, visits.count, units, [&](Value v) {
    Value used = e.mul(from(v), keys), next = e.add(v, units);
    fillTable(sweep, visits, v, from(v), first);
    e.loop(used, e.index(columns), 1,
           [&](Value c) { e.store(sweep.upper, sweep.table, c); });
    fillTable(sweep, visits, next, from(next), e.index(columns));
    emitTile(block, sweep,
             {e.load(sweep.table, first), used,
              e.load(sweep.table, e.sub(used, 1))});
  });
}

void Kernel::emitTile(Block &block, Sweep &sweep, const Span &span) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  auto emitInside = [&] {
    Scope tile(&scope);
    for (Operation &inner : op.getBody().front()) {
      // What all entries share is computed once per tile.
      for (Value result : inner.getResults()) {
        if (state.analysis.isBlockUniform(result) &&
            !isa<VectorType>(result.getType()) && isMemoryEffectFree(&inner)) {
          tile.get(result);
        }
      }
    }
    KeyRange keys{op.getKeyArg(), span.firstKey,
                  e.roundUp(span.columns, state.lanes), sweep.upper,
                  sweep.table};
    for (auto [k, contraction] : llvm::enumerate(plan.contractions)) {
      packKeys(tile, contraction, keys, sweep.staging[k], sweep.keys[k]);
    }
    sweep.nonFinite = {};
    for (auto &[row, packed] : sweep.values) {
      packRows(tile, row, keys, packed);
      Value found = findNonFinite(state, keys, packed);
      sweep.nonFinite =
          sweep.nonFinite
              ? arith::OrIOp::create(e, sweep.nonFinite, found).getResult()
              : found;
    }
    e.loop(e.index(0), block.rows, state.target.tileRows, [&](Value first) {
      Value rows =
          e.min(e.index(state.target.tileRows), e.sub(block.rows, first));
      emitRowTile(sweep, tile, first, rows, e.add(block.firstRow, first), span);
    });
  };
  if (op.getTiles().empty()) {
    emitInside();
    return;
  }
  Value lastRow = e.sub(e.add(block.firstRow, block.rows), 1);
  Value needed = evaluate(scope, op.getTiles(),
                          {block.firstRow, lastRow, span.firstKey,
                           e.min(span.lastKey, e.sub(sweep.upper, 1))})
                     .first;
  e.ifThen(needed, emitInside);
}

void Kernel::emitRowTile(Sweep &sweep, Scope &outside, Value first, Value rows,
                         Value firstRow, const Span &span) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(&outside);
  Value lastRow = e.sub(e.add(firstRow, rows), 1);
  Value from = e.index(0), to = span.columns;
  Value firstKey = span.firstKey;
  int64_t panel = state.target.kernelVectors * state.lanes;
  if (!op.getBounds().empty() && !sweep.table) {
    auto [lower, upper] = evaluate(scope, op.getBounds(), {firstRow, lastRow});
    from = e.roundDown(e.max(from, e.min(e.sub(lower, firstKey), to)), panel);
    to = e.max(e.index(0), e.min(e.sub(upper, firstKey), to));
  }
  Value end = e.roundUp(to, state.lanes);
  Value needed = e.less(from, to);
  Value lastKey = sweep.table ? span.lastKey : e.sub(e.add(firstKey, end), 1);
  Value full = e.less(lastKey, sweep.upper);
  if (sweep.table) {
    full = e.both(full,
                  arith::CmpIOp::create(e, arith::CmpIPredicate::eq, end, to));
  }
  bool everFull = true;
  if (!op.getTiles().empty()) {
    auto [some, all] = evaluate(scope, op.getTiles(),
                                {firstRow, lastRow, e.add(firstKey, from),
                                 e.min(lastKey, e.sub(sweep.upper, 1))});
    needed = e.both(needed, some);
    full = e.both(full, all);
  } else if (plan.conditional) {
    everFull = false;
  }
  e.ifThen(needed, [&] {
    Scope inside(&scope);
    Tile tile{plan, sweep.buffers, firstKey, sweep.upper, first,      rows,
              from, end,           firstRow, {},          sweep.table};
    tile.scattered =
        sweep.table && plan.driver.getKeyBlock() % state.lanes != 0;
    emitScores(sweep, inside, tile);
    emitFilled(sweep, inside, tile, 0);
    auto emitStages = [&](bool whole) {
      Scope place(&inside);
      tile.full = whole;
      if (!whole && sweep.nonFinite) {
        tile.fill = e.select(sweep.nonFinite, e.constant64(kMarkerBits),
                             e.constant64(0));
      }
      for (unsigned stage = 0; stage < plan.stages.size(); ++stage) {
        tile.stage = stage;
        if (stage) {
          emitFilled(sweep, place, tile, stage);
        }
        emitStage(sweep, place, tile);
      }
    };
    if (everFull) {
      e.ifThen(full, [&] { emitStages(true); }, [&] { emitStages(false); });
      emitOuters(sweep, inside, tile,
                 arith::XOrIOp::create(e, full, e.truth(true)));
    } else {
      emitStages(false);
      emitOuters(sweep, inside, tile, e.truth(true));
    }
  });
}
