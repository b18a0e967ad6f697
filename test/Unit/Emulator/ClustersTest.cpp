//===- ClustersTest.cpp - blocks that run together ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

using namespace mlir::attn::test;

namespace {

TEST(EmulatedClusters, ShareWhatTheyLoad) {
  Program program("cluster.mlir");
  ASSERT_TRUE(program.isCompiled());
  Memory memory("cluster.mlir");
  std::vector<int32_t> &a = memory.words[0], &b = memory.words[1];
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<int32_t>(i * i % 101);
    b[i % b.size()] = static_cast<int32_t>(i % b.size() * 7 % 97);
  }
  std::vector<int32_t> wanted(128);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t block = i / b.size(), thread = i % 256 / 4;
    wanted[block / 2 * 64 + thread] += a[i] * b[i % b.size()];
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    wanted[i] += i < 64 ? 1 : 3;
  }
  EXPECT_EQ(program.run(memory.getViews()), "");
  EXPECT_EQ(memory.words[2], wanted);
}

/// What a launch is to have.
TEST(EmulatedClusters, HaveSizes) {
  const Edit kMoreBlocks = {"%c4 = arith.constant 4",
                            "%c4 = arith.constant 16"};
  const std::pair<std::vector<Edit>, const char *> kCases[] = {
      {{{"%c4 = arith.constant 4", "%c4 = arith.constant 3"}},
       "is launched with 3 blocks in x, and clusters of 2; allowed are "
       "clusters "
       "of 1 to 8 blocks that fill the grid"},
      {{kMoreBlocks, {"array<i32: 2, 1, 1>", "array<i32: 16, 1, 1>"}},
       "is launched with 16 blocks in x, and clusters of 16"},
      {{{"(%c4, %c1, %c1)", "(%c4, %c4, %c1)"},
        {"array<i32: 2, 1, 1>", "array<i32: 4, 4, 1>"}},
       "is launched with clusters of 16 blocks; allowed are 1 to 8"},
      {{{"%c96 = arith.constant 96", "%c96 = arith.constant 80"}},
       "is launched with clusters of blocks of 80 threads; with clusters "
       "multiples of 32 alone are emulated"}};
  for (const auto &[edits, report] : kCases) {
    Program program("cluster.mlir", edits);
    ASSERT_TRUE(program.isCompiled());
    Memory memory("cluster.mlir");
    EXPECT_NE(program.run(memory.getViews()).find(report), std::string::npos)
        << report;
  }
}

const char *const kInit = "nvvm.cluster.arrive.relaxed // mbarriers\n";
const char *const kInitWait = "nvvm.cluster.wait // mbarriers";
const char *const kMask = "%both = arith.constant 3";
const char *const kTheirs =
    "nvvm.mbarrier.arrive %theirEmpty : !llvm.ptr<7> // theirs";
const char *const kSums = "nvvm.cluster.arrive {aligned} // sums";
const char *const kSumsWait = "nvvm.cluster.wait {aligned} // sums";
const char *const kEnd = "nvvm.cluster.arrive {aligned} // end";
const char *const kEndWait = "nvvm.cluster.wait {aligned} // end";
const char *const kRemoteLoad = "llvm.load %fromOther : !llvm.ptr<7>";

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // The beginning
    //===------------------------------------------------------------------===//
    {"ClusterThatDoesNotMeet",
     "cluster.mlir",
     {{kInit, "\n"}, {kInitWait, "nvvm.barrier0 //"}},
     "which may not have begun: the thread has not waited at the barrier of "
     "the "
     "cluster|which has been|as an mbarrier, which nothing has made it"},
    {"ClusterThatDoesNotWait",
     "cluster.mlir",
     {{kInitWait, "nvvm.barrier0 //"},
      {kSums, "nvvm.cluster.wait\n" + std::string(kSums)}},
     "which may not have begun|as an mbarrier, which nothing has made it"},
    {"ClusterWithoutFenceOfBarriers",
     "cluster.mlir",
     {{"nvvm.fence.mbarrier.init", ""}},
     "with no barrier between the two|with no fence.mbarrier.init"},
    {"ClusterWithLateFenceOfBarriers",
     "cluster.mlir",
     {{"nvvm.fence.mbarrier.init", ""},
      {kInitWait,
       std::string(kInitWait) + "\nnvvm.fence.mbarrier.init\nnvvm.barrier0"}},
     "with no barrier between the two|with no fence.mbarrier.init"},
    {"ClusterThatArrivesTwice",
     "cluster.mlir",
     {{kInit, std::string(kInit) + kInit}},
     "arrives at the barrier of its cluster (cluster.mlir:70:1) where it has "
     "arrived (cluster.mlir:69:7) and not waited"},
    {"ClusterThatWaitsTwice",
     "cluster.mlir",
     {{kInitWait, std::string(kInitWait) + "\n" + kInitWait}},
     "waits at the barrier of its cluster (cluster.mlir:71:1) where it has not "
     "arrived"},
    {"ClusterOfOneBlockAtTheBarrier",
     "cluster.mlir",
     {{kInit, "%isOne = arith.cmpi eq, %rank, %i1 : i32\nscf.if %isOne {\n" +
                  std::string(kInit)},
      {kInitWait, std::string(kInitWait) + "\n}"}},
     "waits at cluster.wait (cluster.mlir:72:7) for|which may not have begun|"
     "as an mbarrier, which nothing has made it|is in a deadlock"},
    //===------------------------------------------------------------------===//
    // Copies to both
    //===------------------------------------------------------------------===//
    {"ClusterThatCopiesToOne",
     "cluster.mlir",
     {{kMask, "%both = arith.constant 1"}},
     "of shared memory|is in a deadlock"},
    {"ClusterThatCopiesToTheOther",
     "cluster.mlir",
     {{kMask, "%both = arith.constant 2"}},
     "of shared memory|is in a deadlock"},
    {"ClusterThatCopiesToThree",
     "cluster.mlir",
     {{kMask, "%both = arith.constant 7"}},
     "copies to the blocks 0x7 of its cluster (cluster.mlir:94:13), which has "
     "2"},
    {"ClusterThatCopiesToItself",
     "cluster.mlir",
     {{"multicast_mask = %both", ""}},
     "of shared memory|is in a deadlock"},
    {"ClusterThatCopiesToTheOtherByAddress",
     "cluster.mlir",
     {{"multicast_mask = %both", ""},
      {"llvm.addrspacecast %toB1 : !llvm.ptr<3> to !llvm.ptr<7>",
       "nvvm.mapa %toB1, %other : !llvm.ptr<3> -> !llvm.ptr<7>"}},
     "copies to another block (cluster.mlir:94:13) than the one whose mbarrier "
     "it is to complete on"},
    {"ClusterThatCopiesTheSameHalf",
     "cluster.mlir",
     {{"%skipHalf = arith.muli %rank", "%skipHalf = arith.muli %i0"}},
     "copies to, in block (|copies to byte|of shared memory"},
    {"ClusterThatExpectsOneHalf",
     "cluster.mlir",
     {{"%expected = arith.constant 2048", "%expected = arith.constant 1536"}},
     "has a copy of|of shared memory"},
    //===------------------------------------------------------------------===//
    // Stages
    //===------------------------------------------------------------------===//
    {"ClusterThatFreesItsOwn",
     "cluster.mlir",
     {{kTheirs, ""}},
     "is in a deadlock"},
    {"ClusterThatWaitsForItsOwn",
     "cluster.mlir",
     {{kTheirs, ""},
      {"%consumers = arith.constant 128", "%consumers = arith.constant 64"}},
     "copies to, in block (|copies to byte"},
    {"ClusterThatFreesItsOwnTwice",
     "cluster.mlir",
     {{"%theirs = nvvm.mapa %shared, %other",
       "%theirs = nvvm.mapa %shared, %rank"}},
     "copies to, in block (|of shared memory|copies to byte"},
    {"ClusterThatFreesTheirsTooEarly",
     "cluster.mlir",
     {{kTheirs, ""},
      {"%valueA = llvm.load", std::string(kTheirs) + "\n%valueA = llvm.load"}},
     "copies to, in block (|copies to byte"},
    {"ClusterWithoutEmptyWait",
     "cluster.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"}},
     "copies to, in block (|copies to byte|which lacks 0 arrivals"},
    {"ClusterWithoutFullWait",
     "cluster.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full", "//"}},
     "of shared memory"},
    {"ClusterOf127Consumers",
     "cluster.mlir",
     {{"%consumers = arith.constant 128", "%consumers = arith.constant 127"}},
     "of shared memory|copies to, in block (|is in a deadlock"},
    //===------------------------------------------------------------------===//
    // Memory of others
    //===------------------------------------------------------------------===//
    {"ClusterWithoutBarrierOfSums",
     "cluster.mlir",
     {{kSums, ""}, {kSumsWait, "nvvm.barrier0 //"}},
     "reads, in block (|which nothing has written|may read at byte|may write "
     "at "
     "byte|which thread"},
    {"ClusterThatTellsNothing",
     "cluster.mlir",
     {{kSums, "nvvm.cluster.arrive.relaxed"}},
     "with no barrier between the two"},
    {"ClusterThatArrivesBeforeTheSums",
     "cluster.mlir",
     {{kSums, ""},
      {"%isSecond = arith.cmpi",
       "nvvm.cluster.arrive {aligned}\n%isSecond = arith.cmpi"}},
     "with no barrier between the two|which nothing has written"},
    {"ClusterOfOneLane",
     "cluster.mlir",
     {{kSums, "%isThere = arith.cmpi ne, %tid, %i8 : i32\nscf.if %isThere {\n" +
                  std::string(kSums) + "\n}"}},
     "cluster.arrive|cluster.wait"},
    {"ClusterThatOneLaneLeaves",
     "cluster.mlir",
     {{kSums, "%isGone = arith.cmpi eq, %tid, %i8 : i32\nscf.if %isGone {\n"
              "nvvm.exit\n}\n" +
                  std::string(kSums)}},
     "which has left the kernel"},
    {"ClusterWithoutEnd",
     "cluster.mlir",
     {{kEnd, ""}, {kEndWait, ""}},
     "ends its block, whose shared memory thread|which has ended"},
    {"ClusterThatDoesNotWaitAtTheEnd",
     "cluster.mlir",
     {{kEndWait, ""}},
     "ends its block, whose shared memory thread|which has ended"},
    {"ClusterThatEndsTooEarly",
     "cluster.mlir",
     {{kEnd, ""},
      {kEndWait, ""},
      {kSumsWait, std::string(kSumsWait) + "\n" + kEnd + "\n" + kEndWait}},
     "ends its block, whose shared memory thread|which has ended"},
    {"ClusterThatMapsToThree",
     "cluster.mlir",
     {{"nvvm.mapa %shared, %other", "nvvm.mapa %shared, %i2"}},
     "maps an address to block 2 of its cluster (cluster.mlir:55:17), which "
     "has "
     "2"},
    {"ClusterBehindSharedMemory",
     "cluster.mlir",
     {{"%fromOther = llvm.getelementptr %theirSums[%mine]",
       "%far = arith.constant 72 : i32\n"
       "%behind = arith.addi %mine, %far : i32\n"
       "%fromOther = llvm.getelementptr %theirSums[%behind]"}},
     "of shared memory"},
    {"ClusterBehindTheCluster",
     "cluster.mlir",
     {{kRemoteLoad, "llvm.load %beyond : !llvm.ptr<7>"},
      {"%x = llvm.load %from",
       "%window = arith.constant 524288 : i32\n"
       "%beyond = llvm.getelementptr %fromOther[%window] : (!llvm.ptr<7>, i32) "
       "-> !llvm.ptr<7>, i8\n%x = llvm.load %from"}},
     "bytes of the shared memory of block 3 of its cluster "},
    {"ClusterThatNotesInBoth",
     "cluster.mlir",
     {{"arith.andi %isSecond, %isFirst", "arith.andi %isFirst, %isFirst"},
      {"llvm.load %note :", "llvm.load %noteOfBoth :"},
      {"%x = llvm.load %from",
       "%noteOfBoth = llvm.getelementptr %note[1] : (!llvm.ptr<3>) -> "
       "!llvm.ptr<3>, i32\n%x = llvm.load %from"}},
     "which nothing has written"},
};

INSTANTIATE_TEST_SUITE_P(Clusters, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
