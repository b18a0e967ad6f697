//===- Execution.h - one call on a device --------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_GPU_EXECUTION_H
#define ATTN_RUNTIME_GPU_EXECUTION_H

#include "Program.h"

namespace attn::gpu {

/// What the host code of a program asks for while it runs: memory in the order
/// of the stream, launches, constants. The device is current as long as the
/// object lives.
class Execution {
public:
  Execution(const attn_function &function, Device &device, Stream *stream)
      : function(function), device(device), stream(stream), current(device) {}
  Execution(const Execution &) = delete;
  Execution &operator=(const Execution &) = delete;
  ~Execution() { releaseBlocks(); }

  /// Loads the program. `workspace` may be null.
  attn_status begin(void *workspace, size_t bytes);

  /// Why the code was left.
  attn_status getStatus() const { return status; }

  /// Memory of the device; null if it cannot be had, which `getStatus` says.
  void *allocate(size_t bytes);
  void *allocateOutsideOfWorkspace(size_t bytes);
  void release(void *data);
  bool launch(uint32_t kernel, const int64_t *sizes, void **arguments);
  /// Null if it cannot be had.
  void *getConstant(const void *source, size_t bytes);
  /// From the device to the host, which waits for the stream.
  bool read(void *to, const void *from, size_t bytes);
  /// Within the device.
  attn_status copy(void *to, const void *from, size_t bytes);
  /// Whether it is a block that is not in the workspace.
  bool owns(const void *data) const;
  /// Such a block that the caller keeps; false if it is not one.
  bool detach(void *data);
  /// Gives back what the code still has.
  void releaseBlocks();

private:
  /// A piece of the workspace, or a block of its own.
  struct Block {
    unsigned char *data;
    size_t bytes;
    bool isInWorkspace, isFree;
    /// Of the workspace: what lies below it. Else: any other block.
    Block *next;
  };

  Block *takeFromWorkspace(size_t bytes);
  attn_status takeFromDevice(size_t bytes, Block &block);
  void destroyTop();

  const attn_function &function;
  Device &device;
  Stream *stream;
  Current current;
  Loaded *loaded = nullptr;
  attn_status status = ATTN_OK;
  unsigned char *workspace = nullptr;
  size_t workspaceBytes = 0;
  /// The top of the workspace, and blocks outside of it.
  Block *top = nullptr, *blocks = nullptr;
};

} // namespace attn::gpu

#endif // ATTN_RUNTIME_GPU_EXECUTION_H
