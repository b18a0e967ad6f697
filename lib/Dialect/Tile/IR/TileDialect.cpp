//===- TileDialect.cpp - verifiers of the tile dialect --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Tile/IR/Tile.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::tile;

#include "attn/Dialect/Tile/IR/TileDialect.cpp.inc"
#include "attn/Dialect/Tile/IR/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "attn/Dialect/Tile/IR/TileAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "attn/Dialect/Tile/IR/TileTypes.cpp.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Tile/IR/TileOps.cpp.inc"

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "attn/Dialect/Tile/IR/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "attn/Dialect/Tile/IR/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "attn/Dialect/Tile/IR/TileOps.cpp.inc"
      >();
}

/// Extents are multiples of what the warps of a block hold at once.
static LogicalResult verifyTile(Operation *op, RankedTensorType tile) {
  bool slice = isa<SliceAttr>(tile.getEncoding());
  std::array<int64_t, 2> unit = getUnit(getMatrixLayout(tile));
  if (tile.getRank() != (slice ? 1 : 2)) {
    return op->emitOpError() << "has a tile of rank " << tile.getRank()
                             << " in the layout of rank " << (slice ? 1 : 2);
  }
  for (int64_t k = 0; k < tile.getRank(); ++k) {
    int64_t axis = slice ? 1 - cast<SliceAttr>(tile.getEncoding()).getDim() : k;
    if (tile.getDimSize(k) % unit[axis] != 0) {
      return op->emitOpError()
             << "has a tile whose extent " << tile.getDimSize(k)
             << " is no multiple of " << unit[axis] << ", which its warps hold";
    }
  }
  return success();
}

LogicalResult IotaOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  if (!type.getElementType().isIndex() || int64_t(getDim()) < 0 ||
      int64_t(getDim()) >= type.getRank()) {
    return emitOpError() << "counts along an axis of a tile of index";
  }
  return verifyTile(*this, type);
}

LogicalResult SplatOp::verify() {
  return verifyTile(*this, cast<RankedTensorType>(getResult().getType()));
}

LogicalResult SpreadOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType());
  auto to = cast<RankedTensorType>(getResult().getType());
  auto slice = dyn_cast<SliceAttr>(from.getEncoding());
  if (!slice || slice.getParent() != to.getEncoding() ||
      from.getElementType() != to.getElementType() ||
      from.getDimSize(0) != to.getDimSize(1 - slice.getDim())) {
    return emitOpError() << "spreads a slice of the layout of its result";
  }
  return verifyTile(*this, to);
}

LogicalResult ReduceOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType());
  auto layout = dyn_cast<LayoutAttr>(from.getEncoding());
  int64_t dim = getDim();
  if (!layout || dim < 0 || dim > 1 ||
      getResult().getType() != dropAxis(from, dim)) {
    return emitOpError() << "gives the slice of its operand without an axis";
  }
  int64_t warps = layout.getWarps()[dim];
  auto exchange =
      getExchange() ? cast<MemRefType>(getExchange().getType()) : MemRefType();
  if (!exchange && warps != 1) {
    return emitOpError() << "reduces an axis that several warps share";
  }
  if (exchange && (!isShared(exchange) || exchange.getDimSize(0) < warps ||
                   exchange.getDimSize(1) < from.getDimSize(1 - dim) ||
                   exchange.getElementType() != from.getElementType())) {
    return emitOpError() << "goes through a shared matrix of its elements with "
                            "a row per warp";
  }
  return verifyTile(*this, from);
}

static LogicalResult verifyIndices(Operation *op, RankedTensorType tile,
                                   Type buffer, ValueRange indices,
                                   Value mask) {
  auto memref = cast<MemRefType>(buffer);
  if (memref.getRank() != int64_t(indices.size()) ||
      memref.getElementType() != tile.getElementType()) {
    return op->emitOpError()
           << "indexes every axis of a buffer of the tile's elements";
  }
  auto fits = [&](Type type, Type element) {
    return type ==
           RankedTensorType::get(tile.getShape(), element, tile.getEncoding());
  };
  for (Value index : indices) {
    if (!index.getType().isIndex() &&
        !fits(index.getType(), IndexType::get(op->getContext()))) {
      return op->emitOpError() << "takes indices for all elements, or tiles "
                                  "like the one that moves";
    }
  }
  if (mask && !fits(mask.getType(), IntegerType::get(op->getContext(), 1))) {
    return op->emitOpError() << "takes a mask like the tile that moves";
  }
  return verifyTile(op, tile);
}

LogicalResult LoadOp::verify() {
  return verifyIndices(*this, cast<RankedTensorType>(getResult().getType()),
                       getSource().getType(), getIndices(), getMask());
}

LogicalResult StoreOp::verify() {
  return verifyIndices(*this, cast<RankedTensorType>(getValue().getType()),
                       getTarget().getType(), getIndices(), getMask());
}

LogicalResult ScatterOp::verify() {
  auto tile = cast<RankedTensorType>(getValue().getType());
  Type element = tile.getElementType();
  bool isNumber = isa<FloatType, IntegerType>(element) &&
                  (tile.getElementTypeBitWidth() == 32 ||
                   tile.getElementTypeBitWidth() == 64);
  if (getKind() == ReduceKind::Or || !isNumber) {
    return emitOpError()
           << "joins sums, maxima or minima of floats or integers "
              "of 32 or 64 bits";
  }
  return verifyIndices(*this, tile, getTarget().getType(), getIndices(),
                       getMask());
}

LogicalResult SharedOp::verify() {
  Type type = getResult().getType();
  if (!isShared(type) && !isRing(type)) {
    return emitOpError() << "is a static matrix in workgroup memory, or a ring "
                            "of them";
  }
  return success();
}

LogicalResult StageOp::verify() {
  if (!isRing(getRing().getType())) {
    return emitOpError() << "takes a matrix of a shared ring";
  }
  return success();
}

LogicalResult VisitOp::verify() {
  if (static_cast<int64_t>(getStep()) <= 0) {
    return emitOpError() << "goes forward, in steps above 0";
  }
  for (Value ring : getRings()) {
    if (!ring.getDefiningOp<SharedOp>() || !isShared(ring.getType())) {
      return emitOpError() << "brings tiles to matrices of tile.shared";
    }
  }
  SmallVector<Type> types = {IndexType::get(getContext())};
  auto check = [&](Region &region, StringRef name,
                   TypeRange yielded) -> LogicalResult {
    Block &block = region.front();
    auto yield = dyn_cast<YieldOp>(block.back());
    if (TypeRange(block.getArgumentTypes()) != TypeRange(types) || !yield ||
        TypeRange(yield.getOperandTypes()) != yielded) {
      return emitOpError() << "has a region '" << name
                           << "' that takes or yields something else";
    }
    return success();
  };
  Type truth = IntegerType::get(getContext(), 1);
  if (failed(check(getNeeded(), "needed", truth))) {
    return failure();
  }
  llvm::append_range(types, getRings().getTypes());
  if (failed(check(getBring(), "bring", {}))) {
    return failure();
  }
  llvm::append_range(types, getInits().getTypes());
  if (getResultTypes() != getInits().getTypes()) {
    return emitOpError() << "results in what it begins with";
  }
  return check(getBody(), "body", getInits().getTypes());
}

LogicalResult CopyOp::verify() {
  auto from = cast<MemRefType>(getSource().getType());
  if (from.getRank() != int64_t(getIndices().size()) + 2) {
    return emitOpError() << "takes an index for all axes but the last two";
  }
  auto to = cast<MemRefType>(getTarget().getType());
  if (!isShared(to) || to.getElementType() != from.getElementType() ||
      to.getDimSize(1) < int64_t(getPadded()) || getPadded() < getColumns()) {
    return emitOpError() << "fills a shared matrix of the source's elements";
  }
  return success();
}

LogicalResult FillOp::verify() {
  auto to = cast<MemRefType>(getTarget().getType());
  if (!isShared(to) || to.getDimSize(1) < int64_t(getPadded()) ||
      getPadded() < getColumns()) {
    return emitOpError() << "fills a shared matrix";
  }
  Block &block = getBody().front();
  auto yield = dyn_cast<YieldOp>(block.back());
  if (block.getNumArguments() != 2 ||
      !llvm::all_of(block.getArgumentTypes(), llvm::IsaPred<IndexType>) ||
      !yield || yield.getOperandTypes() != TypeRange(to.getElementType())) {
    return emitOpError() << "computes an element of its target from a row and "
                            "a column";
  }
  return success();
}

static bool hasRoom(Type shared, ArrayRef<int64_t> extents) {
  auto type = cast<MemRefType>(shared);
  return isShared(shared) && type.getDimSize(0) >= extents[0] &&
         type.getDimSize(1) >= extents[1];
}

static Type getStashed(RankedTensorType tile) {
  Type element = tile.getElementType();
  return element.isInteger(1) ? IntegerType::get(tile.getContext(), 8)
                              : element;
}

LogicalResult StashOp::verify() {
  auto tile = cast<RankedTensorType>(getValue().getType());
  auto type = cast<MemRefType>(getTarget().getType());
  if (tile.getRank() != 2 || !hasRoom(type, tile.getShape()) ||
      type.getElementType() != getStashed(tile)) {
    return emitOpError() << "needs a shared matrix of the tile's elements";
  }
  return verifyTile(*this, tile);
}

LogicalResult FetchOp::verify() {
  auto tile = cast<RankedTensorType>(getResult().getType());
  auto type = cast<MemRefType>(getSource().getType());
  if (tile.getRank() != 2 || !hasRoom(type, tile.getShape()) ||
      type.getElementType() != tile.getElementType()) {
    return emitOpError() << "reads a shared matrix of the tile's elements";
  }
  return verifyTile(*this, tile);
}

LogicalResult ConvertOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType());
  auto to = cast<RankedTensorType>(getResult().getType());
  if (from.getShape() != to.getShape() ||
      from.getElementType() != to.getElementType()) {
    return emitOpError() << "changes nothing but the layout";
  }
  auto source = dyn_cast<LayoutAttr>(from.getEncoding());
  auto target = dyn_cast<LayoutAttr>(to.getEncoding());
  auto exchanges = [&] {
    return source.getAtom() == Atom::WmmaAcc && target.getAtom() == Atom::WmmaA;
  };
  if (!source || !target || source.getWarps() != target.getWarps() ||
      (AtomShape::get(source.getAtom()).lanes !=
           AtomShape::get(target.getAtom()).lanes &&
       !exchanges()) ||
      source.getWarps()[1] != 1) {
    return emitOpError() << "moves no element to another thread";
  }
  return verifyTile(*this, to);
}

LogicalResult ContractOp::verify() {
  auto acc = cast<RankedTensorType>(getAcc().getType());
  if (acc != getResult().getType() || acc.getRank() != 2) {
    return emitOpError() << "adds to a matrix";
  }
  int64_t depth = getDepth();
  std::array<int64_t, 2> ofB = {depth, acc.getDimSize(1)};
  if (getTransposed()) {
    std::swap(ofB[0], ofB[1]);
  }
  if (!hasRoom(getB().getType(), ofB)) {
    return emitOpError() << "needs a shared right operand of " << ofB[0]
                         << " x " << ofB[1];
  }
  if (getPresent() &&
      (!hasRoom(getPresent().getType(), {acc.getDimSize(0), depth}) ||
       !cast<MemRefType>(getPresent().getType())
            .getElementType()
            .isInteger(8))) {
    return emitOpError() << "needs presence as a shared matrix of i8";
  }
  if (getFinite() && !getPresent()) {
    return emitOpError() << "leaves nothing out, and asks whether it may";
  }
  auto a = dyn_cast<RankedTensorType>(getA().getType());
  if (!a) {
    if (!isShared(getA().getType()) ||
        !hasRoom(getA().getType(), {acc.getDimSize(0), depth})) {
      return emitOpError() << "needs a left operand of " << acc.getDimSize(0)
                           << " x " << depth << ", shared or a tile";
    }
    return verifyTile(*this, acc);
  }
  auto layout = dyn_cast_or_null<LayoutAttr>(a.getEncoding());
  auto own = dyn_cast<LayoutAttr>(acc.getEncoding());
  Type element = a.getElementType();
  if (!layout || !own || layout.getAtom() != getOperandAtom(own.getAtom()) ||
      layout.getWarps() != own.getWarps() ||
      a.getShape() != ArrayRef<int64_t>({acc.getDimSize(0), depth}) ||
      !isa<Float16Type, BFloat16Type>(element) ||
      !acc.getElementType().isF32() ||
      cast<MemRefType>(getB().getType()).getElementType() != element) {
    return emitOpError() << "multiplies tiles of 16-bit floats in the layout "
                            "of a left operand and adds in f32 in that of "
                            "its accumulators";
  }
  return verifyTile(*this, acc);
}

LogicalResult CombineOp::verify() {
  auto acc = cast<RankedTensorType>(getAcc().getType());
  int64_t depth = getDepth();
  if (acc.getRank() != 2 ||
      !hasRoom(getA().getType(), {acc.getDimSize(0), depth}) ||
      !hasRoom(getB().getType(), {acc.getDimSize(1), depth})) {
    return emitOpError() << "combines shared matrices of its tile's rows and "
                            "columns";
  }
  Block &block = getBody().front();
  Type element = acc.getElementType(), index = IndexType::get(getContext());
  auto yield = dyn_cast<YieldOp>(block.back());
  if (TypeRange(block.getArgumentTypes()) !=
          TypeRange({element, element, index}) ||
      !yield || yield.getOperandTypes() != TypeRange(element) ||
      getKind() == ReduceKind::Or) {
    return emitOpError() << "adds, or takes extrema of, what its body makes of "
                            "two elements and an index";
  }
  return verifyTile(*this, acc);
}

//===----------------------------------------------------------------------===//
// Effects
//===----------------------------------------------------------------------===//

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

void LoadOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getSourceMutable());
}
void StoreOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), &getTargetMutable());
}
void ScatterOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getTargetMutable());
  effects.emplace_back(MemoryEffects::Write::get(), &getTargetMutable());
}
void ReduceOp::getEffects(Effects &effects) {
  for (OpOperand &operand : getExchangeMutable()) {
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
    effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}
void SharedOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Allocate::get(),
                       getOperation()->getOpResult(0));
}
void CopyOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getSourceMutable());
  effects.emplace_back(MemoryEffects::Write::get(), &getTargetMutable());
}
void FillOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get());
  effects.emplace_back(MemoryEffects::Write::get(), &getTargetMutable());
}
void StashOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), &getTargetMutable());
}
void FetchOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getSourceMutable());
}
void ContractOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getBMutable());
  if (isa<MemRefType>(getA().getType())) {
    effects.emplace_back(MemoryEffects::Read::get(), &getAMutable());
  }
  for (OpOperand &operand : getPresentMutable()) {
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}
void CombineOp::getEffects(Effects &effects) {
  // What the body reads is not written while kernels run.
  effects.emplace_back(MemoryEffects::Read::get(), &getAMutable());
  effects.emplace_back(MemoryEffects::Read::get(), &getBMutable());
}
void FiniteOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getSourceMutable());
  // Threads meet: it may not move across what they wrote, nor be dropped.
  effects.emplace_back(MemoryEffects::Write::get());
}
