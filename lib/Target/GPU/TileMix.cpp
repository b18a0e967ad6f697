//===- TileMix.cpp - mixtures of heads, by tiles --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %r, %any = attn.mix weights %W[%h] { ^bb0(%h2): ... attn.dot at %h2 ... }
//   ->
//   for %h2:                                   while the tile is at hand
//     copy the rows that products at %h2 read
//     %x, %c = ... the region ...
//     %r += %W[%h, %h2] * %x where %c;  %any |= %c
//
// A mixture of mixtures asks for each inner one many times: the entries that
// these are made from wait in shared memory, where every thread finds its own.
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static constexpr Extent kEntries{/*row=*/true, /*key=*/true};

bool gpu_target::isShared(MixOp op) {
  auto outer = dyn_cast<MixOp>(op->getParentOp());
  if (!outer) {
    return false;
  }
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(op.getBody(), used);
  return llvm::none_of(used, [&](Value value) {
    return value.getParentRegion() == &outer.getBody();
  });
}

LogicalResult TileKernel::prepareMixtures(SweepOp sweep) {
  WalkResult result = sweep.walk([&](MixOp op) {
    Mixture mixture;
    for (Operation &inner : op.getBody().front()) {
      e.setLoc(inner.getLoc());
      if (failed(placeFactors(&inner, sweep.getKeyArg(), mixture.operands))) {
        return WalkResult::interrupt();
      }
    }
    if (isShared(op)) {
      auto getRing = [&](Type element) {
        return getShared(shape.rows, shape.keys, element, op.getInputHeads());
      };
      mixture.entries = getRing(op.getResult().getType());
      mixture.presence = getRing(e.getI8Type());
    }
    mixtures[op] = std::move(mixture);
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// The entry, and whether it is present, that the region gives at a head.
FailureOr<TileKernel::Entry> TileKernel::getEntry(MixOp op, Value head) {
  auto known = tiles;
  IRMapping before = uniform;
  auto *outside = current;
  Buffers &operands = mixtures[op].operands;
  uniform.map(op.getBody().getArgument(0), head);
  if (!operands.stationary.empty()) {
    // Others may still compute on what lies there.
    gpu::BarrierOp::create(e);
    for (auto &left : operands.stationary) {
      left.tile = Value();
      if (failed(bringQueries(op, left.row, left.shared))) {
        return failure();
      }
    }
    for (auto &right : operands.streamed) {
      if (failed(bringKeys(right.user, right.row, sweep.getKeyArg(), *course,
                           place, right.shared))) {
        return failure();
      }
    }
    tile::ArriveOp::create(e);
    gpu::BarrierOp::create(e);
    fetchFactors(operands);
  }
  current = &operands;
  if (failed(emitBody(op.getBody().front()))) {
    return failure();
  }
  Operation *yield = op.getBody().front().getTerminator();
  if (failed(checkOperands(yield))) {
    return failure();
  }
  Entry entry(lift(yield->getOperand(0), kEntries),
              lift(yield->getOperand(1), kEntries));
  tiles = std::move(known);
  uniform = before;
  current = outside;
  return entry;
}

/// For the mixtures that the region has, which share their entries.
LogicalResult TileKernel::keepInnerEntries(MixOp op) {
  return failure(llvm::any_of(op.getBody().getOps<MixOp>(), [&](MixOp inner) {
    return isShared(inner) && failed(keepEntries(inner));
  }));
}

/// Computes the entries of all heads, for a tile.
LogicalResult TileKernel::keepEntries(MixOp op) {
  LogicalResult result = keepInnerEntries(op);
  Value end = e.index(op.getInputHeads());
  e.loop(e.index(0), end, 1, [&](Value head) {
    FailureOr<Entry> entry = getEntry(op, head);
    if (failed(entry)) {
      result = failure();
      return;
    }
    Mixture &mixture = mixtures[op];
    for (auto [value, ring] : {std::pair(entry->first, mixture.entries),
                               std::pair(entry->second, mixture.presence)}) {
      tile::StashOp::create(e, value, tile::StageOp::create(e, ring, head));
    }
  });
  return result;
}

TileKernel::Entry TileKernel::fetchEntry(MixOp op, Value head) {
  Mixture &mixture = mixtures[op];
  auto fetch = [&](Value ring) -> Value {
    Type element = cast<MemRefType>(ring.getType()).getElementType();
    return tile::FetchOp::create(e, typeOf(element, kEntries),
                                 tile::StageOp::create(e, ring, head));
  };
  Value presence = fetch(mixture.presence);
  return {
      fetch(mixture.entries),
      arith::TruncIOp::create(e, typeOf(e.getI1Type(), kEntries), presence)};
}

static Value join(Emit &e, FeatureReduceKind kind, Value a, Value b) {
  switch (kind) {
  case FeatureReduceKind::Sum:
    return arith::AddFOp::create(e, a, b);
  case FeatureReduceKind::Max:
    return arith::MaximumFOp::create(e, a, b);
  case FeatureReduceKind::Min:
    return arith::MinimumFOp::create(e, a, b);
  }
  llvm_unreachable("kinds are listed");
}

LogicalResult TileKernel::emitMixture(MixOp op) {
  LogicalResult result = isShared(op) ? success() : keepInnerEntries(op);
  e.setLoc(op.getLoc());
  Type element = op.getResult().getType();
  Value head = uniform.lookup(op.getHead());
  bool isMax = op.isGrouped() && *op.getKind() == FeatureReduceKind::Max;
  bool isSum = !op.isGrouped() || *op.getKind() == FeatureReduceKind::Sum;
  Value nothing = isSum ? e.constant(element, 0.0) : e.infinity(element, isMax);
  Value first = e.index(0), end = e.index(op.getHeadsOfResult());
  if (op.isGrouped()) {
    first = e.mul(head, op.getHeadsOfResult());
    end = e.add(first, op.getHeadsOfResult());
  }
  auto add = [&](Value h, ValueRange before) -> SmallVector<Value> {
    FailureOr<Entry> entry = isShared(op) ? fetchEntry(op, h) : getEntry(op, h);
    if (failed(entry)) {
      result = failure();
      return before;
    }
    auto [x, present] = *entry;
    Value next;
    if (op.isGrouped()) {
      next = e.select(present, join(e, *op.getKind(), before[0], x), before[0]);
    } else {
      auto type = cast<RankedTensorType>(x.getType());
      x = e.select(present, x, splat(nothing, type));
      Value weight = e.load(uniform.lookup(op.getWeights()), {head, h});
      Value term = arith::MulFOp::create(
          e, splat(e.convertFloat(weight, element), type), x);
      next = arith::AddFOp::create(e, before[0], term);
    }
    return {next, e.either(before[1], present)};
  };
  Value inits[] = {splat(nothing, typeOf(element, kEntries)),
                   splat(e.truth(false), typeOf(e.getI1Type(), kEntries))};
  SmallVector<Value> mixed = e.loop(first, end, 1, inits, add);
  set(op.getResult(), mixed[0], kEntries);
  set(op.getAny(), mixed[1], kEntries);
  return result;
}
