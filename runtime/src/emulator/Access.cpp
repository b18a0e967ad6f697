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

#include "Warpgroup.h"

#include <cstdio>

using namespace attn::emulator;

/// No address of the host is below.
static constexpr uintptr_t kEndOfShared = (kMaxBlocks + 1) * kWindowBytes;

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
         verb, emulator.getByte(conflict.byte), getPlace(emulator, site),
         getPlace(emulator, conflict.other.site),
         emulator.getByte(barrier.place));
}

/// A conflict with a product, which reads.
[[noreturn]] static void reportProduct(Emulator &emulator, const Thread &thread,
                                       const Conflict &conflict,
                                       const char *verb, uint32_t site) {
  uint32_t index = emulator.shadow.getAgent(conflict.other).index;
  bool isOver = conflict.other.tick <= emulator.warpgroups[index].completed;
  report(emulator, thread,
         "%s byte %u of shared memory (%s), which a product of warpgroup %u "
         "(%s) %s",
         verb, emulator.getByte(conflict.byte), getPlace(emulator, site),
         index % emulator.getGroupsOfBlock(),
         getPlace(emulator, conflict.other.site),
         isOver ? "reads, with no barrier after the wait for it"
                : "may still read: the warpgroup has not waited for it");
}

/// What a thread does, and in which block if that is not its own.
static const char *addBlock(const Emulator &emulator, const Thread &thread,
                            uint32_t place, const char *verb, char *text,
                            size_t bytes) {
  uint32_t block = emulator.getBlockAt(place);
  if (block == emulator.getBlock(thread)) {
    return verb;
  }
  const uint32_t *id = emulator.blocks[block].id;
  std::snprintf(text, bytes, "%s, in block (%u, %u, %u),", verb, id[0], id[1],
                id[2]);
  return text;
}

void attn::emulator::reportConflict(Emulator &emulator, const Thread &thread,
                                    const Conflict &conflict, const char *verb,
                                    uint32_t site) {
  char text[64];
  verb = addBlock(emulator, thread, conflict.byte, verb, text, sizeof(text));
  uint32_t byte = emulator.getByte(conflict.byte);
  const char *here = getPlace(emulator, site);
  const char *there = getPlace(emulator, conflict.other.site);
  if (conflict.kind == Conflict::Uninitialized) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which nothing has written", verb,
           byte, here);
  }
  Agent agent = emulator.shadow.getAgent(conflict.other);
  uint32_t other = agent.index;
  if (conflict.kind == Conflict::Unfenced) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which %s%s writes (%s) "
           "with no fence.proxy.async between the two",
           verb, byte, here,
           agent.kind == Agent::Thread ? "" : "an asynchronous copy of ",
           getThreadName(emulator, other), there);
  }
  if (agent.kind == Agent::Thread) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which %s %s (%s) with no "
           "barrier between the two",
           verb, byte, here, getThreadName(emulator, other),
           conflict.kind == Conflict::WithRead ? "reads" : "writes", there);
  }
  if (agent.kind == Agent::MBarrier) {
    reportLoad(emulator, thread, conflict, verb, site);
  }
  if (agent.kind == Agent::Products) {
    reportProduct(emulator, thread, conflict, verb, site);
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
           verb, byte, here, there, does);
  }
  if (!isOver) {
    report(emulator, thread,
           "%s byte %u of shared memory (%s), which an asynchronous copy of "
           "%s (%s) may still %s: that thread has not waited for it",
           verb, byte, here, getThreadName(emulator, other), there, does);
  }
  report(emulator, thread,
         "%s byte %u of shared memory (%s), which an asynchronous copy of "
         "%s (%s) %ss, with no barrier after that thread's wait",
         verb, byte, here, getThreadName(emulator, other), there, does);
}

uint32_t attn::emulator::findShared(Emulator &emulator, const Thread &thread,
                                    const void *address, int64_t bytes,
                                    int32_t kind, int32_t alignment,
                                    uint32_t site) {
  auto full = static_cast<int64_t>(reinterpret_cast<uintptr_t>(address));
  int64_t window = full >= 0 ? full / kWindowBytes : 0;
  int64_t place = full - window * kWindowBytes;
  uint32_t block = window                   ? static_cast<uint32_t>(window - 1)
                   : emulator.numBlocks > 1 ? emulator.getBlock(thread)
                                            : 0;
  int64_t begin = place - ATTN_EMULATOR_SHARED_BASE;
  if (window > emulator.numBlocks) {
    report(emulator, thread,
           "%s %lld bytes of the shared memory of block %lld of its cluster "
           "(%s), which has %u",
           getVerb(kind), static_cast<long long>(bytes),
           static_cast<long long>(window - 1), getPlace(emulator, site),
           emulator.numBlocks);
  }
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
  uint32_t found = block * emulator.windowBytes + static_cast<uint32_t>(begin);
  if (emulator.numBlocks > 1) {
    checkBlockAt(emulator, thread, found, getVerb(kind), site);
  }
  return found;
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
