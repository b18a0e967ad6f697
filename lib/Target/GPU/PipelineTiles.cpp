//===- PipelineTiles.cpp - attn-pipeline-tiles ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over tiles brings those that come next while it computes on one. What
// it brings goes through a channel of `stages` stages:
//
//   for the first stages - 1 tiles: acquire p; bring the tile; p = commit
//   for key, p, c:
//     wait c, if this tile, or the one stages - 1 further on, is needed
//     acquire p; bring the one further on, if it is needed; p = commit
//     if this one is needed: compute on what was waited for
//     c = release
//
// A channel of one stage is a loop that waits for what it has just asked for.
//
// With roles, the loop is there twice, with a channel between the two:
//
//   tile.roles producer:           consumer: all of the kernel, and its loop
//     for key, p:                    for key, c:
//       if this tile is needed:        if this tile is needed:
//         acquire p; bring it            wait c; compute on it
//         p = commit                     c = release
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"
#include "TileRoles.h"
#include "attn/Support/Emit.h"
#include "attn/Target/GPU/Device.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::attn {
#define GEN_PASS_DEF_PIPELINETILESPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// What the hardware keeps for itself of each block.
static constexpr int64_t kReservedBytes = 1024;
static constexpr int64_t kMaxStages = 3;
/// What the barriers of a channel between roles take, with what aligns them.
static constexpr int64_t kChannelBytes = 128;

namespace {

/// One tile.visit as a loop.
class Pipeline {
public:
  Pipeline(tile::VisitOp op, int64_t stages)
      : op(op), stages(stages), e(op.getLoc(), op) {}

  void lower();
  /// As a loop of each role: `known` has what the producer's copies of ops are.
  void lower(tile::RolesOp roles, const IRMapping &known);

private:
  /// Makes the rings and the channel, where `e` is.
  void makeChannel();
  void eraseMatrices();
  SmallVector<Value> copy(Region &region, ValueRange arguments);
  void bring(Value key, Value position);
  Value isNeeded(Value key);
  SmallVector<Value> compute(Value key, ValueRange matrices, ValueRange values);
  SmallVector<Value> loopInPlace();
  SmallVector<Value> loopAhead();
  void loopOfProducer();
  SmallVector<Value> loopOfConsumer();

  tile::VisitOp op;
  int64_t stages;
  Emit e;
  tile::ChannelOp channel;
  IRMapping outer; // where the loop is not where the visit is
};

struct PipelineTilesPass
    : attn::impl::PipelineTilesPassBase<PipelineTilesPass> {
  using Base::Base;
  void runOnOperation() override;
  int64_t chooseStages(ArrayRef<tile::VisitOp> visits) const;
};

} // namespace

SmallVector<Value> Pipeline::copy(Region &region, ValueRange arguments) {
  IRMapping map = outer;
  map.map(region.getArguments(), arguments);
  for (Operation &inner : region.front().without_terminator()) {
    e.clone(inner, map);
  }
  return llvm::map_to_vector(
      region.front().getTerminator()->getOperands(),
      [&](Value value) -> Value { return map.lookupOrDefault(value); });
}

/// To the stage at `position`.
void Pipeline::bring(Value key, Value position) {
  auto to = tile::AcquireOp::create(e, channel, position);
  SmallVector<Value> arguments = {key};
  llvm::append_range(arguments, to.getMatrices());
  copy(op.getBring(), arguments);
}

Value Pipeline::isNeeded(Value key) { return copy(op.getNeeded(), key)[0]; }

SmallVector<Value> Pipeline::compute(Value key, ValueRange matrices,
                                     ValueRange values) {
  SmallVector<Value> arguments = {key};
  llvm::append_range(arguments, matrices);
  llvm::append_range(arguments, values);
  return copy(op.getBody(), arguments);
}

SmallVector<Value> Pipeline::loopInPlace() {
  if (op.getRings().empty()) {
    return e.loop(op.getLower(), op.getUpper(), op.getStep(), op.getInits(),
                  [&](Value key, ValueRange values) {
                    return e.ifValues(
                        isNeeded(key), op.getResultTypes(),
                        [&] { return compute(key, {}, values); },
                        [&] { return SmallVector<Value>(values); });
                  });
  }
  SmallVector<Value> inits(op.getInits());
  inits.append(2, channel.getFirst());
  SmallVector<Type> types(ValueRange(inits).getTypes());
  SmallVector<Value> results =
      e.loop(op.getLower(), op.getUpper(), op.getStep(), inits,
             [&](Value key, ValueRange carried) {
               Value to = carried[carried.size() - 2], from = carried.back();
               return e.ifValues(
                   isNeeded(key), types,
                   [&] {
                     bring(key, to);
                     Value brought = tile::CommitOp::create(e, channel, to);
                     auto now =
                         tile::WaitOp::create(e, channel, from, /*later=*/0);
                     SmallVector<Value> next =
                         compute(key, now.getMatrices(), carried.drop_back(2));
                     Value read = tile::ReleaseOp::create(e, channel, from);
                     next.append({brought, read});
                     return next;
                   },
                   [&] { return SmallVector<Value>(carried); });
             });
  results.pop_back_n(2);
  return results;
}

SmallVector<Value> Pipeline::loopAhead() {
  Value lower = op.getLower(), upper = op.getUpper();
  int64_t step = op.getStep(), ahead = stages - 1;
  auto isWanted = [&](Value key) {
    return e.ifValue(
        e.less(key, upper), e.getI1Type(), [&] { return isNeeded(key); },
        [&] { return e.truth(false); });
  };
  Value position = channel.getFirst();
  for (int64_t k = 0; k < ahead; ++k) {
    Value key = e.add(lower, k * step);
    e.ifThen(isWanted(key), [&] { bring(key, position); });
    position = tile::CommitOp::create(e, channel, position);
  }
  SmallVector<Value> inits(op.getInits());
  inits.append({position, channel.getFirst()});
  SmallVector<Value> results =
      e.loop(lower, upper, step, inits, [&](Value key, ValueRange carried) {
        ValueRange values = carried.drop_back(2);
        Value to = carried[values.size()], from = carried.back();
        Value here = isNeeded(key), later = e.add(key, ahead * step);
        Value wanted = isWanted(later);
        auto now = tile::WaitOp::create(e, channel, from, ahead - 1,
                                        e.either(here, wanted));
        e.ifThen(wanted, [&] { bring(later, to); });
        // Also where it is empty: waits count stages.
        Value brought = tile::CommitOp::create(e, channel, to);
        SmallVector<Value> next = e.ifValues(
            here, op.getResultTypes(),
            [&] { return compute(key, now.getMatrices(), values); },
            [&] { return SmallVector<Value>(values); });
        Value read = tile::ReleaseOp::create(e, channel, from);
        next.append({brought, read});
        return next;
      });
  results.pop_back_n(2);
  return results;
}

/// Both roles skip the same tiles.
void Pipeline::loopOfProducer() {
  Type position = channel.getFirst().getType();
  e.loop(outer.lookupOrDefault(op.getLower()),
         outer.lookupOrDefault(op.getUpper()), op.getStep(), channel.getFirst(),
         [&](Value key, ValueRange carried) {
           return e.ifValues(
               isNeeded(key), position,
               [&] {
                 bring(key, carried[0]);
                 Value next = tile::CommitOp::create(e, channel, carried[0]);
                 return SmallVector<Value>{next};
               },
               [&] { return SmallVector<Value>(carried); });
         });
}

SmallVector<Value> Pipeline::loopOfConsumer() {
  SmallVector<Value> inits(op.getInits());
  inits.push_back(channel.getFirst());
  SmallVector<Type> types(ValueRange(inits).getTypes());
  SmallVector<Value> results =
      e.loop(op.getLower(), op.getUpper(), op.getStep(), inits,
             [&](Value key, ValueRange carried) {
               return e.ifValues(
                   isNeeded(key), types,
                   [&] {
                     auto now = tile::WaitOp::create(e, channel, carried.back(),
                                                     stages - 1);
                     SmallVector<Value> next =
                         compute(key, now.getMatrices(), carried.drop_back());
                     next.push_back(
                         tile::ReleaseOp::create(e, channel, carried.back()));
                     return next;
                   },
                   [&] { return SmallVector<Value>(carried); });
             });
  results.pop_back();
  return results;
}

void Pipeline::makeChannel() {
  SmallVector<Value> rings(op.getRings());
  if (stages > 1) {
    for (Value &ring : rings) {
      auto type = cast<MemRefType>(ring.getType());
      SmallVector<int64_t> shape = {stages};
      llvm::append_range(shape, type.getShape());
      OpBuilder::InsertionGuard guard(e);
      e.setInsertionPointAfter(ring.getDefiningOp());
      ring = tile::SharedOp::create(
          e,
          MemRefType::get(shape, type.getElementType(),
                          MemRefLayoutAttrInterface(), type.getMemorySpace()));
    }
  }
  channel = tile::ChannelOp::create(e, stages, rings);
}

void Pipeline::eraseMatrices() {
  SmallVector<Value> matrices(op.getRings());
  op.erase();
  for (Value matrix : matrices) {
    if (matrix.use_empty()) {
      matrix.getDefiningOp()->erase();
    }
  }
}

void Pipeline::lower() {
  if (op.getRings().empty()) {
    stages = 1; // nothing to bring
  } else {
    makeChannel();
  }
  op->replaceAllUsesWith(stages == 1 ? loopInPlace() : loopAhead());
  eraseMatrices();
}

void Pipeline::lower(tile::RolesOp roles, const IRMapping &known) {
  if (op.getRings().empty()) {
    return lower();
  }
  e.setInsertionPoint(roles);
  makeChannel();
  e.setInsertionPoint(op);
  op->replaceAllUsesWith(loopOfConsumer());
  outer = known;
  e.setInsertionPointToEnd(&roles.getProducer().front());
  loopOfProducer();
  eraseMatrices();
}

/// As many as leave room for two blocks on a multiprocessor, which hide what
/// is left of each other's waiting; else two, if a block has room for them.
int64_t PipelineTilesPass::chooseStages(ArrayRef<tile::VisitOp> visits) const {
  if (stages > 0) {
    return stages;
  }
  DenseSet<Operation *> rings;
  for (tile::VisitOp visit : visits) {
    for (Value ring : visit.getRings()) {
      rings.insert(ring.getDefiningOp());
    }
  }
  auto kernel = visits.front()->getParentOfType<gpu::GPUFuncOp>();
  auto takes = [&](int64_t count) {
    int64_t bytes =
        placeBuffers(kernel, [&](Operation *op) {
          return countBufferBytes(op) * (rings.contains(op) ? count : 1);
        }).bytes;
    return bytes +
           (roles ? kChannelBytes * static_cast<int64_t>(visits.size()) : 0);
  };
  for (int64_t count = kMaxStages; count > 1; --count) {
    if (2 * (takes(count) + kReservedBytes) <= multiprocessorBytes) {
      return count;
    }
  }
  return takes(2) <= blockBytes ? 2 : 1;
}

void PipelineTilesPass::runOnOperation() {
  if (roles) {
    FailureOr<const Device *> device = getDevice(getOperation(), chip);
    if (failed(device)) {
      return signalPassFailure();
    }
    if ((*device)->vendor == Vendor::AMD) {
      getOperation().emitError()
          << "warps have no roles on '" << chip
          << "': they hand on tiles through barriers in shared memory, which "
             "AMD's GPUs do not have";
      return signalPassFailure();
    }
  }
  getOperation().walk([&](gpu::GPUFuncOp function) {
    SmallVector<tile::VisitOp> visits;
    function.walk([&](tile::VisitOp op) { visits.push_back(op); });
    if (visits.empty()) {
      return;
    }
    TileRoles split;
    if (roles) {
      split = splitRoles(function, visits);
    }
    int64_t count = chooseStages(visits);
    for (tile::VisitOp op : visits) {
      Pipeline pipeline(op, count);
      split.op ? pipeline.lower(split.op, split.known) : pipeline.lower();
    }
  });
}
