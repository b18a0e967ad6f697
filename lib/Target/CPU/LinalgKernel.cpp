//===- LinalgKernel.cpp - the loop nest of one linalg op ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// See LinalgKernel.h.
//
//===----------------------------------------------------------------------===//

#include "LinalgKernel.h"

#include "Scope.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::cpu;

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

Value LinalgKernel::sizeOf(unsigned loop) {
  return getValueOrCreateConstantIndexOp(e, e.getLoc(), sizes[loop]);
}

/// Parallel loops in the order of the items, the fastest last.
SmallVector<LinalgKernel::Tiled> LinalgKernel::getTiles() {
  SmallVector<Tiled> tiles;
  auto isBlocked = [&](unsigned loop) {
    return llvm::any_of(plan.blocked,
                        [&](auto &blocked) { return blocked.loop == loop; });
  };
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (linalg::isParallelIterator(kind) && loop != plan.lane &&
        !isBlocked(loop)) {
      tiles.push_back({static_cast<unsigned>(loop), 1, 1, {}, {}});
    }
  }
  if (!plan.reduces) {
    // An elementwise op goes through long stretches in one go.
    constexpr int64_t kStretch = 4096;
    int64_t step = plan.vectors * plan.lanes;
    bool elementwise = op.getNumReductionLoops() == 0;
    tiles.push_back({plan.lane, elementwise ? kStretch : step, step, {}, {}});
  }
  for (auto &blocked : plan.blocked) {
    tiles.push_back({blocked.loop,
                     blocked.chunk / blocked.steps * blocked.steps,
                     blocked.steps,
                     {},
                     {}});
  }
  return tiles;
}

Value LinalgKernel::countItems() {
  Value count = e.index(1);
  for (Tiled &tiled : getTiles()) {
    Value tiles = e.div(e.add(sizeOf(tiled.loop), tiled.tile - 1), tiled.tile);
    count = arith::MulIOp::create(e, count, tiles);
  }
  return count;
}

void LinalgKernel::emit(Value begin, Value end, const IRMapping &mapped,
                        ArrayRef<OpFoldResult> inside) {
  values = mapped;
  sizes.assign(inside.begin(), inside.end());
  e.loop(begin, end, 1, [&](Value item) { emitItem(item); });
}

void LinalgKernel::emitItem(Value item) {
  SmallVector<Tiled> tiles = getTiles();
  Place place;
  place.indices.resize(op.getNumLoops());
  for (Tiled &tiled : llvm::reverse(tiles)) {
    Value size = sizeOf(tiled.loop);
    Value count = e.div(e.add(size, tiled.tile - 1), tiled.tile);
    tiled.first = e.mul(arith::RemUIOp::create(e, item, count), tiled.tile);
    tiled.last = e.min(e.add(tiled.first, tiled.tile), size);
    item = arith::DivUIOp::create(e, item, count);
  }
  place.copies.push_back(Offsets(op.getNumLoops(), 0));
  emitTiles(tiles, 0, place);
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

Value LinalgKernel::createMask(Value first, Value last) {
  return vector::CreateMaskOp::create(e, getVectorType(e.getI1Type()),
                                      ValueRange{e.sub(last, first)});
}

/// Copies of the body for `count` steps of `width` along a loop.
static SmallVector<SmallVector<int64_t>>
multiply(ArrayRef<SmallVector<int64_t>> copies, unsigned loop, int64_t count,
         int64_t width) {
  SmallVector<SmallVector<int64_t>> all;
  for (const SmallVector<int64_t> &copy : copies) {
    for (int64_t k = 0; k < count; ++k) {
      all.push_back(copy);
      all.back()[loop] = k * width;
    }
  }
  return all;
}

void LinalgKernel::emitTiles(MutableArrayRef<Tiled> tiles, unsigned next,
                             Place place) {
  if (next == tiles.size()) {
    emitBlock(place);
    return;
  }
  Tiled &tiled = tiles[next];
  bool isLane = tiled.loop == plan.lane;
  int64_t width = isLane ? plan.lanes : 1;
  auto emitStep = [&](Value index, int64_t count, bool masked) {
    Place inner = place;
    inner.indices[tiled.loop] = index;
    inner.copies = multiply(place.copies, tiled.loop, count, width);
    if (masked) {
      inner.mask = createMask(index, tiled.last);
    }
    emitTiles(tiles, next + 1, inner);
  };
  if (tiled.tile == 1) {
    emitStep(tiled.first, 1, false);
    return;
  }
  std::optional<int64_t> size = getConstantIntValue(sizes[tiled.loop]);
  if (size && *size % tiled.step == 0) {
    e.loop(tiled.first, tiled.last, tiled.step,
           [&](Value index) { emitStep(index, tiled.step / width, false); });
    return;
  }
  Value middle = e.add(tiled.first,
                       e.roundDown(e.sub(tiled.last, tiled.first), tiled.step));
  e.loop(tiled.first, middle, tiled.step,
         [&](Value index) { emitStep(index, tiled.step / width, false); });
  e.loop(middle, tiled.last, width,
         [&](Value index) { emitStep(index, 1, isLane); });
}

/// Loads what the outputs hold, runs the reductions, and stores.
void LinalgKernel::emitBlock(Place &place) {
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  // The lanes go fastest: a row is read from front to back.
  if (plan.reduces) {
    llvm::erase(reductions, plan.lane);
    reductions.push_back(plan.lane);
    place.copies = multiply(place.copies, plan.lane, plan.vectors, plan.lanes);
  }
  SmallVector<Value> sums;
  for (auto [k, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    Type element = getElementTypeOrSelf(init.get().getType());
    for (const Offsets &copy : place.copies) {
      if (plan.reduces) {
        TypedAttr neutral = *arith::getNeutralElement(plan.combiners[k]);
        sums.push_back(arith::ConstantOp::create(
            e, DenseElementsAttr::get(getVectorType(element), neutral)));
      } else if (op.payloadUsesValueFromOperand(&init)) {
        sums.push_back(loadOperand(place, init, copy));
      } else {
        sums.push_back(e.constant(getVectorType(element), 0));
      }
    }
  }
  sums = emitReductions(place, reductions, sums);
  ArrayRef<Value> results = sums;
  for (auto [k, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    Value buffer = values.lookupOrDefault(init.get());
    AffineMap map = op.getMatchingIndexingMap(&init);
    if (!plan.reduces) {
      for (const Offsets &copy : place.copies) {
        SmallVector<Value> at = getIndices(place, map, copy);
        if (place.mask) {
          vector::MaskedStoreOp::create(e, buffer, at, place.mask,
                                        results.front());
        } else {
          e.storeVector(results.front(), buffer, at);
        }
        results = results.drop_front();
      }
      continue;
    }
    for (size_t c = 0; c < place.copies.size(); c += plan.vectors) {
      SmallVector<Value> at = getIndices(place, map, place.copies[c]);
      Value sum = results.front();
      for (Value other : results.take_front(plan.vectors).drop_front()) {
        sum = vector::makeArithReduction(e, e.getLoc(), plan.kinds[k], sum,
                                         other);
      }
      results = results.drop_front(plan.vectors);
      bool isFloat = isa<FloatType>(getElementTypeOrSelf(sum.getType()));
      sum = vector::ReductionOp::create(
          e, plan.kinds[k], sum, e.load(buffer, at),
          isFloat ? arith::FastMathFlags::reassoc : arith::FastMathFlags::none);
      e.store(sum, buffer, at);
    }
  }
}

SmallVector<Value> LinalgKernel::emitReductions(Place &place,
                                                ArrayRef<unsigned> loops,
                                                SmallVector<Value> sums) {
  if (loops.empty()) {
    return emitBodies(place, sums);
  }
  unsigned loop = loops.front();
  auto emitInner = [&](Value index, ValueRange so) {
    Place inner = place;
    inner.indices[loop] = index;
    return emitReductions(inner, loops.drop_front(), SmallVector<Value>(so));
  };
  Value size = sizeOf(loop);
  if (loop != plan.lane) {
    return e.loop(e.index(0), size, 1, sums, emitInner);
  }
  int64_t step = plan.vectors * plan.lanes;
  Value middle = e.roundDown(size, step);
  sums = e.loop(e.index(0), middle, step, sums, emitInner);
  std::optional<int64_t> known = getConstantIntValue(sizes[loop]);
  if (known && *known % step == 0) {
    return sums;
  }
  // What is left goes to the first of the sums of each copy.
  return e.loop(middle, size, plan.lanes, sums,
                [&](Value index, ValueRange so) -> SmallVector<Value> {
                  Place inner = place;
                  inner.indices[loop] = index;
                  inner.mask = createMask(index, size);
                  llvm::erase_if(inner.copies, [&](const Offsets &copy) {
                    return copy[plan.lane] != 0;
                  });
                  SmallVector<Value> first, next(so);
                  for (size_t k = 0; k < next.size(); k += plan.vectors) {
                    first.push_back(next[k]);
                  }
                  for (auto [k, sum] :
                       llvm::enumerate(emitBodies(inner, first))) {
                    Value &old = next[k * plan.vectors];
                    old = e.select(inner.mask, sum, old);
                  }
                  return next;
                });
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

/// Sums are ordered by output, then by copy.
SmallVector<Value> LinalgKernel::emitBodies(Place &place, ValueRange sums) {
  size_t copies = place.copies.size(), outputs = op.getNumDpsInits();
  SmallVector<Value> next(sums.size());
  DenseMap<Value, SmallVector<Value>> loaded;
  for (auto [c, copy] : llvm::enumerate(place.copies)) {
    SmallVector<Value> mine;
    for (size_t k = 0; k < outputs; ++k) {
      mine.push_back(sums[k * copies + c]);
    }
    for (auto [k, result] :
         llvm::enumerate(emitBody(place, copy, mine, loaded))) {
      next[k * copies + c] = result;
    }
  }
  return next;
}

SmallVector<Value> LinalgKernel::getIndices(Place &place, AffineMap map,
                                            const Offsets &copy) {
  SmallVector<Value> dims, indices;
  for (auto [index, offset] : llvm::zip(place.indices, copy)) {
    // Loops that the map does not name may have no index yet.
    dims.push_back(index ? e.add(index, offset) : e.index(0));
  }
  for (AffineExpr expr : map.getResults()) {
    indices.push_back(
        affine::expandAffineExpr(e, e.getLoc(), expr, dims, ValueRange()));
  }
  return indices;
}

Value LinalgKernel::loadOperand(Place &place, OpOperand &operand,
                                const Offsets &copy) {
  Value source = values.lookupOrDefault(operand.get());
  if (!isa<MemRefType>(source.getType())) {
    return source;
  }
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> at = getIndices(place, map, copy);
  if (!plan.dependsOnLane(map)) {
    return e.load(source, at);
  }
  return loadLanes(place, source, at);
}

Value LinalgKernel::loadLanes(Place &place, Value source, ValueRange at) {
  if (!place.mask) {
    return e.loadVector(source, at, plan.lanes);
  }
  VectorType type = getVectorType(getElementTypeOrSelf(source.getType()));
  return vector::MaskedLoadOp::create(e, type, source, at, place.mask,
                                      e.constant(type, 0));
}

Value LinalgKernel::widen(Value value) {
  return isa<VectorType>(value.getType()) ? value
                                          : e.broadcast(value, plan.lanes);
}

SmallVector<Value>
LinalgKernel::emitBody(Place &place, const Offsets &copy, ValueRange sums,
                       DenseMap<Value, SmallVector<Value>> &loaded) {
  IRMapping mapping = values;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(input);
    if (argument.use_empty()) {
      continue;
    }
    // Copies that differ in other loops only share the load.
    AffineMap map = op.getMatchingIndexingMap(input);
    SmallVector<Value> &known = loaded[argument];
    known.resize(place.copies.size());
    size_t slot =
        llvm::find_if(place.copies,
                      [&](const Offsets &other) {
                        for (unsigned d = 0; d < copy.size(); ++d) {
                          if (map.isFunctionOfDim(d) && other[d] != copy[d]) {
                            return false;
                          }
                        }
                        return true;
                      }) -
        place.copies.begin();
    if (!known[slot]) {
      known[slot] = loadOperand(place, *input, copy);
    }
    mapping.map(argument, known[slot]);
  }
  for (auto [argument, sum] : llvm::zip(op.getRegionOutputArgs(), sums)) {
    mapping.map(argument, sum);
  }
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      unsigned loop = index.getDim();
      Value at = e.add(place.indices[loop], copy[loop]);
      if (loop == plan.lane) {
        SmallVector<int64_t> lanes(plan.lanes);
        std::iota(lanes.begin(), lanes.end(), 0);
        Value iota = arith::ConstantOp::create(e, e.getIndexVectorAttr(lanes));
        at = e.add(e.broadcast(at, plan.lanes), iota);
      }
      mapping.map(index.getResult(), at);
      continue;
    }
    if (auto load = dyn_cast<memref::LoadOp>(inner);
        load && loadsLanes(load, plan.lane)) {
      SmallVector<Value> at =
          llvm::map_to_vector(load.getIndices().drop_back(), [&](Value v) {
            return mapping.lookupOrDefault(v);
          });
      at.push_back(e.add(place.indices[plan.lane], copy[plan.lane]));
      Value source = mapping.lookupOrDefault(load.getMemRef());
      mapping.map(load.getResult(), loadLanes(place, source, at));
      continue;
    }
    if (inner.hasTrait<OpTrait::ConstantLike>() || isa<memref::LoadOp>(inner)) {
      e.clone(inner, mapping);
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(
        inner.getOperands(), [&](Value v) { return mapping.lookup(v); });
    bool wide = llvm::any_of(
        operands, [](Value v) { return isa<VectorType>(v.getType()); });
    if (wide) {
      for (Value &operand : operands) {
        operand = widen(operand);
      }
    }
    Operation *clone =
        cloneElementwise(e, &inner, operands, wide ? plan.lanes : 0);
    mapping.map(inner.getResults(), clone->getResults());
  }
  return llvm::map_to_vector(op.getBody()->getTerminator()->getOperands(),
                             [&](Value v) { return widen(mapping.lookup(v)); });
}
