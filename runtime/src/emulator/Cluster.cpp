//===- Cluster.cpp - blocks that run together -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The shared memory of a block is there from when it begins to when it ends.
// Others have to know both: that it has begun by the barrier of the cluster, or
// by something that the block has told them, and the block, that they are done.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

#include <cstring>

using namespace attn::emulator;

void attn::emulator::beginCluster(Emulator &emulator) {
  ClusterBarrier &barrier = emulator.clusterBarrier;
  barrier.phase = barrier.arrived = barrier.gone = 0;
  std::memset(barrier.gathered, 0, emulator.shadow.getClockBytes());
  std::memset(barrier.published, 0, emulator.shadow.getClockBytes());
}

//===----------------------------------------------------------------------===//
// Shared memory of others
//===----------------------------------------------------------------------===//

/// Whether the thread knows of anything that one of the block has done.
static bool hasBegun(Emulator &emulator, const Thread &thread, uint32_t block) {
  const uint32_t *clock = emulator.shadow.getClock(thread.index);
  bool isKnown = thread.clusterWaits != 0;
  for (uint32_t i = 0; i < emulator.blockThreads && !isKnown; ++i) {
    isKnown = clock[block * emulator.blockThreads + i] != 0;
  }
  return isKnown;
}

void attn::emulator::checkBlockAt(Emulator &emulator, const Thread &thread,
                                  uint32_t place, const char *verb,
                                  uint32_t site) {
  uint32_t number = emulator.getBlockAt(place);
  if (number == emulator.getBlock(thread)) {
    return;
  }
  const BlockState &block = emulator.blocks[number];
  const char *problem =
      block.numExited == emulator.blockThreads ? "which has ended"
      : hasBegun(emulator, thread, number)
          ? nullptr
          : "which may not have begun: the thread has not waited at the "
            "barrier of the cluster";
  if (problem) {
    report(emulator, thread,
           "%s byte %u of the shared memory of block (%u, %u, %u) (%s), %s",
           verb, emulator.getByte(place), block.id[0], block.id[1], block.id[2],
           getPlace(emulator, site), problem);
  }
}

/// The last thread of a block leaves.
static void endBlock(Emulator &emulator, const Thread &thread) {
  uint32_t number = emulator.getBlock(thread);
  uint32_t view = emulator.numThreads + emulator.getNumGroups();
  emulator.shadow.gather(view, number * emulator.blockThreads,
                         emulator.blockThreads);
  Conflict conflict = emulator.shadow.end(view, number * emulator.windowBytes,
                                          emulator.sharedBytes);
  if (conflict.kind == Conflict::None) {
    return;
  }
  Agent agent = emulator.shadow.getAgent(conflict.other);
  bool isThread = agent.kind == Agent::Thread;
  report(
      emulator, thread,
      "ends its block, whose shared memory %s may %s at byte %u (%s): the "
      "block does not wait for that",
      isThread ? getThreadName(emulator, agent.index) : "an asynchronous copy",
      conflict.kind == Conflict::WithRead ? "read" : "write",
      emulator.getByte(conflict.byte), getPlace(emulator, conflict.other.site));
}

void *attn_emulator_map_shared(void *address, int32_t block, int32_t site) {
  Emulator &emulator = *running;
  auto number = static_cast<uint32_t>(block);
  auto place = reinterpret_cast<uintptr_t>(address);
  if (number >= emulator.numBlocks) {
    report(emulator, emulator.getCurrent(),
           "maps an address to block %d of its cluster (%s), which has %u",
           block, getPlace(emulator, static_cast<uint32_t>(site)),
           emulator.numBlocks);
  }
  return reinterpret_cast<void *>(place % kWindowBytes +
                                  size_t{number + 1} * kWindowBytes);
}

//===----------------------------------------------------------------------===//
// The barrier
//===----------------------------------------------------------------------===//

static void endClusterPhase(Emulator &emulator) {
  ClusterBarrier &barrier = emulator.clusterBarrier;
  if (!barrier.arrived ||
      barrier.arrived + barrier.gone < emulator.numThreads) {
    return;
  }
  ++barrier.phase;
  barrier.arrived = 0;
  barrier.gone = emulator.numExited;
  std::memcpy(barrier.published, barrier.gathered,
              emulator.shadow.getClockBytes());
  std::memset(barrier.gathered, 0, emulator.shadow.getClockBytes());
  for (uint32_t i = 0; i < emulator.numThreads; ++i) {
    if (emulator.threads[i].wait.meeting == Meeting::Cluster) {
      wake(emulator, emulator.threads[i]);
    }
  }
}

/// Lanes of a warp come to an aligned op together.
static void align(Emulator &emulator, Meeting meeting, uint32_t site) {
  meetWarp(emulator, getWholeWarp(emulator, meeting, site, nullptr),
           [](Emulator &, Thread *, uint64_t) {});
}

void attn::emulator::leaveCluster(Emulator &emulator, Thread &thread) {
  ClusterBarrier &barrier = emulator.clusterBarrier;
  uint32_t left = ++emulator.blocks[emulator.getBlock(thread)].numExited;
  if (left == emulator.blockThreads && emulator.numBlocks > 1) {
    endBlock(emulator, thread);
  }
  if (thread.clusterArrivals == barrier.phase) {
    ++barrier.gone;
    endClusterPhase(emulator);
  }
}

void attn_emulator_cluster_arrive(int32_t relaxed, int32_t aligned,
                                  int32_t site) {
  Emulator &emulator = *running;
  auto here = static_cast<uint32_t>(site);
  if (aligned) {
    align(emulator, Meeting::ClusterArrive, here);
  }
  Thread &thread = emulator.getCurrent();
  if (thread.clusterArrivals != thread.clusterWaits) {
    report(emulator, thread,
           "arrives at the barrier of its cluster (%s) where it has arrived "
           "(%s) and not waited",
           getPlace(emulator, here), getPlace(emulator, thread.clusterSite));
  }
  ++thread.clusterArrivals;
  thread.clusterSite = here;
  if (!relaxed) {
    emulator.shadow.join(emulator.clusterBarrier.gathered,
                         emulator.shadow.getClock(thread.index));
    emulator.shadow.tick(thread.index);
  }
  ++emulator.clusterBarrier.arrived;
  endClusterPhase(emulator);
}

void attn_emulator_cluster_wait(int32_t aligned, int32_t site) {
  Emulator &emulator = *running;
  auto here = static_cast<uint32_t>(site);
  if (aligned) {
    align(emulator, Meeting::ClusterWait, here);
  }
  Thread &thread = emulator.getCurrent();
  if (thread.clusterArrivals == thread.clusterWaits) {
    report(emulator, thread,
           "waits at the barrier of its cluster (%s) where it has not arrived",
           getPlace(emulator, here));
  }
  if (emulator.clusterBarrier.phase == thread.clusterWaits) {
    thread.wait.meeting = Meeting::Cluster;
    thread.wait.site = here;
    thread.state = State::Waiting;
    checkWarp(emulator, thread);
    runOthers(emulator);
  }
  ++thread.clusterWaits;
  emulator.shadow.join(emulator.shadow.getClock(thread.index),
                       emulator.clusterBarrier.published);
}
