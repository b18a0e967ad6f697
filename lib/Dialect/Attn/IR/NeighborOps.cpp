//===- NeighborOps.cpp - entries from neighbours and heads ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "AxisVerifier.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/NeighborOps.cpp.inc"

static LogicalResult verifyOrigin(Operation *op, ArrayRef<int64_t> origin,
                                  ArrayRef<int64_t> taps) {
  if (origin.size() != 2 || origin[0] < 0 || origin[0] >= taps[0] ||
      origin[1] < 0 || origin[1] >= taps[1]) {
    return op->emitOpError()
           << "C2: the origin is two indices inside of the taps [" << taps
           << "], got [" << origin << "]";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.convolve
//===----------------------------------------------------------------------===//

LogicalResult ConvolveOp::verify() {
  auto taps = cast<RankedTensorType>(getTaps().getType());
  int64_t heads = getInput().getType().getDim(ScoresType::Heads);
  bool fits = taps.getRank() == 3 && taps.hasStaticShape() &&
              llvm::all_of(taps.getShape(), [](int64_t n) { return n > 0; }) &&
              (taps.getDimSize(0) == heads || taps.getDimSize(0) == 1);
  if (!fits) {
    return emitOpError() << "C1: taps are [" << heads
                         << " or 1, KU, KV] with static KU and KV, got "
                         << taps;
  }
  if (failed(verifyOrigin(*this, getOrigin(), taps.getShape().drop_front()))) {
    return failure();
  }
  if (getSameSegment() && hasKnownAxes(getInput()) &&
      !(getAxis(getInput(), /*isQuery=*/true).segments &&
        getAxis(getInput(), /*isQuery=*/false).segments)) {
    return emitOpError() << "C3: same_segment needs segments on both axes; "
                            "attach them with attn.with_axes";
  }
  return success();
}

SmallVector<OpFoldResult> ConvolveOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}

//===----------------------------------------------------------------------===//
// attn.mix_heads
//===----------------------------------------------------------------------===//

/// C2 and C3 of an op whose result has another number of heads.
template <typename OpTy>
static LogicalResult verifyJoinedHeads(OpTy op, int64_t outputs) {
  ScoresType input = op.getInput().getType(), result = op.getResult().getType();
  int64_t heads = input.getDim(ScoresType::Heads);
  SmallVector<int64_t> want(input.getShape());
  want[ScoresType::Heads] = outputs;
  if (result.getShape() != ArrayRef(want) ||
      result.getElementType() != input.getElementType()) {
    return op.emitOpError() << "C2: the result is "
                            << ScoresType::get(want, input.getElementType())
                            << ", got " << result;
  }
  for (bool isQuery : {true, false}) {
    AxisInfo axis = getAxis(op.getInput(), isQuery);
    for (Value of : {axis.positions, axis.length}) {
      if (!of) {
        continue;
      }
      int64_t extent = cast<RankedTensorType>(of.getType()).getDimSize(1);
      if (extent != 1 && outputs != heads) {
        return op.emitOpError()
               << "C3: the " << (isQuery ? "query" : "key")
               << " axis has positions or lengths per head, which " << outputs
               << (isa<MixHeadsOp>(op) ? " mixtures of " : " groups of ")
               << heads << " heads do not have; give them an extent of 1";
      }
    }
  }
  return success();
}

LogicalResult MixHeadsOp::verify() {
  auto weights = cast<RankedTensorType>(getWeights().getType());
  int64_t heads = getInput().getType().getDim(ScoresType::Heads);
  if (weights.getRank() != 2 || !weights.hasStaticShape() ||
      weights.getDimSize(0) < 1 || weights.getDimSize(1) != heads) {
    return emitOpError() << "C1: weights are [G, " << heads
                         << "] with static extents, got " << weights;
  }
  return verifyJoinedHeads(*this, weights.getDimSize(0));
}

SmallVector<OpFoldResult> MixHeadsOp::reifyScoresShape(OpBuilder &builder) {
  SmallVector<OpFoldResult> shape = getScoresShape(builder, getInput());
  shape[ScoresType::Heads] =
      builder.getIndexAttr(getResult().getType().getDim(ScoresType::Heads));
  return shape;
}

//===----------------------------------------------------------------------===//
// attn.reduce_heads
//===----------------------------------------------------------------------===//

LogicalResult ReduceHeadsOp::verify() {
  switch (getKind()) {
  case ReduceKind::Sum:
  case ReduceKind::Max:
  case ReduceKind::Min:
  case ReduceKind::Mean:
  case ReduceKind::Count:
    break;
  default:
    return emitOpError()
           << "C1: heads are reduced by sum, max, min, mean or count, got "
           << stringifyReduceKind(getKind());
  }
  int64_t heads = getInput().getType().getDim(ScoresType::Heads);
  int64_t groups = getResult().getType().getDim(ScoresType::Heads);
  if (ShapedType::isDynamic(heads) || groups < 1 || heads % groups) {
    return emitOpError() << "C2: the result has a number of heads that divides "
                         << heads << ", got " << groups;
  }
  return verifyJoinedHeads(*this, groups);
}

SmallVector<OpFoldResult> ReduceHeadsOp::reifyScoresShape(OpBuilder &builder) {
  SmallVector<OpFoldResult> shape = getScoresShape(builder, getInput());
  shape[ScoresType::Heads] =
      builder.getIndexAttr(getResult().getType().getDim(ScoresType::Heads));
  return shape;
}

//===----------------------------------------------------------------------===//
// attn.stencil, attn.mix
//===----------------------------------------------------------------------===//

/// A region from `indices` indices to a value and its presence.
static LogicalResult verifyCollective(Operation *op, Region &region,
                                      unsigned indices, Type value,
                                      StringRef label) {
  SmallVector<Type> arguments(indices, IndexType::get(op->getContext()));
  SmallVector<Type> yields{value, IntegerType::get(op->getContext(), 1)};
  Block &block = region.front();
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!llvm::equal(block.getArgumentTypes(), arguments) || !yield ||
      !llvm::equal(yield.getOperandTypes(), yields)) {
    return op->emitOpError() << label << ": the region takes (" << arguments
                             << ") and yields (" << yields << ")";
  }
  return success();
}

LogicalResult StencilOp::verify() {
  auto taps = cast<ShapedType>(getTaps().getType());
  if (taps.getRank() != 3 || taps.isDynamicDim(1) || taps.isDynamicDim(2)) {
    return emitOpError() << "C1: taps are [heads, KU, KV] with static KU and "
                            "KV, got "
                         << taps;
  }
  if (failed(verifyOrigin(*this, getOrigin(), taps.getShape().drop_front()))) {
    return failure();
  }
  return verifyCollective(*this, getBody(), 2, getResult().getType(), "C3");
}

LogicalResult MixOp::verify() {
  if (static_cast<bool>(getWeights()) == isGrouped() ||
      static_cast<bool>(getKind()) != isGrouped()) {
    return emitOpError() << "C1: heads are mixed with weights, or reduced in "
                            "groups";
  }
  if (isGrouped()) {
    ArrayRef<int64_t> groups = *getGroups();
    if (groups.size() != 2 || groups[0] < 1 || groups[1] < 1) {
      return emitOpError()
             << "C1: groups are the number of groups and of heads "
                "in each, got ["
             << groups << "]";
    }
  } else {
    auto weights = cast<ShapedType>(getWeights().getType());
    if (weights.getRank() != 2 || !weights.hasStaticShape()) {
      return emitOpError() << "C1: weights are a matrix of static extents, got "
                           << weights;
    }
  }
  return verifyCollective(*this, getBody(), 1, getResult().getType(), "C2");
}

//===----------------------------------------------------------------------===//
// attn.across
//===----------------------------------------------------------------------===//

/// Whether `value` is made of something that a stream accumulates.
static bool isAccumulated(Value value, DenseSet<Value> &seen) {
  Operation *def = value.getDefiningOp();
  if (!def || !seen.insert(value).second) {
    return false;
  }
  if (isa<SweepOp, ReducerOpInterface>(def)) {
    return true;
  }
  SetVector<Value> read(def->operand_begin(), def->operand_end());
  getUsedValuesDefinedAbove(def->getRegions(), read);
  return llvm::any_of(read, [&](Value v) { return isAccumulated(v, seen); });
}

LogicalResult AcrossOp::verify() {
  CarryKind kind = getKind();
  if (kind != CarryKind::Max && kind != CarryKind::Min &&
      kind != CarryKind::Sum) {
    return emitOpError() << "C1: the kind is max, min or sum, got "
                         << stringifyCarryKind(kind);
  }
  auto stream = dyn_cast<StreamOp>((*this)->getParentOp()->getParentOp());
  std::optional<int64_t> rows =
      stream ? getConstantIntValue(stream.getRows()) : std::nullopt;
  auto wanted = static_cast<int64_t>(getRows());
  if (!stream || (rows && *rows != wanted)) {
    return emitOpError() << "C2: it is in a sweep of a stream of " << wanted
                         << " rows"
                         << (rows ? ", got " + std::to_string(*rows) : "");
  }
  DenseSet<Value> seen;
  if (isAccumulated(getValue(), seen) ||
      (getCond() && isAccumulated(getCond(), seen))) {
    return emitOpError() << "C3: what it joins depends on no carry, no running "
                            "value and no result of a sweep";
  }
  return success();
}

static int64_t getWeightsExtent(MixOp op, unsigned dim) {
  return cast<ShapedType>(op.getWeights().getType()).getDimSize(dim);
}

int64_t MixOp::getInputHeads() {
  return isGrouped() ? (*getGroups())[0] * (*getGroups())[1]
                     : getWeightsExtent(*this, 1);
}

int64_t MixOp::getOutputHeads() {
  return isGrouped() ? (*getGroups())[0] : getWeightsExtent(*this, 0);
}

int64_t MixOp::getHeadsOfResult() {
  return isGrouped() ? (*getGroups())[1] : getInputHeads();
}

double mlir::attn::getSharedEvaluations(Operation *collective) {
  if (auto mix = dyn_cast<MixOp>(collective)) {
    return static_cast<double>(mix.getInputHeads()) /
           static_cast<double>(mix.getOutputHeads());
  }
  return 1.0;
}

int64_t mlir::attn::getTapCount(Operation *collective) {
  if (auto mix = dyn_cast<MixOp>(collective)) {
    return mix.getHeadsOfResult();
  }
  auto stencil = cast<StencilOp>(collective);
  return stencil.getQueryExtent() * stencil.getKeyExtent();
}
