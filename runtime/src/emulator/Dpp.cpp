//===- Dpp.cpp - data-parallel primitives of AMD's waves ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lane reads another one, which the control says. Of rows of 16 lanes, and
// banks of four in each:
//
//   lane enabled, by row_mask and bank_mask?  no: old
//   is there such a lane, and is it active?   no: 0 with bound_ctrl, else old
//   its value
//
// So it stands in the ISA documents ("data parallel processing (DPP)"), where
// ds_swizzle is an instruction of shared memory that touches none.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <optional>

using namespace attn::emulator;

namespace {
constexpr uint32_t kRow = 16, kBank = 4;

/// Controls, and those of n = 1 where there are 15.
enum Control : uint32_t {
  QuadPermEnd = 0x100,
  RowShl = 0x101,
  RowShr = 0x111,
  RowRor = 0x121,
  WaveShl = 0x130,
  WaveRol = 0x134,
  WaveShr = 0x138,
  WaveRor = 0x13c,
  RowMirror = 0x140,
  RowHalfMirror = 0x141,
  RowBcast15 = 0x142,
  RowBcast31 = 0x143,
  RowShare = 0x150,
  RowXmask = 0x160,
  End = 0x170
};

struct Exchange {
  uint32_t old, value;
  /// The lane that is read; none if the control leads outside.
  std::optional<uint32_t> source;
  /// Whether the lane is enabled, gets 0 where there is nothing to read, and
  /// reads lanes that are not active, too.
  bool isEnabled, isBounded, fetchesInactive;
  uint32_t result;
};
} // namespace

static bool isShift(uint32_t control, uint32_t first) {
  return control >= first && control < first + kRow - 1;
}

/// Whether GPUs with waves of so many lanes have the control.
static bool hasControl(uint32_t control, uint32_t lanes) {
  bool isShort = lanes == 32;
  switch (control) {
  case WaveShl:
  case WaveRol:
  case WaveShr:
  case WaveRor:
  case RowBcast15:
  case RowBcast31:
    return !isShort;
  case RowMirror:
  case RowHalfMirror:
    return true;
  default:
    return control < QuadPermEnd || isShift(control, RowShl) ||
           isShift(control, RowShr) || isShift(control, RowRor) ||
           (control >= RowShare && control < RowXmask) ||
           (isShort && control >= RowXmask && control < End);
  }
}

static std::optional<uint32_t> findSource(uint32_t control, uint32_t lane,
                                          uint32_t lanes) {
  uint32_t inRow = lane % kRow, row = lane - inRow;
  auto inside = [&](uint32_t at) -> std::optional<uint32_t> {
    return at < kRow ? std::optional(row + at) : std::nullopt;
  };
  if (control < QuadPermEnd) {
    return lane - lane % kBank + (control >> 2 * (lane % kBank)) % kBank;
  }
  if (isShift(control, RowShl)) {
    return inside(inRow + control - RowShl + 1);
  }
  if (isShift(control, RowShr)) {
    return inside(inRow - (control - RowShr + 1));
  }
  if (isShift(control, RowRor)) {
    return row + (inRow - (control - RowRor + 1)) % kRow;
  }
  auto before = [&](uint32_t count) -> std::optional<uint32_t> {
    return lane < count ? std::nullopt
                        : std::optional(lane / count * count - 1);
  };
  switch (control) {
  case WaveShl:
    return lane + 1 < lanes ? std::optional(lane + 1) : std::nullopt;
  case WaveRol:
    return (lane + 1) % lanes;
  case WaveShr:
    return lane ? std::optional(lane - 1) : std::nullopt;
  case WaveRor:
    return (lane + lanes - 1) % lanes;
  case RowMirror:
    return row + kRow - 1 - inRow;
  case RowHalfMirror:
    return lane - lane % 8 + 7 - lane % 8;
  case RowBcast15:
    return before(kRow);
  case RowBcast31:
    return before(2 * kRow);
  default:
    return control < RowXmask ? row + control - RowShare
                              : row + (inRow ^ (control - RowXmask));
  }
}

static void completeExchange(Emulator &emulator, Thread *lanes, uint64_t mask) {
  auto get = [&](uint32_t lane) -> Exchange & {
    return *static_cast<Exchange *>(lanes[lane].wait.data);
  };
  for (uint32_t lane = 0; lane < emulator.warpSize; ++lane) {
    if (!(mask >> lane & 1)) {
      continue;
    }
    Exchange &own = get(lane);
    bool isActive = own.source && (mask >> *own.source & 1);
    if (own.isEnabled && own.source && !isActive && own.fetchesInactive) {
      report(emulator, lanes[lane],
             "reads lane %u at %s (%s), which is not one of the lanes 0x%llx",
             *own.source, getName(lanes[lane].wait),
             getPlace(emulator, lanes[lane].wait.site),
             static_cast<unsigned long long>(mask));
    }
    own.result = !own.isEnabled  ? own.old
                 : isActive      ? get(*own.source).value
                 : own.isBounded ? 0
                                 : own.old;
  }
}

static int32_t exchange(Emulator &emulator, Wait &wait, Exchange &data) {
  wait.mask = ~uint64_t{0};
  wait.data = &data;
  meetWarp(emulator, wait, completeExchange);
  return static_cast<int32_t>(data.result);
}

static uint32_t getLane(const Emulator &emulator) {
  return emulator.threads[emulator.current].index % emulator.warpSize;
}

int32_t attn_emulator_dpp(int32_t old, int32_t value, int32_t control,
                          int32_t rows, int32_t banks, int32_t bound,
                          int32_t site) {
  Emulator &emulator = *running;
  uint32_t lane = getLane(emulator), lanes = emulator.warpSize;
  auto which = static_cast<uint32_t>(control);
  Wait wait;
  wait.meeting = Meeting::Dpp;
  wait.site = site;
  wait.form = which;
  if (!hasControl(which, lanes)) {
    report(emulator, emulator.getCurrent(),
           "has the control 0x%x at %s (%s), which GPUs with waves of %u lanes "
           "do not have",
           which, getName(wait), getPlace(emulator, site), lanes);
  }
  Exchange data = {};
  data.old = old;
  data.value = value;
  data.source = findSource(which, lane, lanes);
  data.isEnabled =
      (rows >> lane / kRow & 1) && (banks >> lane % kRow / kBank & 1);
  data.isBounded = bound;
  return exchange(emulator, wait, data);
}

int32_t attn_emulator_permlanex16(int32_t old, int32_t value, int32_t low,
                                  int32_t high, int32_t fetch, int32_t bound,
                                  int32_t site) {
  Emulator &emulator = *running;
  uint32_t lane = getLane(emulator), lanes = emulator.warpSize;
  Wait wait;
  wait.meeting = Meeting::PermlaneX16;
  wait.site = site;
  if (lanes != 2 * kRow) {
    report(emulator, emulator.getCurrent(),
           "is at %s (%s), which GPUs with waves of %u lanes do not have",
           getName(wait), getPlace(emulator, site), lanes);
  }
  // Four bits for each lane of a row: which one of the other row.
  uint32_t inRow = lane % kRow;
  auto selects = static_cast<uint32_t>(inRow < 8 ? low : high);
  Exchange data = {};
  data.old = old;
  data.value = value;
  data.source = (lane - inRow ^ kRow) + (selects >> 4 * (inRow % 8)) % kRow;
  data.isEnabled = true;
  data.isBounded = bound;
  data.fetchesInactive = fetch;
  return exchange(emulator, wait, data);
}

int32_t attn_emulator_swizzle(int32_t value, int32_t pattern, int32_t site) {
  Emulator &emulator = *running;
  constexpr uint32_t kQuads = 0x8000;
  constexpr uint32_t kHalf = 32;
  uint32_t lane = getLane(emulator), inHalf = lane % kHalf;
  auto which = static_cast<uint32_t>(pattern);
  auto masked = [&](uint32_t number) {
    return ((number & which) | which >> 5) ^ which >> 10;
  };
  Wait wait;
  wait.meeting = Meeting::Swizzle;
  wait.site = site;
  wait.form = which;
  Exchange data = {};
  data.value = value;
  data.source = which & kQuads ? lane - lane % kBank +
                                     (which >> 2 * (lane % kBank)) % kBank
                               : lane - inHalf + masked(inHalf) % kHalf;
  data.isEnabled = true;
  data.isBounded = true;
  return exchange(emulator, wait, data);
}
