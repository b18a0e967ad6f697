//===- Shadow.h - what is known of each byte of shared memory - -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Happens-before by vector clocks. Every thread is an agent, and so are its
// asynchronous copies together, and every mbarrier, for the copies that
// complete on it. A thread knows, for each agent, up to which of its ticks
// everything has happened before. A thread ticks where others may learn from
// it; copies tick with every group that is committed, mbarriers with every
// phase.
//
// Copies of bulk and matrix products read and write through another proxy. What
// threads write reaches it only by a fence, so a clock has a second half: what
// is known to be visible there.
//
// An access that a thread does not know of, to a byte that it touches, may
// happen before or after its own, whatever the order was this time. So races
// are found under every schedule.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_SHADOW_H
#define ATTN_RUNTIME_EMULATOR_SHADOW_H

#include <cstddef>
#include <cstdint>

namespace attn::emulator {

/// An access: who, when, and where in the source.
struct Event {
  uint32_t tick;
  /// One more than the agent; 0 if there was no access.
  uint16_t agent;
  uint16_t site;
};

/// Who accesses memory.
struct Agent {
  enum Kind : uint8_t { Thread, Copies, MBarrier, Stores, Products } kind;
  /// The thread, or the number of the mbarrier or of the warpgroup.
  uint32_t index;
};

/// How an access meets an earlier one.
struct Conflict {
  enum Kind { None, Uninitialized, WithWrite, WithRead, Unfenced } kind = None;
  Event other = {};
  uint32_t byte = 0;
};

class Shadow {
public:
  Shadow() = default;
  Shadow(const Shadow &) = delete;
  Shadow &operator=(const Shadow &) = delete;
  ~Shadow();

  /// False if there is no memory. To be called before each block. Besides the
  /// threads there are up to `others` agents. A view is a clock that stands for
  /// several threads; they have the numbers behind those of the threads.
  bool begin(uint32_t threads, uint32_t views, uint32_t others,
             uint32_t sharedBytes);

  /// Thread t is agent t. The others become agents when they first access
  /// memory, so that there is less to learn where there are none.
  uint32_t addAgent(Agent agent);
  /// The thread whose copies are an agent.
  uint32_t getOwner(uint32_t agent) const { return agents[agent].index; }
  Agent getAgent(const Event &event) const { return agents[event.agent - 1]; }

  uint32_t getNumAgents() const { return numAgents; }
  /// Of a clock.
  uint32_t getClockBytes() const { return sizeof(uint32_t) * 2 * maxAgents; }
  uint32_t *getClock(uint32_t thread) {
    return clocks + size_t{thread} * 2 * maxAgents;
  }
  /// Whether `thread` knows of the event.
  bool isKnown(uint32_t thread, const Event &event) {
    return event.tick <= getClock(thread)[event.agent - 1];
  }
  /// Learns all that `from` knows.
  void join(uint32_t *clock, const uint32_t *from) const;
  /// A view of what all of some threads know.
  void meet(uint32_t view, const uint32_t *threads, uint32_t count);
  /// A view of what any of some threads knows.
  void gather(uint32_t view, uint32_t first, uint32_t count);
  /// All that the thread knows of becomes visible to the other proxy.
  void fence(uint32_t thread);
  /// Others have learned what the thread did until now.
  void tick(uint32_t thread) { ++getClock(thread)[thread]; }

  Conflict read(uint32_t thread, uint32_t begin, uint32_t bytes, uint32_t site);
  Conflict write(uint32_t thread, uint32_t begin, uint32_t bytes,
                 uint32_t site);
  /// Atomic operations do not conflict with each other. One that does not read
  /// may be the first access. What agent `excused` has written is known.
  Conflict change(uint32_t thread, uint32_t begin, uint32_t bytes,
                  uint32_t site, bool reads, uint32_t excused = ~0u);
  /// The end of memory: a view is to know of all accesses.
  Conflict end(uint32_t view, uint32_t begin, uint32_t bytes);
  /// A write by another agent, in its tick, that the thread begins.
  Conflict writeLater(uint32_t thread, uint32_t begin, uint32_t bytes,
                      uint32_t site, uint32_t agent, uint32_t tick);
  /// The same through the other proxy.
  Conflict writeInBulk(uint32_t thread, uint32_t begin, uint32_t bytes,
                       uint32_t site, uint32_t agent, uint32_t tick);
  Conflict readInBulk(uint32_t thread, uint32_t begin, uint32_t bytes,
                      uint32_t site, uint32_t agent, uint32_t tick);

private:
  static constexpr uint32_t kFewReaders = 4;
  struct Byte {
    Event write;
    /// Reads since then that no other read has to be known to follow.
    Event reads[kFewReaders];
    /// The ticks of readers, if they are more, and of those who changed it by
    /// atomic operations: numbers of tables, or 0.
    uint32_t manyReads, changes;
  };

  Event now(uint32_t thread, uint32_t site) {
    return {getClock(thread)[thread], static_cast<uint16_t>(thread + 1),
            static_cast<uint16_t>(site)};
  }
  Conflict read(uint32_t thread, uint32_t begin, uint32_t bytes, Event event,
                bool isInBulk);
  Conflict write(uint32_t thread, uint32_t begin, uint32_t bytes, Event event,
                 bool isInBulk);
  /// Whether a write, which is known, has not reached the other proxy.
  bool findUnfenced(const Byte &byte, uint32_t thread, Event &found);
  void addRead(Byte &byte, uint32_t thread, Event event);
  bool findUnknownRead(const Byte &byte, uint32_t thread, Event &found);
  bool findUnknownWrite(const Byte &byte, uint32_t thread, Event &found);

  /// A tick for each agent, and the last of the sites.
  uint32_t *getTable(uint32_t table) {
    return tables + size_t{table} * (maxAgents + 1);
  }
  /// Sets the tick of an agent; makes the table if there is none. With no
  /// memory for it the event is forgotten: a conflict may be missed, but none
  /// is made up.
  void addToTable(uint32_t &table, Event event);
  bool findUnknown(uint32_t table, const uint32_t *known, Event &found);
  void giveTable(uint32_t &table);

  uint32_t numThreads = 0, numClocks = 0, numBytes = 0;
  uint32_t numAgents = 0, maxAgents = 0;
  Agent *agents = nullptr;
  bool hasFences = false;
  uint32_t *clocks = nullptr;
  Byte *bytes = nullptr;
  /// The first is not used. Those that are free again are chained.
  uint32_t *tables = nullptr;
  uint32_t numTables = 0, maxTables = 0, freeTable = 0;
};

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_SHADOW_H
