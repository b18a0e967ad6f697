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
  int64_t rows = getBlockRows(state.stream, state.target);
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
  auto tileOf = [&](Value value) {
    Type type =
        value.getType().isInteger(1) ? Type(e.getI8Type()) : value.getType();
    return scratch.get({rows, columns}, type);
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
    auto [from, to] = evaluate(scope, op.getBounds(),
                               state.getRowRange(block.firstRow, last));
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
      int64_t rows = getBlockRows(state.stream, state.target);
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
      Packed rows =
          scratch.getPacked(getBlockRows(state.stream, state.target),
                            pairs ? 2 * units : units, element, pairs);
      packStationary(inside, contraction, block.rows, block.firstRow, rows);
      sweep.rows.push_back(rows);
    }
    e.loop(lower, sweep.upper, state.target.tileKeys,
           [&](Value firstKey) { emitTile(here, sweep, firstKey); });
    for (Value value : plan.rowValues) {
      state.rowArrays.erase(value);
    }
  });
  forEachRow(scope, e.index(0), block.rows, block.firstRow,
             [&](Scope &row, Value) { reducers.end(row); });
}

/// Packs the rows of outer carries, either those that are read where they are
/// or the others. Whether any number in them is not finite; null without any.
Value Kernel::packValues(Sweep &sweep, Scope &tile, KeyRange keys,
                         bool direct) {
  Value result;
  for (auto &[row, packed] : sweep.values) {
    if (isDirect(row, packed) != direct) {
      continue;
    }
    packRows(tile, row, keys, packed);
    Value found = findNonFinite(state, keys, packed);
    result =
        result ? arith::OrIOp::create(e, result, found).getResult() : found;
  }
  return result;
}

/// Absent entries must not meet numbers that are not finite: in partial tiles,
/// rows that are otherwise read where they are go the long way.
void Kernel::packPartial(Sweep &sweep, Scope &outside, Value partial,
                         KeyRange keys) {
  bool any = llvm::any_of(sweep.values, [&](auto &entry) {
    return isDirect(entry.first, entry.second);
  });
  if (!any) {
    return;
  }
  Value found = e.ifValue(
      partial, e.getI1Type(),
      [&] {
        Scope tile(&outside);
        return packValues(sweep, tile, keys, /*direct=*/true);
      },
      [&] { return e.truth(false); });
  sweep.nonFinite =
      sweep.nonFinite
          ? arith::OrIOp::create(e, sweep.nonFinite, found).getResult()
          : found;
}

void Kernel::emitTile(Block &block, Sweep &sweep, Value firstKey) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(block.scope);
  Value columns =
      e.min(e.index(state.target.tileKeys), e.sub(sweep.upper, firstKey));
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
    KeyRange keys{op.getKeyArg(), firstKey, e.roundUp(columns, state.lanes),
                  sweep.upper};
    sweep.nonFinite = packValues(sweep, tile, keys, /*direct=*/false);
    for (auto [k, contraction] : llvm::enumerate(plan.contractions)) {
      if (isDirect(contraction)) {
        continue;
      }
      Packed sameRows;
      for (auto &[row, packed] : sweep.values) {
        if (!packed.pairs && !isDirect(row, packed) &&
            streamsRow(contraction, row)) {
          sameRows = packed;
        }
      }
      packKeys(tile, contraction, keys, sweep.staging[k], sameRows,
               sweep.keys[k]);
    }
    e.loop(e.index(0), block.rows, state.target.tileRows, [&](Value first) {
      Value rows =
          e.min(e.index(state.target.tileRows), e.sub(block.rows, first));
      emitRowTile(sweep, tile, first, rows, e.add(block.firstRow, first),
                  firstKey, columns);
    });
  };
  if (op.getTiles().empty()) {
    emitInside();
    return;
  }
  Value lastRow = e.sub(e.add(block.firstRow, block.rows), 1);
  Value lastKey = e.sub(e.add(firstKey, columns), 1);
  SmallVector<Value> corners = state.getRowRange(block.firstRow, lastRow);
  corners.append({firstKey, lastKey});
  Value needed = evaluate(scope, op.getTiles(), corners).first;
  e.ifThen(needed, emitInside);
}

void Kernel::emitRowTile(Sweep &sweep, Scope &outside, Value first, Value rows,
                         Value firstRow, Value firstKey, Value columns) {
  SweepPlan &plan = sweep.plan;
  SweepOp op = plan.op;
  Scope scope(&outside);
  Value lastRow = e.sub(e.add(firstRow, rows), 1);
  Value from = e.index(0), to = columns;
  int64_t panel = state.target.kernelVectors * state.lanes;
  if (!op.getBounds().empty()) {
    auto [lower, upper] =
        evaluate(scope, op.getBounds(), state.getRowRange(firstRow, lastRow));
    from =
        e.roundDown(e.max(from, e.min(e.sub(lower, firstKey), columns)), panel);
    to = e.max(e.index(0), e.min(e.sub(upper, firstKey), columns));
  }
  Value end = e.roundUp(to, state.lanes);
  Value needed = e.less(from, to);
  Value full = arith::CmpIOp::create(e, arith::CmpIPredicate::sle,
                                     e.add(firstKey, end), sweep.upper);
  bool everFull = true;
  if (!op.getTiles().empty()) {
    Value lastKey = e.sub(e.min(e.add(firstKey, end), sweep.upper), 1);
    SmallVector<Value> corners = state.getRowRange(firstRow, lastRow);
    corners.append({e.add(firstKey, from), lastKey});
    auto [some, all] = evaluate(scope, op.getTiles(), corners);
    needed = e.both(needed, some);
    full = e.both(full, all);
  } else if (plan.conditional) {
    everFull = false;
  }
  e.ifThen(needed, [&] {
    Scope inside(&scope);
    Tile tile{plan, sweep.buffers, firstKey, sweep.upper, first,
              rows, from,          end,      firstRow,    {}};
    emitScores(sweep, inside, tile);
    emitFilled(sweep, inside, tile, 0);
    Value partial =
        everFull ? arith::XOrIOp::create(e, full, e.truth(true)).getResult()
                 : e.truth(true);
    packPartial(sweep, outside, partial,
                {op.getKeyArg(), firstKey, e.roundUp(columns, state.lanes),
                 sweep.upper});
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
    } else {
      emitStages(false);
    }
    emitOuters(sweep, inside, tile, partial);
  });
}
