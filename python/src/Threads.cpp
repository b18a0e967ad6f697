//===- Threads.cpp - one set of threads beside other libraries ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads of OpenMP wait for their next loop by spinning. PyTorch brings GNU's
// OpenMP, the runtime uses LLVM's: called in turn, as the layers of a model do,
// each would take a processor away from the other. So loops run on the threads
// that are there, through the entry point that GNU's compilers call.
//
//===----------------------------------------------------------------------===//

#include "Threads.h"
#include "attn_runtime.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

namespace {

/// `#pragma omp parallel`: body(data) on so many threads; 0 threads: as the
/// library sees fit.
using GompParallel = void (*)(void (*body)(void *), void *data,
                              unsigned numThreads, unsigned flags);

struct Job {
  attn_tile_fn fn;
  void *args;
  int64_t count, chunk;
  std::atomic<int64_t> next{0};
};

void work(void *data) {
  auto *job = static_cast<Job *>(data);
  while (true) {
    int64_t item = job->next.fetch_add(job->chunk, std::memory_order_relaxed);
    if (item >= job->count) {
      return;
    }
    job->fn(job->args, item, std::min(job->count, item + job->chunk));
  }
}

void run(const attn_thread_pool *pool, attn_tile_fn fn, void *args,
         int64_t count) {
  int64_t numThreads = std::min<int64_t>(count, attn_get_num_threads());
  if (numThreads <= 1) {
    return fn(args, 0, count);
  }
  // As the runtime's own loop: neighbours share work, threads end together, and
  // asking for items takes less time than doing them.
  Job job = {fn, args, count, 1, {}};
  job.chunk = std::clamp<int64_t>(count / (numThreads * 8), 1, 4);
  job.chunk = std::max(job.chunk, count / (numThreads * 512));
  reinterpret_cast<GompParallel>(pool->context)(
      work, &job, static_cast<unsigned>(numThreads), 0);
}

/// GOMP_parallel of a loaded libgomp, whatever its file is called. LLVM's
/// library has a function of that name as well, which is not meant.
void *findGomp() {
  void *found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *data) {
        const char *slash = strrchr(info->dlpi_name, '/');
        const char *name = slash ? slash + 1 : info->dlpi_name;
        if (strncmp(name, "libgomp", 7) != 0) {
          return 0;
        }
        // Not closed: the pool is in use as long as the process lives.
        void *library = dlopen(info->dlpi_name, RTLD_NOLOAD | RTLD_LAZY);
        void *symbol = library ? dlsym(library, "GOMP_parallel") : nullptr;
        *static_cast<void **>(data) = symbol;
        return symbol ? 1 : 0;
      },
      &found);
  return found;
}

} // namespace

bool attn_python::shareThreads() {
  static const bool isShared = [] {
    static attn_thread_pool pool = {run, findGomp()};
    if (!pool.context) {
      return false;
    }
    // The threads do not exist in a child; the runtime's own loop knows that.
    pthread_atfork(nullptr, nullptr, [] { attn_set_thread_pool(nullptr); });
    attn_set_thread_pool(&pool);
    return true;
  }();
  return isShared;
}
