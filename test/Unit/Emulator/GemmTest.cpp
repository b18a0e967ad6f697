//===- GemmTest.cpp - a product of matrices by warpgroups with roles ------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include <bit>

using namespace mlir::attn::test;

namespace {

constexpr size_t kDepth = 192;

float getAt(const std::vector<int32_t> &words, size_t row, size_t column) {
  auto word = static_cast<uint32_t>(words[(row * kDepth + column) / 2]);
  return std::bit_cast<float>(word >> 16 * (column % 2) << 16);
}

/// Small numbers, so that all sums are exact.
void fill(Memory &memory) {
  uint32_t next = 3;
  for (size_t buffer = 0; buffer < 2; ++buffer) {
    for (int32_t &word : memory.words[buffer]) {
      word = 0;
      for (int half = 0; half < 2; ++half) {
        next = next * 1664525 + 1013904223;
        float value = static_cast<float>(next >> 28) / 8 - 1;
        word |= static_cast<int32_t>(std::bit_cast<uint32_t>(value) >>
                                     16 << 16 * half);
      }
    }
  }
}

/// A thread after the other, register by register.
std::vector<int32_t> multiply(const Memory &memory) {
  std::vector<int32_t> result(128 * 16);
  for (size_t i = 0; i < result.size(); ++i) {
    size_t lane = i / 8 % 32, r = i % 8;
    size_t row = i / 256 * 16 + lane / 4 + r / 2 % 2 * 8;
    size_t column = r / 4 * 8 + lane % 4 * 2 + r % 2;
    float sum = 0;
    for (size_t k = 0; k < kDepth; ++k) {
      sum += getAt(memory.words[0], row, k) * getAt(memory.words[1], column, k);
    }
    result[i] = std::bit_cast<int32_t>(sum);
  }
  return result;
}

TEST(EmulatedGemm, IsExact) {
  Program program("gemm.mlir");
  ASSERT_TRUE(program.isCompiled());
  Memory memory("gemm.mlir");
  fill(memory);
  EXPECT_EQ(program.run(memory.getViews()), "");
  EXPECT_EQ(memory.words[2], multiply(memory));
}

/// What no rule forbids, but is not what was meant.
TEST(EmulatedGemm, DependsOnItsDescriptors) {
  const std::vector<Edit> kEdits[] = {
      {{"0x4000004000010000", "0x8000004000010000"}},
      {{"0x4000004000010000", "0x0000004000010000"}},
      {{"0x4000004000010000", "0x4000003800010000"}},
      {{"%rowsOfGroup = llvm.mlir.constant(512",
        "%rowsOfGroup = llvm.mlir.constant(448"}},
      {{"%k3 = llvm.mlir.constant(6", "%k3 = llvm.mlir.constant(4"}},
      {{"box[%column, %i0]", "box[%i0, %i0]"}},
      {{"box[%column, %i0]", "box[%column, %i8]"}}};
  for (const std::vector<Edit> &edits : kEdits) {
    Program program("gemm.mlir", edits);
    ASSERT_TRUE(program.isCompiled());
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Memory memory("gemm.mlir");
      fill(memory);
      std::string report = program.run(memory.getViews(), seed);
      EXPECT_TRUE(!report.empty() || memory.words[2] != multiply(memory))
          << edits[0].replacement;
    }
  }
}

const char *const kFree = "nvvm.mbarrier.arrive %before : !llvm.ptr<3>";
const char *const kFullWait = "nvvm.mbarrier.try_wait.parity %full, %phase";
const char *const kCommit = "nvvm.wgmma.commit.group.sync.aligned";
const char *const kFence = "nvvm.wgmma.fence.aligned // registers";

const Fault kFaults[] = {
    {"GemmWithoutFullWait",
     "gemm.mlir",
     {{kFullWait, "//"}},
     "of shared memory"},
    {"GemmWhoseLeaderWaitsAlone",
     "gemm.mlir",
     {{kFullWait, "scf.if %isLeader {\n" + std::string(kFullWait)},
      {"%stageWide = ", "}\n%stageWide = "}},
     "may write: the thread has not waited for its phase of the mbarrier|which "
     "nothing has written"},
    {"GemmWithoutEmptyWait",
     "gemm.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"}},
     "copies to byte|which lacks 0 arrivals"},
    {"GemmThatFreesTooEarly",
     "gemm.mlir",
     {{"nvvm.mbarrier.arrive %before", "nvvm.mbarrier.arrive %empty"},
      {"arith.andi %hasBefore, %isLeader", "arith.andi %isLeader, %isLeader"}},
     "copies to byte"},
    {"GemmThatFreesBeforeItWaits",
     "gemm.mlir",
     {{kFree, ""},
      {kCommit, "%early0 = arith.cmpi ne, %tile, %i0 : i32\n"
                "%early = arith.andi %early0, %isLeader : i1\n"
                "scf.if %early {\n" +
                    std::string(kFree) + "\n}\n" + kCommit}},
     "which a product of warpgroup"},
    {"GemmThatFreesWhatIsInFlight",
     "gemm.mlir",
     {{"wgmma.wait_group.sync.aligned 1;", "wgmma.wait_group.sync.aligned 2;"}},
     "which a product of warpgroup"},
    {"GemmThatFreesForOneGroup",
     "gemm.mlir",
     {{"%consumers = arith.constant 2", "%consumers = arith.constant 1"}},
     "of shared memory|is in a deadlock"},
    {"GemmThatDoesNotFree", "gemm.mlir", {{kFree, ""}}, "is in a deadlock"},
    {"GemmWithoutCommit",
     "gemm.mlir",
     {{kCommit, ""}},
     "that no wgmma.commit_group follows|which a product of warpgroup"},
    {"GemmWithoutLastWait",
     "gemm.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", ""}},
     "that may still be in flight"},
    {"GemmThatDoesNotWaitForTheLast",
     "gemm.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;"}},
     "that may still be in flight"},
    {"GemmWithoutFence",
     "gemm.mlir",
     {{kFence, ""}},
     "with no wgmma.fence after it began"},
    {"GemmWithOneGroupsFence",
     "gemm.mlir",
     {{kFence, "%isOne = arith.cmpi eq, %group, %i0 : i32\nscf.if %isOne {\n" +
                   std::string(kFence) + "\n}"}},
     "with no wgmma.fence after it began"},
    {"GemmThatExpectsTooLittle",
     "gemm.mlir",
     {{"%expected = arith.constant 18432", "%expected = arith.constant 16384"}},
     "has a copy of|of shared memory|more have come than were expected"},
    {"GemmWithStagesThatOverlap",
     "gemm.mlir",
     {{"%stageBytes = arith.constant 18432",
       "%stageBytes = arith.constant 16384"}},
     "of shared memory"},
    {"GemmThatReadsTheOtherStage",
     "gemm.mlir",
     {{"%stageAt = llvm.mlir.constant(1152",
       "%stageAt = llvm.mlir.constant(0"}},
     "of shared memory"},
    {"GemmBehindSharedMemory",
     "gemm.mlir",
     {{"%rowsOfA = llvm.mlir.constant(1024",
       "%rowsOfA = llvm.mlir.constant(2048"}},
     "of shared memory"},
    {"GemmOfMBarriers",
     "gemm.mlir",
     {{"%rowsOfA = llvm.mlir.constant(1024",
       "%rowsOfA = llvm.mlir.constant(1136"},
      {"%stageAt = llvm.mlir.constant(1152",
       "%stageAt = llvm.mlir.constant(1052"},
      {"arith.constant 36896 : i32", "arith.constant 46080 : i32"}},
     "which belongs to an mbarrier|of shared memory"},
    {"GemmOfAMapInTheWrongPlace",
     "gemm.mlir",
     {{"%toA, %mapA, %full", "%toA, %a, %full"}},
     "is no tensor map|that is not a multiple of 64"},
    {"GemmWithoutAWarpgroup",
     "gemm.mlir",
     {{"%c384 = arith.constant 384", "%c384 = arith.constant 352"}},
     "in a warpgroup of less than 128 threads"},
};

INSTANTIATE_TEST_SUITE_P(Gemm, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
