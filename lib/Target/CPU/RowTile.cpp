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

#include "FewRows.h"

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
  Value row = e.add(tile.packedRow, r);
  row = tile.headRow ? e.sub(row, tile.headRow) : row;
  Value group = e.div(row, state.target.kernelRows);
  Value first = e.mul(e.add(e.mul(group, parts), part), count);
  Value ahead = tile.next ? tile.nextKeys : e.index(tiling.tileKeys);
  prefetchRows(tile.next ? *tile.next : scope, sources, tile.getKeys(),
               e.add(ahead, first), count);
}

Tile Kernel::narrow(Scope &scope, const Tile &tile, Value row, int64_t width) {
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
    narrowed.firstColumn = clamp(
        e.roundDown(e.max(e.sub(lower, tile.firstKey), e.index(0)), width));
    narrowed.columns =
        clamp(e.roundUp(e.max(e.sub(upper, tile.firstKey), e.index(0)), width));
  }
  return narrowed;
}

/// Whether a tile is worth looking for gaps in: some mask may leave them, which
/// scalar arithmetic tells, and whatever reads entries can pass over them.
bool Kernel::mayCutPieces(SweepPlan &plan) {
  Region &tiles = plan.op.getTiles();
  if (tiles.empty() || plan.op.getBounds().empty() ||
      !plan.allCollectives.empty() || !plan.ownRows.empty() ||
      !plan.joined.empty() || plan.contractions.empty()) {
    return false;
  }
  bool divides = false, plain = true;
  for (Operation &op : tiles.front().without_terminator()) {
    divides |=
        isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp>(op);
    plain &= isa<arith::ArithDialect, math::MathDialect>(op.getDialect());
  }
  for (auto &stage : plan.stages) {
    plain &= llvm::none_of(
        stage, [](Operation *op) { return isa<FoldOp, TopOp, BinsOp>(op); });
  }
  bool direct = llvm::any_of(plan.contractions, [&](Contraction &contraction) {
    return state.analysis.isDirect(contraction) ||
           isa<DotWithOp>(contraction.op);
  });
  return divides && plain && !direct;
}

void Kernel::findPieces(Sweep &sweep, Scope &scope, Tile &tile, Value full) {
  int64_t together = state.target.kernelRows;
  Region &tiles = sweep.plan.op.getTiles();
  e.loop(e.index(0), tile.rows, together, [&](Value row) {
    Value group = e.div(row, together), zero = e.index(0);
    Tile part = narrow(scope, tile, row, state.lanes);
    Value first = e.add(tile.globalRow, row);
    Value count = e.min(e.index(together), e.sub(tile.rows, row));
    SmallVector<Value> rows =
        state.getRowRange(first, e.sub(e.add(first, count), 1));
    Scope place(&scope);
    evaluateRows(place, tiles, rows);
    // Pieces so far, where the last one started, and where it ends.
    SmallVector<Value> start{zero, part.firstColumn, part.firstColumn};
    SmallVector<Value> found = e.loop(
        part.firstColumn, e.select(full, part.firstColumn, part.columns),
        state.lanes, start, [&](Value c, ValueRange so) -> SmallVector<Value> {
          Value key = e.add(tile.firstKey, c), end = e.add(c, state.lanes);
          SmallVector<Value> corners(rows);
          corners.append(
              {key, e.min(e.add(key, state.lanes - 1), e.sub(tile.upper, 1))});
          Value some = evaluateHere(place, tiles, corners).first;
          Value grows = e.both(e.equal(so[2], c), e.less(zero, so[0]));
          Value opens =
              e.both(some, arith::XOrIOp::create(e, grows, e.truth(true)));
          Value pieces = e.add(so[0], e.select(opens, e.index(1), zero));
          Value from = e.select(opens, c, so[1]);
          Value to = e.select(some, end, so[2]);
          // Written again as the piece grows.
          Value at = e.mul(e.max(e.sub(pieces, 1), zero), 2);
          e.store(from, tile.pieces, {group, e.add(at, 1)});
          e.store(to, tile.pieces, {group, e.add(at, 2)});
          return {pieces, from, to};
        });
    e.ifThen(full, [&] {
      e.store(part.firstColumn, tile.pieces, {group, e.index(1)});
      e.store(part.columns, tile.pieces, {group, e.index(2)});
    });
    e.store(e.select(full, e.index(1), found[0]), tile.pieces, {group, zero});
  });
}

void Kernel::forEachPiece(Scope &scope, const Tile &tile, Value row,
                          int64_t width,
                          llvm::function_ref<void(Value, Value)> body) {
  if (!tile.pieces) {
    Tile part = narrow(scope, tile, row, width);
    body(part.firstColumn, part.columns);
    return;
  }
  Value group = e.div(row, state.target.kernelRows);
  e.loop(e.index(0), e.load(tile.pieces, {group, e.index(0)}), 1, [&](Value k) {
    Value at = e.mul(k, 2);
    body(e.load(tile.pieces, {group, e.add(at, 1)}),
         e.load(tile.pieces, {group, e.add(at, 2)}));
  });
}

void Kernel::emitScores(TileBuffers &buffers, Scope &scope, Tile &tile) {
  int64_t panel = getPanel();
  for (auto [contraction, rows, keys, spread] :
       llvm::zip(tile.plan.contractions, buffers.rows, buffers.keys,
                 buffers.spread)) {
    if (isa<DotWithOp>(contraction.op)) {
      emitDotWith(contraction, rows.floats, keys, scope, tile);
      continue;
    }
    if (state.analysis.isDirect(contraction)) {
      if (spread) {
        emitScorePairs(scope, tile, contraction, spread);
      } else {
        emitScoresDirect(contraction, rows, scope, tile);
      }
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
        forEachPiece(scope, tile, r, state.lanes, [&](Value from, Value to) {
          Value lower = e.max(first, from);
          Value upper = e.min(e.add(first, panel), to);
          e.ifThen(
              e.equal(e.sub(upper, lower), e.index(panel)),
              [&] { emitVectors(first, state.tiling.keyVectors); },
              [&] {
                e.loop(lower, upper, state.lanes,
                       [&](Value column) { emitVectors(column, 1); });
              });
        });
      });
    });
  }
}

/// `term` joined to a reduction over features; sums of products are fused.
static Value addTerm(Emit &e, FeatureReduceKind kind, Value so, Value term) {
  switch (kind) {
  case FeatureReduceKind::Sum:
    break;
  case FeatureReduceKind::Max:
    return arith::MaximumFOp::create(e, so, term);
  case FeatureReduceKind::Min:
    return arith::MinimumFOp::create(e, so, term);
  }
  auto product = term.getDefiningOp<arith::MulFOp>();
  if (!product || !product->use_empty()) {
    return arith::AddFOp::create(e, so, term);
  }
  Value fused =
      vector::FMAOp::create(e, product.getLhs(), product.getRhs(), so);
  product->erase();
  return fused;
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
    // Several vectors at a time, as each is one long chain.
    auto emitColumns = [&](Value first, int64_t count) {
      SmallVector<Value> panels, columns, sums(count, init);
      for (int64_t v = 0; v < count; ++v) {
        Value c = e.add(first, v * state.lanes);
        panels.push_back(e.div(c, panel));
        columns.push_back(e.sub(c, e.mul(panels.back(), panel)));
      }
      sums = e.loop(
          e.index(0), e.index(contraction.getDepth()), 1, sums,
          [&](Value d, ValueRange so) {
            Value a = e.broadcast(e.load(rows, {e.add(tile.packedRow, r), d}),
                                  state.lanes);
            SmallVector<Value> next;
            for (auto [p, column, sum] : llvm::zip(panels, columns, so)) {
              Value b = e.loadVector(keys, {p, d, column}, state.lanes);
              Scope place(&row);
              Value term = inlineRegion(e, op.getBody(),
                                        contraction.swapped
                                            ? SmallVector<Value>{b, a, d}
                                            : SmallVector<Value>{a, b, d},
                                        place, state.lanes);
              next.push_back(addTerm(e, kind, sum, term));
            }
            return next;
          });
      for (int64_t v = 0; v < count; ++v) {
        e.storeVector(sums[v], tile.buffers.lookup(op.getResult()),
                      {r, e.add(first, v * state.lanes)});
      }
    };
    constexpr int64_t unroll = 4;
    Value from = tile.firstColumn, to = tile.columns;
    Value middle =
        e.add(from, e.roundDown(e.sub(to, from), unroll * state.lanes));
    e.loop(from, middle, unroll * state.lanes,
           [&](Value c) { emitColumns(c, unroll); });
    e.loop(middle, to, state.lanes, [&](Value c) { emitColumns(c, 1); });
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
  auto takeIn = [&](MutableArrayRef<Entries> entries, ValueRange carried) {
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
      llvm::append_range(next,
                         reducers.take(op, entries, carried.take_front(count)));
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
  };
  partials = e.loop(lower, upper, unroll * state.lanes, partials,
                    [&](Value column, ValueRange carried) {
                      auto take = [&](MutableArrayRef<Entries> entries) {
                        return takeIn(entries, carried);
                      };
                      if (unroll == 1) {
                        return takeByRuns(plan, row, tile, tileRow, column,
                                          carried.getTypes(), take);
                      }
                      SmallVector<Entries> entries;
                      for (int64_t k = 0; k < unroll; ++k) {
                        entries.emplace_back(row, tile, tileRow,
                                             e.add(column, k * state.lanes));
                      }
                      return take(entries);
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
  Scope place(&scope);
  evaluateRows(place, plan.op.getTiles(), rows);
  SmallVector<Value> found = e.loop(
      e.div(e.add(from, panel - 1), panel), e.div(tile.columns, panel), 1,
      {from, from}, [&](Value p, ValueRange so) -> SmallVector<Value> {
        Value column = e.mul(p, panel), end = e.add(column, panel);
        Value key = e.add(tile.firstKey, column), last = e.add(key, panel - 1);
        SmallVector<Value> corners(rows);
        corners.append({key, last});
        Value all = evaluateHere(place, plan.op.getTiles(), corners).second;
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
  if (ranges.empty()) {
    Value group = e.div(r, state.target.kernelRows), zero = e.index(0);
    partials = e.loop(zero, e.load(tile.pieces, {group, zero}), 1, partials,
                      [&](Value k, ValueRange carried) {
                        SmallVector<Value> next(carried);
                        Value at = e.mul(k, 2);
                        emitColumns(sweep, row, tile, r,
                                    e.load(tile.pieces, {group, e.add(at, 1)}),
                                    e.load(tile.pieces, {group, e.add(at, 2)}),
                                    1, next);
                        return next;
                      });
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
    Value last = e.min(tile.rows, e.add(group, together));
    if (tile.pieces) {
      e.loop(group, last, 1, [&](Value r) {
        Scope row(&scope);
        rows.bind(row, r);
        row.setBlockRow(e.add(tile.firstRow, r));
        emitStageRow(sweep, row, tile, r, {});
      });
      return;
    }
    Tile part = narrow(scope, tile, group, state.lanes);
    auto [from, to] = findDense(scope, sweep.plan, part, group);
    ColumnRange ranges[] = {{part.firstColumn, from, 1, false},
                            {from, to, denseUnroll, true},
                            {to, part.columns, 1, false}};
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

/// Absent entries must not meet numbers that are not finite. Rows that are read
/// where they are have not been checked for those: where `marked`, coefficients
/// tell whether an entry is absent, and only then it matters. Their markers
/// become zeros if the product may take them.
Value Kernel::needsGuard(Sweep &sweep, CarryOp outer, Scope &scope, Tile &tile,
                         Value partial, bool marked) {
  if (!marked) {
    return e.both(partial, sweep.nonFinite);
  }
  Value coefficients = sweep.coefficients.lookup(outer).floats;
  Type element = cast<MemRefType>(coefficients.getType()).getElementType();
  auto type = VectorType::get({state.lanes}, element);
  auto visit = [&](ValueRange init, auto body) {
    return e.loop(e.index(0), tile.rows, 1, init, [&](Value r, ValueRange so) {
      return e.loop(tile.firstColumn, tile.columns, state.lanes, so,
                    [&](Value c, ValueRange so) -> SmallVector<Value> {
                      SmallVector<Value> at{r, c};
                      Value x = e.loadVector(coefficients, at, state.lanes);
                      return body(at, x, isPresent(e, x), so);
                    });
    });
  };
  auto check = [&] {
    Value odd = isDirect(outer.getRow())
                    ? findNonFiniteDirect(scope, tile, outer.getRow())
                    : sweep.nonFinite;
    e.ifThen(arith::XOrIOp::create(e, odd, e.truth(true)), [&] {
      visit({}, [&](ValueRange at, Value x, Value present, ValueRange) {
        x = e.select(present, x, e.constant(type, 0));
        e.storeVector(x, coefficients, at);
        return SmallVector<Value>();
      });
    });
    return odd;
  };
  return e.ifValue(
      partial, e.getI1Type(),
      [&] {
        Value all = e.broadcast(e.truth(true), state.lanes);
        all = visit(all, [&](ValueRange, Value, Value present, ValueRange so) {
          return SmallVector<Value>{e.both(so[0], present)};
        })[0];
        all = vector::ReductionOp::create(e, vector::CombiningKind::AND, all);
        return e.ifValue(
            all, e.getI1Type(), [&] { return e.truth(false); }, check);
      },
      [&] { return e.truth(false); });
}

void Kernel::emitOuters(Sweep &sweep, Scope &scope, Tile &tile, Value partial,
                        bool marked) {
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
        forEachPiece(scope, tile, r, step, [&](Value from, Value to) {
          emitProduct(state,
                      {a.operand(), r, e.div(from, step), e.div(to, step), out,
                       e.add(tile.firstRow, r), column, count,
                       /*accumulate=*/true, loadB});
        });
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
    e.ifThen(
        needsGuard(sweep, outer, scope, tile, partial, marked),
        [&] { emitGuarded(sweep, outer, scope, tile, b); },
        [&] {
          if (isDirect(outer.getRow())) {
            emitOuterDirect(sweep, outer, scope, tile);
          } else {
            emitAll();
          }
        });
  }
}

/// Entry by entry, skipping absent ones: their rows may hold infinities.
void Kernel::emitGuarded(Sweep &sweep, CarryOp outer, Scope &scope, Tile &whole,
                         Packed rows) {
  Value coefficients = sweep.coefficients.lookup(outer).floats;
  Value out = state.rowVectors.lookup(outer.getResult());
  auto outType = cast<MemRefType>(out.getType());
  Type element = outType.getElementType();
  bool direct = isDirect(outer.getRow());
  e.loop(e.index(0), whole.rows, 1, [&](Value r) {
    Value group = e.roundDown(r, state.target.kernelRows);
    forEachPiece(scope, whole, group, state.lanes, [&](Value from, Value to) {
      e.loop(from, to, 1, [&](Value c) {
        Value x = e.load(coefficients, {r, c});
        e.ifThen(isPresent(e, x), [&] {
          Value weight = e.convertFloat(x, element);
          Value row = e.add(whole.firstRow, r);
          auto add = [&](Value features, Value d, int64_t width) {
            Value sum = e.loadVector(out, {row, d}, width);
            e.storeVector(vector::FMAOp::create(e, e.broadcast(weight, width),
                                                features, sum),
                          out, {row, d});
          };
          if (direct) {
            Value values = outer.getRow();
            Scope place(&scope);
            place.bind(whole.plan.keyArg, whole.getKeys().at(e, c));
            place.prepareRow(values);
            forEachChunk(e, cast<VectorType>(values.getType()).getNumElements(),
                         state.lanes, [&](Value d, int64_t width) {
                           Value x = RowChunk(place, d, width).get(values);
                           add(e.convertFloat(x, element), d, width);
                         });
            return;
          }
          e.loop(
              e.index(0), e.index(outType.getDimSize(1)), state.lanes,
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
                add(features, d, state.lanes);
              });
        });
      });
    });
  });
}
