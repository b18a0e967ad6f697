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
static std::pair<Value, Value> evaluateHere(Scope &outside, Region &region,
                                            ValueRange arguments) {
  Scope scope(&outside);
  for (auto [from, to] : llvm::zip(region.getArguments(), arguments)) {
    scope.bind(from, to);
  }
  Operation *yield = region.front().getTerminator();
  Value first = scope.get(yield->getOperand(0));
  return {first, scope.get(yield->getOperand(1))};
}

std::pair<Value, Value> Kernel::evaluate(RowBlock &block, Region &region,
                                         ValueRange arguments) {
  if (!state.analysis.keepsHeads()) {
    return evaluateHere(*block.scope, region, arguments);
  }
  bool bounds = region.getNumArguments() == 2;
  SmallVector<Value> init{e.truth(false), e.truth(true)};
  if (bounds) {
    init = {e.index(std::numeric_limits<int64_t>::max()), e.index(0)};
  }
  auto joined =
      e.loop(e.index(0), e.index(state.tiling.heads), 1, init,
             [&](Value head, ValueRange so) -> SmallVector<Value> {
               Scope scope(block.scope);
               scope.bind(state.stream.getHeadArg(), head);
               auto [x, y] = evaluateHere(scope, region, arguments);
               if (bounds) {
                 return {e.min(so[0], x), e.max(so[1], y)};
               }
               return {arith::OrIOp::create(e, so[0], x), e.both(so[1], y)};
             });
  return {joined[0], joined[1]};
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

void Kernel::allocateState(Sweep &sweep) {
  int64_t rows = getStateRows();
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

/// A tile of `value`, bits as bytes.
Value Kernel::allocateTile(Value value, int64_t rows, int64_t columns) {
  Type type =
      value.getType().isInteger(1) ? Type(e.getI8Type()) : value.getType();
  return scratch.get({rows, columns}, type);
}

/// Buffers for a tile of `rows` and `columns`, aside from those of collectives
/// and of the contraction `given`; contractions pack up to `packedRows`.
void Kernel::allocateEntries(TilePlan &plan, int64_t rows, int64_t columns,
                             int64_t packedRows, TileBuffers &buffers,
                             Operation *given) {
  int64_t panel = getPanel();
  for (Contraction &contraction : plan.contractions) {
    Type type = contraction.getResult().getType();
    Type element = contraction.pairs ? e.getBF16Type() : type;
    int64_t depth = contraction.getDepth();
    // In units of what the microkernel multiplies.
    int64_t units = pad(contraction.pairs ? (depth + 1) / 2 : depth);
    int64_t features = contraction.pairs ? 2 * units : units;
    if (contraction.op != given) {
      buffers.tiles[contraction.getResult()] =
          scratch.get({rows, columns}, type);
    }
    buffers.rows.push_back(
        scratch.getPacked(packedRows, features, element, contraction.pairs));
    buffers.staging.push_back(
        scratch.getPacked(state.lanes, features, element, contraction.pairs));
    buffers.keys.push_back(
        scratch.get({columns / panel, units, panel},
                    contraction.pairs ? Type(e.getI32Type()) : type));
  }
  for (Value value : plan.filled) {
    buffers.tiles[value] = allocateTile(value, rows, columns);
  }
  for (auto [value, stage] : plan.saved) {
    buffers.tiles[value] = allocateTile(value, rows, columns);
  }
}

void Kernel::allocateTiles(Sweep &sweep) {
  SweepPlan &plan = sweep.plan;
  const TargetInfo &target = state.target;
  int64_t rows = state.tiling.tileRows;
  int64_t columns = llvm::alignTo(state.tiling.tileKeys, getPanel());
  allocateEntries(plan, rows, columns, state.tiling.blockRows, sweep.entries);
  // From the inside: results lend their tiles to what is around them.
  for (auto &collective : llvm::reverse(plan.allCollectives)) {
    allocateCollective(sweep, *collective);
  }
  for (Value value : plan.rowValues) {
    sweep.entries.arrays.push_back(
        scratch.get({getStateRows()}, value.getType()));
  }
  // Scores that nobody reads after some stage give their tile.
  SmallVector<std::pair<Value, Value>> scores;
  for (Contraction &contraction : plan.contractions) {
    Value score = contraction.getResult();
    scores.push_back({score, sweep.entries.tiles.lookup(score)});
  }
  for (CollectivePlan *collective : plan.collectives) {
    if (collective->getStencil()) {
      scores.push_back(
          {collective->op->getResult(0), sweep.collectives[collective].result});
    }
  }
  DenseSet<Value> taken;
  for (auto [stage, ops] : llvm::enumerate(plan.stages)) {
    for (Operation *op : ops) {
      if (auto fold = dyn_cast<FoldOp>(op)) {
        SmallVector<Value> &buffers = sweep.reducers.foldRows[op];
        for (Value value : fold.getValues()) {
          buffers.push_back(scratch.get({columns}, value.getType()));
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
      for (auto [score, tile] : scores) {
        if (!pairs && score.getType() == type &&
            plan.lastUse.lookup(score) <= stage && taken.insert(score).second) {
          coefficients.floats = tile;
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

/// Row values and packed rows of the sweep, for one head of the block.
void Kernel::prepareRows(RowBlock &block, Sweep &sweep) {
  SweepPlan &plan = sweep.plan;
  if (!plan.rowValues.empty()) {
    forEachRow(block, [&](Scope &row, Value) {
      for (auto [value, array] :
           llvm::zip(plan.rowValues, sweep.entries.arrays)) {
        e.store(row.get(value), array, row.getBlockRow());
      }
    });
    for (auto [value, array] :
         llvm::zip(plan.rowValues, sweep.entries.arrays)) {
      state.rowArrays[value] = array;
    }
  }
  RowRange rows{plan.rowArg, block.firstRow, block.rows, Value()};
  for (auto [contraction, packed] :
       llvm::zip(plan.contractions, sweep.entries.rows)) {
    packStationary(*block.scope, contraction, rows, packed);
  }
}

void Kernel::emitSweep(RowBlock &block, SweepPlan &plan) {
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
    auto [from, to] = evaluate(block, op.getBounds(), {block.firstRow, last});
    lower = e.max(lower, from);
    sweep.upper = e.min(sweep.upper, to);
  }
  forEachHead(block, [&](RowBlock &here) {
    forEachRow(here, [&](Scope &row, Value) { reducers.start(row); });
  });
  e.ifThen(e.less(lower, sweep.upper), [&] {
    Scope inside(&scope);
    RowBlock here{&inside, block.firstRow, block.rows, block.stateRow};
    if (!state.analysis.keepsHeads()) {
      prepareRows(here, sweep);
    }
    e.loop(lower, sweep.upper, state.tiling.tileKeys,
           [&](Value firstKey) { emitTile(here, sweep, firstKey); });
    for (Value value : plan.rowValues) {
      state.rowArrays.erase(value);
    }
  });
  forEachHead(block, [&](RowBlock &here) {
    forEachRow(here, [&](Scope &row, Value) { reducers.end(row); });
  });
}

void Kernel::emitTile(RowBlock &block, Sweep &sweep, Value firstKey) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  Value columns =
      e.min(e.index(state.tiling.tileKeys), e.sub(sweep.upper, firstKey));
  auto emitInside = [&] {
    Scope tile(&scope);
    computeUniform(tile, op.getBody().front(), /*ofHead=*/false);
    Tile around{plan,
                sweep.entries.tiles,
                firstKey,
                sweep.upper,
                e.index(0),
                block.rows,
                e.index(0),
                e.index(0),
                e.roundUp(columns, state.lanes),
                block.firstRow,
                {}};
    fillCollectives(sweep, plan.sharedFills, tile, around);
    RowBlock shared{&tile, block.firstRow, block.rows, block.stateRow};
    forEachHead(shared, [&](RowBlock &here) {
      if (!state.analysis.keepsHeads()) {
        emitHeadTile(here, sweep, firstKey, columns);
        return;
      }
      computeUniform(*here.scope, op.getBody().front(), /*ofHead=*/true);
      prepareRows(here, sweep);
      fillCollectives(sweep, plan.fills, *here.scope, around);
      emitHeadTile(here, sweep, firstKey, columns);
    });
  };
  if (op.getTiles().empty()) {
    emitInside();
    return;
  }
  Value lastRow = e.sub(e.add(block.firstRow, block.rows), 1);
  Value lastKey = e.sub(e.add(firstKey, columns), 1);
  RowBlock here{&scope, block.firstRow, block.rows, block.stateRow};
  Value needed = evaluate(here, op.getTiles(),
                          {block.firstRow, lastRow, firstKey, lastKey})
                     .first;
  e.ifThen(needed, emitInside);
}

/// The keys of a tile, against the rows of a block at one head.
void Kernel::emitHeadTile(RowBlock &block, Sweep &sweep, Value firstKey,
                          Value columns) {
  SweepPlan &plan = sweep.plan;
  Scope &tile = *block.scope;
  KeyRange keys{plan.keyArg, firstKey, e.roundUp(columns, state.lanes),
                sweep.upper};
  for (auto [k, contraction] : llvm::enumerate(plan.contractions)) {
    packKeys(tile, contraction, keys, sweep.entries.staging[k],
             sweep.entries.keys[k]);
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
  e.loop(e.index(0), block.rows, state.tiling.tileRows, [&](Value first) {
    Value rows =
        e.min(e.index(state.tiling.tileRows), e.sub(block.rows, first));
    emitRowTile(sweep, block, first, rows, firstKey, columns);
  });
}

void Kernel::emitRowTile(Sweep &sweep, RowBlock &block, Value first, Value rows,
                         Value firstKey, Value columns) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  Value firstRow = e.add(block.firstRow, first);
  Value lastRow = e.sub(e.add(firstRow, rows), 1);
  Value from = e.index(0), to = columns;
  if (!op.getBounds().empty()) {
    auto [lower, upper] =
        evaluateHere(scope, op.getBounds(), {firstRow, lastRow});
    from = e.roundDown(e.max(from, e.min(e.sub(lower, firstKey), columns)),
                       getPanel());
    to = e.max(e.index(0), e.min(e.sub(upper, firstKey), columns));
  }
  Value end = e.roundUp(to, state.lanes);
  Value needed = e.less(from, to);
  Value full = arith::CmpIOp::create(e, arith::CmpIPredicate::sle,
                                     e.add(firstKey, end), sweep.upper);
  bool everFull = true;
  if (!op.getTiles().empty()) {
    Value lastKey = e.sub(e.min(e.add(firstKey, end), sweep.upper), 1);
    auto [some, all] =
        evaluateHere(scope, op.getTiles(),
                     {firstRow, lastRow, e.add(firstKey, from), lastKey});
    needed = e.both(needed, some);
    full = e.both(full, all);
  } else if (plan.conditional) {
    everFull = false;
  }
  e.ifThen(needed, [&] {
    Scope inside(&scope);
    Tile tile{plan,
              sweep.entries.tiles,
              firstKey,
              sweep.upper,
              e.add(block.stateRow, first),
              rows,
              first,
              from,
              end,
              firstRow,
              {}};
    tile.next = block.next;
    tile.nextKeys = block.nextKeys;
    bindResults(sweep, plan, inside, sweep.entries.tiles);
    emitScores(sweep.entries, inside, tile);
    emitFilled(inside, tile, 0);
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
          emitFilled(place, tile, stage);
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
