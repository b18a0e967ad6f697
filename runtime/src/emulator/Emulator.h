//===- Emulator.h - a launch on the emulated GPU -------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is known of the launch that is running on this thread. Fibers share it:
// exactly one of them runs at a time.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_EMULATOR_EMULATOR_H
#define ATTN_RUNTIME_EMULATOR_EMULATOR_H

#include "Fiber.h"
#include "Shadow.h"
#include "attn_emulator.h"

#include <cstdlib>

namespace attn::emulator {

constexpr uint32_t kWarpSize = 32; // of NVIDIA
constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kNumBarriers = 16;
constexpr uint32_t kMaxMBarriers = 128;
constexpr uint32_t kMBarrierBytes = 8;
/// Blocks of a cluster.
constexpr uint32_t kMaxBlocks = 8;
/// Addresses of another block's shared memory: those of the block's own, and
/// so many times this as 1 and the number of the block in its cluster.
constexpr uint32_t kWindowBytes = 1 << 18;
constexpr int64_t kMaxSharedBytes = 227 << 10;

/// Memory that is all zeros and given back with the launch.
class Pages {
public:
  Pages() = default;
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;
  ~Pages();

  /// Null if there is no memory.
  void *allocate(size_t size);

private:
  void *data = nullptr;
  size_t bytes = 0;
};

/// Numbers drawn from a seed.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next();
  /// Less than `bound`.
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>((next() >> 32) * bound >> 32);
  }

private:
  uint64_t state;
};

/// Where threads meet.
enum class Meeting : uint8_t {
  None,
  Barrier,
  MBarrier,
  WarpBarrier,
  Shuffle,
  Vote,
  Redux,
  Elect,
  LdMatrix,
  StMatrix,
  Mma,
  Bpermute,
  ReadLane,
  Dpp,
  PermlaneX16,
  Swizzle,
  Mfma,
  SetRegisters,
  Registers,
  WgmmaFence,
  Wgmma,
  WgmmaCommit,
  WgmmaWait,
  ClusterArrive,
  ClusterWait,
  Cluster
};

/// What a thread waits at.
struct Wait {
  Meeting meeting = Meeting::None;
  uint32_t site = 0;
  /// The lanes of a meeting of a warp, or the number of a barrier.
  uint64_t mask = 0;
  /// Has to be the same for all; the phase of an mbarrier.
  uint64_t form = 0;
  /// What the op has, on the stack of the thread.
  void *data = nullptr;
};

/// A part of an asynchronous copy of a thread that it has not waited for.
struct Copy {
  unsigned char *target;
  const unsigned char *source;
  uint32_t bytes, sourceBytes;
  uint32_t group, site;
  /// Of the agent that the thread's copies are.
  uint32_t tick;
  bool landed;
};

struct MBarrier;
struct Transfer;
struct Warpgroup;

/// An arrival of a thread that follows its copies.
struct LateArrival {
  MBarrier *barrier;
  /// The last of the copies.
  uint32_t tick;
  uint32_t site;
};

enum class State : uint8_t { Ready, Waiting, Exited };

struct Thread {
  Fiber fiber;
  uint32_t index = 0;
  uint32_t id[3] = {};
  State state = State::Ready;
  Wait wait;
  /// Groups of copies: those committed, and of these the ones waited for.
  uint32_t committed = 0, completed = 0;
  Copy *copies = nullptr;
  uint32_t numCopies = 0, maxCopies = 0;
  /// The agent that they are, or 0; the tick of those that begin now, the
  /// last that the thread has waited for, and the last that an mbarrier
  /// follows.
  uint32_t copyAgent = 0, copyTick = 1, waitedTick = 0, tracked = 0;
  LateArrival *arrivals = nullptr;
  uint32_t numArrivals = 0, maxArrivals = 0;
  /// Groups of copies of bulk: those committed, and of these the ones whose
  /// sources have been read; what reads them is an agent too.
  uint32_t bulkCommitted = 0, bulkRead = 0, bulkAgent = 0;
  /// Whether the group that is not yet committed has copies, and one of them.
  bool isBulkOpen = false;
  uint32_t bulkSite = 0;
  /// The mbarrier that a phase of has ended for the thread, which has not run
  /// since, and the phase.
  const MBarrier *watched = nullptr;
  uint32_t watchedPhase = 0, watchedSite = 0;
  /// How often it has arrived at the barrier of its cluster and waited there.
  uint32_t clusterArrivals = 0, clusterWaits = 0, clusterSite = 0;
};

struct Barrier {
  uint32_t arrived = 0;
  uint32_t expected = 0;
  uint32_t site = 0;
  bool isForAll = false;
  uint32_t trueCount = 0;
  /// Of the last time that it completed.
  uint32_t result = 0;
};

struct MBarrier {
  /// Where in shared memory.
  uint32_t place = 0;
  /// Arrivals of a phase, those that the current one lacks, and the bytes.
  uint32_t count = 0, pending = 0;
  int32_t bytes = 0;
  /// The current phase, and how many have ended in all the times that there was
  /// an mbarrier at the place.
  uint32_t phase = 0, tick = 0;
  uint32_t agent = 0;
  /// Where it began, or, when it is no more, ended.
  uint32_t site = 0;
  bool isLive = false;
  /// Who began it and when, and whether copies of bulk may see that.
  uint32_t creator = 0, created = 0;
  bool isFenced = false;
  /// Arrivals at the barrier of the cluster before the fence.
  uint32_t fencedAt = 0;
  /// The tick that the last copy of bulk is complete with, and where that is.
  uint32_t copyTick = 0, copySite = 0;
  /// What those who have arrived knew, and those of phases that have ended.
  uint32_t *gathered = nullptr, *published = nullptr;
};

/// What a warp has of the registers of its block.
struct WarpRegisters {
  /// Of each thread: those it has, and those it waits for, or 0.
  uint32_t count = 0, wanted = 0;
};

/// The barrier of a cluster.
struct ClusterBarrier {
  /// Of the current phase: the threads that have arrived, and those that have
  /// left without that.
  uint32_t phase = 0, arrived = 0, gone = 0;
  /// What those who have arrived knew, and those of the phase before.
  uint32_t *gathered = nullptr, *published = nullptr;
};

/// A block of the cluster that runs.
struct BlockState {
  uint32_t id[3] = {};
  uint32_t numExited = 0;
  /// Registers of each lane that no warp has.
  uint32_t freeRegisters = 0;
};

/// A range of global memory that the kernel may touch.
struct Range {
  uintptr_t begin, end;
};

struct Emulator {
  Emulator(const attn_emulator_kernel &kernel, const attn_emulator_sizes &sizes,
           void *const *arguments, const attn_emulator_buffer *buffers,
           int64_t numBuffers, uint64_t seed)
      : kernel(kernel), sizes(sizes), arguments(arguments), buffers(buffers),
        numBuffers(numBuffers), random(seed) {}
  ~Emulator();

  Thread &getCurrent() { return threads[current]; }
  /// Of a block.
  uint32_t getNumWarps() const {
    return (blockThreads + warpSize - 1) / warpSize;
  }
  /// The number of a thread's block in the cluster, and its own in the block.
  uint32_t getBlock(const Thread &thread) const {
    return thread.index / blockThreads;
  }
  uint32_t getLocal(const Thread &thread) const {
    return thread.index % blockThreads;
  }
  const uint32_t *getBlockId(const Thread &thread) const {
    return blocks[getBlock(thread)].id;
  }
  /// Of a place in the shared memory of all: where it is in its block's.
  uint32_t getByte(uint32_t place) const {
    return numBlocks > 1 ? place % windowBytes : place;
  }
  uint32_t getBlockAt(uint32_t place) const {
    return numBlocks > 1 ? place / windowBytes : 0;
  }
  /// Warpgroups of a block, and of all.
  uint32_t getGroupsOfBlock() const { return (blockThreads + 127) / 128; }
  uint32_t getNumGroups() const { return numBlocks * getGroupsOfBlock(); }
  uint32_t getMaxMBarriers() const { return numBlocks * kMaxMBarriers; }
  WarpRegisters &getRegisters(const Thread &thread) {
    return warpRegisters[getBlock(thread) * getNumWarps() +
                         getLocal(thread) / warpSize];
  }
  /// The lanes that a warp has.
  uint64_t getLanes(uint32_t warp) const;

  const attn_emulator_kernel &kernel;
  const attn_emulator_sizes &sizes;
  void *const *arguments;
  const attn_emulator_buffer *buffers;
  int64_t numBuffers;
  Random random;

  /// Threads that run together, those of each block, and the blocks: all of a
  /// cluster.
  uint32_t numThreads = 0, blockThreads = 0, numBlocks = 1;
  uint32_t warpSize = kWarpSize;
  uint32_t clusterSize[3] = {1, 1, 1};
  /// Of a block, and from one block's to the next.
  uint32_t sharedBytes = 0, windowBytes = 0, dynamicBytes = 0;
  BlockState blocks[kMaxBlocks];

  Fiber origin;
  Stacks stacks;
  Pages pages;
  Thread *threads = nullptr;
  Range *ranges = nullptr;
  uint32_t *ready = nullptr;
  uint32_t numReady = 0, numExited = 0;
  uint32_t current = 0;
  /// How often threads have asked in vain since something happened.
  uint32_t numPolls = 0;
  bool isBroken = false;
  /// Fibers that are resumed are to end at once.
  bool isDying = false;
  uint64_t switches = 0;

  Barrier barriers[kMaxBlocks * kNumBarriers];
  /// What those who arrived at each barrier knew.
  uint32_t *barrierClocks[kMaxBlocks * kNumBarriers] = {};
  ClusterBarrier clusterBarrier;
  MBarrier *mbarriers = nullptr;
  uint32_t numMBarriers = 0;
  /// For every place one may be at, 1 more than its number, or 0.
  uint16_t *mbarrierAt = nullptr;
  WarpRegisters *warpRegisters = nullptr;
  Warpgroup *warpgroups = nullptr;
  /// Of a product that takes place.
  double *numbers = nullptr;
  /// Copies of bulk in flight.
  Transfer *transfers = nullptr;
  uint32_t numTransfers = 0, maxTransfers = 0;
  /// Of so many chances to land, one is taken; drawn for each cluster that
  /// needs it.
  uint32_t lateness = 0;
  uint32_t getLateness() {
    lateness = lateness ? lateness : 1u << random.below(8);
    return lateness;
  }
  /// Products in flight.
  uint32_t numProducts = 0;
  Shadow shadow;
  unsigned char *shared = nullptr;
};

/// The launch on this thread. Kernels do not leave the thread they run on.
extern thread_local Emulator *running;

//===----------------------------------------------------------------------===//
// Reports. All end the launch, and do not come back.
//===----------------------------------------------------------------------===//

/// A sentence about the thread that runs: begins with its name and the op.
[[noreturn, gnu::format(printf, 3, 4)]] void
report(Emulator &emulator, const Thread &thread, const char *format, ...);

/// Stores a sentence about the launch as a whole.
[[gnu::format(printf, 2, 3)]] void complain(const char *kernel,
                                            const char *format, ...);

/// Whether a sentence has been stored that nobody has taken.
bool hasError();

/// Text of the place of an op; valid until four more were asked for.
const char *getPlace(const Emulator &emulator, uint32_t site);

/// "thread 3", or "thread 3 of block (1, 0, 0)" of another block than the one
/// that runs; valid until four more were asked for.
const char *getThreadName(Emulator &emulator, uint32_t thread);

/// "barrier 3" or "shfl.sync".
const char *getName(const Wait &wait);

/// What a thread waits for, when none can run, and who else does.
void reportDeadlock(Emulator &emulator, const Thread &waiting);

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

/// Runs all threads of a block. False if there was something to report.
bool runBlock(Emulator &emulator);

/// Leaves the current fiber for good, for that of the launch.
[[noreturn]] void leave(Emulator &emulator);

/// Makes a waiting thread one that can run.
void wake(Emulator &emulator, Thread &thread);

/// Runs others until the current thread can run again.
void runOthers(Emulator &emulator);

/// Lets others run, for a thread that has asked for what it could wait for, and
/// will again.
void poll(Emulator &emulator, const Wait &wait);

/// Lets the thread wait at a meeting of its warp. The last to come calls
/// `complete` for the lanes of the mask.
void meetWarp(Emulator &emulator, const Wait &wait,
              void (*complete)(Emulator &emulator, Thread *lanes,
                               uint64_t mask));

/// A meeting of all lanes of the warp; reported if it has less than it should.
Wait getWholeWarp(Emulator &emulator, Meeting meeting, uint32_t site,
                  void *data);

/// Reports whoever of the warp waits for `thread` in vain.
void checkWarp(Emulator &emulator, const Thread &thread);
/// The same for one that is to come to where `waiting` is.
void checkPair(Emulator &emulator, const Thread &waiting, const Thread &other);

//===----------------------------------------------------------------------===//
// Warpgroups
//===----------------------------------------------------------------------===//

/// Reports whoever of the warpgroup waits for `thread` in vain.
void checkWarpgroup(Emulator &emulator, const Thread &thread);

/// Before the blocks of a cluster begin, and after the last have ended.
void beginWarpgroups(Emulator &emulator);
void endWarpgroups(Emulator &emulator);

/// Reports products that a thread leaves behind.
void checkProducts(Emulator &emulator, const Thread &thread);

/// Lets a product of one of the warpgroups take place, or none.
void landSomeProduct(Emulator &emulator);

/// What a register holds that may be the name of a result.
uint32_t getValue(Emulator &emulator, const Thread &thread, uint32_t bits,
                  uint32_t site);

/// The shared memory of the block of a warpgroup.
unsigned char *getSharedOfWarpgroup(Emulator &emulator, uint32_t warpgroup);

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

/// Before the blocks of a cluster begin.
void beginCluster(Emulator &emulator);

/// Reports an access to the shared memory of another block that may not have
/// begun, or has ended.
void checkBlockAt(Emulator &emulator, const Thread &thread, uint32_t place,
                  const char *verb, uint32_t site);

/// Ends what a thread that leaves has to do with its cluster.
void leaveCluster(Emulator &emulator, Thread &thread);

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

/// At the beginning of all blocks.
void giveRegisters(Emulator &emulator);

/// At the end of a block. False, with a report, if the warps of a warpgroup do
/// not have the same number.
bool checkRegisters(Emulator &emulator);

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Where in shared memory an address is, after checks of range and alignment.
uint32_t findShared(Emulator &emulator, const Thread &thread,
                    const void *address, int64_t bytes, int32_t kind,
                    int32_t alignment, uint32_t site);

/// The host's address of shared memory, after all checks.
unsigned char *accessShared(Emulator &emulator, Thread &thread,
                            const void *address, int64_t bytes, int32_t kind,
                            int32_t alignment, uint32_t site);

/// `verb` is what the thread does.
[[noreturn]] void reportConflict(Emulator &emulator, const Thread &thread,
                                 const Conflict &conflict, const char *verb,
                                 uint32_t site);

/// Checks an access to global memory.
void checkGlobal(Emulator &emulator, const Thread &thread, const void *address,
                 int64_t bytes, int32_t kind, int32_t alignment, uint32_t site);

/// Makes room for one more element.
template <typename T> bool grow(T *&elements, uint32_t count, uint32_t &max) {
  if (count < max) {
    return true;
  }
  uint32_t wanted = max ? 2 * max : 16;
  void *grown = std::realloc(elements, sizeof(T) * wanted);
  if (!grown) {
    return false;
  }
  elements = static_cast<T *>(grown);
  max = wanted;
  return true;
}

/// Lets one thing land that some thread may wait for. False if there is none.
bool landOne(Emulator &emulator);

/// Lets one of the copies of a thread land, or none.
void landSome(Emulator &emulator, Thread &thread);

/// Lets copies that an mbarrier follows land; reports others that a thread
/// leaves behind.
void checkCopies(Emulator &emulator, Thread &thread);

/// The mbarrier at an address, for an op of the thread that runs.
MBarrier &findMBarrier(Emulator &emulator, const void *address, uint32_t site);
/// The same at a place in the shared memory of all blocks.
MBarrier &findMBarrierAt(Emulator &emulator, uint32_t place, uint32_t site);

/// An arrival of copies, which have become an agent, until one of their ticks.
void arriveLate(Emulator &emulator, MBarrier &barrier, uint32_t agent,
                uint32_t tick);

/// Ends the phase of an mbarrier if it lacks nothing.
void endPhase(Emulator &emulator, MBarrier &barrier);

/// Copies of bulk may see the mbarriers whose beginning the thread knows.
void fenceMBarriers(Emulator &emulator);

/// Reports an access to what an mbarrier is made of.
void checkNoMBarrier(Emulator &emulator, const Thread &thread, uint32_t begin,
                     int64_t bytes, const char *verb, uint32_t site);

//===----------------------------------------------------------------------===//
// Copies of bulk
//===----------------------------------------------------------------------===//

/// Lets one of the copies land, or none.
void landSomeInBulk(Emulator &emulator);
/// Lets one land. False if there is none.
bool landOneInBulk(Emulator &emulator);

/// Reports copies in flight that are to be part of a phase that ends.
void checkTransfers(Emulator &emulator, const MBarrier &barrier);

/// Reports copies that a thread leaves behind.
void checkBulk(Emulator &emulator, const Thread &thread);

/// At the end of a block: lets the rest land. False, with a report, if nobody
/// has waited for one.
bool finishBulk(Emulator &emulator);

/// Forgets all copies.
void dropTransfers(Emulator &emulator);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_EMULATOR_H
