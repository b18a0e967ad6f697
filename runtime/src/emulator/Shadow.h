//===- Shadow.h - what is known of each byte of shared memory - -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Happens-before by vector clocks. Every thread is an agent, and so are its
// asynchronous copies together: thread t is agent t, its copies are agent
// t + number of threads. A thread knows, for each agent, up to which of its
// ticks everything has happened before. It ticks where others may learn from
// it; copies tick with every group that is committed.
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
  uint16_t agent : 15;
  uint16_t isAtomic : 1;
  uint16_t site;
};

/// How an access meets an earlier one.
struct Conflict {
  enum Kind { None, Uninitialized, WithWrite, WithRead } kind = None;
  Event other = {};
  uint32_t byte = 0;
};

class Shadow {
public:
  Shadow() = default;
  Shadow(const Shadow &) = delete;
  Shadow &operator=(const Shadow &) = delete;
  ~Shadow();

  /// False if there is no memory. To be called before each block.
  bool begin(uint32_t threads, uint32_t sharedBytes);

  uint32_t getNumAgents() const { return 2 * numThreads; }
  uint32_t *getClock(uint32_t thread) {
    return clocks + size_t{thread} * getNumAgents();
  }
  /// Whether `thread` knows of the event.
  bool isKnown(uint32_t thread, const Event &event) {
    return event.tick <= getClock(thread)[event.agent - 1];
  }
  /// Learns all that `from` knows.
  void join(uint32_t *clock, const uint32_t *from) const;
  /// Others have learned what the thread did until now.
  void tick(uint32_t thread) { ++getClock(thread)[thread]; }

  Conflict read(uint32_t thread, uint32_t begin, uint32_t bytes, uint32_t site,
                bool isAtomic);
  Conflict write(uint32_t thread, uint32_t begin, uint32_t bytes, uint32_t site,
                 bool isAtomic);
  /// A write by the copies of the thread that group `group` is to complete.
  Conflict writeLater(uint32_t thread, uint32_t begin, uint32_t bytes,
                      uint32_t site, uint32_t group);

private:
  /// Reads since the last write that nothing known follows. More readers than
  /// fit in are ticks of all threads, at `many`.
  static constexpr uint32_t kFewReaders = 4;
  struct Byte {
    Event write;
    Event reads[kFewReaders];
    uint32_t many;
  };

  Conflict write(uint32_t thread, uint32_t begin, uint32_t bytes, Event event);
  void addRead(Byte &byte, uint32_t thread, Event event);
  void addToMany(Byte &byte, uint32_t thread, Event event);
  /// Ticks of all threads, all 0; 0 if there is no memory.
  uint32_t takeMany();
  void giveMany(uint32_t block);
  Conflict::Kind findUnknownRead(const Byte &byte, uint32_t thread,
                                 Event &found);

  uint32_t numThreads = 0, numBytes = 0;
  uint32_t *clocks = nullptr;
  Byte *bytes = nullptr;
  /// Blocks of one tick for each thread; the first is not used. Those that are
  /// free again are chained.
  uint32_t *manyReaders = nullptr;
  uint32_t numMany = 0, maxMany = 0, freeMany = 0;
};

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_SHADOW_H
