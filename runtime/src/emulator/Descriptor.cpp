//===- Descriptor.cpp - matrices in shared memory -------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Descriptor.h"

using namespace attn::emulator;

bool attn::emulator::decode(uint64_t bits, bool isTransposed,
                            Descriptor &descriptor) {
  constexpr uint64_t kFields = 0xc00e3fff3fff3fff;
  constexpr uint32_t kWidths[] = {1, 8, 4, 2};
  auto getBytes = [&](int first) {
    return static_cast<uint32_t>(bits >> first & 0x3fff) << 4;
  };
  descriptor.begin = getBytes(0);
  descriptor.leading = getBytes(16);
  descriptor.stride = getBytes(32);
  descriptor.baseOffset = static_cast<uint32_t>(bits >> 49 & 7);
  descriptor.width = kWidths[bits >> 62];
  descriptor.isTransposed = isTransposed;
  return (bits & ~kFields) == 0;
}

/// Exchanges chunks of a row by the number of the row: bits 4 to 6 of an
/// address by bits 7 to 9, as many as there are.
static uint32_t swizzle(const Descriptor &d, uint32_t address) {
  uint32_t row = (address >> 7) - d.baseOffset;
  return address ^ (row & (d.width - 1)) * Descriptor::kChunkBytes;
}

uint32_t Descriptor::getAddress(uint32_t outer, uint32_t inner) const {
  uint32_t row = width * kChunkBytes;
  uint32_t offset;
  if (!isTransposed) {
    offset = outer % 8 * row + outer / 8 * stride +
             inner * (width == 1 ? leading : kChunkBytes);
  } else if (width == 1) {
    offset = outer * stride + inner % 8 * kChunkBytes + inner / 8 * leading;
  } else {
    offset = outer % width * kChunkBytes + outer / width * leading +
             inner % 8 * row + inner / 8 * stride;
  }
  return swizzle(*this, begin + offset);
}

const char *Descriptor::check(uint32_t rows) const {
  if (width == 1) {
    return baseOffset ? "has a base offset and no swizzle" : nullptr;
  }
  uint32_t row = width * kChunkBytes, first = begin % row;
  uint32_t chunks = rows / 8 < width ? rows / 8 : width;
  uint32_t bytes = isTransposed ? chunks * kChunkBytes : kRowBytes;
  return first + bytes > row ? "begins too far in a row of its swizzle"
                             : nullptr;
}
