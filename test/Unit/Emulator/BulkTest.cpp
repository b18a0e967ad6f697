//===- BulkTest.cpp - copies of bulk and fences between proxies -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include <numeric>

using namespace mlir::attn::test;

namespace {

const char *const kStore =
    "nvvm.cp.async.bulk.global.shared.cta %to, %result, %size";

std::vector<int32_t> getResult(const std::vector<int32_t> &x) {
  std::vector<int32_t> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i / 32 * 32 + 31 - i % 32] = x[i] + 1;
  }
  return y;
}

TEST(EmulatedBulk, CopiesBothWays) {
  Program program("bulk.mlir");
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> x(8 * 32), y(8 * 32);
  std::iota(x.begin(), x.end(), 1);
  EXPECT_EQ(program.run({x, y}), "");
  EXPECT_EQ(y, getResult(x));
}

/// The low half of each of the 4 words that are 16 bytes.
TEST(EmulatedBulk, StoresTheBytesOfAMask) {
  Program program("bulk.mlir",
                  {{kStore, "%mask = arith.constant 13107 : i16\n" +
                                std::string(kStore) + " byte_mask = %mask"}});
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> x(8 * 32, 0x12345677), y(8 * 32, 0x0abc0000);
  EXPECT_EQ(program.run({x, y}), "");
  EXPECT_EQ(y, std::vector<int32_t>(8 * 32, 0x0abc5678));
}

/// What was stored is sure to be there after a full wait alone.
TEST(EmulatedBulk, StoresLandLate) {
  std::vector<Edit> edits = {
      {"nvvm.cp.async.bulk.wait_group 0 // at the end",
       "nvvm.cp.async.bulk.wait_group 0 // at the end\n"
       "%seen = llvm.load %gy : !llvm.ptr<1> -> i32\n"
       "%last = llvm.getelementptr %gy[255] : (!llvm.ptr<1>) -> "
       "!llvm.ptr<1>, i32\n"
       "llvm.store %seen, %last : i32, !llvm.ptr<1>"}};
  auto countFirst = [&](const std::vector<Edit> &changes) {
    Program program("bulk.mlir", changes);
    EXPECT_TRUE(program.isCompiled());
    int count = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      std::vector<int32_t> x(8 * 32), y(8 * 32);
      std::iota(x.begin(), x.end(), 1);
      EXPECT_EQ(program.run({x, y}, seed), "");
      count += y[255] == getResult(x)[0];
    }
    return count;
  };
  EXPECT_EQ(countFirst(edits), 100);
  edits[0].replacement.replace(edits[0].replacement.find(" //"), 3,
                               " {read} //");
  edits.push_back({"%tiles = arith.constant 8", "%tiles = arith.constant 1"});
  int count = countFirst(edits);
  EXPECT_GT(count, 0);
  EXPECT_LT(count, 100);
}

const char *const kLoad = "nvvm.cp.async.bulk.shared.cluster.global %to, "
                          "%from, %full, %size : !llvm.ptr<3>, !llvm.ptr<1>";
const char *const kExpect =
    "nvvm.mbarrier.arrive.expect_tx %full, %expected : !llvm.ptr<3>, i32";
const char *const kFence =
    "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = "
    "#nvvm.shared_space<cta>}";

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // Proxies
    //===------------------------------------------------------------------===//
    {"BulkWithoutFence",
     "bulk.mlir",
     {{kFence, ""}},
     "(bulk.mlir:92:11) with no fence.proxy.async between the two"},
    {"BulkWithFenceBeforeTheStore",
     "bulk.mlir",
     {{kFence, ""},
      {"llvm.store %more", std::string(kFence) + "\nllvm.store %more"}},
     "with no fence.proxy.async between the two"},
    {"BulkWithFenceOfOneLane",
     "bulk.mlir",
     {{kFence, "scf.if %isLeader {\n" + std::string(kFence) + "\n}"}},
     "with no fence.proxy.async between the two"},
    {"BulkWithFenceOfGlobalMemory",
     "bulk.mlir",
     {{kFence, "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.global>}"}},
     "with no fence.proxy.async between the two"},
    {"BulkWithoutFenceOfBarriers",
     "bulk.mlir",
     {{"nvvm.fence.mbarrier.init", ""}},
     "that is to complete on the mbarrier at byte 0 of shared memory "
     "(bulk.mlir:46:9), with no fence.mbarrier.init"},
    {"BulkWithFenceBeforeTheBarriers",
     "bulk.mlir",
     {{"nvvm.fence.mbarrier.init", ""},
      {"nvvm.mbarrier.init", "nvvm.fence.mbarrier.init\nnvvm.mbarrier.init"}},
     "with no fence.mbarrier.init"},
    {"BulkOverZeros",
     "bulk.mlir",
     {{"nvvm.barrier0 // mbarriers",
       "%place = llvm.getelementptr %stages[%lane] : (!llvm.ptr<3>, i32) -> "
       "!llvm.ptr<3>, i32\n"
       "scf.if %isFirst {\nllvm.store %i0, %place : i32, !llvm.ptr<3>\n}\n"
       "nvvm.barrier0 //"}},
     "which thread 0 writes (bulk.mlir:54:1) with no fence.proxy.async"},
    {"BulkOfCopies",
     "bulk.mlir",
     {{kFence, ""},
      {"llvm.store %more, %mine : i32, !llvm.ptr<3>",
       "%source = llvm.getelementptr %gx[%lane] : (!llvm.ptr<1>, i32) -> "
       "!llvm.ptr<1>, i32\n"
       "nvvm.cp.async.shared.global %mine, %source, 4, cache = ca : "
       "!llvm.ptr<3>, !llvm.ptr<1>\n"
       "nvvm.cp.async.commit.group\n"
       "nvvm.cp.async.wait.group 0"}},
     "which an asynchronous copy of thread"},
    //===------------------------------------------------------------------===//
    // Loads
    //===------------------------------------------------------------------===//
    {"BulkWithoutFullWait",
     "bulk.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full", "//"}},
     "which nothing has written|may write: the thread has not waited for its "
     "phase of the mbarrier at byte"},
    {"BulkWithoutEmptyWait",
     "bulk.mlir",
     {{"nvvm.mbarrier.try_wait.parity %empty", "//"}},
     "copies to byte|which lacks 0 arrivals"},
    {"BulkThatWaitsForTheOtherStage",
     "bulk.mlir",
     {{"nvvm.mbarrier.try_wait.parity %full, %phase",
       "%o = arith.subi %i1, %stage : i32\n"
       "%wrong = llvm.getelementptr %fulls[%o] : (!llvm.ptr<3>, i32) -> "
       "!llvm.ptr<3>, i64\n"
       "nvvm.mbarrier.try_wait.parity %wrong, %phase"}},
     "may write: the thread has not waited for its phase of the mbarrier at "
     "byte"},
    {"BulkThatCompletesOnTheOtherStage",
     "bulk.mlir",
     {{kLoad, "%o = arith.subi %i1, %stage : i32\n"
              "%wrong = llvm.getelementptr %fulls[%o] : (!llvm.ptr<3>, i32) "
              "-> !llvm.ptr<3>, i64\n"
              "nvvm.cp.async.bulk.shared.cluster.global %to, %from, %wrong, "
              "%size : !llvm.ptr<3>, !llvm.ptr<1>"}},
     "of shared memory|is in a deadlock"},
    {"BulkThatExpectsTooLittle",
     "bulk.mlir",
     {{"%expected = arith.constant 128", "%expected = arith.constant 112"}},
     "for which 16 bytes more have come than were expected"},
    {"BulkThatExpectsTooMuch",
     "bulk.mlir",
     {{"%expected = arith.constant 128", "%expected = arith.constant 144"}},
     "which lacks 16 more bytes"},
    {"BulkThatExpectsNothing",
     "bulk.mlir",
     {{kExpect, "nvvm.mbarrier.arrive %full : !llvm.ptr<3>"}},
     "of shared memory|have come than were expected"},
    {"BulkThatExpectsOneOfTwo",
     "bulk.mlir",
     {{kLoad, std::string(kLoad) +
                  "\n%free = llvm.getelementptr %shared[54] : (!llvm.ptr<3>) "
                  "-> !llvm.ptr<3>, i64\n"
                  "nvvm.cp.async.bulk.shared.cluster.global %free, %from, "
                  "%full, %size : !llvm.ptr<3>, !llvm.ptr<1>"},
      {"%bytes = arith.constant 432", "%bytes = arith.constant 560"}},
     "has a copy of 128 bytes in flight (bulk.mlir:|copies to byte|"
     "have come than were expected"},
    {"BulkThatArrivesTwice",
     "bulk.mlir",
     {{kExpect, std::string(kExpect) + "\n" + kExpect}},
     "mbarrier"},
    {"BulkThatDoesNotArrive",
     "bulk.mlir",
     {{kExpect, "nvvm.mbarrier.expect_tx %full, %expected : !llvm.ptr<3>, "
                "i32"}},
     "is in a deadlock"},
    {"BulkThatDoesNotLoad",
     "bulk.mlir",
     {{kLoad, ""}},
     "which lacks 128 more bytes"},
    {"BulkOfHalfTiles",
     "bulk.mlir",
     {{"%full, %size : !llvm.ptr<3>, !llvm.ptr<1>",
       "%full, %half : !llvm.ptr<3>, !llvm.ptr<1>"},
      {"%expected = arith.constant 128",
       "%half = arith.constant 64 : i32\n%expected = arith.constant 64"}},
     "which nothing has written"},
    {"BulkOfAWholeWarp",
     "bulk.mlir",
     {{"%isProducer = arith.cmpi eq, %warp, %i0 : i32\n      scf.if "
       "%isProducer {\n        scf.if %isFirst {",
       "%isProducer = arith.cmpi eq, %warp, %i0 : i32\nscf.if %isProducer {\n"
       "scf.if %isProducer {"}},
     "of shared memory"},
    {"BulkThatIsFreedBeforeItIsRead",
     "bulk.mlir",
     {{"nvvm.mbarrier.arrive %empty : !llvm.ptr<3> // empty", ""},
      {"%value = llvm.load",
       "nvvm.mbarrier.arrive %empty : !llvm.ptr<3>\n%value = llvm.load"}},
     "copies to byte"},
    {"BulkThatNobodyWaitsForAtTheEnd",
     "bulk.mlir",
     {{"%isLeader = arith.cmpi eq, %lane, %i0",
       "%fewer = arith.subi %tiles, %i1 : i32\n"
       "%isLeader = arith.cmpi eq, %lane, %i0"},
      {"%end:2 = scf.for %tile = %i0 to %tiles step %i1 iter_args(%stage = "
       "%i0, %phase = %i0)",
       "%end:2 = scf.for %tile = %i0 to %fewer step %i1 iter_args(%stage = "
       "%i0, %phase = %i0)"}},
     "ends block (0, 0, 0) with an asynchronous copy (bulk.mlir:65:13) that no "
     "thread has waited for"},
    {"BulkThatReadsTheOtherStage",
     "bulk.mlir",
     {{"%skip = arith.muli %stage, %i32 : i32\n          %other",
       "%o = arith.subi %i1, %stage : i32\n"
       "%skip = arith.muli %o, %i32 : i32\n %other"}},
     "of shared memory"},
    {"BulkWhoseConsumerStaysInAPhase",
     "bulk.mlir",
     {{"%wraps, %turned, %phase : i32 // consumer",
       "%wraps, %phase, %phase : i32"}},
     "of shared memory|is in a deadlock"},
    {"BulkWhoseProducerStaysInAPhase",
     "bulk.mlir",
     {{"%wraps, %turned, %phase : i32 // producer",
       "%wraps, %phase, %phase : i32"}},
     "copies to byte|is in a deadlock|which lacks 0 arrivals"},
    //===------------------------------------------------------------------===//
    // Stores
    //===------------------------------------------------------------------===//
    {"BulkThatWritesWhatIsStored",
     "bulk.mlir",
     {{"nvvm.cp.async.bulk.wait_group 0 {read}", "//"}},
     "may still read"},
    {"BulkThatWaitsForTooLittle",
     "bulk.mlir",
     {{"nvvm.cp.async.bulk.wait_group 0 {read}",
       "nvvm.cp.async.bulk.wait_group 1 {read}"}},
     "may still read"},
    {"BulkThatDoesNotCommit",
     "bulk.mlir",
     {{"nvvm.cp.async.bulk.commit.group", ""}},
     "may still read"},
    {"BulkThatIsNotToldOfTheWait",
     "bulk.mlir",
     {{"nvvm.bar.warp.sync %all : i32 // free", ""}},
     "reads, with no barrier after that thread's wait|may still read|"
     "with no barrier between the two"},
    {"BulkThatIsStoredBeforeItIsWritten",
     "bulk.mlir",
     {{"nvvm.bar.warp.sync %all : i32 // written", ""}},
     "of shared memory"},
    {"BulkThatLeavesAStore",
     "bulk.mlir",
     {{"nvvm.cp.async.bulk.wait_group 0 // at the end", ""}},
     "leaves the kernel without having waited for its copies from shared "
     "memory, the last of which it began at bulk.mlir:98:13"},
    {"BulkThatLeavesAGroupOpen",
     "bulk.mlir",
     {{"nvvm.cp.async.bulk.wait_group 0 // at the end",
       "nvvm.cp.async.bulk.wait_group 0\n"
       "nvvm.cp.async.bulk.global.shared.cta %gy, %result, %size : "
       "!llvm.ptr<1>, !llvm.ptr<3>"}},
     "leaves the kernel without having waited for its copies"},
    {"BulkOfAnotherLane",
     "bulk.mlir",
     {{"scf.if %isLeader {\n            nvvm.cp.async.bulk.wait_group",
       "%isOther = arith.cmpi eq, %lane, %i1 : i32\n"
       "scf.if %isOther {\n nvvm.cp.async.bulk.wait_group"}},
     "may still read"},
    //===------------------------------------------------------------------===//
    // Places and sizes
    //===------------------------------------------------------------------===//
    {"BulkOfOddBytes",
     "bulk.mlir",
     {{"%size = arith.constant 128", "%size = arith.constant 124"}},
     "copies 124 bytes (bulk.mlir:65:13), which is not a multiple of 16"},
    {"BulkFromOddPlaces",
     "bulk.mlir",
     {{"%first = arith.muli %tile, %i32", "%first = arith.muli %tile, %i1"}},
     "at an address that is not a multiple of 16"},
    {"BulkOfTooManyTiles",
     "bulk.mlir",
     {{"%tiles = arith.constant 8", "%tiles = arith.constant 9"}},
     "of argument 0 ('x') (bulk.mlir:65:13), which has 1024 bytes|"
     "of argument 1 ('y') (bulk.mlir:98:13), which has 1024 bytes"},
    {"BulkOverBarriers",
     "bulk.mlir",
     {{"%shared[6]", "%shared[2]"}},
     "copies to byte 16 of shared memory (bulk.mlir:65:13), which belongs to"},
    {"BulkOfBarriers",
     "bulk.mlir",
     {{"%size : !llvm.ptr<1>, !llvm.ptr<3>",
       "%size : !llvm.ptr<1>, !llvm.ptr<3>\n"
       "nvvm.cp.async.bulk.global.shared.cta %to, %shared, %size : "
       "!llvm.ptr<1>, !llvm.ptr<3>"}},
     "copies byte 0 of shared memory (bulk.mlir:99:1), which belongs to"},
};

INSTANTIATE_TEST_SUITE_P(Bulk, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
