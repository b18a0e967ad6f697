//===- KernelsTest.cpp - good kernels on the emulated GPU -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "attn_emulator.h"
#include "gtest/gtest.h"
#include <numeric>

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

} // namespace
