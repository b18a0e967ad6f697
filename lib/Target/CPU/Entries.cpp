//===- Entries.cpp - W keys of a row at once ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See Entries.h. Lanes beyond the last key repeat the last key, so that every
// load is in range; what they compute is dropped by `getPresence`.
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include "attn/Dialect/Attn/IR/KernelOps.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

Entries::Entries(Scope &row, Tile &tile, Value tileRow, Value column)
    : scope(&row), tile(tile), tileRow(tileRow), column(column) {
  firstKey = tile.keyAt(builder(), column);
  origin = tile.table ? firstKey : tile.firstKey;
}

Entries::Entries(Scope &row, Tile &tile, Value tileRow, Value column,
                 const PixelRun &run, bool absent)
    : Entries(row, tile, tileRow, column) {
  this->run = &run;
  this->absent = absent;
  for (Operation *op : run.divisions) {
    if (isa<arith::DivUIOp, arith::DivSIOp>(op)) {
      scope.bind(op->getResult(0), run.quotients.lookup(getDivision(op)));
    }
  }
}

Value Entries::getIota() {
  Emit &e = builder();
  SmallVector<int32_t> lanes(getLanes());
  std::iota(lanes.begin(), lanes.end(), 0);
  auto type = getVectorType(e.getI32Type());
  return arith::ConstantOp::create(
      e, DenseElementsAttr::get(type, ArrayRef<int32_t>(lanes)));
}

/// Keys from the origin on. What they are compared with does not depend on the
/// column then, unless a table says which keys it has.
Value Entries::getOffsets() {
  if (tile.table) {
    return getIota();
  }
  Emit &e = builder();
  Value first = arith::IndexCastOp::create(e, e.getI32Type(), column);
  return e.add(e.broadcast(first, getLanes()), getIota());
}

Value Entries::getPresence(Value cond) {
  Emit &e = builder();
  if (tile.full) {
    return {};
  }
  if (tile.dense || (run && !cond) || absent) {
    return e.constant(getVectorType(e.getI1Type()), !absent);
  }
  if (run) {
    return get(cond);
  }
  if (!inside && tile.scattered) {
    inside = arith::CmpIOp::create(e, arith::CmpIPredicate::slt, loadTable(),
                                   e.broadcast(tile.upper, getLanes()));
  }
  if (!inside) {
    inside = arith::CmpIOp::create(e, arith::CmpIPredicate::slt, getOffsets(),
                                   getLimit(origin, tile.upper));
    if (tile.halo) {
      inside = e.both(inside, arith::CmpIOp::create(
                                  e, arith::CmpIPredicate::sge, getOffsets(),
                                  getLimit(origin, e.index(0))));
    }
  }
  return cond ? e.both(get(cond), inside) : inside;
}

Value Entries::getJoinedRow() {
  KernelState &kernel = scope.kernel;
  if (kernel.analysis.getPackedHeads() == 1) {
    return builder().index(0);
  }
  return builder().div(tileRow, kernel.analysis.getFewRows());
}

/// `value` - `base` for all lanes, as i32, where only its order among the
/// offsets of keys matters.
Value Entries::getLimit(Value base, Value value) {
  Emit &e = builder();
  // More than a tile has columns. Clamping before the difference keeps it from
  // overflowing.
  constexpr int64_t most = int64_t(1) << 30;
  value = e.max(e.sub(base, 1), e.min(value, e.add(base, most)));
  Value offset =
      arith::IndexCastOp::create(e, e.getI32Type(), e.sub(value, base));
  return e.broadcast(offset, getLanes());
}

Value Entries::loadTable() {
  return builder().loadVector(tile.table, column, getLanes());
}

Value Entries::getKeys() {
  Emit &e = builder();
  Value keys;
  if (tile.scattered) {
    keys = loadTable();
  } else {
    Type type = getVectorType(e.getIndexType());
    Value lanes = arith::IndexCastOp::create(e, type, getIota());
    keys = e.add(e.broadcast(firstKey, getLanes()), lanes);
  }
  if (tile.isWhole() || run) {
    return keys;
  }
  keys = e.min(keys, e.broadcast(e.sub(tile.upper, 1), getLanes()));
  return tile.halo ? e.max(keys, e.constant(keys.getType(), 0)) : keys;
}

Value Entries::get(Value value) {
  if (Value found = known.lookup(value)) {
    return found;
  }
  return known[value] = compute(value);
}

Value Entries::compute(Value value) {
  KernelState &kernel = scope.kernel;
  Emit &e = builder();
  if (!isKey(value)) {
    return e.broadcast(scope.get(value), getLanes());
  }
  if (value == tile.plan.keyArg) {
    return getKeys();
  }
  if (tile.plan.driver && value == tile.plan.driver.getResult()) {
    return e.constant(getVectorType(value.getType()), 1);
  }
  Value buffer = tile.buffers.lookup(value);
  auto saved = tile.plan.saved.find(value);
  bool isSaved = saved != tile.plan.saved.end();
  if (buffer && (!isSaved || saved->second < tile.stage)) {
    Value row = value.getDefiningOp<AcrossOp>() ? getJoinedRow() : tileRow;
    Value loaded = e.loadVector(buffer, {row, column}, getLanes());
    // Bits are kept as bytes.
    return value.getType().isInteger(1)
               ? arith::TruncIOp::create(e, getVectorType(value.getType()),
                                         loaded)
               : loaded;
  }
  Operation *op = value.getDefiningOp();
  Value result;
  if (auto at = dyn_cast<AtOp>(op); at && !isa<VectorType>(value.getType())) {
    result = load(at);
  } else if (auto guard = dyn_cast<GuardOp>(op)) {
    result = emitGuard(e, get(guard.getValue()));
  } else if (auto compared = dyn_cast<arith::CmpIOp>(op);
             compared && (result = compare(compared))) {
    // Done in lane numbers.
  } else if ((result = divide(op))) {
    // Done in floats.
  } else if ((result = scale(op))) {
    // Done in one operation.
  } else if (isElementwise(op) && !isa<VectorType>(value.getType())) {
    SmallVector<Value> operands = llvm::map_to_vector(
        op->getOperands(), [&](Value operand) { return get(operand); });
    // Other results are stored when they are asked for, if at all.
    result = cloneElementwise(e, op, operands, getLanes())
                 ->getResult(cast<OpResult>(value).getResultNumber());
  } else {
    return kernel.unsupported(value, getVectorType(e.getF32Type()));
  }
  if (isSaved && saved->second == tile.stage) {
    Value stored = result;
    if (value.getType().isInteger(1)) {
      stored = arith::ExtUIOp::create(e, getVectorType(e.getI8Type()), stored);
    }
    e.storeVector(stored, buffer, {tileRow, column});
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Scaled values
//===----------------------------------------------------------------------===//

/// The value and the constant that `value` is the product of; 0 if it is no
/// such product. Of two constants the first is at most 1, so that their product
/// overflows nowhere else.
static std::pair<Value, double> splitScale(Value value) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  FloatAttr constant;
  if (!product || !value.getType().isF32() ||
      !matchPattern(product.getRhs(), m_Constant(&constant))) {
    return {value, 0};
  }
  double factor = constant.getValueAsDouble();
  auto [inner, before] = splitScale(product.getLhs());
  double both = static_cast<float>(factor * before);
  bool joins = before && std::abs(before) <= 1 && std::isnormal(both) &&
               std::isnormal(static_cast<float>(both));
  return joins ? std::pair(inner, both) : std::pair(product.getLhs(), factor);
}

/// Scores are scaled for the program, and once more for a power of two: that
/// takes one multiplication.
Value Entries::scale(Operation *op) {
  if (!isa<arith::MulFOp>(op)) {
    return {};
  }
  auto [value, factor] = splitScale(op->getResult(0));
  if (!factor || value == op->getOperand(0)) {
    return {};
  }
  Emit &e = builder();
  return arith::MulFOp::create(
      e, get(value), e.constant(getVectorType(value.getType()), factor));
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

/// The scalar b if `value` is b + lane, where the key is `first` + lane; null
/// otherwise.
Value Entries::emitLaneBase(Value value, Value first) {
  if (tile.scattered) {
    return {};
  }
  if (value == tile.plan.keyArg) {
    return first;
  }
  Emit &e = builder();
  Operation *op = value.getDefiningOp();
  if (!op) {
    return {};
  }
  auto isLane = [&](Value v) { return isKey(v); };
  if (run && isa<arith::RemUIOp, arith::RemSIOp>(op) &&
      llvm::is_contained(run->divisions, op)) {
    auto [dividend, divisor] = getDivision(op);
    Value base = emitLaneBase(dividend, first);
    Value whole = run->quotients.lookup({dividend, divisor});
    return base ? e.sub(base, e.mul(whole, divisor)) : Value();
  }
  if (isa<arith::AddIOp>(op) &&
      isLane(op->getOperand(0)) != isLane(op->getOperand(1))) {
    bool left = isLane(op->getOperand(0));
    if (Value base = emitLaneBase(op->getOperand(left ? 0 : 1), first)) {
      return e.add(base, scope.get(op->getOperand(left ? 1 : 0)));
    }
  }
  if (isa<arith::SubIOp>(op) && !isLane(op->getOperand(1))) {
    if (Value base = emitLaneBase(op->getOperand(0), first)) {
      return e.sub(base, scope.get(op->getOperand(1)));
    }
  }
  return {};
}

/// base + offset against one value for all lanes is offset against value -
/// base, which i32 lanes decide once it is clamped.
Value Entries::compare(arith::CmpIOp op) {
  using P = arith::CmpIPredicate;
  P predicate = op.getPredicate();
  Emit &e = builder();
  if (run && op.getLhs().getType().isIndex()) {
    Value left = getNarrow(op.getLhs()), right = getNarrow(op.getRhs());
    return left && right
               ? arith::CmpIOp::create(e, predicate, left, right).getResult()
               : Value();
  }
  bool leftLanes = isKey(op.getLhs()), rightLanes = isKey(op.getRhs());
  if (leftLanes == rightLanes || predicate >= P::ult ||
      !op.getLhs().getType().isIndex()) {
    return {};
  }
  Value base = emitLaneBase(leftLanes ? op.getLhs() : op.getRhs(), origin);
  if (!base) {
    return {};
  }
  Value offsets = getOffsets();
  Value limit =
      getLimit(base, scope.get(leftLanes ? op.getRhs() : op.getLhs()));
  return arith::CmpIOp::create(e, predicate, leftLanes ? offsets : limit,
                               leftLanes ? limit : offsets);
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

namespace {
/// How an index moves from key to key: by 1, by -1, or (0) in some other way;
/// `clamped` where a bound may hold it.
struct Stride {
  int64_t step = 0;
  bool clamped = false;
};
} // namespace

static Stride getStride(Value value, Value key, const PixelRun *run,
                        llvm::function_ref<bool(Value)> isKey) {
  if (value == key) {
    return {1};
  }
  Operation *op = value.getDefiningOp();
  if (run && llvm::is_contained(run->divisions, op)) {
    return getStride(op->getOperand(0), key, run, isKey);
  }
  if (!op ||
      !isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MaxSIOp>(op)) {
    return {};
  }
  bool left = isKey(op->getOperand(0)), right = isKey(op->getOperand(1));
  if (left == right) {
    return {};
  }
  Stride stride = getStride(op->getOperand(left ? 0 : 1), key, run, isKey);
  if (isa<arith::SubIOp>(op) && right) {
    stride.step = -stride.step;
  }
  stride.clamped |= isa<arith::MinSIOp, arith::MaxSIOp>(op);
  return stride;
}

/// The elements from `last`, on, the last one first.
static Value loadReversed(Emit &e, Value source, ValueRange last,
                          int64_t lanes) {
  SmallVector<int64_t> order(lanes);
  std::iota(order.rbegin(), order.rend(), 0);
  Value ascending = e.loadVector(source, last, lanes);
  return vector::ShuffleOp::create(e, ascending, ascending, order);
}

Value Entries::load(AtOp op) {
  Emit &e = builder();
  Value key = tile.plan.keyArg;
  auto type = getVectorType(op.getResult().getType());
  auto indices = op.getIndices();
  auto differs = [&](Value index) { return isKey(index); };
  Stride stride;
  if (!tile.scattered && llvm::none_of(indices.drop_back(), differs)) {
    stride = getStride(indices.back(), key, run, differs);
  }
  if (!stride.step || stride.clamped) {
    if (Value permuted = permute(op)) {
      return permuted;
    }
  }
  if (!stride.step) {
    return gather(op);
  }
  auto indicesAt = [&](Value at) {
    Scope place(&scope);
    place.bind(key, tile.isWhole() || run ? tile.keyAt(e, at)
                                          : tile.getKeys().at(e, at));
    return place.get(indices);
  };
  Value source = scope.get(op.getSource());
  bool ascends = stride.step > 0,
       certain = !stride.clamped && (tile.isWhole() || run);
  SmallVector<Value> first, last;
  if (ascends || !certain) {
    first = indicesAt(column);
  }
  if (!ascends || !certain) {
    last = indicesAt(e.add(column, getLanes() - 1));
  }
  auto loadAll = [&] {
    return ascends ? e.loadVector(source, first, getLanes())
                   : loadReversed(e, source, last, getLanes());
  };
  if (certain) {
    return loadAll();
  }
  Value distance = ascends ? e.sub(last.back(), first.back())
                           : e.sub(first.back(), last.back());
  Value contiguous = arith::CmpIOp::create(e, arith::CmpIPredicate::eq,
                                           distance, e.index(getLanes() - 1));
  return e.ifValue(contiguous, type, loadAll, [&] {
    return run ? Entries(scope, tile, tileRow, column, *run).gather(op)
               : Entries(scope, tile, tileRow, column).gather(op);
  });
}

/// Lane by lane: offsets from the buffer's first element, as 64-bit indices.
Value Entries::gather(AtOp op) {
  Emit &e = builder();
  Value source = scope.get(op.getSource());
  auto metadata = memref::ExtractStridedMetadataOp::create(e, source);
  Value uniform = e.index(0), lanes;
  for (auto [index, stride] :
       llvm::zip(op.getIndices(), metadata.getStrides())) {
    if (!isKey(index)) {
      uniform =
          e.add(uniform, arith::MulIOp::create(e, scope.get(index), stride));
      continue;
    }
    Value term =
        arith::MulIOp::create(e, get(index), e.broadcast(stride, getLanes()));
    lanes = lanes ? e.add(lanes, term) : term;
  }
  Value offsets = e.broadcast(uniform, getLanes());
  offsets = lanes ? e.add(offsets, lanes) : offsets;
  auto type = getVectorType(op.getResult().getType());
  SmallVector<Value> origin(op.getIndices().size(), e.index(0));
  Value all = e.constant(getVectorType(e.getI1Type()), 1);
  return vector::GatherOp::create(e, type, source, origin, offsets, all,
                                  e.constant(type, 0));
}

/// A row of at most W elements is loaded whole, and lanes choose from it.
Value Entries::permute(AtOp op) {
  constexpr int64_t lanes = 16;
  KernelState &kernel = scope.kernel;
  auto indices = op.getIndices();
  int64_t extent = cast<ShapedType>(op.getSource().getType()).getShape().back();
  Type element = op.getResult().getType();
  if (!run || kernel.target.vectorBits != 512 || getLanes() != lanes ||
      extent < 1 || extent > lanes || !element.isIntOrFloat() ||
      element.getIntOrFloatBitWidth() != 32 ||
      llvm::any_of(indices.drop_back(), [&](Value v) { return isKey(v); })) {
    return {};
  }
  Value lane = getNarrow(indices.back());
  if (!lane) {
    return {};
  }
  Emit &e = builder();
  SmallVector<Value> first = scope.get(indices.drop_back());
  first.push_back(e.index(0));
  auto type = getVectorType(element), bits = getVectorType(e.getI32Type());
  Value mask = vector::ConstantMaskOp::create(e, getVectorType(e.getI1Type()),
                                              ArrayRef<int64_t>{extent});
  Value row = vector::MaskedLoadOp::create(e, type, scope.get(op.getSource()),
                                           first, mask, e.constant(type, 0));
  if (type != bits) {
    row = arith::BitcastOp::create(e, bits, row);
  }
  Value chosen = ChooseOp::create(e, row, lane);
  return type == bits ? chosen
                      : arith::BitcastOp::create(e, type, chosen).getResult();
}
