//===- ParallelFor.cpp - the runtime's parallel loop ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads live here and not in generated code, so that kernels are plain
// functions `tile_fn(args, begin, end)` and another thread pool can take the
// place of OpenMP without touching the compiler.
//
// A loop runs on the caller's pool if there is one, else on OpenMP. The threads
// of OpenMP do not survive a fork, and what is left of them in the child would
// be waited for without end: there, and in builds without OpenMP, every loop
// starts threads of its own.
//
//===----------------------------------------------------------------------===//

#include "Memory.h"
#include "attn_runtime.h"

#include <algorithm>
#include <pthread.h>
#include <sched.h>
#if defined(_OPENMP)
#include <cstdio>
#include <fcntl.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

using namespace attn;

namespace {
/// 0 stands for the default.
std::atomic<int> requestedThreads{0};
std::atomic<const attn_thread_pool *> threadPool{nullptr};
/// Whether this thread runs items of a loop.
thread_local bool isInLoop = false;

/// Consecutive items share work, such as packed keys, if a thread gets several
/// at once; but every thread should come back often enough to end with the
/// others. Of very many items, which do little each, a thread gets more: asking
/// for work must not take longer than doing it.
constexpr int64_t kMostTogether = 4, kSharesPerThread = 8;
constexpr int64_t kMostShares = 512;

#if defined(_OPENMP)
/// Whether this process is a child of one that may have used OpenMP.
std::atomic<bool> isForked{false};

/// LLVM's OpenMP registers each process in shared memory under its number. One
/// that was killed as it did so leaves an empty object there, and the process
/// that is given its number next would die of SIGBUS as it reads that.
void removeEmptyRegistration() {
  char name[64];
  std::snprintf(name, sizeof(name), "/__KMP_REGISTERED_LIB_%d_%d",
                static_cast<int>(getpid()), static_cast<int>(getuid()));
  int fd = shm_open(name, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) {
    return;
  }
  struct stat status;
  if (fstat(fd, &status) == 0 && status.st_size == 0) {
    shm_unlink(name);
  }
  close(fd);
}

/// To be asked before anything of OpenMP is called, so that a fork during its
/// first steps on another thread is noticed as well.
bool mayUseOpenMP() {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, [] {
    removeEmptyRegistration();
    pthread_atfork(nullptr, nullptr, [] { isForked.store(true); });
  });
  return !isForked.load(std::memory_order_relaxed);
}
#endif

int getNumProcessors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

int getDefaultThreads() {
#if defined(_OPENMP)
  if (mayUseOpenMP()) {
    return omp_get_max_threads();
  }
#endif
  return getNumProcessors();
}

/// A loop of a call of a function: items run in frames of their own, so that
/// one that runs out of memory ends the call and not the process.
struct Loop {
  attn_tile_fn fn;
  void *args;
  /// Of the call; null outside of calls.
  std::atomic<size_t> *missingBytes;
  /// Of the call, or null.
  ThreadWorkspaces *workspaces;
  std::atomic<bool> failed{false};
  int64_t count = 0;
  /// Items that a thread gets at once, and as the loop ends.
  int64_t chunk = 1, lastChunk = 1;
  /// Where the end begins: a chunk for every thread, in parts.
  int64_t lastBegin = 0;
  /// Of threads that the loop starts.
  std::atomic<int64_t> next{0};
};

/// The number of chunks, and the range of one of them.
int64_t countChunks(const Loop &loop) {
  return loop.lastBegin / loop.chunk +
         (loop.count - loop.lastBegin + loop.lastChunk - 1) / loop.lastChunk;
}

std::pair<int64_t, int64_t> getChunk(const Loop &loop, int64_t k) {
  int64_t before = loop.lastBegin / loop.chunk;
  if (k < before) {
    return {k * loop.chunk, (k + 1) * loop.chunk};
  }
  int64_t begin = loop.lastBegin + (k - before) * loop.lastChunk;
  return {begin, std::min(loop.count, begin + loop.lastChunk)};
}

struct Items {
  Loop *loop;
  int64_t begin, end;
};

/// The body that threads run in place of that of the program.
void runItems(void *args, int64_t begin, int64_t end) {
  auto *loop = static_cast<Loop *>(args);
  bool outer = isInLoop;
  isInLoop = true;
  if (!loop->missingBytes) {
    loop->fn(loop->args, begin, end);
  } else if (!loop->failed.load(std::memory_order_relaxed)) {
    Frame frame;
    frame.missingBytes = loop->missingBytes;
    if (loop->workspaces) {
      frame.workspace = loop->workspaces->acquire();
    }
    Workspace workspace = frame.workspace;
    Items items = {loop, begin, end};
    if (!runInFrame(
            frame,
            [](void *args) {
              auto *items = static_cast<Items *>(args);
              items->loop->fn(items->loop->args, items->begin, items->end);
            },
            &items)) {
      loop->failed.store(true, std::memory_order_relaxed);
    }
    releaseBlocks(frame);
    if (loop->workspaces) {
      loop->workspaces->release(workspace);
    }
  }
  isInLoop = outer;
}

/// On this thread and in the frame that it is in, but for the workspace.
void runSerially(const Loop &loop, int64_t count) {
  if (!loop.workspaces) {
    return loop.fn(loop.args, 0, count);
  }
  Frame &frame = *getCurrentFrame();
  Workspace outer = frame.workspace, inner = loop.workspaces->acquire();
  frame.workspace = inner;
  // A loop in this one is on the same stack.
  frame.threads = nullptr;
  loop.fn(loop.args, 0, count);
  frame.threads = loop.workspaces;
  frame.workspace = outer;
  loop.workspaces->release(inner);
}

/// Whether the caller has threads at work on this already.
bool isInParallel() {
#if defined(_OPENMP)
  if (mayUseOpenMP() && omp_in_parallel()) {
    return true;
  }
#endif
  return isInLoop;
}

/// Takes items until there are none.
void *runWorker(void *args) {
  auto *loop = static_cast<Loop *>(args);
  int64_t chunks = countChunks(*loop);
  while (true) {
    int64_t k = loop->next.fetch_add(1, std::memory_order_relaxed);
    if (k >= chunks) {
      return nullptr;
    }
    auto [begin, end] = getChunk(*loop, k);
    runItems(loop, begin, end);
  }
}

/// Threads that cannot be had are done without: this thread takes what is left.
void runOnNewThreads(Loop &loop, int numThreads) {
  constexpr int kMaxThreads = 256;
  pthread_t threads[kMaxThreads];
  int started = 0;
  while (started < numThreads - 1 && started < kMaxThreads &&
         pthread_create(&threads[started], nullptr, runWorker, &loop) == 0) {
    ++started;
  }
  runWorker(&loop);
  for (int i = 0; i < started; ++i) {
    pthread_join(threads[i], nullptr);
  }
}

#if defined(_OPENMP)
void runOnOpenMP(Loop &loop, int numThreads) {
  int64_t chunks = countChunks(loop);
#pragma omp parallel for schedule(dynamic, 1) num_threads(numThreads)
  for (int64_t k = 0; k < chunks; ++k) {
    auto [begin, end] = getChunk(loop, k);
    runItems(&loop, begin, end);
  }
}
#endif

void runLoop(Loop &loop, int64_t count) {
  if (count == 1 || isInParallel()) {
    return runSerially(loop, count);
  }
  if (const attn_thread_pool *pool =
          threadPool.load(std::memory_order_acquire)) {
    return pool->run(pool, runItems, &loop, count);
  }
  int numThreads = attn_get_num_threads();
  if (numThreads <= 1) {
    return runSerially(loop, count);
  }
  numThreads = count < numThreads ? static_cast<int>(count) : numThreads;
  loop.count = count;
  loop.chunk = std::clamp<int64_t>(
      count / (int64_t{numThreads} * kSharesPerThread), 1, kMostTogether);
  loop.chunk =
      std::max(loop.chunk, count / (int64_t{numThreads} * kMostShares));
  // Threads end together if the last chunks are small.
  loop.lastChunk = std::max<int64_t>(1, loop.chunk / 2);
  int64_t last = numThreads * loop.chunk;
  loop.lastBegin = std::max<int64_t>(0, count - last) / loop.chunk * loop.chunk;
#if defined(_OPENMP)
  if (mayUseOpenMP()) {
    return runOnOpenMP(loop, numThreads);
  }
#endif
  runOnNewThreads(loop, numThreads);
}

} // namespace

void attn_set_num_threads(int num_threads) {
  requestedThreads.store(num_threads > 0 ? num_threads : 0,
                         std::memory_order_relaxed);
}

int attn_get_num_threads(void) {
  int requested = requestedThreads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : getDefaultThreads();
}

void attn_set_thread_pool(const attn_thread_pool *pool) {
  threadPool.store(pool, std::memory_order_release);
}

void attn_parallel_for(attn_tile_fn fn, void *args, int64_t count) {
  if (count <= 0) {
    return;
  }
  Frame *frame = getCurrentFrame();
  Loop loop;
  loop.fn = fn;
  loop.args = args;
  loop.missingBytes = frame ? frame->missingBytes : nullptr;
  loop.workspaces = frame ? frame->threads : nullptr;
  runLoop(loop, count);
  if (frame && loop.failed.load(std::memory_order_relaxed)) {
    leaveFrame(*frame);
  }
}
