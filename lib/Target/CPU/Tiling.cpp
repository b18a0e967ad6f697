//===- Tiling.cpp - blocks and tiles of a kernel --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Tiling.h.
//
//===----------------------------------------------------------------------===//

#include "Tiling.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

int64_t cpu::getInsideColumns(const CollectivePlan &plan, int64_t columns,
                              int64_t lanes) {
  if (plan.parent) {
    columns = getInsideColumns(*plan.parent, columns, lanes);
  }
  int64_t reach = plan.keys.total - plan.getKeysAround().total;
  return llvm::alignTo(columns + reach, lanes);
}

/// Bytes of a row of the tiles that a sweep's collectives keep.
static int64_t getRowBytes(SweepPlan &sweep, int64_t columns, int64_t lanes,
                           int64_t elementBytes) {
  int64_t entries = 2 * columns; // coefficients and scores of the sweep
  for (auto &plan : sweep.allCollectives) {
    int64_t inside = getInsideColumns(*plan, columns, lanes);
    if (MixOp mix = plan->getMix()) {
      entries += plan->donor ? 0 : inside * mix.getInputHeads();
      if (mix.getOutputHeads() > mix.getInputHeads()) {
        entries += inside * mix.getOutputHeads();
      }
    } else {
      entries += 2 * inside;
    }
  }
  return entries * elementBytes;
}

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

Tiling Tiling::choose(StreamOp stream, StreamAnalysis &analysis,
                      const TargetInfo &target) {
  Tiling tiling{target.blockRows, target.tileRows, target.tileKeys,
                target.kernelRows, target.kernelVectors};
  SmallVector<CollectivePlan *> collectives;
  for (SweepPlan &sweep : analysis.getSweeps()) {
    for (auto &plan : sweep.allCollectives) {
      collectives.push_back(plan.get());
    }
  }
  if (collectives.empty()) {
    tiling.fitFewKeys(stream, analysis, target);
    int64_t itemRows = target.itemRows;
    if (analysis.getDirectRows()) {
      // Buffers for more would be cleared, and take room from keys.
      itemRows =
          llvm::alignTo(StreamAnalysis::kMostDirectRows, tiling.kernelRows);
      tiling.blockRows = tiling.tileRows = itemRows;
    }
    tiling.cutIntoItems(analysis.getRowPeriod() * analysis.getPackedHeads(),
                        itemRows);
    return tiling;
  }
  // Half as many keys, for the tiles of all heads or a halo come with them.
  tiling.tileKeys = target.tileKeys / 2;
  if (analysis.keepsHeads()) {
    tiling.heads = *getConstantIntValue(stream.getHeads());
  }
  int64_t lanes = target.getLanes(analysis.getElementBits());
  int64_t panel = target.kernelVectors * lanes;
  int64_t halo = 0;
  for (CollectivePlan *plan : collectives) {
    halo = std::max(halo, plan->keys.total);
  }
  if (halo) {
    // At least four fifths of the widest tile are entries of the sweep.
    int64_t widest =
        std::max<int64_t>(target.tileKeys, llvm::alignTo(5 * halo, panel));
    tiling.tileKeys = llvm::alignTo(widest, lanes);
    auto fits = [&](CollectivePlan *plan) {
      return getInsideColumns(*plan, tiling.tileKeys, lanes) <= widest;
    };
    while (!llvm::all_of(collectives, fits)) {
      tiling.tileKeys -= lanes;
    }
  }
  // Rows of a block, a multiple of those of the microkernel and of a stencil.
  int64_t unit = 24, rows = 4 * unit, least = unit;
  for (SweepPlan &sweep : analysis.getSweeps()) {
    for (AcrossOp joined : sweep.joined) {
      least = std::max<int64_t>(least, llvm::alignTo(joined.getRows(), unit));
    }
    int64_t bytes = getRowBytes(sweep, tiling.tileKeys, lanes,
                                analysis.getElementBits() / 8);
    while (rows > least && rows * bytes > target.collectiveBytes) {
      rows -= unit;
    }
  }
  tiling.blockRows = tiling.tileRows = rows;
  tiling.cutIntoItems(analysis.getRowPeriod(), rows);
  return tiling;
}

/// Where a row has few keys, as the columns of a few queries do, tiles and
/// panels are no wider than these.
void Tiling::fitFewKeys(StreamOp stream, StreamAnalysis &analysis,
                        const TargetInfo &target) {
  std::optional<int64_t> keys = getConstantIntValue(stream.getExtent());
  bool plain = keys && llvm::all_of(analysis.getSweeps(), [&](SweepPlan &plan) {
                 Value upper = plan.op.getUpper();
                 return plan.products.empty() &&
                        isConstantIntValue(plan.op.getLower(), 0) &&
                        (upper == stream.getExtentArg() ||
                         isConstantIntValue(upper, *keys));
               });
  int64_t lanes = target.getLanes(analysis.getElementBits());
  int64_t panel = keyVectors * lanes;
  if (!plain || *keys >= panel) {
    return;
  }
  keyVectors = std::max<int64_t>(1, ceilDiv(*keys, lanes));
  tileKeys = keyVectors * lanes;
}

//===----------------------------------------------------------------------===//
// Blocks of rows
//===----------------------------------------------------------------------===//

/// Items of `itemRows` rows; or, where rows have lists, blocks that end where
/// those change, with tiles and a microkernel that fit them.
void Tiling::cutIntoItems(int64_t rowPeriod, int64_t itemRows) {
  if (!rowPeriod) {
    step = itemRows;
    return;
  }
  bool oneTile = tileRows == blockRows;
  period = rowPeriod;
  parts = ceilDiv(period, blockRows);
  step = ceilDiv(period, parts);
  kernelRows = std::min(kernelRows, step);
  auto whole = [&](int64_t count) {
    return ceilDiv(count, kernelRows) * kernelRows;
  };
  blockRows = whole(step);
  tileRows =
      oneTile ? blockRows : whole(ceilDiv(step, ceilDiv(step, tileRows)));
}

Value Tiling::getItemRows(Emit &e, const StreamAnalysis &analysis,
                          ValueRange operands) const {
  Value rowBlock = analysis.getRowBlock();
  if (!rowBlock) {
    return {};
  }
  auto input = dyn_cast<BlockArgument>(rowBlock);
  Value size = input ? operands[input.getArgNumber()]
                     : e.index(*getConstantIntValue(rowBlock));
  Value count = arith::CeilDivUIOp::create(e, e.index(step), size);
  return arith::MulIOp::create(e, size, count);
}

Value Tiling::countItems(Emit &e, Value rows, Value itemRows) const {
  if (itemRows) {
    return arith::CeilDivUIOp::create(e, rows, itemRows);
  }
  int64_t length = period ? period : step;
  return e.mul(e.div(e.add(rows, length - 1), length), parts);
}

std::pair<Value, Value> Tiling::getBlock(Emit &e, Value item, Value count,
                                         Value rows) const {
  if (parts == 1) {
    int64_t length = period ? period : step;
    Value first = e.mul(item, length);
    return {first, e.min(e.mul(count, step), e.sub(rows, first))};
  }
  Value list = e.div(item, parts);
  Value part = e.sub(item, e.mul(list, parts));
  Value first = e.add(e.mul(list, period), e.mul(part, step));
  Value end = e.min(e.mul(e.add(list, 1), period), rows);
  return {first, e.min(e.index(step), e.sub(end, first))};
}

Value Tiling::getBlockOf(Emit &e, Value row) const {
  Value list = e.div(row, period);
  if (parts == 1) {
    return list;
  }
  Value inside = e.sub(row, e.mul(list, period));
  return e.add(e.mul(list, parts), e.div(inside, step));
}
