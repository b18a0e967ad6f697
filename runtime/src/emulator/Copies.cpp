//===- Copies.cpp - asynchronous copies to shared memory ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy is checked when it is issued, and its bytes arrive at a moment that is
// drawn, at the latest when its thread waits for its group.
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

void attn::emulator::landSome(Emulator &emulator, Thread &thread) {
  if (thread.numCopies == 0 || emulator.random.below(2)) {
    return;
  }
  Copy &copy = thread.copies[emulator.random.below(thread.numCopies)];
  if (!copy.landed) {
    land(copy);
  }
}

void attn::emulator::checkCopies(Emulator &emulator, const Thread &thread) {
  if (thread.numCopies) {
    report(emulator, thread,
           "leaves the kernel without having waited for %u asynchronous "
           "copies, the first of which it began at %s",
           thread.numCopies, getPlace(emulator, thread.copies[0].site));
  }
}

/// Where to note one more copy.
static Copy &addCopy(Emulator &emulator, Thread &thread) {
  if (thread.numCopies == thread.maxCopies) {
    uint32_t wanted = thread.maxCopies ? 2 * thread.maxCopies : 16;
    void *grown = std::realloc(thread.copies, sizeof(Copy) * wanted);
    if (!grown) {
      report(emulator, thread, "has no memory to note an asynchronous copy");
    }
    thread.copies = static_cast<Copy *>(grown);
    thread.maxCopies = wanted;
  }
  return thread.copies[thread.numCopies++];
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
  Conflict conflict =
      emulator.shadow.writeLater(thread.index, begin, bytes, site, group);
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
          false};
  if (source_bytes == 0) {
    copy.source = copy.target;
  }
  landSome(emulator, thread);
}

void attn_emulator_copy_commit(void) { ++running->getCurrent().committed; }

void attn_emulator_copy_wait(int32_t groups) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto pending = static_cast<uint32_t>(groups);
  if (thread.committed < pending ||
      thread.committed - pending <= thread.completed) {
    return;
  }
  thread.completed = thread.committed - pending;
  emulator.shadow.getClock(thread.index)[emulator.numThreads + thread.index] =
      thread.completed;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < thread.numCopies; ++i) {
    Copy &copy = thread.copies[i];
    if (copy.group > thread.completed) {
      thread.copies[kept++] = copy;
    } else if (!copy.landed) {
      land(copy);
    }
  }
  thread.numCopies = kept;
}
