//===- StorageOps.cpp - how operands are stored ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Verifiers and syntax of views, pages, quantisation, rotations and appends.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "AxisVerifier.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::attn;

static bool agree(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}

static bool agree(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto pair) {
           return agree(std::get<0>(pair), std::get<1>(pair));
         });
}

static bool agreeOrOne(int64_t a, int64_t b) { return a == 1 || agree(a, b); }

static std::string formatShape(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [k, extent] : llvm::enumerate(shape)) {
    text += k ? ", " : "";
    text += ShapedType::isDynamic(extent) ? "?" : std::to_string(extent);
  }
  return text + "]";
}

//===----------------------------------------------------------------------===//
// #attn.quant
//===----------------------------------------------------------------------===//

double QuantAttr::getLargest() const {
  if (auto type = dyn_cast<FloatType>(getType())) {
    return APFloat::getLargest(type.getFloatSemantics()).convertToDouble();
  }
  return hasZeros() ? (1 << getBits()) - 1 : (1 << (getBits() - 1)) - 1;
}

LogicalResult QuantAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                Type type, QuantAxis axis, int64_t group,
                                QuantZero zero, QuantRounding, int64_t clamp) {
  bool isFloat = isa<Float8E4M3FNType, Float8E5M2Type>(type);
  bool isInteger = type.isSignlessInteger(8) || type.isSignlessInteger(4) ||
                   type.isSignlessInteger(2);
  if (!isFloat && !isInteger) {
    return emitError() << "the type of a scheme is i8, i4, i2, f8E4M3FN or "
                          "f8E5M2, got "
                       << type;
  }
  if (isFloat && zero != QuantZero::None) {
    return emitError() << "8-bit floats have no zeros; write zero = none";
  }
  if (group < 0 || (group > 0 && axis == QuantAxis::Tensor)) {
    return emitError() << "group is a number of features (axis = token) or of "
                          "tokens (axis = channel), got "
                       << group;
  }
  if (clamp != 0 && clamp != 1) {
    return emitError() << "clamp is 0 or 1, got " << clamp;
  }
  return success();
}

SmallVector<int64_t> mlir::attn::getScaleShape(QuantAttr scheme,
                                               ArrayRef<int64_t> shape) {
  int64_t group = scheme.getGroup();
  switch (scheme.getAxis()) {
  case QuantAxis::Tensor:
    return {1, 1, 1, 1};
  case QuantAxis::Token:
    return {shape[0], shape[1], shape[2], group ? shape[3] / group : 1};
  case QuantAxis::Channel:
    return {shape[0], shape[1],
            !group                            ? 1
            : ShapedType::isDynamic(shape[2]) ? ShapedType::kDynamic
                                              : (shape[2] + group - 1) / group,
            shape[3]};
  }
  llvm_unreachable("all axes are handled");
}

//===----------------------------------------------------------------------===//
// attn.view
//===----------------------------------------------------------------------===//

void ViewOp::build(OpBuilder &builder, OperationState &state,
                   RankedTensorType type, ValueRange sizes, bool rows,
                   function_ref<Value(OpBuilder &, ValueRange)> body) {
  state.addTypes(type);
  state.addOperands(sizes);
  Region *region = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(region);
  for (int64_t k = 0; k < type.getRank() - (rows ? 1 : 0); ++k) {
    block->addArgument(builder.getIndexType(), state.location);
  }
  Value value = body(builder, block->getArguments());
  YieldOp::create(builder, state.location, value);
}

OpFoldResult ViewOp::getExtent(unsigned dim) {
  RankedTensorType type = getResult().getType();
  if (!type.isDynamicDim(dim)) {
    return IntegerAttr::get(IndexType::get(getContext()), type.getDimSize(dim));
  }
  return getSizes()[type.getDynamicDimIndex(dim)];
}

OpFoldResult mlir::attn::resolveExtent(OpFoldResult extent) {
  while (auto value = dyn_cast<Value>(extent)) {
    auto dim = value.getDefiningOp<tensor::DimOp>();
    auto view = dim ? dim.getSource().getDefiningOp<ViewOp>() : ViewOp();
    if (!view || !dim.getConstantIndex()) {
      break;
    }
    extent = view.getExtent(*dim.getConstantIndex());
  }
  return extent;
}

ParseResult ViewOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> args;
  SmallVector<OpAsmParser::UnresolvedOperand> sizes;
  Type index = parser.getBuilder().getIndexType(), type;
  if (parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren) ||
      (succeeded(parser.parseOptionalKeyword("sizes")) &&
       parser.parseOperandList(sizes, OpAsmParser::Delimiter::Paren))) {
    return failure();
  }
  for (auto &arg : args) {
    arg.type = index;
  }
  if (parser.parseRegion(*result.addRegion(), args) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(sizes, index, result.operands)) {
    return failure();
  }
  result.addTypes(type);
  return success();
}

void ViewOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(getBody().getArguments(), printer);
  printer << ") ";
  if (!getSizes().empty()) {
    printer << "sizes(" << getSizes() << ") ";
  }
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict((*this)->getAttrs());
  printer << " : " << getType();
}

LogicalResult ViewOp::verify() {
  RankedTensorType type = getResult().getType();
  int64_t args = getBody().getNumArguments();
  bool indices = llvm::all_of(getBody().getArgumentTypes(),
                              [](Type t) { return t.isIndex(); });
  bool rows = args + 1 == type.getRank();
  if (!indices || (rows ? args != 3 : args != type.getRank())) {
    return emitOpError()
           << "C1: the region takes three indices for the rows of "
              "a tensor of rank 4, or "
           << type.getRank() << " for elements, got " << args;
  }
  Type wanted = type.getElementType();
  if (rows) {
    if (ShapedType::isDynamic(type.getShape().back())) {
      return emitOpError() << "C1: rows need a static last extent";
    }
    wanted = VectorType::get({type.getShape().back()}, wanted);
  }
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield || yield.getOperandTypes() != TypeRange(wanted)) {
    return emitOpError() << "C1: the region yields one " << wanted;
  }
  if (getSizes().size() != type.getNumDynamicDims()) {
    return emitOpError() << "C2: sizes are given for the "
                         << type.getNumDynamicDims() << " dynamic extents, got "
                         << getSizes().size();
  }
  bool loads = !getBody().getOps<AtOp>().empty();
  if (loads && !rows) {
    return emitOpError()
           << "C4: a region that computes elements reads elements "
              "(tensor.extract), not rows";
  }
  return verifySpeculatable(*this, getBody(), "C3");
}

//===----------------------------------------------------------------------===//
// attn.paged
//===----------------------------------------------------------------------===//

int64_t PagedOp::getPageSize() {
  bool headsFirst = getLayout() == PoolLayout::HeadsFirst;
  return getPool().getType().getDimSize(headsFirst ? 2 : 1);
}

int64_t PagedOp::getGroups() {
  bool headsFirst = getLayout() == PoolLayout::HeadsFirst;
  return getPool().getType().getDimSize(headsFirst ? 1 : 2);
}

/// C1 and C3 of a pool.
static LogicalResult verifyPool(Operation *op, RankedTensorType pool,
                                RankedTensorType table, StringRef label) {
  if (pool.getRank() != 4 || table.getRank() != 2 ||
      ShapedType::isDynamicShape(pool.getShape().drop_front())) {
    return op->emitOpError()
           << label
           << ": the pool has rank 4 and static heads, slots and features, and "
              "the table is [B, maxpages]; got "
           << pool << " and " << table;
  }
  if (llvm::is_contained(pool.getShape().drop_front(), 0)) {
    return op->emitOpError() << "C3: a page has at least one slot, head and "
                                "feature";
  }
  return success();
}

LogicalResult PagedOp::verify() {
  RankedTensorType pool = getPool().getType(), table = getTable().getType();
  if (failed(verifyPool(*this, pool, table, "C1"))) {
    return failure();
  }
  RankedTensorType result = getResult().getType();
  int64_t pages = table.getDimSize(1);
  int64_t keys = getExtent() || ShapedType::isDynamic(pages)
                     ? ShapedType::kDynamic
                     : pages * getPageSize();
  SmallVector<int64_t> want{table.getDimSize(0), getGroups(), keys,
                            pool.getDimSize(3)};
  if (!llvm::equal(result.getShape(), want) ||
      result.getElementType() != pool.getElementType()) {
    return emitOpError() << "C2: the result is " << formatShape(want) << " of "
                         << pool.getElementType() << ", got " << result;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.dequantize, attn.quantize
//===----------------------------------------------------------------------===//

/// C1 to C4 of both ops.
static LogicalResult verifyScheme(Operation *op, QuantAttr scheme,
                                  RankedTensorType numbers,
                                  RankedTensorType codes, Value scales,
                                  Value zeros) {
  int64_t perByte = scheme.getCodesPerByte();
  int64_t features = numbers.getRank() == 4 ? numbers.getDimSize(3) : 0;
  if (numbers.getRank() != 4 || codes.getRank() != 4 || features <= 0 ||
      features % perByte) {
    return op->emitOpError()
           << "C1: numbers and codes are [B, G, N, D] with static D, a "
              "multiple of the "
           << perByte << " codes per byte; got " << numbers << " and " << codes;
  }
  // The same program on f64 has codes in f64.
  bool rightType = scheme.isFloat()
                       ? codes.getElementType() == scheme.getType() ||
                             codes.getElementType().isF64()
                       : codes.getElementType().isSignlessInteger(8);
  SmallVector<int64_t> shape(numbers.getShape());
  shape.back() /= perByte;
  if (!rightType || !agree(codes.getShape(), shape)) {
    return op->emitOpError()
           << "C2: codes of " << scheme.getType() << " are "
           << formatShape(shape) << " of "
           << (scheme.isFloat() ? scheme.getType()
                                : IntegerType::get(op->getContext(), 8))
           << ", got " << codes;
  }
  int64_t group = scheme.getGroup();
  if (scheme.getAxis() == QuantAxis::Token && group && features % group) {
    return op->emitOpError() << "C3: groups of " << group
                             << " features do not divide " << features;
  }
  SmallVector<int64_t> want = getScaleShape(scheme, numbers.getShape());
  for (Value v : {scales, zeros}) {
    if (v && !agree(cast<RankedTensorType>(v.getType()).getShape(), want)) {
      return op->emitOpError()
             << "C3: scales and zeros by "
             << stringifyQuantAxis(scheme.getAxis()) << " are "
             << formatShape(want) << ", got " << v.getType();
    }
  }
  if (static_cast<bool>(zeros) != scheme.hasZeros()) {
    return op->emitOpError() << "C4: a scheme with zero = "
                             << stringifyQuantZero(scheme.getZero())
                             << (zeros ? " has no" : " needs") << " zeros";
  }
  if (zeros && getElementTypeOrSelf(zeros) != getElementTypeOrSelf(scales)) {
    return op->emitOpError() << "C3: scales and zeros have one element type";
  }
  return success();
}

LogicalResult DequantizeOp::verify() {
  RankedTensorType result = getResult().getType();
  if (!result.getElementType().isF32() && !result.getElementType().isF64()) {
    return emitOpError() << "C1: numbers come out as f32 or f64, got "
                         << result;
  }
  return verifyScheme(*this, getScheme(), result, getCodes().getType(),
                      getScales(), getZeros());
}

LogicalResult QuantizeOp::verify() {
  return verifyScheme(*this, getScheme(), getInput().getType(),
                      getCodes().getType(), getScales(), getZeros());
}

//===----------------------------------------------------------------------===//
// attn.rope, attn.hadamard
//===----------------------------------------------------------------------===//

int64_t RopeOp::getRotaryExtent() {
  int64_t given = getRotaryDim();
  return given ? given : getInput().getType().getShape().back();
}

LogicalResult RopeOp::verify() {
  RankedTensorType type = getInput().getType();
  int64_t rotary = type.getRank() == 4 ? getRotaryExtent() : 0;
  if (type.getRank() != 4 || type.isDynamicDim(3) || rotary < 2 || rotary % 2 ||
      rotary > type.getDimSize(3)) {
    return emitOpError() << "C1: the input is [B, H, L, D] with static D, and "
                            "an even number of features, at most D, rotates; "
                            "got "
                         << type << " and rotary_dim " << getRotaryDim();
  }
  if (static_cast<bool>(getPositions()) == static_cast<bool>(getCos()) ||
      static_cast<bool>(getCos()) != static_cast<bool>(getSin())) {
    return emitOpError() << "C2: angles come from positions, or from cos and "
                            "sin";
  }
  auto check = [&](Value v, ArrayRef<int64_t> want) {
    if (!v) {
      return true;
    }
    auto shape = cast<RankedTensorType>(v.getType()).getShape();
    return shape.size() == want.size() && agreeOrOne(shape[0], want[0]) &&
           agree(shape.drop_front(), want.drop_front());
  };
  int64_t b = type.getDimSize(0), l = type.getDimSize(2);
  if (!check(getPositions(), {b, l}) || !check(getCos(), {b, l, rotary / 2}) ||
      !check(getSin(), {b, l, rotary / 2})) {
    return emitOpError() << "C3: positions are " << formatShape({b, l})
                         << ", cos and sin " << formatShape({b, l, rotary / 2})
                         << ", with the batch size or 1";
  }
  return success();
}

LogicalResult HadamardOp::verify() {
  RankedTensorType type = getInput().getType();
  int64_t last = type.getRank() == 4 ? type.getDimSize(3) : 0;
  if (last <= 0 || !llvm::isPowerOf2_64(last)) {
    return emitOpError()
           << "C1: the input is [B, H, L, D] with D a static power "
              "of two, got "
           << type;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.append, attn.inner
//===----------------------------------------------------------------------===//

LogicalResult AppendOp::verify() {
  RankedTensorType cache = getCache().getType(), rows = getNewRows().getType();
  if (cache.getRank() != 4 || rows.getRank() != 4 ||
      cache.getElementType() != rows.getElementType()) {
    return emitOpError() << "C1: cache and new rows have rank 4 and one "
                            "element type, got "
                         << cache << " and " << rows;
  }
  bool slotsFirst = getLayout() == PoolLayout::SlotsFirst;
  if (!getTable() && slotsFirst) {
    return emitOpError() << "C3: a layout is for pools, which have a table";
  }
  if (getTable() &&
      failed(verifyPool(*this, cache, getTable().getType(), "C3"))) {
    return failure();
  }
  if (!agree(cache.getDimSize(slotsFirst ? 2 : 1), rows.getDimSize(1)) ||
      !agree(cache.getDimSize(3), rows.getDimSize(3)) ||
      (!getTable() && !agree(cache.getDimSize(0), rows.getDimSize(0)))) {
    return emitOpError() << "C1: cache and new rows agree in sequences, heads "
                            "and features, got "
                         << cache << " and " << rows;
  }
  auto at = dyn_cast<RankedTensorType>(getAt().getType());
  if (at && (at.getRank() != 1 ||
             !agreeOrOne(at.getDimSize(0), rows.getDimSize(0)))) {
    return emitOpError() << "C2: at is an index, or integers [B] or [1], got "
                         << at;
  }
  return success();
}

LogicalResult ExpandOp::verify() {
  auto type = cast<ShapedType>(getMatrix().getType());
  int64_t rank = type.getRank();
  if (rank != static_cast<int64_t>(getIndices().size()) + 2 ||
      type.getDimSize(rank - 2) !=
          getCoefficients().getType().getNumElements() ||
      type.getDimSize(rank - 1) != getResult().getType().getNumElements() ||
      !isa<FloatType>(type.getElementType())) {
    return emitOpError() << "C1: the matrix is indexed up to its last two "
                            "dimensions, the lengths of "
                         << getCoefficients().getType() << " and "
                         << getResult().getType() << "; got " << type;
  }
  return success();
}

LogicalResult InnerOp::verify() {
  if (getLhs().getType().getNumElements() !=
      getRhs().getType().getNumElements()) {
    return emitOpError() << "C1: rows have one length, got "
                         << getLhs().getType() << " and " << getRhs().getType();
  }
  return verifyContractionType(*this, getLhs(), getRhs(), "C2");
}
