//===- SharedMemory.h - places for the buffers of a kernel ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_SHAREDMEMORY_H
#define ATTN_LIB_TARGET_GPU_SHAREDMEMORY_H

#include "attn/Dialect/Tile/IR/Tile.h"

namespace mlir::attn::gpu_target {

/// A barrier in shared memory.
inline constexpr int64_t kBarrierBytes = 8;

int64_t countBytes(MemRefType type);

/// Where the buffers of a kernel lie in its workgroup memory. Those that are
/// not in use at once may lie in the same place.
struct SharedMemory {
  /// By the op that has the buffer: tile.shared, tile.finite, or tile.channel
  /// for the barriers between roles: for each stage one that says that it has
  /// been brought, then for each one that it is free.
  DenseMap<Operation *, int64_t> places;
  int64_t bytes = 0;
  /// Where a buffer comes into use whose place another one had: threads have to
  /// meet there.
  SetVector<Operation *> handovers;
};

/// `countBytes` says how large the buffer of an op is.
SharedMemory placeBuffers(gpu::GPUFuncOp kernel,
                          llvm::function_ref<int64_t(Operation *)> countBytes);

/// The buffer in which tile.finite joins what warps found: a word per warp.
MemRefType getFlagsType(gpu::GPUFuncOp kernel);

/// The bytes of the buffer of a tile.shared, tile.finite or tile.channel.
int64_t countBufferBytes(Operation *op);

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_SHAREDMEMORY_H
