//===- StreamOps.cpp - attn.stream: one kernel -===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/Attn.h"

using namespace mlir;
using namespace mlir::attn;

void StreamOp::build(OpBuilder &builder, OperationState &state,
                     Orientation orientation, ValueRange sizes,
                     ValueRange inputs, ValueRange outputs) {
  auto &properties = state.getOrAddProperties<Properties>();
  properties.orientation =
      OrientationAttr::get(builder.getContext(), orientation);
  properties.operandSegmentSizes = {1,
                                    1,
                                    1,
                                    1,
                                    static_cast<int32_t>(inputs.size()),
                                    static_cast<int32_t>(outputs.size())};
  state.addOperands(sizes);
  state.addOperands(inputs);
  state.addOperands(outputs);
  for (Value output : outputs) {
    if (isa<RankedTensorType>(output.getType())) {
      state.addTypes(output.getType());
    }
  }
  Block &block = state.addRegion()->emplaceBlock();
  for (unsigned k = 0; k < kNumIndexArgs; ++k) {
    block.addArgument(builder.getIndexType(), state.location);
  }
  for (Value input : inputs) {
    block.addArgument(input.getType(), input.getLoc());
  }
}

BlockArgument StreamOp::addInput(Value value) {
  for (auto [k, input] : llvm::enumerate(getInputs())) {
    if (input == value) {
      return getInputArg(k);
    }
  }
  getInputsMutable().append(value);
  return getBody().addArgument(value.getType(), value.getLoc());
}

StoreRowOp StreamOp::getStoreRow() {
  return cast<StoreRowOp>(getBody().front().getTerminator());
}

void StreamOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &input : getInputsMutable()) {
    if (isa<BaseMemRefType>(input.get().getType())) {
      effects.emplace_back(MemoryEffects::Read::get(), &input,
                           SideEffects::DefaultResource::get());
    }
  }
  for (OpOperand &output : getOutputsMutable()) {
    if (isa<BaseMemRefType>(output.get().getType())) {
      effects.emplace_back(MemoryEffects::Write::get(), &output,
                           SideEffects::DefaultResource::get());
    }
  }
}

ParseResult StreamOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  Type index = builder.getIndexType();
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword)) {
    return failure();
  }
  std::optional<Orientation> orientation = symbolizeOrientation(keyword);
  if (!orientation) {
    return parser.emitError(loc)
           << "a stream keeps rows or cols, got '" << keyword << "'";
  }
  SmallVector<OpAsmParser::Argument> args;
  SmallVector<OpAsmParser::UnresolvedOperand> sizes, inputs, outputs;
  SmallVector<Type> inputTypes, outputTypes;
  if (parser.parseArgumentList(args, OpAsmParser::Delimiter::Paren) ||
      parser.parseKeyword("in") ||
      parser.parseOperandList(sizes, OpAsmParser::Delimiter::Square) ||
      parser.parseKeyword("over") ||
      parser.parseArgument(args.emplace_back()) || parser.parseEqual() ||
      parser.parseOperand(sizes.emplace_back())) {
    return failure();
  }
  if (args.size() != kNumIndexArgs || sizes.size() != kNumIndexArgs) {
    return parser.emitError(loc) << "a stream has three indices and extents";
  }
  for (auto &arg : args) {
    arg.type = index;
  }
  auto parseInput = [&]() -> ParseResult {
    OpAsmParser::Argument &arg = args.emplace_back();
    if (parser.parseArgument(arg) || parser.parseEqual() ||
        parser.parseOperand(inputs.emplace_back()) ||
        parser.parseColonType(inputTypes.emplace_back())) {
      return failure();
    }
    arg.type = inputTypes.back();
    return success();
  };
  auto parseOutput = [&]() -> ParseResult {
    return failure(parser.parseOperand(outputs.emplace_back()) ||
                   parser.parseColonType(outputTypes.emplace_back()));
  };
  Region *body = result.addRegion();
  if (parser.parseKeyword("ins") ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                     parseInput) ||
      parser.parseKeyword("outs") ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren,
                                     parseOutput) ||
      parser.parseRegion(*body, args) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.resolveOperands(sizes, index, result.operands) ||
      parser.resolveOperands(inputs, inputTypes, loc, result.operands) ||
      parser.resolveOperands(outputs, outputTypes, loc, result.operands)) {
    return failure();
  }
  for (Type type : outputTypes) {
    if (isa<RankedTensorType>(type)) {
      result.addTypes(type);
    }
  }
  auto &properties = result.getOrAddProperties<Properties>();
  properties.orientation =
      OrientationAttr::get(parser.getContext(), *orientation);
  properties.operandSegmentSizes = {1,
                                    1,
                                    1,
                                    1,
                                    static_cast<int32_t>(inputs.size()),
                                    static_cast<int32_t>(outputs.size())};
  return success();
}

void StreamOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getOrientation() << " (" << getBatchArg() << ", "
          << getHeadArg() << ", " << getRowArg() << ") in [" << getBatch()
          << ", " << getHeads() << ", " << getRows() << "] over "
          << getExtentArg() << " = " << getExtent() << " ins(";
  unsigned k = 0;
  llvm::interleaveComma(getInputs(), printer, [&](Value input) {
    printer << getInputArg(k++) << " = " << input << " : " << input.getType();
  });
  printer << ") outs(";
  llvm::interleaveComma(getOutputs(), printer, [&](Value output) {
    printer << output << " : " << output.getType();
  });
  printer << ") ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getOrientationAttrName(), getOperandSegmentSizesAttrName()});
}

LogicalResult StreamOp::verify() {
  SmallVector<Type> want(kNumIndexArgs, IndexType::get(getContext()));
  llvm::append_range(want, getInputs().getTypes());
  if (!llvm::equal(getBody().getArgumentTypes(), want)) {
    return emitOpError() << "C1: block arguments are (" << want << "), got ("
                         << getBody().getArgumentTypes() << ")";
  }
  auto store = dyn_cast<StoreRowOp>(getBody().front().getTerminator());
  if (!store || store.getValues().size() != getOutputs().size()) {
    return emitOpError() << "C2: store_row has one operand per output";
  }
  SmallVector<Type> results;
  for (auto [value, output] : llvm::zip(store.getValues(), getOutputs())) {
    auto type = cast<ShapedType>(output.getType());
    bool fits = value.getType() == type.getElementType() && type.getRank() == 3;
    if (auto row = dyn_cast<VectorType>(value.getType())) {
      fits = type.getRank() == 4 && row.getRank() == 1 &&
             row.getElementType() == type.getElementType() &&
             row.getDimSize(0) == type.getDimSize(3);
    }
    if (auto tally = dyn_cast<TallyType>(value.getType())) {
      fits = type.getRank() == 4 &&
             tally.getElementType() == type.getElementType();
    }
    if (!fits) {
      return emitOpError() << "C2: store_row writes " << value.getType()
                           << " to an output of type " << type;
    }
    if (isa<RankedTensorType>(type)) {
      results.push_back(type);
    }
  }
  if (getResultTypes() != TypeRange(results)) {
    return emitOpError() << "C3: results are the tensor outputs' types";
  }
  return success();
}
