//===- Descriptor.h - matrices in shared memory --------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The 64 bits by which wgmma takes a matrix (PTX ISA, "Matrix descriptor
// format"): where it begins, two strides, where its swizzle begins, and which.
//
// A matrix is made of chunks of 16 bytes, eight of which are a core matrix.
// With elements along K in a chunk (K-major), chunk c of row m begins at
//
//   no swizzle   m % 8 * 16 + m / 8 * stride + c * leading
//   w chunks     m % 8 * 16 w + m / 8 * stride + 16 c
//
// and with elements along M or N in a chunk (MN-major), chunk c of column k at
//
//   no swizzle   c * stride + k % 8 * 16 + k / 8 * leading
//   w chunks     c % w * 16 + c / w * leading + k % 8 * 16 w + k / 8 * stride
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_DESCRIPTOR_H
#define ATTN_RUNTIME_EMULATOR_DESCRIPTOR_H

#include <cstdint>

namespace attn::emulator {

struct Descriptor {
  /// In bytes.
  uint32_t begin, leading, stride;
  uint32_t baseOffset;
  /// Chunks that are swizzled together: 1, 2, 4 or 8.
  uint32_t width;
  bool isTransposed;

  static constexpr uint32_t kChunkBytes = 16;
  /// Along K, of a product.
  static constexpr uint32_t kRowBytes = 32;

  /// The address of a chunk: of row `outer`, number `inner`; or, transposed, of
  /// number `outer` and column `inner`.
  uint32_t getAddress(uint32_t outer, uint32_t inner) const;
  /// Null, or what is wrong with it.
  const char *check(uint32_t rows) const;
};

/// The fields; false if there are bits outside of them.
bool decode(uint64_t bits, bool isTransposed, Descriptor &descriptor);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_DESCRIPTOR_H
