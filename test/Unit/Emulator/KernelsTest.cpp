//===- KernelsTest.cpp - good kernels on the emulated GPU -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "attn_emulator.h"
#include "gtest/gtest.h"
#include <cstring>
#include <numeric>
#include <set>

using namespace mlir::attn::test;

namespace {

TEST(EmulatedKernels, SumsInSharedMemory) {
  Program program("sum.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<float> x(3 * 128), y(3);
  std::iota(x.begin(), x.end(), 1.0f);
  EXPECT_EQ(program.run({x, y}), "");
  for (int block = 0; block < 3; ++block) {
    EXPECT_EQ(y[block], std::accumulate(x.begin() + 128 * block,
                                        x.begin() + 128 * (block + 1), 0.0f));
  }
}

TEST(EmulatedKernels, SumsByShuffles) {
  Program program("shuffle.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<float> x(96), y(96);
  std::iota(x.begin(), x.end(), 1.0f);
  EXPECT_EQ(program.run({x, y}), "");
  for (int thread = 0; thread < 96; ++thread) {
    auto first = x.begin() + thread / 32 * 32;
    EXPECT_EQ(y[thread], std::accumulate(first, first + 32, 0.0f)) << thread;
  }
}

TEST(EmulatedKernels, TransposesInWarps) {
  Program program("transpose.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<float> x(2 * 64), y(2 * 64);
  std::iota(x.begin(), x.end(), 1.0f);
  EXPECT_EQ(program.run({x, y}), "");
  for (int i = 0; i < 2 * 64; ++i) {
    auto mine = x.begin() + i / 32 * 32, other = x.begin() + (i / 32 ^ 1) * 32;
    int lane = i % 32;
    EXPECT_EQ(y[i], mine[lane % 4 * 8 + lane / 4] +
                        std::accumulate(other, other + 32, 0.0f))
        << i;
  }
}

TEST(EmulatedKernels, PassesRowsFromWarpToWarp) {
  Program program("channel.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> y(32);
  EXPECT_EQ(program.run({y}), "");
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(y[lane], 32 * 28 + 8 * (31 - lane));
  }
}

TEST(EmulatedKernels, CountsInSharedMemory) {
  Program program("histogram.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> x(96), y(32), wanted(32);
  for (int i = 0; i < 96; ++i) {
    x[i] = i * i % 50;
    ++wanted[x[i] % 32];
  }
  EXPECT_EQ(program.run({x, y}), "");
  EXPECT_EQ(y, wanted);
}

/// Variables of the GPU's module that are not in shared memory.
TEST(EmulatedKernels, ReadVariables) {
  Edit variable = {
      "llvm.func @shuffle",
      "llvm.mlir.global internal constant @table(dense<[5.0, 7.0]> : "
      "tensor<2xf32>) {addr_space = 4 : i32} : !llvm.array<2 x f32>\n"
      "llvm.func @shuffle"};
  auto readAt = [](const std::string &index) -> Edit {
    return {"llvm.store %sum",
            "%table = llvm.mlir.addressof @table : !llvm.ptr<4>\n"
            "%entry = llvm.getelementptr %table[" +
                index +
                "] : (!llvm.ptr<4>, i32) -> !llvm.ptr<4>, f32\n"
                "%sum2 = llvm.load %entry : !llvm.ptr<4> -> f32\n"
                "llvm.store %sum2"};
  };
  Program good("shuffle.mlir", {variable, readAt("%c1")});
  ASSERT_TRUE(good.isCompiled());
  Memory memory("shuffle.mlir");
  EXPECT_EQ(good.run(memory.getViews()), "");
  EXPECT_EQ(memory.words[1], std::vector<int32_t>(96, 0x40e00000));
  Program bad("shuffle.mlir", {variable, readAt("%c5")});
  ASSERT_TRUE(bad.isCompiled());
  EXPECT_NE(bad.run(memory.getViews())
                .find("reads 4 bytes at byte 20 of variable 'kernels_table'"),
            std::string::npos);
}

class GoodKernel : public testing::TestWithParam<const char *> {};

/// Whatever the order, nothing is wrong, and the result is the same.
TEST_P(GoodKernel, GivesNoAlarmUnderManySeeds) {
  const char *file = GetParam();
  Program program(file);
  ASSERT_TRUE(program.isCompiled());
  Memory first(file);
  ASSERT_EQ(program.run(first.getViews()), "") << file;
  for (uint64_t seed = 1; seed < 1000; ++seed) {
    Memory memory(file);
    ASSERT_EQ(program.run(memory.getViews(), seed), "") << file << seed;
    ASSERT_EQ(memory.words, first.words) << file << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GoodKernel, testing::ValuesIn(kFiles),
                         [](const auto &info) {
                           std::string name(info.param,
                                            strcspn(info.param, "."));
                           std::erase(name, '-');
                           return name;
                         });

/// Who is the first to read what is not there depends on the order.
TEST(EmulatedKernels, OneSeedIsOneSchedule) {
  Program program("sum.mlir", {{"nvvm.barrier0", ""}});
  ASSERT_TRUE(program.isCompiled());
  auto run = [&](uint64_t seed) {
    Memory memory("sum.mlir");
    return program.run(memory.getViews(), seed);
  };
  std::set<std::string> reports;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::string report = run(seed);
    EXPECT_EQ(run(seed), report);
    reports.insert(report);
  }
  EXPECT_GT(reports.size(), 10u);
}

TEST(EmulatedKernels, AreCounted) {
  attn_emulator_statistics before = attn_emulator_get_statistics();
  Program program("transpose.mlir");
  Memory memory("transpose.mlir");
  EXPECT_EQ(program.run(memory.getViews()), "");
  attn_emulator_statistics after = attn_emulator_get_statistics();
  EXPECT_EQ(after.launches - before.launches, 1u);
  EXPECT_EQ(after.blocks - before.blocks, 2u);
  EXPECT_GT(after.switches, before.switches);
}

} // namespace
