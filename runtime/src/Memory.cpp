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
// A frame and its chain belong to one thread; no lock is needed.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include "Status.h"
#include <cstdlib>

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

/// Room in the workspace, or null.
void *takeFromWorkspace(Workspace &workspace, size_t bytes) {
  if (bytes > workspace.bytes - workspace.used) {
    return nullptr;
  }
  void *data = workspace.data + workspace.used;
  size_t rounded =
      (bytes + kMemoryAlignment - 1) & ~(size_t(kMemoryAlignment) - 1);
  size_t rest = workspace.bytes - workspace.used;
  workspace.used += rounded < rest ? rounded : rest;
  return data;
}
} // namespace

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
  if (frame && frame->workspace.data) {
    if (void *data = takeFromWorkspace(frame->workspace, bytes)) {
      return data;
    }
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
  if (!data || (currentFrame && currentFrame->workspace.contains(data))) {
    return;
  }
  Block *block = getBlock(data);
  unlink(block);
  std::free(block);
}
