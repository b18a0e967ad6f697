//===- EmulatorTest.cpp - the emulated GPU below its compiler -------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels in C++ call the emulator as compiled ones do, so that it runs with
// sanitizers.
//
//===----------------------------------------------------------------------===//

#include "attn_emulator.h"
#include "gtest/gtest.h"
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int32_t kAll = -1, kNoReduction = ATTN_EMULATOR_REDUCE_NONE;

/// Place `line` of these is "k.cpp:<line>".
constexpr const char *kSites = "\nk.cpp:1\nk.cpp:2\nk.cpp:3\n";

using Entry = void (*)(void *const *arguments);

struct Launch {
  int64_t threads = 64, blocks = 1, sharedBytes = 0;
  /// The argument of the kernel: this many floats.
  std::vector<float> values = std::vector<float>(64);
  /// Where they begin, and how far they lie from each other.
  int64_t offset = 0, stride = 1;
  /// In a cluster.
  int64_t clusterBlocks = 1;
  bool hasBuffer = true;

  /// What is reported, or "".
  std::string run(Entry entry) {
    float *data = values.data();
    auto size = static_cast<int64_t>(values.size());
    void *arguments[] = {&data, &offset, &size, &stride};
    attn_emulator_kernel kernel = {
        "k", entry, kSites, 0, 0, 0, {clusterBlocks, 1, 1}};
    attn_emulator_sizes sizes = {
        {blocks, 1, 1}, {threads, 1, 1}, 0, sharedBytes};
    attn_emulator_buffer buffer = {"argument 0", 0, 1, sizeof(float)};
    int32_t failed = attn_emulator_launch(&kernel, &sizes, arguments, &buffer,
                                          hasBuffer ? 1 : 0);
    const char *error = attn_emulator_take_error();
    EXPECT_EQ(failed != 0, error != nullptr);
    return error ? error : "";
  }
};

int32_t getThread() { return attn_emulator_register(ATTN_EMULATOR_THREAD_X); }
float *getValues(void *const *arguments) {
  return *static_cast<float *const *>(arguments[0]);
}
char *getShared(int64_t byte) {
  return reinterpret_cast<char *>(ATTN_EMULATOR_SHARED_BASE + byte);
}
template <typename T> T *place(int64_t index, int32_t kind) {
  return static_cast<T *>(attn_emulator_access_shared(
      getShared(index * static_cast<int64_t>(sizeof(T))), sizeof(T), kind,
      alignof(T), 1));
}
void meet() { attn_emulator_barrier(0, kAll, kNoReduction, 0, 2); }

TEST(Emulator, ThreadsExchangeValues) {
  Launch launch;
  launch.blocks = 3;
  launch.sharedBytes = 64 * 4;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    attn_emulator_set_seed(seed);
    EXPECT_EQ(launch.run([](void *const *arguments) {
      int32_t thread = getThread();
      *place<float>(thread, ATTN_EMULATOR_WRITE) = static_cast<float>(thread);
      meet();
      auto *value = static_cast<float *>(attn_emulator_access(
          getValues(arguments) + thread, 4, ATTN_EMULATOR_WRITE, 4, 1));
      *value = *place<float>(63 - thread, ATTN_EMULATOR_READ);
    }),
              "");
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(launch.values[i], 63 - i);
    }
  }
}

TEST(Emulator, BarriersReduce) {
  Launch launch;
  EXPECT_EQ(launch.run([](void *const *arguments) {
    int32_t thread = getThread();
    int32_t count = attn_emulator_barrier(0, kAll, ATTN_EMULATOR_REDUCE_COUNT,
                                          thread < 10, 1);
    int32_t all = attn_emulator_barrier(0, kAll, ATTN_EMULATOR_REDUCE_AND,
                                        thread < 10, 2);
    int32_t any =
        attn_emulator_barrier(0, kAll, ATTN_EMULATOR_REDUCE_OR, thread < 10, 3);
    getValues(arguments)[thread] =
        static_cast<float>(count * 100 + all * 10 + any);
  }),
            "");
  for (float value : launch.values) {
    EXPECT_EQ(value, 1001.0f);
  }
}

/// Against the definition in the PTX ISA, for every kind and segment width.
TEST(Emulator, Shuffles) {
  static int32_t kind, offset, clamp;
  static int64_t results[32];
  Launch launch;
  launch.threads = 32;
  for (kind = 0; kind < 4; ++kind) {
    for (int32_t width : {32, 16, 8}) {
      for (offset = 0; offset < 32; ++offset) {
        clamp = (kind == 1 ? 0 : 31) | (32 - width) << 8;
        ASSERT_EQ(launch.run([](void *const *) {
          int32_t lane = attn_emulator_register(ATTN_EMULATOR_LANE);
          results[lane] =
              attn_emulator_shuffle(kind, -1, 100 + lane, offset, clamp, 1);
        }),
                  "");
        for (int32_t lane = 0; lane < 32; ++lane) {
          int32_t first = lane / width * width, last = first + width - 1;
          int32_t source = kind == 0   ? lane ^ offset
                           : kind == 1 ? lane - offset
                           : kind == 2 ? lane + offset
                                       : first + offset % width;
          bool isInside = kind == 1 ? source >= first : source <= last;
          ASSERT_EQ(results[lane] >> 32, isInside) << kind << " " << lane;
          ASSERT_EQ(static_cast<int32_t>(results[lane]),
                    100 + (isInside ? source : lane));
        }
      }
    }
  }
}

TEST(Emulator, VotesAndReductions) {
  static int32_t results[11], ballot, any, all, uniform;
  static int32_t elected[32];
  Launch launch;
  launch.threads = 32;
  EXPECT_EQ(launch.run([](void *const *) {
    int32_t lane = getThread();
    any = attn_emulator_vote(0, -1, lane == 3, 1);
    all = attn_emulator_vote(1, -1, lane != 3, 1);
    ballot = attn_emulator_vote(2, -1, lane < 4, 1);
    uniform = attn_emulator_vote(3, -1, lane >= 0, 1);
    elected[lane] = attn_emulator_elect(-1, 1);
    for (int32_t kind = 1; kind < 9; ++kind) {
      results[kind] = attn_emulator_redux(kind, 0, -1, lane - 16, 1);
    }
    float value = static_cast<float>(lane) - 20.0f;
    int32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    results[9] = attn_emulator_redux(9, 0, -1, bits, 1);
    results[10] = attn_emulator_redux(10, ATTN_EMULATOR_REDUX_ABS, -1, bits, 1);
  }),
            "");
  EXPECT_EQ(any, 1);
  EXPECT_EQ(all, 0);
  EXPECT_EQ(ballot, 15);
  EXPECT_EQ(uniform, 1);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(elected[lane], lane == 0);
  }
  int32_t wanted[] = {0, -16, 0, 15, -16, -1, -1, 0, -16 ^ 0};
  wanted[2] = -1;
  wanted[5] = 0;
  wanted[8] = 0;
  for (int32_t lane = 0; lane < 32; ++lane) {
    wanted[2] &= lane - 16;
    wanted[5] |= lane - 16;
    wanted[8] ^= lane - 16;
  }
  for (int kind = 1; kind < 9; ++kind) {
    EXPECT_EQ(results[kind], wanted[kind]) << kind;
  }
  float least, most;
  std::memcpy(&least, &results[9], sizeof(least));
  std::memcpy(&most, &results[10], sizeof(most));
  EXPECT_EQ(least, -20.0f);
  EXPECT_EQ(most, 20.0f);
}

/// What a thread copies is zeros behind the bytes that there are.
TEST(Emulator, CopiesFillWithZeros) {
  Launch launch;
  launch.threads = 1;
  launch.sharedBytes = 16;
  launch.values.assign(64, 1.0f);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    attn_emulator_set_seed(seed);
    EXPECT_EQ(launch.run([](void *const *arguments) {
      attn_emulator_copy_async(getShared(0), getValues(arguments), 16, 8, 1);
      attn_emulator_copy_commit();
      attn_emulator_copy_wait(0);
      for (int i = 0; i < 4; ++i) {
        getValues(arguments)[8 + i] = *place<float>(i, ATTN_EMULATOR_READ);
      }
    }),
              "");
    EXPECT_EQ(std::vector<float>(launch.values.begin() + 8,
                                 launch.values.begin() + 12),
              (std::vector<float>{1, 1, 0, 0}));
  }
}

TEST(Emulator, StmatrixUndoesLdmatrix) {
  for (int32_t transposed : {0, 1}) {
    static int32_t isTransposed;
    isTransposed = transposed;
    Launch launch;
    launch.threads = 32;
    launch.sharedBytes = 2 * 4 * 128;
    launch.values.assign(2 * 4 * 32, 0);
    EXPECT_EQ(launch.run([](void *const *arguments) {
      int32_t lane = getThread();
      for (int32_t i = 0; i < 8; ++i) {
        *place<uint16_t>(lane * 8 + i, ATTN_EMULATOR_WRITE) =
            static_cast<uint16_t>(lane * 8 + i);
      }
      attn_emulator_warp_barrier(-1, 1);
      uint32_t words[4];
      attn_emulator_ldmatrix(getShared(16 * lane), 4, isTransposed, words, 2);
      attn_emulator_stmatrix(getShared(512 + 16 * lane), 4, isTransposed, words,
                             3);
      attn_emulator_warp_barrier(-1, 1);
      for (int32_t i = 0; i < 8; ++i) {
        getValues(arguments)[lane * 8 + i] =
            *place<uint16_t>(256 + lane * 8 + i, ATTN_EMULATOR_READ);
      }
    }),
              "");
    for (int i = 0; i < 256; ++i) {
      EXPECT_EQ(launch.values[i], i);
    }
  }
}

TEST(Emulator, PermutesBytes) {
  auto permute = [](int32_t mode, uint32_t selector) {
    return attn_emulator_permute(mode, 0x83828180, 0x07060504, selector);
  };
  EXPECT_EQ(permute(0, 0x7410), 0x07048180u);
  EXPECT_EQ(permute(0, 0x000b), 0x808080ffu);
  EXPECT_EQ(permute(1, 1), 0x04838281u);
  EXPECT_EQ(permute(2, 1), 0x06078081u);
  EXPECT_EQ(permute(3, 2), 0x82828282u);
  EXPECT_EQ(permute(4, 2), 0x83828282u);
  EXPECT_EQ(permute(5, 2), 0x82828180u);
  EXPECT_EQ(permute(6, 1), 0x83828382u);
}

TEST(Emulator, RoundsToTF32) {
  EXPECT_EQ(attn_emulator_round_tf32(1.0f, 1), 0x3f800000u);
  // Halfway between two.
  float tie;
  uint32_t bits = 0x3f801000;
  std::memcpy(&tie, &bits, sizeof(tie));
  EXPECT_EQ(attn_emulator_round_tf32(tie, 1), 0x3f800000u);
  EXPECT_EQ(attn_emulator_round_tf32(tie, 0), 0x3f802000u);
  EXPECT_EQ(attn_emulator_round_tf32(__builtin_inff(), 0), 0x7f800000u);
  EXPECT_EQ(attn_emulator_round_tf32(__builtin_nanf(""), 0), 0x7fffffffu);
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

/// Fibers that are given up do not keep anything.
TEST(Emulator, ReportsEndTheLaunch) {
  Launch launch;
  launch.sharedBytes = 4;
  static int ran;
  ran = 0;
  Entry entry = [](void *const *) {
    char large[4096];
    std::memset(large, ++ran, sizeof(large));
    if (getThread() == 5) {
      place<int32_t>(1, ATTN_EMULATOR_READ);
    }
    meet();
    EXPECT_EQ(large[100], large[4095]);
  };
  attn_emulator_set_seed(1);
  EXPECT_EQ(launch.run(entry),
            "thread 5 of block (0, 0, 0) of kernel 'k' reads 4 bytes at byte 4 "
            "of shared memory (k.cpp:1), which has 4 bytes");
  EXPECT_LE(ran, 64);
}

TEST(Emulator, LaunchesWaitUntilTheErrorIsTaken) {
  attn_emulator_kernel kernel = {"k", [](void *const *) {}, kSites};
  attn_emulator_sizes good = {{1, 1, 1}, {1, 1, 1}, 0, 0};
  attn_emulator_sizes bad = {{1, 1, 1}, {1025, 1, 1}, 0, 0};
  EXPECT_NE(attn_emulator_launch(&kernel, &bad, nullptr, nullptr, 0), 0);
  EXPECT_NE(attn_emulator_launch(&kernel, &good, nullptr, nullptr, 0), 0);
  EXPECT_STREQ(attn_emulator_take_error(),
               "kernel 'k' is launched with blocks of 1025 x 1 x 1 threads; "
               "allowed are 1 to 1024 in all, and 64 in z");
  EXPECT_EQ(attn_emulator_launch(&kernel, &good, nullptr, nullptr, 0), 0);
  EXPECT_EQ(attn_emulator_take_error(), nullptr);
}

TEST(Emulator, ChecksSizes) {
  Launch launch;
  launch.blocks = 0;
  EXPECT_EQ(launch.run([](void *const *) {}),
            "kernel 'k' is launched with a grid of 0 x 1 x 1 blocks; allowed "
            "are 1 to 2147483647, and 1 to 65535 in y and z");
  launch = Launch();
  launch.sharedBytes = 300000;
  EXPECT_EQ(launch.run([](void *const *) {}),
            "kernel 'k' asks for 0 + 300000 bytes of shared memory; the "
            "largest that a card has are 232448");
}

TEST(Emulator, ChecksStridesOfBuffers) {
  Entry entry = [](void *const *arguments) {
    attn_emulator_access(getValues(arguments) + getThread() - 63, 4,
                         ATTN_EMULATOR_READ, 4, 3);
  };
  // Backwards from the last element.
  std::vector<float> memory(64);
  struct Backwards : Launch {
    std::string runFrom(float *data, Entry entry) {
      int64_t size = 64;
      void *arguments[] = {&data, &offset, &size, &stride};
      attn_emulator_kernel kernel = {"k", entry, kSites};
      attn_emulator_sizes sizes = {{1, 1, 1}, {64, 1, 1}, 0, 0};
      attn_emulator_buffer buffer = {"argument 0", 0, 1, sizeof(float)};
      attn_emulator_launch(&kernel, &sizes, arguments, &buffer, 1);
      const char *error = attn_emulator_take_error();
      return error ? error : "";
    }
  } launch;
  launch.stride = -1;
  EXPECT_EQ(launch.runFrom(memory.data() + 63, entry), "");
  launch.stride = 1;
  EXPECT_NE(launch.runFrom(memory.data() + 63, entry).find("of argument 0"),
            std::string::npos);
}

TEST(Emulator, ReportsMemoryWithoutABuffer) {
  Launch launch;
  launch.threads = 1;
  launch.hasBuffer = false;
  EXPECT_EQ(launch.run([](void *const *arguments) {
    attn_emulator_access(getValues(arguments), 4, ATTN_EMULATOR_WRITE, 4, 1);
  }),
            "thread 0 of block (0, 0, 0) of kernel 'k' writes 4 bytes of "
            "global memory (k.cpp:1); it has no buffer");
}

TEST(Emulator, LetsThreadsUseTheirOwnMemory) {
  Launch launch;
  EXPECT_EQ(launch.run([](void *const *) {
    // Sanitizers move variables elsewhere.
    void *mine = static_cast<char *>(__builtin_frame_address(0)) - 64;
    EXPECT_EQ(attn_emulator_access(mine, 4, ATTN_EMULATOR_WRITE, 4, 1), mine);
  }),
            "");
}

TEST(Emulator, ReportsBarriersOfTwoSizes) {
  Launch launch;
  std::string report = launch.run([](void *const *) {
    int32_t warp = attn_emulator_register(ATTN_EMULATOR_WARP);
    attn_emulator_barrier(1, warp ? 64 : 32, kNoReduction, 0, warp ? 1 : 2);
    attn_emulator_barrier(1, 64, kNoReduction, 0, 1);
  });
  EXPECT_NE(report.find("threads, and others (k.cpp:"), std::string::npos)
      << report;
}

/// Lanes that wait for each other in a circle.
TEST(Emulator, ReportsDeadlocksOfLanes) {
  Launch launch;
  launch.threads = 3;
  std::string report = launch.run([](void *const *) {
    int32_t lane = getThread();
    attn_emulator_warp_barrier(1 << lane | 1 << (lane + 1) % 3, 1);
  });
  EXPECT_NE(report.find("kernel 'k' is in a deadlock: thread 0 of block (0, 0, "
                        "0) waits at bar.warp.sync (k.cpp:1) for 1 more "
                        "threads; thread 1 waits at bar.warp.sync (k.cpp:1)"),
            std::string::npos)
      << report;
}

TEST(Emulator, WaitsForAtomicOperationsOfOthers) {
  Launch launch;
  launch.sharedBytes = 4;
  constexpr int32_t kChange =
      ATTN_EMULATOR_READ | ATTN_EMULATOR_WRITE | ATTN_EMULATOR_ATOMIC;
  EXPECT_EQ(launch.run([](void *const *) {
    int32_t thread = getThread();
    if (thread == 0) {
      *place<int32_t>(0, ATTN_EMULATOR_WRITE) = 0;
    }
    meet();
    // In turn.
    while (*place<int32_t>(0, kChange) != thread) {
    }
    ++*place<int32_t>(0, kChange);
  }),
            "");
}

/// Copies arrive at an mbarrier after every thread has left but one.
TEST(Emulator, MBarriersFollowCopies) {
  Launch launch;
  launch.sharedBytes = 1024;
  for (size_t i = 0; i < launch.values.size(); ++i) {
    launch.values[i] = static_cast<float>(i);
  }
  EXPECT_EQ(launch.run([](void *const *arguments) {
    int32_t i = getThread();
    if (i == 0) {
      attn_emulator_mbarrier_init(getShared(512), 64, 1);
    }
    meet();
    attn_emulator_copy_async(getShared(4 * int64_t{i}),
                             getValues(arguments) + i, 4, 4, 1);
    attn_emulator_copy_arrive(getShared(512), 1, 2);
    if (i == 0) {
      attn_emulator_mbarrier_wait(getShared(512), 0, ATTN_EMULATOR_WAIT_PARITY,
                                  3);
      float sum = 0;
      for (int64_t k = 0; k < 64; ++k) {
        sum += *place<float>(k, ATTN_EMULATOR_READ);
      }
      getValues(arguments)[0] = sum;
    }
  }),
            "");
  EXPECT_EQ(launch.values[0], 2016.0f);
}

/// A box comes from a tensor, and half of it goes back to another place.
TEST(Emulator, BoxesComeAndGo) {
  constexpr size_t kFloats = 64, kMapFloats = 2 * 32;
  Launch launch;
  launch.sharedBytes = 1024;
  std::vector<float> &values = launch.values;
  // The maps lie behind the tensor, at a multiple of 64 bytes.
  values.resize(kFloats + 16 + kMapFloats);
  auto begin = reinterpret_cast<uintptr_t>(values.data() + kFloats);
  size_t skip = (64 - begin % 64) % 64 / sizeof(float);
  static size_t firstMap;
  firstMap = kFloats + skip;
  for (size_t i = 0; i < kFloats; ++i) {
    values[i] = static_cast<float>(i);
  }
  attn_emulator_tensor tensor = {};
  tensor.type = ATTN_EMULATOR_F32;
  tensor.rank = 2;
  tensor.data = values.data();
  tensor.sizes[0] = tensor.sizes[1] = tensor.box[0] = 8;
  tensor.strides[1] = 32;
  tensor.element_strides[0] = tensor.element_strides[1] = 1;
  tensor.swizzle = 32;
  for (int32_t map = 0; map < 2; ++map) {
    tensor.box[1] = map ? 2 : 4;
    alignas(64) attn_emulator_tensor_map encoded;
    ASSERT_EQ(attn_emulator_encode_tensor_map(&encoded, &tensor), nullptr);
    std::memcpy(&values[firstMap + size_t{32} * map], &encoded,
                sizeof(encoded));
  }
  EXPECT_EQ(launch.run([](void *const *arguments) {
    const float *maps = getValues(arguments) + firstMap;
    if (getThread() != 0) {
      return;
    }
    char *barrier = getShared(512);
    attn_emulator_mbarrier_init(barrier, 1, 1);
    attn_emulator_fence_mbarrier_init();
    attn_emulator_mbarrier_arrive(barrier, 1, 128, 0, 1);
    const int32_t from[2] = {0, 2}, to[2] = {0, 7};
    attn_emulator_tensor_load(getShared(0), maps, barrier, from, 2, 0, 1);
    attn_emulator_mbarrier_wait(barrier, 0, ATTN_EMULATOR_WAIT_PARITY, 1);
    attn_emulator_fence_async();
    // The second row is outside.
    attn_emulator_tensor_store(maps + 32, getShared(0), to, 2,
                               ATTN_EMULATOR_TENSOR_ADD, 1);
    attn_emulator_bulk_commit();
    attn_emulator_bulk_wait(0, 1);
  }),
            "");
  for (size_t i = 0; i < kFloats; ++i) {
    auto wanted = static_cast<float>(i < 56 ? i : i + i - 40);
    EXPECT_EQ(values[i], wanted) << i;
  }
}

/// What each block has is 16 times what the other has put there.
TEST(Emulator, MultipliesInBlocksOfACluster) {
  Launch launch;
  launch.threads = 128;
  launch.blocks = launch.clusterBlocks = 2;
  launch.sharedBytes = 64 * 32 + 8 * 32;
  launch.values.resize(2 * 128 * 4);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    attn_emulator_set_seed(seed);
    EXPECT_EQ(launch.run([](void *const *arguments) {
      int32_t thread = getThread();
      int32_t rank = attn_emulator_register(ATTN_EMULATOR_CLUSTER_RANK);
      attn_emulator_cluster_arrive(1, 1, 1);
      attn_emulator_cluster_wait(1, 1);
      // 1.0 or 2.0 as bf16: A, and half of the threads B.
      uint32_t pair = rank ? 0x40004000 : 0x3f803f80;
      for (int32_t i = thread; i < (64 + 8) * 8; i += 128) {
        void *to = attn_emulator_map_shared(getShared(4 * i), 1 - rank, 1);
        *static_cast<uint32_t *>(attn_emulator_access_shared(
            to, 4, ATTN_EMULATOR_WRITE, 4, 1)) = pair;
      }
      attn_emulator_fence_async();
      attn_emulator_cluster_arrive(0, 1, 2);
      attn_emulator_cluster_wait(0, 2);
      attn_emulator_wgmma_form form = {};
      form.columns = 8;
      form.depth = 16;
      form.type_a = form.type_b = ATTN_EMULATOR_BF16;
      for (int32_t &name : form.names) {
        name = -1;
      }
      // Rows of 16 bytes; 128 bytes from core to core, and behind A to B.
      constexpr int64_t kStrides = int64_t{16} << 32 | int64_t{8} << 16;
      int64_t a = kStrides + ATTN_EMULATOR_SHARED_BASE / 16, b = a + 128;
      uint32_t sums[4] = {};
      attn_emulator_wgmma_fence(3);
      for (int turn = 0; turn < 3; ++turn) {
        attn_emulator_wgmma(&form, a, b, sums, 3);
        form.adds = 1;
      }
      attn_emulator_wgmma_commit(3);
      attn_emulator_wgmma_wait(0, 3);
      for (int32_t i = 0; i < 4; ++i) {
        uint32_t sum = attn_emulator_wgmma_value(sums[i], 3);
        void *to = attn_emulator_access(getValues(arguments) +
                                            (rank * 128 + thread) * 4 + i,
                                        4, ATTN_EMULATOR_WRITE, 4, 3);
        std::memcpy(to, &sum, sizeof(sum));
      }
      attn_emulator_cluster_arrive(0, 0, 3);
      attn_emulator_cluster_wait(0, 3);
    }),
              "");
    for (size_t i = 0; i < launch.values.size(); ++i) {
      ASSERT_EQ(launch.values[i], i < 512 ? 3 * 16 * 4.0f : 3 * 16.0f) << i;
    }
  }
}

/// A report while products and other blocks are in flight leaves nothing.
TEST(Emulator, ReportsInTheMiddleOfProducts) {
  Launch launch;
  launch.threads = 128;
  launch.sharedBytes = 64 * 32 + 8 * 32;
  launch.values.resize(4);
  std::string report = launch.run([](void *const *) {
    for (int32_t i = getThread(); i < (64 + 8) * 8; i += 128) {
      *place<uint32_t>(i, ATTN_EMULATOR_WRITE) = 0;
    }
    attn_emulator_fence_async();
    meet();
    attn_emulator_wgmma_form form = {};
    form.columns = 8;
    form.depth = 16;
    form.type_a = form.type_b = ATTN_EMULATOR_F16;
    for (int32_t i = 0; i < 4; ++i) {
      form.names[i] = i;
    }
    int64_t a =
        (int64_t{16} << 32 | int64_t{8} << 16) + ATTN_EMULATOR_SHARED_BASE / 16;
    uint32_t sums[4] = {};
    attn_emulator_wgmma_fence(3);
    attn_emulator_wgmma(&form, a, a + 128, sums, 3);
    attn_emulator_wgmma_commit(3);
    attn_emulator_wgmma_write(4, 2);
    attn_emulator_wgmma_write(2, 2);
  });
  EXPECT_NE(report.find("changes a register of A (k.cpp:2), which a product "
                        "(k.cpp:3) may still read"),
            std::string::npos)
      << report;
}

TEST(Emulator, RunsOnSeveralThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      Launch launch;
      launch.sharedBytes = 64 * 4;
      for (int round = 0; round < 5; ++round) {
        EXPECT_EQ(launch.run([](void *const *) {
          int32_t thread = getThread();
          *place<float>(thread, ATTN_EMULATOR_WRITE) = 1.0f;
          meet();
          EXPECT_EQ(*place<float>(63 - thread, ATTN_EMULATOR_READ), 1.0f);
        }),
                  "");
        std::string report = launch.run([](void *const *) {
          place<float>(getThread(), ATTN_EMULATOR_READ);
        });
        EXPECT_NE(report.find("which nothing has written"), std::string::npos);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

} // namespace
