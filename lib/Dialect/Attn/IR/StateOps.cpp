//===- StateOps.cpp - row programs over some of their keys ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// attn.partial, attn.merge, attn.finish, attn.state_from.
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SourceOps.h"

using namespace mlir;
using namespace mlir::attn;

//===----------------------------------------------------------------------===//
// attn.partial
//===----------------------------------------------------------------------===//

/// C4: what an op of a program may do with the keys.
static LogicalResult verifyKeepsKeys(PartialOp partial, Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  bool queries =
      reduce && (!reduce.isOverOneAxis() || reduce.getAxis() == Axis::Queries);
  bool other =
      isa<TransposeOp, MatmulOp, ConcatOp, MaterializeOp, PartialOp>(op);
  if (isa<ScoresOpInterface>(op)) {
    // What starts an expression would bring keys of its own.
    other |= llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ScoresType>);
  }
  if (queries || other) {
    return partial.emitOpError()
           << "C4: the region keeps the keys of its scores, but has '"
           << op->getName() << "'"
           << (queries ? " over " + reduce.getAxesText() : "");
  }
  return success();
}

LogicalResult PartialOp::verify() {
  Block &block = getBody().front();
  if (!llvm::equal(block.getArgumentTypes(), getInputs().getTypes())) {
    return emitOpError() << "C1: the region takes (" << getInputs().getTypes()
                         << "), got (" << block.getArgumentTypes() << ")";
  }
  ScoresType first;
  for (Type type : getInputs().getTypes()) {
    auto scores = dyn_cast<ScoresType>(type);
    if (!scores && !isa<RankedTensorType>(type)) {
      return emitOpError() << "C1: inputs are scores and values, got " << type;
    }
    if (!scores) {
      continue;
    }
    first = first ? first : scores;
    if (scores.getDim(ScoresType::Queries) !=
            first.getDim(ScoresType::Queries) ||
        scores.getDim(ScoresType::Keys) != first.getDim(ScoresType::Keys)) {
      return emitOpError()
             << "C3: the scores have the same queries and keys, got " << first
             << " and " << scores;
    }
  }
  if (!first) {
    return emitOpError() << "C3: a program takes at least one score matrix";
  }
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  ArrayRef<Type> results = getResult().getType().getResults();
  if (!yield || TypeRange(yield.getOperands()) != TypeRange(results)) {
    InFlightDiagnostic diag = emitOpError()
                              << "C2: the region yields (" << results << ")";
    return diag;
  }
  for (Operation &op : block.without_terminator()) {
    if (failed(verifyKeepsKeys(*this, &op))) {
      return failure();
    }
    auto aggregate = dyn_cast<AggregateOp>(op);
    if (!aggregate) {
      continue;
    }
    for (Value value : aggregate.getValues()) {
      auto arg = dyn_cast<BlockArgument>(value);
      if (!arg || arg.getOwner() != &block) {
        return emitOpError() << "C5: the values of aggregates in the region "
                                "are arguments of the region";
      }
    }
    for (Value map : llvm::concat<Value>(aggregate.getHeadMaps(),
                                         aggregate.getBatchMaps())) {
      if (map.getParentRegion() == &getBody()) {
        return emitOpError() << "C5: the maps of aggregates in the region come "
                                "from outside of it";
      }
    }
  }
  for (BlockArgument arg : block.getArguments()) {
    for (OpOperand &use : arg.getUses()) {
      auto aggregate = dyn_cast<AggregateOp>(use.getOwner());
      bool isValue = aggregate && use.getOperandNumber() > 0 &&
                     use.getOperandNumber() <= aggregate.getValues().size();
      if (!isa<ScoresType>(arg.getType()) && !isValue) {
        return emitOpError() << "C5: argument " << arg.getArgNumber()
                             << " of the region is a value and is used by '"
                             << use.getOwner()->getName() << "'";
      }
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.merge, attn.finish, attn.state_from
//===----------------------------------------------------------------------===//

ParseResult FinishOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand state;
  StateType type;
  if (parser.parseOperand(state) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperand(state, type, result.operands)) {
    return failure();
  }
  result.addTypes(type.getResults());
  return success();
}

void FinishOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getState();
  printer.printOptionalAttrDict((*this)->getAttrs());
  printer << " : " << getState().getType();
}

LogicalResult FinishOp::verify() {
  ArrayRef<Type> want = getState().getType().getResults();
  if (getResultTypes() != TypeRange(want)) {
    return emitOpError() << "C1: the results are (" << want << "), got ("
                         << getResultTypes() << ")";
  }
  return success();
}

LogicalResult StateFromOp::verify() {
  auto output = cast<RankedTensorType>(getOutput().getType());
  auto lse = cast<RankedTensorType>(getLse().getType());
  if (output.getRank() != 4 || lse.getRank() != 3 ||
      output.getShape().take_front(3) != lse.getShape() ||
      (!lse.getElementType().isF32() && !lse.getElementType().isF64())) {
    return emitOpError() << "C1: output is [B, H, M, Dv] and lse [B, H, M] of "
                            "f32 or f64, got "
                         << output << " and " << lse;
  }
  SmallVector<Type> want{output, lse};
  if (TypeRange(getResult().getType().getResults()) != TypeRange(want)) {
    return emitOpError() << "C2: the state is "
                         << StateType::get(getContext(), want) << ", got "
                         << getResult().getType();
  }
  return success();
}
