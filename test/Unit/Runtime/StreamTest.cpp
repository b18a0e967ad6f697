//===- StreamTest.cpp - streams, events, threads and processes ------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <atomic>
#include <chrono>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#if !defined(__has_feature) // of Clang
#define __has_feature(feature) 0
#endif

using namespace attn::test;

namespace {

constexpr DLDevice kHost = {kDLCPU, 0};

TEST(Streams, TakeTime) {
  attn_stream *stream = nullptr;
  attn_event *from = nullptr, *to = nullptr;
  ASSERT_OK(attn_stream_create(kHost, &stream));
  ASSERT_OK(attn_event_create(kHost, &from));
  ASSERT_OK(attn_event_create(kHost, &to));
  double milliseconds = 0.0;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "an event was never recorded",
               attn_event_elapsed(from, to, &milliseconds));
  ASSERT_OK(attn_event_record(from, stream));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_OK(attn_event_record(to, stream));
  ASSERT_OK(attn_stream_wait(stream, to));
  ASSERT_OK(attn_event_synchronize(to));
  ASSERT_OK(attn_stream_synchronize(stream));
  ASSERT_OK(attn_event_elapsed(from, to, &milliseconds));
  EXPECT_GE(milliseconds, 5.0);
  attn_event_release(from);
  attn_event_release(to);
  attn_stream_release(stream);
  attn_stream_release(nullptr);
  attn_event_release(nullptr);
}

TEST(Streams, SayWhatIsWrong) {
  attn_stream *stream = nullptr;
  attn_event *event = nullptr;
  double milliseconds = 0.0;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the stream is null",
               attn_stream_create(kHost, nullptr));
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "there is no device 0 of type 7, only the host (0 of type 1) "
               "and those of CUDA (type 2) and HIP (10)",
               attn_stream_create({kDLVulkan, 0}, &stream));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "streams of the host cannot be wrapped",
               attn_stream_wrap(kHost, nullptr, &stream));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the event is null",
               attn_event_create(kHost, nullptr));
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "there is no device 1 of type 1, only the host (0 of type 1) "
               "and those of CUDA (type 2) and HIP (10)",
               attn_event_create({kDLCPU, 1}, &event));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the event is null",
               attn_event_record(nullptr, nullptr));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the event is null",
               attn_event_synchronize(nullptr));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the event is null",
               attn_stream_wait(nullptr, nullptr));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the event is null",
               attn_event_elapsed(nullptr, nullptr, &milliseconds));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the time is null",
               attn_event_elapsed(nullptr, nullptr, nullptr));
}

/// Calls of one stream do not meet: all of them write one result.
TEST(Streams, KeepOrderBetweenThreads) {
  Module module = load(getKernels());
  attn_stream *stream = nullptr;
  ASSERT_OK(attn_stream_create(kHost, &stream));
  const attn_function *gather = find(module, "gather");
  auto pool = makeMatrix(5, 8), o = makeMatrix(3, 8);
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      Tensor table(kI32, {3});
      for (int round = 0; round < 50; ++round) {
        failures += call(gather, {pool.get(), &table}, {o.get()}, nullptr,
                         stream) != ATTN_OK;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
  attn_stream_release(stream);
}

/// Calls `scale` on numbers that no other caller has, and checks them.
bool callScale(const attn_function *scale, float factor, int64_t rows) {
  auto x = makeMatrix(rows, 4), y = makeMatrix(rows, 4),
       alpha = makeScalar(factor);
  if (call(scale, {x.get(), alpha.get()}, {y.get()}) != ATTN_OK) {
    return false;
  }
  for (int64_t i = 0; i < 4 * rows; ++i) {
    if (y->get<float>()[i] != factor * static_cast<float>(i)) {
      return false;
    }
  }
  return true;
}

class Threads : public testing::Test {
protected:
  Threads() { attn_set_num_threads(2); }
  ~Threads() override {
    attn_set_num_threads(0);
    attn_set_thread_pool(nullptr);
  }

  Module module = load(getKernels());
  const attn_function *scale = find(module, "scale");
};

/// 64 threads, good and bad calls: each has its own results and its own
/// sentence.
TEST_F(Threads, ManyCallOneModule) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 64; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 20; ++round) {
        failures += !callScale(scale, static_cast<float>(t + round), 1 + t % 7);
        auto wrong = makeMatrix(1, t + 5);
        auto alpha = makeScalar(0.0f);
        failures += call(scale, {wrong.get(), alpha.get()}, {wrong.get()}) !=
                    ATTN_INVALID_ARGUMENT;
        failures += std::string(attn_get_message()) !=
                    "argument 'x' of 'scale' has extent " +
                        std::to_string(t + 5) +
                        " on axis 1, the program asks for 4";
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
}

/// Loading and unloading beside calls.
TEST_F(Threads, ManyLoadModules) {
  Bytes image = makeImage(writeMetadata(getKernels()));
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        attn_module *loaded = nullptr;
        failures += attn_module_load_memory(image.data(), image.size(), "k",
                                            &loaded) != ATTN_OK;
        Module own(loaded);
        failures += !callScale(find(own, "scale"), 3.0f, 5);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
}

/// Threads of the caller in place of ours, in chunks of items.
TEST_F(Threads, ComeFromTheCallersPool) {
  std::atomic<int> loops{0};
  attn_thread_pool pool;
  pool.context = &loops;
  pool.run = [](const attn_thread_pool *pool, attn_tile_fn fn, void *args,
                int64_t count) {
    ++*static_cast<std::atomic<int> *>(pool->context);
    std::thread other([&] { fn(args, 0, count / 2); });
    fn(args, count / 2, count);
    other.join();
  };
  attn_set_thread_pool(&pool);
  EXPECT_TRUE(callScale(scale, 2.0f, 9));
  EXPECT_EQ(loops, 1);
  // What runs out of memory on a foreign thread ends the call as well.
  auto x = makeMatrix(1, 4), bytes = makeScalar(int64_t(1) << 56);
  for (int64_t where : {3, 15}) {
    auto place = makeScalar(where);
    EXPECT_EQ(
        call(find(module, "greedy"), {x.get(), bytes.get(), place.get()}, {}),
        ATTN_OUT_OF_MEMORY);
  }
  attn_set_thread_pool(nullptr);
  EXPECT_TRUE(callScale(scale, 2.0f, 9));
  EXPECT_EQ(loops, 3);
}

/// The result of a child process, or -1 if it did not end in time.
template <typename Body> int runInChild(Body body) {
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The parent's threads do not exist in the child, nor in a child of that.
TEST_F(Threads, ChildrenCallToo) {
  ASSERT_TRUE(callScale(scale, 2.0f, 100));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(runInChild([&] {
                return callScale(scale, 3.0f, 100) &&
                       runInChild(
                           [&] { return callScale(scale, 4.0f, 100); }) == 0;
              }),
              0);
  }
  EXPECT_TRUE(callScale(scale, 5.0f, 100));
}

/// Forks while other threads are in calls.
TEST_F(Threads, ChildrenOfBusyParents) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        callScale(scale, 2.0f, 20);
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(runInChild([&] { return callScale(scale, 3.0f, 100); }), 0);
  }
  stop = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
}

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
/// A call with three tensors of rank 4 and a result, all checks included.
TEST(Overhead, IsBelowTwoMicroseconds) {
  Module module = load(getKernels());
  const attn_function *nothing = find(module, "nothing");
  Tensor q(kF32, {2, 8, 1, 64}), k(kF32, {2, 8, 1, 64}), v(kF32, {2, 8, 1, 64}),
      o(kF32, {2, 8, 1, 64});
  Tensors arguments = {&q, &k, &v}, results = {&o};
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    constexpr int kCalls = 1000;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) {
      attn_function_call(nothing, nullptr, arguments.data(), 3, results.data(),
                         1, nullptr);
    }
    std::chrono::duration<double, std::micro> time =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count() / kCalls);
  }
  RecordProperty("microseconds", std::to_string(best));
  std::printf("a call takes %.3f microseconds\n", best);
  EXPECT_LT(best, 2.0);
}
#endif

} // namespace
