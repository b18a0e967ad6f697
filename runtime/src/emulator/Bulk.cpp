//===- Bulk.cpp - copies of bulk, and the proxy that makes them -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A copy is checked when it is issued, and takes place later, in an order that
// is drawn. One to shared memory is complete with a phase of an mbarrier: to
// other threads the mbarrier is what has written the bytes. One from shared
// memory belongs to a group of its thread (PTX ISA, section "cp.async.bulk").
//
//===----------------------------------------------------------------------===//

#include "Bulk.h"

#include <cstring>

using namespace attn::emulator;

/// Copies of bulk are made of these.
static constexpr uint32_t kChunkBytes = 16;

//===----------------------------------------------------------------------===//
// Landing
//===----------------------------------------------------------------------===//

/// Reads what a store stores. False if there is no memory.
static bool readSource(Emulator &emulator, Transfer &transfer) {
  if (!transfer.data) {
    transfer.data = static_cast<unsigned char *>(std::malloc(transfer.bytes));
    if (transfer.data) {
      std::memcpy(transfer.data, emulator.shared + transfer.place,
                  transfer.bytes);
    }
  }
  return transfer.data;
}

/// Lets one take place.
static void land(Emulator &emulator, uint32_t index) {
  Transfer transfer = emulator.transfers[index];
  if (!transfer.barrier && !readSource(emulator, transfer)) {
    report(emulator, emulator.getCurrent(),
           "has no memory to store asynchronously");
  }
  emulator.transfers[index] = emulator.transfers[--emulator.numTransfers];
  if (transfer.barrier) {
    unsigned char *target = emulator.shared + transfer.place;
    if (transfer.map) {
      loadBox(transfer, target);
    } else {
      std::memcpy(target, transfer.global, transfer.bytes);
    }
    transfer.barrier->bytes -= static_cast<int32_t>(transfer.bytes);
    endPhase(emulator, *transfer.barrier);
    return;
  }
  if (transfer.map) {
    storeBox(transfer, transfer.data);
  }
  for (uint32_t i = 0; !transfer.map && i < transfer.bytes; ++i) {
    if (transfer.byteMask >> i % kChunkBytes & 1) {
      transfer.global[i] = transfer.data[i];
    }
  }
  std::free(transfer.data);
}

bool attn::emulator::landOneInBulk(Emulator &emulator) {
  if (emulator.numTransfers == 0) {
    return false;
  }
  land(emulator, emulator.random.below(emulator.numTransfers));
  return true;
}

void attn::emulator::landSomeInBulk(Emulator &emulator) {
  if (emulator.numTransfers &&
      emulator.random.below(emulator.getLateness()) == 0) {
    landOneInBulk(emulator);
  }
}

void attn::emulator::checkTransfers(Emulator &emulator,
                                    const MBarrier &barrier) {
  for (uint32_t i = 0; i < emulator.numTransfers; ++i) {
    const Transfer &transfer = emulator.transfers[i];
    if (transfer.barrier == &barrier) {
      report(emulator, emulator.threads[transfer.thread],
             "has a copy of %u bytes in flight (%s) when phase %u of the "
             "mbarrier at byte %u of shared memory ends, which has not "
             "expected all bytes",
             transfer.bytes, getPlace(emulator, transfer.site), barrier.phase,
             emulator.getByte(barrier.place));
    }
  }
}

void attn::emulator::checkBulk(Emulator &emulator, const Thread &thread) {
  uint32_t begun = thread.bulkCommitted + (thread.isBulkOpen ? 1 : 0);
  if (begun > thread.bulkRead) {
    report(emulator, thread,
           "leaves the kernel without having waited for its copies from "
           "shared memory, the last of which it began at %s",
           getPlace(emulator, thread.bulkSite));
  }
}

bool attn::emulator::finishBulk(Emulator &emulator) {
  for (uint32_t k = 0; k < emulator.numMBarriers; ++k) {
    const MBarrier &barrier = emulator.mbarriers[k];
    bool isKnown = barrier.copyTick == 0;
    for (uint32_t i = 0; i < emulator.numThreads && !isKnown; ++i) {
      isKnown = emulator.shadow.getClock(i)[barrier.agent] >= barrier.copyTick;
    }
    if (!isKnown) {
      const uint32_t *id =
          emulator.blocks[emulator.getBlockAt(barrier.place)].id;
      complain(emulator.kernel.name,
               "ends block (%u, %u, %u) with an asynchronous copy (%s) that no "
               "thread has waited for",
               id[0], id[1], id[2], getPlace(emulator, barrier.copySite));
      return false;
    }
  }
  while (landOneInBulk(emulator)) {
  }
  return true;
}

void attn::emulator::dropTransfers(Emulator &emulator) {
  for (uint32_t i = 0; i < emulator.numTransfers; ++i) {
    std::free(emulator.transfers[i].data);
  }
  emulator.numTransfers = 0;
}

//===----------------------------------------------------------------------===//
// Beginning
//===----------------------------------------------------------------------===//

/// Puts one in flight. There is always a chance that it lands at once.
static void add(Emulator &emulator, Transfer &transfer) {
  transfer.thread = emulator.current;
  if (!grow(emulator.transfers, emulator.numTransfers, emulator.maxTransfers)) {
    report(emulator, emulator.getCurrent(),
           "has no memory to note an asynchronous copy");
  }
  emulator.transfers[emulator.numTransfers++] = transfer;
  landSomeInBulk(emulator);
}

/// Checks what one copy has in the shared memory of a block.
static void loadTo(Emulator &emulator, Transfer &transfer, MBarrier &barrier) {
  Thread &thread = emulator.getCurrent();
  if (!barrier.isFenced) {
    report(emulator, thread,
           "begins a copy (%s) that is to complete on the mbarrier at byte %u "
           "of shared memory (%s), with no fence.mbarrier.init or "
           "fence.proxy.async between the two",
           getPlace(emulator, transfer.site), emulator.getByte(barrier.place),
           getPlace(emulator, barrier.site));
  }
  checkNoMBarrier(emulator, thread, transfer.place, transfer.bytes, "copies to",
                  transfer.site);
  transfer.barrier = &barrier;
  transfer.tick = barrier.tick + 1;
  barrier.copyTick = transfer.tick;
  barrier.copySite = transfer.site;
  Conflict conflict =
      emulator.shadow.writeInBulk(thread.index, transfer.place, transfer.bytes,
                                  transfer.site, barrier.agent, transfer.tick);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, "copies to", transfer.site);
  }
  add(emulator, transfer);
}

void attn::emulator::beginLoad(Emulator &emulator, Transfer &transfer,
                               const void *mbarrier, uint32_t blocks) {
  Thread &thread = emulator.getCurrent();
  uint32_t site = transfer.site, byte = emulator.getByte(transfer.place);
  MBarrier &barrier = findMBarrier(emulator, mbarrier, site);
  if (!blocks) {
    if (emulator.getBlockAt(barrier.place) !=
        emulator.getBlockAt(transfer.place)) {
      report(emulator, thread,
             "copies to another block (%s) than the one whose mbarrier it is "
             "to complete on",
             getPlace(emulator, site));
    }
    return loadTo(emulator, transfer, barrier);
  }
  if (blocks >> emulator.numBlocks) {
    report(emulator, thread,
           "copies to the blocks 0x%x of its cluster (%s), which has %u",
           blocks, getPlace(emulator, site), emulator.numBlocks);
  }
  uint32_t mbarrierByte = emulator.getByte(barrier.place);
  for (uint32_t block = 0; block < emulator.numBlocks; ++block) {
    if (blocks >> block & 1) {
      uint32_t first = block * emulator.windowBytes;
      Transfer part = transfer;
      part.place = first + byte;
      checkBlockAt(emulator, thread, part.place, "copies to", site);
      loadTo(emulator, part,
             findMBarrierAt(emulator, first + mbarrierByte, site));
    }
  }
}

void attn::emulator::beginStore(Emulator &emulator, Transfer &transfer,
                                const char *verb) {
  Thread &thread = emulator.getCurrent();
  checkNoMBarrier(emulator, thread, transfer.place, transfer.bytes, verb,
                  transfer.site);
  Shadow &shadow = emulator.shadow;
  if (!thread.bulkAgent) {
    thread.bulkAgent = shadow.addAgent({Agent::Stores, thread.index});
  }
  transfer.group = thread.bulkCommitted + 1;
  thread.isBulkOpen = true;
  thread.bulkSite = transfer.site;
  Conflict conflict =
      shadow.readInBulk(thread.index, transfer.place, transfer.bytes,
                        transfer.site, thread.bulkAgent, transfer.group);
  if (conflict.kind != Conflict::None) {
    reportConflict(emulator, thread, conflict, verb, transfer.site);
  }
  add(emulator, transfer);
}

/// A copy of bytes that follow each other.
static Transfer makePlain(Emulator &emulator, const void *shared,
                          const void *global, int32_t bytes, int32_t kind,
                          uint32_t site) {
  Thread &thread = emulator.getCurrent();
  if (bytes <= 0 || static_cast<uint32_t>(bytes) % kChunkBytes != 0) {
    report(emulator, thread,
           "copies %d bytes (%s), which is not a multiple of %u", bytes,
           getPlace(emulator, site), kChunkBytes);
  }
  bool isLoad = kind == ATTN_EMULATOR_WRITE;
  Transfer transfer;
  transfer.site = site;
  transfer.bytes = static_cast<uint32_t>(bytes);
  transfer.place =
      findShared(emulator, thread, shared, bytes, kind, kChunkBytes, site);
  checkGlobal(emulator, thread, global, bytes,
              isLoad ? ATTN_EMULATOR_READ : ATTN_EMULATOR_WRITE, kChunkBytes,
              site);
  transfer.global = static_cast<unsigned char *>(const_cast<void *>(global));
  return transfer;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

void attn_emulator_bulk_load(void *shared, const void *global,
                             const void *mbarrier, int32_t bytes,
                             int32_t blocks, int32_t site) {
  Emulator &emulator = *running;
  Transfer transfer =
      makePlain(emulator, shared, global, bytes, ATTN_EMULATOR_WRITE,
                static_cast<uint32_t>(site));
  beginLoad(emulator, transfer, mbarrier, static_cast<uint32_t>(blocks));
}

void attn_emulator_bulk_store(void *global, const void *shared, int32_t bytes,
                              int32_t byte_mask, int32_t site) {
  Emulator &emulator = *running;
  Transfer transfer =
      makePlain(emulator, shared, global, bytes, ATTN_EMULATOR_READ,
                static_cast<uint32_t>(site));
  transfer.byteMask = static_cast<uint32_t>(byte_mask);
  beginStore(emulator, transfer, "copies");
}

void attn_emulator_bulk_commit(void) {
  Thread &thread = running->getCurrent();
  ++thread.bulkCommitted;
  thread.isBulkOpen = false;
}

void attn_emulator_bulk_wait(int32_t groups, int32_t only_read) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  auto pending = static_cast<uint32_t>(groups);
  if (thread.bulkCommitted < pending) {
    return;
  }
  uint32_t last = thread.bulkCommitted - pending;
  for (uint32_t i = emulator.numTransfers; i-- > 0;) {
    Transfer &transfer = emulator.transfers[i];
    if (transfer.barrier || transfer.thread != thread.index ||
        transfer.group > last) {
      continue;
    }
    if (!only_read) {
      land(emulator, i);
    } else if (!readSource(emulator, transfer)) {
      report(emulator, thread, "has no memory to store asynchronously");
    }
  }
  if (last > thread.bulkRead) {
    thread.bulkRead = last;
    if (thread.bulkAgent) {
      emulator.shadow.getClock(thread.index)[thread.bulkAgent] = last;
    }
  }
}

void attn_emulator_fence_async(void) {
  Emulator &emulator = *running;
  emulator.shadow.fence(emulator.current);
  fenceMBarriers(emulator);
}

void attn_emulator_fence_mbarrier_init(void) { fenceMBarriers(*running); }
