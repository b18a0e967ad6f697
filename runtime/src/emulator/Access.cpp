//===- Access.cpp - loads, stores and atomic operations -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Addresses of shared memory are small numbers, as descriptors and 32-bit
// registers hold them; what is larger is an address of the host.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

using namespace attn::emulator;

/// No address of the host is below.
static constexpr uintptr_t kEndOfShared = 1 << 20;

static const char *getVerb(int32_t kind) {
  return kind & ATTN_EMULATOR_ATOMIC  ? "changes"
         : kind & ATTN_EMULATOR_WRITE ? "writes"
                                      : "reads";
}

static void checkAlignment(Emulator &emulator, const Thread &thread,
                           uintptr_t address, int64_t bytes, int32_t kind,
                           int32_t alignment, uint32_t site) {
  if (address & static_cast<uintptr_t>(alignment - 1)) {
    report(emulator, thread,
           "%s %lld bytes (%s) at an address that is not a multiple of %d",
           getVerb(kind), static_cast<long long>(bytes),
           getPlace(emulator, site), alignment);
  }
}

/// A conflict with a copy of bulk that is complete with a phase.
[[noreturn]] static void reportLoad(Emulator &emulator, const Thread &thread,
                                    const Conflict &conflict, const char *verb,
                                    uint32_t site) {
  const MBarrier &barrier =
      emulator.mbarriers[emulator.shadow.getAgent(conflict.other).index];
  report(emulator, thread,
         "%s byte %u of shared memory (%s), which an asynchronous copy (%s) "
         "may write: the thread has not waited for its phase of the mbarrier "
         "at byte %u",
         verb, conflict.byte, getPlace(emulator, site),
         getPlace(emulator, conflict.other.site), barrier.place);
}

void attn::emulator::reportConflict(Emulator &emulator, const Thread &thread,
                                    const Conflict &conflict, const char *verb,
                                    uint32_t site) {
  const char *here = getPlace(emulator, site);
  const char *there = getPlace(emulator, conflict.other.site);
  if (conflict.kind == Conflict::Uninitialized) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which nothing has written", verb,
           conflict.byte, here);
  }
  Agent agent = emulator.shadow.getAgent(conflict.other);
  uint32_t other = agent.index;
  if (conflict.kind == Conflict::Unfenced) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which %sthread %u writes (%s) "
           "with no fence.proxy.async between the two",
           verb, conflict.byte, here,
           agent.kind == Agent::Thread ? "" : "an asynchronous copy of ", other,
           there);
  }
  if (agent.kind == Agent::Thread) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which thread %u %s (%s) with no "
           "barrier between the two",
           verb, conflict.byte, here, other,
           conflict.kind == Conflict::WithRead ? "reads" : "writes", there);
  }
  if (agent.kind == Agent::MBarrier) {
    reportLoad(emulator, thread, conflict, verb, site);
  }
  const char *does = conflict.kind == Conflict::WithRead ? "read" : "write";
  const Thread &owner = emulator.threads[other];
  bool isOver =
      conflict.other.tick <=
      (agent.kind == Agent::Copies ? owner.waitedTick : owner.bulkRead);
  if (other == thread.index) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which its asynchronous copy (%s) "
           "may still %s: it has not waited for it",
           verb, conflict.byte, here, there, does);
  }
  if (!isOver) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which an asynchronous copy of "
           "thread %u (%s) may still %s: that thread has not waited for it",
           verb, conflict.byte, here, other, there, does);
  }
  report(emulator, thread,
         "%s byte %u of shared memory (%s), which an asynchronous copy of "
         "thread %u (%s) %ss, with no barrier after that thread's wait",
         verb, conflict.byte, here, other, there, does);
}

uint32_t attn::emulator::findShared(Emulator &emulator, const Thread &thread,
                                    const void *address, int64_t bytes,
                                    int32_t kind, int32_t alignment,
                                    uint32_t site) {
  auto place = static_cast<int64_t>(reinterpret_cast<uintptr_t>(address));
  int64_t begin = place - ATTN_EMULATOR_SHARED_BASE;
  if (begin < 0 || begin > emulator.sharedBytes ||
      bytes > emulator.sharedBytes - begin) {
    report(emulator, thread,
           "%s %lld bytes at byte %lld of shared memory (%s), which has %u "
           "bytes",
           getVerb(kind), static_cast<long long>(bytes),
           static_cast<long long>(begin), getPlace(emulator, site),
           emulator.sharedBytes);
  }
  checkAlignment(emulator, thread, place, bytes, kind, alignment, site);
  return static_cast<uint32_t>(begin);
}

unsigned char *attn::emulator::accessShared(Emulator &emulator, Thread &thread,
                                            const void *address, int64_t bytes,
                                            int32_t kind, int32_t alignment,
                                            uint32_t site) {
  uint32_t begin =
      findShared(emulator, thread, address, bytes, kind, alignment, site);
  checkNoMBarrier(emulator, thread, begin, bytes, getVerb(kind), site);
  Shadow &shadow = emulator.shadow;
  Conflict conflict;
  if (kind & ATTN_EMULATOR_ATOMIC) {
    conflict = shadow.change(thread.index, begin, bytes, site,
                             kind & ATTN_EMULATOR_READ);
  } else if (kind & ATTN_EMULATOR_WRITE) {
    conflict = shadow.write(thread.index, begin, bytes, site);
  } else {
    conflict = shadow.read(thread.index, begin, bytes, site);
  }
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, getVerb(kind), site);
  }
  return emulator.shared + begin;
}

/// Names the argument that is nearest.
static void reportOutside(Emulator &emulator, const Thread &thread,
                          uintptr_t address, int64_t bytes, int32_t kind,
                          uint32_t site) {
  int64_t nearest = -1;
  uintptr_t least = ~uintptr_t{0};
  for (int64_t i = 0; i < emulator.numBuffers; ++i) {
    const Range &range = emulator.ranges[i];
    uintptr_t distance = address < range.begin  ? range.begin - address
                         : address >= range.end ? address - range.end
                                                : 0;
    if (distance < least) {
      least = distance;
      nearest = i;
    }
  }
  if (nearest < 0) {
    report(emulator, thread,
           "%s %lld bytes of global memory (%s); it has no buffer",
           getVerb(kind), static_cast<long long>(bytes),
           getPlace(emulator, site));
  }
  const Range &range = emulator.ranges[nearest];
  report(emulator, thread,
         "%s %lld bytes at byte %lld of %s (%s), which has %llu bytes",
         getVerb(kind), static_cast<long long>(bytes),
         static_cast<long long>(address - range.begin),
         emulator.buffers[nearest].name, getPlace(emulator, site),
         static_cast<unsigned long long>(range.end - range.begin));
}

void attn::emulator::checkGlobal(Emulator &emulator, const Thread &thread,
                                 const void *address, int64_t bytes,
                                 int32_t kind, int32_t alignment,
                                 uint32_t site) {
  auto begin = reinterpret_cast<uintptr_t>(address);
  auto size = static_cast<uintptr_t>(bytes);
  bool isInside = false;
  for (int64_t i = 0; i < emulator.numBuffers && !isInside; ++i) {
    const Range &range = emulator.ranges[i];
    isInside =
        begin >= range.begin && begin <= range.end && size <= range.end - begin;
  }
  // What a thread has for itself lies on its stack.
  auto stack = reinterpret_cast<uintptr_t>(thread.fiber.stack);
  isInside |= begin - stack < thread.fiber.stackBytes;
  if (!isInside) {
    reportOutside(emulator, thread, begin, bytes, kind, site);
  }
  checkAlignment(emulator, thread, begin, bytes, kind, alignment, site);
}

/// Threads that wait for each other by atomic operations alone have to take
/// turns.
static void takeTurns(Emulator &emulator, int32_t kind) {
  if ((kind & ATTN_EMULATOR_ATOMIC) && emulator.random.below(2)) {
    attn_emulator_yield();
  }
}

void *attn_emulator_access_shared(const void *address, int64_t bytes,
                                  int32_t kind, int32_t alignment,
                                  int32_t site) {
  Emulator &emulator = *running;
  takeTurns(emulator, kind);
  return accessShared(emulator, emulator.getCurrent(), address, bytes, kind,
                      alignment, site);
}

void *attn_emulator_access(const void *address, int64_t bytes, int32_t kind,
                           int32_t alignment, int32_t site) {
  Emulator &emulator = *running;
  takeTurns(emulator, kind);
  Thread &thread = emulator.getCurrent();
  if (reinterpret_cast<uintptr_t>(address) < kEndOfShared) {
    return accessShared(emulator, thread, address, bytes, kind, alignment,
                        site);
  }
  checkGlobal(emulator, thread, address, bytes, kind, alignment, site);
  return const_cast<void *>(address);
}
