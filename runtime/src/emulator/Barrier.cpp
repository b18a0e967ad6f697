//===- Barrier.cpp - where threads of a block meet ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <cstring>

using namespace attn::emulator;

/// Of all barriers.
static uint32_t getNumber(const Emulator &emulator, const Thread &thread,
                          uint32_t id) {
  return emulator.getBlock(thread) * kNumBarriers + id;
}

/// Counts the thread; a barrier that is empty takes its form from the first.
static Barrier &arrive(Emulator &emulator, uint32_t id, int32_t count,
                       uint32_t site) {
  Thread &thread = emulator.getCurrent();
  if (id >= kNumBarriers) {
    report(
        emulator, thread, "uses barrier %d (%s); a block has barriers 0 to %u",
        static_cast<int32_t>(id), getPlace(emulator, site), kNumBarriers - 1);
  }
  bool isForAll = count < 0;
  uint32_t expected = isForAll ? emulator.blockThreads : count;
  if (!isForAll && (expected == 0 || expected % emulator.warpSize != 0)) {
    report(emulator, thread,
           "is at barrier %u (%s) with %u threads, which is not a multiple of "
           "%u",
           id, getPlace(emulator, site), expected, emulator.warpSize);
  }
  uint32_t number = getNumber(emulator, thread, id);
  Barrier &barrier = emulator.barriers[number];
  if (barrier.arrived == 0) {
    barrier.expected = expected;
    barrier.site = site;
    barrier.isForAll = isForAll;
    barrier.trueCount = 0;
    std::memset(emulator.barrierClocks[number], 0,
                emulator.shadow.getClockBytes());
  } else if (barrier.expected != expected) {
    report(emulator, thread,
           "is at barrier %u (%s) with %u threads, and others (%s) with %u", id,
           getPlace(emulator, site), expected, getPlace(emulator, barrier.site),
           barrier.expected);
  } else if (barrier.isForAll && isForAll && barrier.site != site) {
    report(emulator, thread,
           "is at barrier %u (%s), and others of the block at another (%s)", id,
           getPlace(emulator, site), getPlace(emulator, barrier.site));
  }
  ++barrier.arrived;
  emulator.shadow.join(emulator.barrierClocks[number],
                       emulator.shadow.getClock(thread.index));
  return barrier;
}

/// Lets go whoever waits, if all have come.
static void completeBarrier(Emulator &emulator, uint32_t id) {
  uint32_t number = getNumber(emulator, emulator.getCurrent(), id);
  Barrier &barrier = emulator.barriers[number];
  if (barrier.arrived < barrier.expected) {
    return;
  }
  barrier.arrived = 0;
  uint32_t first =
      emulator.getBlock(emulator.getCurrent()) * emulator.blockThreads;
  for (uint32_t i = first; i < first + emulator.blockThreads; ++i) {
    Thread &thread = emulator.threads[i];
    if (thread.wait.meeting != Meeting::Barrier || thread.wait.mask != id) {
      continue;
    }
    emulator.shadow.join(emulator.shadow.getClock(i),
                         emulator.barrierClocks[number]);
    emulator.shadow.tick(i);
    if (auto *result = static_cast<uint32_t *>(thread.wait.data)) {
      *result = barrier.trueCount;
    }
    wake(emulator, thread);
  }
}

int32_t attn_emulator_barrier(int32_t id, int32_t count, int32_t reduction,
                              int32_t predicate, int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  Barrier &barrier = arrive(emulator, id, count, site);
  barrier.trueCount += predicate != 0;
  uint32_t expected = barrier.expected, trueCount = 0;
  thread.wait.meeting = Meeting::Barrier;
  thread.wait.site = site;
  thread.wait.mask = id;
  thread.wait.data = &trueCount;
  thread.state = State::Waiting;
  checkWarp(emulator, thread);
  completeBarrier(emulator, id);
  runOthers(emulator);
  switch (reduction) {
  case ATTN_EMULATOR_REDUCE_COUNT:
    return static_cast<int32_t>(trueCount);
  case ATTN_EMULATOR_REDUCE_AND:
    return trueCount == expected;
  case ATTN_EMULATOR_REDUCE_OR:
    return trueCount != 0;
  default:
    return 0;
  }
}

void attn_emulator_barrier_arrive(int32_t id, int32_t count, int32_t site) {
  Emulator &emulator = *running;
  arrive(emulator, id, count, site);
  emulator.shadow.tick(emulator.current);
  completeBarrier(emulator, id);
}
