//===- RolesTest.cpp - a pipeline between warpgroups ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

using namespace mlir::attn::test;

namespace {

TEST(EmulatedRoles, MultiplyWhatTheOtherLoads) {
  Program program("roles.mlir");
  ASSERT_TRUE(program.isCompiled());
  Memory memory("roles.mlir");
  std::vector<int32_t> &a = memory.words[0], &b = memory.words[1];
  std::vector<int32_t> wanted(128);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<int32_t>(i * i % 101);
    b[i] = static_cast<int32_t>(i * i % 97);
  }
  for (size_t tile = 0; tile < 6; ++tile) {
    for (size_t row = 0; row < 8; ++row) {
      for (size_t word = 0; word < 16; ++word) {
        size_t first = (tile * 8 + row) * 32;
        wanted[row * 16 + word] += a[first + word] * b[first + 31 - word];
      }
    }
  }
  EXPECT_EQ(program.run(memory.getViews()), "");
  EXPECT_EQ(memory.words[2], wanted);
}

/// Without a number in the kernel there are as many registers as fit.
TEST(EmulatedRoles, HaveTheRegistersOfAnSM) {
  const Edit kNoNumber = {", nvvm.maxnreg = 128 : i32", ""};
  for (auto [most, isAllowed] :
       {std::pair("248", true), std::pair("256", false)}) {
    Program program("roles.mlir",
                    {kNoNumber,
                     {"decrease 40", "decrease 248"},
                     {"increase 216", "increase " + std::string(most)}});
    ASSERT_TRUE(program.isCompiled());
    Memory memory("roles.mlir");
    std::string report = program.run(memory.getViews());
    // 65536 / 256 are 256, of which a thread can have 255.
    EXPECT_EQ(report.find("increases its registers to 248 (roles.mlir:83:9), "
                          "and has 255") != std::string::npos,
              isAllowed)
        << report;
    EXPECT_EQ(report.empty(), !isAllowed) << report;
  }
}

const char *const kLoadB =
    "nvvm.cp.async.bulk.tensor.shared.cluster.global %toB, %mapB, %full, "
    "box[%i0, %row] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr";
const char *const kFree = "nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty";
const char *const kExpect = "nvvm.mbarrier.arrive.expect_tx %full, %expected";
const char *const kFence =
    "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = "
    "#nvvm.shared_space<cta>}";
const char *const kMeet = "nvvm.barrier id = %i1 number_of_threads = %i128";

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // Registers
    //===------------------------------------------------------------------===//
    {"RolesOfTooManyRegisters",
     "roles.mlir",
     {{"increase 216", "increase 224"}},
     "for 96 registers more in each thread, of which"},
    {"RolesThatKeepTheirRegisters",
     "roles.mlir",
     {{"nvvm.setmaxregister decrease 40", ""}},
     "waits at setmaxnreg (roles.mlir:83:9) for 88 registers more in each "
     "thread, of which 0 are free"},
    {"RolesThatKeepSomeRegisters",
     "roles.mlir",
     {{"decrease 40", "decrease 64"}},
     "for 88 registers more in each thread, of which"},
    {"RolesThatBothIncrease",
     "roles.mlir",
     {{"decrease 40", "increase 136"}},
     "registers more in each thread, of which 0 are free"},
    {"RolesThatIncreaseToLess",
     "roles.mlir",
     {{"increase 216", "increase 104"}},
     "increases its registers to 104 (roles.mlir:83:9), and has 128"},
    {"RolesThatDecreaseToMore",
     "roles.mlir",
     {{"decrease 40", "decrease 136"}},
     "decreases its registers to 136 (roles.mlir:61:9), and has 128"},
    {"RolesOfOneWarp",
     "roles.mlir",
     {{"nvvm.setmaxregister decrease 40",
       "%inWarp = arith.cmpi ult, %tid, %i32 : i32\n"
       "scf.if %inWarp {\nnvvm.setmaxregister decrease 40\n}"},
      {"nvvm.setmaxregister increase 216", ""}},
     "ends block (0, 0, 0) with 40 registers in warp 0 and 128 in warp 1 of "
     "the same warpgroup"},
    {"RolesOfOneLane",
     "roles.mlir",
     {{"nvvm.setmaxregister decrease 40",
       "scf.if %isFirst {\nnvvm.setmaxregister decrease 40\n}"}},
     "waits at setmaxnreg (roles.mlir:62:1) for thread"},
    //===------------------------------------------------------------------===//
    // Waits
    //===------------------------------------------------------------------===//
    {"RolesWithoutTheBarrier",
     "roles.mlir",
     {{"nvvm.barrier0 // mbarriers", "//"}},
     "mbarrier"},
    {"RolesWithoutFullWait",
     "roles.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full", "//"}},
     "of shared memory"},
    {"RolesWithoutEmptyWait",
     "roles.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"}},
     "copies to byte|which lacks 0 arrivals"},
    {"RolesWithoutStoreWait",
     "roles.mlir",
     {{"nvvm.cp.async.bulk.wait_group 0", ""}},
     "leaves the kernel without having waited for its copies"},
    {"RolesWithoutCommit",
     "roles.mlir",
     {{"nvvm.cp.async.bulk.commit.group", ""}},
     "leaves the kernel without having waited for its copies"},
    {"RolesThatReadBeforeTheyWait",
     "roles.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full", "//"},
      {kFree, "nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : "
              "!llvm.ptr<3>, i32, i32\n" +
                  std::string(kFree)}},
     "of shared memory"},
    {"RolesThatWaitForTheOtherStage",
     "roles.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full",
       "%o = arith.subi %i1, %stage : i32\n"
       "%wrong = llvm.getelementptr %fulls[%o] : (!llvm.ptr<3>, i32) -> "
       "!llvm.ptr<3>, i64\n"
       "nvvm.mbarrier.try_wait.parity %wrong"}},
     "may write: the thread has not waited for its phase"},
    //===------------------------------------------------------------------===//
    // Arrivals and bytes
    //===------------------------------------------------------------------===//
    {"RolesThatDoNotFree",
     "roles.mlir",
     {{kFree, ""}},
     "which lacks 128 more arrivals"},
    {"RolesThatFreeTooEarly",
     "roles.mlir",
     {{kFree, ""},
      {"%valueB = llvm.load",
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n%valueB = llvm.load"}},
     "copies to byte"},
    {"RolesThatFreeBeforeAll",
     "roles.mlir",
     {{kFree, ""},
      {"%valueA = llvm.load",
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n%valueA = llvm.load"}},
     "copies to byte"},
    {"RolesThatFreeTwice",
     "roles.mlir",
     {{kFree,
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n" + std::string(kFree)}},
     "of shared memory"},
    {"RolesThatDoNotExpect",
     "roles.mlir",
     {{"nvvm.mbarrier.arrive.expect_tx %full, %expected : !llvm.ptr<3>, i32",
       "nvvm.mbarrier.arrive %full : !llvm.ptr<3>"}},
     "of shared memory|more have come than were expected"},
    {"RolesThatExpectHalf",
     "roles.mlir",
     {{"%expected = arith.constant 2048", "%expected = arith.constant 1024"}},
     "has a copy of 1024 bytes in flight|of shared memory"},
    {"RolesThatExpectMore",
     "roles.mlir",
     {{"%expected = arith.constant 2048", "%expected = arith.constant 4096"}},
     "which lacks 2048 more bytes"},
    {"RolesThatArriveWithoutBytes",
     "roles.mlir",
     {{kExpect,
       "nvvm.mbarrier.arrive %full : !llvm.ptr<3>\n" + std::string(kExpect)}},
     "mbarrier"},
    {"RolesThatLoadOneOfTwo",
     "roles.mlir",
     {{kLoadB, ""}},
     "which lacks 1024 more bytes"},
    {"RolesThatLoadTwice",
     "roles.mlir",
     {{kLoadB, std::string(kLoadB) + "\n" + kLoadB}},
     "copies to byte"},
    {"RolesThatLoadByEveryLane",
     "roles.mlir",
     {{"scf.if %isFirst {\n          %end", "scf.if %isProducer {\n %end"}},
     "of shared memory"},
    {"RolesWith127Consumers",
     "roles.mlir",
     {{"%consumers = arith.constant 128", "%consumers = arith.constant 127"}},
     "of shared memory|is in a deadlock"},
    {"RolesWith129Consumers",
     "roles.mlir",
     {{"%consumers = arith.constant 128", "%consumers = arith.constant 129"}},
     "which lacks 1 more arrivals"},
    {"RolesWithTwoProducers",
     "roles.mlir",
     {{"%producers = arith.constant 1 ", "%producers = arith.constant 2 "}},
     "which lacks 1 more arrivals"},
    //===------------------------------------------------------------------===//
    // Phases and stages
    //===------------------------------------------------------------------===//
    {"RolesThatAreNotEmptyAtFirst",
     "roles.mlir",
     {{"%phase = %i1) -> (i32, i32) ", "%phase = %i0) -> (i32, i32) "}},
     "is in a deadlock"},
    {"RolesThatAreFullAtFirst",
     "roles.mlir",
     {{"%phase = %i0, %s = %i0)", "%phase = %i1, %s = %i0)"}},
     "of shared memory|is in a deadlock"},
    {"RolesWhoseProducerStaysInAPhase",
     "roles.mlir",
     {{"%wraps, %turned, %phase : i32 // producer",
       "%wraps, %phase, %phase : i32"}},
     "copies to byte|is in a deadlock|which lacks 0 arrivals"},
    {"RolesWhoseConsumerStaysInAPhase",
     "roles.mlir",
     {{"%wraps, %turned, %phase : i32 // consumer",
       "%wraps, %phase, %phase : i32"}},
     "of shared memory|is in a deadlock"},
    {"RolesWhoseProducerHasOneStage",
     "roles.mlir",
     {{"%wraps, %i0, %next : i32 // producer", "%wraps, %i0, %i0 : i32"}},
     "of shared memory|is in a deadlock"},
    {"RolesWhoseConsumerHasOneStage",
     "roles.mlir",
     {{"%wraps, %i0, %next : i32 // consumer", "%wraps, %i0, %i0 : i32"}},
     "of shared memory|is in a deadlock"},
    {"RolesThatLoadToOneStage",
     "roles.mlir",
     {{"%skip = arith.muli %stage, %stageWords : i32 // producer",
       "%skip = arith.muli %i0, %stageWords : i32"}},
     "of shared memory"},
    {"RolesThatReadOneStage",
     "roles.mlir",
     {{"%skip = arith.muli %stage, %stageWords : i32 // consumer",
       "%skip = arith.muli %i0, %stageWords : i32"}},
     "of shared memory"},
    {"RolesWithStagesThatOverlap",
     "roles.mlir",
     {{"%stageWords = arith.constant 512", "%stageWords = arith.constant 256"}},
     "of shared memory"},
    {"RolesOfOneTileMore",
     "roles.mlir",
     {{"%tiles = arith.constant 6", "%tiles = arith.constant 6 : i32\n"
                                    "%more = arith.constant 7"},
      {"scf.for %tile = %i0 to %tiles", "scf.for %tile = %i0 to %more"}},
     "ends block (0, 0, 0) with an asynchronous copy"},
    {"RolesOfOneTileLess",
     "roles.mlir",
     {{"%tiles = arith.constant 6", "%tiles = arith.constant 6 : i32\n"
                                    "%fewer = arith.constant 5"},
      {"scf.for %tile = %i0 to %tiles", "scf.for %tile = %i0 to %fewer"}},
     "is in a deadlock"},
    //===------------------------------------------------------------------===//
    // The end
    //===------------------------------------------------------------------===//
    {"RolesWithoutFence",
     "roles.mlir",
     {{kFence, ""}},
     "with no fence.proxy.async between the two"},
    {"RolesWithFenceBeforeTheSums",
     "roles.mlir",
     {{kFence, ""},
      {"llvm.store %sums#2", std::string(kFence) + "\nllvm.store %sums#2"}},
     "with no fence.proxy.async between the two"},
    {"RolesWithoutFenceOfBarriers",
     "roles.mlir",
     {{"nvvm.fence.mbarrier.init", ""}},
     "with no fence.mbarrier.init or fence.proxy.async between the two"},
    {"RolesWithoutNamedBarrier",
     "roles.mlir",
     {{kMeet, "//"}},
     "of shared memory"},
    {"RolesWithNamedBarrierOfHalf",
     "roles.mlir",
     {{kMeet, "%i64 = arith.constant 64 : i32\n"
              "nvvm.barrier id = %i1 number_of_threads = %i64"}},
     "of shared memory"},
    {"RolesWithBarrierOfAll",
     "roles.mlir",
     {{kMeet, "nvvm.barrier0 //"}},
     "is in a deadlock"},
    {"RolesThatAllStore",
     "roles.mlir",
     {{"%isLeader = arith.cmpi eq, %mine, %i0",
       "%isLeader = arith.cmpi eq, %i0, %i0"},
      {"nvvm.cp.async.bulk.wait_group 0", ""}},
     "leaves the kernel without having waited for its copies"},
};

INSTANTIATE_TEST_SUITE_P(Roles, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
