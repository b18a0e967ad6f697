//===- ReduceOp.cpp - attn.reduce: scores to tensors ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// The element types that a kind gives over `axes` axes; empty for custom.
static SmallVector<Type> resultElements(ReduceKind kind, Type element,
                                        unsigned axes) {
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
    return {b.getI64Type()};
  case ReduceKind::ArgMax:
  case ReduceKind::ArgMin:
    return SmallVector<Type>(axes, b.getI64Type());
  case ReduceKind::Any:
    return {b.getI1Type()};
  case ReduceKind::Custom:
    return {};
  }
  llvm_unreachable("all kinds handled");
}

std::string ReduceOp::getAxesText() {
  std::string text = stringifyAxis(getAxis()).str();
  if (getHeads()) {
    text += ", heads";
  }
  if (getBatch()) {
    text += ", batch";
  }
  return isOverOneAxis() || text == "both" ? text : "[" + text + "]";
}

/// The extents of the results, without bins.
static SmallVector<int64_t> keptShape(ReduceOp op) {
  ScoresType type = op.getInput().getType();
  SmallVector<int64_t> shape;
  if (!op.getBatch()) {
    shape.push_back(type.getDim(ScoresType::Batch));
  }
  if (!op.getHeads()) {
    shape.push_back(type.getDim(ScoresType::Heads));
  } else if (op.getGroups()) {
    shape.push_back(*op.getGroups());
  }
  if (op.getRowBlock()) {
    shape.push_back(ShapedType::kDynamic);
  } else if (op.getAxis() != Axis::Both) {
    shape.push_back(type.getDim(op.getAxis() == Axis::Keys ? ScoresType::Queries
                                                           : ScoresType::Keys));
  }
  return shape;
}

static LogicalResult verifyGroups(ReduceOp op) {
  if (!op.getGroups()) {
    return success();
  }
  if (!op.getHeads()) {
    return op.emitOpError() << "C6: groups come with heads among the axes, got "
                            << op.getAxesText();
  }
  int64_t groups = *op.getGroups();
  int64_t heads = op.getInput().getType().getDim(ScoresType::Heads);
  if (groups < 1 || heads % groups) {
    return op.emitOpError() << "C6: the number of groups divides the " << heads
                            << " heads, got " << groups;
  }
  return success();
}

/// Checks bins and appends their number to `shape`.
static LogicalResult verifyBins(ReduceOp op, SmallVectorImpl<int64_t> &shape) {
  std::optional<int64_t> bins = op.getBins();
  bool given = bins || op.getBinCount();
  if (given != op.isBinned() || (bins && (*bins <= 0 || op.getBinCount()))) {
    return op.emitOpError() << "C5: bins are given with a region, and positive";
  }
  APInt rows;
  if (op.getRowBlock() &&
      (!given || !op.isOverOneAxis() ||
       (matchPattern(op.getRowBlock(), m_ConstantInt(&rows)) && rows.slt(1)))) {
    return op.emitOpError() << "C7: rows come with bins over keys or over "
                               "queries alone, at least 1 at a time";
  }
  if (!given) {
    return success();
  }
  if (op.getKind() != ReduceKind::Sum && op.getKind() != ReduceKind::Max &&
      op.getKind() != ReduceKind::Min && op.getKind() != ReduceKind::Count) {
    return op.emitOpError() << "C5: bins take sum, max, min or count, got "
                            << stringifyReduceKind(op.getKind());
  }
  shape.push_back(bins.value_or(ShapedType::kDynamic));
  Type element = op.getInput().getType().getElementType();
  if (failed(verifyEntryRegion(op, op.getBin(), element,
                               IndexType::get(op.getContext()), "C5", "C5"))) {
    return failure();
  }
  return verifySpeculatable(op, op.getBin(), "C5");
}

LogicalResult ReduceOp::verify() {
  ScoresType type = getInput().getType();
  bool custom = getKind() == ReduceKind::Custom;
  unsigned axes = (getAxis() == Axis::Both ? 2 : 1) + getHeads() + getBatch();
  SmallVector<Type> got;
  for (Type result : getResultTypes()) {
    got.push_back(cast<RankedTensorType>(result).getElementType());
  }
  if (type.getElementType().isInteger() && getKind() != ReduceKind::Count &&
      getKind() != ReduceKind::Any) {
    return emitOpError() << "C8: " << stringifyReduceKind(getKind())
                         << " takes scores of f32 or f64; map integer scores "
                            "to f32 first (arith.sitofp in attn.map)";
  }
  SmallVector<Type> want =
      resultElements(getKind(), type.getElementType(), axes);
  if ((!custom && got != want) || got.empty()) {
    InFlightDiagnostic diag =
        emitOpError() << "C1: " << stringifyReduceKind(getKind()) << " gives ";
    if (custom) {
      return diag << "at least one result";
    }
    return diag << "elements (" << want << "), got (" << got << ")";
  }
  if (failed(verifyGroups(*this))) {
    return failure();
  }
  SmallVector<int64_t> shape = keptShape(*this);
  if (failed(verifyBins(*this, shape))) {
    return failure();
  }
  for (Type result : getResultTypes()) {
    if (cast<RankedTensorType>(result).getShape() != ArrayRef(shape)) {
      return emitOpError() << "C2: over " << getAxesText()
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
// Syntax
//===----------------------------------------------------------------------===//

void ReduceOp::build(OpBuilder &builder, OperationState &state,
                     TypeRange results, ReduceKind kind, Axis axis,
                     Value input) {
  build(builder, state, results, kind, axis, input, /*bin_count=*/Value(),
        /*row_block=*/Value(), /*identity=*/ArrayAttr(),
        /*bins=*/IntegerAttr(), /*heads=*/false, /*batch=*/false,
        /*groups=*/IntegerAttr());
}

/// `keys`, or `[keys, heads, batch]`.
static ParseResult parseAxes(OpAsmParser &parser, OperationState &result) {
  std::optional<Axis> axis;
  bool heads = false, batch = false;
  SMLoc loc = parser.getCurrentLocation();
  auto parseOne = [&]() -> ParseResult {
    StringRef name;
    SMLoc here = parser.getCurrentLocation();
    if (parser.parseKeyword(&name)) {
      return failure();
    }
    if (name == "heads" || name == "batch") {
      bool &flag = name == "heads" ? heads : batch;
      if (flag) {
        return parser.emitError(here) << "'" << name << "' is named twice";
      }
      flag = true;
      return success();
    }
    std::optional<Axis> one = symbolizeAxis(name);
    if (!one) {
      return parser.emitError(here) << "a reduction runs over keys, queries, "
                                       "both, heads or batch, got '"
                                    << name << "'";
    }
    if (axis && (*axis == *one || *axis == Axis::Both || *one == Axis::Both)) {
      return parser.emitError(here) << "'" << name << "' is named twice";
    }
    axis = axis ? Axis::Both : *one;
    return success();
  };
  if (succeeded(parser.parseOptionalLSquare())) {
    if (parser.parseCommaSeparatedList(parseOne) || parser.parseRSquare()) {
      return failure();
    }
  } else if (parseOne()) {
    return failure();
  }
  if (!axis) {
    return parser.emitError(loc)
           << "a reduction runs over keys, queries or both; over heads alone "
              "it is attn.reduce_heads";
  }
  auto &properties = result.getOrAddProperties<ReduceOp::Properties>();
  properties.axis = AxisAttr::get(parser.getContext(), *axis);
  UnitAttr unit = parser.getBuilder().getUnitAttr();
  properties.heads = heads ? unit : UnitAttr();
  properties.batch = batch ? unit : UnitAttr();
  return success();
}

/// `bins(n) by { region }` and `rows(%r)`.
static ParseResult
parseBins(OpAsmParser &parser, OperationState &result, Region &region,
          std::optional<OpAsmParser::UnresolvedOperand> &count,
          std::optional<OpAsmParser::UnresolvedOperand> &rows) {
  auto &properties = result.getOrAddProperties<ReduceOp::Properties>();
  if (succeeded(parser.parseOptionalKeyword("bins"))) {
    OpAsmParser::UnresolvedOperand operand;
    if (parser.parseLParen()) {
      return failure();
    }
    OptionalParseResult dynamic = parser.parseOptionalOperand(operand);
    if (dynamic.has_value()) {
      if (failed(*dynamic)) {
        return failure();
      }
      count = operand;
    } else {
      int64_t bins;
      if (parser.parseInteger(bins)) {
        return failure();
      }
      properties.bins = parser.getBuilder().getI64IntegerAttr(bins);
    }
    if (parser.parseRParen() || parser.parseKeyword("by") ||
        parseEntryRegion(parser, region)) {
      return failure();
    }
  }
  if (succeeded(parser.parseOptionalKeyword("rows"))) {
    OpAsmParser::UnresolvedOperand operand;
    if (parser.parseLParen() || parser.parseOperand(operand) ||
        parser.parseRParen()) {
      return failure();
    }
    rows = operand;
  }
  return success();
}

ParseResult ReduceOp::parse(OpAsmParser &parser, OperationState &result) {
  StringRef kindName;
  SMLoc kindLoc = parser.getCurrentLocation();
  if (parser.parseKeyword(&kindName)) {
    return failure();
  }
  std::optional<ReduceKind> kind = symbolizeReduceKind(kindName);
  if (!kind) {
    return parser.emitError(kindLoc)
           << "unknown reduction '" << kindName << "'";
  }
  auto &properties = result.getOrAddProperties<ReduceOp::Properties>();
  properties.kind = ReduceKindAttr::get(parser.getContext(), *kind);
  OpAsmParser::UnresolvedOperand input;
  if (parseAxes(parser, result) || parser.parseOperand(input)) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("groups"))) {
    int64_t groups;
    if (parser.parseLParen() || parser.parseInteger(groups) ||
        parser.parseRParen()) {
      return failure();
    }
    properties.groups = parser.getBuilder().getI64IntegerAttr(groups);
  }
  Region *lift = result.addRegion();
  Region *combine = result.addRegion();
  Region *bin = result.addRegion();
  std::optional<OpAsmParser::UnresolvedOperand> count, rows;
  if (parseBins(parser, result, *bin, count, rows)) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("identity"))) {
    if (parser.parseAttribute(properties.identity) ||
        parser.parseKeyword("lift") || parseEntryRegion(parser, *lift) ||
        parser.parseKeyword("combine") || parser.parseRegion(*combine)) {
      return failure();
    }
  }
  FunctionType type;
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type)) {
    return failure();
  }
  if (type.getNumInputs() != 1) {
    return parser.emitError(parser.getNameLoc())
           << "a reduction has one operand";
  }
  result.addTypes(type.getResults());
  Type index = parser.getBuilder().getIndexType();
  if (parser.resolveOperand(input, type.getInput(0), result.operands) ||
      (count && parser.resolveOperand(*count, index, result.operands)) ||
      (rows && parser.resolveOperand(*rows, index, result.operands))) {
    return failure();
  }
  properties.operandSegmentSizes = {1, count.has_value(), rows.has_value()};
  return success();
}

void ReduceOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getKind() << ' ' << getAxesText() << ' ' << getInput();
  if (getGroups()) {
    printer << " groups(" << *getGroups() << ')';
  }
  if (isBinned()) {
    printer << " bins(";
    if (getBinCount()) {
      printer << getBinCount();
    } else {
      printer << getBins().value_or(0);
    }
    printer << ") by ";
    printEntryRegion(printer, *this, getBin());
  }
  if (getRowBlock()) {
    printer << " rows(" << getRowBlock() << ')';
  }
  if (getIdentityAttr()) {
    printer << " identity " << getIdentityAttr() << " lift ";
    printEntryRegion(printer, *this, getLift());
    printer << " combine ";
    printer.printRegion(getCombine());
  }
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getKindAttrName(), getAxisAttrName(), getIdentityAttrName(),
       getBinsAttrName(), getHeadsAttrName(), getBatchAttrName(),
       getGroupsAttrName(), getOperandSegmentSizesAttrName()});
  printer << " : (" << getInput().getType() << ") -> (" << getResultTypes()
          << ')';
}
