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

namespace gpu {
class Execution;
} // namespace gpu

constexpr size_t kMemoryAlignment = 64;

/// Memory that the caller of a function provides: a stack of pieces, as section
/// 5 of attn_module.h has it. Of one thread at a time.
class Workspace {
public:
  Workspace() = default;
  Workspace(unsigned char *data, size_t bytes) : data(data), bytes(bytes) {}

  bool contains(const void *pointer) const {
    auto *byte = static_cast<const unsigned char *>(pointer);
    return data && byte >= data && byte < data + bytes;
  }
  unsigned char *getData() const { return data; }
  /// Room for so many bytes, or null.
  void *take(size_t size);
  /// Gives back what `take` gave.
  void give(void *pointer);

private:
  struct Piece;

  unsigned char *data = nullptr;
  size_t bytes = 0;
  Piece *top = nullptr;
};

/// The workspaces of the threads that run a parallel loop, of equal size. The
/// first line of each says whether it is in use.
class ThreadWorkspaces {
public:
  ThreadWorkspaces() = default;
  /// `count` of them lie at `data`, each with `bytes` to work in.
  ThreadWorkspaces(unsigned char *data, size_t bytes, size_t count);

  /// One that no thread uses, or an empty one if there is none. To be given
  /// back as it was.
  Workspace acquire();
  void release(const Workspace &workspace);

  static size_t getBytes(size_t bytes) { return bytes + kMemoryAlignment; }

private:
  std::atomic<bool> *getFlag(size_t index) const;

  unsigned char *data = nullptr;
  size_t bytes = 0, count = 0;
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
  /// For the parallel loops of the body of a function, or null.
  ThreadWorkspaces *threads = nullptr;
  /// Set where memory ran out; shared by the frames of one call.
  std::atomic<size_t> *missingBytes = nullptr;
  /// Of a call on a device, from which its code gets all memory; else null.
  gpu::Execution *device = nullptr;
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
