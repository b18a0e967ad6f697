//===- Collectives.cpp - stencils and mixtures on tiles -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The region of a collective fills a tile, where absent entries are 0:
//
//   stencil   rows + KU - 1, keys + KV - 1      +------------+
//             its shifted copies add up to      | +--------+ |
//             the tile of the result            | |        | |
//                                               | +--------+ |
//   mixture   one tile per head                 +------------+
//             entries of all heads at once are multiplied by the weights, or
//             reduced in groups
//
// Which contraction, filled value or collective a region needs is computed like
// that of a sweep, on its own tile.
//
//===----------------------------------------------------------------------===//

#include "Sweep.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

/// A stencil keeps at most this many rows of taps in registers.
static constexpr int64_t kTapRows = 8;

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

void Kernel::allocateCollective(Sweep &sweep, CollectivePlan &plan) {
  CollectiveBuffers &buffers = sweep.collectives[&plan];
  const Tiling &tiling = state.tiling;
  // Loops over rows end at multiples of what they unroll, twice: in the tile
  // and, shifted, in the one around it.
  auto rowsWith = [&](Halo halo) {
    return llvm::alignTo(tiling.tileRows + halo.total +
                             2 * state.target.stencilRows,
                         state.target.kernelRows);
  };
  auto columnsOf = [&](CollectivePlan *around) -> int64_t {
    int64_t columns =
        around ? getInsideColumns(*around, tiling.tileKeys, state.lanes)
               : tiling.tileKeys;
    return llvm::alignTo(columns, getPanel());
  };
  Type type = plan.op->getResult(0).getType();
  buffers.operandRows = rowsWith(plan.rows);
  buffers.resultRows = rowsWith(plan.getRowsAround());
  int64_t columns = columnsOf(&plan), around = columnsOf(plan.parent);
  int64_t rows = buffers.operandRows;
  // A contraction is turned into entries where it stands, unless entries of
  // another mixture stand there.
  if (!plan.donor && !plan.inside.contractions.empty() &&
      plan.inside.contractions[0].getResult().getType() == type) {
    buffers.inPlace = plan.inside.contractions[0].op;
  }
  bool shared = llvm::is_contained(sweep.plan.sharedFills, &plan);
  if (MixOp mix = plan.getMix();
      mix && shared && !plan.inside.contractions.empty()) {
    buffers.packedRows = rows;
    buffers.packed = scratch.get({mix.getInputHeads()}, e.getI8Type());
    rows *= mix.getInputHeads();
  }
  allocateEntries(plan.inside, buffers.operandRows, columns, rows,
                  buffers.inside, buffers.inPlace);
  rows = buffers.operandRows;
  for (Value value : plan.inside.rowValues) {
    buffers.inside.arrays.push_back(scratch.get({rows}, value.getType()));
  }
  if (StencilOp stencil = plan.getStencil()) {
    buffers.operand = scratch.get({rows, columns}, type);
    buffers.result = scratch.get({buffers.resultRows, around}, type);
    buffers.weights =
        scratch.get({plan.rows.total - plan.getRowsAround().total + 1,
                     plan.keys.total - plan.getKeysAround().total + 1},
                    type);
    if (stencil.getQuerySegments()) {
      buffers.rowSegments = scratch.get({rows}, e.getI64Type());
      buffers.keySegments = scratch.get({columns}, e.getI64Type());
    }
    return;
  }
  MixOp mix = plan.getMix();
  int64_t in = mix.getInputHeads(), out = mix.getOutputHeads();
  if (plan.donor) {
    CollectiveBuffers &donor = sweep.collectives[plan.donor];
    buffers.operand = donor.result;
    buffers.operandRows = donor.resultRows;
  } else {
    buffers.operand = scratch.get({in * rows, columns}, type);
  }
  if (!mix.isGrouped()) {
    buffers.weights = scratch.get({out, in}, type);
  }
  // Groups are reduced in order, and give one of the tiles that they read.
  if (mix.isGrouped() || (out <= in && in <= state.target.mixedHeads)) {
    buffers.result = buffers.operand;
    buffers.resultRows = buffers.operandRows;
  } else {
    buffers.result = scratch.get({out * rows, columns}, type);
  }
  if (!mix.getAny().use_empty()) {
    buffers.any = allocateTile(mix.getAny(),
                               mix.isGrouped() ? out * rows : rows, columns);
  }
}

/// Tile `k` of those that lie below one another, `rows` apart.
static Value viewTile(Emit &e, Value tiles, Value k, int64_t rows) {
  int64_t columns = cast<MemRefType>(tiles.getType()).getDimSize(1);
  SmallVector<OpFoldResult> offsets{e.mul(k, rows), e.getIndexAttr(0)};
  SmallVector<OpFoldResult> sizes{e.getIndexAttr(rows),
                                  e.getIndexAttr(columns)};
  SmallVector<OpFoldResult> strides(2, e.getIndexAttr(1));
  return memref::SubViewOp::create(e, tiles, offsets, sizes, strides);
}

/// Presence of results: one tile for all, or one per group.
static Value viewPresence(Emit &e, MixOp mix, Value tiles,
                          llvm::function_ref<Value()> group) {
  if (!tiles || !mix.isGrouped()) {
    return tiles;
  }
  int64_t rows = cast<MemRefType>(tiles.getType()).getDimSize(0);
  return viewTile(e, tiles, group(), rows / mix.getOutputHeads());
}

/// Makes the results that the entries of `plan` read known as tiles.
void Kernel::bindResults(Sweep &sweep, TilePlan &plan, Scope &scope,
                         DenseMap<Value, Value> &tiles) {
  for (CollectivePlan *collective : plan.collectives) {
    CollectiveBuffers &buffers = sweep.collectives[collective];
    MixOp mix = collective->getMix();
    if (!mix) {
      tiles[collective->op->getResult(0)] = buffers.result;
      continue;
    }
    tiles[mix.getResult()] = viewTile(
        e, buffers.result, scope.get(mix.getHead()), buffers.resultRows);
    tiles[mix.getAny()] = viewPresence(
        e, mix, buffers.any, [&] { return scope.get(mix.getHead()); });
  }
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// Rows and columns that the tile of `plan` has around those of its sweep.
static Value insideColumns(Emit &e, const CollectivePlan &plan, Value columns,
                           int64_t lanes) {
  if (plan.parent) {
    columns = insideColumns(e, *plan.parent, columns, lanes);
  }
  int64_t reach = plan.keys.total - plan.getKeysAround().total;
  return reach ? e.roundUp(e.add(columns, reach), lanes) : columns;
}

void Kernel::startCollectives(Sweep &sweep) {
  for (auto &plan : sweep.plan.allCollectives) {
    if (Value packed = sweep.collectives[plan.get()].packed) {
      int64_t heads = cast<MemRefType>(packed.getType()).getDimSize(0);
      Value none = e.constant(e.getI8Type(), 0);
      e.loop(e.index(0), e.index(heads), 1,
             [&](Value head) { e.store(none, packed, head); });
    }
  }
}

void Kernel::fillCollectives(Sweep &sweep, ArrayRef<CollectivePlan *> plans,
                             Scope &scope, const Tile &around) {
  for (CollectivePlan *plan : plans) {
    CollectiveBuffers &buffers = sweep.collectives[plan];
    Tile tile{plan->inside,
              buffers.inside.tiles,
              e.sub(around.firstKey, plan->keys.before),
              plan->keyExtent ? scope.get(plan->keyExtent) : around.upper,
              e.index(0),
              e.add(around.rows, plan->rows.total),
              e.index(0),
              around.firstColumn,
              insideColumns(e, *plan, around.columns, state.lanes),
              e.sub(around.globalRow, plan->rows.before),
              {}};
    tile.halo = static_cast<bool>(plan->keyExtent);
    tile.next = around.next;
    tile.nextKeys = around.nextKeys;
    tile.rowExtent = plan->rowExtent ? scope.get(plan->rowExtent) : Value();
    if (StencilOp stencil = plan->getStencil()) {
      emitInside(sweep, *plan, scope, around, tile, buffers.operand);
      Value rows = e.add(around.rows, plan->getRowsAround().total);
      Value columns = plan->parent ? insideColumns(e, *plan->parent,
                                                   around.columns, state.lanes)
                                   : around.columns;
      if (stencil.getQuerySegments()) {
        emitSegmentStencil(*plan, buffers, scope, tile, rows, columns);
      } else {
        emitStencil(*plan, buffers, scope, tile, rows, columns);
      }
      continue;
    }
    fillHeads(sweep, *plan, scope, around, tile);
    emitMix(*plan, buffers, scope, tile);
  }
}

/// The region of a mixture, head by head.
void Kernel::fillHeads(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                       const Tile &around, Tile &tile) {
  CollectiveBuffers &buffers = sweep.collectives[&plan];
  MixOp mix = plan.getMix();
  Value any = buffers.any;
  auto clear = [&](Value tiles) {
    Value none = e.constant(VectorType::get({state.lanes}, e.getI8Type()), 0);
    e.loop(e.index(0), tile.rows, 1, [&](Value r) {
      e.loop(tile.firstColumn, tile.columns, state.lanes,
             [&](Value c) { e.storeVector(none, tiles, {r, c}); });
    });
  };
  if (any && mix.isGrouped()) {
    e.loop(e.index(0), e.index(mix.getOutputHeads()), 1, [&](Value g) {
      clear(viewPresence(e, mix, any, [&] { return g; }));
    });
  } else if (any) {
    clear(any);
  }
  Value argument = mix.getBody().getArgument(0);
  e.loop(e.index(0), e.index(mix.getInputHeads()), 1, [&](Value head) {
    Scope place(&scope), next(&scope);
    place.bind(argument, head);
    tile.next = &next;
    tile.nextKeys = bindNextHead(next, argument, head, mix.getInputHeads());
    Tile here = around;
    here.next = tile.next;
    here.nextKeys = tile.nextKeys;
    if (buffers.packed) {
      tile.headRow = tile.packedRow = e.mul(head, buffers.packedRows);
    }
    Value out = viewTile(e, buffers.operand, head, buffers.operandRows);
    buffers.any = viewPresence(
        e, mix, any, [&] { return e.div(head, mix.getHeadsOfResult()); });
    emitInside(sweep, plan, place, here, tile, out);
  });
  buffers.any = any;
  tile.next = nullptr;
}

/// The region of a collective on its tile, at the heads that `scope` knows.
void Kernel::emitInside(Sweep &sweep, CollectivePlan &plan, Scope &scope,
                        const Tile &around, Tile &tile, Value out) {
  CollectiveBuffers &buffers = sweep.collectives[&plan];
  fillCollectives(sweep, plan.inside.fills, scope, around);
  bindResults(sweep, plan.inside, scope, buffers.inside.tiles);
  if (buffers.inPlace) {
    buffers.inside.tiles[buffers.inPlace->getResult(0)] = out;
  }
  computeUniform(scope, plan.getRegion().front(), /*ofHead=*/true);
  // Arrays of the sweep are those of other rows.
  DenseMap<Value, Value> arrays;
  std::swap(arrays, state.rowArrays);
  if (!plan.inside.rowValues.empty()) {
    forEachRow(scope, tile, [&](Scope &row, Value r) {
      for (auto [value, array] :
           llvm::zip(plan.inside.rowValues, buffers.inside.arrays)) {
        e.store(row.get(value), array, r);
      }
    });
    for (auto [value, array] :
         llvm::zip(plan.inside.rowValues, buffers.inside.arrays)) {
      state.rowArrays[value] = array;
    }
  }
  auto packRowsOfHead = [&] {
    for (auto [contraction, rows] :
         llvm::zip(plan.inside.contractions, buffers.inside.rows)) {
      packStationary(scope, contraction, tile.getRows(), rows, tile.packedRow);
    }
  };
  if (buffers.packed) {
    Value head = scope.get(plan.getMix().getBody().getArgument(0));
    Value none = e.constant(e.getI8Type(), 0);
    e.ifThen(e.equal(e.load(buffers.packed, head), none), [&] {
      packRowsOfHead();
      e.store(e.constant(e.getI8Type(), 1), buffers.packed, head);
    });
  } else {
    packRowsOfHead();
  }
  for (auto [contraction, staging, keys] :
       llvm::zip(plan.inside.contractions, buffers.inside.staging,
                 buffers.inside.keys)) {
    packKeys(scope, contraction, tile.getKeys(), staging, /*sameRows=*/Packed(),
             keys);
  }
  emitScores(buffers.inside, scope, tile);
  emitEntryTiles(scope, tile, 0);
  emitOperand(plan, buffers, scope, tile, out);
  std::swap(arrays, state.rowArrays);
}

/// What an absent entry counts as: nothing, for the reduction that follows.
static Value getAbsent(Emit &e, CollectivePlan &plan, Type type) {
  MixOp mix = plan.getMix();
  if (!mix || !mix.isGrouped() || *mix.getKind() == FeatureReduceKind::Sum) {
    return e.constant(type, 0);
  }
  return e.infinity(type, *mix.getKind() == FeatureReduceKind::Max);
}

/// Whether `value` is the key and a number that is the same for all of them.
static bool isShiftedKey(Value value, Value key, StreamAnalysis &analysis) {
  auto isKey = [&](Value v) { return analysis.getClass(v).key; };
  Operation *op = value.getDefiningOp();
  if (value == key || !isa_and_nonnull<arith::AddIOp, arith::SubIOp>(op)) {
    return value == key;
  }
  Value left = op->getOperand(0), right = op->getOperand(1);
  return isKey(left)
             ? !isKey(right) && isShiftedKey(left, key, analysis)
             : isa<arith::AddIOp>(op) && isShiftedKey(right, key, analysis);
}

/// Whether `cond` holds for all keys between two for which it holds.
static bool isConvex(Value cond, Value key, StreamAnalysis &analysis) {
  auto isKey = [&](Value v) { return analysis.getClass(v).key; };
  Operation *op = cond.getDefiningOp();
  if (!isKey(cond)) {
    return true;
  }
  if (isa_and_nonnull<arith::AndIOp>(op)) {
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      return isConvex(operand, key, analysis);
    });
  }
  auto compared = dyn_cast_if_present<arith::CmpIOp>(op);
  if (!compared || compared.getPredicate() == arith::CmpIPredicate::ne ||
      compared.getPredicate() >= arith::CmpIPredicate::ult ||
      !compared.getLhs().getType().isIndex() ||
      isKey(compared.getLhs()) == isKey(compared.getRhs())) {
    return false;
  }
  return isShiftedKey(isKey(compared.getLhs()) ? compared.getLhs()
                                               : compared.getRhs(),
                      key, analysis);
}

/// Whether all entries of a row of the tile are present; null if that is not
/// known without looking at each.
Value Kernel::isWholeRow(CollectivePlan &plan, Scope &row, const Tile &tile,
                         Value condition) {
  Value key = plan.inside.keyArg;
  if (tile.table || (condition && !isConvex(condition, key, state.analysis))) {
    return {};
  }
  Value first = tile.keyAt(e, tile.firstColumn);
  Value last = e.sub(tile.keyAt(e, tile.columns), 1);
  Value whole = e.less(last, tile.upper);
  if (tile.halo) {
    whole = e.both(whole, e.less(e.index(-1), first));
  }
  for (Value end : {first, last}) {
    if (condition) {
      Scope place(&row);
      place.bind(key, end);
      whole = e.both(whole, place.get(condition));
    }
  }
  return whole;
}

/// Entries of the region, 0 (or what counts as nothing) where absent or outside
/// of the matrix.
void Kernel::emitOperand(CollectivePlan &plan, CollectiveBuffers &buffers,
                         Scope &scope, Tile &tile, Value out) {
  Value condition = plan.getPresence();
  if (matchPattern(condition, m_One())) {
    condition = {};
  }
  auto type = VectorType::get({state.lanes}, plan.getValue().getType());
  Value zero = getAbsent(e, plan, type);
  auto emitEntries = [&](Scope &row, Value r, Value column) {
    Entries entries(row, tile, r, column);
    Value x = entries.get(plan.getValue());
    Value present = entries.getPresence(condition);
    e.storeVector(present ? e.select(present, x, zero) : x, out, {r, column});
    if (!buffers.any) {
      return;
    }
    auto bytes = VectorType::get({state.lanes}, e.getI8Type());
    Value any = e.constant(bytes, 1);
    if (present) {
      Value before = e.loadVector(buffers.any, {r, column}, state.lanes);
      any = arith::OrIOp::create(e, before,
                                 arith::ExtUIOp::create(e, bytes, present));
    }
    e.storeVector(any, buffers.any, {r, column});
  };
  forEachRow(scope, tile, [&](Scope &row, Value r) {
    auto emitPart = [&](Value from, Value to, int64_t unroll) {
      e.loop(from, to, unroll * state.lanes, [&](Value first) {
        for (int64_t k = 0; k < unroll; ++k) {
          emitEntries(row, r, e.add(first, k * state.lanes));
        }
      });
    };
    auto emitRow = [&] {
      Value from = tile.firstColumn, to = tile.columns;
      Value whole = isWholeRow(plan, row, tile, condition);
      if (!whole) {
        emitPart(from, to, 1);
        return;
      }
      auto emitWhole = [&] {
        constexpr int64_t unroll = 4;
        tile.full = true;
        Value middle =
            e.add(from, e.roundDown(e.sub(to, from), unroll * state.lanes));
        emitPart(from, middle, unroll);
        emitPart(middle, to, 1);
        tile.full = false;
      };
      e.ifThen(whole, emitWhole, [&] { emitPart(from, to, 1); });
    };
    if (!tile.rowExtent) {
      emitRow();
      return;
    }
    Value at = e.add(tile.globalRow, r);
    Value inside = e.both(
        e.less(at, tile.rowExtent),
        arith::CmpIOp::create(e, arith::CmpIPredicate::sge, at, e.index(0)));
    e.ifThen(inside, emitRow, [&] {
      e.loop(tile.firstColumn, tile.columns, state.lanes,
             [&](Value column) { e.storeVector(zero, out, {r, column}); });
    });
  });
}

//===----------------------------------------------------------------------===//
// Stencils
//===----------------------------------------------------------------------===//

/// Copies the taps of a head, rows of the tile first.
static void packTaps(CollectivePlan &plan, Scope &scope, Value out) {
  Emit &e = scope.kernel.e;
  StencilOp stencil = plan.getStencil();
  auto type = cast<MemRefType>(out.getType());
  bool queriesStay = plan.inside.rowArg == stencil.getBody().getArgument(0);
  Value taps = scope.get(stencil.getTaps());
  Value head = scope.get(stencil.getTapHead());
  e.loop(e.index(0), e.index(type.getDimSize(0)), 1, [&](Value s) {
    e.loop(e.index(0), e.index(type.getDimSize(1)), 1, [&](Value t) {
      Value tap = e.load(taps, queriesStay ? ValueRange{head, s, t}
                                           : ValueRange{head, t, s});
      e.store(e.convertFloat(tap, type.getElementType()), out, {s, t});
    });
  });
}

/// Sums of a few rows stay in registers, and so do the taps of one column; each
/// entry is loaded once for all of them.
void Kernel::emitStencil(CollectivePlan &plan, CollectiveBuffers &buffers,
                         Scope &scope, const Tile &inside, Value rows,
                         Value columns) {
  packTaps(plan, scope, buffers.weights);
  auto taps = cast<MemRefType>(buffers.weights.getType());
  int64_t unroll = state.target.stencilRows, lanes = state.lanes;
  Value zero = e.constant(VectorType::get({lanes}, taps.getElementType()), 0);
  auto emitSums = [&](Value first, Value column, int64_t firstTap,
                      int64_t count) {
    SmallVector<Value> sums(unroll, zero);
    for (int64_t r = 0; firstTap && r < unroll; ++r) {
      sums[r] = e.loadVector(buffers.result, {e.add(first, r), column}, lanes);
    }
    sums = e.loop(
        e.index(0), e.index(taps.getDimSize(1)), 1, sums,
        [&](Value t, ValueRange carried) {
          SmallVector<Value> next(carried), weights;
          for (int64_t s = 0; s < count; ++s) {
            weights.push_back(e.broadcast(
                e.load(buffers.weights, {e.index(firstTap + s), t}), lanes));
          }
          for (int64_t k = 0; k < unroll + count - 1; ++k) {
            Value x = e.loadVector(
                buffers.operand, {e.add(first, firstTap + k), e.add(column, t)},
                lanes);
            for (int64_t s = 0; s < count; ++s) {
              if (int64_t r = k - s; r >= 0 && r < unroll) {
                next[r] = vector::FMAOp::create(e, weights[s], x, next[r]);
              }
            }
          }
          return next;
        });
    for (int64_t r = 0; r < unroll; ++r) {
      e.storeVector(sums[r], buffers.result, {e.add(first, r), column});
    }
  };
  e.loop(e.index(0), rows, unroll, [&](Value first) {
    e.loop(inside.firstColumn, columns, lanes, [&](Value column) {
      for (int64_t s = 0; s < taps.getDimSize(0); s += kTapRows) {
        emitSums(first, column, s, std::min(kTapRows, taps.getDimSize(0) - s));
      }
    });
  });
}

/// Entries of another segment than the centre's count as 0.
void Kernel::emitSegmentStencil(CollectivePlan &plan,
                                CollectiveBuffers &buffers, Scope &scope,
                                const Tile &inside, Value rows, Value columns) {
  packTaps(plan, scope, buffers.weights);
  StencilOp stencil = plan.getStencil();
  bool queriesStay = plan.inside.rowArg == stencil.getBody().getArgument(0);
  auto read = [&](bool query, Value at) -> Value {
    Value segments = scope.get(query ? stencil.getQuerySegments()
                                     : stencil.getKeySegments());
    Value batch =
        scope.get(query ? stencil.getQueryBatch() : stencil.getKeyBatch());
    Value segment = e.load(segments, {batch, at});
    if (segment.getType().isIndex()) {
      return arith::IndexCastOp::create(e, e.getI64Type(), segment);
    }
    return segment.getType().isInteger(64)
               ? segment
               : arith::ExtSIOp::create(e, e.getI64Type(), segment).getResult();
  };
  e.loop(e.index(0), inside.rows, 1, [&](Value r) {
    e.store(read(queriesStay, inside.getRows().at(e, r)), buffers.rowSegments,
            r);
  });
  e.loop(inside.firstColumn, inside.columns, 1, [&](Value c) {
    e.store(read(!queriesStay, inside.getKeys().at(e, c)), buffers.keySegments,
            c);
  });
  auto taps = cast<MemRefType>(buffers.weights.getType());
  int64_t lanes = state.lanes;
  Value zero = e.constant(VectorType::get({lanes}, taps.getElementType()), 0);
  int64_t rowsBefore = plan.rows.before - plan.getRowsAround().before;
  int64_t keysBefore = plan.keys.before - plan.getKeysAround().before;
  auto equal = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(e, arith::CmpIPredicate::eq, x, y);
  };
  auto addRow = [&](Value r, Value column, Value s, Value sum) {
    Value own =
        e.loadVector(buffers.keySegments, e.add(column, keysBefore), lanes);
    return e.loop(e.index(0), e.index(taps.getDimSize(1)), 1, sum,
                  [&](Value t, ValueRange carried) -> SmallVector<Value> {
                    Value at = e.add(column, t);
                    Value x =
                        e.loadVector(buffers.operand, {e.add(r, s), at}, lanes);
                    Value there = e.loadVector(buffers.keySegments, at, lanes);
                    x = e.select(equal(own, there), x, zero);
                    Value tap =
                        e.broadcast(e.load(buffers.weights, {s, t}), lanes);
                    return {vector::FMAOp::create(e, tap, x, carried[0])};
                  })[0];
  };
  e.loop(e.index(0), rows, 1, [&](Value r) {
    Value own = e.load(buffers.rowSegments, e.add(r, rowsBefore));
    e.loop(inside.firstColumn, columns, lanes, [&](Value column) {
      Value sum =
          e.loop(e.index(0), e.index(taps.getDimSize(0)), 1, zero,
                 [&](Value s, ValueRange carried) -> SmallVector<Value> {
                   Value there = e.load(buffers.rowSegments, e.add(r, s));
                   return {e.ifValue(
                       equal(own, there), zero.getType(),
                       [&] { return addRow(r, column, s, carried[0]); },
                       [&] { return carried[0]; })};
                 })[0];
      e.storeVector(sum, buffers.result, {r, column});
    });
  });
}

//===----------------------------------------------------------------------===//
// Mixtures
//===----------------------------------------------------------------------===//

/// Sums, maxima or minima of the heads of a group, in its first tiles.
static void emitGroups(Emit &e, MixOp mix, Value tiles, int64_t rows,
                       const Tile &tile, int64_t lanes) {
  auto join = [&](Value x, Value y) -> Value {
    switch (*mix.getKind()) {
    case FeatureReduceKind::Sum:
      return arith::AddFOp::create(e, x, y);
    case FeatureReduceKind::Max:
      return arith::MaximumFOp::create(e, x, y);
    case FeatureReduceKind::Min:
      return arith::MinimumFOp::create(e, x, y);
    }
    llvm_unreachable("all kinds handled");
  };
  int64_t size = mix.getHeadsOfResult();
  e.loop(e.index(0), e.index(mix.getOutputHeads()), 1, [&](Value g) {
    e.loop(e.index(0), tile.rows, 1, [&](Value r) {
      e.loop(tile.firstColumn, tile.columns, lanes, [&](Value column) {
        Value first = e.add(e.mul(g, size * rows), r), joined;
        for (int64_t k = 0; k < size; ++k) {
          Value x =
              e.loadVector(tiles, {e.add(first, k * rows), column}, lanes);
          joined = joined ? join(joined, x) : x;
        }
        e.storeVector(joined, tiles, {e.add(e.mul(g, rows), r), column});
      });
    });
  });
}

/// All results of an entry at once: its heads are loaded before the first of
/// them is stored, which may be in their place.
void Kernel::emitMix(CollectivePlan &plan, CollectiveBuffers &buffers,
                     Scope &scope, Tile &tile) {
  MixOp mix = plan.getMix();
  if (mix.isGrouped()) {
    emitGroups(e, mix, buffers.operand, buffers.operandRows, tile, state.lanes);
    return;
  }
  auto shape = cast<MemRefType>(buffers.weights.getType());
  int64_t out = shape.getDimSize(0), in = shape.getDimSize(1);
  Value weights = scope.get(mix.getWeights());
  e.loop(e.index(0), e.index(out), 1, [&](Value g) {
    e.loop(e.index(0), e.index(in), 1, [&](Value h) {
      Value w = e.load(weights, {g, h});
      e.store(e.convertFloat(w, shape.getElementType()), buffers.weights,
              {g, h});
    });
  });
  int64_t lanes = state.lanes;
  auto mixHeads = [&](Value r, Value column, int64_t first, int64_t count) {
    SmallVector<Value> entries;
    for (int64_t h = 0; h < count; ++h) {
      Value row = e.add(r, (first + h) * buffers.operandRows);
      entries.push_back(e.loadVector(buffers.operand, {row, column}, lanes));
    }
    e.loop(e.index(0), e.index(out), 1, [&](Value g) {
      Value place = e.add(e.mul(g, buffers.resultRows), r);
      // One sum after the other: those of other results fill the time until the
      // next step.
      Value total;
      if (first) {
        total = e.loadVector(buffers.result, {place, column}, lanes);
      }
      for (int64_t h = 0; h < count; ++h) {
        Value w = e.broadcast(e.load(buffers.weights, {g, e.index(first + h)}),
                              lanes);
        total = total
                    ? vector::FMAOp::create(e, w, entries[h], total).getResult()
                    : arith::MulFOp::create(e, w, entries[h]).getResult();
      }
      e.storeVector(total, buffers.result, {place, column});
    });
  };
  e.loop(e.index(0), tile.rows, 1, [&](Value r) {
    e.loop(tile.firstColumn, tile.columns, lanes, [&](Value column) {
      for (int64_t h = 0; h < in; h += state.target.mixedHeads) {
        mixHeads(r, column, h, std::min(state.target.mixedHeads, in - h));
      }
    });
  });
}
