//===- StreamUtils.cpp - helpers of passes on streams -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StreamUtils.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::attn;

CarryOp mlir::attn::createCarry(OpBuilder &builder, Location loc,
                                CarryKind kind, Type type, Value value,
                                Value row, Value cond) {
  return CarryOp::create(builder, loc, type, kind, value, row, cond,
                         /*gauges=*/ValueRange(), /*rates=*/ValueRange(),
                         /*poly_gauge=*/Value(), /*companions=*/ValueRange(),
                         /*operand_type=*/TypeAttr());
}

SweepOp mlir::attn::addSweepResults(SweepOp sweep) {
  OpBuilder builder(sweep);
  auto result =
      SweepOp::create(builder, sweep.getLoc(), sweep.getLower(),
                      sweep.getUpper(), sweep.getYield().getOperandTypes());
  for (auto [to, from] : llvm::zip(result->getRegions(), sweep->getRegions())) {
    to.takeBody(from);
  }
  for (auto [k, old] : llvm::enumerate(sweep.getResults())) {
    old.replaceAllUsesWith(result.getResult(k));
  }
  sweep.erase();
  return result;
}

bool mlir::attn::isUniform(Value value, SweepOp sweep) {
  return !sweep->isAncestor(value.getParentRegion()->getParentOp());
}

void mlir::attn::hoistUniform(SweepOp sweep) {
  for (Operation &op : llvm::make_early_inc_range(
           sweep.getBody().front().without_terminator())) {
    if (!isPure(&op) || op.getNumRegions() != 0) {
      continue;
    }
    if (llvm::all_of(op.getOperands(),
                     [&](Value v) { return isUniform(v, sweep); })) {
      op.moveBefore(sweep);
    }
  }
}

/// Erases, last first, unused ops that `removable` allows.
static void eraseUnused(Block &block,
                        function_ref<bool(Operation *)> removable) {
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator()) {
    ops.push_back(&op);
  }
  for (Operation *op : llvm::reverse(ops)) {
    if (op->use_empty() && removable(op)) {
      op->erase();
    }
  }
}

SweepOp mlir::attn::pruneSweep(SweepOp sweep) {
  YieldOp yield = sweep.getYield();
  SmallVector<unsigned> kept;
  SmallVector<Value> values;
  for (auto [k, result] : llvm::enumerate(sweep.getResults())) {
    if (!result.use_empty()) {
      kept.push_back(k);
      values.push_back(yield.getOperand(k));
    }
  }
  if (kept.size() != sweep.getNumResults()) {
    OpBuilder builder(sweep);
    auto pruned =
        SweepOp::create(builder, sweep.getLoc(), sweep.getLower(),
                        sweep.getUpper(), ValueRange(values).getTypes());
    for (auto [to, from] :
         llvm::zip(pruned->getRegions(), sweep->getRegions())) {
      to.takeBody(from);
    }
    pruned.getYield()->setOperands(values);
    for (auto [to, from] : llvm::enumerate(kept)) {
      sweep.getResult(from).replaceAllUsesWith(pruned.getResult(to));
    }
    sweep.erase();
    sweep = pruned;
  }
  // Accumulators have no effect of their own.
  eraseUnused(sweep.getBody().front(), [](Operation *op) {
    return isPure(op) || isa<ReducerOpInterface, AcrossOp, SweepOp>(op);
  });
  return sweep;
}

void mlir::attn::eraseDeadRowOps(StreamOp stream) {
  eraseUnused(stream.getBody().front(),
              [](Operation *op) { return isPure(op); });
}

Value mlir::attn::emptyValue(OpBuilder &builder, Location loc, CarryOp carry) {
  Type type = carry.getType(), element = getElementTypeOrSelf(type);
  TypedAttr attr;
  if (auto floating = dyn_cast<FloatType>(element)) {
    const llvm::fltSemantics &semantics = floating.getFloatSemantics();
    APFloat value = APFloat::getZero(semantics);
    if (carry.getKind() == CarryKind::Max ||
        carry.getKind() == CarryKind::Min) {
      value = APFloat::getInf(semantics, carry.getKind() == CarryKind::Max);
    }
    attr = FloatAttr::get(element, value);
  } else {
    bool index = carry.getKind() == CarryKind::ArgMax ||
                 carry.getKind() == CarryKind::ArgMin;
    attr = IntegerAttr::get(element, index ? -1 : 0);
  }
  if (auto vector = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return arith::ConstantOp::create(builder, loc, attr);
}

void mlir::attn::eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
    }
  }
}

void mlir::attn::dropUnusedInputs(StreamOp stream) {
  for (unsigned k = stream.getInputs().size(); k-- > 0;) {
    if (stream.getInputArg(k).use_empty()) {
      stream.getBody().eraseArgument(StreamOp::kNumIndexArgs + k);
      stream.getInputsMutable().erase(k);
    }
  }
}

/// The tensor and dimension behind an extent.
static std::pair<Value, int64_t> dimensionOf(Value extent) {
  auto dim = extent.getDefiningOp<tensor::DimOp>();
  if (!dim) {
    return {};
  }
  std::optional<int64_t> index = getConstantIntValue(dim.getIndex());
  return index ? std::pair(dim.getSource(), *index)
               : std::pair<Value, int64_t>();
}

static StringAttr dimensionName(Value tensor, int64_t dim) {
  auto arg = dyn_cast<BlockArgument>(tensor);
  auto func = arg ? dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp())
                  : FunctionOpInterface();
  if (!func) {
    return {};
  }
  auto names =
      func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "attn.dims");
  if (!names || dim >= static_cast<int64_t>(names.size())) {
    return {};
  }
  return dyn_cast<StringAttr>(names[dim]);
}

bool mlir::attn::sameExtent(OpFoldResult a, OpFoldResult b) {
  a = resolveExtent(a);
  b = resolveExtent(b);
  std::optional<int64_t> x = getConstantIntValue(a), y = getConstantIntValue(b);
  if (x || y) {
    return x == y;
  }
  Value u = cast<Value>(a), v = cast<Value>(b);
  if (u == v) {
    return true;
  }
  if (auto x = u.getDefiningOp<arith::AddIOp>()) {
    auto y = v.getDefiningOp<arith::AddIOp>();
    return y && sameExtent(x.getLhs(), y.getLhs()) &&
           sameExtent(x.getRhs(), y.getRhs());
  }
  auto [s, d] = dimensionOf(u);
  auto [t, e] = dimensionOf(v);
  if (!s || !t) {
    return false;
  }
  if (s == t) {
    return d == e;
  }
  StringAttr m = dimensionName(s, d), n = dimensionName(t, e);
  return m && m == n;
}

OpFoldResult mlir::attn::addExtents(OpBuilder &builder, Location loc,
                                    OpFoldResult a, OpFoldResult b) {
  std::optional<int64_t> x = getConstantIntValue(a), y = getConstantIntValue(b);
  if (x && y) {
    return builder.getIndexAttr(*x + *y);
  }
  if (x == 0 || y == 0) {
    return x == 0 ? b : a;
  }
  return arith::AddIOp::create(builder, loc,
                               getValueOrCreateConstantIndexOp(builder, loc, a),
                               getValueOrCreateConstantIndexOp(builder, loc, b))
      .getResult();
}

Value mlir::attn::addExtent(StreamOp stream, Value extent) {
  for (auto [k, input] : llvm::enumerate(stream.getInputs())) {
    if (input.getType().isIndex() && sameExtent(input, extent)) {
      return stream.getInputArg(k);
    }
  }
  return stream.addInput(extent);
}
