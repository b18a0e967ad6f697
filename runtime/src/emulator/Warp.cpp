//===- Warp.cpp - ops that lanes of a warp do together --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All lanes of the mask have to come to the same op of the source. The PTX ISA
// lets lanes that have left be missing, and lanes meet at different ops of one
// kind; a compiler for one program of all lanes means neither.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace attn::emulator;

uint64_t Emulator::getLanes(uint32_t warp) const {
  uint32_t count = numThreads - warp * warpSize;
  count = count < warpSize ? count : warpSize;
  return ~uint64_t{0} >> (64 - count);
}

/// Calls `fn` with the number of each lane of a mask.
template <typename Fn> static void forEachLane(uint64_t mask, Fn fn) {
  for (; mask; mask &= mask - 1) {
    fn(static_cast<uint32_t>(__builtin_ctzll(mask)));
  }
}

static bool isWarpMeeting(const Wait &wait) {
  return wait.meeting != Meeting::None && wait.meeting != Meeting::Barrier &&
         wait.meeting != Meeting::MBarrier &&
         wait.meeting != Meeting::Registers && wait.meeting != Meeting::Cluster;
}

static bool isAtSame(const Wait &a, const Wait &b) {
  return a.meeting == b.meeting && a.site == b.site && a.form == b.form &&
         a.mask == b.mask;
}

void attn::emulator::checkPair(Emulator &emulator, const Thread &waiting,
                               const Thread &other) {
  const Wait &here = waiting.wait, &there = other.wait;
  if (other.state == State::Exited) {
    report(emulator, waiting,
           "waits at %s (%s) for thread %u, which has left the kernel",
           getName(here), getPlace(emulator, here.site),
           emulator.getLocal(other));
  }
  // One that is at a meeting of its own, without this lane, may come yet, and
  // one that waits for a phase to end or for registers.
  if (other.state != State::Waiting || there.meeting == Meeting::MBarrier ||
      there.meeting == Meeting::Registers ||
      there.meeting == Meeting::Cluster ||
      (isWarpMeeting(there) &&
       !(there.mask >> waiting.index % emulator.warpSize & 1))) {
    return;
  }
  if (here.meeting != there.meeting || here.site != there.site ||
      here.form != there.form) {
    report(emulator, waiting,
           "waits at %s (%s) for thread %u, which waits at %s (%s)",
           getName(here), getPlace(emulator, here.site),
           emulator.getLocal(other), getName(there),
           getPlace(emulator, there.site));
  }
  if (here.mask != there.mask) {
    report(emulator, waiting,
           "waits at %s (%s) for the lanes 0x%llx, and thread %u there for the "
           "lanes 0x%llx",
           getName(here), getPlace(emulator, here.site),
           static_cast<unsigned long long>(here.mask), emulator.getLocal(other),
           static_cast<unsigned long long>(there.mask));
  }
}

void attn::emulator::checkWarp(Emulator &emulator, const Thread &thread) {
  uint32_t lane = thread.index % emulator.warpSize, first = thread.index - lane;
  for (uint32_t i = 0; i < emulator.warpSize && first + i < emulator.numThreads;
       ++i) {
    const Thread &other = emulator.threads[first + i];
    if (&other == &thread) {
      continue;
    }
    // Lanes of a warp come to a barrier together.
    if (other.wait.meeting == Meeting::Barrier &&
        thread.wait.meeting == Meeting::Barrier &&
        (other.wait.mask != thread.wait.mask ||
         other.wait.site != thread.wait.site)) {
      checkPair(emulator, other, thread);
    }
    if (isWarpMeeting(other.wait) && (other.wait.mask >> lane & 1)) {
      checkPair(emulator, other, thread);
    }
    if (isWarpMeeting(thread.wait) && (thread.wait.mask >> i & 1)) {
      checkPair(emulator, thread, other);
    }
  }
}

void attn::emulator::meetWarp(Emulator &emulator, const Wait &wait,
                              void (*complete)(Emulator &emulator,
                                               Thread *lanes, uint64_t mask)) {
  Thread &thread = emulator.getCurrent();
  uint32_t lane = thread.index % emulator.warpSize;
  Thread *lanes = &thread - lane;
  if (!(wait.mask >> lane & 1)) {
    report(emulator, thread, "is at %s (%s), but not one of the lanes 0x%llx",
           getName(wait), getPlace(emulator, wait.site),
           static_cast<unsigned long long>(wait.mask));
  }
  thread.wait = wait;
  thread.wait.mask &= emulator.getLanes(thread.index / emulator.warpSize);
  thread.state = State::Waiting;
  checkWarp(emulator, thread);
  uint64_t mask = thread.wait.mask;
  bool isComplete = true;
  forEachLane(mask, [&](uint32_t i) {
    isComplete &= isAtSame(lanes[i].wait, thread.wait);
  });
  if (isComplete) {
    complete(emulator, lanes, mask);
    forEachLane(mask, [&](uint32_t i) { wake(emulator, lanes[i]); });
  }
  runOthers(emulator);
}

Wait attn::emulator::getWholeWarp(Emulator &emulator, Meeting meeting,
                                  uint32_t site, void *data) {
  Thread &thread = emulator.getCurrent();
  Wait wait;
  wait.meeting = meeting;
  wait.site = site;
  wait.mask = ~uint64_t{0} >> (64 - emulator.warpSize);
  wait.data = data;
  if (emulator.getLanes(thread.index / emulator.warpSize) != wait.mask) {
    report(emulator, thread, "is at %s (%s) in a warp of less than %u threads",
           getName(wait), getPlace(emulator, site), emulator.warpSize);
  }
  return wait;
}

//===----------------------------------------------------------------------===//
// bar.warp.sync
//===----------------------------------------------------------------------===//

/// The first lane learns what all know, and then all what it knows.
static void completeBarrier(Emulator &emulator, Thread *lanes, uint64_t mask) {
  Shadow &shadow = emulator.shadow;
  auto getClock = [&](uint32_t i) { return shadow.getClock(lanes[i].index); };
  uint32_t *all = getClock(static_cast<uint32_t>(__builtin_ctzll(mask)));
  uint64_t others = mask & (mask - 1);
  forEachLane(others, [&](uint32_t i) { shadow.join(all, getClock(i)); });
  forEachLane(others, [&](uint32_t i) { shadow.join(getClock(i), all); });
  forEachLane(mask, [&](uint32_t i) { shadow.tick(lanes[i].index); });
}

void attn_emulator_warp_barrier(int32_t mask, int32_t site) {
  Wait wait;
  wait.meeting = Meeting::WarpBarrier;
  wait.site = site;
  wait.mask = static_cast<uint32_t>(mask);
  meetWarp(*running, wait, completeBarrier);
}

//===----------------------------------------------------------------------===//
// Shuffles
//===----------------------------------------------------------------------===//

namespace {
/// What a lane brings to an op on 32-bit values, and takes from it.
struct Value {
  uint32_t value, offset, clamp;
  uint32_t result;
  bool isInRange;
};
Value &getValue(Thread &lane) { return *static_cast<Value *>(lane.wait.data); }
} // namespace

/// The lane that a lane reads, or a negative number if that is out of range.
static int32_t getSource(int32_t lane, const Value &value, uint64_t kind) {
  auto offset = static_cast<int32_t>(value.offset & 31);
  auto segments = static_cast<int32_t>(value.clamp >> 8 & 31);
  auto clamp = static_cast<int32_t>(value.clamp & 31);
  int32_t first = lane & segments, last = first | (clamp & ~segments);
  if (kind == 1) {
    return lane - offset >= last ? lane - offset : -1;
  }
  int32_t source = kind == 0   ? lane ^ offset
                   : kind == 2 ? lane + offset
                               : first | (offset & ~segments);
  return source <= last ? source : -1;
}

static void completeShuffle(Emulator &emulator, Thread *lanes, uint64_t mask) {
  forEachLane(mask, [&](uint32_t i) {
    Value &value = getValue(lanes[i]);
    auto lane = static_cast<int32_t>(i);
    int32_t source = getSource(lane, value, lanes[i].wait.form);
    value.isInRange = source >= 0;
    source = value.isInRange ? source : lane;
    if (!(mask >> source & 1)) {
      report(emulator, lanes[i],
             "reads lane %d at shfl.sync (%s), which is not one of the lanes "
             "0x%llx",
             source, getPlace(emulator, lanes[i].wait.site),
             static_cast<unsigned long long>(mask));
    }
    value.result = getValue(lanes[source]).value;
  });
}

int64_t attn_emulator_shuffle(int32_t kind, int32_t mask, int32_t value,
                              int32_t offset, int32_t mask_and_clamp,
                              int32_t site) {
  Value data = {static_cast<uint32_t>(value), static_cast<uint32_t>(offset),
                static_cast<uint32_t>(mask_and_clamp), 0, false};
  Wait wait;
  wait.meeting = Meeting::Shuffle;
  wait.site = site;
  wait.mask = static_cast<uint32_t>(mask);
  wait.form = kind;
  wait.data = &data;
  meetWarp(*running, wait, completeShuffle);
  return static_cast<int64_t>(data.result) |
         static_cast<int64_t>(data.isInRange) << 32;
}

//===----------------------------------------------------------------------===//
// Votes, elections and reductions
//===----------------------------------------------------------------------===//

static void completeVote(Emulator &, Thread *lanes, uint64_t mask) {
  uint32_t ballot = 0;
  forEachLane(mask, [&](uint32_t i) {
    ballot |= (getValue(lanes[i]).value ? 1u : 0u) << i;
  });
  forEachLane(mask, [&](uint32_t i) {
    const uint32_t results[] = {ballot != 0, ballot == mask, ballot,
                                ballot == 0 || ballot == mask};
    getValue(lanes[i]).result = results[lanes[i].wait.form];
  });
}

int32_t attn_emulator_vote(int32_t kind, int32_t mask, int32_t predicate,
                           int32_t site) {
  Value data = {};
  data.value = predicate;
  Wait wait;
  wait.meeting = Meeting::Vote;
  wait.site = site;
  wait.mask = static_cast<uint32_t>(mask);
  wait.form = kind;
  wait.data = &data;
  meetWarp(*running, wait, completeVote);
  return static_cast<int32_t>(data.result);
}

static void completeElect(Emulator &, Thread *lanes, uint64_t mask) {
  forEachLane(mask, [&](uint32_t i) {
    getValue(lanes[i]).result = (mask & ((1u << i) - 1)) == 0;
  });
}

int32_t attn_emulator_elect(int32_t mask, int32_t site) {
  Value data = {};
  Wait wait;
  wait.meeting = Meeting::Elect;
  wait.site = site;
  wait.mask = static_cast<uint32_t>(mask);
  wait.data = &data;
  meetWarp(*running, wait, completeElect);
  return static_cast<int32_t>(data.result);
}

static uint32_t reduceFloats(bool isMax, uint32_t flags, uint32_t a,
                             uint32_t b) {
  auto x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
  if (flags & ATTN_EMULATOR_REDUX_ABS) {
    x = std::fabs(x);
    y = std::fabs(y);
  }
  if ((flags & ATTN_EMULATOR_REDUX_NAN) && (std::isnan(x) || std::isnan(y))) {
    return 0x7fffffff;
  }
  return std::bit_cast<uint32_t>(isMax ? std::fmax(x, y) : std::fmin(x, y));
}

static uint32_t reduce(uint32_t kind, uint32_t flags, uint32_t a, uint32_t b) {
  auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (kind) {
  case 1:
    return a + b;
  case 2:
    return a & b;
  case 3:
    return x > y ? a : b;
  case 4:
    return x < y ? a : b;
  case 5:
    return a | b;
  case 6:
    return a > b ? a : b;
  case 7:
    return a < b ? a : b;
  case 8:
    return a ^ b;
  default:
    return reduceFloats(kind == 10, flags, a, b);
  }
}

static void completeRedux(Emulator &, Thread *lanes, uint64_t mask) {
  uint32_t result = 0;
  bool isFirst = true;
  forEachLane(mask, [&](uint32_t i) {
    auto kind = static_cast<uint32_t>(lanes[i].wait.form);
    auto flags = static_cast<uint32_t>(lanes[i].wait.form >> 32);
    uint32_t value = getValue(lanes[i]).value;
    // The first meets itself, so that its sign and its NaN are treated alike.
    if (isFirst && kind >= 9) {
      value = reduceFloats(kind == 10, flags, value, value);
    }
    result = isFirst ? value : reduce(kind, flags, result, value);
    isFirst = false;
  });
  forEachLane(mask, [&](uint32_t i) { getValue(lanes[i]).result = result; });
}

int32_t attn_emulator_redux(int32_t kind, int32_t flags, int32_t mask,
                            int32_t value, int32_t site) {
  Value data = {};
  data.value = value;
  Wait wait;
  wait.meeting = Meeting::Redux;
  wait.site = site;
  wait.mask = static_cast<uint32_t>(mask);
  wait.form = static_cast<uint32_t>(kind) | static_cast<uint64_t>(flags) << 32;
  wait.data = &data;
  meetWarp(*running, wait, completeRedux);
  return static_cast<int32_t>(data.result);
}
