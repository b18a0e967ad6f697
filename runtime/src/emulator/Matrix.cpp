//===- Matrix.cpp - ldmatrix, stmatrix and mma.sync -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Fragments as the PTX ISA has them, section "Matrix multiply-accumulate
// operation using mma instruction". With e elements in a register of 32 bits,
// g = lane / 4 and t = lane % 4, all shapes of 16 rows and 8 columns follow one
// rule:
//
//   register r of A, element i: row g + 8 (r % 2), k = e t + i + 4 e (r / 2)
//   register r of B, element i: k = e t + i + 4 e r, column g
//   element i of C and D:       row g + 8 (i / 2), column 2 t + i % 2
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"
#include "Formats.h"

#include <bit>
#include <cstring>

using namespace attn::emulator;

//===----------------------------------------------------------------------===//
// Matrices of 8 x 8 elements of 16 bits
//===----------------------------------------------------------------------===//

namespace {
struct Rows {
  const void *row;
  uint32_t count;
  bool isTransposed;
  uint32_t *registers;
};
constexpr int32_t kRowBytes = 16;
} // namespace

static Rows &getRows(Thread &lane) {
  return *static_cast<Rows *>(lane.wait.data);
}

/// The two elements of matrix `index` that a lane holds, as places in 64.
static void getPlaces(const Rows &rows, uint32_t lane, uint32_t places[2]) {
  for (uint32_t i = 0; i < 2; ++i) {
    uint32_t outer = lane / 4, inner = lane % 4 * 2 + i;
    places[i] = rows.isTransposed ? inner * 8 + outer : outer * 8 + inner;
  }
}

static void completeLoad(Emulator &emulator, Thread *lanes, uint64_t) {
  for (uint32_t matrix = 0; matrix < getRows(lanes[0]).count; ++matrix) {
    uint16_t elements[64];
    for (uint32_t row = 0; row < 8; ++row) {
      Thread &lane = lanes[matrix * 8 + row];
      std::memcpy(elements + row * 8,
                  accessShared(emulator, lane, getRows(lane).row, kRowBytes,
                               ATTN_EMULATOR_READ, kRowBytes, lane.wait.site),
                  kRowBytes);
    }
    for (uint32_t i = 0; i < kWarpSize; ++i) {
      Rows &rows = getRows(lanes[i]);
      uint32_t places[2];
      getPlaces(rows, i, places);
      rows.registers[matrix] =
          elements[places[0]] | uint32_t{elements[places[1]]} << 16;
    }
  }
}

static void completeStore(Emulator &emulator, Thread *lanes, uint64_t) {
  for (uint32_t matrix = 0; matrix < getRows(lanes[0]).count; ++matrix) {
    uint16_t elements[64];
    for (uint32_t i = 0; i < kWarpSize; ++i) {
      const Rows &rows = getRows(lanes[i]);
      uint32_t places[2];
      getPlaces(rows, i, places);
      elements[places[0]] = static_cast<uint16_t>(rows.registers[matrix]);
      elements[places[1]] = static_cast<uint16_t>(rows.registers[matrix] >> 16);
    }
    for (uint32_t row = 0; row < 8; ++row) {
      Thread &lane = lanes[matrix * 8 + row];
      std::memcpy(accessShared(emulator, lane, getRows(lane).row, kRowBytes,
                               ATTN_EMULATOR_WRITE, kRowBytes, lane.wait.site),
                  elements + row * 8, kRowBytes);
    }
  }
}

void attn_emulator_ldmatrix(const void *row, int32_t count, int32_t transposed,
                            uint32_t *results, int32_t site) {
  Emulator &emulator = *running;
  Rows rows = {row, static_cast<uint32_t>(count), transposed != 0, results};
  meetWarp(emulator, getWholeWarp(emulator, Meeting::LdMatrix, site, &rows),
           completeLoad);
}

void attn_emulator_stmatrix(void *row, int32_t count, int32_t transposed,
                            const uint32_t *sources, int32_t site) {
  Emulator &emulator = *running;
  Rows rows = {row, static_cast<uint32_t>(count), transposed != 0,
               const_cast<uint32_t *>(sources)};
  meetWarp(emulator, getWholeWarp(emulator, Meeting::StMatrix, site, &rows),
           completeStore);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
struct Product {
  const attn_emulator_mma_form *form;
  const uint32_t *operands;
  uint32_t *results;
};
constexpr uint32_t kNumRows = 16, kNumColumns = 8, kMaxDepth = 32;
} // namespace

static Product &getProduct(Thread &lane) {
  return *static_cast<Product *>(lane.wait.data);
}

static void multiply(Thread *lanes, uint32_t depth, int32_t typeA,
                     int32_t typeB, double (*sums)[kNumColumns]) {
  static thread_local double a[kNumRows][kMaxDepth], b[kMaxDepth][kNumColumns];
  uint32_t packing = getPacking(typeA);
  uint32_t numA = depth / (2 * packing), numB = depth / (4 * packing);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t *operands = getProduct(lanes[lane]).operands;
    uint32_t g = lane / 4, t = lane % 4;
    for (uint32_t r = 0; r < numA; ++r) {
      for (uint32_t i = 0; i < packing; ++i) {
        a[g + 8 * (r % 2)][packing * t + i + 4 * packing * (r / 2)] =
            unpack(typeA, operands[r], i);
      }
    }
    for (uint32_t r = 0; r < numB; ++r) {
      for (uint32_t i = 0; i < packing; ++i) {
        b[packing * t + i + 4 * packing * r][g] =
            unpack(typeB, operands[numA + r], i);
      }
    }
  }
  for (uint32_t m = 0; m < kNumRows; ++m) {
    for (uint32_t k = 0; k < depth; ++k) {
      for (uint32_t n = 0; n < kNumColumns; ++n) {
        sums[m][n] += a[m][k] * b[k][n];
      }
    }
  }
}

/// Sums are rounded once; a card may round oftener.
static void completeProduct(Emulator &, Thread *lanes, uint64_t) {
  const attn_emulator_mma_form &form = *getProduct(lanes[0]).form;
  auto depth = static_cast<uint32_t>(form.depth);
  uint32_t packing = getPacking(form.type_a);
  uint32_t firstC = depth / (2 * packing) + depth / (4 * packing);
  double sums[kNumRows][kNumColumns];
  uint32_t packC = getPacking(form.type_c), packD = getPacking(form.type_d);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t *c = getProduct(lanes[lane]).operands + firstC;
    for (uint32_t i = 0; i < 4; ++i) {
      sums[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2] =
          unpack(form.type_c, c[i / packC], i % packC);
    }
  }
  multiply(lanes, depth, form.type_a, form.type_b, sums);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    uint32_t *d = getProduct(lanes[lane]).results;
    for (uint32_t i = 0; i < 4; ++i) {
      double sum = sums[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
      if (form.type_d == ATTN_EMULATOR_S32) {
        d[i] = packInteger(sum, form.saturates);
      } else if (packD == 2) {
        uint32_t shift = i % 2 * 16;
        uint32_t others = i % 2 ? d[i / 2] : 0;
        d[i / 2] = others | uint32_t{floatToHalf(static_cast<float>(sum))}
                                << shift;
      } else {
        auto rounded = static_cast<float>(sum);
        std::memcpy(&d[i], &rounded, sizeof(rounded));
      }
    }
  }
}

void attn_emulator_mma(const attn_emulator_mma_form *form,
                       const uint32_t *operands, uint32_t *results,
                       int32_t site) {
  Emulator &emulator = *running;
  Product product = {form, operands, results};
  meetWarp(emulator, getWholeWarp(emulator, Meeting::Mma, site, &product),
           completeProduct);
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

uint32_t attn_emulator_round_tf32(float value, int32_t ties_to_even) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7f800000) == 0x7f800000) {
    return bits & 0x7fffff ? 0x7fffffff : bits;
  }
  uint32_t half = ties_to_even ? 0xfff + (bits >> 13 & 1) : 0x1000;
  return (bits + half) & ~0x1fffu;
}

/// Byte `index` of eight; with bit 3, its sign all over.
static uint32_t pick(uint64_t bytes, uint32_t index) {
  auto byte = static_cast<uint32_t>(bytes >> 8 * (index & 7) & 0xff);
  return index & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
}

uint32_t attn_emulator_permute(int32_t mode, uint32_t low, uint32_t high,
                               uint32_t selector) {
  uint64_t bytes = low | uint64_t{high} << 32;
  uint32_t s = selector & 3, result = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    uint32_t index = 0;
    switch (mode) {
    case 0:
      index = selector >> 4 * i & 15;
      break;
    case 1:
      index = s + i;
      break;
    case 2:
      index = (s - i) & 7;
      break;
    case 3:
      index = s;
      break;
    case 4:
      index = i > s ? i : s;
      break;
    case 5:
      index = i < s ? i : s;
      break;
    default:
      index = (s & 1) * 2 + i % 2;
    }
    result |= pick(bytes, index) << 8 * i;
  }
  return result;
}
