//===- Shadow.cpp - what is known of each byte of shared memory -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shadow.h"

#include <cstdlib>
#include <cstring>

using namespace attn::emulator;

Shadow::~Shadow() {
  std::free(agents);
  std::free(clocks);
  std::free(bytes);
  std::free(tables);
}

bool Shadow::begin(uint32_t threads, uint32_t views, uint32_t others,
                   uint32_t sharedBytes) {
  if (!clocks) {
    numThreads = threads;
    numClocks = threads + views;
    maxAgents = threads + others;
    numBytes = sharedBytes;
    agents = static_cast<Agent *>(std::malloc(sizeof(Agent) * maxAgents));
    clocks = static_cast<uint32_t *>(
        std::malloc(size_t{getClockBytes()} * numClocks));
    bytes = static_cast<Byte *>(std::malloc(sizeof(Byte) * (numBytes + 1)));
    if (!agents || !clocks || !bytes) {
      return false;
    }
  }
  std::memset(bytes, 0, sizeof(Byte) * numBytes);
  numTables = freeTable = 0;
  numAgents = numThreads;
  hasFences = false;
  for (uint32_t thread = 0; thread < numThreads; ++thread) {
    agents[thread] = {Agent::Thread, thread};
    std::memset(getClock(thread), 0, sizeof(uint32_t) * numThreads);
    std::memset(getClock(thread) + maxAgents, 0, sizeof(uint32_t) * numThreads);
    tick(thread);
  }
  return true;
}

uint32_t Shadow::addAgent(Agent agent) {
  for (uint32_t thread = 0; thread < numThreads; ++thread) {
    getClock(thread)[numAgents] = 0;
    getClock(thread)[maxAgents + numAgents] = 0;
  }
  agents[numAgents] = agent;
  return numAgents++;
}

void Shadow::join(uint32_t *clock, const uint32_t *from) const {
  auto joinHalf = [&](uint32_t half) {
    for (uint32_t agent = half, end = half + numAgents; agent < end; ++agent) {
      clock[agent] = clock[agent] < from[agent] ? from[agent] : clock[agent];
    }
  };
  joinHalf(0);
  if (hasFences) {
    joinHalf(maxAgents);
  }
}

void Shadow::meet(uint32_t view, const uint32_t *threads, uint32_t count) {
  uint32_t *clock = getClock(view);
  std::memcpy(clock, getClock(threads[0]), getClockBytes());
  for (uint32_t i = 1; i < count; ++i) {
    const uint32_t *other = getClock(threads[i]);
    for (uint32_t a = 0; a < numAgents; ++a) {
      uint32_t b = maxAgents + a;
      clock[a] = clock[a] > other[a] ? other[a] : clock[a];
      clock[b] = clock[b] > other[b] ? other[b] : clock[b];
    }
  }
}

void Shadow::gather(uint32_t view, uint32_t first, uint32_t count) {
  std::memcpy(getClock(view), getClock(first), getClockBytes());
  for (uint32_t i = 1; i < count; ++i) {
    join(getClock(view), getClock(first + i));
  }
}

void Shadow::fence(uint32_t thread) {
  uint32_t *clock = getClock(thread);
  std::memcpy(clock + maxAgents, clock, sizeof(uint32_t) * numAgents);
  hasFences = true;
  // What the thread writes from now on is not.
  tick(thread);
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

void Shadow::addToTable(uint32_t &table, Event event) {
  size_t bytes = sizeof(uint32_t) * (maxAgents + 1);
  if (!table && freeTable) {
    table = freeTable;
    freeTable = *getTable(table);
    std::memset(getTable(table), 0, bytes);
  } else if (!table) {
    if (numTables + 1 >= maxTables) {
      uint32_t wanted = maxTables ? 2 * maxTables : 256;
      void *grown = std::realloc(tables, bytes * wanted);
      if (!grown) {
        return;
      }
      tables = static_cast<uint32_t *>(grown);
      maxTables = wanted;
    }
    table = ++numTables;
    std::memset(getTable(table), 0, bytes);
  }
  getTable(table)[event.agent - 1] = event.tick;
  getTable(table)[maxAgents] = event.site;
}

void Shadow::giveTable(uint32_t &table) {
  if (table) {
    *getTable(table) = freeTable;
    freeTable = table;
    table = 0;
  }
}

bool Shadow::findUnknown(uint32_t table, const uint32_t *known, Event &found) {
  if (!table) {
    return false;
  }
  const uint32_t *ticks = getTable(table);
  for (uint32_t other = 0; other < numAgents; ++other) {
    if (ticks[other] > known[other]) {
      found = {ticks[other], static_cast<uint16_t>(other + 1),
               static_cast<uint16_t>(ticks[maxAgents])};
      return true;
    }
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

void Shadow::addRead(Byte &byte, uint32_t thread, Event event) {
  if (!byte.manyReads) {
    // A read that this thread knows of comes before whatever this one comes
    // before.
    for (Event &read : byte.reads) {
      if (read.agent == 0 || isKnown(thread, read)) {
        read = event;
        return;
      }
    }
    for (const Event &read : byte.reads) {
      addToTable(byte.manyReads, read);
    }
  }
  addToTable(byte.manyReads, event);
}

bool Shadow::findUnknownRead(const Byte &byte, uint32_t thread, Event &found) {
  if (byte.manyReads) {
    return findUnknown(byte.manyReads, getClock(thread), found);
  }
  for (const Event &read : byte.reads) {
    if (read.agent != 0 && !isKnown(thread, read)) {
      found = read;
      return true;
    }
  }
  return false;
}

/// Atomic operations left alone.
bool Shadow::findUnknownWrite(const Byte &byte, uint32_t thread, Event &found) {
  found = byte.write;
  return byte.write.agent != 0 && !isKnown(thread, byte.write);
}

bool Shadow::findUnfenced(const Byte &byte, uint32_t thread, Event &found) {
  const uint32_t *visible = getClock(thread) + maxAgents;
  found = byte.write;
  if (found.agent != 0) {
    Agent::Kind kind = agents[found.agent - 1].kind;
    bool isOther = kind == Agent::Thread || kind == Agent::Copies;
    if (isOther && found.tick > visible[found.agent - 1]) {
      return true;
    }
  }
  return findUnknown(byte.changes, visible, found);
}

Conflict Shadow::read(uint32_t thread, uint32_t begin, uint32_t count,
                      Event event, bool isInBulk) {
  Event other = {};
  for (uint32_t i = begin; i < begin + count; ++i) {
    Byte &byte = bytes[i];
    if (byte.write.agent == 0 && !byte.changes) {
      return {Conflict::Uninitialized, {}, i};
    }
    if (findUnknownWrite(byte, thread, other) ||
        findUnknown(byte.changes, getClock(thread), other)) {
      return {Conflict::WithWrite, other, i};
    }
    if (isInBulk && findUnfenced(byte, thread, other)) {
      return {Conflict::Unfenced, other, i};
    }
    addRead(byte, thread, event);
  }
  return {};
}

Conflict Shadow::write(uint32_t thread, uint32_t begin, uint32_t count,
                       Event event, bool isInBulk) {
  Event other = {};
  for (uint32_t i = begin; i < begin + count; ++i) {
    Byte &byte = bytes[i];
    if (findUnknownWrite(byte, thread, other) ||
        findUnknown(byte.changes, getClock(thread), other)) {
      return {Conflict::WithWrite, other, i};
    }
    if (findUnknownRead(byte, thread, other)) {
      return {Conflict::WithRead, other, i};
    }
    if (isInBulk && findUnfenced(byte, thread, other)) {
      return {Conflict::Unfenced, other, i};
    }
    giveTable(byte.manyReads);
    giveTable(byte.changes);
    byte = {};
    byte.write = event;
  }
  return {};
}

Conflict Shadow::change(uint32_t thread, uint32_t begin, uint32_t count,
                        uint32_t site, bool reads, uint32_t excused) {
  Event event = now(thread, site), other = {};
  for (uint32_t i = begin; i < begin + count; ++i) {
    Byte &byte = bytes[i];
    if (reads && byte.write.agent == 0 && !byte.changes) {
      return {Conflict::Uninitialized, {}, i};
    }
    if (findUnknownWrite(byte, thread, other) && other.agent != excused + 1) {
      return {Conflict::WithWrite, other, i};
    }
    if (findUnknownRead(byte, thread, other)) {
      return {Conflict::WithRead, other, i};
    }
    addToTable(byte.changes, event);
  }
  return {};
}

Conflict Shadow::end(uint32_t view, uint32_t begin, uint32_t count) {
  Event other = {};
  for (uint32_t i = begin; i < begin + count; ++i) {
    const Byte &byte = bytes[i];
    if (findUnknownWrite(byte, view, other) ||
        findUnknown(byte.changes, getClock(view), other)) {
      return {Conflict::WithWrite, other, i};
    }
    if (findUnknownRead(byte, view, other)) {
      return {Conflict::WithRead, other, i};
    }
  }
  return {};
}

Conflict Shadow::read(uint32_t thread, uint32_t begin, uint32_t count,
                      uint32_t site) {
  return read(thread, begin, count, now(thread, site), false);
}

Conflict Shadow::write(uint32_t thread, uint32_t begin, uint32_t count,
                       uint32_t site) {
  return write(thread, begin, count, now(thread, site), false);
}

static Event makeEvent(uint32_t agent, uint32_t tick, uint32_t site) {
  return {tick, static_cast<uint16_t>(agent + 1), static_cast<uint16_t>(site)};
}

Conflict Shadow::writeLater(uint32_t thread, uint32_t begin, uint32_t count,
                            uint32_t site, uint32_t agent, uint32_t tick) {
  return write(thread, begin, count, makeEvent(agent, tick, site), false);
}

Conflict Shadow::writeInBulk(uint32_t thread, uint32_t begin, uint32_t count,
                             uint32_t site, uint32_t agent, uint32_t tick) {
  return write(thread, begin, count, makeEvent(agent, tick, site), true);
}

Conflict Shadow::readInBulk(uint32_t thread, uint32_t begin, uint32_t count,
                            uint32_t site, uint32_t agent, uint32_t tick) {
  return read(thread, begin, count, makeEvent(agent, tick, site), true);
}
