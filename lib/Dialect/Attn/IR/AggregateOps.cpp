//===- AggregateOps.cpp - ops that leave the algebra for tensors -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// attn.reduce
//===----------------------------------------------------------------------===//

/// The element types that a kind gives; empty for custom.
static SmallVector<Type> resultElements(ReduceKind kind, Type element) {
  Builder b(element.getContext());
  switch (kind) {
  case ReduceKind::Sum:
  case ReduceKind::Max:
  case ReduceKind::Min:
  case ReduceKind::Mean:
  case ReduceKind::Lse:
  case ReduceKind::Entropy:
    return {element};
  case ReduceKind::Moments:
    return {element, element};
  case ReduceKind::Count:
  case ReduceKind::ArgMax:
  case ReduceKind::ArgMin:
    return {b.getI64Type()};
  case ReduceKind::Any:
    return {b.getI1Type()};
  case ReduceKind::Custom:
    return {};
  }
  llvm_unreachable("all kinds handled");
}

LogicalResult ReduceOp::verify() {
  ScoresType type = getInput().getType();
  bool custom = getKind() == ReduceKind::Custom;
  SmallVector<Type> got;
  for (Type result : getResultTypes()) {
    got.push_back(cast<RankedTensorType>(result).getElementType());
  }
  SmallVector<Type> want = resultElements(getKind(), type.getElementType());
  if ((!custom && got != want) || got.empty()) {
    InFlightDiagnostic diag =
        emitOpError() << "C1: " << stringifyReduceKind(getKind()) << " gives ";
    if (custom) {
      return diag << "at least one result";
    }
    return diag << "elements (" << want << "), got (" << got << ")";
  }
  unsigned kept =
      getAxis() == Axis::Keys ? ScoresType::Queries : ScoresType::Keys;
  SmallVector<int64_t> shape{type.getDim(0), type.getDim(1), type.getDim(kept)};
  if (static_cast<bool>(getBins()) == getBin().empty() ||
      (getBins() && *getBins() <= 0)) {
    return emitOpError() << "C5: bins are given with a region, and positive";
  }
  if (getBins()) {
    if (getKind() != ReduceKind::Sum && getKind() != ReduceKind::Max &&
        getKind() != ReduceKind::Min && getKind() != ReduceKind::Count) {
      return emitOpError() << "C5: bins take sum, max, min or count, got "
                           << stringifyReduceKind(getKind());
    }
    shape.push_back(*getBins());
    if (failed(verifyEntryRegion(*this, getBin(), type.getElementType(),
                                 IndexType::get(getContext()), "C5", "C5")) ||
        failed(verifySpeculatable(*this, getBin(), "C5"))) {
      return failure();
    }
  }
  for (Type result : getResultTypes()) {
    if (cast<RankedTensorType>(result).getShape() != ArrayRef(shape)) {
      return emitOpError() << "C2: over " << stringifyAxis(getAxis())
                           << " the results have the shape of "
                           << RankedTensorType::get(shape,
                                                    type.getElementType())
                           << ", got " << result;
    }
  }
  bool complete =
      getIdentityAttr() && !getLift().empty() && !getCombine().empty();
  bool nothing =
      !getIdentityAttr() && getLift().empty() && getCombine().empty();
  if (custom ? !complete : !nothing) {
    return emitOpError() << "C3: identity, lift and combine are given for "
                            "custom, and only for it";
  }
  if (!custom) {
    return success();
  }
  if (getIdentityAttr().size() != got.size()) {
    return emitOpError() << "C4: identity has " << getIdentityAttr().size()
                         << " values for " << got.size() << " results";
  }
  for (Type element : got) {
    if (element != type.getElementType()) {
      return emitOpError() << "C4: results of custom have element type "
                           << type.getElementType() << ", got " << element;
    }
  }
  if (failed(verifyEntryRegion(*this, getLift(), type.getElementType(), got,
                               "C4", "C4"))) {
    return failure();
  }
  Block &block = getCombine().front();
  SmallVector<Type> twice(got);
  twice.append(got);
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!llvm::equal(block.getArgumentTypes(), twice) || !yield ||
      yield.getOperandTypes() != TypeRange(got)) {
    return emitOpError() << "C4: combine takes (" << twice << ") and yields ("
                         << got << ")";
  }
  if (failed(verifySpeculatable(*this, getLift(), "C4"))) {
    return failure();
  }
  return verifySpeculatable(*this, getCombine(), "C4");
}

//===----------------------------------------------------------------------===//
// attn.aggregate
//===----------------------------------------------------------------------===//

LogicalResult AggregateOp::verify() {
  ScoresType weights = getWeights().getType();
  auto value = cast<RankedTensorType>(getValue().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (value.getRank() != 4 || result.getRank() != 4 || value.isDynamicDim(3) ||
      value.getDimSize(3) != result.getDimSize(3)) {
    return emitOpError() << "C1: value and result have rank 4 and a static, "
                            "equal feature size, got "
                         << value << " and " << result;
  }
  int64_t heads = weights.getDim(ScoresType::Heads);
  int64_t groups = value.getDimSize(1);
  if (ShapedType::isDynamic(groups) || groups == 0 ||
      (!getHeadMap() && heads % groups != 0)) {
    return emitOpError() << "C2: " << heads
                         << " query heads are no multiple of the value heads "
                            "of "
                         << value;
  }
  if (Value map = getHeadMap()) {
    auto type = cast<RankedTensorType>(map.getType());
    if (type.getRank() != 1 || type.getDimSize(0) != heads) {
      return emitOpError() << "C3: head_map has shape [" << heads << "], got "
                           << type;
    }
  }
  int64_t keys = weights.getDim(ScoresType::Keys);
  int64_t batch = weights.getDim(ScoresType::Batch);
  auto differ = [](int64_t a, int64_t b) {
    return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
  };
  SmallVector<int64_t> shape{batch, heads, weights.getDim(ScoresType::Queries),
                             value.getDimSize(3)};
  if (differ(value.getDimSize(2), keys) ||
      (value.getDimSize(0) != 1 && differ(value.getDimSize(0), batch)) ||
      result.getShape() != ArrayRef(shape)) {
    return emitOpError() << "C4: the result has the shape of "
                         << RankedTensorType::get(shape,
                                                  result.getElementType())
                         << " and value has " << keys << " rows, got " << result
                         << " and " << value;
  }
  if (getOperandType()) {
    Type type = *getOperandType();
    if (!type.isBF16() && !type.isF16() && type != weights.getElementType()) {
      return emitOpError() << "C5: operand_type is bf16, f16 or "
                           << weights.getElementType() << ", got " << type;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.materialize
//===----------------------------------------------------------------------===//

LogicalResult MaterializeOp::verify() {
  auto result = cast<RankedTensorType>(getResult().getType());
  if (result.getShape() != getInput().getType().getShape()) {
    return emitOpError() << "C1: the result has the shape of "
                         << getInput().getType() << ", got " << result;
  }
  return success();
}
