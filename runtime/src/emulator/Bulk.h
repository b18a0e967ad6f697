//===- Bulk.h - copies of bulk in flight ---------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_BULK_H
#define ATTN_RUNTIME_EMULATOR_BULK_H

#include "Emulator.h"

namespace attn::emulator {

struct TensorMap;

/// A copy between shared and global memory.
struct Transfer {
  /// Of a load: what it is complete on, and the tick then.
  MBarrier *barrier = nullptr;
  uint32_t tick = 0;
  /// Of a store: its group, and what it has read.
  uint32_t group = 0;
  unsigned char *data = nullptr;
  uint32_t thread = 0, site = 0;
  /// In shared memory.
  uint32_t place = 0, bytes = 0;
  unsigned char *global = nullptr;
  /// Which of every 16 bytes are stored.
  uint32_t byteMask = 0xffff;
  /// Of a box: the tensor and where the box begins.
  const TensorMap *map = nullptr;
  int32_t coordinates[ATTN_EMULATOR_MAX_RANK] = {};
  int32_t reduction = ATTN_EMULATOR_TENSOR_STORE;
};

/// Checks what a copy has in shared memory, and what it is complete on.
/// Bit i of `blocks` stands for block i of the cluster; 0 for that of the
/// place.
void beginLoad(Emulator &emulator, Transfer &transfer, const void *mbarrier,
               uint32_t blocks);
/// `verb` is what the thread does.
void beginStore(Emulator &emulator, Transfer &transfer, const char *verb);

/// Copies a box, from or to shared memory, or what has been read of that.
void loadBox(const Transfer &transfer, unsigned char *shared);
void storeBox(const Transfer &transfer, const unsigned char *data);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_BULK_H
