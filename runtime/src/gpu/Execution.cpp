//===- Execution.cpp - one call on a device -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The host cannot write into memory of the device, so that what is known of
// blocks is kept beside them, in a list that is as short as a program has
// buffers. Places in a workspace are those of section 5 of attn_module.h.
//
//===----------------------------------------------------------------------===//

#include "Execution.h"

#include "../Memory.h"
#include "../Status.h"
#include <algorithm>

using namespace attn;
using namespace attn::gpu;

attn_status Execution::begin(void *data, size_t bytes) {
  workspace = static_cast<unsigned char *>(data);
  workspaceBytes = data ? bytes : 0;
  status = current.getStatus();
  if (!status) {
    status = load(*function.program, device, loaded);
  }
  return status;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Execution::Block *Execution::takeFromWorkspace(size_t bytes) {
  if (bytes > workspaceBytes) {
    return nullptr;
  }
  size_t rounded = (bytes + kMemoryAlignment - 1) & ~(kMemoryAlignment - 1);
  for (Block *block = top; block; block = block->next) {
    if (block->isFree && block->bytes == rounded) {
      block->isFree = false;
      return block;
    }
  }
  unsigned char *next = top ? top->data + top->bytes : workspace;
  auto left = static_cast<size_t>(workspace + workspaceBytes - next);
  if (left < kMemoryAlignment || left - kMemoryAlignment < rounded) {
    return nullptr;
  }
  Block *block = create<Block>();
  if (block) {
    *block = {next + kMemoryAlignment, rounded, true, false, top};
    top = block;
  }
  return block;
}

attn_status Execution::takeFromDevice(size_t bytes, Block &block) {
  if (!device.hasMemoryPools) {
    return fail(ATTN_UNSUPPORTED,
                "%s device %d (%s) does not allocate in the order of a "
                "stream: give '%s' a workspace, and tensors for its results",
                device.driver->name, device.place.device_id, device.name,
                function.name);
  }
  Address address = 0;
  Outcome outcome =
      device.driver->allocateAsync(&address, bytes ? bytes : 1, stream);
  if (outcome.result == kOutOfMemory) {
    return fail(ATTN_OUT_OF_MEMORY,
                "out of memory: '%s' asked for %zu bytes more on %s device "
                "%d",
                function.name, bytes, device.driver->name,
                device.place.device_id);
  }
  block = {reinterpret_cast<unsigned char *>(address), bytes, false, false,
           blocks};
  return device.check(outcome);
}

void *Execution::allocate(size_t bytes) {
  Block *block = takeFromWorkspace(bytes);
  return block ? block->data : allocateOutsideOfWorkspace(bytes);
}

void *Execution::allocateOutsideOfWorkspace(size_t bytes) {
  if (status) {
    return nullptr;
  }
  Block *block = create<Block>();
  status =
      block ? takeFromDevice(bytes, *block) : failOutOfMemory(sizeof(Block));
  if (status) {
    destroy(block);
    return nullptr;
  }
  blocks = block;
  return block->data;
}

void Execution::destroyTop() {
  Block *block = top;
  top = top->next;
  destroy(block);
}

bool Execution::owns(const void *data) const {
  for (const Block *block = blocks; block; block = block->next) {
    if (block->data == data) {
      return true;
    }
  }
  return false;
}

bool Execution::detach(void *data) {
  for (Block **link = &blocks; *link; link = &(*link)->next) {
    if ((*link)->data == data) {
      Block *block = *link;
      *link = block->next;
      destroy(block);
      return true;
    }
  }
  return false;
}

void Execution::release(void *data) {
  for (Block *block = top; block; block = block->next) {
    if (block->data == data) {
      block->isFree = true;
      while (top && top->isFree) {
        destroyTop();
      }
      return;
    }
  }
  if (detach(data)) {
    Outcome outcome =
        device.driver->releaseAsync(reinterpret_cast<Address>(data), stream);
    if (status) {
      device.note(outcome); // the first sentence stays
    } else {
      status = device.check(outcome);
    }
  }
}

void Execution::releaseBlocks() {
  while (top) {
    destroyTop();
  }
  while (blocks) {
    release(blocks->data);
  }
}

attn_status Execution::copy(void *to, const void *from, size_t bytes) {
  return bytes ? device.check(device.driver->copyAsync(
                     reinterpret_cast<Address>(to),
                     reinterpret_cast<Address>(from), bytes, stream))
               : ATTN_OK;
}

void *Execution::getConstant(const void *source, size_t bytes) {
  void *data = nullptr;
  if (status) {
    return nullptr;
  }
  status =
      gpu::getConstant(*function.program, device, *loaded, source, bytes, data);
  return data;
}

bool Execution::read(void *to, const void *from, size_t bytes) {
  if (status) {
    return false;
  }
  status = copy(to, from, bytes);
  if (status) {
    return false;
  }
  Outcome outcome = device.driver->synchronizeStream(stream);
  status =
      outcome.result == kCaptureUnsupported
          ? fail(ATTN_UNSUPPORTED,
                 "'%s' waits for %s device %d where sizes or bounds "
                 "depend on data, so that graphs cannot capture it",
                 function.name, device.driver->name, device.place.device_id)
          : device.check(outcome);
  return !status;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

bool Execution::launch(uint32_t index, const int64_t *sizes, void **arguments) {
  constexpr int kNumSizes = 7;
  // Of sm_50 and later, and of AMD's: grids along x, y, z, then blocks, then
  // shared memory.
  static constexpr int64_t kLimits[kNumSizes] = {
      INT32_MAX, 65535, 65535, 1024, 1024, 64, INT32_MAX};
  if (status) {
    return false;
  }
  if (index >= function.program->kernels.count) {
    status = fail(ATTN_DAMAGED, "'%s' launches kernel %u of %u", function.name,
                  index, function.program->kernels.count);
    return false;
  }
  const char *name = function.program->kernels[index].name;
  unsigned numbers[kNumSizes];
  for (int i = 0; i < kNumSizes; ++i) {
    int64_t least = i + 1 < kNumSizes ? 1 : 0, most = kLimits[i];
    if (i == 0 && sizes[3] > 0) {
      most = std::min(most, device.driver->mostThreads / sizes[3]);
    }
    if (sizes[i] < least || sizes[i] > most) {
      status =
          fail(ATTN_UNSUPPORTED,
               "the extents given to '%s' are too large for %s device %d: "
               "kernel '%s' would have a size of %lld, at most %lld can be",
               function.name, device.driver->name, device.place.device_id, name,
               static_cast<long long>(sizes[i]), static_cast<long long>(most));
      return false;
    }
    numbers[i] = static_cast<unsigned>(sizes[i]);
  }
  status = device.check(
      device.driver->launch(loaded->kernels[index], numbers[0], numbers[1],
                            numbers[2], numbers[3], numbers[4], numbers[5],
                            numbers[6], stream, arguments, nullptr),
      name);
  return !status;
}

//===----------------------------------------------------------------------===//
// What generated code calls
//===----------------------------------------------------------------------===//

void attn_device_launch(uint32_t kernel, const int64_t *sizes,
                        void **arguments) {
  Frame *frame = getCurrentFrame();
  if (frame && frame->device &&
      !frame->device->launch(kernel, sizes, arguments)) {
    leaveFrame(*frame);
  }
}

void *attn_device_constant(const void *source, size_t bytes) {
  Frame *frame = getCurrentFrame();
  if (!frame || !frame->device) {
    return nullptr;
  }
  void *data = frame->device->getConstant(source, bytes);
  if (!data) {
    leaveFrame(*frame);
  }
  return data;
}

void attn_device_read(void *to, const void *from, size_t bytes) {
  Frame *frame = getCurrentFrame();
  if (frame && frame->device && !frame->device->read(to, from, bytes)) {
    leaveFrame(*frame);
  }
}
