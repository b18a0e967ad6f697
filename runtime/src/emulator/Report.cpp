//===- Report.cpp - what a kernel does wrong, in a sentence ---------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace attn::emulator;

namespace {
constexpr size_t kMessageBytes = 1024;
thread_local char message[kMessageBytes];
thread_local bool hasMessage = false;
} // namespace

bool attn::emulator::hasError() { return hasMessage; }

const char *attn_emulator_take_error(void) {
  bool had = hasMessage;
  hasMessage = false;
  return had ? message : nullptr;
}

const char *attn::emulator::getPlace(const Emulator &emulator, uint32_t site) {
  constexpr size_t kBuffers = 4, kBytes = 256;
  static thread_local char buffers[kBuffers][kBytes];
  static thread_local size_t next = 0;
  const char *line = emulator.kernel.sites;
  for (uint32_t i = 0; i < site && line; ++i) {
    line = std::strchr(line, '\n');
    line = line ? line + 1 : nullptr;
  }
  if (!line || !*line) {
    return "unknown place";
  }
  char *buffer = buffers[next++ % kBuffers];
  std::snprintf(buffer, kBytes, "%.*s",
                static_cast<int>(std::strcspn(line, "\n")), line);
  return buffer;
}

const char *attn::emulator::getThreadName(Emulator &emulator, uint32_t thread) {
  constexpr size_t kBuffers = 4, kBytes = 80;
  static thread_local char buffers[kBuffers][kBytes];
  static thread_local size_t next = 0;
  const Thread &named = emulator.threads[thread];
  char *buffer = buffers[next++ % kBuffers];
  if (emulator.getBlock(named) == emulator.getBlock(emulator.getCurrent())) {
    std::snprintf(buffer, kBytes, "thread %u", emulator.getLocal(named));
  } else {
    const uint32_t *id = emulator.getBlockId(named);
    std::snprintf(buffer, kBytes, "thread %u of block (%u, %u, %u)",
                  emulator.getLocal(named), id[0], id[1], id[2]);
  }
  return buffer;
}

const char *attn::emulator::getName(const Wait &wait) {
  static thread_local char barriers[2][40];
  static thread_local unsigned next = 0;
  char *barrier = barriers[next++ % 2];
  switch (wait.meeting) {
  case Meeting::None:
    break;
  case Meeting::Barrier:
    std::snprintf(barrier, sizeof(barriers[0]), "barrier %u",
                  static_cast<uint32_t>(wait.mask));
    return barrier;
  case Meeting::MBarrier:
    std::snprintf(barrier, sizeof(barriers[0]), "the mbarrier at byte %u",
                  running->getByte(static_cast<uint32_t>(wait.mask)));
    return barrier;
  case Meeting::WarpBarrier:
    return "bar.warp.sync";
  case Meeting::Shuffle:
    return "shfl.sync";
  case Meeting::Vote:
    return "vote.sync";
  case Meeting::Redux:
    return "redux.sync";
  case Meeting::Elect:
    return "elect.sync";
  case Meeting::LdMatrix:
    return "ldmatrix";
  case Meeting::StMatrix:
    return "stmatrix";
  case Meeting::Mma:
    return "mma.sync";
  case Meeting::Bpermute:
    return "ds_bpermute";
  case Meeting::ReadLane:
    return "readlane";
  case Meeting::Dpp:
    return "update.dpp";
  case Meeting::PermlaneX16:
    return "permlanex16";
  case Meeting::Swizzle:
    return "ds_swizzle";
  case Meeting::Mfma:
    return "mfma or wmma";
  case Meeting::SetRegisters:
  case Meeting::Registers:
    return "setmaxnreg";
  case Meeting::WgmmaFence:
    return "wgmma.fence";
  case Meeting::Wgmma:
    return "wgmma.mma_async";
  case Meeting::WgmmaCommit:
    return "wgmma.commit_group";
  case Meeting::WgmmaWait:
    return "wgmma.wait_group";
  case Meeting::ClusterArrive:
    return "cluster.arrive";
  case Meeting::ClusterWait:
  case Meeting::Cluster:
    return "cluster.wait";
  }
  return "nothing";
}

static void store(const char *begin, const char *format, va_list arguments) {
  if (hasMessage) {
    return;
  }
  hasMessage = true;
  size_t used =
      static_cast<size_t>(std::snprintf(message, kMessageBytes, "%s", begin));
  if (used < kMessageBytes) {
    std::vsnprintf(message + used, kMessageBytes - used, format, arguments);
  }
}

void attn::emulator::complain(const char *kernel, const char *format, ...) {
  char begin[kMessageBytes];
  std::snprintf(begin, sizeof(begin), "kernel '%s' ", kernel);
  va_list arguments;
  va_start(arguments, format);
  store(begin, format, arguments);
  va_end(arguments);
}

void attn::emulator::report(Emulator &emulator, const Thread &thread,
                            const char *format, ...) {
  char begin[kMessageBytes];
  const uint32_t *id = emulator.getBlockId(thread);
  std::snprintf(
      begin, sizeof(begin), "thread %u of block (%u, %u, %u) of kernel '%s' ",
      emulator.getLocal(thread), id[0], id[1], id[2], emulator.kernel.name);
  va_list arguments;
  va_start(arguments, format);
  store(begin, format, arguments);
  va_end(arguments);
  emulator.isBroken = true;
  leave(emulator);
}

/// What the phase of an mbarrier lacks that a thread waits for.
static void describePhase(const Emulator &emulator, const Wait &wait,
                          char *text, size_t bytes) {
  uint32_t at = emulator.mbarrierAt[wait.mask / kMBarrierBytes];
  const MBarrier &barrier = emulator.mbarriers[at - 1];
  auto phase = static_cast<unsigned long long>(wait.form);
  if (barrier.bytes < 0) {
    std::snprintf(text, bytes,
                  "phase %llu to end, for which %d bytes more have come than "
                  "were expected",
                  phase, -barrier.bytes);
  } else if (barrier.bytes == 0) {
    std::snprintf(text, bytes,
                  "phase %llu to end, which lacks %u more arrivals", phase,
                  barrier.pending);
  } else if (barrier.pending == 0) {
    std::snprintf(text, bytes, "phase %llu to end, which lacks %d more bytes",
                  phase, barrier.bytes);
  } else {
    std::snprintf(text, bytes,
                  "phase %llu to end, which lacks %u more arrivals and %d "
                  "bytes",
                  phase, barrier.pending, barrier.bytes);
  }
}

/// What a thread waits for, where that is not other threads.
static void describeNeed(Emulator &emulator, const Thread &thread, char *text,
                         size_t bytes) {
  text[0] = 0;
  if (thread.wait.meeting == Meeting::MBarrier) {
    describePhase(emulator, thread.wait, text, bytes);
  } else if (thread.wait.meeting == Meeting::Registers) {
    const WarpRegisters &warp = emulator.getRegisters(thread);
    std::snprintf(text, bytes,
                  "%u registers more in each thread, of which %u are free",
                  warp.wanted - warp.count,
                  emulator.blocks[emulator.getBlock(thread)].freeRegisters);
  }
}

/// Someone who is not where he is waited for, and why.
static void describe(Emulator &emulator, const Thread &thread, char *text,
                     size_t bytes) {
  if (thread.state == State::Exited) {
    std::snprintf(text, bytes, "%s has left the kernel",
                  getThreadName(emulator, thread.index));
  } else {
    char what[128];
    describeNeed(emulator, thread, what, sizeof(what));
    std::snprintf(text, bytes, "%s waits at %s (%s)%s%s",
                  getThreadName(emulator, thread.index), getName(thread.wait),
                  getPlace(emulator, thread.wait.site), what[0] ? " for " : "",
                  what);
  }
}

/// The threads that are to come to where a thread waits, at most.
static Range getWanted(const Emulator &emulator, const Thread &waiting) {
  uint32_t block = emulator.getBlock(waiting) * emulator.blockThreads;
  uint32_t local = emulator.getLocal(waiting), end = emulator.blockThreads;
  auto getPart = [&](uint32_t size) {
    uint32_t first = local / size * size;
    uint32_t last = first + size < end ? first + size : end;
    return Range{block + first, block + last};
  };
  switch (waiting.wait.meeting) {
  case Meeting::Cluster:
    return {0, emulator.numThreads};
  case Meeting::Barrier:
    return {block, block + end};
  case Meeting::WgmmaFence:
  case Meeting::Wgmma:
  case Meeting::WgmmaCommit:
  case Meeting::WgmmaWait:
    return getPart(128);
  default:
    return getPart(emulator.warpSize);
  }
}

/// How many threads a thread waits for, and one of them that will not come as
/// things stand.
static uint32_t countMissing(Emulator &emulator, const Thread &waiting,
                             const Thread *&missing) {
  const Wait &wait = waiting.wait;
  bool isBarrier = wait.meeting == Meeting::Barrier;
  bool isCluster = wait.meeting == Meeting::Cluster;
  Range wanted = getWanted(emulator, waiting);
  uint32_t count = 0;
  for (uintptr_t i = wanted.begin; i < wanted.end; ++i) {
    const Thread &thread = emulator.threads[i];
    bool isWanted =
        isBarrier || isCluster || (wait.mask >> i % emulator.warpSize & 1);
    bool isThere = thread.state == State::Waiting &&
                   thread.wait.meeting == wait.meeting &&
                   thread.wait.mask == wait.mask;
    isThere |= isCluster && (thread.state == State::Exited ||
                             thread.clusterArrivals > waiting.clusterWaits);
    if (isWanted && !isThere) {
      missing = missing ? missing : &thread;
      ++count;
    }
  }
  const Barrier &barrier =
      emulator.barriers[emulator.getBlock(waiting) * kNumBarriers +
                        (isBarrier ? wait.mask : 0)];
  return isBarrier ? barrier.expected - barrier.arrived : count;
}

static bool isSame(const Wait &a, const Wait &b) {
  return a.meeting == b.meeting && a.mask == b.mask && a.form == b.form;
}

/// Adds to the text whoever waits for something else than those before. With
/// nobody who waits, one who has left.
static void describeOthers(Emulator &emulator, const Thread &waiting,
                           const Thread *missing, char *text, size_t bytes) {
  constexpr uint32_t kMost = 4;
  const Thread *told[kMost] = {&waiting, missing};
  uint32_t count = missing ? 2 : 1;
  size_t used = 0;
  auto add = [&](const Thread &thread) {
    used += static_cast<size_t>(std::snprintf(text + used, bytes - used, "; "));
    describe(emulator, thread, text + used, bytes - used);
    used += std::strlen(text + used);
  };
  text[0] = 0;
  if (missing) {
    add(*missing);
  }
  const Thread *gone = nullptr;
  for (uint32_t i = 0; i < emulator.numThreads && count < kMost; ++i) {
    const Thread &thread = emulator.threads[i];
    bool isNew = thread.state == State::Waiting;
    for (uint32_t k = 0; k < count && isNew; ++k) {
      isNew = !isSame(thread.wait, told[k]->wait);
    }
    gone = gone || thread.state != State::Exited ? gone : &thread;
    if (isNew && bytes - used > bytes / kMost) {
      told[count++] = &thread;
      add(thread);
    }
  }
  if (count == 1 && gone) {
    add(*gone);
  }
}

void attn::emulator::reportDeadlock(Emulator &emulator, const Thread &waiting) {
  const Thread *missing = nullptr;
  const uint32_t *id = emulator.getBlockId(waiting);
  emulator.current = waiting.index;
  char what[128], others[768];
  describeNeed(emulator, waiting, what, sizeof(what));
  if (!what[0]) {
    std::snprintf(what, sizeof(what), "%u more threads",
                  countMissing(emulator, waiting, missing));
  }
  describeOthers(emulator, waiting, missing, others, sizeof(others));
  complain(emulator.kernel.name,
           "is in a deadlock: thread %u of block (%u, %u, %u) waits at %s (%s) "
           "for %s%s",
           emulator.getLocal(waiting), id[0], id[1], id[2],
           getName(waiting.wait), getPlace(emulator, waiting.wait.site), what,
           others[0] ? others : "; all threads of the block are there");
}
