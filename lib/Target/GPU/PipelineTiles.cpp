//===- PipelineTiles.cpp - attn-pipeline-tiles ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over tiles brings those that come next while it computes on one. Each
// matrix becomes a ring of `stages` of them:
//
//   for stage s of the first stages - 1 tiles: bring tile to s; commit
//   for key, s = 0:
//     if this tile, or the one stages - 1 further on, is needed:
//       wait until stages - 2 groups are pending; barrier
//       bring the one further on, to the stage of the tile before; commit
//     if this one is needed: compute on stage s
//     s = s + 1, or 0
//
// The one barrier says both that all threads see the tile and that all are done
// with the one before. The position in the ring is a value of the loop: one
// that is computed from the key breaks as soon as somebody peels off a tile. A
// ring of one is a loop that waits for what it has just asked for.
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"
#include "attn/Support/Emit.h"
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

namespace {

/// One tile.visit as a loop.
class Pipeline {
public:
  Pipeline(tile::VisitOp op, int64_t stages)
      : op(op), stages(stages), e(op.getLoc(), op) {}

  void lower();

private:
  SmallVector<Value> copy(Region &region, ValueRange arguments);
  SmallVector<Value> getMatrices(Value stage);
  void bring(Value key, Value stage);
  Value isNeeded(Value key);
  SmallVector<Value> compute(Value key, Value stage, ValueRange values);
  SmallVector<Value> loopInPlace();
  SmallVector<Value> loopAhead();

  tile::VisitOp op;
  int64_t stages;
  Emit e;
  SmallVector<Value> rings;
};

struct PipelineTilesPass
    : attn::impl::PipelineTilesPassBase<PipelineTilesPass> {
  using Base::Base;
  void runOnOperation() override;
  int64_t chooseStages(ArrayRef<tile::VisitOp> visits) const;
};

} // namespace

SmallVector<Value> Pipeline::copy(Region &region, ValueRange arguments) {
  IRMapping map;
  map.map(region.getArguments(), arguments);
  for (Operation &inner : region.front().without_terminator()) {
    e.clone(inner, map);
  }
  return llvm::map_to_vector(
      region.front().getTerminator()->getOperands(),
      [&](Value value) -> Value { return map.lookupOrDefault(value); });
}

/// The arguments of regions but the key: the matrices of a stage.
SmallVector<Value> Pipeline::getMatrices(Value stage) {
  return llvm::map_to_vector(rings, [&](Value ring) -> Value {
    return stages == 1 ? ring : tile::StageOp::create(e, ring, stage);
  });
}

void Pipeline::bring(Value key, Value stage) {
  SmallVector<Value> arguments = {key};
  llvm::append_range(arguments, getMatrices(stage));
  copy(op.getBring(), arguments);
}

Value Pipeline::isNeeded(Value key) { return copy(op.getNeeded(), key)[0]; }

SmallVector<Value> Pipeline::compute(Value key, Value stage,
                                     ValueRange values) {
  SmallVector<Value> arguments = {key};
  llvm::append_range(arguments, getMatrices(stage));
  llvm::append_range(arguments, values);
  return copy(op.getBody(), arguments);
}

SmallVector<Value> Pipeline::loopInPlace() {
  return e.loop(op.getLower(), op.getUpper(), op.getStep(), op.getInits(),
                [&](Value key, ValueRange values) {
                  return e.ifValues(
                      isNeeded(key), op.getResultTypes(),
                      [&] {
                        if (!rings.empty()) {
                          gpu::BarrierOp::create(
                              e); // readers of the tile before are done
                          bring(key, Value());
                          tile::CommitOp::create(e);
                          tile::WaitOp::create(e, 0);
                          gpu::BarrierOp::create(e);
                        }
                        return compute(key, Value(), values);
                      },
                      [&] { return SmallVector<Value>(values); });
                });
}

SmallVector<Value> Pipeline::loopAhead() {
  Value lower = op.getLower(), upper = op.getUpper(), zero = e.index(0);
  int64_t step = op.getStep(), ahead = stages - 1;
  auto isWanted = [&](Value key) {
    return e.ifValue(
        e.less(key, upper), e.getI1Type(), [&] { return isNeeded(key); },
        [&] { return e.truth(false); });
  };
  for (int64_t k = 0; k < ahead; ++k) {
    Value key = e.add(lower, k * step);
    e.ifThen(isWanted(key), [&] { bring(key, e.index(k)); });
    tile::CommitOp::create(e);
  }
  SmallVector<Value> inits(op.getInits());
  inits.push_back(zero);
  SmallVector<Value> results =
      e.loop(lower, upper, step, inits, [&](Value key, ValueRange carried) {
        ValueRange values = carried.drop_back();
        Value stage = carried.back();
        Value here = isNeeded(key), later = e.add(key, ahead * step);
        Value wanted = isWanted(later);
        e.ifThen(e.either(here, wanted), [&] {
          tile::WaitOp::create(e, ahead - 1);
          gpu::BarrierOp::create(e);
          e.ifThen(wanted, [&] {
            Value before =
                e.select(e.equal(stage, zero), e.index(ahead), e.sub(stage, 1));
            bring(later, before);
          });
        });
        // Also where it is empty: waits count groups.
        tile::CommitOp::create(e);
        SmallVector<Value> next = e.ifValues(
            here, op.getResultTypes(),
            [&] { return compute(key, stage, values); },
            [&] { return SmallVector<Value>(values); });
        Value further = e.add(stage, 1);
        next.push_back(
            e.select(e.equal(further, e.index(stages)), zero, further));
        return next;
      });
  results.pop_back();
  return results;
}

void Pipeline::lower() {
  rings.assign(op.getRings().begin(), op.getRings().end());
  if (rings.empty()) {
    stages = 1; // nothing to bring
  }
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
  SmallVector<Value> results = stages == 1 ? loopInPlace() : loopAhead();
  op->replaceAllUsesWith(results);
  SmallVector<Value> matrices(op.getRings());
  op.erase();
  for (Value matrix : matrices) {
    if (matrix.use_empty()) {
      matrix.getDefiningOp()->erase();
    }
  }
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
    return placeBuffers(kernel,
                        [&](Operation *op) {
                          return countBufferBytes(op) *
                                 (rings.contains(op) ? count : 1);
                        })
        .bytes;
  };
  for (int64_t count = kMaxStages; count > 1; --count) {
    if (2 * (takes(count) + kReservedBytes) <= multiprocessorBytes) {
      return count;
    }
  }
  return takes(2) <= blockBytes ? 2 : 1;
}

void PipelineTilesPass::runOnOperation() {
  getOperation().walk([&](gpu::GPUFuncOp function) {
    SmallVector<tile::VisitOp> visits;
    function.walk([&](tile::VisitOp op) { visits.push_back(op); });
    if (visits.empty()) {
      return;
    }
    int64_t count = chooseStages(visits);
    for (tile::VisitOp op : visits) {
      Pipeline(op, count).lower();
    }
  });
}
