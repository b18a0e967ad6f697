//===- MBarriersTest.cpp - barriers in shared memory ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include <numeric>

using namespace mlir::attn::test;

namespace {

TEST(EmulatedMBarriers, FollowCopies) {
  Program program("ring.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> x(8 * 32), y(32), wanted(32);
  std::iota(x.begin(), x.end(), 1);
  for (int i = 0; i < 8 * 32; ++i) {
    wanted[31 - i % 32] += x[i];
  }
  EXPECT_EQ(program.run({x, y}), "");
  EXPECT_EQ(y, wanted);
}

TEST(EmulatedMBarriers, AreWaitedForByState) {
  Program program("states.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> y(64), wanted(64);
  EXPECT_EQ(program.run({y}), "");
  std::iota(wanted.begin(), wanted.end(), 0);
  for (int k = 0; k < 4; ++k) {
    std::vector<int32_t> before = wanted;
    for (int i = 0; i < 64; ++i) {
      wanted[i] += before[63 - i];
    }
  }
  EXPECT_EQ(y, wanted);
}

/// Copies that an mbarrier follows may be waited for by their groups too, and
/// be many.
TEST(EmulatedMBarriers, LeaveGroupsAsTheyAre) {
  const char *kArrives = "{noinc = true} : !llvm.ptr<3> // full";
  for (const char *commit : {"nvvm.cp.async.commit.group\n", ""}) {
    Program program(
        "ring.mlir",
        {{"%tiles = arith.constant 8", "%tiles = arith.constant 100"},
         {"arith.addi %first, %lane", "arith.addi %i0, %lane"},
         {kArrives, kArrives + std::string("\n") + commit +
                        "nvvm.cp.async.wait.group 1\n"}});
    ASSERT_TRUE(program.isCompiled());
    for (uint64_t seed = 0; seed < 20; ++seed) {
      std::vector<int32_t> x(32), y(32), wanted(32);
      std::iota(x.begin(), x.end(), 1);
      for (int i = 0; i < 32; ++i) {
        wanted[i] = 100 * x[31 - i];
      }
      EXPECT_EQ(program.run({x, y}, seed), "");
      EXPECT_EQ(y, wanted);
    }
  }
}

/// A thread may be late by a whole phase.
TEST(EmulatedMBarriers, ReportPhasesThatAreMissed) {
  Program program("ring.mlir",
                  {{"nvvm.cp.async.shared.global", "//"},
                   {"nvvm.mbarrier.try_wait.parity %empty", "//"},
                   {"%value = llvm.load %from : !llvm.ptr<3> -> i32",
                    "%value = llvm.ptrtoint %from : !llvm.ptr<3> to i32"}});
  ASSERT_TRUE(program.isCompiled());
  bool isMissed = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Memory memory("ring.mlir");
    std::string report = program.run(memory.getViews(), seed);
    isMissed |=
        report.find("may miss that phase 0 of the mbarrier at byte") !=
            std::string::npos &&
        report.find("ends too before it has gone on") != std::string::npos;
    EXPECT_TRUE(report.find("may miss") != std::string::npos ||
                report.find("deadlock") != std::string::npos)
        << report;
  }
  EXPECT_TRUE(isMissed);
}

const char *const kInit =
    "nvvm.mbarrier.init %fulls, %producers : !llvm.ptr<3>, i32";
const char *const kLoad = "%value = llvm.load %from : !llvm.ptr<3> -> i32\n";
const char *const kFree = "nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty";
const char *const kFill = "nvvm.cp.async.mbarrier.arrive %full {noinc = true}";

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // What is waited for
    //===------------------------------------------------------------------===//
    {"RingWithoutBarrier",
     "ring.mlir",
     {{"nvvm.barrier0 // mbarriers", "//"}},
     ""
     "as an mbarrier, which nothing has made it|"
     "uses the mbarrier at byte"},
    {"RingThatNobodyWaitsToFill",
     "ring.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"}},
     "copies to byte"},
    {"RingThatNobodyWaitsToRead",
     "ring.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full", "//"}},
     "of shared memory"},
    {"RingThatReadsBeforeItWaits",
     "ring.mlir",
     {{kLoad, ""},
      {"nvvm.mbarrier.try_wait.parity %full, %phase, %ticks : "
       "!llvm.ptr<3>, i32, i32 // consumer",
       ""},
      {"%t = arith.addi %s, %value",
       std::string(kLoad) + "nvvm.mbarrier.try_wait.parity %full, %phase, "
                            "%ticks : !llvm.ptr<3>, i32, i32\n"
                            "%t = arith.addi %s, %value"}},
     "of shared memory"},
    {"RingThatFillsBeforeItWaits",
     "ring.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"},
      {kFill, "nvvm.mbarrier.try_wait.parity %empty, %phase, %ticks : "
              "!llvm.ptr<3>, i32, i32\n" +
                  std::string(kFill)}},
     "copies to byte"},
    {"RingThatWaitsForItself",
     "ring.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full,",
       "nvvm.mbarrier.try_wait.parity %empty,"}},
     "is in a deadlock: thread|of shared memory"},
    //===------------------------------------------------------------------===//
    // Arrivals
    //===------------------------------------------------------------------===//
    {"RingThatIsNotFreed",
     "ring.mlir",
     {{kFree, ""}},
     "phase 0 to end, which lacks 32 more arrivals; thread 32 waits "
     "at the mbarrier at byte"},
    {"RingThatIsNotFilled", "ring.mlir", {{kFill, "//"}}, "is in a deadlock"},
    {"RingThatIsFilledBeforeItIs",
     "ring.mlir",
     {{"nvvm.cp.async.mbarrier.arrive %full {noinc = true}",
       "nvvm.mbarrier.arrive %full"}},
     "asynchronous cop"},
    {"RingThatArrivesBeforeItCopies",
     "ring.mlir",
     {{kFill, "//"},
      {"nvvm.cp.async.shared.global",
       "nvvm.cp.async.mbarrier.arrive %full {noinc = true} : !llvm.ptr<3>\n"
       "nvvm.cp.async.shared.global"}},
     "asynchronous cop|which nothing has written"},
    {"RingThatIsFreedBeforeItIsRead",
     "ring.mlir",
     {{kFree, ""},
      {"%value = llvm.load",
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n%value = llvm.load"}},
     "with no barrier between the two"},
    {"RingThatIsFreedWithoutARelease",
     "ring.mlir",
     {{kFree, "nvvm.mbarrier.arrive %empty {relaxed = true} : !llvm.ptr<3>"}},
     "copies to byte"},
    {"RingThatIsFreedTwice",
     "ring.mlir",
     {{kFree,
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n" + std::string(kFree)}},
     "of shared memory"},
    {"RingThatFreesTheFullBarrier",
     "ring.mlir",
     {{kFree, "nvvm.mbarrier.arrive %full : !llvm.ptr<3>"}},
     "is in a deadlock|of shared memory|copies to byte"},
    {"RingWithIncrements",
     "ring.mlir",
     {{"{noinc = true} : !llvm.ptr<3> // full", ": !llvm.ptr<3> //"}},
     "is in a deadlock"},
    //===------------------------------------------------------------------===//
    // Phases and stages
    //===------------------------------------------------------------------===//
    {"RingThatIsNotEmptyAtFirst",
     "ring.mlir",
     {{"%phase = %i1) -> (i32, i32) ", "%phase = %i0) -> (i32, i32) "}},
     "is in a deadlock"},
    {"RingThatIsFullAtFirst",
     "ring.mlir",
     {{"%phase = %i0, %s = %i0)", "%phase = %i1, %s = %i0)"}},
     "of shared memory"},
    {"RingWhoseProducerStaysInAPhase",
     "ring.mlir",
     {{"%wraps, %turned, %phase : i32 // producer",
       "%wraps, %phase, %phase : i32"}},
     "copies to byte|is in a deadlock"},
    {"RingWhoseConsumerStaysInAPhase",
     "ring.mlir",
     {{"%wraps, %turned, %phase : i32 // consumer",
       "%wraps, %phase, %phase : i32"}},
     "of shared memory|is in a deadlock"},
    {"RingWhoseProducerTurnsTooOften",
     "ring.mlir",
     {{"%wraps, %turned, %phase : i32 // producer",
       "%wraps, %turned, %turned : i32"}},
     "copies to byte|is in a deadlock"},
    {"RingWhoseConsumerTurnsTooOften",
     "ring.mlir",
     {{"%wraps, %turned, %phase : i32 // consumer",
       "%wraps, %turned, %turned : i32"}},
     "of shared memory|is in a deadlock"},
    {"RingWhoseProducerHasOneStage",
     "ring.mlir",
     {{"%next, %i2 : i32 // producer", "%next, %i1 : i32"}},
     "copies to byte|is in a deadlock"},
    {"RingWhoseConsumerHasOneStage",
     "ring.mlir",
     {{"%next, %i2 : i32 // consumer", "%next, %i1 : i32"}},
     "of shared memory|is in a deadlock"},
    {"RingThatReadsTheOtherStage",
     "ring.mlir",
     {{"%skip = arith.muli %stage, %i32 : i32\n          %other",
       "%o = arith.subi %i1, %stage : i32\n"
       "%skip = arith.muli %o, %i32 : i32\n %other"}},
     "of shared memory"},
    {"RingThatFillsOneStage",
     "ring.mlir",
     {{"%skip = arith.muli %stage, %i32 : i32\n          %mine",
       "%skip = arith.muli %i0, %i32 : i32\n %mine"}},
     "copies to byte|which nothing has written"},
    {"RingOfParity2",
     "ring.mlir",
     {{"%phase = %i0, %s = %i0)", "%phase = %i2, %s = %i0)"}},
     "of shared memory (ring.mlir:71:11) for the parity 2"},
    //===------------------------------------------------------------------===//
    // Counts
    //===------------------------------------------------------------------===//
    {"RingOf33Producers",
     "ring.mlir",
     {{"%producers = arith.constant 32", "%producers = arith.constant 33"}},
     "for phase 0 to end, which lacks 1 more arrivals"},
    {"RingOf31Producers",
     "ring.mlir",
     {{"%producers = arith.constant 32", "%producers = arith.constant 31"}},
     "asynchronous cop|may miss|is in a deadlock|which nothing has written"},
    {"RingOf64Consumers",
     "ring.mlir",
     {{"%consumers = arith.constant 32", "%consumers = arith.constant 64"}},
     "to end, which lacks 32 more arrivals; thread"},
    {"RingOf31Consumers",
     "ring.mlir",
     {{"%consumers = arith.constant 32", "%consumers = arith.constant 31"}},
     "of shared memory"},
    {"RingOfNoProducers",
     "ring.mlir",
     {{"%producers = arith.constant 32", "%producers = arith.constant 0"}},
     "initialises an mbarrier (ring.mlir:40:9) for 0 arrivals; allowed are 1 "
     "to"},
    {"RingThatExpectsBytes",
     "ring.mlir",
     {{kInit, std::string(kInit) +
                  "\nnvvm.mbarrier.expect_tx %fulls, %i32 : !llvm.ptr<3>, "
                  "i32"}},
     "for phase 0 to end, which lacks 32 more bytes"},
    {"RingThatExpectsBytesOf16Producers",
     "ring.mlir",
     {{"%producers = arith.constant 32", "%producers = arith.constant 16"},
      {kInit, std::string(kInit) +
                  "\nnvvm.mbarrier.expect_tx %fulls, %i32 : !llvm.ptr<3>, "
                  "i32"}},
     "has copies that arrive at the mbarrier at byte 0 of shared memory|"
     "asynchronous cop|which nothing has written"},
    {"RingThatExpectsBytesOf33Producers",
     "ring.mlir",
     {{"%producers = arith.constant 32", "%producers = arith.constant 33"},
      {kInit, std::string(kInit) +
                  "\nnvvm.mbarrier.expect_tx %fulls, %i32 : !llvm.ptr<3>, "
                  "i32"}},
     "which lacks 1 more arrivals and 32 bytes"},
    {"StatesOfTooManyArrivals",
     "states.mlir",
     {{"nvvm.mbarrier.arrive %bar : !llvm.ptr<3> // alone",
       "nvvm.mbarrier.arrive %bar, %threads : !llvm.ptr<3>"}},
     "arrives 64 times at the mbarrier at byte 0 of shared memory|"
     "may miss"},
    {"StatesThatDoNotDrop",
     "states.mlir",
     {{"nvvm.mbarrier.arrive_drop %bar :", "nvvm.mbarrier.arrive %bar :"}},
     "for phase 5 to end, which lacks 32 more arrivals"},
    {"StatesThatNobodyCompletes",
     "states.mlir",
     {{"nvvm.mbarrier.complete_tx", "//"}},
     "for phase 4 to end, which lacks 64 more bytes"},
    {"StatesThatAreCompletedTwice",
     "states.mlir",
     {{"nvvm.mbarrier.complete_tx",
       "nvvm.mbarrier.complete_tx %bar, %bytes : !llvm.ptr<3>, i32\n"
       "nvvm.mbarrier.complete_tx"}},
     "for phase 4 to end, for which 64 bytes more have come than were "
     "expected|for phase 5 to end, for which 64 bytes more have come"},
    {"StatesOfTooManyBytes",
     "states.mlir",
     {{"%bytes = arith.constant 64", "%bytes = arith.constant 1048576"}},
     "lets the mbarrier at byte 0 of shared memory expect 1048576 bytes more"},
    {"StatesThatCompleteAfterAll",
     "states.mlir",
     {{"arrive.nocomplete %bar, %i1", "arrive.nocomplete %bar, %i2"}},
     "is the last to arrive at the mbarrier at byte 0 of shared memory"},
    {"StatesOfTheOtherBarrier",
     "states.mlir",
     {{"try_wait %bar1, %state1", "try_wait %bar1, %state"}},
     "with a state that no arrival there has given in this phase or the one"},
    {"StatesWithoutAWait",
     "states.mlir",
     {{"scf.condition(%goesOn)", "%no = arith.xori %true, %true : i1\n"
                                 "scf.condition(%no)"}},
     "of shared memory"},
    {"StatesWithoutTheSecondWait",
     "states.mlir",
     {{"nvvm.mbarrier.try_wait %bar1, %state1 : !llvm.ptr<3>, i64 -> i1",
       "nvvm.mbarrier.test.wait %bar1, %state1 {relaxed = true} : "
       "!llvm.ptr<3>, i64 -> i1"}},
     "of shared memory"},
    {"StatesThatTellBeforeTheyWrite",
     "states.mlir",
     {{"llvm.store %s, %mine : i32, !llvm.ptr<3>\n", ""},
      {"// written", "\nllvm.store %s, %mine : i32, !llvm.ptr<3>"}},
     "of shared memory"},
    //===------------------------------------------------------------------===//
    // Where mbarriers are
    //===------------------------------------------------------------------===//
    {"RingThatIsInitialisedTwice",
     "ring.mlir",
     {{kInit, std::string(kInit) + "\n" + kInit}},
     "has been initialised (ring.mlir:40:9) and not invalidated"},
    {"RingThatIsNotInitialised",
     "ring.mlir",
     {{kInit, ""}},
     "uses byte 0 of shared memory (ring.mlir:"},
    {"RingThatIsInvalidatedEarly",
     "ring.mlir",
     {{kInit,
       std::string(kInit) + "\nnvvm.mbarrier.inval %fulls : !llvm.ptr<3>"}},
     "which has been invalidated (ring.mlir:41:1)"},
    {"RingThatIsInvalidatedInUse",
     "ring.mlir",
     {{"// END OF WORK",
       "scf.if %isFirst {\nnvvm.mbarrier.inval %fulls : !llvm.ptr<3>\n}"}},
     "invalidates the mbarrier at byte 0 of shared memory|"
     "which has been invalidated"},
    {"RingOverItsBarriers",
     "ring.mlir",
     {{"%shared[6]", "%shared[3]"}},
     "which belongs to an mbarrier (ring.mlir:4"},
    {"RingThatReadsABarrier",
     "ring.mlir",
     {{"%t = arith.addi %s, %value : i32",
       "%b = llvm.load %full : !llvm.ptr<3> -> i32\n"
       "%t = arith.addi %s, %b : i32"}},
     "reads byte"},
    {"RingAtAnOddPlace",
     "ring.mlir",
     {{"%fulls = llvm.getelementptr %shared[0] : (!llvm.ptr<3>) -> "
       "!llvm.ptr<3>, i64",
       "%fulls = llvm.getelementptr %shared[1] : (!llvm.ptr<3>) -> "
       "!llvm.ptr<3>, i32"}},
     "at an address that is not a multiple of 8"},
    {"RingThatOthersWrite",
     "ring.mlir",
     {{kInit, "llvm.store %i0, %fulls : i32, !llvm.ptr<3>"}},
     "uses byte 0 of shared memory (ring.mlir:"},
    {"StatesThatAllInitialise",
     "states.mlir",
     {{"%isFirst = arith.cmpi eq, %tid, %i0", "%isFirst = arith.cmpi eq, %tid,"
                                              " %tid"}},
     "initialises the mbarrier at byte 0 of shared memory"},
    {"StatesThatAreUsedWhenTheyEnd",
     "states.mlir",
     {{"nvvm.barrier0 // all", "//"}},
     "invalidates the mbarrier at byte 0 of shared memory|"
     "which has been invalidated|uses the mbarrier at byte 0"},
    {"StatesOfManyBarriers",
     "states.mlir",
     {{"%bytes = arith.constant 272", "%bytes = arith.constant 4096"},
      {"scf.if %isFirst {",
       "scf.if %isFirst {\n"
       "%many = arith.constant 400 : i32\n"
       "scf.for %k = %i2 to %many step %i1 : i32 {\n"
       "%b = llvm.getelementptr %shared[%k] : (!llvm.ptr<3>, i32) -> "
       "!llvm.ptr<3>, i64\n"
       "nvvm.mbarrier.init %b, %i1 : !llvm.ptr<3>, i32\n}\n"}},
     "initialises an mbarrier (states.mlir:38:1) after 128 others; more are"},
};

INSTANTIATE_TEST_SUITE_P(MBarriers, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
