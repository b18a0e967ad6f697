//===- Registers.cpp - what warps have of the registers of a block --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block is launched with the same number of registers for each thread. What a
// warp gives back, others may take; one that asks for more than there is waits
// (PTX ISA, section "setmaxnreg"). Warps that have left give nothing back.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

using namespace attn::emulator;

static constexpr uint32_t kWarpsOfGroup = 4;
static constexpr uint32_t kRegisterStep = 8;
static constexpr uint32_t kMostRegisters = 255;
/// Of an SM.
static constexpr uint32_t kAllRegisters = 1 << 16;

/// As many as a compiler may use if nothing else is said.
static uint32_t getDefault(const Emulator &emulator) {
  uint32_t threads = emulator.getNumWarps() * emulator.warpSize;
  uint32_t most = kAllRegisters / threads / kRegisterStep * kRegisterStep;
  return most < kMostRegisters ? most : kMostRegisters;
}

void attn::emulator::giveRegisters(Emulator &emulator) {
  auto given = static_cast<uint32_t>(emulator.kernel.registers);
  uint32_t warps = emulator.numBlocks * emulator.getNumWarps();
  for (uint32_t warp = 0; warp < warps; ++warp) {
    emulator.warpRegisters[warp] = {given ? given : getDefault(emulator), 0};
  }
}

bool attn::emulator::checkRegisters(Emulator &emulator) {
  for (uint32_t i = 0; i < emulator.numThreads; i += emulator.warpSize) {
    const Thread &thread = emulator.threads[i];
    uint32_t warp = emulator.getLocal(thread) / emulator.warpSize;
    uint32_t first = warp / kWarpsOfGroup * kWarpsOfGroup;
    const WarpRegisters *registers = &emulator.getRegisters(thread);
    uint32_t a = registers[-static_cast<int64_t>(warp - first)].count;
    uint32_t b = registers->count;
    if (a != b) {
      const uint32_t *id = emulator.getBlockId(thread);
      complain(emulator.kernel.name,
               "ends block (%u, %u, %u) with %u registers in warp %u and %u in "
               "warp %u of the same warpgroup",
               id[0], id[1], id[2], a, first, b, warp);
      return false;
    }
  }
  return true;
}

/// Gives waiting warps what they want, where that is there.
static void grant(Emulator &emulator) {
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    Thread &thread = emulator.threads[i];
    WarpRegisters &warp = emulator.getRegisters(thread);
    uint32_t &free = emulator.blocks[emulator.getBlock(thread)].freeRegisters;
    if (warp.wanted && warp.wanted - warp.count <= free) {
      free -= warp.wanted - warp.count;
      warp = {warp.wanted, 0};
    }
    if (thread.wait.meeting == Meeting::Registers && !warp.wanted) {
      wake(emulator, thread);
    }
  }
}

/// All lanes are there.
static void complete(Emulator &emulator, Thread *lanes, uint64_t) {
  const Thread &thread = lanes[0];
  const Wait &wait = thread.wait;
  WarpRegisters &warp = emulator.getRegisters(thread);
  auto count = static_cast<uint32_t>(wait.form >> 1);
  bool increases = wait.form & 1;
  if (increases ? count < warp.count : count > warp.count) {
    report(emulator, emulator.getCurrent(),
           "%s its registers to %u (%s), and has %u",
           increases ? "increases" : "decreases", count,
           getPlace(emulator, wait.site), warp.count);
  }
  if (increases) {
    warp.wanted = count == warp.count ? 0 : count;
  } else {
    emulator.blocks[emulator.getBlock(thread)].freeRegisters +=
        warp.count - count;
    warp.count = count;
  }
  grant(emulator);
}

void attn_emulator_set_registers(int32_t count, int32_t increases,
                                 int32_t site) {
  Emulator &emulator = *running;
  auto here = static_cast<uint32_t>(site);
  Wait wait = getWholeWarp(emulator, Meeting::SetRegisters, here, nullptr);
  wait.form = static_cast<uint64_t>(count) << 1 | (increases ? 1 : 0);
  meetWarp(emulator, wait, complete);
  Thread &thread = emulator.getCurrent();
  if (emulator.getRegisters(thread).wanted) {
    thread.wait.meeting = Meeting::Registers;
    thread.wait.site = here;
    thread.state = State::Waiting;
    runOthers(emulator);
  }
}
