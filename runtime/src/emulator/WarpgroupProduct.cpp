//===- WarpgroupProduct.cpp - products of 64 rows take place --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product reads shared memory when it takes place, which is later than when
// it is issued. Sums are rounded once for each product; a card may round
// oftener.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"
#include "Warpgroup.h"

#include <bit>
#include <cstring>

using namespace attn::emulator;

namespace {
/// A row of A or a column of B as numbers.
using Row = double[kMaxDepth];
} // namespace

static void readMatrix(const unsigned char *shared, const Descriptor &matrix,
                       int32_t type, uint32_t rows, uint32_t depth, Row *to) {
  uint32_t packing = getPacking(type), elements = 4 * packing;
  forEachChunk(matrix, rows, depth,
               [&](uint32_t address, uint32_t outer, uint32_t inner) {
                 uint32_t words[4];
                 std::memcpy(words, shared + address, sizeof(words));
                 for (uint32_t i = 0; i < elements; ++i) {
                   double x = unpack(type, words[i / packing], i % packing);
                   if (matrix.isTransposed) {
                     to[outer * elements + i][inner] = x;
                   } else {
                     to[outer][inner * elements + i] = x;
                   }
                 }
               });
}

/// The part of A that threads hold.
static void readRegisters(const Product &product, Row *to) {
  int32_t type = product.form.type_a;
  uint32_t packing = getPacking(type);
  for (uint32_t thread = 0; thread < kGroupThreads; ++thread) {
    uint32_t lane = thread % kWarpSize;
    uint32_t row = thread / kWarpSize * 16 + lane / 4;
    for (uint32_t r = 0; r < kRegistersOfA; ++r) {
      uint32_t bits = product.registers[thread * kRegistersOfA + r];
      for (uint32_t i = 0; i < packing; ++i) {
        uint32_t k = packing * (lane % 4) + i + 4 * packing * (r / 2);
        to[row + 8 * (r % 2)][k] = unpack(type, bits, i);
      }
    }
  }
}

static void multiply(const Product &product, Tile &tile, const Row *a,
                     const Row *b) {
  const attn_emulator_wgmma_form &form = product.form;
  auto depth = static_cast<uint32_t>(form.depth);
  double sign = form.negates_a == form.negates_b ? 1.0 : -1.0;
  for (uint32_t thread = 0; thread < kGroupThreads; ++thread) {
    uint32_t lane = thread % kWarpSize;
    uint32_t *values = tile.values + thread * tile.getRegisters();
    for (uint32_t r = 0; r < tile.getRegisters(); ++r) {
      uint32_t row = thread / kWarpSize * 16 + lane / 4 + 8 * (r / 2 % 2);
      uint32_t column = r / 4 * 8 + lane % 4 * 2 + r % 2;
      double sum = 0.0;
      for (uint32_t k = 0; k < depth; ++k) {
        sum += a[row][k] * b[column][k];
      }
      double before = form.adds ? std::bit_cast<float>(values[r]) : 0.0;
      values[r] =
          std::bit_cast<uint32_t>(static_cast<float>(before + sign * sum));
    }
  }
}

bool attn::emulator::landProduct(Emulator &emulator, uint32_t warpgroup) {
  Warpgroup &group = emulator.warpgroups[warpgroup];
  if (group.numProducts == 0) {
    return false;
  }
  const Product &product = group.products[0];
  auto *a = static_cast<Row *>(static_cast<void *>(emulator.numbers));
  Row *b = a + kProductRows;
  auto depth = static_cast<uint32_t>(product.form.depth);
  // Addresses of descriptors begin where shared memory does.
  const unsigned char *shared =
      getSharedOfWarpgroup(emulator, warpgroup) - ATTN_EMULATOR_SHARED_BASE;
  if (product.form.takes_registers) {
    readRegisters(product, a);
  } else {
    readMatrix(shared, product.a, product.form.type_a, kProductRows, depth, a);
  }
  readMatrix(shared, product.b, product.form.type_b,
             static_cast<uint32_t>(product.form.columns), depth, b);
  multiply(product, group.tiles[product.tile], a, b);
  --emulator.numProducts;
  std::memmove(group.products, group.products + 1,
               sizeof(Product) * --group.numProducts);
  return true;
}
