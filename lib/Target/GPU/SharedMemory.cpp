//===- SharedMemory.cpp - places for the buffers of a kernel --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

static constexpr int64_t kAlignment = 128;

int64_t gpu_target::countBytes(MemRefType type) {
  return type.getNumElements() *
         llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

MemRefType gpu_target::getFlagsType(gpu::GPUFuncOp kernel) {
  auto *context = kernel.getContext();
  int64_t warps = (*kernel.getKnownBlockSize())[0] / 32;
  return MemRefType::get(
      {1, warps}, IntegerType::get(context, 32), MemRefLayoutAttrInterface(),
      gpu::AddressSpaceAttr::get(context, gpu::AddressSpace::Workgroup));
}

int64_t gpu_target::countBufferBytes(Operation *op) {
  if (auto channel = dyn_cast<tile::ChannelOp>(op)) {
    return 2 * kBarrierBytes * static_cast<int64_t>(channel.getDepth());
  }
  auto shared = dyn_cast<tile::SharedOp>(op);
  return countBytes(shared
                        ? cast<MemRefType>(shared.getResult().getType())
                        : getFlagsType(op->getParentOfType<gpu::GPUFuncOp>()));
}

namespace {
/// Which ops of the kernel's own block a buffer is in use from and to.
struct Buffer {
  Operation *op;
  size_t number;
  int64_t bytes, first, last, place = 0;
};
} // namespace

/// Each goes to the first place that is free while it is in use.
SharedMemory
gpu_target::placeBuffers(gpu::GPUFuncOp kernel,
                         llvm::function_ref<int64_t(Operation *)> countBytes) {
  Block &block = kernel.getBody().front();
  DenseMap<Operation *, int64_t> order;
  SmallVector<Operation *> ops;
  for (Operation &op : block) {
    order[&op] = ops.size();
    ops.push_back(&op);
  }
  SmallVector<Buffer> buffers;
  kernel.walk([&](Operation *op) {
    auto channel = dyn_cast<tile::ChannelOp>(op);
    if (!isa<tile::SharedOp, tile::FiniteOp>(op) &&
        !(channel && channel.getRoles())) {
      return;
    }
    Buffer buffer = {op, buffers.size(), countBytes(op), int64_t(ops.size()),
                     0};
    auto use = [&](Operation *user) {
      int64_t at = order[block.findAncestorOpInBlock(*user)];
      buffer.first = std::min(buffer.first, at);
      buffer.last = std::max(buffer.last, at);
    };
    if (isa<tile::FiniteOp, tile::ChannelOp>(op)) {
      use(op);
    }
    for (Operation *user : op->getUsers()) {
      use(user);
      if (isa<tile::StageOp>(user)) {
        llvm::for_each(user->getUsers(), use);
      }
      if (auto channel = dyn_cast<tile::ChannelOp>(user)) {
        for (Operation *side : channel.getChannel().getUsers()) {
          use(side);
          llvm::for_each(side->getUsers(), use);
        }
      }
    }
    buffers.push_back(buffer);
  });
  llvm::sort(buffers, [](const Buffer &a, const Buffer &b) {
    return std::pair(a.first, a.number) < std::pair(b.first, b.number);
  });
  SharedMemory memory;
  for (size_t k = 0; k < buffers.size(); ++k) {
    Buffer &buffer = buffers[k];
    ArrayRef<Buffer> placed = ArrayRef(buffers).take_front(k);
    auto overlaps = [&](const Buffer &other) {
      return buffer.place < other.place + other.bytes &&
             other.place < buffer.place + buffer.bytes;
    };
    auto isTaken = [&](const Buffer &other) {
      return other.last >= buffer.first && overlaps(other);
    };
    for (const Buffer *other = llvm::find_if(placed, isTaken);
         other != placed.end(); other = llvm::find_if(placed, isTaken)) {
      buffer.place = llvm::alignTo(other->place + other->bytes, kAlignment);
    }
    if (llvm::any_of(placed, overlaps)) {
      memory.handovers.insert(ops[buffer.first]);
    }
    memory.places[buffer.op] = buffer.place;
    memory.bytes = std::max<int64_t>(
        memory.bytes, llvm::alignTo(buffer.place + buffer.bytes, kAlignment));
  }
  return memory;
}
