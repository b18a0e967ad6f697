//===- Channels.cpp - channels between the threads of a block -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   %p1 = tile.commit %channel[%p]
//   %now = tile.wait %channel[%c] later(1)
//   ->
//   nvvm.cp.async.commit.group
//   nvvm.cp.async.wait.group 1
//   gpu.barrier
//
// Devices without asynchronous copies have the barriers alone. Between roles
// (MBarriers.cpp) a stage has two barriers in shared memory instead: one at
// which the producer arrives with its copies, and one at which the consumer's
// warps do when they are done with it.
//
//===----------------------------------------------------------------------===//

#include "Distribute.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// Those that control flow hands on; ops of channels lower their own.
void Distributor::replacePositions() {
  auto replace = [&](Value value) {
    if (isa<tile::PositionType>(value.getType())) {
      value.setType(e.getIndexType());
    }
  };
  function.walk([&](Operation *op) {
    for (Region &region : op->getRegions()) {
      for (Block &block : region) {
        llvm::for_each(block.getArguments(), replace);
      }
    }
    if (isa<scf::ForOp, scf::IfOp>(op)) {
      llvm::for_each(op->getResults(), replace);
    }
  });
}

SmallVector<Value> Distributor::getMatrices(tile::ChannelOp channel,
                                            Value position) {
  if (channel.getDepth() == 1) {
    return SmallVector<Value>(channel.getRings());
  }
  Value stage =
      channel.getRoles() ? getPlace(channel, position).stage : position;
  return llvm::map_to_vector(channel.getRings(), [&](Value ring) -> Value {
    MemRefType type = tile::getMatrix(cast<MemRefType>(ring.getType()));
    return viewBuffer(ring.getDefiningOp(), type,
                      e.mul(stage, countBytes(type)));
  });
}

Value Distributor::getNext(tile::ChannelOp channel, Value position) {
  int64_t rounds = channel.getRoles() ? 2 : 1;
  int64_t count = rounds * static_cast<int64_t>(channel.getDepth());
  if (count == 1) {
    return position;
  }
  Value further = e.add(position, 1);
  Value end = e.index(count);
  return e.select(e.equal(further, end), e.index(0), further);
}

// Positions are of another type by now than accessors expect.
template <typename Op> static Value getPosition(Op op) {
  return op.getPositionMutable().get();
}
template <typename Op> static tile::ChannelOp getChannel(Op op) {
  return op.getChannel().template getDefiningOp<tile::ChannelOp>();
}

void Distributor::lower(tile::ChannelOp op) {
  if (op.getRoles()) {
    makeBarriers(op);
  }
  op.getFirst().replaceAllUsesWith(e.index(0));
}

void Distributor::lower(tile::AcquireOp op) {
  tile::ChannelOp channel = getChannel(op);
  if (channel.getRoles()) {
    return acquireAsProducer(op);
  }
  if (channel.getDepth() == 1) {
    meet(); // readers of the tile before are done
  }
  op->replaceAllUsesWith(getMatrices(channel, getPosition(op)));
}

void Distributor::lower(tile::CommitOp op) {
  if (getChannel(op).getRoles()) {
    commitAsProducer(getChannel(op), getPosition(op));
  } else if (device.copiesAsync) {
    NVVM::CpAsyncCommitGroupOp::create(e);
  }
  op->replaceAllUsesWith(ValueRange{getNext(getChannel(op), getPosition(op))});
}

void Distributor::lower(tile::WaitOp op) {
  auto wait = [&] {
    if (getChannel(op).getRoles()) {
      return waitAsConsumer(getChannel(op), getPosition(op));
    }
    if (device.copiesAsync) {
      NVVM::CpAsyncWaitGroupOp::create(e, op.getLater());
    }
    meet();
  };
  if (op.getNeeded()) {
    e.ifThen(op.getNeeded(), wait);
  } else {
    wait();
  }
  op->replaceAllUsesWith(getMatrices(getChannel(op), getPosition(op)));
}

void Distributor::lower(tile::ReleaseOp op) {
  if (getChannel(op).getRoles()) {
    releaseAsConsumer(getChannel(op), getPosition(op));
  }
  op->replaceAllUsesWith(ValueRange{getNext(getChannel(op), getPosition(op))});
}
