//===- Wave.cpp - ops that lanes of AMD's waves do together ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices of 16 x 16 as AMD's matrix instruction calculator has them. With
// c = lane % 16 and h = lane / 16:
//
//                           A[i][k], B[k][j]       D[i][j], register r
//   v_mfma_f32_16x16x16     i, j = c; k = 4 h + e     i = 4 h + r, j = c
//   v_wmma of gfx11         i, j = c; k = e           i = 2 r + h, j = c
//   v_wmma of gfx12         i, j = c;                 i = 8 h + r, j = c
//                           k = 8 (e / 4) + 4 h + e % 4
//
// On gfx11, lanes c and c + 16 hold the same numbers of A and of B; that they
// do is checked.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <bit>
#include <cstring>

using namespace attn::emulator;

//===----------------------------------------------------------------------===//
// Lanes that read others
//===----------------------------------------------------------------------===//

namespace {
struct LaneValue {
  uint32_t value, lane, result;
};
} // namespace

static LaneValue &getValue(Thread &lane) {
  return *static_cast<LaneValue *>(lane.wait.data);
}

static void completeRead(Emulator &emulator, Thread *lanes, uint64_t mask) {
  for (uint32_t i = 0; i < emulator.warpSize; ++i) {
    if (!(mask >> i & 1)) {
      continue;
    }
    LaneValue &own = getValue(lanes[i]);
    if (!(mask >> own.lane & 1)) {
      report(emulator, lanes[i],
             "reads lane %u at %s (%s), which is not one of the lanes 0x%llx",
             own.lane, getName(lanes[i].wait),
             getPlace(emulator, lanes[i].wait.site),
             static_cast<unsigned long long>(mask));
    }
    own.result = getValue(lanes[own.lane]).value;
  }
}

static uint32_t readLane(Meeting meeting, uint32_t value, uint32_t lane,
                         uint64_t form, int32_t site) {
  Emulator &emulator = *running;
  LaneValue data = {value, lane % emulator.warpSize, 0};
  Wait wait;
  wait.meeting = meeting;
  wait.site = site;
  wait.mask = ~uint64_t{0};
  wait.form = form;
  wait.data = &data;
  meetWarp(emulator, wait, completeRead);
  return data.result;
}

int32_t attn_emulator_bpermute(int32_t address, int32_t value, int32_t site) {
  // Two bits name a byte of the register.
  return static_cast<int32_t>(readLane(Meeting::Bpermute, value,
                                       static_cast<uint32_t>(address) / 4,
                                       /*form=*/0, site));
}

int32_t attn_emulator_readlane(int32_t value, int32_t lane, int32_t site) {
  // The lane is in a scalar register: one for all.
  auto own = static_cast<uint32_t>(lane);
  return static_cast<int32_t>(
      readLane(Meeting::ReadLane, value, own, /*form=*/own, site));
}

int32_t attn_emulator_mbcnt(int32_t high, int32_t mask, int32_t base) {
  const Emulator &emulator = *running;
  uint32_t lane = emulator.threads[emulator.current].index % emulator.warpSize;
  uint64_t below = (uint64_t{1} << lane) - 1;
  auto half = static_cast<uint32_t>(high ? below >> 32 : below);
  return std::popcount(static_cast<uint32_t>(mask) & half) + base;
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

namespace {
constexpr uint32_t kExtent = 16;

struct Form {
  /// Lanes of the wave, numbers of A and of B that a lane holds, and sums.
  uint32_t lanes, held, sums;
  /// How far k is from one part of the lanes to the next, and how many numbers
  /// of a lane have one k after the other.
  uint32_t depthStep, depthRun;
  /// How far rows of D are from one register to the next, and between halves.
  uint32_t rowStep, rowHalf;
};

struct Fragments {
  const Form *form;
  int32_t type;
  const uint32_t *operands;
  float *results;
};
} // namespace

static const Form &getForm(int32_t kind) {
  static constexpr Form forms[] = {
      {64, 4, 4, 4, 4, 1, 4},   // ATTN_EMULATOR_MFMA
      {32, 16, 8, 0, 16, 2, 1}, // ATTN_EMULATOR_WMMA_GFX11
      {32, 8, 8, 4, 4, 1, 8}};  // ATTN_EMULATOR_WMMA_GFX12
  return forms[kind];
}

static Fragments &getFragments(Thread &lane) {
  return *static_cast<Fragments *>(lane.wait.data);
}

static uint16_t getHalfWord(const uint32_t *words, uint32_t i) {
  return static_cast<uint16_t>(words[i / 2] >> 16 * (i % 2));
}

static double toDouble(int32_t type, uint16_t bits) {
  if (type == ATTN_EMULATOR_BF16) {
    return std::bit_cast<float>(uint32_t{bits} << 16);
  }
  _Float16 half;
  std::memcpy(&half, &bits, sizeof(half));
  return static_cast<double>(half);
}

/// What the lanes hold of A, or of B, by row or column and by k.
static void gather(Emulator &emulator, Thread *lanes, const char *name,
                   uint32_t offset, double (*matrix)[kExtent]) {
  const Form &form = *getFragments(lanes[0]).form;
  for (uint32_t lane = 0; lane < form.lanes; ++lane) {
    const Fragments &own = getFragments(lanes[lane]);
    const uint32_t *words = own.operands + offset;
    if (form.depthStep == 0 && lane >= kExtent &&
        std::memcmp(words,
                    getFragments(lanes[lane - kExtent]).operands + offset,
                    form.held * 2) != 0) {
      report(emulator, lanes[lane],
             "has other numbers of %s at %s (%s) than lane %u, which has to "
             "have the same",
             name, getName(lanes[lane].wait),
             getPlace(emulator, lanes[lane].wait.site), lane - kExtent);
    }
    for (uint32_t e = 0; e < form.held; ++e) {
      // Runs of all parts of the lanes lie side by side.
      uint32_t run = e / form.depthRun, parts = form.lanes / kExtent;
      uint32_t k = form.depthStep * (lane / kExtent) +
                   form.depthRun * parts * run + e % form.depthRun;
      matrix[lane % kExtent][k] = toDouble(own.type, getHalfWord(words, e));
    }
  }
}

/// Sums are rounded once; a card may round oftener.
static void completeMatrix(Emulator &emulator, Thread *lanes, uint64_t) {
  const Form &form = *getFragments(lanes[0]).form;
  double a[kExtent][kExtent], b[kExtent][kExtent];
  uint32_t words = form.held / 2;
  gather(emulator, lanes, "A", 0, a);
  gather(emulator, lanes, "B", words, b);
  for (uint32_t lane = 0; lane < form.lanes; ++lane) {
    Fragments &own = getFragments(lanes[lane]);
    uint32_t column = lane % kExtent, half = lane / kExtent;
    for (uint32_t r = 0; r < form.sums; ++r) {
      uint32_t row = form.rowStep * r + form.rowHalf * half;
      double sum = std::bit_cast<float>(own.operands[2 * words + r]);
      for (uint32_t k = 0; k < kExtent; ++k) {
        sum += a[row][k] * b[column][k];
      }
      own.results[r] = static_cast<float>(sum);
    }
  }
}

void attn_emulator_wave_mma(int32_t kind, int32_t type,
                            const uint32_t *operands, float *results,
                            int32_t site) {
  Emulator &emulator = *running;
  Fragments data = {&getForm(kind), type, operands, results};
  Wait wait = getWholeWarp(emulator, Meeting::Mfma, site, &data);
  if (data.form->lanes != emulator.warpSize) {
    report(emulator, emulator.getCurrent(),
           "is at %s (%s), which is for waves of %u lanes, in one of %u",
           getName(wait), getPlace(emulator, site), data.form->lanes,
           emulator.warpSize);
  }
  meetWarp(emulator, wait, completeMatrix);
}
