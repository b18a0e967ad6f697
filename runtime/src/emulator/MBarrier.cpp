//===- MBarrier.cpp - barriers in shared memory ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An mbarrier counts, for one phase after the other, arrivals that are pending
// and bytes that are expected; a phase ends when neither are left. Those who
// wait for it then know what those who arrived knew (PTX ISA, section
// "mbarrier"). What its 8 bytes hold is not modelled: nobody may look at them.
//
// Whoever uses an mbarrier changes its first byte, as atomic operations do. So
// a use that may come before its initialisation is a race like any other.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <cstring>

using namespace attn::emulator;

/// Of counts and of bytes.
static constexpr int32_t kMaxCount = (1 << 20) - 1;

/// The states that arrivals give: where the mbarrier is, and the phase.
static int64_t makeState(uint32_t place, uint32_t phase) {
  return static_cast<int64_t>(uint64_t{place} << 32 | phase);
}

static uint32_t findPlace(Emulator &emulator, const void *address,
                          uint32_t site) {
  return findShared(emulator, emulator.getCurrent(), address, kMBarrierBytes,
                    ATTN_EMULATOR_ATOMIC, kMBarrierBytes, site);
}

static MBarrier *findAt(Emulator &emulator, uint32_t place) {
  uint32_t number = emulator.mbarrierAt[place / kMBarrierBytes];
  return number ? &emulator.mbarriers[number - 1] : nullptr;
}

MBarrier &attn::emulator::findMBarrier(Emulator &emulator, const void *address,
                                       uint32_t site) {
  return findMBarrierAt(emulator, findPlace(emulator, address, site), site);
}

MBarrier &attn::emulator::findMBarrierAt(Emulator &emulator, uint32_t place,
                                         uint32_t site) {
  Thread &thread = emulator.getCurrent();
  MBarrier *barrier = findAt(emulator, place);
  if (!barrier) {
    report(emulator, thread,
           "uses byte %u of shared memory (%s) as an mbarrier, which nothing "
           "has made it",
           emulator.getByte(place), getPlace(emulator, site));
  }
  if (!barrier->isLive) {
    report(emulator, thread,
           "uses the mbarrier at byte %u of shared memory (%s), which has been "
           "invalidated (%s)",
           emulator.getByte(place), getPlace(emulator, site),
           getPlace(emulator, barrier->site));
  }
  // A fence and the cluster's barrier are enough to know that it is there.
  bool isKnown = barrier->isFenced && thread.clusterWaits > barrier->fencedAt;
  Conflict conflict = emulator.shadow.change(thread.index, place, 1, site, true,
                                             isKnown ? barrier->creator : ~0u);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, "uses the mbarrier at", site);
  }
  return *barrier;
}

void attn::emulator::checkNoMBarrier(Emulator &emulator, const Thread &thread,
                                     uint32_t begin, int64_t bytes,
                                     const char *verb, uint32_t site) {
  if (!emulator.numMBarriers || bytes <= 0) {
    return;
  }
  uint32_t end = begin + static_cast<uint32_t>(bytes);
  for (uint32_t at = begin / kMBarrierBytes * kMBarrierBytes; at < end;
       at += kMBarrierBytes) {
    MBarrier *barrier =
        emulator.getByte(at) + kMBarrierBytes <= emulator.sharedBytes
            ? findAt(emulator, at)
            : nullptr;
    if (barrier && barrier->isLive) {
      report(emulator, thread,
             "%s byte %u of shared memory (%s), which belongs to an mbarrier "
             "(%s)",
             verb, emulator.getByte(at > begin ? at : begin),
             getPlace(emulator, site), getPlace(emulator, barrier->site));
    }
  }
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Learns what those of ended phases knew.
static void acquire(Emulator &emulator, const MBarrier &barrier) {
  emulator.shadow.join(emulator.shadow.getClock(emulator.current),
                       barrier.published);
}

/// A thread that is one phase behind sees the parity of the phase before, and
/// waits for the wrong one.
static void checkWatchers(Emulator &emulator, const MBarrier &barrier) {
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    const Thread &thread = emulator.threads[i];
    if (thread.watched == &barrier) {
      report(emulator, thread,
             "may miss that phase %u of the mbarrier at byte %u of shared "
             "memory ends, for which it waits (%s): phase %u ends too before "
             "it has gone on",
             thread.watchedPhase, emulator.getByte(barrier.place),
             getPlace(emulator, thread.watchedSite), barrier.phase);
    }
  }
}

/// Ends the phase if it lacks nothing.
void attn::emulator::endPhase(Emulator &emulator, MBarrier &barrier) {
  if (barrier.pending || barrier.bytes) {
    return;
  }
  checkWatchers(emulator, barrier);
  checkTransfers(emulator, barrier);
  ++barrier.phase;
  ++barrier.tick;
  barrier.pending = barrier.count;
  emulator.numPolls = 0;
  barrier.gathered[barrier.agent] = barrier.tick;
  std::memcpy(barrier.published, barrier.gathered,
              emulator.shadow.getClockBytes());
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    Thread &thread = emulator.threads[i];
    if (thread.wait.meeting == Meeting::MBarrier &&
        thread.wait.mask == barrier.place) {
      thread.watched = &barrier;
      thread.watchedPhase = static_cast<uint32_t>(thread.wait.form);
      thread.watchedSite = thread.wait.site;
      wake(emulator, thread);
    }
  }
}

static void expect(Emulator &emulator, MBarrier &barrier, int32_t bytes,
                   uint32_t site) {
  if (bytes < 0 || bytes > kMaxCount || barrier.bytes > kMaxCount - bytes) {
    report(emulator, emulator.getCurrent(),
           "lets the mbarrier at byte %u of shared memory expect %d bytes more "
           "(%s), with %d that it expects; allowed are 0 to %d in all",
           emulator.getByte(barrier.place), bytes, getPlace(emulator, site),
           barrier.bytes, kMaxCount);
  }
  barrier.bytes += bytes;
}

static void checkArrivals(Emulator &emulator, const MBarrier &barrier,
                          int32_t count, int32_t flags, uint32_t site) {
  const Thread &thread = emulator.getCurrent();
  const char *here = getPlace(emulator, site);
  if (count < 1 || static_cast<uint32_t>(count) > barrier.pending) {
    report(emulator, thread,
           "arrives %d times at the mbarrier at byte %u of shared memory (%s), "
           "which lacks %u arrivals",
           count, emulator.getByte(barrier.place), here, barrier.pending);
  }
  bool completes = static_cast<uint32_t>(count) == barrier.pending;
  if (completes && (flags & ATTN_EMULATOR_ARRIVE_NO_COMPLETE)) {
    report(emulator, thread,
           "is the last to arrive at the mbarrier at byte %u of shared memory "
           "(%s), and says that it is not",
           emulator.getByte(barrier.place), here);
  }
}

void attn::emulator::arriveLate(Emulator &emulator, MBarrier &barrier,
                                uint32_t agent, uint32_t tick) {
  uint32_t &known = barrier.gathered[agent];
  known = known < tick ? tick : known;
  if (!barrier.isLive || !barrier.pending) {
    report(emulator, emulator.threads[emulator.shadow.getOwner(agent)],
           "has copies that arrive at the mbarrier at byte %u of shared "
           "memory (%s), which lacks no arrivals",
           emulator.getByte(barrier.place), getPlace(emulator, barrier.site));
  }
  --barrier.pending;
  endPhase(emulator, barrier);
}

void attn::emulator::fenceMBarriers(Emulator &emulator) {
  const uint32_t *known = emulator.shadow.getClock(emulator.current);
  for (uint32_t i = 0; i < emulator.numMBarriers; ++i) {
    MBarrier &barrier = emulator.mbarriers[i];
    bool isNew = !barrier.isFenced && barrier.created <= known[barrier.creator];
    if (isNew) {
      barrier.isFenced = true;
      barrier.fencedAt = emulator.getCurrent().clusterArrivals;
    }
  }
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

void attn_emulator_mbarrier_init(void *address, int32_t count, int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto here = static_cast<uint32_t>(site);
  uint32_t place = findPlace(emulator, address, here);
  if (count < 1 || count > kMaxCount) {
    report(emulator, thread,
           "initialises an mbarrier (%s) for %d arrivals; allowed are 1 to %d",
           getPlace(emulator, here), count, kMaxCount);
  }
  MBarrier *barrier = findAt(emulator, place);
  if (barrier && barrier->isLive) {
    report(emulator, thread,
           "initialises the mbarrier at byte %u of shared memory (%s), which "
           "has been initialised (%s) and not invalidated",
           emulator.getByte(place), getPlace(emulator, here),
           getPlace(emulator, barrier->site));
  }
  Conflict conflict =
      emulator.shadow.write(thread.index, place, kMBarrierBytes, here);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, "initialises the mbarrier at",
                   here);
  }
  if (!barrier) {
    if (emulator.numMBarriers == emulator.getMaxMBarriers()) {
      report(emulator, thread,
             "initialises an mbarrier (%s) after %u others; more are not "
             "emulated",
             getPlace(emulator, here), emulator.getMaxMBarriers());
    }
    uint32_t number = emulator.numMBarriers++;
    emulator.mbarrierAt[place / kMBarrierBytes] =
        static_cast<uint16_t>(number + 1);
    barrier = &emulator.mbarriers[number];
    barrier->place = place;
    barrier->tick = barrier->copyTick = 0;
    barrier->agent = emulator.shadow.addAgent({Agent::MBarrier, number});
  }
  barrier->count = barrier->pending = static_cast<uint32_t>(count);
  barrier->bytes = 0;
  barrier->phase = 0;
  barrier->site = here;
  barrier->isLive = true;
  barrier->isFenced = false;
  barrier->creator = thread.index;
  barrier->created = emulator.shadow.getClock(thread.index)[thread.index];
  std::memset(barrier->gathered, 0, emulator.shadow.getClockBytes());
  std::memset(barrier->published, 0, emulator.shadow.getClockBytes());
}

void attn_emulator_mbarrier_inval(void *address, int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto here = static_cast<uint32_t>(site);
  MBarrier &barrier = findMBarrier(emulator, address, here);
  Conflict conflict =
      emulator.shadow.write(thread.index, barrier.place, kMBarrierBytes, here);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, "invalidates the mbarrier at",
                   here);
  }
  barrier.isLive = false;
  barrier.site = here;
}

void attn_emulator_mbarrier_expect(void *address, int32_t bytes, int32_t site) {
  Emulator &emulator = *running;
  auto here = static_cast<uint32_t>(site);
  expect(emulator, findMBarrier(emulator, address, here), bytes, here);
}

void attn_emulator_mbarrier_complete(void *address, int32_t bytes,
                                     int32_t site) {
  Emulator &emulator = *running;
  MBarrier &barrier =
      findMBarrier(emulator, address, static_cast<uint32_t>(site));
  barrier.bytes -= bytes;
  endPhase(emulator, barrier);
}

int64_t attn_emulator_mbarrier_arrive(void *address, int32_t count,
                                      int32_t bytes, int32_t flags,
                                      int32_t site) {
  Emulator &emulator = *running;
  auto here = static_cast<uint32_t>(site);
  MBarrier &barrier = findMBarrier(emulator, address, here);
  expect(emulator, barrier, bytes, here);
  checkArrivals(emulator, barrier, count, flags, here);
  int64_t state = makeState(barrier.place, barrier.phase);
  if (!(flags & ATTN_EMULATOR_MBARRIER_RELAXED)) {
    Shadow &shadow = emulator.shadow;
    shadow.join(barrier.gathered, shadow.getClock(emulator.current));
    shadow.tick(emulator.current);
  }
  if (flags & ATTN_EMULATOR_ARRIVE_DROP) {
    barrier.count -= static_cast<uint32_t>(count);
  }
  barrier.pending -= static_cast<uint32_t>(count);
  endPhase(emulator, barrier);
  return state;
}

/// The phase that a parity or a state stands for.
static uint32_t getPhase(Emulator &emulator, const MBarrier &barrier,
                         int64_t which, int32_t flags, uint32_t site) {
  const Thread &thread = emulator.getCurrent();
  if (flags & ATTN_EMULATOR_WAIT_PARITY) {
    if (which != 0 && which != 1) {
      report(emulator, thread,
             "waits at the mbarrier at byte %u of shared memory (%s) for the "
             "parity %d",
             emulator.getByte(barrier.place), getPlace(emulator, site),
             static_cast<int32_t>(which));
    }
    // One behind the current phase, which may be before the first.
    return barrier.phase - ((barrier.phase & 1) != (which & 1));
  }
  auto phase = static_cast<uint32_t>(which);
  bool isRecent = phase == barrier.phase || phase + 1 == barrier.phase;
  if (which != makeState(barrier.place, phase) || !isRecent) {
    report(emulator, thread,
           "waits at the mbarrier at byte %u of shared memory (%s) with a "
           "state that no arrival there has given in this phase or the one "
           "before",
           emulator.getByte(barrier.place), getPlace(emulator, site));
  }
  return phase;
}

int32_t attn_emulator_mbarrier_wait(void *address, int64_t which, int32_t flags,
                                    int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto here = static_cast<uint32_t>(site);
  MBarrier &barrier = findMBarrier(emulator, address, here);
  uint32_t phase = getPhase(emulator, barrier, which, flags, here);
  if (phase == barrier.phase) {
    Wait wait;
    wait.meeting = Meeting::MBarrier;
    wait.site = here;
    wait.mask = barrier.place;
    wait.form = phase;
    // Cards stop waiting after a time.
    bool isPatient = !(flags & ATTN_EMULATOR_WAIT_IMPATIENT) ||
                     emulator.random.below(4) != 0;
    if ((flags & ATTN_EMULATOR_WAIT_TEST) || !isPatient) {
      poll(emulator, wait);
      return 0;
    }
    thread.wait = wait;
    thread.state = State::Waiting;
    runOthers(emulator);
    thread.watched = nullptr;
  }
  if (!(flags & ATTN_EMULATOR_MBARRIER_RELAXED)) {
    acquire(emulator, barrier);
  }
  return 1;
}
