//===- Axes.cpp - what is known of the axes of a score matrix -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Axis operands are inherited along the expression. Ops that start an
// expression take their extents from their operands; all others pass on those
// of their inputs.
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"

#include "mlir/Interfaces/FunctionInterfaces.h"

#include <array>

using namespace mlir;
using namespace mlir::attn;

static void mergeMissing(AxisInfo &into, const AxisInfo &from) {
  if (!into.hasOrigin()) {
    into.positions = from.positions;
    into.offset = from.offset;
  }
  if (!into.length) {
    into.length = from.length;
  }
  if (!into.segments) {
    into.segments = from.segments;
  }
}

SmallVector<std::pair<Value, bool>> mlir::attn::getScoreOperands(Operation *op,
                                                                 bool isQuery) {
  SmallVector<std::pair<Value, bool>> sources;
  for (Value operand : op->getOperands()) {
    if (isa<ScoresType>(operand.getType())) {
      sources.push_back({operand, isQuery});
    }
  }
  return sources;
}

/// Collects in the order of the walk, each value once: expressions are graphs,
/// and a value that was seen has nothing to add.
static void collectAxis(Value scores, bool isQuery, AxisInfo &info,
                        std::array<DenseSet<Value>, 2> &seen) {
  Operation *def = scores.getDefiningOp();
  if (!def || !seen[isQuery].insert(scores).second) {
    return;
  }
  if (auto axes = dyn_cast<AxisOpInterface>(def)) {
    mergeMissing(info, axes.getAxisInfo(isQuery));
  }
  if (auto op = dyn_cast<ScoresOpInterface>(def)) {
    for (auto [operand, inner] : op.getAxisSources(isQuery)) {
      collectAxis(operand, inner, info, seen);
    }
  }
}

AxisInfo mlir::attn::getAxis(Value scores, bool isQuery) {
  AxisInfo info;
  std::array<DenseSet<Value>, 2> seen;
  collectAxis(scores, isQuery, info, seen);
  return info;
}

bool mlir::attn::hasKnownAxes(Value scores) {
  SmallVector<Value> pending{scores};
  DenseSet<Value> seen;
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    Operation *def = value.getDefiningOp();
    if (!def || !isa<ScoresOpInterface>(def)) {
      return false;
    }
    llvm::copy_if(def->getOperands(), std::back_inserter(pending),
                  [](Value v) { return isa<ScoresType>(v.getType()); });
  }
  return true;
}

static bool hasScores(TypeRange types) {
  return llvm::any_of(types, [](Type type) {
    return type.walk([](ScoresType) { return WalkResult::interrupt(); })
        .wasInterrupted();
  });
}

constexpr StringLiteral kRemedy =
    "carry row and column tensors instead, or ask for the matrix with "
    "attn.materialize";

LogicalResult mlir::attn::verifyResolvedScores(
    Operation *function, function_ref<std::string(Operation *)> explain) {
  if (auto func = dyn_cast<FunctionOpInterface>(function)) {
    if (hasScores(func.getArgumentTypes()) ||
        hasScores(func.getResultTypes())) {
      return function->emitError()
             << "function '" << func.getName()
             << "' takes or returns scores, which live in one block; "
             << kRemedy;
    }
  }
  WalkResult result = function->walk<WalkOrder::PreOrder>([&](Operation *op) {
    bool foreign = !isa_and_present<AttnDialect>(op->getDialect());
    bool carried = llvm::any_of(op->getRegions(), [](Region &region) {
      return llvm::any_of(region, [](Block &block) {
        return hasScores(block.getArgumentTypes());
      });
    });
    if (carried || (foreign && (hasScores(op->getOperandTypes()) ||
                                hasScores(op->getResultTypes())))) {
      InFlightDiagnostic diag =
          op->emitError() << "'" << op->getName()
                          << "' takes, carries or returns scores, which live "
                             "in one block; "
                          << kRemedy;
      std::string why = explain ? explain(op) : "";
      if (!why.empty()) {
        diag.attachNote() << why;
      }
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

SmallVector<OpFoldResult> mlir::attn::getScoresShape(OpBuilder &builder,
                                                     Value scores) {
  return cast<ScoresOpInterface>(scores.getDefiningOp())
      .reifyScoresShape(builder);
}

/// `got` may be 1 where `allowOne`, or dynamic, or the wanted extent.
static bool fits(int64_t got, int64_t want, bool allowOne) {
  return ShapedType::isDynamic(got) || ShapedType::isDynamic(want) ||
         got == want || (allowOne && got == 1);
}

bool mlir::attn::differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

LogicalResult mlir::attn::verifyMap(Operation *op, Value map, StringRef name,
                                    int64_t extent, StringRef label) {
  auto type = map ? cast<RankedTensorType>(map.getType()) : RankedTensorType();
  if (!type || (type.getRank() == 1 && !differ(type.getDimSize(0), extent))) {
    return success();
  }
  InFlightDiagnostic diag = op->emitOpError()
                            << label << ": " << name << " has shape [";
  if (ShapedType::isDynamic(extent)) {
    diag << '?';
  } else {
    diag << extent;
  }
  return diag << "], got " << type;
}

/// The tensor whose first extent is the batch of a contraction.
static Value getProductBatchSource(Value query, Value key, Value batchMap) {
  if (cast<RankedTensorType>(query.getType()).getDimSize(0) != 1) {
    return query;
  }
  return batchMap ? batchMap : key;
}

int64_t mlir::attn::getProductBatch(Value query, Value key, Value batchMap) {
  Value source = getProductBatchSource(query, key, batchMap);
  auto type = cast<RankedTensorType>(source.getType());
  return type.getRank() ? type.getDimSize(0) : 1; // a map of rank 0 is refused
}

OpFoldResult mlir::attn::reifyProductBatch(OpBuilder &builder, Location loc,
                                           Value query, Value key,
                                           Value batchMap) {
  return tensor::getMixedSize(builder, loc,
                              getProductBatchSource(query, key, batchMap), 0);
}

LogicalResult mlir::attn::verifyAxis(Operation *op, const AxisInfo &axis,
                                     StringRef name, ScoresType scores,
                                     unsigned extentDim, StringRef label) {
  auto check = [&](Value value, StringRef what, ArrayRef<int64_t> want,
                   ArrayRef<bool> one) -> LogicalResult {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() != static_cast<int64_t>(want.size())) {
      return op->emitOpError()
             << label << ": " << name << "_" << what << " has rank "
             << want.size() << ", got " << type;
    }
    for (auto [d, extent] : llvm::enumerate(want)) {
      if (!fits(type.getDimSize(d), extent, one[d])) {
        return op->emitOpError()
               << label << ": extent " << d << " of " << name << "_" << what
               << " is " << type.getDimSize(d) << ", expected " << extent;
      }
    }
    return success();
  };
  int64_t b = scores.getDim(ScoresType::Batch);
  int64_t h = scores.getDim(ScoresType::Heads);
  int64_t extent = scores.getDim(extentDim);
  if (axis.positions && axis.offset) {
    return op->emitOpError() << label << ": the " << name
                             << " axis has positions or an offset, not both";
  }
  if (axis.positions && failed(check(axis.positions, "positions",
                                     {b, h, extent}, {true, true, false}))) {
    return failure();
  }
  if (axis.length &&
      failed(check(axis.length, "length", {b, h}, {true, true}))) {
    return failure();
  }
  if (axis.segments &&
      failed(check(axis.segments, "segments", {b, extent}, {true, false}))) {
    return failure();
  }
  if (axis.offset && isa<RankedTensorType>(axis.offset.getType())) {
    return check(axis.offset, "offset", {b}, {true});
  }
  return success();
}
