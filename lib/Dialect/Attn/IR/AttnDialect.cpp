//===- AttnDialect.cpp - the dialect, its type and shared helpers -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Attn/IR/ExactOps.h"
#include "attn/Dialect/Attn/IR/KernelOps.h"
#include "attn/Dialect/Attn/IR/ListOps.h"
#include "attn/Dialect/Attn/IR/NeighborOps.h"
#include "attn/Dialect/Attn/IR/SelectionOps.h"
#include "attn/Dialect/Attn/IR/SourceOps.h"
#include "attn/Dialect/Attn/IR/StorageOps.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;

#include "attn/Dialect/Attn/IR/AttnDialect.cpp.inc"
#include "attn/Dialect/Attn/IR/AttnEnums.cpp.inc"

#include "attn/Dialect/Attn/IR/AttnAttrInterfaces.cpp.inc"
#include "attn/Dialect/Attn/IR/AttnInterfaces.cpp.inc"

/// `, dilation = [2, 1], causal = [1, 0]`, each of the two if it is not empty.
static ParseResult parseOptionalAxes(AsmParser &parser,
                                     SmallVector<int64_t> &dilation,
                                     SmallVector<int64_t> &causal) {
  auto parseEntry = [&]() -> ParseResult {
    return parser.parseInteger(dilation.emplace_back());
  };
  auto parseFlag = [&]() -> ParseResult {
    return parser.parseInteger(causal.emplace_back());
  };
  while (succeeded(parser.parseOptionalComma())) {
    StringRef name;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name)) {
      return failure();
    }
    bool isDilation = name == "dilation";
    if (!isDilation && name != "causal") {
      return parser.emitError(loc)
             << "expected dilation or causal, got '" << name << "'";
    }
    if (!(isDilation ? dilation : causal).empty()) {
      return parser.emitError(loc) << name << " is given twice";
    }
    if (parser.parseEqual() ||
        (isDilation ? parser.parseCommaSeparatedList(
                          AsmParser::Delimiter::Square, parseEntry)
                    : parser.parseCommaSeparatedList(
                          AsmParser::Delimiter::Square, parseFlag))) {
      return failure();
    }
  }
  return success();
}

static void printOptionalAxes(AsmPrinter &printer, ArrayRef<int64_t> dilation,
                              ArrayRef<int64_t> causal) {
  if (!dilation.empty()) {
    printer << ", dilation = [" << dilation << ']';
  }
  if (!causal.empty()) {
    printer << ", causal = [" << causal << ']';
  }
}

#define GET_TYPEDEF_CLASSES
#include "attn/Dialect/Attn/IR/AttnTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "attn/Dialect/Attn/IR/AttnAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/AttnOps.cpp.inc"
#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/KernelOps.cpp.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/SourceOps.cpp.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/StorageOps.cpp.inc"

void AttnDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "attn/Dialect/Attn/IR/AttnTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "attn/Dialect/Attn/IR/AttnAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/AttnOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/KernelOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/ExactOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/ListOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/NeighborOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/SelectionOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/SourceOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Attn/IR/StorageOps.cpp.inc"
      >();
}

LogicalResult attn::verifyRequiredOperands(Operation *op,
                                           ArrayRef<int32_t> sizes,
                                           ArrayRef<unsigned> required) {
  for (unsigned segment : required) {
    if (sizes[segment] != 1) {
      return op->emitOpError()
             << "operandSegmentSizes has " << sizes[segment]
             << " operands for segment " << segment << ", which always has 1";
    }
  }
  return success();
}

Operation *AttnDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

//===----------------------------------------------------------------------===//
// !attn.scores
//===----------------------------------------------------------------------===//

Type ScoresType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type elementType;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseDimensionList(shape) ||
      parser.parseType(elementType) || parser.parseGreater()) {
    return {};
  }
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    shape, elementType);
}

void ScoresType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList(getShape());
  printer << 'x' << getElementType() << '>';
}

LogicalResult ScoresType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType) {
  if (shape.size() != 4) {
    return emitError() << "scores have four extents [batch, heads, queries, "
                          "keys], got "
                       << shape.size();
  }
  if (ShapedType::isDynamic(shape[Heads])) {
    return emitError() << "the number of heads of scores is static, got ?";
  }
  if (!elementType.isF32() && !elementType.isF64() &&
      !elementType.isSignlessInteger(32)) {
    return emitError()
           << "scores have an accumulation type, f32, f64 or i32, got "
           << elementType;
  }
  return success();
}

Type mlir::attn::getAccumulationType(Type elementType) {
  if (elementType.isF64()) {
    return elementType;
  }
  if (elementType.isSignlessInteger(8)) {
    return IntegerType::get(elementType.getContext(), 32);
  }
  return Float32Type::get(elementType.getContext());
}

Value mlir::attn::convertFloat(OpBuilder &builder, Location loc, Value value,
                               Type type) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == type) {
    return value;
  }
  Type to = type;
  if (auto vector = dyn_cast<VectorType>(value.getType())) {
    to = vector.clone(type);
  }
  if (isa<IntegerType>(from)) {
    return arith::SIToFPOp::create(builder, loc, to, value);
  }
  unsigned fromBits = from.getIntOrFloatBitWidth();
  unsigned toBits = type.getIntOrFloatBitWidth();
  if (fromBits == toBits) { // f16 and bf16 meet in f32
    value = convertFloat(builder, loc, value, builder.getF32Type());
    return arith::TruncFOp::create(builder, loc, to, value);
  }
  if (fromBits < toBits) {
    return arith::ExtFOp::create(builder, loc, to, value);
  }
  return arith::TruncFOp::create(builder, loc, to, value);
}

Value mlir::attn::convertOperand(OpBuilder &builder, Location loc, Value value,
                                 Type type) {
  if (isa<FloatType>(type)) {
    return convertFloat(builder, loc, value, type);
  }
  Type from = value.getType(), to = type;
  if (auto vector = dyn_cast<VectorType>(from)) {
    to = vector.clone(type);
  }
  return from == to ? value : arith::ExtSIOp::create(builder, loc, to, value);
}

static bool isInteger(Value value) {
  return isa<IntegerType>(getElementTypeOrSelf(value.getType()));
}

Value mlir::attn::createProduct(OpBuilder &builder, Location loc, Value x,
                                Value y) {
  if (isInteger(x)) {
    return arith::MulIOp::create(builder, loc, x, y);
  }
  return arith::MulFOp::create(builder, loc, x, y);
}

Value mlir::attn::createSum(OpBuilder &builder, Location loc, Value x,
                            Value y) {
  if (isInteger(x)) {
    return arith::AddIOp::create(builder, loc, x, y);
  }
  return arith::AddFOp::create(builder, loc, x, y);
}

Value mlir::attn::createZero(OpBuilder &builder, Location loc, Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

OpFoldResult GuardOp::fold(FoldAdaptor adaptor) {
  // guard(guard(x)) is guard(x).
  if (auto inner = getValue().getDefiningOp<GuardOp>()) {
    return inner.getResult();
  }
  auto value = dyn_cast_if_present<FloatAttr>(adaptor.getValue());
  if (!value) {
    return {};
  }
  if (value.getValue().isInfinity() && value.getValue().isNegative()) {
    return FloatAttr::get(getType(), 0.0);
  }
  return value;
}
