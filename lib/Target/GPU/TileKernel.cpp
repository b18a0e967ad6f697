//===- TileKernel.cpp - scalars of a stream as tiles ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <limits>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;
using tile::LayoutAttr;
using tile::SliceAttr;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Rows and columns of products on matrix units are of at least 16.
static constexpr int64_t kLeast = 16;

/// The rows that are joined are all that a head has: one op names them.
static AcrossOp findJoined(StreamOp stream) {
  AcrossOp found;
  stream.walk([&](AcrossOp op) { found = op; });
  return found;
}

static bool hasMixtures(StreamOp stream) {
  return stream.walk([](MixOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

/// Lists of best entries are kept in registers; `longest` is the length of one.
static LogicalResult checkLists(StreamOp stream, int64_t &longest) {
  constexpr int64_t kMost = 16;
  WalkResult result = stream.walk([&](TopOp op) {
    int64_t length =
        cast<VectorType>(op.getValues().getType()).getNumElements();
    longest = std::max(longest, length);
    if (length <= kMost) {
      return WalkResult::advance();
    }
    op.emitOpError() << "keeps the best " << length << " entries of a row; "
                     << "registers have room for " << kMost;
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

FailureOr<TileShape> TileShape::choose(StreamOp stream, bool tensorCores,
                                       const Device &device) {
  int64_t longest = 0;
  if (failed(checkLists(stream, longest))) {
    return failure();
  }
  int64_t features = 8, width = 8;
  bool small = false;
  unsigned bits = 16;
  int64_t divisions = 0;
  stream.walk([&](Operation *op) {
    divisions +=
        isa<arith::DivUIOp, arith::DivSIOp, arith::RemUIOp, arith::RemSIOp,
            arith::FloorDivSIOp, arith::CeilDivSIOp>(op) &&
        isa<SweepOp>(op->getParentOp());
    SmallVector<FeatureRow, 2> sides = getFactors(op);
    if (auto carry = dyn_cast<CarryOp>(op);
        carry && carry.getKind() == CarryKind::Outer) {
      sides = {FeatureRow::get(carry.getRow())};
    }
    if (sides.empty()) {
      return;
    }
    bool product = sides.size() == 2;
    int64_t &extent = product ? features : width;
    extent = std::max(extent, sides[0].getFeatures());
    for (const FeatureRow &side : sides) {
      bits = std::max(bits, side.getElementType().getIntOrFloatBitWidth());
    }
    Type element = sides[0].getElementType();
    small |= tensorCores && isSmallFloat(element) && !isa<DotWithOp>(op) &&
             sides.back().getElementType() == element &&
             getElementTypeOrSelf(op->getResult(0).getType()).isF32();
  });
  auto *context = stream.getContext();
  // A lane of AMD's short waves has twice as many elements of a row as one of
  // the long ones, and no more registers for them.
  bool isShortWave = device.vendor == Vendor::AMD && device.warpSize == 32;
  TileShape shape;
  shape.tensorCores = small;
  shape.layout =
      LayoutAttr::get(context, small ? device.accumulator : device.grid,
                      {isShortWave && !small ? 8 : 4, 1});
  shape.rows = 64;
  if (stream.getBody().getOps<SweepOp>().empty()) {
    // Ranges of keys are merged: rows are few, and each reads several.
    shape.layout = LayoutAttr::get(context, device.grid, {1, 4});
    shape.rows = tile::AtomShape::get(device.grid).extents[0];
  }
  shape.leastRows = kLeast;
  AcrossOp joined = findJoined(stream);
  if (!joined && !hasMixtures(stream)) {
    shape.group = HeadGroup::find(stream, shape.rows);
  }
  // Queries, keys, values and weights fit 96 KiB beside each other.
  int64_t row = (2 * features + width) * bits / 8;
  bool isLarge = row * 64 + 64 * 64 * 8 > 90 * 1024;
  // Pixels of an image take registers: 64 bits for each coordinate.
  bool hasPixels = divisions >= 4;
  bool hasLists = longest > 8;
  shape.keys = isLarge || hasPixels || hasLists || isShortWave ? 32 : 64;
  if (isShortWave && (hasLists || features + width >= 112)) {
    shape.keys = 16;
  }
  shape.ownRows = shape.rows;
  shape.listed = ListedBlocks::find(stream);
  if (shape.listed.rows) {
    shape.fitLists();
  }
  if (joined && failed(shape.fitJoined(joined))) {
    return failure();
  }
  shape.fitMixtures(stream);
  if (failed(shape.fitBins(stream))) {
    return failure();
  }
  if (width > 512 || features > 512) {
    return stream.emitOpError()
           << "has rows of " << std::max(features, width)
           << " features; GPU kernels keep up to 512 in registers";
  }
  return shape;
}

void TileShape::setRows(int64_t count, int64_t mostWarps) {
  rows = count;
  int64_t inWarp = tile::AtomShape::get(layout.getAtom()).extents[0];
  layout = LayoutAttr::get(layout.getContext(), layout.getAtom(),
                           {std::min(mostWarps, rows / inWarp), 1});
  // Of the rows that have one list, an even part.
  ownRows = rows;
  while (listed.rows && listed.rows * group.size % ownRows != 0) {
    --ownRows;
  }
}

void TileShape::fitLists() {
  if (listed.keys) {
    int64_t block = llvm::PowerOf2Ceil(static_cast<uint64_t>(listed.keys));
    keys = std::min(keys, std::max(kLeast, block));
  }
  int64_t warps = layout.getWarps()[0];
  setRows(rows, warps);
  int64_t least = std::max(kLeast, static_cast<int64_t>(llvm::PowerOf2Ceil(
                                       static_cast<uint64_t>(ownRows))));
  if (least < rows) {
    setRows(least, warps);
  }
}

LogicalResult TileShape::fitJoined(AcrossOp op) {
  auto count = static_cast<int64_t>(op.getRows());
  if (listed.rows && listed.rows < count) {
    return op.emitOpError() << "joins rows that follow different lists of keys";
  }
  // All rows have one list.
  listed.rows = 0;
  leastRows = std::max(leastRows, static_cast<int64_t>(llvm::PowerOf2Ceil(
                                      static_cast<uint64_t>(count))));
  if (leastRows > rows) {
    return op.emitOpError()
           << "joins " << count << " rows; the threads of a block have up to "
           << rows;
  }
  setRows(leastRows, layout.getWarps()[0]);
  return success();
}

void TileShape::fitMixtures(StreamOp stream) {
  constexpr int64_t kMost = 56 * 1024;
  int64_t heads = 0;
  stream.walk([&](MixOp op) {
    bool isKept = isShared(op);
    heads = std::max(heads, isKept ? op.getInputHeads() : 0);
  });
  // A number and a byte for each.
  while (heads * rows * keys * 5 > kMost && shrink()) {
  }
}

LogicalResult TileShape::fitBins(StreamOp stream) {
  constexpr int64_t kMost = 24 * 1024;
  int64_t bytes = 0;
  BinsOp last;
  stream.walk([&](BinsOp op) {
    if (!op.isTally()) {
      bytes += cast<VectorType>(op.getType()).getNumElements() *
               op.getElementType().getIntOrFloatBitWidth() / 8;
      last = op;
    }
  });
  while (rows * bytes > kMost) {
    if (!shrink()) {
      return last.emitOpError()
             << "keeps " << bytes << " bytes of bins for a row, where blocks "
             << "share up to " << kMost / rows;
    }
  }
  return success();
}

bool TileShape::shrink() {
  if (keys > (tensorCores ? kLeast : kLeast / 2) && keys * 2 >= rows) {
    keys /= 2;
    return true;
  }
  if (rows <= leastRows) {
    return false;
  }
  setRows(rows / 2, layout.getWarps()[0]);
  return true;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Extent TileKernel::extentOf(Value value) const {
  auto found = tiles.find(value);
  return found == tiles.end() ? Extent() : found->second.second;
}

RankedTensorType TileKernel::typeOf(Type element, Extent extent,
                                    int64_t features) {
  LayoutAttr layout = shape.layout;
  auto *context = e.getContext();
  if (extent.feature) {
    int64_t width = roundUp(features, tile::getUnit(layout)[1]);
    return RankedTensorType::get({shape.rows, width}, element, layout);
  }
  if (extent.row && extent.key) {
    return RankedTensorType::get({shape.rows, shape.keys}, element, layout);
  }
  return RankedTensorType::get(
      extent.row ? shape.rows : shape.keys, element,
      SliceAttr::get(context, extent.row ? 1 : 0, layout));
}

void TileKernel::set(Value value, Value tile, Extent extent) {
  if (extent.isUniform()) {
    uniform.map(value, tile);
    return;
  }
  tiles[value] = {tile, extent};
}

Value TileKernel::liftTile(Value tile, Extent from, Extent to,
                           int64_t features) {
  if (from == to) {
    return tile;
  }
  Type element = getElementTypeOrSelf(tile.getType());
  return tile::SpreadOp::create(e, typeOf(element, to, features), tile);
}

Value TileKernel::lift(Value value, Extent extent) {
  auto vector = dyn_cast<VectorType>(value.getType());
  int64_t features = vector ? vector.getNumElements() : 0;
  auto found = tiles.find(value);
  if (found != tiles.end()) {
    return liftTile(found->second.first, found->second.second, extent,
                    features);
  }
  Value scalar = uniform.lookup(value);
  if (extent.isUniform()) {
    return scalar;
  }
  return splat(scalar,
               typeOf(getElementTypeOrSelf(value.getType()), extent, features));
}

Value TileKernel::getMask(Extent extent, RankedTensorType type,
                          int64_t features) {
  Value mask;
  auto add = [&](Value inside) { mask = mask ? e.both(mask, inside) : inside; };
  auto below = [&](int64_t dim, Value first, Value end) {
    RankedTensorType index = type.clone(e.getIndexType());
    Value at = tile::IotaOp::create(e, index, dim);
    return e.less(at, splat(e.sub(end, first), index));
  };
  if (extent.row) {
    add(below(0, firstRow, rowCount));
  }
  if (extent.key && gathered) {
    add(liftTile(gathered, {/*row=*/false, /*key=*/true}, extent, 0));
  } else if (extent.key && partial) {
    add(below(extent.row ? 1 : 0, firstKey, keyEnd));
  }
  if (extent.feature && features != type.getDimSize(1)) {
    add(below(1, e.index(0), e.index(features)));
  }
  return mask;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// Whether `op` may be computed once for the whole block, as it stands.
bool TileKernel::isUniformOp(Operation &op) const {
  if (isa<SweepOp, StoreRowOp, YieldOp, AcrossOp, MixOp>(op) ||
      isa<ReducerOpInterface>(op) || !isMemoryEffectFree(&op)) {
    // Buffers that streams read are not written while they run.
    if (!isa<memref::LoadOp>(op)) {
      return false;
    }
  }
  bool known = true;
  op.walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      known &= uniform.contains(operand) ||
               op.isAncestor(operand.getParentBlock()->getParentOp());
    }
  });
  // A vector is kept as its element, if all are equal.
  for (Value result : op.getResults()) {
    known &= !isa<VectorType>(result.getType());
  }
  return known;
}

Value TileKernel::guard(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  Value lowest = splat(e.infinity(type.getElementType(), true), type);
  Value empty = arith::CmpFOp::create(e, arith::CmpFPredicate::OEQ, x, lowest);
  return e.select(empty, splat(0.0, type), x);
}

LogicalResult TileKernel::emitLoad(Operation &op, Value source,
                                   ValueRange indices) {
  Extent extent;
  for (Value index : indices) {
    extent = extent | extentOf(index);
  }
  Type type = op.getResult(0).getType();
  int64_t features = 0;
  if (auto vector = dyn_cast<VectorType>(type)) {
    if (extent.key) {
      return success(); // a row of a product, on its way to shared memory
    }
    features = vector.getNumElements();
    extent.feature = true;
    extent.row = true;
  }
  RankedTensorType result =
      typeOf(getElementTypeOrSelf(type), extent, features);
  SmallVector<Value> at;
  for (Value index : indices) {
    Extent own = extentOf(index);
    Value lifted = lift(index, own);
    at.push_back(own.isUniform() ? lifted
                                 : liftTile(lifted, own, extent, features));
  }
  if (features) {
    at.push_back(tile::IotaOp::create(e, result.clone(e.getIndexType()), 1));
  }
  Value loaded = tile::LoadOp::create(e, result, uniform.lookup(source), at,
                                      getMask(extent, result, features));
  set(op.getResult(0), loaded, extent);
  return success();
}

LogicalResult TileKernel::emitBroadcast(vector::BroadcastOp op) {
  Extent extent = extentOf(op.getSource());
  if (extent.isUniform()) {
    uniform.map(op.getResult(), uniform.lookup(op.getSource()));
    return success();
  }
  if (extent.key) {
    return success();
  }
  Extent to = extent;
  to.feature = true;
  int64_t features = op.getResultVectorType().getNumElements();
  set(op.getResult(),
      liftTile(lift(op.getSource(), extent), extent, to, features), to);
  return success();
}

LogicalResult TileKernel::emitElementwise(Operation &op) {
  Extent extent;
  for (Value operand : op.getOperands()) {
    extent = extent | extentOf(operand);
  }
  if (extent.feature) {
    extent.row = true;
  }
  int64_t features = 0;
  if (auto vector = dyn_cast<VectorType>(op.getResult(0).getType())) {
    features = vector.getNumElements();
  }
  OperationState state(op.getLoc(), op.getName());
  for (Value operand : op.getOperands()) {
    Extent own = extentOf(operand);
    Value lifted = lift(operand, own);
    if (extent.isUniform()) {
      state.operands.push_back(lifted);
    } else if (own.isUniform()) {
      state.operands.push_back(
          splat(lifted, typeOf(getElementTypeOrSelf(operand.getType()), extent,
                               features)));
    } else {
      state.operands.push_back(liftTile(lifted, own, extent, features));
    }
  }
  for (Type type : op.getResultTypes()) {
    Type element = getElementTypeOrSelf(type);
    state.types.push_back(
        extent.isUniform() ? element : typeOf(element, extent, features));
  }
  state.addAttributes(op.getAttrs());
  Operation *lifted = e.create(state);
  for (auto [from, to] : llvm::zip(op.getResults(), lifted->getResults())) {
    set(from, to, extent);
  }
  return success();
}

LogicalResult TileKernel::emitOp(Operation &op) {
  e.setLoc(op.getLoc());
  if (op.getNumResults() == 1 && uniform.contains(op.getResult(0))) {
    return success(); // computed before the loop
  }
  if (isUniformOp(op)) {
    e.clone(op, uniform);
    return success();
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (!dense || !dense.isSplat()) {
      return op.emitOpError() << "has different features, which GPU kernels "
                                 "have no registers for";
    }
    Value scalar = arith::ConstantOp::create(
        e, cast<TypedAttr>(dense.getSplatValue<Attribute>()));
    uniform.map(constant.getResult(), scalar);
    return success();
  }
  bool known = llvm::all_of(op.getOperands(), [&](Value operand) {
    return uniform.contains(operand) || tiles.count(operand);
  });
  // Rows of features per key, and what is computed from them, have no tile:
  // products bring them to shared memory (RowElements.h).
  bool isLeft = isa<vector::ShuffleOp, vector::InterleaveOp,
                    vector::ReductionOp, ExpandOp>(op) ||
                (!known && !isa<DotOp, InnerOp, DotWithOp, SweepOp>(op));
  if (isLeft) {
    return success();
  }
  if (auto at = dyn_cast<AtOp>(op)) {
    return emitLoad(op, at.getSource(), at.getIndices());
  }
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    return emitLoad(op, load.getMemRef(), load.getIndices());
  }
  if (auto broadcast = dyn_cast<vector::BroadcastOp>(op)) {
    return emitBroadcast(broadcast);
  }
  if (auto guarded = dyn_cast<GuardOp>(op)) {
    Extent extent = extentOf(guarded.getValue());
    set(guarded.getResult(), guard(lift(guarded.getValue(), extent)), extent);
    return success();
  }
  if (isa<DotOp, InnerOp, DotWithOp>(op) && current) {
    return emitProduct(&op, *current);
  }
  if (auto joined = dyn_cast<AcrossOp>(op); joined && current) {
    return emitJoined(joined, *current);
  }
  if (auto mix = dyn_cast<MixOp>(op); mix && current) {
    return emitMixture(mix);
  }
  if (auto listed = dyn_cast<ListedOp>(op)) {
    return emitListed(listed);
  }
  if (auto sweep = dyn_cast<SweepOp>(op); sweep && !current) {
    return emitSweep(sweep);
  }
  if (OpTrait::hasElementwiseMappableTraits(&op)) {
    return emitElementwise(op);
  }
  return op.emitOpError() << "has no form in tiles yet";
}

LogicalResult TileKernel::emitBody(Block &block) {
  for (Operation &op : block.without_terminator()) {
    if (failed(emitOp(op))) {
      return failure();
    }
  }
  return success();
}

SmallVector<Value> TileKernel::evaluate(Region &region, ValueRange arguments) {
  IRMapping map = uniform;
  map.map(region.getArguments(), arguments);
  for (Operation &op : region.front().without_terminator()) {
    e.clone(op, map);
  }
  return llvm::map_to_vector(
      region.front().getTerminator()->getOperands(),
      [&](Value value) -> Value { return map.lookup(value); });
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

LogicalResult TileKernel::checkOperands(Operation *op) {
  for (Value operand : op->getOperands()) {
    Operation *source = operand.getDefiningOp();
    bool isRow = isa<CarryOp>(op) && operand == cast<CarryOp>(op).getRow();
    if (isRow || isa<TallyType>(operand.getType()) ||
        uniform.contains(operand) || tiles.count(operand) ||
        isa_and_nonnull<RunningOp, CarryOp>(source)) {
      continue;
    }
    InFlightDiagnostic error = op->emitOpError()
                               << "reads what has no form in tiles yet";
    if (source) {
      error.attachNote(source->getLoc()) << "it is computed here";
    }
    return error;
  }
  return success();
}

LogicalResult TileKernel::emitStore(StoreRowOp op) {
  e.setLoc(op.getLoc());
  if (failed(checkOperands(op))) {
    return failure();
  }
  Value batch = uniform.lookup(stream.getBatchArg());
  for (auto [value, output] : llvm::zip(op.getValues(), outputs)) {
    if (isa<TallyType>(value.getType())) {
      continue; // it is there
    }
    auto vector = dyn_cast<VectorType>(value.getType());
    Extent extent{/*row=*/true, /*key=*/false, /*feature=*/bool(vector)};
    int64_t features = vector ? vector.getNumElements() : 0;
    Value tile = lift(value, extent);
    auto type = cast<RankedTensorType>(tile.getType());
    RankedTensorType index = type.clone(e.getIndexType());
    SmallVector<Value> at = {batch};
    for (Value argument : {stream.getHeadArg(), stream.getRowArg()}) {
      Extent own = extentOf(argument);
      Value index = lift(argument, own);
      at.push_back(own.isUniform() ? index
                                   : liftTile(index, own, extent, features));
    }
    if (vector) {
      at.push_back(tile::IotaOp::create(e, index, 1));
    }
    tile::StoreOp::create(e, tile, output, at, getMask(extent, type, features));
  }
  return success();
}

Value TileKernel::getHead(Value number) {
  Value size = e.index(shape.group.size), first = firstHead;
  if (auto type = dyn_cast<RankedTensorType>(number.getType())) {
    size = splat(size, type);
    first = splat(first, type);
  }
  return e.add(first, arith::RemUIOp::create(e, number, size));
}

LogicalResult TileKernel::emit(Value first, Value count, Value batch,
                               Value head, Value extent, ValueRange inputs,
                               ValueRange outputs) {
  firstRow = first;
  rowCount = count;
  firstHead = head;
  this->outputs = outputs;
  uniform.map(stream.getBatchArg(), batch);
  uniform.map(stream.getExtentArg(), extent);
  for (auto [k, input] : llvm::enumerate(inputs)) {
    uniform.map(stream.getInputArg(k), input);
  }
  auto rows = typeOf(e.getIndexType(), {/*row=*/true});
  Value row = tile::IotaOp::create(e, rows, 0);
  row = e.add(row, splat(first, rows));
  if (shape.group.size == 1) {
    uniform.map(stream.getHeadArg(), head);
    set(stream.getRowArg(), row, {/*row=*/true});
  } else {
    for (Operation *op : shape.group.quotients) {
      uniform.map(op->getResult(0),
                  e.div(head, *getConstantIntValue(op->getOperand(1))));
    }
    Value size = splat(e.index(shape.group.size), rows);
    set(stream.getRowArg(), arith::DivUIOp::create(e, row, size),
        {/*row=*/true});
    set(stream.getHeadArg(), getHead(row), {/*row=*/true});
  }
  if (failed(emitBody(stream.getBody().front()))) {
    return failure();
  }
  return emitStore(stream.getStoreRow());
}
