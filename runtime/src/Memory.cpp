//===- Memory.cpp - memory of compiled programs ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks are chained to the frame that took them, behind a header:
//
//   | links, in 64 bytes | the block |
//
// In a workspace the line before a block says how large it is, whether it is in
// use, and what lies below it.
//
// A frame and its chain belong to one thread; no lock is needed.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include "gpu/Execution.h"
#include <cstdlib>
#include <new>

using namespace attn;

struct attn::Block {
  Block *next;
  /// What points to this block, or null outside of a frame.
  Block **link;
};

static_assert(sizeof(Block) <= kMemoryAlignment);

namespace {
thread_local Frame *currentFrame = nullptr;

void *getData(Block *block) {
  return reinterpret_cast<unsigned char *>(block) + kMemoryAlignment;
}

Block *getBlock(void *data) {
  return reinterpret_cast<Block *>(static_cast<unsigned char *>(data) -
                                   kMemoryAlignment);
}

void unlink(Block *block) {
  if (block->link) {
    *block->link = block->next;
    if (block->next) {
      block->next->link = block->link;
    }
    block->link = nullptr;
  }
}

Block *allocateBlock(size_t bytes) {
  size_t total = 0;
  if (__builtin_add_overflow(bytes, 2 * kMemoryAlignment - 1, &total)) {
    return nullptr;
  }
  return static_cast<Block *>(
      std::aligned_alloc(kMemoryAlignment, total & ~(kMemoryAlignment - 1)));
}

} // namespace

//===----------------------------------------------------------------------===//
// Workspaces
//===----------------------------------------------------------------------===//

static size_t alignUp(size_t bytes) {
  return (bytes + kMemoryAlignment - 1) & ~(kMemoryAlignment - 1);
}

struct Workspace::Piece {
  Piece *below;
  /// Without this line; a multiple of it.
  size_t bytes;
  bool isFree;

  unsigned char *getData() {
    return reinterpret_cast<unsigned char *>(this) + kMemoryAlignment;
  }
};

void *Workspace::take(size_t size) {
  static_assert(sizeof(Piece) <= kMemoryAlignment);
  if (size > bytes) {
    return nullptr;
  }
  size_t rounded = alignUp(size);
  for (Piece *piece = top; piece; piece = piece->below) {
    if (piece->isFree && piece->bytes == rounded) {
      piece->isFree = false;
      return piece->getData();
    }
  }
  unsigned char *next = top ? top->getData() + top->bytes : data;
  auto left = static_cast<size_t>(data + bytes - next);
  if (left < kMemoryAlignment || left - kMemoryAlignment < rounded) {
    return nullptr;
  }
  auto *piece = reinterpret_cast<Piece *>(next);
  *piece = {top, rounded, false};
  top = piece;
  return piece->getData();
}

void Workspace::give(void *pointer) {
  auto *piece = reinterpret_cast<Piece *>(
      static_cast<unsigned char *>(pointer) - kMemoryAlignment);
  piece->isFree = true;
  while (top && top->isFree) {
    top = top->below;
  }
}

std::atomic<bool> *ThreadWorkspaces::getFlag(size_t index) const {
  return reinterpret_cast<std::atomic<bool> *>(data + index * getBytes(bytes));
}

ThreadWorkspaces::ThreadWorkspaces(unsigned char *data, size_t bytes,
                                   size_t count)
    : data(data), bytes(bytes), count(count) {
  for (size_t i = 0; i < count; ++i) {
    new (getFlag(i)) std::atomic<bool>(false);
  }
}

Workspace ThreadWorkspaces::acquire() {
  // The one that this thread had last has what it needs in its caches.
  static thread_local size_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    size_t index = (last + i) % count;
    std::atomic<bool> *flag = getFlag(index);
    if (!flag->load(std::memory_order_relaxed) &&
        !flag->exchange(true, std::memory_order_acquire)) {
      last = index;
      return {reinterpret_cast<unsigned char *>(flag) + kMemoryAlignment,
              bytes};
    }
  }
  return {};
}

void ThreadWorkspaces::release(const Workspace &workspace) {
  if (workspace.getData()) {
    reinterpret_cast<std::atomic<bool> *>(workspace.getData() -
                                          kMemoryAlignment)
        ->store(false, std::memory_order_release);
  }
}

//===----------------------------------------------------------------------===//
// Frames
//===----------------------------------------------------------------------===//

Frame *attn::getCurrentFrame() { return currentFrame; }

bool attn::runInFrame(Frame &frame, void (*fn)(void *args), void *args) {
  Frame *volatile outer = currentFrame;
  currentFrame = &frame;
  bool completed = setjmp(frame.exit) == 0;
  if (completed) {
    fn(args);
  }
  currentFrame = outer;
  if (!completed) {
    releaseBlocks(frame);
  }
  return completed;
}

void attn::leaveFrame(Frame &frame) { std::longjmp(frame.exit, 1); }

void attn::detachBlock(Frame &frame, void *data) {
  if (data && !frame.workspace.contains(data)) {
    unlink(getBlock(data));
  }
}

void attn::releaseBlocks(Frame &frame) {
  while (frame.blocks) {
    Block *block = frame.blocks;
    unlink(block);
    std::free(block);
  }
}

void *attn::allocateOutsideOfCalls(size_t bytes) {
  Block *block = allocateBlock(bytes);
  if (!block) {
    return nullptr;
  }
  block->next = nullptr;
  block->link = nullptr;
  return getData(block);
}

void *attn_malloc(size_t bytes) {
  Frame *frame = currentFrame;
  if (frame && frame->device) {
    void *data = frame->device->allocate(bytes);
    return data ? data : (leaveFrame(*frame), nullptr);
  }
  if (void *data = frame ? frame->workspace.take(bytes) : nullptr) {
    return data;
  }
  void *data = allocateOutsideOfCalls(bytes);
  if (!frame) {
    return data;
  }
  if (!data) {
    frame->missingBytes->store(bytes, std::memory_order_relaxed);
    leaveFrame(*frame);
  }
  Block *block = getBlock(data);
  block->next = frame->blocks;
  block->link = &frame->blocks;
  if (block->next) {
    block->next->link = &block->next;
  }
  frame->blocks = block;
  return data;
}

void attn_free(void *data) {
  if (!data) {
    return;
  }
  if (currentFrame && currentFrame->device) {
    return currentFrame->device->release(data);
  }
  if (currentFrame && currentFrame->workspace.contains(data)) {
    return currentFrame->workspace.give(data);
  }
  Block *block = getBlock(data);
  unlink(block);
  std::free(block);
}
