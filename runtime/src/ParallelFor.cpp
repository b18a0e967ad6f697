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

#include <atomic>
#include <omp.h>

namespace {
/// 0 stands for the default of OpenMP.
std::atomic<int> requestedThreads{0};
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
    for (int64_t item = 0; item < count; ++item) {
      fn(args, item, item + 1);
    }
    return;
  }
  if (count < threads) {
    threads = static_cast<int>(count);
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t item = 0; item < count; ++item) {
    fn(args, item, item + 1);
  }
}

} // extern "C"
