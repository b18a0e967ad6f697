//===- LinalgPlan.cpp - how a linalg op runs in vectors -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See LinalgPlan.h.
//
//===----------------------------------------------------------------------===//

#include "LinalgPlan.h"

#include "StreamAnalysis.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

//===----------------------------------------------------------------------===//
// What has a form in vectors
//===----------------------------------------------------------------------===//

static bool hasUnitLastStride(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  return type.getRank() == 0 ||
         (succeeded(type.getStridesAndOffset(strides, offset)) &&
          strides.back() == 1);
}

/// Bits are packed in vectors and not in memory. Results are written in place,
/// inputs are copied by the call if they must be.
static bool hasVectorOperands(linalg::GenericOp op) {
  for (OpOperand &operand : op->getOpOperands()) {
    Type element = getElementTypeOrSelf(operand.get().getType());
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if ((!isa<FloatType>(element) && !element.isIndex() &&
         !element.isInteger()) ||
        (type && element.isInteger(1)) || (type && element.isIndex()) ||
        (op.isDpsInit(&operand) && (!type || !hasUnitLastStride(type)))) {
      return false;
    }
  }
  return true;
}

/// Whether the loop moves operands by one element, or not at all.
static bool isUnitStep(AffineMap map, unsigned loop) {
  for (auto [k, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop)) {
      continue;
    }
    AffineExpr dim = getAffineDimExpr(loop, map.getContext());
    AffineExpr rest =
        simplifyAffineExpr(expr - dim, map.getNumDims(), map.getNumSymbols());
    if (k + 1 != map.getNumResults() || rest.isFunctionOfDim(loop)) {
      return false;
    }
  }
  return true;
}

bool cpu::loadsLanes(memref::LoadOp load, unsigned lane) {
  auto last = load.getIndices().empty()
                  ? linalg::IndexOp()
                  : load.getIndices().back().getDefiningOp<linalg::IndexOp>();
  return last && last.getDim() == lane &&
         hasUnitLastStride(load.getMemRefType()) &&
         load.getType().isIntOrFloat() && !load.getType().isInteger(1);
}

/// Whether the body maps lanes to lanes if the arguments in `wide` are vectors:
/// reads of captured buffers are by scalars, or of consecutive elements.
static bool hasVectorBody(linalg::GenericOp op, unsigned lane) {
  DenseSet<Value> wide;
  for (OpOperand &operand : op->getOpOperands()) {
    if (op.getMatchingIndexingMap(&operand).isFunctionOfDim(lane) ||
        op.isDpsInit(&operand)) {
      wide.insert(op.getMatchingBlockArgument(&operand));
    }
  }
  for (Operation &inner : op.getBody()->without_terminator()) {
    bool isWide = llvm::any_of(inner.getOperands(),
                               [&](Value v) { return wide.contains(v); });
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      isWide = index.getDim() == lane;
    } else if (auto load = dyn_cast<memref::LoadOp>(inner)) {
      auto places = load.getIndices();
      bool lanes = loadsLanes(load, lane);
      if (llvm::any_of(lanes ? places.drop_back() : places,
                       [&](Value v) { return wide.contains(v); })) {
        return false;
      }
    } else if (!(isElementwise(&inner) && isPure(&inner)) &&
               !inner.hasTrait<OpTrait::ConstantLike>()) {
      return false;
    }
    if (isWide) {
      wide.insert_range(inner.getResults());
    }
  }
  return true;
}

/// Fills in how every output of a reduction combines; false where one does not.
static bool findCombiners(LinalgPlan &plan) {
  linalg::GenericOp op = plan.op;
  for (unsigned k = 0; k < op.getNumDpsInits(); ++k) {
    SmallVector<Operation *> combiners;
    if (!matchReduction(op.getRegionOutputArgs(), k, combiners) ||
        combiners.size() != 1) {
      return false;
    }
    std::optional<vector::CombiningKind> kind =
        linalg::getCombinerOpKind(combiners[0]);
    if (!kind || !arith::getNeutralElement(combiners[0])) {
      return false;
    }
    plan.combiners.push_back(combiners[0]);
    plan.kinds.push_back(*kind);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

/// Whether some operand moves with `loop` and stays as `other` goes on.
static bool staysFor(LinalgPlan &plan, unsigned loop, unsigned other) {
  return llvm::any_of(plan.op.getIndexingMapsArray(), [&](AffineMap map) {
    return map.isFunctionOfDim(loop) && !map.isFunctionOfDim(other);
  });
}

/// The extent, large where it is not known.
static int64_t guessExtent(ArrayRef<int64_t> extents, unsigned loop) {
  constexpr int64_t kMany = 1 << 20;
  return ShapedType::isDynamic(extents[loop]) ? kMany : extents[loop];
}

static void blockRegisters(LinalgPlan &plan, ArrayRef<int64_t> extents,
                           const TargetInfo &target) {
  int64_t lanesAlong = guessExtent(extents, plan.lane) / plan.lanes;
  SmallVector<unsigned> reused;
  for (auto [loop, kind] : llvm::enumerate(plan.op.getIteratorTypesArray())) {
    if (linalg::isParallelIterator(kind) && loop != plan.lane &&
        staysFor(plan, plan.lane, loop)) {
      reused.push_back(loop);
    }
  }
  // Of loops that are long enough, the inner one: a batch may be 1.
  constexpr int64_t kEnough = 48;
  llvm::sort(reused, [&](unsigned a, unsigned b) {
    return std::pair(std::min(guessExtent(extents, a), kEnough), a) >
           std::pair(std::min(guessExtent(extents, b), kEnough), b);
  });
  auto block = [&](unsigned loop, int64_t steps, int64_t chunk) {
    plan.blocked.push_back(
        {loop, std::min(steps, guessExtent(extents, loop)), chunk});
  };
  if (plan.reduces) {
    // Products of rows: 4 x 4 sums. Sums of rows: 4 for each.
    plan.vectors =
        reused.size() > 1 ? 1 : std::clamp<int64_t>(lanesAlong, 1, 4);
    for (unsigned loop : ArrayRef(reused).take_front(2)) {
      block(loop, 4, 16);
    }
    return;
  }
  if (plan.op.getNumReductionLoops() == 0) {
    return;
  }
  plan.vectors = std::clamp<int64_t>(lanesAlong, 1, target.kernelVectors);
  if (reused.empty()) {
    return;
  }
  // Few lanes (the features of a head) leave registers for another loop along
  // which the rows' scalars stay.
  unsigned rows = reused[0];
  int64_t left = target.kernelVectors / plan.vectors;
  for (auto [loop, kind] : llvm::enumerate(plan.op.getIteratorTypesArray())) {
    if (left > 1 && linalg::isParallelIterator(kind) && loop != plan.lane &&
        loop != rows && guessExtent(extents, loop) >= left &&
        staysFor(plan, rows, loop)) {
      block(loop, left, left);
      break;
    }
  }
  block(rows, target.kernelRows, target.tileRows);
}

std::optional<LinalgPlan> cpu::planLinalg(linalg::GenericOp op,
                                          const TargetInfo &target) {
  if (!op.hasPureBufferSemantics() || !hasVectorOperands(op)) {
    return std::nullopt;
  }
  int64_t bits = 32;
  op->walk([&](Operation *inner) {
    for (Type type : llvm::concat<Type>(inner->getOperandTypes(),
                                        inner->getResultTypes())) {
      Type element = getElementTypeOrSelf(type);
      if (element.isIntOrFloat()) {
        bits = std::max<int64_t>(bits, element.getIntOrFloatBitWidth());
      }
    }
  });
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  // Every parallel loop moves every output: no element is written twice.
  for (OpOperand &init : op.getDpsInitsMutable()) {
    for (auto [loop, kind] : llvm::enumerate(kinds)) {
      if (linalg::isParallelIterator(kind) !=
          op.getMatchingIndexingMap(&init).isFunctionOfDim(loop)) {
        return std::nullopt;
      }
    }
  }
  LinalgPlan plan{op, target.getLanes(bits), 0, false, 1, {}, {}, {}};
  auto fits = [&](unsigned loop) {
    return llvm::all_of(maps,
                        [&](AffineMap map) { return isUnitStep(map, loop); }) &&
           hasVectorBody(op, loop);
  };
  std::optional<unsigned> lane;
  for (bool reduces : {false, true}) {
    for (unsigned loop = kinds.size(); loop-- > 0 && !lane;) {
      if (linalg::isReductionIterator(kinds[loop]) == reduces && fits(loop)) {
        lane = loop;
        plan.reduces = reduces;
      }
    }
  }
  if (!lane) {
    return std::nullopt;
  }
  plan.lane = *lane;
  if (plan.reduces && !findCombiners(plan)) {
    return std::nullopt;
  }
  blockRegisters(plan, op.getStaticLoopRanges(), target);
  return plan;
}
