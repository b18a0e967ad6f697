//===- SelectionOps.cpp - verifiers and shapes of selection ops -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/SelectionOps.h"

using namespace mlir;
using namespace mlir::attn;

#include "attn/Dialect/Attn/IR/SelectionEnums.cpp.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/SelectionOps.cpp.inc"

using Extents = SmallVector<int64_t>;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static std::string print(ArrayRef<int64_t> shape) {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleave(
      shape, os,
      [&](int64_t extent) {
        ShapedType::isDynamic(extent) ? (os << "?") : (os << extent);
      },
      ", ");
  os << "]";
  return text;
}

/// Checks that `value` has `shape`, as far as both are static.
static LogicalResult verifyShape(Operation *op, Value value, StringRef name,
                                 ArrayRef<int64_t> shape, StringRef label) {
  if (succeeded(verifyCompatibleShape(typeOf(value).getShape(), shape))) {
    return success();
  }
  return op->emitOpError() << label << ": " << name << " has shape "
                           << print(shape) << ", got "
                           << print(typeOf(value).getShape());
}

static LogicalResult verifyElement(Operation *op, Value value, StringRef name,
                                   Type type, StringRef label) {
  if (typeOf(value).getElementType() == type) {
    return success();
  }
  return op->emitOpError() << label << ": " << name << " has element type "
                           << type << ", got "
                           << typeOf(value).getElementType();
}

static LogicalResult verifyDim(Operation *op, int64_t dim, Value tensor,
                               StringRef label) {
  int64_t rank = typeOf(tensor).getRank();
  if (dim >= 0 && dim < rank) {
    return success();
  }
  return op->emitOpError() << label << ": dim is a dimension of a tensor of "
                           << "rank " << rank << ", got " << dim;
}

static OpFoldResult extentOf(OpBuilder &builder, Value tensor, int64_t dim) {
  return tensor::getMixedSize(builder, tensor.getLoc(), tensor, dim);
}

static SmallVector<OpFoldResult> extentsOf(OpBuilder &builder, Value tensor,
                                           int64_t begin, int64_t end) {
  SmallVector<OpFoldResult> extents;
  for (int64_t dim = begin; dim < end; ++dim) {
    extents.push_back(extentOf(builder, tensor, dim));
  }
  return extents;
}

static SmallVector<OpFoldResult> extentsOf(OpBuilder &builder, Value tensor) {
  return extentsOf(builder, tensor, 0, typeOf(tensor).getRank());
}

/// What reification promises: the static extents of the result's type where it
/// has them.
static SmallVector<OpFoldResult> withStatic(OpBuilder &builder, Value result,
                                            SmallVector<OpFoldResult> extents) {
  for (auto [extent, known] :
       llvm::zip_equal(extents, typeOf(result).getShape())) {
    if (!ShapedType::isDynamic(known)) {
      extent = builder.getIndexAttr(known);
    }
  }
  return extents;
}

//===----------------------------------------------------------------------===//
// attn.select_topk
//===----------------------------------------------------------------------===//

unsigned SelectTopKOp::getFirstDim() {
  std::optional<ArrayRef<int64_t>> dims = getDims();
  return dims ? dims->front() : typeOf(getInput()).getRank() - 1;
}

unsigned SelectTopKOp::getNumDims() {
  std::optional<ArrayRef<int64_t>> dims = getDims();
  return dims ? dims->size() : 1;
}

LogicalResult SelectTopKOp::verify() {
  auto input = typeOf(getInput());
  int64_t rank = input.getRank();
  if (rank == 0) {
    return emitOpError("C1: the input has no dimension to select along");
  }
  if (std::optional<ArrayRef<int64_t>> dims = getDims()) {
    bool valid = !dims->empty() && dims->front() >= 0 && dims->back() < rank;
    for (size_t k = 1; valid && k < dims->size(); ++k) {
      valid = (*dims)[k] == (*dims)[k - 1] + 1;
    }
    if (!valid) {
      return emitOpError() << "C1: dims are consecutive dimensions of a tensor "
                              "of rank "
                           << rank << ", got " << ::print(*dims);
    }
  }
  Extents outer(input.getShape());
  auto first = outer.begin() + getFirstDim();
  outer.erase(first, first + getNumDims());
  Extents selected = outer;
  if (typeOf(getValues()).getRank() != int64_t(outer.size()) + 1) {
    return emitOpError() << "C2: values have rank " << outer.size() + 1
                         << ", got " << typeOf(getValues()).getRank();
  }
  int64_t bound = typeOf(getValues()).getDimSize(getFirstDim());
  selected.insert(selected.begin() + getFirstDim(), bound);
  if (failed(verifyShape(*this, getValues(), "values", selected, "C2")) ||
      failed(verifyShape(*this, getIndices(), "indices", selected, "C2")) ||
      failed(verifyElement(*this, getValues(), "values", input.getElementType(),
                           "C2")) ||
      failed(verifyShape(*this, getCount(), "count", outer, "C3"))) {
    return failure();
  }
  if (typeOf(getIndices()).getDimSize(getFirstDim()) != bound) {
    return emitOpError("C2: values and indices have one extent K");
  }
  for (auto [bits, name] : {std::pair<Value, StringRef>{getForced(), "forced"},
                            {getAmong(), "among"}}) {
    if (bits &&
        failed(verifyShape(*this, bits, name, input.getShape(), "C4"))) {
      return failure();
    }
  }
  if (getK() && isa<RankedTensorType>(getK().getType()) &&
      failed(verifyShape(*this, getK(), "k", outer, "C5"))) {
    return failure();
  }
  if (ShapedType::isDynamic(bound) != static_cast<bool>(getBound())) {
    return emitOpError() << "C6: bound is given exactly where the extent of "
                            "the results is '?'";
  }
  return success();
}

/// A bound as an extent: a negative one is 0.
static OpFoldResult clampBound(OpBuilder &builder, Location loc, Value bound) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  return arith::MaxSIOp::create(builder, loc, bound, zero).getResult();
}

LogicalResult
SelectTopKOp::reifyResultShapes(OpBuilder &builder,
                                ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> outer = extentsOf(builder, getInput());
  auto first = outer.begin() + getFirstDim();
  outer.erase(first, first + getNumDims());
  SmallVector<OpFoldResult> selected = outer;
  OpFoldResult bound =
      getBound() ? clampBound(builder, getLoc(), getBound())
                 : OpFoldResult(builder.getIndexAttr(
                       typeOf(getValues()).getDimSize(getFirstDim())));
  selected.insert(selected.begin() + getFirstDim(), bound);
  shapes.push_back(withStatic(builder, getValues(), selected));
  shapes.push_back(withStatic(builder, getIndices(), selected));
  shapes.push_back(withStatic(builder, getCount(), outer));
  return success();
}

//===----------------------------------------------------------------------===//
// attn.argsort
//===----------------------------------------------------------------------===//

LogicalResult ArgSortOp::verify() {
  auto input = typeOf(getInput());
  if (failed(verifyDim(*this, getDim(), getInput(), "C1")) ||
      failed(verifyShape(*this, getIndices(), "indices", input.getShape(),
                         "C2")) ||
      failed(
          verifyShape(*this, getValues(), "values", input.getShape(), "C2"))) {
    return failure();
  }
  return verifyElement(*this, getValues(), "values", input.getElementType(),
                       "C2");
}

LogicalResult
ArgSortOp::reifyResultShapes(OpBuilder &builder,
                             ReifiedRankedShapedTypeDims &shapes) {
  for (Value result : getResults()) {
    shapes.push_back(
        withStatic(builder, result, extentsOf(builder, getInput())));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.search_sorted
//===----------------------------------------------------------------------===//

LogicalResult SearchSortedOp::verify() {
  auto sorted = typeOf(getSorted()), values = typeOf(getValues());
  if (sorted.getRank() == 0 || sorted.getRank() != values.getRank() ||
      sorted.getElementType() != values.getElementType() ||
      failed(verifyCompatibleShape(sorted.getShape().drop_back(),
                                   values.getShape().drop_back()))) {
    return emitOpError() << "C1: sorted and values agree in rank, element type "
                            "and leading extents, got "
                         << sorted << " and " << values;
  }
  return verifyShape(*this, getIndices(), "indices", values.getShape(), "C2");
}

LogicalResult
SearchSortedOp::reifyResultShapes(OpBuilder &builder,
                                  ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(
      withStatic(builder, getIndices(), extentsOf(builder, getValues())));
  return success();
}

//===----------------------------------------------------------------------===//
// attn.prefix
//===----------------------------------------------------------------------===//

Type mlir::attn::getPrefixType(Type result) {
  return isa<FloatType>(result) ? getAccumulationType(result) : result;
}

/// Whether elements of type `from` may accumulate to elements of type `to`.
static bool isPrefixResult(Type from, Type to) {
  if (isa<FloatType>(from)) {
    return to == from || to == getAccumulationType(from);
  }
  auto bits = [](Type type) {
    return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  };
  return !isa<FloatType>(to) && bits(from) <= bits(to);
}

LogicalResult PrefixOp::verify() {
  if (getInputs().empty()) {
    return emitOpError("C1: there is at least one input");
  }
  if (failed(verifyDim(*this, getDim(), getInputs().front(), "C1"))) {
    return failure();
  }
  ArrayRef<int64_t> shape = typeOf(getInputs().front()).getShape();
  if (getResults().size() != getInputs().size()) {
    return emitOpError() << "C2: there are " << getInputs().size()
                         << " results, one per input, got "
                         << getResults().size();
  }
  SmallVector<Type> types;
  for (auto [input, result] : llvm::zip_equal(getInputs(), getResults())) {
    if (failed(verifyShape(*this, input, "an input", shape, "C2")) ||
        failed(verifyShape(*this, result, "a result", shape, "C2"))) {
      return failure();
    }
    Type from = typeOf(input).getElementType();
    Type to = typeOf(result).getElementType();
    if (!isPrefixResult(from, to)) {
      return emitOpError() << "C2: elements of type " << from
                           << " do not accumulate to " << to;
    }
    types.push_back(getPrefixType(to));
  }
  if (getIdentity().size() != types.size()) {
    return emitOpError() << "C3: identity has " << types.size()
                         << " constants, got " << getIdentity().size();
  }
  for (auto [attr, type] : llvm::zip_equal(getIdentity(), types)) {
    auto typed = dyn_cast<TypedAttr>(attr);
    if (!typed || !isa<FloatAttr, IntegerAttr>(attr) ||
        typed.getType() != type) {
      return emitOpError() << "C3: identity is a constant of type " << type
                           << ", got " << attr;
    }
  }
  SmallVector<Type> arguments = types;
  llvm::append_range(arguments, types);
  Block &block = getBody().front();
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || !llvm::equal(block.getArgumentTypes(), arguments) ||
      !llvm::equal(yield->getOperandTypes(), types)) {
    return emitOpError() << "C4: the region takes (" << arguments
                         << ") and yields (" << types << ")";
  }
  for (Operation &inner : block.without_terminator()) {
    if (!isMemoryEffectFree(&inner)) {
      return emitOpError() << "C5: the region has no side effects; '"
                           << inner.getName() << "' has";
    }
  }
  return success();
}

LogicalResult PrefixOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  for (Value result : getResults()) {
    shapes.push_back(
        withStatic(builder, result, extentsOf(builder, getInputs().front())));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attn.compact
//===----------------------------------------------------------------------===//

LogicalResult CompactOp::verify() {
  auto bits = typeOf(getBits());
  if (bits.getRank() == 0) {
    return emitOpError("C1: the bits have no dimension to compact");
  }
  Extents outer(bits.getShape().drop_back()), listed = outer;
  if (typeOf(getIndices()).getRank() != bits.getRank()) {
    return emitOpError() << "C1: indices have rank " << bits.getRank()
                         << ", got " << typeOf(getIndices()).getRank();
  }
  int64_t bound = typeOf(getIndices()).getShape().back();
  listed.push_back(bound);
  if (failed(verifyShape(*this, getIndices(), "indices", listed, "C1")) ||
      failed(verifyShape(*this, getCount(), "count", outer, "C1"))) {
    return failure();
  }
  if (getBound() && !ShapedType::isDynamic(bound)) {
    return emitOpError() << "C2: bound is given only where the extent of the "
                            "indices is '?'";
  }
  return success();
}

LogicalResult
CompactOp::reifyResultShapes(OpBuilder &builder,
                             ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> listed = extentsOf(builder, getBits());
  SmallVector<OpFoldResult> outer(listed);
  outer.pop_back();
  if (getBound()) {
    listed.back() = clampBound(builder, getLoc(), getBound());
  }
  shapes.push_back(withStatic(builder, getIndices(), listed));
  shapes.push_back(withStatic(builder, getCount(), outer));
  return success();
}

//===----------------------------------------------------------------------===//
// attn.gather and attn.scatter_reduce
//===----------------------------------------------------------------------===//

bool mlir::attn::areGrouped(int64_t sourceExtent, int64_t indexExtent) {
  return !ShapedType::isDynamic(sourceExtent) &&
         !ShapedType::isDynamic(indexExtent) && sourceExtent > 0 &&
         indexExtent > sourceExtent && indexExtent % sourceExtent == 0;
}

/// Checks how indices address `source`, and gives the shape of what a gather
/// returns. `mayGroup`: the last shared dimension may be one of grouped heads.
static FailureOr<Extents> verifyPlaces(Operation *op, Value source,
                                       Value indices, int64_t dim,
                                       int64_t batch, bool along,
                                       bool mayGroup) {
  auto from = typeOf(source).getShape(), at = typeOf(indices).getShape();
  if (failed(verifyDim(op, dim, source, "C1"))) {
    return failure();
  }
  if (along) {
    if (batch != 0) {
      return op->emitOpError(mayGroup ? "C5: along excludes batch"
                                      : "C1: along excludes batch");
    }
    Extents shape(from);
    if (at.size() != from.size()) {
      return op->emitOpError() << "C2: along needs indices of rank "
                               << from.size() << ", got " << at.size();
    }
    shape[dim] = at[dim];
    if (failed(verifyShape(op, indices, "indices", shape, "C2"))) {
      return failure();
    }
    return shape;
  }
  if (batch < 0 || batch > dim || batch > int64_t(at.size())) {
    return op->emitOpError() << "C1: batch is at most dim (" << dim
                             << ") and the rank of the indices (" << at.size()
                             << "), got " << batch;
  }
  Extents shape(at.take_front(batch));
  for (int64_t d = 0; d < batch; ++d) {
    bool grouped = mayGroup && d + 1 == batch && areGrouped(from[d], at[d]);
    bool agree = from[d] == at[d] || ShapedType::isDynamic(from[d]) ||
                 ShapedType::isDynamic(at[d]);
    if (!agree && !grouped) {
      return op->emitOpError() << "C2: shared extents agree, got "
                               << print(from.take_front(batch)) << " and "
                               << print(at.take_front(batch));
    }
  }
  llvm::append_range(shape, from.slice(batch, dim - batch));
  llvm::append_range(shape, at.drop_front(batch));
  llvm::append_range(shape, from.drop_front(dim + 1));
  return shape;
}

LogicalResult GatherOp::verify() {
  FailureOr<Extents> shape =
      verifyPlaces(*this, getSource(), getIndices(), getDim(), getBatch(),
                   getAlong(), /*mayGroup=*/true);
  Type element = typeOf(getSource()).getElementType();
  if (failed(shape) ||
      failed(verifyShape(*this, getResult(), "the result", *shape, "C3")) ||
      failed(verifyElement(*this, getResult(), "the result", element, "C3"))) {
    return failure();
  }
  auto fill = dyn_cast_if_present<TypedAttr>(getFillAttr());
  if (fill &&
      (fill.getType() != element || !isa<FloatAttr, IntegerAttr>(fill))) {
    return emitOpError() << "C4: fill is a constant of type " << element
                         << ", got " << fill;
  }
  return success();
}

LogicalResult GatherOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  int64_t batch = getBatch(), dim = getDim();
  int64_t sourceRank = typeOf(getSource()).getRank();
  SmallVector<OpFoldResult> shape;
  if (getAlong()) {
    shape = extentsOf(builder, getIndices());
  } else {
    int64_t rank = typeOf(getIndices()).getRank();
    shape = extentsOf(builder, getIndices(), 0, batch);
    llvm::append_range(shape, extentsOf(builder, getSource(), batch, dim));
    llvm::append_range(shape, extentsOf(builder, getIndices(), batch, rank));
    llvm::append_range(shape,
                       extentsOf(builder, getSource(), dim + 1, sourceRank));
  }
  shapes.push_back(withStatic(builder, getResult(), shape));
  return success();
}

LogicalResult ScatterReduceOp::verify() {
  FailureOr<Extents> shape =
      verifyPlaces(*this, getInit(), getIndices(), getDim(), getBatch(),
                   getAlong(), /*mayGroup=*/false);
  if (failed(shape) ||
      failed(verifyShape(*this, getSource(), "source", *shape, "C3"))) {
    return failure();
  }
  return verifyElement(*this, getSource(), "source",
                       typeOf(getInit()).getElementType(), "C3");
}

LogicalResult
ScatterReduceOp::reifyResultShapes(OpBuilder &builder,
                                   ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(
      withStatic(builder, getResult(), extentsOf(builder, getInit())));
  return success();
}

//===----------------------------------------------------------------------===//
// Factorisations
//===----------------------------------------------------------------------===//

/// Whether two extents may be equal.
static bool mayAgree(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

static LogicalResult verifyMatrix(Operation *op, Value matrix, bool square,
                                  StringRef label) {
  auto shape = typeOf(matrix).getShape();
  if (shape.size() < 2 ||
      (square && !mayAgree(shape[shape.size() - 2], shape.back()))) {
    return op->emitOpError()
           << label << ": the matrix has rank 2 or more"
           << (square ? " and is square" : "") << ", got " << print(shape);
  }
  return success();
}

LogicalResult SolveOp::verify() {
  auto matrix = typeOf(getMatrix()), rhs = typeOf(getRhs());
  if (failed(verifyMatrix(*this, getMatrix(), /*square=*/true, "C2"))) {
    return failure();
  }
  int64_t rank = matrix.getRank();
  if (rhs.getRank() != rank ||
      rhs.getElementType() != matrix.getElementType() ||
      failed(verifyCompatibleShape(
          matrix.getShape().drop_back(2),
          rhs.getShape().drop_back(std::min<int64_t>(2, rhs.getRank()))))) {
    return emitOpError()
           << "C1: matrix and rhs agree in rank, element type and "
              "leading extents, got "
           << matrix << " and " << rhs;
  }
  int64_t meets = rhs.getDimSize(getRight() ? rank - 1 : rank - 2);
  if (!mayAgree(meets, matrix.getShape().back()) ||
      !mayAgree(meets, matrix.getDimSize(rank - 2))) {
    return emitOpError() << "C2: the matrix of order "
                         << matrix.getShape().back()
                         << " meets an extent of rhs of " << meets;
  }
  return success();
}

LogicalResult SolveOp::reifyResultShapes(OpBuilder &builder,
                                         ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(
      withStatic(builder, getResult(), extentsOf(builder, getRhs())));
  return success();
}

LogicalResult CholeskyOp::verify() {
  return verifyMatrix(*this, getMatrix(), /*square=*/true, "C1");
}

LogicalResult
CholeskyOp::reifyResultShapes(OpBuilder &builder,
                              ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(
      withStatic(builder, getResult(), extentsOf(builder, getMatrix())));
  return success();
}

LogicalResult QROp::verify() {
  if (failed(verifyMatrix(*this, getMatrix(), /*square=*/false, "C1"))) {
    return failure();
  }
  auto matrix = typeOf(getMatrix());
  Extents q(matrix.getShape()), r(matrix.getShape());
  int64_t rows = q[q.size() - 2], columns = q.back();
  bool isKnown =
      !ShapedType::isDynamic(rows) && !ShapedType::isDynamic(columns);
  int64_t least = isKnown ? std::min(rows, columns) : ShapedType::kDynamic;
  q.back() = least;
  r[r.size() - 2] = least;
  Type element = matrix.getElementType();
  if (failed(verifyShape(*this, getQ(), "q", q, "C2")) ||
      failed(verifyShape(*this, getR(), "r", r, "C2")) ||
      failed(verifyElement(*this, getQ(), "q", element, "C2")) ||
      failed(verifyElement(*this, getR(), "r", element, "C2"))) {
    return failure();
  }
  return success();
}

LogicalResult QROp::reifyResultShapes(OpBuilder &builder,
                                      ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> q = extentsOf(builder, getMatrix()), r = q;
  Location loc = getLoc();
  Value rows = getValueOrCreateConstantIndexOp(builder, loc, q[q.size() - 2]);
  Value columns = getValueOrCreateConstantIndexOp(builder, loc, q.back());
  OpFoldResult least =
      arith::MinSIOp::create(builder, loc, rows, columns).getResult();
  q.back() = least;
  r[r.size() - 2] = least;
  shapes.push_back(withStatic(builder, getQ(), q));
  shapes.push_back(withStatic(builder, getR(), r));
  return success();
}
