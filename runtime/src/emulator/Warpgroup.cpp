//===- Warpgroup.cpp - ops that 128 threads do together -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The four warps of a warpgroup wait for each other at every wgmma; on a card
// they may be apart. What that hides of races is found all the same: nobody
// learns from others here.
//
//===----------------------------------------------------------------------===//

#include "Warpgroup.h"

#include <cstring>

using namespace attn::emulator;

bool attn::emulator::isName(uint32_t bits) {
  // A signalling NaN, which nothing computes.
  return (bits & 0xffe00000) == 0x7fa00000;
}

Name attn::emulator::parseName(uint32_t bits) {
  return {bits >> 7 & 0xff, bits >> 15 & 0x3f, bits & 0x7f};
}

uint32_t attn::emulator::makeName(const Name &name) {
  return 0x7fa00000 | (name.generation & 0x3f) << 15 | name.tile << 7 |
         name.index;
}

uint32_t attn::emulator::getWarpgroupIndex(const Emulator &emulator,
                                           const Thread &thread) {
  return emulator.getBlock(thread) * emulator.getGroupsOfBlock() +
         emulator.getLocal(thread) / kGroupThreads;
}

Warpgroup &attn::emulator::getWarpgroup(Emulator &emulator,
                                        const Thread &thread) {
  return emulator.warpgroups[getWarpgroupIndex(emulator, thread)];
}

unsigned char *attn::emulator::getSharedOfWarpgroup(Emulator &emulator,
                                                    uint32_t warpgroup) {
  return emulator.shared +
         warpgroup / emulator.getGroupsOfBlock() * emulator.windowBytes;
}

static Thread *getFirst(Emulator &emulator, const Thread &thread) {
  uint32_t local = emulator.getLocal(thread) % kGroupThreads;
  return &emulator.threads[thread.index - local];
}

//===----------------------------------------------------------------------===//
// Meetings
//===----------------------------------------------------------------------===//

static bool isGroupMeeting(const Wait &wait) {
  return wait.meeting == Meeting::WgmmaFence ||
         wait.meeting == Meeting::Wgmma ||
         wait.meeting == Meeting::WgmmaCommit ||
         wait.meeting == Meeting::WgmmaWait;
}

void attn::emulator::checkWarpgroup(Emulator &emulator, const Thread &thread) {
  uint32_t first = thread.index - emulator.getLocal(thread) % kGroupThreads;
  for (uint32_t i = first; i < first + kGroupThreads && i < emulator.numThreads;
       ++i) {
    const Thread &other = emulator.threads[i];
    bool isThere = isGroupMeeting(other.wait);
    if (isGroupMeeting(thread.wait) &&
        (isThere || other.state == State::Exited)) {
      checkPair(emulator, thread, other);
    } else if (isThere && thread.state == State::Exited) {
      checkPair(emulator, other, thread);
    }
  }
}

/// Waits for the warpgroup. The last to come calls `complete` for its threads.
static void meet(Emulator &emulator, Meeting meeting, uint64_t form, void *data,
                 int32_t site,
                 void (*complete)(Emulator &emulator, Thread *threads)) {
  Thread &thread = emulator.getCurrent();
  auto here = static_cast<uint32_t>(site);
  Wait wait = getWholeWarp(emulator, meeting, here, data);
  wait.form = form;
  uint32_t local = emulator.getLocal(thread);
  if (local / kGroupThreads * kGroupThreads + kGroupThreads >
      emulator.blockThreads) {
    report(emulator, thread,
           "is at %s (%s) in a warpgroup of less than %u threads",
           getName(wait), getPlace(emulator, here), kGroupThreads);
  }
  thread.wait = wait;
  thread.state = State::Waiting;
  checkWarp(emulator, thread);
  checkWarpgroup(emulator, thread);
  Thread *threads = getFirst(emulator, thread);
  bool isComplete = true;
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    isComplete &= threads[i].wait.meeting == meeting;
  }
  if (isComplete) {
    complete(emulator, threads);
    for (uint32_t i = 0; i < kGroupThreads; ++i) {
      wake(emulator, threads[i]);
    }
  }
  runOthers(emulator);
}

//===----------------------------------------------------------------------===//
// Issuing
//===----------------------------------------------------------------------===//

namespace {
/// What a thread brings to a product.
struct Arrival {
  const attn_emulator_wgmma_form *form;
  uint64_t a, b;
  uint32_t *registers;
};

Arrival &getArrival(const Thread &thread) {
  return *static_cast<Arrival *>(thread.wait.data);
}

/// One product, when all threads are there. The first speaks for them.
class Issue {
public:
  Issue(Emulator &emulator, Thread *threads)
      : emulator(emulator), threads(threads),
        group(getWarpgroup(emulator, threads[0])),
        form(*getArrival(threads[0]).form), site(threads[0].wait.site),
        registers(static_cast<uint32_t>(form.columns) / 2) {}

  void run();

private:
  const char *here() { return getPlace(emulator, site); }
  uint32_t getShape() const {
    return static_cast<uint32_t>(form.depth << 16 | form.type_a << 8 |
                                 form.type_b);
  }
  Descriptor decodeOf(uint64_t Arrival::*which, bool isTransposed,
                      uint32_t rows, const char *name);
  void read(const Descriptor &matrix, uint32_t rows);
  void checkFence(uint32_t before, const char *what);
  bool isWhole(Tile *&tile);
  uint32_t takeTile();
  void takeValues(Tile &tile);
  void hold();
  uint32_t chooseTile();
  void makeAgent();

  Emulator &emulator;
  Thread *threads;
  Warpgroup &group;
  const attn_emulator_wgmma_form &form;
  uint32_t site, registers;
};
} // namespace

Descriptor Issue::decodeOf(uint64_t Arrival::*which, bool isTransposed,
                           uint32_t rows, const char *name) {
  uint64_t bits = getArrival(threads[0]).*which;
  for (uint32_t i = 1; i < kGroupThreads; ++i) {
    if (getArrival(threads[i]).*which != bits) {
      report(emulator, threads[i],
             "has another descriptor of %s at wgmma.mma_async (%s) than thread "
             "%u",
             name, here(), emulator.getLocal(threads[0]));
    }
  }
  Descriptor descriptor;
  if (!decode(bits, isTransposed, descriptor)) {
    report(emulator, threads[0],
           "has 0x%llx for a descriptor of %s at wgmma.mma_async (%s), with "
           "bits that belong to no field",
           static_cast<unsigned long long>(bits), name, here());
  }
  if (const char *problem = descriptor.check(rows)) {
    report(emulator, threads[0],
           "has a descriptor of %s at wgmma.mma_async (%s) that %s", name,
           here(), problem);
  }
  return descriptor;
}

/// By what all four warps know.
void Issue::read(const Descriptor &matrix, uint32_t rows) {
  uint32_t view = emulator.numThreads + getWarpgroupIndex(emulator, threads[0]);
  forEachChunk(
      matrix, rows, static_cast<uint32_t>(form.depth),
      [&](uint32_t address, uint32_t, uint32_t) {
        uint32_t place = findShared(
            emulator, threads[0], reinterpret_cast<void *>(size_t{address}),
            Descriptor::kChunkBytes, ATTN_EMULATOR_READ, 1, site);
        checkNoMBarrier(emulator, threads[0], place, Descriptor::kChunkBytes,
                        "multiplies", site);
        Conflict conflict =
            emulator.shadow.readInBulk(view, place, Descriptor::kChunkBytes,
                                       site, group.agent, group.committed + 1);
        if (conflict.kind != Conflict::None) {
          reportConflict(emulator, threads[0], conflict, "multiplies", site);
        }
      });
}

void Issue::checkFence(uint32_t before, const char *what) {
  if (group.fences <= before) {
    report(emulator, threads[0],
           "issues a product (%s) with no wgmma.fence after %s", here(), what);
  }
}

/// Whether the accumulators are those of one tile, all of them in order.
bool Issue::isWhole(Tile *&tile) {
  uint32_t first = getArrival(threads[0]).registers[0];
  if (!isName(first)) {
    return false;
  }
  Name name = parseName(first);
  tile = &group.tiles[name.tile];
  if ((tile->generation & 0x3f) != name.generation ||
      tile->getRegisters() != registers) {
    return false;
  }
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    for (uint32_t r = 0; r < registers; ++r) {
      name.index = r;
      if (getArrival(threads[i]).registers[r] != makeName(name)) {
        return false;
      }
    }
  }
  return true;
}

/// The one that has been there for longest.
uint32_t Issue::takeTile() {
  uint32_t index = group.nextTile++ % Warpgroup::kTiles;
  Tile &tile = group.tiles[index];
  if (!group.isComplete(tile)) {
    report(emulator, threads[0],
           "issues a product (%s) with %u others in flight; more are not "
           "emulated",
           here(), Warpgroup::kTiles);
  }
  tile.columns = static_cast<uint32_t>(form.columns);
  if (tile.columns > tile.maxColumns) {
    std::free(tile.values);
    tile.values = static_cast<uint32_t *>(
        std::malloc(sizeof(uint32_t) * kProductRows * tile.columns));
    tile.maxColumns = tile.values ? tile.columns : 0;
  }
  if (!tile.values) {
    report(emulator, threads[0], "has no memory to hold accumulators");
  }
  return index;
}

/// What accumulators hold that are not those of a tile in flight.
void Issue::takeValues(Tile &tile) {
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    const uint32_t *from = getArrival(threads[i]).registers;
    for (uint32_t r = 0; r < registers; ++r) {
      tile.values[i * registers + r] =
          form.adds ? getValue(emulator, threads[i], from[r], site) : 0;
    }
  }
}

uint32_t Issue::chooseTile() {
  Tile *before = nullptr;
  bool hasTile = isWhole(before);
  if (hasTile && !group.isComplete(*before)) {
    if (before->shape != getShape()) {
      report(emulator, threads[0],
             "adds a product (%s) to accumulators of one of another shape (%s) "
             "that may still be in flight",
             here(), getPlace(emulator, before->site));
    }
    return static_cast<uint32_t>(before - group.tiles);
  }
  if (hasTile && before->isRead) {
    checkFence(before->readAt, "it has looked at the accumulators");
  }
  uint32_t index = takeTile();
  takeValues(group.tiles[index]);
  return index;
}

/// The registers of A are not to change.
void Issue::hold() {
  for (int32_t name : form.names) {
    if (name < 0) {
      continue;
    }
    if (!grow(group.held, group.numHeld, group.maxHeld)) {
      report(emulator, threads[0], "has no memory to note registers");
    }
    group.held[group.numHeld++] = {name, group.committed + 1, site};
  }
}

void Issue::makeAgent() {
  if (!group.agent) {
    group.agent = emulator.shadow.addAgent(
        {Agent::Products, getWarpgroupIndex(emulator, threads[0])});
  }
  uint32_t first = threads[0].index;
  const uint32_t warps[] = {first, first + kWarpSize, first + 2 * kWarpSize,
                            first + 3 * kWarpSize};
  emulator.shadow.meet(
      emulator.numThreads + getWarpgroupIndex(emulator, threads[0]), warps, 4);
}

void Issue::run() {
  uint32_t written = 0;
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    auto other = static_cast<uint32_t>(getArrival(threads[i]).form->written);
    written = other > written ? other : written;
  }
  checkFence(written, written ? "it has written the registers" : "it began");
  auto columns = static_cast<uint32_t>(form.columns);
  Product product;
  product.form = form;
  if (!form.takes_registers) {
    product.a =
        decodeOf(&Arrival::a, form.transposed_a != 0, kProductRows, "A");
  }
  product.b = decodeOf(&Arrival::b, form.transposed_b != 0, columns, "B");
  makeAgent();
  if (!form.takes_registers) {
    read(product.a, kProductRows);
  }
  read(product.b, columns);
  product.tile = chooseTile();
  hold();
  Tile &tile = group.tiles[product.tile];
  tile.group = product.group = group.last = group.committed + 1;
  tile.site = group.lastSite = site;
  tile.shape = getShape();
  tile.isRead = false;
  ++tile.generation;
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    uint32_t *own = getArrival(threads[i]).registers;
    for (uint32_t r = 0; form.takes_registers && r < kRegistersOfA; ++r) {
      product.registers[i * kRegistersOfA + r] = own[registers + r];
    }
    for (uint32_t r = 0; r < registers; ++r) {
      own[r] = makeName({product.tile, tile.generation, r});
    }
  }
  if (!grow(group.products, group.numProducts, group.maxProducts)) {
    report(emulator, threads[0], "has no memory to note a product");
  }
  group.products[group.numProducts++] = product;
  ++emulator.numProducts;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

uint32_t attn::emulator::getValue(Emulator &emulator, const Thread &thread,
                                  uint32_t bits, uint32_t site) {
  if (!isName(bits)) {
    return bits;
  }
  Name name = parseName(bits);
  Warpgroup &group = getWarpgroup(emulator, thread);
  Tile &tile = group.tiles[name.tile];
  const char *here = getPlace(emulator, site);
  const char *there = getPlace(emulator, tile.site);
  if ((tile.generation & 0x3f) != name.generation) {
    report(emulator, thread,
           "uses an accumulator (%s) that another product (%s) has written "
           "since",
           here, there);
  }
  if (tile.group > group.committed) {
    report(emulator, thread,
           "uses an accumulator (%s) of a product (%s) that no "
           "wgmma.commit_group follows",
           here, there);
  }
  if (!group.isComplete(tile)) {
    report(emulator, thread,
           "uses an accumulator (%s) of a product (%s) that may still be in "
           "flight: the thread has not waited for its group",
           here, there);
  }
  tile.isRead = true;
  tile.readAt = group.fences;
  uint32_t local = emulator.getLocal(thread) % kGroupThreads;
  return tile.values[local * tile.getRegisters() + name.index];
}

static void completeWait(Emulator &emulator, Thread *threads) {
  Warpgroup &group = getWarpgroup(emulator, threads[0]);
  auto pending = static_cast<uint32_t>(threads[0].wait.form);
  if (group.committed <= pending || !group.agent) {
    return;
  }
  uint32_t last = group.committed - pending;
  uint32_t index = getWarpgroupIndex(emulator, threads[0]);
  while (group.numProducts && group.products[0].group <= last) {
    landProduct(emulator, index);
  }
  group.completed = last > group.completed ? last : group.completed;
  for (uint32_t i = 0; i < kGroupThreads; ++i) {
    emulator.shadow.getClock(threads[i].index)[group.agent] = group.completed;
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < group.numHeld; ++i) {
    if (group.held[i].group > group.completed) {
      group.held[kept++] = group.held[i];
    }
  }
  group.numHeld = kept;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

void attn::emulator::beginWarpgroups(Emulator &emulator) {
  emulator.numProducts = 0;
  for (uint32_t i = 0; i < emulator.getNumGroups(); ++i) {
    Warpgroup &group = emulator.warpgroups[i];
    for (uint32_t k = 0; group.agent && k < Warpgroup::kTiles; ++k) {
      group.tiles[k].group = 0;
      group.tiles[k].isRead = false;
    }
    group.fences = group.committed = group.completed = group.last = 0;
    group.numProducts = group.numHeld = group.agent = 0;
  }
}

void attn::emulator::endWarpgroups(Emulator &emulator) {
  for (uint32_t i = 0; i < emulator.getNumGroups(); ++i) {
    Warpgroup &group = emulator.warpgroups[i];
    for (Tile &tile : group.tiles) {
      std::free(tile.values);
    }
    std::free(group.products);
    std::free(group.held);
  }
}

void attn::emulator::checkProducts(Emulator &emulator, const Thread &thread) {
  const Warpgroup &group = getWarpgroup(emulator, thread);
  if (group.last > group.completed) {
    report(emulator, thread,
           "leaves the kernel without having waited for the products of its "
           "warpgroup, the last of which it began at %s",
           getPlace(emulator, group.lastSite));
  }
}

void attn::emulator::landSomeProduct(Emulator &emulator) {
  // Threads take turns at every wgmma of a warpgroup.
  constexpr uint32_t kTurns = kGroupThreads / 2;
  if (emulator.numProducts &&
      emulator.random.below(kTurns * emulator.getLateness()) == 0) {
    landProduct(emulator, emulator.random.below(emulator.getNumGroups()));
  }
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

void attn_emulator_wgmma_fence(int32_t site) {
  meet(*running, Meeting::WgmmaFence, 0, nullptr, site,
       [](Emulator &emulator, Thread *threads) {
         ++getWarpgroup(emulator, threads[0]).fences;
       });
}

void attn_emulator_wgmma(const attn_emulator_wgmma_form *form,
                         int64_t descriptor_a, int64_t descriptor_b,
                         uint32_t *registers, int32_t site) {
  Arrival arrival = {form, static_cast<uint64_t>(descriptor_a),
                     static_cast<uint64_t>(descriptor_b), registers};
  meet(*running, Meeting::Wgmma, form->adds ? 1 : 0, &arrival, site,
       [](Emulator &emulator, Thread *threads) {
         Issue(emulator, threads).run();
       });
}

void attn_emulator_wgmma_commit(int32_t site) {
  meet(*running, Meeting::WgmmaCommit, 0, nullptr, site,
       [](Emulator &emulator, Thread *threads) {
         ++getWarpgroup(emulator, threads[0]).committed;
       });
}

void attn_emulator_wgmma_wait(int32_t groups, int32_t site) {
  meet(*running, Meeting::WgmmaWait, static_cast<uint64_t>(groups), nullptr,
       site, completeWait);
}

uint32_t attn_emulator_wgmma_value(uint32_t bits, int32_t site) {
  Emulator &emulator = *running;
  return getValue(emulator, emulator.getCurrent(), bits,
                  static_cast<uint32_t>(site));
}

int32_t attn_emulator_wgmma_fences(void) {
  Emulator &emulator = *running;
  return static_cast<int32_t>(
      getWarpgroup(emulator, emulator.getCurrent()).fences);
}

void attn_emulator_wgmma_write(int32_t name, int32_t site) {
  Emulator &emulator = *running;
  Thread &thread = emulator.getCurrent();
  const Warpgroup &group = getWarpgroup(emulator, thread);
  for (uint32_t i = 0; i < group.numHeld; ++i) {
    if (group.held[i].name == name) {
      report(emulator, thread,
             "changes a register of A (%s), which a product (%s) may still "
             "read: the thread has not waited for its group",
             getPlace(emulator, static_cast<uint32_t>(site)),
             getPlace(emulator, group.held[i].site));
    }
  }
}
