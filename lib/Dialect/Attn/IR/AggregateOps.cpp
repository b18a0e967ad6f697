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

Value AggregateOp::getBatchMap(unsigned k) {
  ArrayRef<bool> mapped = getBatchMapped();
  return mapped[k] ? getBatchMaps()[llvm::count(mapped.take_front(k), true)]
                   : Value();
}

namespace {
/// The head or batch maps of the values, as they are parsed.
struct ParsedMaps {
  StringRef keyword;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  SmallVector<bool> mapped;

  /// `heads(%m : type)`, if it is there.
  ParseResult parse(OpAsmParser &parser) {
    mapped.push_back(succeeded(parser.parseOptionalKeyword(keyword)));
    return failure(
        mapped.back() &&
        (parser.parseLParen() || parser.parseOperand(operands.emplace_back()) ||
         parser.parseColonType(types.emplace_back()) || parser.parseRParen()));
  }
};
} // namespace

/// `%p, %v` or `%p, (%v1, %v2, ...)`, each value with its maps, then
/// `operand_type(bf16)`.
ParseResult AggregateOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand weights;
  SmallVector<OpAsmParser::UnresolvedOperand> values;
  SmallVector<Type> valueTypes;
  ParsedMaps heads{"heads", {}, {}, {}}, batches{"batches", {}, {}, {}};
  if (parser.parseOperand(weights) || parser.parseComma()) {
    return failure();
  }
  auto parseOne = [&]() -> ParseResult {
    return failure(parser.parseOperand(values.emplace_back()) ||
                   heads.parse(parser) || batches.parse(parser));
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
      parser.resolveOperands(heads.operands, heads.types, loc,
                             result.operands) ||
      parser.resolveOperands(batches.operands, batches.types, loc,
                             result.operands)) {
    return failure();
  }
  auto &properties = result.getOrAddProperties<AggregateOp::Properties>();
  properties.operandSegmentSizes = {1, static_cast<int32_t>(values.size()),
                                    static_cast<int32_t>(heads.types.size()),
                                    static_cast<int32_t>(batches.types.size())};
  Builder &builder = parser.getBuilder();
  properties.mapped = builder.getDenseBoolArrayAttr(heads.mapped);
  properties.batch_mapped = builder.getDenseBoolArrayAttr(batches.mapped);
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
        if (Value map = getBatchMap(k)) {
          printer << " batches(" << map << " : " << map.getType() << ')';
        }
      });
  printer << (several ? ")" : "");
  if (getOperandType()) {
    printer << " operand_type(" << *getOperandType() << ')';
  }
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getOperandSegmentSizesAttrName(),
                                 getMappedAttrName(), getBatchMappedAttrName(),
                                 getOperandTypeAttrName()});
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
      (!op.getHeadMap(k) && heads % groups != 0)) {
    return op.emitOpError()
           << "C2: " << heads
           << " query heads are no multiple of the value heads of " << value;
  }
  int64_t batch = weights.getDim(ScoresType::Batch);
  return failure(
      failed(verifyMap(op, op.getHeadMap(k), "head_map", heads, "C3")) ||
      failed(verifyMap(op, op.getBatchMap(k), "batch_map", batch, "C3")));
}

LogicalResult AggregateOp::verify() {
  ScoresType weights = getWeights().getType();
  auto result = cast<RankedTensorType>(getResult().getType());
  size_t count = getValues().size();
  if (count == 0) {
    return emitOpError() << "C6: there is at least one value";
  }
  auto names = [&](ArrayRef<bool> mapped, size_t maps) {
    return mapped.size() == count &&
           static_cast<size_t>(llvm::count(mapped, true)) == maps;
  };
  if (!names(getMapped(), getHeadMaps().size())) {
    return emitOpError() << "C3: mapped says for each of the " << count
                         << " values whether it has one of the "
                         << getHeadMaps().size() << " head maps";
  }
  if (!names(getBatchMapped(), getBatchMaps().size())) {
    return emitOpError() << "C3: batch_mapped says for each of the " << count
                         << " values whether it has one of the "
                         << getBatchMaps().size() << " batch maps";
  }
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
    fits &= getBatchMap(k) || value.getDimSize(0) == 1 ||
            !differ(value.getDimSize(0), batch);
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
