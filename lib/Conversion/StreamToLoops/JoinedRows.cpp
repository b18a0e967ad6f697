//===- JoinedRows.cpp - values joined over the rows of a stream -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row computes what all others have at this key, again:
//
//   %x = attn.dot %Q[.. %i], %K[.. %j]
//   %m = attn.across max %x over 7
// becomes
//   %m = scf.for %i2 = 0 to 7 iter_args(%so = -inf) {
//     %x2 = attn.dot %Q[.. %i2], %K[.. %j]
//     scf.yield max(%so, %x2)
//   }
//
//===----------------------------------------------------------------------===//

#include "StreamToLoops.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::loops;

/// Collects, operands first, the ops that `value` needs and that differ between
/// rows. What was joined before is the same for all of them.
static bool collectOfRow(Value value, Value row, SetVector<Operation *> &ops,
                         DenseMap<Operation *, bool> &known) {
  if (value == row) {
    return true;
  }
  Operation *def = value.getDefiningOp();
  if (!def || isa<AcrossOp>(def)) {
    return false;
  }
  auto [it, fresh] = known.try_emplace(def, false);
  if (!fresh) {
    return it->second;
  }
  SetVector<Value> read(def->operand_begin(), def->operand_end());
  getUsedValuesDefinedAbove(def->getRegions(), read);
  bool differs = false;
  for (Value operand : read) {
    differs |= collectOfRow(operand, row, ops, known);
  }
  if (differs) {
    ops.insert(def);
  }
  return known[def] = differs;
}

static Value joinRow(OpBuilder &builder, AcrossOp op, Value so, Value x) {
  Location loc = op.getLoc();
  switch (op.getKind()) {
  case CarryKind::Max:
    return arith::MaximumFOp::create(builder, loc, so, x);
  case CarryKind::Min:
    return arith::MinimumFOp::create(builder, loc, so, x);
  default:
    return arith::AddFOp::create(builder, loc, so, x);
  }
}

static void expandAcross(AcrossOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value row = op->getParentOfType<StreamOp>().getRowArg();
  SetVector<Operation *> ops;
  DenseMap<Operation *, bool> known;
  collectOfRow(op.getValue(), row, ops, known);
  if (op.getCond()) {
    collectOfRow(op.getCond(), row, ops, known);
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double nothing = op.getKind() == CarryKind::Sum   ? 0
                   : op.getKind() == CarryKind::Max ? -infinity
                                                    : infinity;
  Value init = floatConstant(builder, loc, op.getType(), nothing);
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto rows = static_cast<int64_t>(op.getRows());
  auto loop = scf::ForOp::create(
      builder, loc, index(0), index(rows), index(1), init,
      [&](OpBuilder &b, Location, Value other, ValueRange so) {
        IRMapping map;
        map.map(row, other);
        for (Operation *inner : ops) {
          b.clone(*inner, map);
        }
        Value x = map.lookupOrDefault(op.getValue());
        Value joined = joinRow(b, op, so[0], x);
        if (op.getCond()) {
          Value cond = map.lookupOrDefault(op.getCond());
          joined = arith::SelectOp::create(b, loc, cond, joined, so[0]);
        }
        scf::YieldOp::create(b, loc, joined);
      });
  op.replaceAllUsesWith(loop.getResult(0));
  op.erase();
}

void attn::loops::expandJoinedRows(StreamOp stream) {
  // Last first: an earlier one is not copied as a loop in a loop.
  SmallVector<AcrossOp> joined;
  stream.walk([&](AcrossOp op) { joined.push_back(op); });
  for (AcrossOp op : llvm::reverse(joined)) {
    expandAcross(op);
  }
}
