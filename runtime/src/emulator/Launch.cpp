//===- Launch.cpp - all blocks of a kernel --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Warpgroup.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>

using namespace attn::emulator;

namespace {
std::atomic<uint64_t> nextSeed{0};
std::atomic<uint64_t> numLaunches{0}, numBlocks{0}, numSwitches{0};
} // namespace

void attn_emulator_set_seed(uint64_t seed) { nextSeed.store(seed); }

attn_emulator_statistics attn_emulator_get_statistics(void) {
  return {numLaunches.load(), numBlocks.load(), numSwitches.load()};
}

void *Pages::allocate(size_t size) {
  bytes = size;
  data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  data = data == MAP_FAILED ? nullptr : data;
  return data;
}

Pages::~Pages() {
  if (data) {
    munmap(data, bytes);
  }
}

Emulator::~Emulator() {
  for (uint32_t i = 0; threads && i < numThreads; ++i) {
    std::free(threads[i].copies);
    std::free(threads[i].arrivals);
  }
  if (warpgroups) {
    endWarpgroups(*this);
  }
  dropTransfers(*this);
  std::free(transfers);
}

/// False, with a report, for what no card can be asked for.
static bool checkSizes(const attn_emulator_kernel &kernel,
                       const attn_emulator_sizes &sizes) {
  const char *name = kernel.name;
  int64_t maxShared =
      kernel.max_shared_bytes ? kernel.max_shared_bytes : kMaxSharedBytes;
  constexpr int64_t kMaxGrid[3] = {0x7fffffff, 0xffff, 0xffff};
  constexpr int64_t kMaxBlock[3] = {kMaxThreads, kMaxThreads, 64};
  int64_t threads = 1;
  for (int i = 0; i < 3; ++i) {
    if (sizes.grid[i] < 1 || sizes.grid[i] > kMaxGrid[i]) {
      complain(name,
               "is launched with a grid of %lld x %lld x %lld blocks; allowed "
               "are 1 to 2147483647, and 1 to 65535 in y and z",
               static_cast<long long>(sizes.grid[0]),
               static_cast<long long>(sizes.grid[1]),
               static_cast<long long>(sizes.grid[2]));
      return false;
    }
    bool isAllowed = sizes.block[i] >= 1 && sizes.block[i] <= kMaxBlock[i];
    threads = isAllowed ? threads * sizes.block[i] : int64_t{kMaxThreads} + 1;
    if (threads > kMaxThreads) {
      complain(name,
               "is launched with blocks of %lld x %lld x %lld threads; allowed "
               "are 1 to %u in all, and 64 in z",
               static_cast<long long>(sizes.block[0]),
               static_cast<long long>(sizes.block[1]),
               static_cast<long long>(sizes.block[2]), kMaxThreads);
      return false;
    }
  }
  if (sizes.dynamic_shared_bytes < 0 ||
      sizes.dynamic_shared_bytes > maxShared - sizes.static_shared_bytes) {
    complain(name,
             "asks for %lld + %lld bytes of shared memory; the largest that a "
             "card has are %lld",
             static_cast<long long>(sizes.static_shared_bytes),
             static_cast<long long>(sizes.dynamic_shared_bytes),
             static_cast<long long>(maxShared));
    return false;
  }
  return true;
}

/// The bytes that a buffer's sizes and strides lead to.
static Range getRange(const attn_emulator_buffer &buffer,
                      void *const *arguments) {
  auto get = [&](int64_t at) {
    int64_t value;
    std::memcpy(&value, arguments[buffer.argument + at], sizeof(value));
    return value;
  };
  auto begin = static_cast<uintptr_t>(get(0));
  if (buffer.rank < 0) {
    return {begin, begin + static_cast<uintptr_t>(buffer.element_bytes)};
  }
  int64_t low = get(1), high = low + 1;
  for (int64_t i = 0; i < buffer.rank; ++i) {
    int64_t size = get(2 + i), stride = get(2 + buffer.rank + i);
    if (size == 0) {
      return {begin, begin};
    }
    (stride < 0 ? low : high) += (size - 1) * stride;
  }
  return {begin + static_cast<uintptr_t>(low * buffer.element_bytes),
          begin + static_cast<uintptr_t>(high * buffer.element_bytes)};
}

/// Splits one allocation.
namespace {
class Carver {
public:
  explicit Carver(void *data) : next(static_cast<unsigned char *>(data)) {}
  template <typename T> T *take(size_t count) {
    auto *taken = reinterpret_cast<T *>(next);
    next += getBytes(sizeof(T) * count);
    return taken;
  }
  static size_t getBytes(size_t bytes) { return (bytes + 127) & ~size_t{127}; }

private:
  unsigned char *next;
};
} // namespace

/// Clocks of the named barriers, of the mbarriers, and of the cluster.
static void takeClocks(Emulator &e, Carver &carver, size_t words) {
  for (uint32_t i = 0; i < e.numBlocks * kNumBarriers; ++i) {
    e.barrierClocks[i] = carver.take<uint32_t>(words);
  }
  for (uint32_t i = 0; i < e.getMaxMBarriers(); ++i) {
    MBarrier &barrier = *new (&e.mbarriers[i]) MBarrier();
    barrier.gathered = carver.take<uint32_t>(words);
    barrier.published = carver.take<uint32_t>(words);
  }
  e.clusterBarrier.gathered = carver.take<uint32_t>(words);
  e.clusterBarrier.published = carver.take<uint32_t>(words);
}

static void makeThreads(Emulator &e) {
  for (uint32_t i = 0; i < e.numThreads; ++i) {
    Thread &thread = *new (&e.threads[i]) Thread();
    auto x = static_cast<uint32_t>(e.sizes.block[0]);
    auto y = static_cast<uint32_t>(e.sizes.block[1]);
    thread.index = i;
    uint32_t local = e.getLocal(thread);
    thread.id[0] = local % x;
    thread.id[1] = local / x % y;
    thread.id[2] = local / x / y;
  }
}

/// Agents besides threads: their copies and stores, mbarriers, warpgroups.
static uint32_t countOthers(const Emulator &e) {
  return 2 * e.numThreads + e.getMaxMBarriers() + e.getNumGroups();
}

static bool allocate(Emulator &e) {
  constexpr size_t kNumbers = (kProductRows + kMaxColumns) * kMaxDepth;
  // Clocks have two halves.
  size_t words = 2 * (size_t{e.numThreads} + countOthers(e));
  size_t mbarriers = e.getMaxMBarriers();
  size_t clocks = e.numBlocks * kNumBarriers + 2 * mbarriers + 2;
  size_t shared = size_t{e.windowBytes} * e.numBlocks;
  size_t places = shared / kMBarrierBytes;
  size_t warps = size_t{e.getNumWarps()} * e.numBlocks;
  size_t total = Carver::getBytes(sizeof(Thread) * e.numThreads) +
                 Carver::getBytes(sizeof(Range) * e.numBuffers) +
                 Carver::getBytes(sizeof(uint32_t) * e.numThreads) +
                 Carver::getBytes(sizeof(uint32_t) * words) * clocks +
                 Carver::getBytes(sizeof(MBarrier) * mbarriers) +
                 Carver::getBytes(sizeof(uint16_t) * places) +
                 Carver::getBytes(sizeof(WarpRegisters) * warps) +
                 Carver::getBytes(sizeof(Warpgroup) * e.getNumGroups()) +
                 Carver::getBytes(sizeof(double) * kNumbers) +
                 Carver::getBytes(shared);
  void *data = e.pages.allocate(total);
  if (!data || !e.stacks.allocate(e.numThreads)) {
    return false;
  }
  Carver carver(data);
  // First, so that it begins at a page.
  e.shared = carver.take<unsigned char>(shared);
  e.threads = carver.take<Thread>(e.numThreads);
  e.ranges = carver.take<Range>(e.numBuffers);
  e.ready = carver.take<uint32_t>(e.numThreads);
  e.mbarriers = carver.take<MBarrier>(mbarriers);
  e.mbarrierAt = carver.take<uint16_t>(places);
  e.warpRegisters = carver.take<WarpRegisters>(warps);
  e.warpgroups = carver.take<Warpgroup>(e.getNumGroups());
  e.numbers = carver.take<double>(kNumbers);
  takeClocks(e, carver, words);
  makeThreads(e);
  for (int64_t i = 0; i < e.numBuffers; ++i) {
    e.ranges[i] = getRange(e.buffers[i], e.arguments);
  }
  return true;
}

/// The blocks of a cluster, the first of which has this number.
static void placeBlocks(Emulator &e, uint64_t cluster) {
  uint64_t x = static_cast<uint64_t>(e.sizes.grid[0]) / e.clusterSize[0];
  uint64_t y = static_cast<uint64_t>(e.sizes.grid[1]) / e.clusterSize[1];
  const uint64_t at[] = {cluster % x, cluster / x % y, cluster / x / y};
  for (uint32_t i = 0; i < e.numBlocks; ++i) {
    const uint32_t inside[] = {i % e.clusterSize[0],
                               i / e.clusterSize[0] % e.clusterSize[1],
                               i / e.clusterSize[0] / e.clusterSize[1]};
    e.blocks[i] = {};
    for (int axis = 0; axis < 3; ++axis) {
      e.blocks[i].id[axis] =
          static_cast<uint32_t>(at[axis] * e.clusterSize[axis]) + inside[axis];
    }
  }
}

/// Clusters in order; what they share is global memory alone.
static bool runBlocks(Emulator &e) {
  uint64_t count = static_cast<uint64_t>(e.sizes.grid[0]) *
                   static_cast<uint64_t>(e.sizes.grid[1]) *
                   static_cast<uint64_t>(e.sizes.grid[2]) / e.numBlocks;
  uint32_t shared = e.windowBytes * e.numBlocks;
  for (uint64_t cluster = 0; cluster < count; ++cluster) {
    placeBlocks(e, cluster);
    uint32_t views = e.getNumGroups() + 1;
    if (!e.shadow.begin(e.numThreads, views, countOthers(e), shared)) {
      complain(e.kernel.name, "has no memory to run in");
      return false;
    }
    // A NaN in every format.
    std::memset(e.shared, 0xff, shared);
    for (Barrier &barrier : e.barriers) {
      barrier = {};
    }
    e.numMBarriers = e.lateness = 0;
    dropTransfers(e);
    giveRegisters(e);
    beginWarpgroups(e);
    beginCluster(e);
    std::memset(e.mbarrierAt, 0, sizeof(uint16_t) * (shared / kMBarrierBytes));
    numBlocks.fetch_add(e.numBlocks);
    if (!runBlock(e)) {
      return false;
    }
  }
  return true;
}

/// The blocks of a cluster. False, with a report, if there cannot be such.
static bool takeCluster(Emulator &e) {
  int64_t blocks = 1;
  for (int axis = 0; axis < 3; ++axis) {
    int64_t size = e.kernel.cluster[axis] ? e.kernel.cluster[axis] : 1;
    if (size < 1 || size > kMaxBlocks || e.sizes.grid[axis] % size != 0) {
      complain(e.kernel.name,
               "is launched with %lld blocks in %c, and clusters of %lld; "
               "allowed are clusters of 1 to %u blocks that fill the grid",
               static_cast<long long>(e.sizes.grid[axis]), "xyz"[axis],
               static_cast<long long>(size), kMaxBlocks);
      return false;
    }
    e.clusterSize[axis] = static_cast<uint32_t>(size);
    blocks *= size;
  }
  if (blocks > kMaxBlocks) {
    complain(e.kernel.name,
             "is launched with clusters of %lld blocks; allowed are 1 to %u",
             static_cast<long long>(blocks), kMaxBlocks);
    return false;
  }
  if (blocks > 1 && e.blockThreads % e.warpSize != 0) {
    complain(e.kernel.name,
             "is launched with clusters of blocks of %u threads; with clusters "
             "multiples of %u alone are emulated",
             e.blockThreads, e.warpSize);
    return false;
  }
  e.numBlocks = static_cast<uint32_t>(blocks);
  e.numThreads = e.blockThreads * e.numBlocks;
  return true;
}

int32_t attn_emulator_launch(const attn_emulator_kernel *kernel,
                             const attn_emulator_sizes *sizes,
                             void *const *arguments,
                             const attn_emulator_buffer *buffers,
                             int64_t num_buffers) {
  if (hasError() || !checkSizes(*kernel, *sizes)) {
    return 1;
  }
  Emulator emulator(*kernel, *sizes, arguments, buffers, num_buffers,
                    nextSeed.load());
  emulator.blockThreads = static_cast<uint32_t>(
      sizes->block[0] * sizes->block[1] * sizes->block[2]);
  if (kernel->warp_size) {
    emulator.warpSize = static_cast<uint32_t>(kernel->warp_size);
  }
  if (!takeCluster(emulator)) {
    return 1;
  }
  emulator.dynamicBytes = static_cast<uint32_t>(sizes->dynamic_shared_bytes);
  emulator.sharedBytes =
      static_cast<uint32_t>(sizes->static_shared_bytes) + emulator.dynamicBytes;
  // Swizzles go by addresses, which repeat from block to block.
  constexpr uint32_t kWindowAlignment = 1024;
  emulator.windowBytes =
      (emulator.sharedBytes + kWindowAlignment) & ~(kWindowAlignment - 1);
  if (!allocate(emulator)) {
    complain(kernel->name, "has no memory to run in");
    return 1;
  }
  numLaunches.fetch_add(1);
  running = &emulator;
  bool succeeded = runBlocks(emulator);
  running = nullptr;
  numSwitches.fetch_add(emulator.switches);
  return succeeded ? 0 : 1;
}

int32_t attn_emulator_register(int32_t which) {
  const Emulator &e = *running;
  const Thread &thread = e.threads[e.current];
  uint32_t local = e.getLocal(thread);
  auto get = [&]() -> uint64_t {
    switch (which) {
    case ATTN_EMULATOR_LANE:
      return local % e.warpSize;
    case ATTN_EMULATOR_WARP:
      return local / e.warpSize;
    case ATTN_EMULATOR_NUM_WARPS:
      return e.getNumWarps();
    case ATTN_EMULATOR_SHARED_BYTES:
      return e.dynamicBytes;
    case ATTN_EMULATOR_CLUSTER_RANK:
      return e.getBlock(thread);
    case ATTN_EMULATOR_CLUSTER_BLOCKS:
      return e.numBlocks;
    default:
      break;
    }
    int axis = which % 3;
    switch (which - axis) {
    case ATTN_EMULATOR_THREAD_X:
      return thread.id[axis];
    case ATTN_EMULATOR_BLOCK_SIZE_X:
      return e.sizes.block[axis];
    case ATTN_EMULATOR_BLOCK_X:
      return e.getBlockId(thread)[axis];
    case ATTN_EMULATOR_CLUSTER_X:
      return e.getBlockId(thread)[axis] / e.clusterSize[axis];
    case ATTN_EMULATOR_CLUSTERS_X:
      return e.sizes.grid[axis] / e.clusterSize[axis];
    case ATTN_EMULATOR_IN_CLUSTER_X:
      return e.getBlockId(thread)[axis] % e.clusterSize[axis];
    case ATTN_EMULATOR_CLUSTER_SIZE_X:
      return e.clusterSize[axis];
    default:
      return e.sizes.grid[axis];
    }
  };
  return static_cast<int32_t>(get());
}
