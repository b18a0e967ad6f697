//===- RowTile.cpp - one tile of rows and keys ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Contractions fill score tiles; each stage is a loop over rows around a loop
// over columns; outer carries end it with a second product. See Kernel.h.
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// The keys of the next tile, or of the next head, come from the outer caches.
/// They are asked for a few at a time, spread over the products of this tile:
/// `part` of `parts`, at row r.
void Kernel::emitPrefetch(Scope &scope, Tile &tile, ArrayRef<RowOf> sources,
                          Value r, Value part, int64_t parts) {
  const Tiling &tiling = state.tiling;
  int64_t groups = tiling.blockRows / state.target.kernelRows * parts;
  int64_t count = (tiling.tileKeys + groups - 1) / groups;
  Value group = e.div(e.add(tile.packedRow, r), state.target.kernelRows);
  Value first = e.mul(e.add(e.mul(group, parts), part), count);
  Value ahead = tile.next ? tile.nextKeys : e.index(tiling.tileKeys);
  prefetchRows(tile.next ? *tile.next : scope, sources, tile.getKeys(),
               e.add(ahead, first), count);
}

Tile Kernel::narrow(Scope &scope, const Tile &tile, Value row) {
  Tile narrowed = tile;
  if (tile.bounds) {
    int64_t rows = state.target.kernelRows;
    Value first = e.add(tile.globalRow, row);
    Value last =
        e.sub(e.add(first, e.min(e.index(rows), e.sub(tile.rows, row))), 1);
    auto [lower, upper] =
        evaluateHere(scope, *tile.bounds, state.getRowRange(first, last));
    auto clamp = [&](Value column) {
      return e.max(tile.firstColumn, e.min(column, tile.columns));
    };
    narrowed.firstColumn = clamp(e.roundDown(
        e.max(e.sub(lower, tile.firstKey), e.index(0)), state.lanes));
    narrowed.columns = clamp(
        e.roundUp(e.max(e.sub(upper, tile.firstKey), e.index(0)), state.lanes));
  }
  return narrowed;
}

void Kernel::emitScores(TileBuffers &buffers, Scope &scope, Tile &tile) {
  int64_t panel = getPanel();
  for (auto [contraction, rows, keys] :
       llvm::zip(tile.plan.contractions, buffers.rows, buffers.keys)) {
    if (isa<DotWithOp>(contraction.op)) {
      emitDotWith(contraction, rows.floats, keys, scope, tile);
      continue;
    }
    if (isDirect(contraction)) {
      emitScoresDirect(contraction, rows, scope, tile);
      continue;
    }
    Value end = e.index(contraction.getUnits());
    SmallVector<RowOf> sources = getSourceRows(contraction.streamed);
    Value lastPanel = e.div(e.add(tile.columns, panel - 1), panel);
    e.loop(e.div(tile.firstColumn, panel), lastPanel, 1, [&](Value p) {
      e.loop(e.index(0), tile.rows, state.target.kernelRows, [&](Value r) {
        emitPrefetch(scope, tile, sources, r, p,
                     std::max<int64_t>(1, state.tiling.tileKeys / panel));
        Value first = e.mul(p, panel);
        auto emitVectors = [&, rows = rows, keys = keys,
                            contraction = &contraction](Value column,
                                                        int64_t vectors) {
          Value inPanel = e.sub(column, first);
          auto loadB = [&](Value d, int64_t v) {
            return e.loadVector(keys, {p, d, e.add(inPanel, v * state.lanes)},
                                state.lanes);
          };
          emitProduct(state,
                      {rows.operand(), e.add(tile.packedRow, r), e.index(0),
                       end, tile.buffers.lookup(contraction->getResult()), r,
                       column, vectors, /*accumulate=*/false, loadB,
                       /*startsWithLast=*/contraction->group == 4});
        };
        if (!tile.bounds) {
          emitVectors(first, state.tiling.keyVectors);
          return;
        }
        Tile narrowed = narrow(scope, tile, r);
        Value lower = e.max(first, narrowed.firstColumn);
        Value upper = e.min(e.add(first, panel), narrowed.columns);
        e.ifThen(
            e.equal(e.sub(upper, lower), e.index(panel)),
            [&] { emitVectors(first, state.tiling.keyVectors); },
            [&] {
              e.loop(lower, upper, state.lanes,
                     [&](Value column) { emitVectors(column, 1); });
            });
      });
    });
  }
}

/// The region on W keys at a time, over packed keys.
void Kernel::emitDotWith(Contraction &contraction, Value rows, Value keys,
                         Scope &scope, Tile &tile) {
  auto op = cast<DotWithOp>(contraction.op);
  Type element = op.getResult().getType();
  auto type = VectorType::get({state.lanes}, element);
  int64_t panel = getPanel();
  FeatureReduceKind kind = op.getKind();
  Value init = kind == FeatureReduceKind::Sum
                   ? e.constant(type, 0)
                   : e.infinity(type, kind == FeatureReduceKind::Max);
  forEachRow(scope, tile, [&](Scope &row, Value r) {
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    row.get(captured.getArrayRef());
    e.loop(tile.firstColumn, tile.columns, state.lanes, [&](Value c) {
      Value p = e.div(c, panel), column = e.sub(c, e.mul(p, panel));
      Value sum = e.loop(
          e.index(0), e.index(contraction.getDepth()), 1, init,
          [&](Value d, ValueRange so) -> SmallVector<Value> {
            Value a = e.broadcast(e.load(rows, {e.add(tile.packedRow, r), d}),
                                  state.lanes);
            Value b = e.loadVector(keys, {p, d, column}, state.lanes);
            if (contraction.swapped) {
              std::swap(a, b);
            }
            Scope place(&row);
            Value term =
                inlineRegion(e, op.getBody(), {a, b, d}, place, state.lanes);
            switch (kind) {
            case FeatureReduceKind::Sum:
              return {arith::AddFOp::create(e, so[0], term)};
            case FeatureReduceKind::Max:
              return {arith::MaximumFOp::create(e, so[0], term)};
            case FeatureReduceKind::Min:
              return {arith::MinimumFOp::create(e, so[0], term)};
            }
            llvm_unreachable("all kinds handled");
          })[0];
      e.storeVector(sum, tile.buffers.lookup(op.getResult()), {r, c});
    });
  });
}

/// An element of a tile, where bits are kept as bytes.
static Value loadEntry(Emit &e, Value tile, Type type, ValueRange place) {
  Value x = e.load(tile, place);
  return type.isInteger(1) ? arith::TruncIOp::create(e, type, x).getResult()
                           : x;
}

/// Entries that have no vector form, one by one.
void Kernel::emitFilled(KernelState &kernel, Tile &tile, unsigned level,
                        RowLoop rows) {
  auto values = llvm::filter_to_vector(tile.plan.filled, [&](Value value) {
    return kernel.analysis.getClass(value).level == level;
  });
  if (values.empty()) {
    return;
  }
  rows([&](Scope &row, Value r) {
    e.loop(tile.firstColumn, tile.columns, 1, [&](Value c) {
      Scope entry(&row);
      entry.bind(tile.plan.keyArg, tile.getKeys().at(e, c));
      for (CollectivePlan *collective : tile.plan.collectives) {
        for (Value result : collective->op->getResults()) {
          if (Value known = tile.buffers.lookup(result)) {
            entry.bind(result, loadEntry(e, known, result.getType(), {r, c}));
          }
        }
      }
      for (AcrossOp across : tile.plan.joined) {
        Entries entries(row, tile, r, c);
        entry.bind(across.getResult(),
                   e.load(tile.buffers.lookup(across.getResult()),
                          {entries.getJoinedRow(), c}));
      }
      for (Value value : values) {
        Value x = entry.get(value);
        if (value.getType().isInteger(1)) {
          x = arith::ExtUIOp::create(e, e.getI8Type(), x);
        }
        e.store(x, tile.buffers.lookup(value), {r, c});
      }
    });
  });
}

void Kernel::emitEntryTiles(Scope &scope, Tile &tile, unsigned level) {
  auto rows = [&](llvm::function_ref<void(Scope &, Value)> body) {
    forEachRow(scope, tile, body);
  };
  if (level == 0) {
    emitPairs(state, tile, rows);
    emitProducts(state, scope, tile, rows);
  }
  emitFilled(state, tile, level, rows);
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// Writes before the column loop what its entries share.
static void prepareStage(KernelState &state, Scope &row, const Tile &tile,
                         SweepPlan &plan) {
  for (Operation &op : plan.op.getBody().front()) {
    if (op.getNumResults() == 0 ||
        !state.analysis.getClass(op.getResult(0)).key ||
        state.analysis.getClass(op.getResult(0)).level > tile.stage) {
      continue;
    }
    if (&op == tile.plan.driver) {
      continue;
    }
    for (Value operand : op.getOperands()) {
      if (!state.analysis.getClass(operand).key &&
          !isa<VectorType, ShapedType>(operand.getType())) {
        row.get(operand);
      }
    }
  }
}

void Kernel::emitColumns(Sweep &sweep, Scope &row, Tile &tile, Value tileRow,
                         Value lower, Value upper, int64_t unroll,
                         SmallVector<Value> &partials) {
  SweepPlan &plan = sweep.plan;
  Reducers reducers(state, plan, sweep.reducers);
  partials = e.loop(
      lower, upper, unroll * state.lanes, partials,
      [&](Value column, ValueRange carried) {
        SmallVector<Entries> entries;
        for (int64_t k = 0; k < unroll; ++k) {
          entries.emplace_back(row, tile, tileRow,
                               e.add(column, k * state.lanes));
        }
        // An outer carry may overwrite the scores that another one reads.
        for (Entries &one : entries) {
          for (Contraction &contraction : plan.contractions) {
            one.get(contraction.getResult());
          }
          for (CollectivePlan *collective : plan.collectives) {
            one.get(collective->op->getResult(0));
          }
        }
        SmallVector<Value> next;
        for (Operation *op : plan.stages[tile.stage]) {
          size_t count = reducers.partials(op, tile).size();
          llvm::append_range(
              next, reducers.take(op, entries, carried.take_front(count)));
          carried = carried.drop_front(count);
        }
        for (auto [value, stage] : plan.saved) {
          for (Entries &one : entries) {
            if (stage == tile.stage &&
                !(tile.isWhole() && plan.presences.contains(value))) {
              one.get(value);
            }
          }
        }
        return next;
      });
}

/// Columns [first, end) of a tile of the few rows of a microkernel: whole
/// panels in which every entry is present.
std::pair<Value, Value> Kernel::findDense(Scope &scope, SweepPlan &plan,
                                          const Tile &tile, Value row) {
  int64_t panel = getPanel();
  Value from = tile.firstColumn;
  Value first = e.add(tile.globalRow, row);
  Value count = e.min(e.index(state.target.kernelRows), e.sub(tile.rows, row));
  SmallVector<Value> rows =
      state.getRowRange(first, e.sub(e.add(first, count), 1));
  SmallVector<Value> found = e.loop(
      e.div(e.add(from, panel - 1), panel), e.div(tile.columns, panel), 1,
      {from, from}, [&](Value p, ValueRange so) -> SmallVector<Value> {
        Value column = e.mul(p, panel), end = e.add(column, panel);
        Value key = e.add(tile.firstKey, column), last = e.add(key, panel - 1);
        SmallVector<Value> corners(rows);
        corners.append({key, last});
        Value all = evaluateHere(scope, plan.op.getTiles(), corners).second;
        all = e.both(all, e.less(last, tile.upper));
        Value none = e.equal(so[0], so[1]);
        Value grows = e.both(all, e.either(none, e.equal(so[1], column)));
        return {e.select(e.both(all, none), column, so[0]),
                e.select(grows, end, so[1])};
      });
  return {found[0], found[1]};
}

/// A stage on one row of a tile, where `ranges` are columns that have not all
/// of their entries, and those that have, in turn.
void Kernel::emitStageRow(Sweep &sweep, Scope &row, Tile &tile, Value r,
                          ArrayRef<ColumnRange> ranges) {
  SweepPlan &plan = sweep.plan;
  Reducers reducers(state, plan, sweep.reducers);
  prepareStage(state, row, tile, plan);
  SmallVector<Value> partials;
  for (Operation *op : plan.stages[tile.stage]) {
    llvm::append_range(partials, reducers.partials(op, tile));
  }
  for (const ColumnRange &range : ranges) {
    Tile part = tile;
    part.dense = range.dense && !tile.full;
    emitColumns(sweep, row, part, r, range.first, range.end, range.unroll,
                partials);
  }
  ValueRange left = partials;
  for (Operation *op : plan.stages[tile.stage]) {
    size_t count = reducers.partials(op, tile).size();
    reducers.finish(op, row, tile, r, left.take_front(count));
    left = left.drop_front(count);
  }
}

void Kernel::emitStage(Sweep &sweep, Scope &scope, Tile &tile) {
  constexpr int64_t unroll = 4;
  for (Operation *op : sweep.plan.stages[tile.stage]) {
    if (auto across = dyn_cast<AcrossOp>(op)) {
      Reducers(state, sweep.plan, sweep.reducers).startJoined(across, tile);
    }
  }
  if (!tile.bounds || tile.full) {
    forEachRow(scope, tile, [&](Scope &row, Value r) {
      Value from = tile.firstColumn, to = tile.columns, middle = from;
      SmallVector<ColumnRange> ranges;
      if (tile.full) {
        middle =
            e.add(from, e.roundDown(e.sub(to, from), unroll * state.lanes));
        ranges.push_back({from, middle, unroll, /*dense=*/true});
      }
      ranges.push_back({middle, to, 1, /*dense=*/tile.full});
      emitStageRow(sweep, row, tile, r, ranges);
    });
    return;
  }
  RowRange rows = tile.getRows();
  int64_t together = state.target.kernelRows;
  // What is dense is whole panels, which may be of one vector.
  int64_t denseUnroll = state.tiling.keyVectors % 2 ? 1 : unroll / 2;
  e.loop(e.index(0), tile.rows, together, [&](Value group) {
    Tile part = narrow(scope, tile, group);
    auto [from, to] = findDense(scope, sweep.plan, part, group);
    ColumnRange ranges[] = {{part.firstColumn, from, 1, false},
                            {from, to, denseUnroll, true},
                            {to, part.columns, 1, false}};
    Value last = e.min(tile.rows, e.add(group, together));
    e.loop(group, last, 1, [&](Value r) {
      Scope row(&scope);
      rows.bind(row, r);
      row.setBlockRow(e.add(tile.firstRow, r));
      emitStageRow(sweep, row, part, r, ranges);
    });
  });
}

//===----------------------------------------------------------------------===//
// Outer carries
//===----------------------------------------------------------------------===//

void Kernel::emitOuters(Sweep &sweep, Scope &scope, Tile &tile, Value partial) {
  int64_t lanes = state.lanes, vectors = state.target.kernelVectors;
  for (CarryOp outer : sweep.plan.getOuters()) {
    if (sweep.plan.ownRows.contains(outer)) {
      emitOwnRows(sweep, outer, scope, tile);
      continue;
    }
    Packed a = sweep.coefficients.lookup(outer),
           b = sweep.values.lookup(
               {outer.getRow(), getElementTypeOrSelf(a.floats.getType())});
    Value out = state.rowVectors.lookup(outer.getResult());
    int64_t width = cast<MemRefType>(out.getType()).getDimSize(1) / lanes;
    int64_t step = a.pairs ? 2 : 1;
    SmallVector<RowOf> sources = getSourceRows(RowOf::get(outer.getRow()));
    auto emitPanel = [&](Value column, int64_t count) {
      e.loop(e.index(0), tile.rows, state.target.kernelRows, [&](Value r) {
        emitPrefetch(scope, tile, sources, r, e.div(column, vectors * lanes),
                     (width + vectors - 1) / vectors);
        auto loadB = [&](Value k, int64_t v) {
          return e.loadVector(b.operand(), {k, e.add(column, v * lanes)},
                              lanes);
        };
        Tile narrowed = narrow(scope, tile, r);
        emitProduct(state, {a.operand(), r, e.div(narrowed.firstColumn, step),
                            e.div(narrowed.columns, step), out,
                            e.add(tile.firstRow, r), column, count,
                            /*accumulate=*/true, loadB});
      });
    };
    auto emitAll = [&] {
      int64_t whole = width / vectors * vectors;
      if (whole == vectors) {
        emitPanel(e.index(0), vectors);
      } else if (whole) {
        e.loop(e.index(0), e.index(whole * lanes), vectors * lanes,
               [&](Value column) { emitPanel(column, vectors); });
      }
      if (width > whole) {
        emitPanel(e.index(whole * lanes), width - whole);
      }
    };
    auto emitPacked = [&] {
      e.ifThen(
          e.both(partial, sweep.nonFinite),
          [&] { emitGuarded(sweep, outer, scope, tile, b); }, emitAll);
    };
    if (isDirect(outer.getRow(), b)) {
      e.ifThen(partial, emitPacked,
               [&] { emitOuterDirect(sweep, outer, scope, tile); });
    } else {
      emitPacked();
    }
  }
}

/// Entry by entry, skipping absent ones: their rows may hold infinities.
void Kernel::emitGuarded(Sweep &sweep, CarryOp outer, Scope &scope, Tile &whole,
                         Packed rows) {
  Value coefficients = sweep.coefficients.lookup(outer).floats;
  Value out = state.rowVectors.lookup(outer.getResult());
  auto outType = cast<MemRefType>(out.getType());
  e.loop(e.index(0), whole.rows, 1, [&](Value r) {
    Tile tile = narrow(scope, whole, e.roundDown(r, state.target.kernelRows));
    e.loop(tile.firstColumn, tile.columns, 1, [&](Value c) {
      Value x = e.load(coefficients, {r, c});
      e.ifThen(isPresent(e, x), [&] {
        Value lanes = e.broadcast(e.convertFloat(x, outType.getElementType()),
                                  state.lanes);
        Value row = e.add(tile.firstRow, r);
        e.loop(e.index(0), e.index(outType.getDimSize(1)), state.lanes,
               [&](Value d) {
                 Value features;
                 if (rows.pairs) {
                   // The key is the lower or the upper half of each lane.
                   Value pair =
                       e.loadVector(rows.pairs, {e.div(c, 2), d}, state.lanes);
                   Value odd = arith::TruncIOp::create(
                       e, e.getI1Type(),
                       arith::IndexCastOp::create(e, e.getI32Type(), c));
                   Value sixteen = e.constant(pair.getType(), 16);
                   Value high = arith::ShLIOp::create(
                       e, arith::ShRUIOp::create(e, pair, sixteen), sixteen);
                   Value half = e.select(
                       odd, high, arith::ShLIOp::create(e, pair, sixteen));
                   features = arith::BitcastOp::create(
                       e, VectorType::get({state.lanes}, e.getF32Type()), half);
                 } else {
                   features = e.loadVector(rows.floats, {c, d}, state.lanes);
                 }
                 Value sum = e.loadVector(out, {row, d}, state.lanes);
                 e.storeVector(vector::FMAOp::create(e, lanes, features, sum),
                               out, {row, d});
               });
      });
    });
  });
}
