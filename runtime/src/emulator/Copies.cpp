//===- Copies.cpp - asynchronous copies to shared memory ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy is checked when it is issued, and its bytes arrive at a moment that is
// drawn, at the latest when its thread waits for its group, or when nothing
// else can go on.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <cstdlib>
#include <cstring>

using namespace attn::emulator;

static void land(Copy &copy) {
  std::memcpy(copy.target, copy.source, copy.sourceBytes);
  std::memset(copy.target + copy.sourceBytes, 0, copy.bytes - copy.sourceBytes);
  copy.landed = true;
}

/// Lets the arrivals happen whose copies have landed.
static void arriveIfDone(Emulator &emulator, Thread &thread) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < thread.numArrivals; ++i) {
    LateArrival arrival = thread.arrivals[i];
    bool isDone = true;
    for (uint32_t k = 0; k < thread.numCopies; ++k) {
      const Copy &copy = thread.copies[k];
      isDone &= copy.landed || copy.tick > arrival.tick;
    }
    if (isDone) {
      arriveLate(emulator, *arrival.barrier, thread.copyAgent, arrival.tick);
    } else {
      thread.arrivals[kept++] = arrival;
    }
  }
  thread.numArrivals = kept;
}

void attn::emulator::landSome(Emulator &emulator, Thread &thread) {
  if (thread.numCopies == 0 || emulator.random.below(2)) {
    return;
  }
  Copy &copy = thread.copies[emulator.random.below(thread.numCopies)];
  if (!copy.landed) {
    land(copy);
    arriveIfDone(emulator, thread);
  }
}

bool attn::emulator::landOne(Emulator &emulator) {
  uint32_t first = emulator.random.below(emulator.numThreads);
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    Thread &thread = emulator.threads[(first + i) % emulator.numThreads];
    for (uint32_t k = 0; thread.numArrivals && k < thread.numCopies; ++k) {
      Copy &copy = thread.copies[k];
      if (!copy.landed && copy.tick <= thread.tracked) {
        land(copy);
        arriveIfDone(emulator, thread);
        return true;
      }
    }
  }
  return false;
}

void attn::emulator::checkCopies(Emulator &emulator, Thread &thread) {
  uint32_t count = 0, first = 0;
  for (uint32_t i = 0; i < thread.numCopies; ++i) {
    Copy &copy = thread.copies[i];
    if (copy.tick > thread.tracked) {
      first = count++ ? first : copy.site;
    } else if (!copy.landed) {
      land(copy);
    }
  }
  if (count) {
    report(emulator, thread,
           "leaves the kernel without having waited for %u asynchronous "
           "copies, the first of which it began at %s",
           count, getPlace(emulator, first));
  }
  arriveIfDone(emulator, thread);
}

/// Copies that have landed and that an mbarrier has followed are kept for those
/// who wait for their groups alone: one of a group is enough.
static void forgetSome(Thread &thread) {
  auto isOver = [&](const Copy &copy) {
    return copy.landed && copy.tick <= thread.tracked;
  };
  uint32_t kept = 0;
  for (uint32_t i = 0; i < thread.numCopies; ++i) {
    const Copy &copy = thread.copies[i];
    bool isSame = kept && isOver(copy) && isOver(thread.copies[kept - 1]) &&
                  copy.group == thread.copies[kept - 1].group;
    thread.copies[isSame ? kept - 1 : kept++] = copy;
  }
  thread.numCopies = kept;
}

/// Where to note one more copy.
static Copy &addCopy(Emulator &emulator, Thread &thread) {
  if (thread.numCopies == thread.maxCopies) {
    forgetSome(thread);
  }
  if (!grow(thread.copies, thread.numCopies, thread.maxCopies)) {
    report(emulator, thread, "has no memory to note an asynchronous copy");
  }
  return thread.copies[thread.numCopies++];
}

/// The agent that the copies of a thread are.
static uint32_t getCopyAgent(Emulator &emulator, Thread &thread) {
  if (!thread.copyAgent) {
    thread.copyAgent = emulator.shadow.addAgent({Agent::Copies, thread.index});
  }
  return thread.copyAgent;
}

void attn_emulator_copy_async(void *shared, const void *global, int32_t bytes,
                              int32_t source_bytes, int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  if (source_bytes < 0 || source_bytes > bytes) {
    report(emulator, thread, "copies %d of %d bytes asynchronously (%s)",
           source_bytes, bytes, getPlace(emulator, site));
  }
  uint32_t begin = findShared(emulator, thread, shared, bytes,
                              ATTN_EMULATOR_WRITE, bytes, site);
  // A copy of nothing may come from anywhere.
  if (source_bytes) {
    checkGlobal(emulator, thread, global, source_bytes, ATTN_EMULATOR_READ,
                bytes, site);
  }
  uint32_t group = thread.committed + 1;
  Conflict conflict = emulator.shadow.writeLater(
      thread.index, begin, bytes, site, getCopyAgent(emulator, thread),
      thread.copyTick);
  checkNoMBarrier(emulator, thread, begin, bytes, "copies to", site);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, "copies to", site);
  }
  Copy &copy = addCopy(emulator, thread);
  copy = {emulator.shared + begin,
          static_cast<const unsigned char *>(global),
          static_cast<uint32_t>(bytes),
          static_cast<uint32_t>(source_bytes),
          group,
          static_cast<uint32_t>(site),
          thread.copyTick,
          false};
  if (source_bytes == 0) {
    copy.source = copy.target;
  }
  landSome(emulator, thread);
}

void attn_emulator_copy_commit(void) {
  Thread &thread = running->getCurrent();
  ++thread.committed;
  ++thread.copyTick;
}

void attn_emulator_copy_wait(int32_t groups) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto pending = static_cast<uint32_t>(groups);
  if (thread.committed < pending ||
      thread.committed - pending <= thread.completed) {
    return;
  }
  thread.completed = thread.committed - pending;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < thread.numCopies; ++i) {
    Copy &copy = thread.copies[i];
    if (copy.group > thread.completed) {
      thread.copies[kept++] = copy;
      continue;
    }
    thread.waitedTick = copy.tick;
    if (!copy.landed) {
      land(copy);
    }
  }
  thread.numCopies = kept;
  if (thread.waitedTick) {
    emulator.shadow.getClock(thread.index)[thread.copyAgent] =
        thread.waitedTick;
  }
  arriveIfDone(emulator, thread);
}

void attn_emulator_copy_arrive(void *address, int32_t no_increment,
                               int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  MBarrier &barrier =
      findMBarrier(emulator, address, static_cast<uint32_t>(site));
  if (!no_increment) {
    ++barrier.pending;
  }
  if (!grow(thread.arrivals, thread.numArrivals, thread.maxArrivals)) {
    report(emulator, thread, "has no memory to note an arrival");
  }
  thread.arrivals[thread.numArrivals++] = {&barrier, thread.copyTick,
                                           static_cast<uint32_t>(site)};
  getCopyAgent(emulator, thread);
  thread.tracked = thread.copyTick++;
  arriveIfDone(emulator, thread);
}
