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
// attn.aggregate
//===----------------------------------------------------------------------===//

Value AggregateOp::getHeadMap(unsigned k) {
  ArrayRef<bool> mapped = getMapped();
  return mapped[k] ? getHeadMaps()[llvm::count(mapped.take_front(k), true)]
                   : Value();
}

/// `%v`, or `%v heads(%m : type)`.
static ParseResult
parseValue(OpAsmParser &parser,
           SmallVectorImpl<OpAsmParser::UnresolvedOperand> &values,
           SmallVectorImpl<OpAsmParser::UnresolvedOperand> &maps,
           SmallVectorImpl<Type> &mapTypes, SmallVectorImpl<bool> &mapped) {
  if (parser.parseOperand(values.emplace_back())) {
    return failure();
  }
  mapped.push_back(succeeded(parser.parseOptionalKeyword("heads")));
  if (!mapped.back()) {
    return success();
  }
  return failure(
      parser.parseLParen() || parser.parseOperand(maps.emplace_back()) ||
      parser.parseColonType(mapTypes.emplace_back()) || parser.parseRParen());
}

/// `%p, %v` or `%p, (%v1, %v2, ...)`, then `operand_type(bf16)`.
ParseResult AggregateOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand weights;
  SmallVector<OpAsmParser::UnresolvedOperand> values, maps;
  SmallVector<Type> mapTypes, valueTypes;
  SmallVector<bool> mapped;
  if (parser.parseOperand(weights) || parser.parseComma()) {
    return failure();
  }
  auto parseOne = [&] {
    return parseValue(parser, values, maps, mapTypes, mapped);
  };
  if (succeeded(parser.parseOptionalLParen())) {
    if (parser.parseCommaSeparatedList(parseOne) || parser.parseRParen()) {
      return failure();
    }
  } else if (parseOne()) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("operand_type"))) {
    Type type;
    if (parser.parseLParen() || parser.parseType(type) ||
        parser.parseRParen()) {
      return failure();
    }
    result.addAttribute(getOperandTypeAttrName(result.name),
                        TypeAttr::get(type));
  }
  Type weightsType, resultType;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(weightsType)) {
    return failure();
  }
  for (size_t k = 0; k < values.size(); ++k) {
    if (parser.parseComma() || parser.parseType(valueTypes.emplace_back())) {
      return failure();
    }
  }
  if (parser.parseArrow() || parser.parseType(resultType) ||
      parser.resolveOperand(weights, weightsType, result.operands) ||
      parser.resolveOperands(values, valueTypes, loc, result.operands) ||
      parser.resolveOperands(maps, mapTypes, loc, result.operands)) {
    return failure();
  }
  auto &properties = result.getOrAddProperties<AggregateOp::Properties>();
  properties.operandSegmentSizes = {1, static_cast<int32_t>(values.size()),
                                    static_cast<int32_t>(maps.size())};
  properties.mapped = parser.getBuilder().getDenseBoolArrayAttr(mapped);
  result.addTypes(resultType);
  return success();
}

void AggregateOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getWeights() << ", ";
  bool several = getValues().size() != 1;
  printer << (several ? "(" : "");
  llvm::interleaveComma(
      llvm::seq<size_t>(0, getValues().size()), printer, [&](size_t k) {
        printer << getValues()[k];
        if (Value map = getHeadMap(k)) {
          printer << " heads(" << map << " : " << map.getType() << ')';
        }
      });
  printer << (several ? ")" : "");
  if (getOperandType()) {
    printer << " operand_type(" << *getOperandType() << ')';
  }
  printer.printOptionalAttrDict(
      (*this)->getAttrs(), {getOperandSegmentSizesAttrName(),
                            getMappedAttrName(), getOperandTypeAttrName()});
  printer << " : " << getWeights().getType();
  for (Type type : getValues().getTypes()) {
    printer << ", " << type;
  }
  printer << " -> " << getResult().getType();
}

/// C1 to C4 of one value.
static LogicalResult verifyValue(AggregateOp op, unsigned k) {
  ScoresType weights = op.getWeights().getType();
  auto result = cast<RankedTensorType>(op.getResult().getType());
  Value map = op.getHeadMap(k);
  auto value = cast<RankedTensorType>(op.getValues()[k].getType());
  int64_t rank = value.getRank();
  if (rank < 4 || rank > 5 || value.isDynamicDim(rank - 1) ||
      result.getRank() != 4 ||
      value.getDimSize(rank - 1) != result.getDimSize(3)) {
    return op.emitOpError()
           << "C1: values have rank 4 (or 5), the result rank 4, and a static, "
              "equal feature size, got "
           << value << " and " << result;
  }
  int64_t heads = weights.getDim(ScoresType::Heads);
  int64_t groups = value.getDimSize(1);
  if (ShapedType::isDynamic(groups) || groups == 0 ||
      (!map && heads % groups != 0)) {
    return op.emitOpError()
           << "C2: " << heads
           << " query heads are no multiple of the value heads of " << value;
  }
  if (map) {
    auto type = cast<RankedTensorType>(map.getType());
    if (type.getRank() != 1 || type.getDimSize(0) != heads) {
      return op.emitOpError()
             << "C3: head_map has shape [" << heads << "], got " << type;
    }
  }
  return success();
}

LogicalResult AggregateOp::verify() {
  ScoresType weights = getWeights().getType();
  auto result = cast<RankedTensorType>(getResult().getType());
  size_t count = getValues().size();
  if (count == 0) {
    return emitOpError() << "C6: there is at least one value";
  }
  if (getMapped().size() != count ||
      static_cast<size_t>(llvm::count(getMapped(), true)) !=
          getHeadMaps().size()) {
    return emitOpError() << "C3: mapped says for each of the " << count
                         << " values whether it has one of the "
                         << getHeadMaps().size() << " head maps";
  }
  auto differ = [](int64_t a, int64_t b) {
    return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
  };
  int64_t batch = weights.getDim(ScoresType::Batch);
  int64_t queries = weights.getDim(ScoresType::Queries);
  int64_t keys = 0;
  bool fits = true;
  for (unsigned k = 0; k < count; ++k) {
    if (failed(verifyValue(*this, k))) {
      return failure();
    }
    auto value = cast<RankedTensorType>(getValues()[k].getType());
    int64_t rows = value.getDimSize(value.getRank() - 2);
    keys = ShapedType::isDynamic(keys) || ShapedType::isDynamic(rows)
               ? ShapedType::kDynamic
               : keys + rows;
    fits &= value.getDimSize(0) == 1 || !differ(value.getDimSize(0), batch);
    fits &= value.getRank() == 4 || !differ(value.getDimSize(2), queries);
  }
  SmallVector<int64_t> shape{batch, weights.getDim(ScoresType::Heads), queries,
                             result.getDimSize(3)};
  if (!fits || differ(keys, weights.getDim(ScoresType::Keys)) ||
      result.getShape() != ArrayRef(shape)) {
    InFlightDiagnostic diag =
        emitOpError() << "C4: the result has the shape of "
                      << RankedTensorType::get(shape, result.getElementType())
                      << " and value has " << weights.getDim(ScoresType::Keys)
                      << " rows, got " << result << " and ";
    llvm::interleaveComma(getValues().getTypes(), diag);
    return diag;
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
