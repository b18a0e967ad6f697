//===- SweepOps.cpp - attn.sweep and the ops of its body -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"
#include "attn/Dialect/Attn/IR/GaugeTyping.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// attn.sweep
//===----------------------------------------------------------------------===//

void SweepOp::build(OpBuilder &builder, OperationState &state, Value lower,
                    Value upper, TypeRange results) {
  state.addOperands({lower, upper});
  state.addTypes(results);
  Block &block = state.addRegion()->emplaceBlock();
  block.addArgument(builder.getIndexType(), state.location);
  state.addRegion();
  state.addRegion();
}

YieldOp SweepOp::getYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

ParseResult SweepOp::parse(OpAsmParser &parser, OperationState &result) {
  Type index = parser.getBuilder().getIndexType();
  OpAsmParser::Argument key;
  OpAsmParser::UnresolvedOperand lower, upper;
  Region *body = result.addRegion();
  Region *tiles = result.addRegion();
  Region *bounds = result.addRegion();
  if (parser.parseArgument(key) || parser.parseEqual() ||
      parser.parseOperand(lower) || parser.parseKeyword("to") ||
      parser.parseOperand(upper)) {
    return failure();
  }
  key.type = index;
  if (parser.parseRegion(*body, key)) {
    return failure();
  }
  auto parseIndexRegion = [&](Region &region) -> ParseResult {
    SmallVector<OpAsmParser::Argument> args;
    if (parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren)) {
      return failure();
    }
    for (auto &arg : args) {
      arg.type = index;
    }
    return parser.parseRegion(region, args);
  };
  if (succeeded(parser.parseOptionalKeyword("tiles")) &&
      parseIndexRegion(*tiles)) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("bounds")) &&
      parseIndexRegion(*bounds)) {
    return failure();
  }
  return failure(parser.parseOptionalAttrDict(result.attributes) ||
                 parser.parseOptionalColonTypeList(result.types) ||
                 parser.resolveOperand(lower, index, result.operands) ||
                 parser.resolveOperand(upper, index, result.operands));
}

void SweepOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getKeyArg() << " = " << getLower() << " to " << getUpper()
          << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  auto printIndexRegion = [&](StringRef name, Region &region) {
    if (region.empty()) {
      return;
    }
    printer << ' ' << name << " (";
    llvm::interleaveComma(region.getArguments(), printer);
    printer << ") ";
    printer.printRegion(region, /*printEntryBlockArgs=*/false);
  };
  printIndexRegion("tiles", getTiles());
  printIndexRegion("bounds", getBounds());
  printer.printOptionalAttrDict((*this)->getAttrs());
  if (getNumResults()) {
    printer << " : " << getResultTypes();
  }
}

LogicalResult SweepOp::verify() {
  Type index = IndexType::get(getContext());
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!llvm::equal(getBody().getArgumentTypes(), ArrayRef<Type>{index}) ||
      !yield || yield.getOperandTypes() != getResultTypes()) {
    return emitOpError() << "C1: the body takes the key index and yields ("
                         << getResultTypes() << ")";
  }
  for (Value value : yield.getValues()) {
    Operation *def = value.getDefiningOp();
    if (!isa_and_present<ReducerOpInterface>(def) ||
        def->getParentOp() != getOperation()) {
      return emitOpError() << "C1: a sweep yields accumulators and gauges "
                              "of its body";
    }
  }
  auto check = [&](Region &region, unsigned args, Type yields) {
    if (region.empty()) {
      return true;
    }
    auto end = dyn_cast<YieldOp>(region.front().getTerminator());
    return region.getNumArguments() == args &&
           llvm::all_of(region.getArgumentTypes(),
                        [&](Type type) { return type == index; }) &&
           end && end.getNumOperands() == 2 &&
           llvm::all_of(end.getOperandTypes(),
                        [&](Type type) { return type == yields; });
  };
  if (!check(getTiles(), 4, IntegerType::get(getContext(), 1)) ||
      !check(getBounds(), 2, index)) {
    return emitOpError() << "C2: tiles takes four indices and yields two i1, "
                            "bounds takes two and yields two indices";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.carry, attn.running
//===----------------------------------------------------------------------===//

LogicalResult CarryOp::verify() {
  bool counts = getKind() == CarryKind::Count || getKind() == CarryKind::Any;
  bool outer = getKind() == CarryKind::Outer;
  if (static_cast<bool>(getValue()) == counts ||
      static_cast<bool>(getRow()) != outer) {
    return emitOpError() << "C1: " << stringifyCarryKind(getKind()) << " takes "
                         << (counts  ? "no value"
                             : outer ? "a value and a row"
                                     : "one value");
  }
  Type want;
  switch (getKind()) {
  case CarryKind::Count:
  case CarryKind::ArgMax:
  case CarryKind::ArgMin:
    want = IntegerType::get(getContext(), 64);
    break;
  case CarryKind::Any:
    want = IntegerType::get(getContext(), 1);
    break;
  case CarryKind::Outer: {
    auto row = dyn_cast<VectorType>(getRow().getType());
    want = row ? VectorType::get(row.getShape(), getValue().getType()) : Type();
    break;
  }
  default:
    want = getValue().getType();
  }
  if (getResult().getType() != want) {
    return emitOpError() << "C1: the result of "
                         << stringifyCarryKind(getKind()) << " is " << want
                         << ", got " << getResult().getType();
  }
  auto isGauge = [&](Value value, GaugeKind kind) {
    auto running = value.getDefiningOp<RunningOp>();
    return running && running.getKind() == kind &&
           running->getParentOp() == (*this)->getParentOp();
  };
  if (getGauges().size() != getRates().size()) {
    return emitOpError() << "C2: act has one rate per gauge";
  }
  for (Value gauge : getGauges()) {
    if (!isGauge(gauge, GaugeKind::Max)) {
      return emitOpError() << "C2: a gauge of act is an attn.running max of "
                              "this sweep";
    }
  }
  if (getPolyGauge() && !isGauge(getPolyGauge(), GaugeKind::Mean) &&
      !isGauge(getPolyGauge(), GaugeKind::Max)) {
    return emitOpError() << "C2: the gauge of poly is an attn.running of this "
                            "sweep";
  }
  if (!getGauges().empty() && getKind() != CarryKind::Sum && !outer) {
    return emitOpError() << "C2: only sum and outer move with a gauge";
  }
  for (Value companion : getCompanions()) {
    auto carry = companion.getDefiningOp<CarryOp>();
    if (!carry || carry->getParentOp() != (*this)->getParentOp() ||
        companion.getType() != getResult().getType()) {
      return emitOpError() << "C3: companions are carries of this sweep with "
                              "this type";
    }
  }
  return verifyAction(*this);
}

LogicalResult FoldOp::verify() {
  Type type = getNumResults() ? getResultTypes().front() : Type();
  auto same = [&](TypeRange types) {
    return llvm::all_of(types, [&](Type t) { return t == type; });
  };
  if (!type || getIdentity().size() != getNumResults() ||
      getValues().size() != getNumResults() || !same(getResultTypes()) ||
      !same(getValues().getTypes())) {
    return emitOpError() << "C1: identity, values and results have one length "
                            "and one float type";
  }
  Block &block = getCombine().front();
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (block.getNumArguments() != 2 * getNumResults() ||
      !same(TypeRange(block.getArgumentTypes())) || !yield ||
      yield.getOperandTypes() != getResultTypes()) {
    return emitOpError() << "C2: combine takes " << 2 * getNumResults()
                         << " values and yields " << getNumResults();
  }
  return success();
}

LogicalResult RunningOp::verify() {
  if (getValue().getType() != getResult().getType() ||
      (getInit() && getInit().getType() != getResult().getType())) {
    return emitOpError() << "operands and result have one type";
  }
  if (getInit() && getKind() != GaugeKind::Max) {
    return emitOpError() << "C1: only max takes an init";
  }
  if (getInit() && getInit().getParentRegion() == (*this)->getParentRegion()) {
    return emitOpError() << "C1: init is available before the sweep";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.dot, attn.dot_with, attn.at, attn.range
//===----------------------------------------------------------------------===//

template <typename OpTy> static LogicalResult verifyContraction(OpTy op) {
  auto lhs = cast<ShapedType>(op.getLhs().getType());
  auto rhs = cast<ShapedType>(op.getRhs().getType());
  if (lhs.getRank() != static_cast<int64_t>(op.getLhsIndices().size()) + 1 ||
      rhs.getRank() != static_cast<int64_t>(op.getRhsIndices().size()) + 1) {
    return op.emitOpError()
           << "C1: each side is indexed without its last dimension";
  }
  int64_t d = lhs.getDimSize(lhs.getRank() - 1);
  if (ShapedType::isDynamic(d) || d != rhs.getDimSize(rhs.getRank() - 1)) {
    return op.emitOpError() << "C2: the last extents are static and equal, got "
                            << lhs << " and " << rhs;
  }
  return success();
}

LogicalResult mlir::attn::verifyContractionType(Operation *op, Value lhs,
                                                Value rhs, StringRef label) {
  auto isCode = [](Value row) {
    return getElementTypeOrSelf(row.getType()).isInteger(8);
  };
  bool codes = isCode(lhs) && isCode(rhs);
  Type type = op->getResult(0).getType();
  if (type.isInteger() == codes) {
    return success();
  }
  return op->emitOpError() << label << ": the result is "
                           << (codes ? "i32 for rows of i8"
                                     : "a float for rows that are not both i8")
                           << ", got " << type;
}

LogicalResult DotOp::verify() {
  if (failed(verifyContractionType(*this, getLhs(), getRhs(), "C3"))) {
    return failure();
  }
  return verifyContraction(*this);
}

LogicalResult DotWithOp::verify() {
  Type type = getResult().getType();
  SmallVector<Type> want{type, type, IndexType::get(getContext())};
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!llvm::equal(getBody().getArgumentTypes(), want) || !yield ||
      yield.getNumOperands() != 1 || yield.getOperand(0).getType() != type) {
    return emitOpError() << "C3: the region takes (" << want << ") and yields "
                         << type;
  }
  return verifyContraction(*this);
}

LogicalResult AtOp::verify() {
  auto source = cast<ShapedType>(getSource().getType());
  int64_t indices = getIndices().size();
  Type want = source.getElementType();
  if (indices + 1 == source.getRank() &&
      !source.isDynamicDim(source.getRank() - 1)) {
    want = VectorType::get({source.getDimSize(source.getRank() - 1)}, want);
  } else if (indices != source.getRank()) {
    want = {};
  }
  if (getResult().getType() != want) {
    return emitOpError() << "C1: the result is an element, or a row of static "
                            "extent, of "
                         << source << ", got " << getResult().getType();
  }
  return success();
}

LogicalResult RangeOp::verify() {
  auto source = cast<ShapedType>(getSource().getType());
  if (source.getRank() != static_cast<int64_t>(getIndices().size()) + 1) {
    return emitOpError() << "C1: the source is indexed without its last "
                            "dimension";
  }
  if (getMin().getType() != source.getElementType()) {
    return emitOpError() << "results have the element type of " << source;
  }
  return success();
}
