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

#include "FewRows.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

std::pair<Value, Value> Kernel::evaluateHere(Scope &outside, Region &region,
                                             ValueRange arguments) {
  Scope scope(&outside);
  for (auto [from, to] : llvm::zip(region.getArguments(), arguments)) {
    scope.bind(from, to);
  }
  Operation *yield = region.front().getTerminator();
  Value first = scope.get(yield->getOperand(0));
  return {first, scope.get(yield->getOperand(1))};
}

void Kernel::evaluateRows(Scope &rows, Region &region, ValueRange arguments) {
  DenseSet<Value> unknown;
  for (auto [k, argument] : llvm::enumerate(region.getArguments())) {
    if (k < arguments.size()) {
      rows.bind(argument, arguments[k]);
    } else {
      unknown.insert(argument);
    }
  }
  for (Operation &op : region.front().without_terminator()) {
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return unknown.contains(v); })) {
      unknown.insert(op.result_begin(), op.result_end());
    } else {
      rows.get(op.getResult(0));
    }
  }
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
      if (isa<AcrossOp>(op)) {
        continue; // is known in a tile
      }
      if (Type type = Reducers::getAuxiliaryType(op)) {
        sweep.reducers.auxiliary[op] = kept.get({rows}, type);
      }
      for (Value result : op->getResults()) {
        if (auto row = dyn_cast<VectorType>(result.getType())) {
          state.rowVectors[result] =
              kept.get({rows, pad(row.getNumElements())}, row.getElementType());
        } else if (!isa<TallyType>(result.getType())) {
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

/// How entries of `value` are kept: bits as bytes.
static Type getEntryType(Value value) {
  Type type = value.getType();
  return type.isInteger(1) ? IntegerType::get(type.getContext(), 8) : type;
}

Value Kernel::allocateTile(Value value, int64_t rows, int64_t columns) {
  return scratch.get({rows, columns}, getEntryType(value));
}

/// Tiles for the entries that are not computed where they are used.
void Kernel::allocateEntryTiles(TilePlan &plan, int64_t rows, int64_t columns,
                                DenseMap<Value, Value> &tiles) {
  auto allocate = [&](Value value) {
    tiles[value] = allocateTile(value, rows, columns);
  };
  llvm::for_each(plan.filled, allocate);
  for (DotOp dot : plan.pairs) {
    allocate(dot.getResult());
  }
  for (auto &product : plan.products) {
    allocate(product->op.getResult(0));
  }
  for (auto [value, stage] : plan.saved) {
    allocate(value);
  }
}

/// Buffers for a tile of `rows` and `columns`, aside from those of collectives
/// and of the contraction `given`; contractions pack up to `packedRows`.
void Kernel::allocateEntries(TilePlan &plan, int64_t rows, int64_t columns,
                             int64_t packedRows, TileBuffers &buffers,
                             Operation *given) {
  int64_t panel = getPanel();
  for (Contraction &contraction : plan.contractions) {
    Type type = contraction.getResult().getType();
    Type element = contraction.element;
    int64_t group = contraction.group;
    int64_t units = pad(contraction.getUnits());
    if (contraction.op != given) {
      buffers.tiles[contraction.getResult()] =
          scratch.get({rows, columns}, type);
    }
    // Rows of quads end in what their sums start with (Microkernel.h).
    int64_t rowUnits = group == 4 ? units + 1 : units;
    buffers.rows.push_back(
        scratch.getPacked(packedRows, group * rowUnits, element, group));
    buffers.spread.emplace_back();
    if (state.analysis.isDirect(contraction)) {
      buffers.staging.emplace_back();
      buffers.keys.emplace_back();
      if (group == 2) {
        buffers.spread.back() =
            scratch.get({state.analysis.getDirectRows(),
                         getSpreadUnits(contraction, state.lanes)},
                        e.getI32Type());
      }
      continue;
    }
    buffers.staging.push_back(
        scratch.getPacked(state.lanes, group * units, element, group));
    buffers.keys.push_back(scratch.get({columns / panel, units, panel},
                                       group == 1 ? element : e.getI32Type()));
  }
  allocateEntryTiles(plan, rows, columns, buffers.tiles);
}

void Kernel::allocateTiles(Sweep &sweep) {
  SweepPlan &plan = sweep.plan;
  const TargetInfo &target = state.target;
  int64_t rows = state.tiling.tileRows;
  int64_t columns = llvm::alignTo(state.tiling.tileKeys, getPanel());
  allocateEntries(plan, rows, columns, state.tiling.blockRows, sweep.entries);
  if (mayCutPieces(plan)) {
    int64_t groups = llvm::divideCeil(rows, target.kernelRows);
    int64_t most = llvm::divideCeil(columns, 2 * state.lanes);
    sweep.pieces = scratch.get({groups, 1 + 2 * most}, e.getIndexType());
  }
  // From the inside: results lend their tiles to what is around them.
  for (auto &collective : llvm::reverse(plan.allCollectives)) {
    allocateCollective(sweep, *collective);
  }
  for (AcrossOp across : plan.joined) {
    sweep.entries.tiles[across.getResult()] = allocateTile(
        across.getResult(), state.analysis.getPackedHeads(), columns);
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
      if (isa<FoldOp, TopOp, BinsOp>(op)) {
        SmallVector<Value> &buffers = sweep.reducers.waiting[op];
        for (Value value : getReducedValues(op)) {
          buffers.push_back(scratch.get({columns}, getEntryType(value)));
        }
        buffers.push_back(scratch.get({columns}, e.getI8Type()));
      }
      auto outer = dyn_cast<CarryOp>(op);
      if (!outer || outer.getKind() != CarryKind::Outer) {
        continue;
      }
      Type type = getElementTypeOrSelf(outer.getResult().getType());
      auto operand = outer.getOperandType();
      bool own = plan.ownRows.contains(op);
      bool pairs = !own && target.hasBF16Dot && operand && operand->isBF16() &&
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
        coefficients =
            scratch.getPacked(rows, columns, element, /*group=*/pairs ? 2 : 1);
      }
      sweep.coefficients[op] = coefficients;
      sweep.reducers.coefficients[op] = coefficients.floats;
      if (own) {
        continue;
      }
      Packed &values = sweep.values[{outer.getRow(), element}];
      int64_t width =
          pad(cast<VectorType>(outer.getRow().getType()).getNumElements());
      if (values || isDirect(outer.getRow())) {
        continue;
      }
      if (pairs) {
        values.pairs = scratch.get({columns / 2, width}, e.getI32Type());
        values.floats = values.pairs;
      } else {
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
  for (auto [contraction, packed, spread] :
       llvm::zip(plan.contractions, sweep.entries.rows, sweep.entries.spread)) {
    packStationary(*block.scope, contraction, rows, packed, e.index(0));
    if (spread) {
      spreadPairs(state, contraction, packed.pairs, spread);
    }
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
    auto [from, to] = evaluate(block, op.getBounds(),
                               state.getRowRange(block.firstRow, last));
    // Tiles start at the same keys whatever the block, and results of a row do
    // not depend on the number of threads.
    Value before = e.max(e.sub(from, lower), e.index(0));
    sweep.begin = e.add(lower, before);
    lower = e.add(lower, e.roundDown(before, state.tiling.tileKeys));
    sweep.upper = e.min(sweep.upper, to);
  }
  forEachHead(block, [&](RowBlock &here) {
    forEachRow(here, [&](Scope &row, Value) { reducers.start(row); });
  });
  e.ifThen(e.less(lower, sweep.upper), [&] {
    Scope inside(&scope);
    reducers.allocateBins();
    RowBlock here{&inside, block.firstRow, block.rows, block.stateRow};
    if (!state.analysis.keepsHeads()) {
      prepareRows(here, sweep);
    }
    startCollectives(sweep);
    Scope firstRow(&inside);
    firstRow.bind(state.stream.getRowArg(),
                  state.getRowRange(block.firstRow, block.firstRow)[0]);
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
  forEachHead(block, [&](RowBlock &here) {
    forEachRow(here, [&](Scope &row, Value) { reducers.end(row); });
  });
}

/// Consecutive keys from `lower` to the sweep's end, a tile at a time.
void Kernel::emitRange(RowBlock &block, Sweep &sweep, Value lower) {
  int64_t tileKeys = state.tiling.tileKeys;
  e.loop(lower, sweep.upper, tileKeys, [&](Value firstKey) {
    Value columns = e.min(e.index(tileKeys), e.sub(sweep.upper, firstKey));
    Span span{firstKey, columns, e.sub(e.add(firstKey, columns), 1)};
    if (sweep.begin) {
      Value before = e.max(e.sub(sweep.begin, firstKey), e.index(0));
      span.begin = e.roundDown(before, getPanel());
    }
    emitTile(block, sweep, span);
  });
}

/// The keys that the list of this block of rows names, in their order.
void Kernel::emitListed(RowBlock &block, Sweep &sweep, Value lower) {
  ListedOp driver = sweep.plan.driver;
  int64_t keys = driver.getKeyBlock();
  Scope first(block.scope);
  first.bind(state.stream.getRowArg(),
             state.getRowRange(block.firstRow, block.firstRow)[0]);
  Visits visits = emitVisits(first, driver, lower, sweep.upper);
  // A stencil's halo is made of neighbours, which a collected tile lacks.
  if (keys < state.tiling.tileKeys && sweep.plan.allCollectives.empty()) {
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

/// Writes the keys of `count` units from number v on to the sweep's table. Keys
/// before the sweep are absent, like those behind it.
void Kernel::fillTable(Sweep &sweep, const Visits &visits, Value v, Value count,
                       Value firstColumn) {
  int64_t keys = sweep.plan.driver.getKeyBlock();
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value start = e.mul(e.load(visits.units, e.add(v, u)), keys);
    Value column = e.add(firstColumn, e.mul(u, keys));
    e.loop(e.index(0), e.index(keys), 1, [&](Value k) {
      Value key = e.add(start, k);
      if (sweep.start) {
        key = e.select(e.less(key, sweep.start), sweep.upper, key);
      }
      e.store(key, sweep.table, e.add(column, k));
    });
  });
}

/// Tiles of several units each, found through a table of keys. It holds the
/// keys of the next tile as well, which are asked for ahead.
void Kernel::emitCollected(RowBlock &block, Sweep &sweep,
                           const Visits &visits) {
  SweepPlan &plan = sweep.plan;
  int64_t keys = plan.driver.getKeyBlock();
  int64_t columns = state.tiling.tileKeys, units = columns / keys;
  sweep.table = scratch.get({2 * columns}, e.getIndexType());
  std::optional<int64_t> lower = getConstantIntValue(plan.op.getLower());
  if (!lower || *lower % keys) {
    sweep.start = block.scope->get(plan.op.getLower());
  }
  auto from = [&](Value v) {
    return e.max(e.min(e.index(units), e.sub(visits.count, v)), e.index(0));
  };
  Value first = e.index(0);
  fillTable(sweep, visits, first, from(first), first);
  SmallVector<RowOf> sources;
  for (Contraction &contraction : plan.contractions) {
    llvm::append_range(sources, getSourceRows(contraction.streamed));
  }
  for (CarryOp outer : plan.getOuters()) {
    llvm::append_range(sources, getSourceRows(RowOf::get(outer.getRow())));
  }
  e.loop(first, e.mul(from(first), keys), 1, [&](Value c) {
    Scope scope(block.scope);
    prefetchRows(
        scope, sources,
        {plan.keyArg, {}, {}, sweep.upper, /*halo=*/false, sweep.table}, c, 1);
  });
  e.loop(first, visits.count, units, [&](Value v) {
    Value used = e.mul(from(v), keys), next = e.add(v, units);
    fillTable(sweep, visits, v, from(v), first);
    e.loop(used, e.index(columns), 1,
           [&](Value c) { e.store(sweep.upper, sweep.table, c); });
    fillTable(sweep, visits, next, from(next), e.index(columns));
    Value firstKey = e.mul(e.load(visits.units, v), keys);
    Value lastKey = e.load(sweep.table, e.sub(used, 1));
    if (sweep.start) {
      // A tile that lacks keys at its front is no more full than one that lacks
      // them at its end.
      lastKey = e.select(e.less(firstKey, sweep.start), sweep.upper, lastKey);
      firstKey = e.max(firstKey, sweep.start);
    }
    emitTile(block, sweep, {firstKey, used, lastKey});
  });
}

/// Packs the rows of outer carries that are not read where they are. Whether
/// any number in them is not finite; null without any.
Value Kernel::packValues(Sweep &sweep, Scope &tile, KeyRange keys) {
  Value result;
  for (auto &[key, packed] : sweep.values) {
    Value row = key.first;
    if (isDirect(row)) {
      continue;
    }
    packRows(tile, row, keys, packed);
    Value found = findNonFinite(state, keys, packed);
    result =
        result ? arith::OrIOp::create(e, result, found).getResult() : found;
  }
  return result;
}

void Kernel::emitTile(RowBlock &block, Sweep &sweep, const Span &span) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  auto emitInside = [&] {
    Scope tile(&scope);
    computeUniform(tile, op.getBody().front(), /*ofHead=*/false);
    Tile around{plan,
                sweep.entries.tiles,
                span.firstKey,
                sweep.upper,
                e.index(0),
                block.rows,
                e.index(0),
                e.index(0),
                e.roundUp(span.columns, state.lanes),
                block.firstRow};
    fillCollectives(sweep, plan.sharedFills, tile, around);
    RowBlock shared{&tile, block.firstRow, block.rows, block.stateRow};
    forEachHead(shared, [&](RowBlock &here) {
      if (!state.analysis.keepsHeads()) {
        emitHeadTile(here, sweep, span);
        return;
      }
      computeUniform(*here.scope, op.getBody().front(), /*ofHead=*/true);
      prepareRows(here, sweep);
      fillCollectives(sweep, plan.fills, *here.scope, around);
      emitHeadTile(here, sweep, span);
    });
  };
  if (op.getTiles().empty()) {
    emitInside();
    return;
  }
  Value lastRow = e.sub(e.add(block.firstRow, block.rows), 1);
  RowBlock here{&scope, block.firstRow, block.rows, block.stateRow};
  SmallVector<Value> corners = state.getRowRange(block.firstRow, lastRow);
  corners.append({span.firstKey, e.min(span.lastKey, e.sub(sweep.upper, 1))});
  Value needed = evaluate(here, op.getTiles(), corners).first;
  e.ifThen(needed, emitInside);
}

/// The keys of a tile, as packing sees them.
KeyRange Kernel::getKeys(Sweep &sweep, const Span &span) {
  return {
      sweep.plan.keyArg, span.firstKey, e.roundUp(span.columns, state.lanes),
      sweep.upper,
      /*halo=*/false,    sweep.table,   span.begin};
}

/// The keys of a tile, against the rows of a block at one head.
void Kernel::emitHeadTile(RowBlock &block, Sweep &sweep, const Span &span) {
  SweepPlan &plan = sweep.plan;
  Scope &tile = *block.scope;
  KeyRange keys = getKeys(sweep, span);
  sweep.nonFinite = packValues(sweep, tile, keys);
  for (auto [contraction, staging, packedKeys] : llvm::zip(
           plan.contractions, sweep.entries.staging, sweep.entries.keys)) {
    if (state.analysis.isDirect(contraction)) {
      continue;
    }
    Packed sameRows;
    for (auto &[key, packed] : sweep.values) {
      if (!packed.pairs && !isDirect(key.first) &&
          streamsRow(contraction, key.first)) {
        sameRows = packed;
      }
    }
    packKeys(tile, contraction, keys, staging, sameRows, packedKeys);
  }
  e.loop(e.index(0), block.rows, state.tiling.tileRows, [&](Value first) {
    Value rows =
        e.min(e.index(state.tiling.tileRows), e.sub(block.rows, first));
    emitRowTile(sweep, block, first, rows, span);
  });
}

/// Whether entries may be missing where bounds of rows do not tell: sums and
/// comparisons of positions leave one range of keys, which bounds are.
static bool leavesGaps(Region &tiles) {
  return !tiles.empty() &&
         llvm::any_of(tiles.front().without_terminator(), [](Operation &op) {
           return !isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp,
                       arith::MaxSIOp, arith::CmpIOp, arith::AndIOp,
                       arith::ConstantOp>(op);
         });
}

/// Columns [from, end) of a tile without the panels at both ends in which no
/// entry is present; all of them if the tile is full.
std::pair<Value, Value> Kernel::trim(Scope &scope, Sweep &sweep, Value firstRow,
                                     Value lastRow, Value firstKey, Value from,
                                     Value end, Value full) {
  SmallVector<Value> rows = state.getRowRange(firstRow, lastRow);
  Scope place(&scope);
  evaluateRows(place, sweep.plan.op.getTiles(), rows);
  auto found =
      e.loop(from, e.select(full, from, end), getPanel(), {end, from},
             [&](Value column, ValueRange so) -> SmallVector<Value> {
               Value next = e.min(e.add(column, getPanel()), end);
               SmallVector<Value> corners(rows);
               corners.append({e.add(firstKey, column),
                               e.min(e.sub(e.add(firstKey, next), 1),
                                     e.sub(sweep.upper, 1))});
               Value some =
                   evaluateHere(place, sweep.plan.op.getTiles(), corners).first;
               return {e.select(some, e.min(so[0], column), so[0]),
                       e.select(some, next, so[1])};
             });
  return {e.select(full, from, e.min(found[0], found[1])),
          e.select(full, end, found[1])};
}

void Kernel::emitRowTile(Sweep &sweep, RowBlock &block, Value first, Value rows,
                         const Span &span) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  Value firstRow = e.add(block.firstRow, first);
  Value lastRow = e.sub(e.add(firstRow, rows), 1);
  Value from = span.begin ? span.begin : e.index(0), to = span.columns;
  Value firstKey = span.firstKey;
  if (!op.getBounds().empty() && !sweep.table) {
    auto [lower, upper] = evaluateHere(scope, op.getBounds(),
                                       state.getRowRange(firstRow, lastRow));
    Value first = e.max(e.index(0), e.min(e.sub(lower, firstKey), to));
    from = e.max(from, e.roundDown(first, getPanel()));
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
    SmallVector<Value> corners = state.getRowRange(firstRow, lastRow);
    corners.append(
        {e.add(firstKey, from), e.min(lastKey, e.sub(sweep.upper, 1))});
    auto [some, all] = evaluateHere(scope, op.getTiles(), corners);
    needed = e.both(needed, some);
    full = e.both(full, all);
  } else if (plan.conditional) {
    everFull = false;
  }
  e.ifThen(needed, [&] {
    Scope inside(&scope);
    if (leavesGaps(op.getTiles()) && !sweep.table) {
      std::tie(from, end) =
          trim(inside, sweep, firstRow, lastRow, firstKey, from, end, full);
    }
    Tile tile{plan,
              sweep.entries.tiles,
              firstKey,
              sweep.upper,
              e.add(block.stateRow, first),
              rows,
              first,
              from,
              end,
              firstRow};
    // Bounds that are those of all rows have cut the tile already.
    bool byRow = llvm::any_of(op.getBounds().getArguments(),
                              [](Value row) { return !row.use_empty(); });
    // Values that are read where they lie take part with all keys of a tile.
    bool direct = llvm::any_of(plan.getOuters(), [&](CarryOp outer) {
      return isDirect(outer.getRow());
    });
    if (byRow && !direct && !op.getTiles().empty() && !sweep.table &&
        plan.allCollectives.empty() && plan.ownRows.empty()) {
      tile.bounds = &op.getBounds();
    }
    if (sweep.pieces && tile.bounds) {
      tile.pieces = sweep.pieces;
      findPieces(sweep, inside, tile, full);
    }
    tile.table = sweep.table;
    // Where keys of a unit are missing, the others are not consecutive.
    tile.scattered =
        sweep.table &&
        (sweep.start || plan.driver.getKeyBlock() % state.lanes != 0);
    tile.next = block.next;
    tile.nextKeys = block.nextKeys;
    bindResults(sweep, plan, inside, sweep.entries.tiles);
    emitScores(sweep.entries, inside, tile);
    emitEntryTiles(inside, tile, 0);
    Value partial =
        everFull ? arith::XOrIOp::create(e, full, e.truth(true)).getResult()
                 : e.truth(true);
    auto emitStages = [&](bool whole) {
      Scope place(&inside);
      tile.full = whole;
      tile.fill = e.constant64(0);
      if (!whole && direct) {
        tile.fill = e.constant64(kMarkerBits);
      } else if (!whole && sweep.nonFinite) {
        tile.fill = e.select(sweep.nonFinite, e.constant64(kMarkerBits),
                             e.constant64(0));
      }
      for (unsigned stage = 0; stage < plan.stages.size(); ++stage) {
        tile.stage = stage;
        if (stage) {
          emitEntryTiles(place, tile, stage);
        }
        emitStage(sweep, place, tile);
      }
    };
    if (everFull) {
      e.ifThen(full, [&] { emitStages(true); }, [&] { emitStages(false); });
    } else {
      emitStages(false);
    }
    emitOuters(sweep, inside, tile, partial, direct);
  });
}
