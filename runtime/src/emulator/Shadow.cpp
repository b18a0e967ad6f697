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
  std::free(clocks);
  std::free(bytes);
  std::free(manyReaders);
}

bool Shadow::begin(uint32_t threads, uint32_t sharedBytes) {
  if (!clocks) {
    numThreads = threads;
    numBytes = sharedBytes;
    clocks = static_cast<uint32_t *>(
        std::malloc(sizeof(uint32_t) * numThreads * getNumAgents()));
    bytes = static_cast<Byte *>(std::malloc(sizeof(Byte) * (numBytes + 1)));
    if (!clocks || !bytes) {
      return false;
    }
  }
  std::memset(clocks, 0, sizeof(uint32_t) * numThreads * getNumAgents());
  std::memset(bytes, 0, sizeof(Byte) * numBytes);
  numMany = freeMany = 0;
  for (uint32_t thread = 0; thread < numThreads; ++thread) {
    tick(thread);
  }
  return true;
}

void Shadow::join(uint32_t *clock, const uint32_t *from) const {
  for (uint32_t agent = 0, end = getNumAgents(); agent < end; ++agent) {
    clock[agent] = clock[agent] < from[agent] ? from[agent] : clock[agent];
  }
}

uint32_t Shadow::takeMany() {
  uint32_t block = freeMany;
  if (block) {
    freeMany = manyReaders[size_t{block} * numThreads];
  } else {
    if (numMany + 1 >= maxMany) {
      uint32_t wanted = maxMany ? 2 * maxMany : 256;
      void *grown = std::realloc(manyReaders, sizeof(uint32_t) * numThreads *
                                                  size_t{wanted});
      if (!grown) {
        return 0;
      }
      manyReaders = static_cast<uint32_t *>(grown);
      maxMany = wanted;
    }
    block = ++numMany;
  }
  std::memset(manyReaders + size_t{block} * numThreads, 0,
              sizeof(uint32_t) * numThreads);
  return block;
}

void Shadow::giveMany(uint32_t block) {
  manyReaders[size_t{block} * numThreads] = freeMany;
  freeMany = block;
}

/// With no memory for it, the event is forgotten: a conflict may be missed, but
/// none is made up.
void Shadow::addToMany(Byte &byte, uint32_t thread, Event event) {
  if (!byte.many) {
    byte.many = takeMany();
    if (!byte.many) {
      return;
    }
    for (const Event &read : byte.reads) {
      manyReaders[size_t{byte.many} * numThreads + read.agent - 1] = read.tick;
    }
  }
  manyReaders[size_t{byte.many} * numThreads + thread] = event.tick;
  // The place of one of them.
  byte.reads[0].site = event.site;
}

void Shadow::addRead(Byte &byte, uint32_t thread, Event event) {
  if (byte.many) {
    addToMany(byte, thread, event);
    return;
  }
  // A read that this thread knows of comes before whatever this one comes
  // before.
  for (Event &read : byte.reads) {
    if (read.agent == 0 || isKnown(thread, read)) {
      read = event;
      return;
    }
  }
  addToMany(byte, thread, event);
}

Conflict Shadow::read(uint32_t thread, uint32_t begin, uint32_t count,
                      uint32_t site, bool isAtomic) {
  Event event = {getClock(thread)[thread], static_cast<uint16_t>(thread + 1),
                 isAtomic, static_cast<uint16_t>(site)};
  for (uint32_t i = begin; i < begin + count; ++i) {
    Byte &byte = bytes[i];
    if (byte.write.agent == 0) {
      return {Conflict::Uninitialized, {}, i};
    }
    if (!isKnown(thread, byte.write) && !(isAtomic && byte.write.isAtomic)) {
      return {Conflict::WithWrite, byte.write, i};
    }
    // Atomic operations do not conflict with each other.
    if (!isAtomic) {
      addRead(byte, thread, event);
    }
  }
  return {};
}

Conflict::Kind Shadow::findUnknownRead(const Byte &byte, uint32_t thread,
                                       Event &found) {
  if (byte.many) {
    const uint32_t *ticks = manyReaders + size_t{byte.many} * numThreads;
    for (uint32_t reader = 0; reader < numThreads; ++reader) {
      if (ticks[reader] > getClock(thread)[reader]) {
        found = {ticks[reader], static_cast<uint16_t>(reader + 1), false,
                 byte.reads[0].site};
        return Conflict::WithRead;
      }
    }
    return Conflict::None;
  }
  for (const Event &read : byte.reads) {
    if (read.agent != 0 && !isKnown(thread, read)) {
      found = read;
      return Conflict::WithRead;
    }
  }
  return Conflict::None;
}

Conflict Shadow::write(uint32_t thread, uint32_t begin, uint32_t count,
                       Event event) {
  for (uint32_t i = begin; i < begin + count; ++i) {
    Byte &byte = bytes[i];
    if (byte.write.agent != 0 && !isKnown(thread, byte.write) &&
        !(event.isAtomic && byte.write.isAtomic)) {
      return {Conflict::WithWrite, byte.write, i};
    }
    Event reader = {};
    if (findUnknownRead(byte, thread, reader) != Conflict::None) {
      return {Conflict::WithRead, reader, i};
    }
    if (byte.many) {
      giveMany(byte.many);
    }
    byte = {};
    byte.write = event;
  }
  return {};
}

Conflict Shadow::write(uint32_t thread, uint32_t begin, uint32_t count,
                       uint32_t site, bool isAtomic) {
  return write(thread, begin, count,
               Event{getClock(thread)[thread],
                     static_cast<uint16_t>(thread + 1), isAtomic,
                     static_cast<uint16_t>(site)});
}

Conflict Shadow::writeLater(uint32_t thread, uint32_t begin, uint32_t count,
                            uint32_t site, uint32_t group) {
  return write(thread, begin, count,
               Event{group, static_cast<uint16_t>(numThreads + thread + 1),
                     false, static_cast<uint16_t>(site)});
}
