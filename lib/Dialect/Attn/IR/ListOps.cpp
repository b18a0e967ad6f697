//===- ListOps.cpp - lists of keys, and selection on scores ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/ListOps.h"

#include "AxisVerifier.h"

using namespace mlir;
using namespace mlir::attn;

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/ListOps.cpp.inc"

static int64_t ceilDiv(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) ? a : (a + b - 1) / b;
}

//===----------------------------------------------------------------------===//
// attn.restrict
//===----------------------------------------------------------------------===//

LogicalResult RestrictOp::verify() {
  auto list = cast<RankedTensorType>(getIndices().getType());
  auto counts = getCounts() ? cast<RankedTensorType>(getCounts().getType())
                            : RankedTensorType();
  if (list.getRank() != 4 || (counts && counts.getRank() != 3)) {
    return emitOpError() << "C1: indices have rank 4 and counts rank 3, got "
                         << list << (counts ? " and " : "")
                         << (counts ? Type(counts)
                                    : Type(NoneType::get(getContext())));
  }
  int64_t r = getQueryBlock(), c = getKeyBlock();
  if (r <= 0 || c <= 0) {
    return emitOpError() << "C5: blocks are positive, got " << r << " by " << c;
  }
  ScoresType type = getInput().getType();
  int64_t rows = ceilDiv(type.getDim(ScoresType::Queries), r);
  int64_t batch = type.getDim(ScoresType::Batch);
  auto fits = [&](RankedTensorType t) {
    return (t.getDimSize(0) == 1 || !differ(t.getDimSize(0), batch)) &&
           !differ(t.getDimSize(2), rows);
  };
  if (!fits(list) || (counts && (!fits(counts) ||
                                 counts.getDimSize(1) != list.getDimSize(1)))) {
    return emitOpError() << "C2: lists of blocks of " << r << " queries of "
                         << type << " are [B or 1, G, ceil(M / r)], got "
                         << list << (counts ? " with counts " : "")
                         << (counts ? Type(counts) : Type(list));
  }
  int64_t heads = type.getDim(ScoresType::Heads), groups = list.getDimSize(1);
  if (ShapedType::isDynamic(groups) || groups == 0 || heads % groups != 0) {
    return emitOpError() << "C3: " << heads
                         << " heads are no multiple of the groups of " << list;
  }
  if (getLengths() && getLengths().getType() != list) {
    return emitOpError() << "C4: lengths have the type of the indices, " << list
                         << ", got " << getLengths().getType();
  }
  return success();
}

SmallVector<OpFoldResult> RestrictOp::reifyScoresShape(OpBuilder &builder) {
  return getScoresShape(builder, getInput());
}

//===----------------------------------------------------------------------===//
// attn.topk
//===----------------------------------------------------------------------===//

ParseResult TopkOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand input, limit;
  Type limitType;
  Region *forced = result.addRegion();
  Builder &b = parser.getBuilder();
  if (parser.parseOperand(input)) {
    return failure();
  }
  bool limited = succeeded(parser.parseOptionalKeyword("limit"));
  if (limited && (parser.parseLParen() || parser.parseOperand(limit) ||
                  parser.parseColonType(limitType) || parser.parseRParen())) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("smallest"))) {
    result.addAttribute(getSmallestAttrName(result.name), b.getUnitAttr());
  }
  if (succeeded(parser.parseOptionalKeyword("by_position"))) {
    result.addAttribute(getByPositionAttrName(result.name), b.getUnitAttr());
  }
  if (succeeded(parser.parseOptionalKeyword("forced")) &&
      parseEntryRegion(parser, *forced)) {
    return failure();
  }
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type)) {
    return failure();
  }
  if (type.getNumInputs() != 1 || type.getNumResults() != 3) {
    return parser.emitError(loc)
           << "topk has one operand, and values, indices and count";
  }
  result.addTypes(type.getResults());
  if (parser.resolveOperand(input, type.getInput(0), result.operands)) {
    return failure();
  }
  return limited ? parser.resolveOperand(limit, limitType, result.operands)
                 : success();
}

void TopkOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getInput();
  if (Value limit = getLimit()) {
    printer << " limit(" << limit << " : " << limit.getType() << ')';
  }
  printer << (getSmallest() ? " smallest" : "")
          << (getByPosition() ? " by_position" : "");
  if (!getForced().empty()) {
    printer << " forced ";
    printEntryRegion(printer, *this, getForced());
  }
  printer.printOptionalAttrDict(
      (*this)->getAttrs(), {getSmallestAttrName(), getByPositionAttrName()});
  printer << " : (" << getInput().getType() << ") -> (" << getResultTypes()
          << ')';
}

LogicalResult TopkOp::verify() {
  ScoresType type = getInput().getType();
  auto values = cast<RankedTensorType>(getValues().getType());
  int64_t k = values.getRank() == 4 ? values.getDimSize(3) : 0;
  SmallVector<int64_t> shape{type.getDim(0), type.getDim(1), type.getDim(2)};
  Type i64 = IntegerType::get(getContext(), 64);
  auto count = RankedTensorType::get(shape, i64);
  shape.push_back(k);
  if (ShapedType::isDynamic(k) || k <= 0 ||
      values != RankedTensorType::get(shape, type.getElementType()) ||
      getIndices().getType() != RankedTensorType::get(shape, i64) ||
      getCount().getType() != count) {
    return emitOpError() << "C1: the results are [B, H, M, K] of "
                         << type.getElementType()
                         << " and of i64, and [B, H, M] of i64, with one "
                            "static K > 0, got ("
                         << getResultTypes() << ") for " << type;
  }
  if (Value limit = getLimit()) {
    auto got = cast<RankedTensorType>(limit.getType());
    bool fits = got.getRank() == 3;
    for (unsigned d = 0; fits && d < 3; ++d) {
      fits = got.getDimSize(d) == 1 || got.getDimSize(d) == type.getDim(d);
    }
    if (!fits) {
      return emitOpError() << "C2: limit has rank 3 with extents 1 or those of "
                           << type << ", got " << got;
    }
  }
  if (getForced().empty()) {
    return success();
  }
  Type i1 = IntegerType::get(getContext(), 1);
  if (failed(verifyEntryRegion(*this, getForced(), type.getElementType(), i1,
                               "C3", "C3"))) {
    return failure();
  }
  return verifySpeculatable(*this, getForced(), "C3");
}

//===----------------------------------------------------------------------===//
// Lists on tensors
//===----------------------------------------------------------------------===//

/// Indices of rank 4 whose first three extents are those of the counts.
static LogicalResult verifyList(Operation *op, Type indices, Type counts) {
  auto list = cast<RankedTensorType>(indices);
  auto count = cast<RankedTensorType>(counts);
  if (list.getRank() != 4 ||
      list.getShape().take_front(3) != count.getShape()) {
    return op->emitOpError() << "C1: indices have rank 4 and counts their "
                                "first three extents, got "
                             << list << " and " << count;
  }
  return success();
}

LogicalResult ListOp::verify() {
  if (failed(
          verifyList(*this, getIndices().getType(), getCounts().getType()))) {
    return failure();
  }
  Block &block = getBody().front();
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  SmallVector<Type> want(4, IndexType::get(getContext()));
  if (!llvm::equal(block.getArgumentTypes(), want) || !yield ||
      yield.getNumOperands() != 1 ||
      !yield.getOperand(0).getType().isInteger(1)) {
    return emitOpError() << "C2: the region takes four indices and yields i1";
  }
  int64_t dynamic =
      cast<RankedTensorType>(getCounts().getType()).getNumDynamicDims();
  if (static_cast<int64_t>(getSizes().size()) != dynamic) {
    return emitOpError() << "C3: expected " << dynamic << " sizes, got "
                         << getSizes().size();
  }
  return verifySpeculatable(*this, getBody(), "C2");
}

template <typename OpTy>
static LogicalResult verifyPair(OpTy op, int64_t atLeast) {
  if (failed(
          verifyList(op, op.getLhs().getType(), op.getLhsCounts().getType())) ||
      failed(
          verifyList(op, op.getRhs().getType(), op.getRhsCounts().getType())) ||
      failed(verifyList(op, op.getIndices().getType(),
                        op.getCounts().getType()))) {
    return failure();
  }
  auto result = cast<RankedTensorType>(op.getIndices().getType());
  for (Value operand : {op.getLhs(), op.getRhs()}) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getElementType() != result.getElementType() ||
        type.getShape().take_front(3) != result.getShape().take_front(3)) {
      return op.emitOpError() << "C2: operands and results agree in element "
                                 "type and in the first three extents, got "
                              << type << " and " << result;
    }
  }
  int64_t extent = result.getDimSize(3);
  if (!ShapedType::isDynamic(extent) &&
      (ShapedType::isDynamic(atLeast) || extent < atLeast)) {
    InFlightDiagnostic diag = op.emitOpError()
                              << "C3: the last extent " << extent
                              << " does not hold every result";
    return diag << "; make it dynamic, or large enough for the operands";
  }
  return success();
}

static int64_t lastExtent(Value list) {
  return cast<RankedTensorType>(list.getType()).getShape().back();
}

LogicalResult ListUnionOp::verify() {
  int64_t a = lastExtent(getLhs()), b = lastExtent(getRhs());
  bool dynamic = ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
  return verifyPair(*this, dynamic ? ShapedType::kDynamic : a + b);
}

LogicalResult ListIntersectOp::verify() {
  return verifyPair(*this, lastExtent(getLhs()));
}

LogicalResult ListTransposeOp::verify() {
  if (failed(
          verifyList(*this, getList().getType(), getListCounts().getType())) ||
      failed(
          verifyList(*this, getIndices().getType(), getCounts().getType()))) {
    return failure();
  }
  auto list = cast<RankedTensorType>(getList().getType());
  auto result = cast<RankedTensorType>(getIndices().getType());
  if (list.getElementType() != result.getElementType() ||
      list.getShape().take_front(2) != result.getShape().take_front(2)) {
    return emitOpError() << "C2: operands and results agree in element type "
                            "and in the first two extents, got "
                         << list << " and " << result;
  }
  return success();
}

LogicalResult ListIndexOp::verify() {
  auto rankOf = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getRank();
  };
  if (rankOf(getList()) != 4 || rankOf(getEntries()) != 3 ||
      rankOf(getOffsets()) != 3 || (getCounts() && rankOf(getCounts()) != 3) ||
      (getLengths() && getLengths().getType() != getList().getType())) {
    return emitOpError() << "C1: indices have rank 4, counts and results rank "
                            "3, and lengths the type of the indices, got "
                         << getList().getType() << " for "
                         << getEntries().getType();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.listed
//===----------------------------------------------------------------------===//

bool mlir::attn::impliesTest(Value condition, Value test) {
  if (!condition || condition == test) {
    return static_cast<bool>(condition);
  }
  auto conjunction = condition.getDefiningOp<arith::AndIOp>();
  return conjunction && (impliesTest(conjunction.getLhs(), test) ||
                         impliesTest(conjunction.getRhs(), test));
}

ListedOp mlir::attn::getDriver(SweepOp sweep) {
  for (auto listed : sweep.getBody().getOps<ListedOp>()) {
    if (listed.getDrives()) {
      return listed;
    }
  }
  return {};
}

LogicalResult ListedOp::verify() {
  auto source = cast<ShapedType>(getSource().getType());
  if (source.getRank() != static_cast<int64_t>(getIndices().size()) + 1 ||
      !source.getElementType().isIntOrIndex() ||
      (getLengths() && getLengths().getType() != source)) {
    return emitOpError() << "C1: an integer source is indexed without its last "
                            "dimension, and lengths have its type; got "
                         << source;
  }
  if (static_cast<int64_t>(getRowBlock()) <= 0 ||
      static_cast<int64_t>(getKeyBlock()) <= 0) {
    return emitOpError() << "C2: blocks are positive";
  }
  if (!getDrives()) {
    return success();
  }
  auto sweep = dyn_cast<SweepOp>((*this)->getParentOp());
  bool implied = sweep && getKey() == sweep.getKeyArg();
  for (Operation &op : implied ? sweep.getBody().front().getOperations()
                               : getOperation()->getBlock()->getOperations()) {
    auto reducer = dyn_cast<ReducerOpInterface>(op);
    implied &= !reducer || impliesTest(reducer.getCond(), getResult());
  }
  if (!implied) {
    return emitOpError() << "C3: a test that drives is in the body of a sweep, "
                            "tests its key, and is implied by all of its "
                            "conditions";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.top, attn.bins
//===----------------------------------------------------------------------===//

LogicalResult TopOp::verify() {
  auto values = cast<VectorType>(getValues().getType());
  auto keys = cast<VectorType>(getKeys().getType());
  if (values.getRank() != 1 || values.getShape() != keys.getShape() ||
      values.getElementType() != getValue().getType() ||
      !keys.getElementType().isInteger(64)) {
    return emitOpError() << "C1: the results are vectors of K elements, of "
                         << getValue().getType() << " and of i64, got "
                         << values << " and " << keys;
  }
  return success();
}

LogicalResult BinsOp::verify() {
  bool count = getKind() == CarryKind::Count;
  bool known = count || getKind() == CarryKind::Sum ||
               getKind() == CarryKind::Max || getKind() == CarryKind::Min;
  if (!known || static_cast<bool>(getValue()) == count) {
    return emitOpError() << "C1: bins take sum, max or min of a value, or a "
                            "count of none";
  }
  Type want =
      count ? Type(IntegerType::get(getContext(), 64)) : getValue().getType();
  auto row = dyn_cast<VectorType>(getType());
  if ((row && row.getRank() != 1) || getElementType() != want) {
    return emitOpError() << "C2: the result is a vector or a tally of " << want
                         << ", got " << getType();
  }
  if (getRowBlock() && !isTally()) {
    return emitOpError() << "C3: rows share the bins of a tally only, got "
                         << getType();
  }
  return success();
}

Type BinsOp::getElementType() {
  auto tally = dyn_cast<TallyType>(getType());
  return tally ? tally.getElementType()
               : cast<VectorType>(getType()).getElementType();
}

SmallVector<unsigned> BinsOp::getOutputs() {
  SmallVector<unsigned> outputs;
  auto sweep = cast<SweepOp>((*this)->getParentOp());
  for (auto [value, result] :
       llvm::zip(sweep.getYield().getValues(), sweep.getResults())) {
    if (value != getResult()) {
      continue;
    }
    for (OpOperand &use : result.getUses()) {
      if (isa<StoreRowOp>(use.getOwner())) {
        outputs.push_back(use.getOperandNumber());
      }
    }
  }
  return outputs;
}
