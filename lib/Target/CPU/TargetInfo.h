//===- TargetInfo.h - what the CPU lowering knows of a CPU ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one place that turns a triple and a CPU name into numbers: the register
// file decides the microkernel, the caches decide the tiles. A new CPU is a
// new line here.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_TARGETINFO_H
#define ATTN_LIB_TARGET_CPU_TARGETINFO_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Support/LLVM.h"

namespace mlir::attn::cpu {

struct TargetInfo {
  /// Width of a vector register.
  int64_t vectorBits = 128;
  /// The microkernel holds kernelRows x kernelVectors accumulators.
  int64_t kernelRows = 6;
  int64_t kernelVectors = 2;
  /// Whether bf16 pairs are multiplied and added by one instruction
  /// (vdpbf16ps).
  bool hasBF16Dot = false;
  /// Whether four products of i8 are added to an i32 by one instruction
  /// (vpdpbusd).
  bool hasInt8Dot = false;
  /// Rows and keys of the tile on which pointwise stages work: its scores stay
  /// in the first-level cache. A multiple of kernelRows, and of any panel.
  int64_t tileRows = 48;
  int64_t tileKeys = 256;
  /// Rows that share a packed key tile, a multiple of those of an item of the
  /// parallel loop.
  int64_t blockRows = 384;
  int64_t itemRows = 96;
  /// Collectives keep about this much in the second-level cache.
  int64_t collectiveBytes = 720 << 10;
  /// A stencil holds stencilRows sums and as many rows of taps.
  int64_t stencilRows = 4;
  /// A mixture holds the entries of this many heads.
  int64_t mixedHeads = 8;

  /// Lanes of a vector of `bits` wide elements.
  int64_t getLanes(int64_t bits) const { return vectorBits / bits; }

  /// The target of a triple and CPU name; the host where both are empty.
  /// Fails with a sentence in `error`.
  static FailureOr<TargetInfo> get(StringRef triple, StringRef cpu,
                                   std::string &error);
};

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_TARGETINFO_H
