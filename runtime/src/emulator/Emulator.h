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

namespace attn::emulator {

constexpr uint32_t kWarpSize = 32; // of NVIDIA
constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kNumBarriers = 16;
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
  Mfma
};

/// What a thread waits at.
struct Wait {
  Meeting meeting = Meeting::None;
  uint32_t site = 0;
  /// The lanes of a meeting of a warp, or the number of a barrier.
  uint64_t mask = 0;
  /// Has to be the same for all.
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
  bool landed;
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
  uint32_t getNumWarps() const {
    return (numThreads + warpSize - 1) / warpSize;
  }
  /// The lanes that a warp has.
  uint64_t getLanes(uint32_t warp) const;

  const attn_emulator_kernel &kernel;
  const attn_emulator_sizes &sizes;
  void *const *arguments;
  const attn_emulator_buffer *buffers;
  int64_t numBuffers;
  Random random;

  uint32_t numThreads = 0, warpSize = kWarpSize;
  uint32_t sharedBytes = 0, dynamicBytes = 0;
  uint32_t blockId[3] = {};

  Fiber origin;
  Stacks stacks;
  Pages pages;
  Thread *threads = nullptr;
  Range *ranges = nullptr;
  uint32_t *ready = nullptr;
  uint32_t numReady = 0, numExited = 0;
  uint32_t current = 0;
  bool isBroken = false;
  /// Fibers that are resumed are to end at once.
  bool isDying = false;
  uint64_t switches = 0;

  Barrier barriers[kNumBarriers];
  /// What those who arrived at each barrier knew.
  uint32_t *barrierClocks[kNumBarriers] = {};
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

/// "barrier 3" or "shfl.sync".
const char *getName(const Wait &wait);

/// What the threads of the block wait for, when none can run.
void reportDeadlock(Emulator &emulator);

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

/// Lets one of the copies of a thread land, or none.
void landSome(Emulator &emulator, Thread &thread);

/// Reports copies that a thread leaves behind.
void checkCopies(Emulator &emulator, const Thread &thread);

} // namespace attn::emulator

#endif // ATTN_RUNTIME_EMULATOR_EMULATOR_H
