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
//===----------------------------------------------------------------------===//

#include "attn_runtime.h"

#include <algorithm>
#include <atomic>
#include <omp.h>

namespace {
/// 0 stands for the default of OpenMP.
std::atomic<int> requestedThreads{0};

/// Consecutive items share work, such as packed keys, if a thread gets several
/// at once; but every thread should come back often enough to end with the
/// others.
constexpr int64_t kMostTogether = 4, kSharesPerThread = 8;
} // namespace

extern "C" {

void attn_set_num_threads(int num_threads) {
  requestedThreads.store(num_threads > 0 ? num_threads : 0,
                         std::memory_order_relaxed);
}

int attn_get_num_threads(void) {
  int requested = requestedThreads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : omp_get_max_threads();
}

void attn_parallel_for(attn_tile_fn fn, void *args, int64_t count) {
  if (count <= 0) {
    return;
  }
  int threads = attn_get_num_threads();
  if (count == 1 || threads <= 1 || omp_in_parallel() != 0) {
    fn(args, 0, count);
    return;
  }
  if (count < threads) {
    threads = static_cast<int>(count);
  }
  int64_t share = count / (int64_t{threads} * kSharesPerThread);
  int64_t chunk = std::clamp<int64_t>(share, 1, kMostTogether);
  int64_t chunks = (count + chunk - 1) / chunk;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t k = 0; k < chunks; ++k) {
    fn(args, k * chunk, std::min(count, (k + 1) * chunk));
  }
}

} // extern "C"
