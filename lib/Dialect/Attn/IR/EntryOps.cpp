//===- EntryOps.cpp - ops with a region on the entries of a score matrix -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attn.map, attn.mask, attn.fill, attn.transpose, and the syntax of entry
// regions: `(%x: f32, %y: f32) at (%b, %h, %i, %j) { ... }`, where the index
// list may stop early. The block always has all six index arguments.
//
//===----------------------------------------------------------------------===//

#include "AxisVerifier.h"
#include "NamedMasks.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// Entry regions
//===----------------------------------------------------------------------===//

ParseResult mlir::attn::parseEntryRegion(OpAsmParser &parser, Region &region) {
  SmallVector<OpAsmParser::Argument> args, indices;
  if (parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true)) {
    return failure();
  }
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword("at")) &&
      parser.parseArgumentList(indices, OpAsmParser::Delimiter::Paren)) {
    return failure();
  }
  if (indices.size() > kNumEntryIndices) {
    return parser.emitError(loc) << "an entry has six indices: b, h, i, j, pi, "
                                    "pj; got "
                                 << indices.size() << " names";
  }
  Type index = parser.getBuilder().getIndexType();
  for (auto &arg : indices) {
    arg.type = index;
  }
  args.append(indices);
  if (parser.parseRegion(region, args)) {
    return failure();
  }
  for (size_t k = indices.size(); k < kNumEntryIndices; ++k) {
    region.front().addArgument(index, parser.getEncodedSourceLoc(loc));
  }
  return success();
}

void mlir::attn::printEntryRegion(OpAsmPrinter &printer, Operation *,
                                  Region &region) {
  Block &block = region.front();
  unsigned elements = block.getNumArguments() - kNumEntryIndices;
  unsigned last = 0; // number of indices to name
  for (unsigned k = 0; k < kNumEntryIndices; ++k) {
    if (!block.getArgument(elements + k).use_empty()) {
      last = k + 1;
    }
  }
  printer << '(';
  llvm::interleaveComma(
      block.getArguments().take_front(elements), printer,
      [&](BlockArgument arg) { printer.printRegionArgument(arg); });
  printer << ") ";
  if (last) {
    printer << "at (";
    llvm::interleaveComma(
        block.getArguments().drop_front(elements).take_front(last), printer,
        [&](BlockArgument arg) { printer.printOperand(arg); });
    printer << ") ";
  }
  printer.printRegion(region, /*printEntryBlockArgs=*/false);
}

LogicalResult mlir::attn::verifyEntryRegion(Operation *op, Region &region,
                                            TypeRange elements,
                                            TypeRange yields,
                                            StringRef argLabel,
                                            StringRef yieldLabel) {
  Block &block = region.front();
  SmallVector<Type> want(elements);
  want.append(kNumEntryIndices, IndexType::get(op->getContext()));
  if (!llvm::equal(block.getArgumentTypes(), want)) {
    return op->emitOpError()
           << argLabel << ": the region takes (" << elements
           << ") and six indices, got (" << block.getArgumentTypes() << ")";
  }
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getOperandTypes() != yields) {
    InFlightDiagnostic diag = op->emitOpError()
                              << yieldLabel << ": the region yields (" << yields
                              << ")";
    if (yield) {
      diag << ", got (" << yield.getOperandTypes() << ")";
    }
    return diag;
  }
  return success();
}

static bool isDivision(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::CeilDivSIOp,
             arith::CeilDivUIOp, arith::FloorDivSIOp, arith::RemSIOp,
             arith::RemUIOp>(op);
}

/// Whether an integer is above 0 for sure: a constant, or a maximum with one.
static bool isKnownPositive(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    return constant.isStrictlyPositive();
  }
  Operation *def = value.getDefiningOp();
  return isa_and_present<arith::MaxSIOp, arith::MaxUIOp>(def) &&
         llvm::any_of(def->getOperands(), [](Value operand) {
           APInt bound;
           return matchPattern(operand, m_ConstantInt(&bound)) &&
                  bound.isStrictlyPositive();
         });
}

/// Division by 0 traps, remainders included, whatever upstream says of them.
static bool mayRunAnywhere(Operation *op) {
  if (isDivision(op)) {
    return isKnownPositive(op->getOperand(1));
  }
  return isMemoryEffectFree(op) && isSpeculatable(op);
}

LogicalResult mlir::attn::verifySpeculatable(Operation *op, Region &region,
                                             StringRef label) {
  Operation *bad = nullptr;
  region.walk([&](Operation *inner) {
    if (isa<YieldOp>(inner)) {
      return WalkResult::advance();
    }
    if (!mayRunAnywhere(inner)) {
      bad = inner;
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  if (!bad) {
    return success();
  }
  InFlightDiagnostic diag =
      op->emitOpError() << label
                        << ": the region may run on absent entries, so it is "
                           "pure and speculatable; '"
                        << bad->getName() << "' is not";
  if (isDivision(bad)) {
    diag.attachNote(bad->getLoc())
        << "an integer division needs a divisor known to be positive: a "
           "constant, or arith.maxsi of the divisor and 1";
  } else {
    diag.attachNote(bad->getLoc())
        << "captured data is read with tensor.extract; compute the rest before "
           "the op";
  }
  return diag;
}

/// Extent `d` of several operands: the first that does not broadcast. Each
/// operand is asked once, since asking may walk all of its expression.
static SmallVector<OpFoldResult> reifyBroadcast(OpBuilder &builder,
                                                ValueRange inputs) {
  llvm::SmallDenseMap<Value, SmallVector<OpFoldResult>> known;
  SmallVector<OpFoldResult> shape;
  for (unsigned d = 0; d < 4; ++d) {
    Value chosen = inputs.front();
    for (Value input : inputs) {
      if (cast<ScoresType>(input.getType()).getDim(d) != 1) {
        chosen = input;
        break;
      }
    }
    SmallVector<OpFoldResult> &extents = known[chosen];
    if (extents.empty()) {
      extents = getScoresShape(builder, chosen);
    }
    shape.push_back(extents[d]);
  }
  return shape;
}

//===----------------------------------------------------------------------===//
// attn.map
//===----------------------------------------------------------------------===//

ParseResult MapOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::UnresolvedOperand> inputs, sizes;
  Region *body = result.addRegion();
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOperandList(inputs)) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("sizes")) &&
      parser.parseOperandList(sizes, OpAsmParser::Delimiter::Paren)) {
    return failure();
  }
  if (parseEntryRegion(parser, *body) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(inputs, type.getInputs(), loc, result.operands) ||
      parser.resolveOperands(sizes, parser.getBuilder().getIndexType(),
                             result.operands)) {
    return failure();
  }
  if (type.getNumResults() != 1) {
    return parser.emitError(loc) << "a map has one result";
  }
  result.addTypes(type.getResults());
  result.getOrAddProperties<MapOp::Properties>().operandSegmentSizes = {
      static_cast<int32_t>(inputs.size()), static_cast<int32_t>(sizes.size())};
  return success();
}

void MapOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  if (!getInputs().empty()) {
    printer << getInputs() << ' ';
  }
  if (!getSizes().empty()) {
    printer << "sizes(" << getSizes() << ") ";
  }
  printEntryRegion(printer, *this, getBody());
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getOperandSegmentSizesAttrName()});
  printer << " : (" << getInputs().getTypes() << ") -> "
          << getResult().getType();
}

LogicalResult MapOp::verify() {
  ScoresType result = getResult().getType();
  SmallVector<Type> elements;
  for (Value input : getInputs()) {
    elements.push_back(cast<ScoresType>(input.getType()).getElementType());
  }
  if (failed(verifyEntryRegion(*this, getBody(), elements,
                               result.getElementType(), "C1", "C2"))) {
    return failure();
  }
  for (unsigned d = 0; d < 4; ++d) {
    int64_t want = getInputs().empty() ? result.getDim(d) : 1;
    for (Value input : getInputs()) {
      int64_t got = cast<ScoresType>(input.getType()).getDim(d);
      if (got == want || (got == 1 && d < 2)) {
        continue;
      }
      if (want != 1 || (d >= 2 && input != getInputs().front())) {
        return emitOpError()
               << "C3: extents agree, up to broadcast of batch and heads; "
                  "extent "
               << d << " is " << want << " and " << got;
      }
      want = got;
    }
    if (want != result.getDim(d)) {
      return emitOpError() << "C3: extent " << d << " of the result is "
                           << result.getDim(d) << ", expected " << want;
    }
  }
  int64_t sizes = getInputs().empty()
                      ? llvm::count_if(result.getShape(), ShapedType::isDynamic)
                      : 0;
  if (static_cast<int64_t>(getSizes().size()) != sizes) {
    return emitOpError() << "C4: expected " << sizes << " sizes, got "
                         << getSizes().size();
  }
  return verifySpeculatable(*this, getBody(), "C5");
}

SmallVector<OpFoldResult> MapOp::reifyScoresShape(OpBuilder &builder) {
  if (!getInputs().empty()) {
    return reifyBroadcast(builder, getInputs());
  }
  return getMixedValues(getResult().getType().getShape(), getSizes(), builder);
}

//===----------------------------------------------------------------------===//
// attn.mask
//===----------------------------------------------------------------------===//

NamedMaskInterface MaskOp::getNamedMask() {
  return dyn_cast_if_present<NamedMaskInterface>(getKindAttr());
}

ParseResult MaskOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand input, prefix;
  Attribute kind;
  Type type, prefixType;
  Region *body = result.addRegion();
  if (parser.parseOperand(input)) {
    return failure();
  }
  bool hasPrefix = false;
  StringRef name;
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword(&name))) {
    kind = parseNamedMask(parser, name, loc);
    if (!kind) {
      return failure();
    }
    result.addAttribute(getKindAttrName(result.name), kind);
    if (succeeded(parser.parseOptionalKeyword("prefix"))) {
      hasPrefix = true;
      if (parser.parseLParen() || parser.parseOperand(prefix) ||
          parser.parseColonType(prefixType) || parser.parseRParen()) {
        return failure();
      }
    }
  } else if (parseEntryRegion(parser, *body)) {
    return failure();
  }
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperand(input, type, result.operands) ||
      (hasPrefix &&
       parser.resolveOperand(prefix, prefixType, result.operands))) {
    return failure();
  }
  result.addTypes(type);
  return success();
}

void MaskOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getInput();
  if (getKindAttr()) {
    printer << ' ';
    printNamedMask(printer, getKindAttr());
    if (getPrefix()) {
      printer << " prefix(" << getPrefix() << " : " << getPrefix().getType()
              << ')';
    }
  }
  if (!getBody().empty()) {
    printer << ' ';
    printEntryRegion(printer, *this, getBody());
  }
  printer.printOptionalAttrDict((*this)->getAttrs(), {getKindAttrName()});
  printer << " : " << getInput().getType();
}

/// A tensor from whose third dimension the axis of `scores` takes its extent:
/// the operand of a score op up the expression, along first operands.
static Value extentSource(Value scores, bool isQuery) {
  while (Operation *def = scores.getDefiningOp()) {
    if (auto score = dyn_cast<ScoreOp>(def)) {
      return isQuery ? score.getQuery() : score.getKey();
    }
    if (auto score = dyn_cast<ScoreWithOp>(def)) {
      return isQuery ? score.getQuery() : score.getKey();
    }
    if (def->getNumOperands() == 0 ||
        !isa<ScoresType>(def->getOperand(0).getType())) {
      break;
    }
    isQuery = isa<TransposeOp>(def) ? !isQuery : isQuery;
    scores = def->getOperand(0);
  }
  return {};
}

/// The name of a dynamic extent, where the function argument that it comes from
/// has one (`attn.dims`); null otherwise.
static StringAttr extentName(Value scores, bool isQuery) {
  auto arg = dyn_cast_if_present<BlockArgument>(extentSource(scores, isQuery));
  if (!arg) {
    return {};
  }
  auto func = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
  if (!func) {
    return {};
  }
  auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "attn.dims");
  return dims && dims.size() == 4 ? dyn_cast<StringAttr>(dims[2])
                                  : StringAttr();
}

/// Whether both axes of `scores` can be taken to count from one origin.
static bool sharesOrigin(Value scores) {
  if (getAxis(scores, true).hasOrigin() || getAxis(scores, false).hasOrigin()) {
    return true;
  }
  auto type = cast<ScoresType>(scores.getType());
  if (type.getDim(ScoresType::Queries) != type.getDim(ScoresType::Keys)) {
    return false;
  }
  StringAttr m = extentName(scores, true), n = extentName(scores, false);
  return !m || !n || m == n;
}

LogicalResult MaskOp::verify() {
  if (getResult().getType() != getInput().getType()) {
    return emitOpError() << "the result has the type of the operand";
  }
  if (static_cast<bool>(getKindAttr()) == !getBody().empty()) {
    return emitOpError() << "C1: exactly one of a named mask and a region";
  }
  if (!getBody().empty()) {
    Type element = getInput().getType().getElementType();
    Type i1 = IntegerType::get(getContext(), 1);
    if (failed(verifyEntryRegion(*this, getBody(), element, i1, "C2", "C2"))) {
      return failure();
    }
    if (getPrefix()) {
      return emitOpError() << "C5: a region mask takes no prefix";
    }
    return verifySpeculatable(*this, getBody(), "C6");
  }
  NamedMaskInterface mask = getNamedMask();
  if (!mask) {
    return emitOpError() << "C1: " << getKindAttr() << " is not a named mask";
  }
  // What an argument of a private function inherits shows after inlining.
  bool known = hasKnownAxes(getInput());
  if (known && mask.comparesPositions() && !sharesOrigin(getInput())) {
    InFlightDiagnostic diag =
        emitOpError() << "C3: " << getKindAttr()
                      << " compares positions, but queries and keys differ in "
                         "extent and neither axis has an offset or positions";
    diag.attachNote() << "give query_offset(...) to attn.score; bottom-right "
                         "alignment is N - M";
    return diag;
  }
  if (known && mask.needsSegments() &&
      (!getAxis(getInput(), true).segments ||
       !getAxis(getInput(), false).segments)) {
    return emitOpError() << "C4: " << getKindAttr()
                         << " needs segments on both axes";
  }
  if (mask.takesPrefix() != static_cast<bool>(getPrefix())) {
    return emitOpError() << "C5: " << getKindAttr()
                         << (getPrefix() ? " takes no prefix"
                                         : " takes a prefix length operand");
  }
  if (Value prefix = getPrefix()) {
    auto type = cast<RankedTensorType>(prefix.getType());
    int64_t batch = getInput().getType().getDim(ScoresType::Batch);
    if (type.getRank() != 1 ||
        (type.getDimSize(0) != 1 && type.getDimSize(0) != batch)) {
      return emitOpError() << "C5: the prefix length has shape [B] or [1], got "
                           << type;
    }
  }
  return success();
}

SmallVector<OpFoldResult> MaskOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}

namespace {
/// A mask whose predicate is constant true is its operand.
struct DropTrueMask : OpRewritePattern<MaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getBody().empty()) {
      return failure();
    }
    Value keep = op.getBody().front().getTerminator()->getOperand(0);
    if (!matchPattern(keep, m_One())) {
      return failure();
    }
    rewriter.replaceOp(op, op.getInput());
    return success();
  }
};

/// A named mask applied twice is applied once.
struct DropRepeatedMask : OpRewritePattern<MaskOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<MaskOp>();
    if (!inner || !op.getKindAttr() ||
        inner.getKindAttr() != op.getKindAttr() ||
        inner.getPrefix() != op.getPrefix()) {
      return failure();
    }
    rewriter.replaceOp(op, inner.getResult());
    return success();
  }
};
} // namespace

void MaskOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add<DropTrueMask, DropRepeatedMask>(context);
}

//===----------------------------------------------------------------------===//
// attn.fill, attn.transpose
//===----------------------------------------------------------------------===//

LogicalResult FillOp::verify() {
  bool loses = false;
  APFloat value = getValue();
  if (getInput().getType().getElementType().isInteger()) {
    double number = value.convertToDouble();
    loses = !(number >= INT32_MIN && number <= INT32_MAX) ||
            number != std::floor(number);
  }
  if (!value.isNaN() && !value.isInfinity() &&
      getInput().getType().getElementType().isF32()) {
    value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
    loses = value.isInfinity();
  }
  if (loses) {
    return emitOpError() << "C1: the value is not representable in "
                         << getInput().getType().getElementType();
  }
  return success();
}
Value mlir::attn::createFillValue(OpBuilder &builder, Location loc, FillOp op) {
  Type type = op.getInput().getType().getElementType();
  double value = op.getValue().convertToDouble();
  TypedAttr attr =
      isa<FloatType>(type)
          ? TypedAttr(builder.getFloatAttr(type, value))
          : builder.getIntegerAttr(type, static_cast<int64_t>(value));
  return arith::ConstantOp::create(builder, loc, attr);
}
SmallVector<OpFoldResult> FillOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}
OpFoldResult FillOp::fold(FoldAdaptor) {
  // Nothing is absent after a fill.
  return getInput().getDefiningOp<FillOp>() ? getInput() : Value();
}

LogicalResult TransposeOp::verify() {
  if (getResult().getType() != getInput().getType().transposed()) {
    return emitOpError() << "C1: the result type is "
                         << getInput().getType().transposed() << ", got "
                         << getResult().getType();
  }
  return success();
}
SmallVector<OpFoldResult> TransposeOp::reifyScoresShape(OpBuilder &builder) {
  SmallVector<OpFoldResult> s = getScoresShape(builder, getInput());
  return {s[0], s[1], s[3], s[2]};
}
SmallVector<std::pair<Value, bool>> TransposeOp::getAxisSources(bool isQuery) {
  return {{getInput(), !isQuery}};
}
OpFoldResult TransposeOp::fold(FoldAdaptor) {
  if (auto inner = getInput().getDefiningOp<TransposeOp>()) {
    return inner.getInput();
  }
  return {};
}
