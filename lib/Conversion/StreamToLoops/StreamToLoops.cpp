//===- StreamToLoops.cpp - streams as plain scalar loops ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The second oracle: what a stream means, one row and one key at a time,
// without tiles, packing or vectors (rows of features aside). It separates
// errors of the planner, which this lowering shows, from those of a target.
//
//   attn.stream rows (%b, %h, %i) in [%B, %H, %M] over %n = %N ... {
//     %m, %l = attn.sweep %j = %lo to %hi { ... }
//     attn.store_row %x
//   }
// becomes
//   scf.for %b = 0 to %B { scf.for %h = 0 to %H { scf.for %i = 0 to %M {
//     %r:2 = scf.for %j = %lo to %hi iter_args(%m, %l) { ... }
//     memref.store %x, %out[%b, %h, %i]
//   } } }
//
//===----------------------------------------------------------------------===//

#include "Selection.h"

namespace mlir::attn {
#define GEN_PASS_DEF_STREAMTOLOOPSPASS
#include "attn/Conversion/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::loops;

/// One-shot-bufferize casts buffers to the dynamic layout of stream inputs; the
/// layout before the cast may be a better one.
static Value skipCasts(Value buffer) {
  while (auto cast = buffer.getDefiningOp<memref::CastOp>()) {
    auto from = dyn_cast<MemRefType>(cast.getSource().getType());
    auto to = dyn_cast<MemRefType>(cast.getType());
    if (!from || !to || from.getShape() != to.getShape()) {
      break;
    }
    buffer = cast.getSource();
  }
  return buffer;
}

static LogicalResult checkOnBuffers(StreamOp stream) {
  for (Value operand : stream->getOperands()) {
    if (isa<RankedTensorType>(operand.getType())) {
      return stream.emitOpError() << "works on tensors; attn-bufferize-streams "
                                     "gives it memrefs";
    }
  }
  return success();
}

void attn::loops::lowerRow(
    StreamOp stream, bool useBounds,
    function_ref<SmallVector<Value>(OpBuilder &)> enterRow) {
  stream.walk([&](SweepOp sweep) {
    // Tiles of a driven sweep speak of listed keys; here all are visited.
    if (getDriver(sweep)) {
      sweep.getTiles().getBlocks().clear();
    }
  });
  expandJoinedRows(stream);
  // Tallies are stored as they grow.
  SmallVector<bool> tallies;
  for (Value value : stream.getStoreRow().getValues()) {
    tallies.push_back(isa<TallyType>(value.getType()));
  }
  expandRowAccesses(stream);
  // Those in a stencil or a mixture are copies by now.
  SmallVector<SweepOp> sweeps;
  stream.walk([&](SweepOp sweep) { sweeps.push_back(sweep); });
  for (SweepOp sweep : sweeps) {
    lowerSweep(sweep, useBounds);
  }

  OpBuilder builder(stream);
  SmallVector<Value> replacements = enterRow(builder);
  Block *target = builder.getInsertionBlock();
  Block::iterator place = builder.getInsertionPoint();
  replacements.push_back(stream.getExtent());
  llvm::append_range(replacements, stream.getInputs());

  StoreRowOp store = stream.getStoreRow();
  builder.setInsertionPoint(store);
  Block &body = stream.getBody().front();
  SmallVector<Value> bodyIndices{stream.getBatchArg(), stream.getHeadArg(),
                                 stream.getRowArg()};
  for (auto [value, output, tally] :
       llvm::zip(store.getValues(), stream.getOutputs(), tallies)) {
    if (tally) {
      continue;
    }
    storeElementOrRow(builder, store.getLoc(), value, skipCasts(output),
                      bodyIndices);
  }
  store.erase();
  for (auto [arg, value] : llvm::zip(body.getArguments(), replacements)) {
    arg.replaceAllUsesWith(value);
  }
  target->getOperations().splice(place, body.getOperations());
  stream.erase();
}

static void lowerStream(StreamOp stream, bool useBounds) {
  Location loc = stream.getLoc();
  lowerRow(stream, useBounds, [&](OpBuilder &builder) {
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    SmallVector<Value> place;
    for (Value size :
         {stream.getBatch(), stream.getHeads(), stream.getRows()}) {
      auto loop = scf::ForOp::create(builder, loc, zero, size, one);
      place.push_back(loop.getInductionVar());
      builder.setInsertionPointToStart(loop.getBody());
    }
    return place;
  });
}

namespace {
struct StreamToLoopsPass
    : attn::impl::StreamToLoopsPassBase<StreamToLoopsPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<StreamOp> streams;
    getOperation()->walk([&](StreamOp stream) { streams.push_back(stream); });
    for (StreamOp stream : streams) {
      if (failed(checkOnBuffers(stream))) {
        return signalPassFailure();
      }
    }
    for (StreamOp stream : streams) {
      for (auto [k, input] : llvm::enumerate(stream.getInputsMutable())) {
        input.set(skipCasts(input.get()));
        stream.getInputArg(k).setType(input.get().getType());
      }
      lowerStream(stream, useBounds);
    }
  }
};
} // namespace
