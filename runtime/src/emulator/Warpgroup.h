//===- Warpgroup.h - products of 128 threads in flight -------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product writes its accumulators later. Until then a kernel holds names in
// their place: floats that no computation gives, which say the tile, how many
// products had gone to it, and the register. A product that adds to a tile in
// flight takes its names and gives new ones.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_WARPGROUP_H
#define ATTN_RUNTIME_EMULATOR_WARPGROUP_H

#include "Descriptor.h"
#include "Emulator.h"

namespace attn::emulator {

constexpr uint32_t kGroupThreads = 128;
constexpr uint32_t kProductRows = 64, kMaxColumns = 256, kMaxDepth = 32;
constexpr uint32_t kRegistersOfA = 4;

/// The accumulators of a warpgroup that are the results of a product.
struct Tile {
  /// Those of a thread follow each other.
  uint32_t *values = nullptr;
  uint32_t columns = 0, maxColumns = 0;
  uint32_t generation = 0;
  /// Of the last product: its group, and its place.
  uint32_t group = 0, site = 0;
  /// Depth and types, the same for products that follow each other.
  uint32_t shape = 0;
  /// The fences before the kernel last looked at one.
  bool isRead = false;
  uint32_t readAt = 0;

  uint32_t getRegisters() const { return columns / 2; }
};

/// A product that has not taken place.
struct Product {
  attn_emulator_wgmma_form form;
  Descriptor a, b;
  uint32_t tile, group;
  uint32_t registers[kGroupThreads * kRegistersOfA];
};

/// A register of A that a product reads.
struct Held {
  int32_t name;
  uint32_t group, site;
};

struct Warpgroup {
  static constexpr uint32_t kTiles = 256;
  Tile tiles[kTiles];
  uint32_t nextTile = 0;
  uint32_t fences = 0;
  /// Groups: those committed, of these the ones waited for, and the group and
  /// the place of the last product.
  uint32_t committed = 0, completed = 0, last = 0, lastSite = 0;
  /// In order.
  Product *products = nullptr;
  uint32_t numProducts = 0, maxProducts = 0;
  Held *held = nullptr;
  uint32_t numHeld = 0, maxHeld = 0;
  /// What reads shared memory, or 0.
  uint32_t agent = 0;

  bool isComplete(const Tile &tile) const { return tile.group <= completed; }
};

/// The tile and the register that a name stands for.
struct Name {
  uint32_t tile, generation, index;
};
bool isName(uint32_t bits);
Name parseName(uint32_t bits);
uint32_t makeName(const Name &name);

/// That of a thread, and its number.
Warpgroup &getWarpgroup(Emulator &emulator, const Thread &thread);
uint32_t getWarpgroupIndex(const Emulator &emulator, const Thread &thread);

/// Calls `fn(address, outer, inner)` for each chunk of a matrix.
template <typename Fn>
void forEachChunk(const Descriptor &matrix, uint32_t rows, uint32_t depth,
                  Fn fn) {
  uint32_t outer = matrix.isTransposed ? rows / 8 : rows;
  uint32_t inner = matrix.isTransposed ? depth : 2;
  for (uint32_t i = 0; i < outer; ++i) {
    for (uint32_t k = 0; k < inner; ++k) {
      fn(matrix.getAddress(i, k), i, k);
    }
  }
}

/// Lets the first product in flight take place. False if there is none.
bool landProduct(Emulator &emulator, uint32_t warpgroup);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_WARPGROUP_H
