//===- Device.h - what GPUs differ in ---------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All that lowering asks of a GPU. A new one is a line of the table in
// Device.cpp:
//
//   Device::get("gfx942")->warpSize == 64
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_GPU_DEVICE_H
#define ATTN_TARGET_GPU_DEVICE_H

#include "attn/Dialect/Tile/IR/Tile.h"

namespace mlir::attn {

enum class Vendor { NVIDIA, AMD };

struct Device {
  /// In LLVM's naming: sm_80, gfx942.
  StringRef chip;
  Vendor vendor;
  int64_t warpSize;
  /// The most memory that a block can have to share, in bytes.
  int64_t sharedBytes;
  /// Tiles of multiply-adds, and of sums of the matrix instruction.
  tile::Atom grid, accumulator;
  /// Whether rows go to shared memory past the registers (cp.async).
  bool copiesAsync;
  /// Whether rows go there in bulk, counted by barriers in shared memory
  /// (cp.async.bulk), and threads are put to sleep at these (try_wait).
  bool copiesInBulk;

  /// Null if there is no such chip.
  static const Device *get(StringRef chip);
  static ArrayRef<Device> getAll();
};

/// Reports that there is no such chip, at `op`.
FailureOr<const Device *> getDevice(Operation *op, StringRef chip);

} // namespace mlir::attn

#endif // ATTN_TARGET_GPU_DEVICE_H
