//===- Memory.h - memory of compiled programs ----------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_MEMORY_H
#define ATTN_RUNTIME_MEMORY_H

#include <atomic>
#include <csetjmp>
#include <cstddef>

namespace attn {

constexpr size_t kMemoryAlignment = 64;

/// Memory that the caller of a function provides.
struct Workspace {
  unsigned char *data = nullptr;
  size_t bytes = 0, used = 0;

  bool contains(const void *pointer) const {
    auto *byte = static_cast<const unsigned char *>(pointer);
    return data && byte >= data && byte < data + bytes;
  }
};

struct Block;

/// Generated code that runs on this thread: the body of a function, or of a
/// parallel loop. It allocates without asking whether there is memory, so that
/// `attn_malloc` leaves it by a jump to where it was entered. No destructor is
/// jumped over: between the two lies generated code alone.
struct Frame {
  std::jmp_buf exit;
  /// What it has not freed yet.
  Block *blocks = nullptr;
  Workspace workspace;
  /// Set where memory ran out; shared by the frames of one call.
  std::atomic<size_t> *missingBytes = nullptr;
};

/// The innermost frame of this thread, or null.
Frame *getCurrentFrame();

/// Runs `fn(args)` in a frame of its own. False if memory ran out; what the
/// code had allocated is freed then.
bool runInFrame(Frame &frame, void (*fn)(void *args), void *args);

/// Leaves the code of the innermost frame.
[[noreturn]] void leaveFrame(Frame &frame);

/// A block that belongs to no frame, for attn_free; null if there is no memory.
void *allocateOutsideOfCalls(size_t bytes);

/// A block that the caller of generated code keeps: takes it off the frame.
void detachBlock(Frame &frame, void *data);

/// Frees what the frame still has.
void releaseBlocks(Frame &frame);

} // namespace attn

#endif // ATTN_RUNTIME_MEMORY_H
