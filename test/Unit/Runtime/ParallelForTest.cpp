//===- ParallelForTest.cpp - the runtime's parallel loop ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn_runtime.h"
#include "gtest/gtest.h"
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

struct Visits {
  explicit Visits(int64_t count) : counts(count) {}
  std::vector<std::atomic<int>> counts;
  std::atomic<int> wrongRanges{0};
  std::mutex mutex;
  std::set<std::thread::id> threads;
};

void visit(void *args, int64_t begin, int64_t end) {
  auto *visits = static_cast<Visits *>(args);
  auto count = static_cast<int64_t>(visits->counts.size());
  if (begin < 0 || begin >= end || end > count) {
    ++visits->wrongRanges;
    return;
  }
  for (int64_t item = begin; item < end; ++item) {
    ++visits->counts[item];
  }
  std::lock_guard<std::mutex> lock(visits->mutex);
  visits->threads.insert(std::this_thread::get_id());
}

class ParallelFor : public testing::Test {
protected:
  void TearDown() override { attn_set_num_threads(0); }
};

TEST_F(ParallelFor, VisitsEveryItemOnce) {
  for (int threads : {1, 2, 7}) {
    attn_set_num_threads(threads);
    for (int64_t count : {1, 2, 3, 100, 1001}) {
      Visits visits(count);
      attn_parallel_for(visit, &visits, count);
      EXPECT_EQ(visits.wrongRanges, 0);
      for (int64_t i = 0; i < count; ++i) {
        EXPECT_EQ(visits.counts[i], 1) << "item " << i << " of " << count;
      }
    }
  }
}

// Items come several at a time, and fewer as the loop ends, so that threads end
// together.
TEST_F(ParallelFor, EndsInSmallRanges) {
  attn_set_num_threads(2);
  struct Longest {
    std::atomic<int64_t> early{0}, late{0};
  } longest;
  attn_parallel_for(
      [](void *args, int64_t begin, int64_t end) {
        auto *longest = static_cast<Longest *>(args);
        auto &length = begin < 80 ? longest->early : longest->late;
        int64_t before = length;
        while (before < end - begin &&
               !length.compare_exchange_weak(before, end - begin)) {
        }
      },
      &longest, 88);
  EXPECT_EQ(longest.early, 4);
  EXPECT_EQ(longest.late, 2);
}

TEST_F(ParallelFor, DoesNothingForNoItems) {
  Visits visits(1);
  attn_parallel_for(visit, &visits, 0);
  attn_parallel_for(visit, &visits, -5);
  EXPECT_EQ(visits.counts[0], 0);
}

TEST_F(ParallelFor, OneThreadIsTheCaller) {
  attn_set_num_threads(1);
  Visits visits(50);
  attn_parallel_for(visit, &visits, 50);
  EXPECT_EQ(visits.threads, std::set{std::this_thread::get_id()});
}

TEST_F(ParallelFor, OneItemRunsOnTheCaller) {
  attn_set_num_threads(4);
  Visits visits(1);
  attn_parallel_for(visit, &visits, 1);
  EXPECT_EQ(visits.threads, std::set{std::this_thread::get_id()});
}

TEST_F(ParallelFor, UsesTheThreadsThatWereAskedFor) {
  attn_set_num_threads(3);
  EXPECT_EQ(attn_get_num_threads(), 3);
  // Every item waits until three are under way: with fewer threads this would
  // not end, so the wait gives up after a while and the test fails.
  std::atomic<int> arrived{0};
  attn_parallel_for(
      [](void *args, int64_t, int64_t) {
        auto *count = static_cast<std::atomic<int> *>(args);
        ++*count;
        for (int k = 0; k < 5000 && *count < 3; ++k) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      },
      &arrived, 3);
  EXPECT_EQ(arrived, 3);
}

TEST_F(ParallelFor, RestoresTheDefault) {
  attn_set_num_threads(0);
  int standard = attn_get_num_threads();
  EXPECT_GE(standard, 1);
  attn_set_num_threads(standard + 1);
  EXPECT_EQ(attn_get_num_threads(), standard + 1);
  attn_set_num_threads(-1);
  EXPECT_EQ(attn_get_num_threads(), standard);
}

TEST_F(ParallelFor, RunsSeriallyInsideItself) {
  attn_set_num_threads(2);
  struct Nest {
    std::atomic<int> foreign{0};
    std::atomic<int> items{0};
  } nest;
  attn_parallel_for(
      [](void *args, int64_t, int64_t) {
        Visits inner(10);
        attn_parallel_for(visit, &inner, 10);
        auto *outer = static_cast<Nest *>(args);
        outer->items += static_cast<int>(inner.counts.size());
        if (inner.threads != std::set{std::this_thread::get_id()}) {
          ++outer->foreign;
        }
      },
      &nest, 8);
  EXPECT_EQ(nest.foreign, 0);
  EXPECT_EQ(nest.items, 80);
}

} // namespace
