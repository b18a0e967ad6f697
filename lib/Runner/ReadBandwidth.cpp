//===- ReadBandwidth.cpp - what this machine reads from memory ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every thread adds up its part of a buffer that no cache holds. The pages that
// come next are touched several at a time: one by one, the walks through the
// page tables would cost a fifth of the bandwidth.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Benchmark.h"

#include "attn_runtime.h"
#include <atomic>
#include <chrono>

using namespace mlir::attn;

namespace {

constexpr int64_t kBytes = int64_t{256} << 20;
/// Parts are as long as a page run that hardware prefetchers follow well.
constexpr int64_t kPartWords = int64_t{1} << 17;
constexpr int64_t kPageWords = 4096 / sizeof(uint64_t), kPagesTogether = 8;

struct Call {
  const uint64_t *words;
  std::atomic<uint64_t> sum{0};
};

void addPart(void *args, int64_t begin, int64_t end) {
  auto *call = static_cast<Call *>(args);
  constexpr int64_t kSums = 32;
  uint64_t sums[kSums] = {};
  const uint64_t *words = call->words + begin * kPartWords;
  const uint64_t *last = call->words + end * kPartWords;
  while (words != last) {
    for (int64_t page = 1; page <= kPagesTogether; ++page) {
      __builtin_prefetch(words + page * kPageWords, /*rw=*/0, /*locality=*/2);
    }
    const uint64_t *end = words + kPagesTogether * kPageWords;
    for (; words != end; words += kSums) {
      for (int64_t k = 0; k < kSums; ++k) {
        sums[k] += words[k];
      }
    }
  }
  uint64_t sum = 0;
  for (uint64_t part : sums) {
    sum += part;
  }
  call->sum.fetch_add(sum, std::memory_order_relaxed);
}

} // namespace

ReadBandwidth::ReadBandwidth() : words(kBytes / sizeof(uint64_t), 1) {}

double ReadBandwidth::measure() {
  Call call{words.data()};
  auto start = std::chrono::steady_clock::now();
  attn_parallel_for(addPart, &call,
                    static_cast<int64_t>(words.size()) / kPartWords);
  auto end = std::chrono::steady_clock::now();
  // The sum is read, so that nobody leaves the reading out.
  double right = call.sum == words.size() ? 1.0 : 0.0;
  return right * static_cast<double>(kBytes) /
         std::chrono::duration<double>(end - start).count() * 1e-9;
}
