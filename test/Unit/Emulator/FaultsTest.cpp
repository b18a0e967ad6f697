//===- FaultsTest.cpp - faults planted in good kernels --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each fault is an edit or two of a kernel of Inputs, and has to be reported,
// in the words that belong to it, whatever the schedule.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"

using namespace mlir::attn::test;

namespace {

struct Fault {
  const char *name;
  const char *file;
  std::vector<Edit> edits;
  /// A part of every report, or some between bars: one of them.
  const char *report;
};

const char *const kBarrier = "nvvm.barrier0";
const char *const kStaysAway = R"(
  %isAstray = arith.cmpi eq, %tid, %i1 : i32
  cf.cond_br %isAstray, ^away, ^goOn
^away:
  llvm.return
^goOn:
)";

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // Barriers
    //===------------------------------------------------------------------===//
    {"SumWithoutBarrier",
     "sum.mlir",
     {{kBarrier, ""}},
     "of shared memory (sum.mlir:"},
    {"SumWithWarpBarrier",
     "sum.mlir",
     {{kBarrier, "%all = arith.constant -1 : i32\n"
                 "nvvm.bar.warp.sync %all : i32"}},
     "of shared memory (sum.mlir:"},
    {"SumWithBarrierInBranch",
     "sum.mlir",
     {{kBarrier, ""},
      {"scf.if %isActive {", "scf.if %isActive {\nnvvm.barrier0"}},
     "waits at barrier 0"},
    {"SumOfTooManySteps",
     "sum.mlir",
     {{"%half = arith.constant 64", "%half = arith.constant 128"},
      {"%steps = arith.constant 7", "%steps = arith.constant 8"}},
     "of shared memory (sum.mlir:39:16), which has 512 bytes"},
    {"TransposeWithoutWarpBarrier",
     "transpose.mlir",
     {{"nvvm.bar.warp.sync %all : i32 // elements", "//"}},
     "of shared memory"},
    {"TransposeWithoutBarrier",
     "transpose.mlir",
     {{"nvvm.barrier0 // sums", "//"}},
     "of shared memory"},
    {"TransposeWithBarrierTooEarly",
     "transpose.mlir",
     {{"nvvm.barrier0 // sums", "//"},
      {"%sums = llvm.mlir", "nvvm.barrier0\n%sums = llvm.mlir"}},
     "of shared memory"},
    {"TransposeWithHalfAWarpAtTheBarrier",
     "transpose.mlir",
     {{"nvvm.bar.warp.sync %all : i32 // elements",
       "%low = arith.constant 65535 : i32\n"
       "%i16 = arith.constant 16 : i32\n"
       "%isLow = arith.cmpi ult, %lane, %i16 : i32\n"
       "scf.if %isLow {\nnvvm.bar.warp.sync %low : i32\n}\n//"}},
     "of shared memory|waits at shfl.sync"},
    {"TransposeOverTheOtherWarp",
     "transpose.mlir",
     {{"%start = arith.muli %warp, %i32 : i32",
       "%start = arith.muli %i0, %i32 : i32"}},
     "thread"},
    {"HistogramWithoutFirstBarrier",
     "histogram.mlir",
     {{"nvvm.barrier0 // zeros", "//"}},
     "of shared memory"},
    {"HistogramWithoutSecondBarrier",
     "histogram.mlir",
     {{"nvvm.barrier0 // counts", "//"}},
     "with no barrier between the two"},
    {"HistogramBarrierForOneWarp",
     "histogram.mlir",
     {{"nvvm.barrier0 // counts", "scf.if %owns {\nnvvm.barrier0\n}\n//"}},
     "for 64 more threads; thread 32 has left the kernel"},
    {"HistogramAtTwoBarriers",
     "histogram.mlir",
     {{"nvvm.barrier0 // counts",
       "scf.if %owns {\nnvvm.barrier0\n} else {\nnvvm.barrier0\n}\n//"}},
     "and others of the block at another"},
    {"HistogramSplitsAWarpAtTheBarrier",
     "histogram.mlir",
     {{"nvvm.barrier0 // counts",
       "%isOdd = arith.cmpi eq, %tid, %i31 : i32\n"
       "scf.if %isOdd {\nnvvm.barrier id = %i1\n} else {\n"
       "nvvm.barrier id = %i0\n}\n//"}},
     "waits at barrier"},
    {"HistogramThatIsLeft",
     "histogram.mlir",
     {{"nvvm.barrier0 // zeros", std::string(kStaysAway) + kBarrier + " //"}},
     "for 1 more threads; thread 1 has left the kernel"},
    {"StagesWithoutFullBarrier",
     "stages.mlir",
     {{"nvvm.barrier0 // the tile is there", "//"}},
     "with no barrier after that thread's wait"},
    {"StagesWithoutFreeBarrier",
     "stages.mlir",
     {{"nvvm.barrier0 // the tile is free", "//"}},
     "with no barrier between the two"},
    {"StagesWithWarpBarrierForFree",
     "stages.mlir",
     {{"nvvm.barrier0 // the tile is free",
       "nvvm.bar.warp.sync %all : i32 //"}},
     "with no barrier between the two"},
    {"StagesWithBarrierBeforeWait",
     "stages.mlir",
     {{"nvvm.cp.async.wait.group 1\n        nvvm.barrier0 // the tile is there",
       "nvvm.barrier0\nnvvm.cp.async.wait.group 1"}},
     "asynchronous copy"},
    {"StagesWithBarrierForOneWarp",
     "stages.mlir",
     {{"nvvm.barrier0 // the tile is free",
       "%isOne = arith.cmpi eq, %warp, %i0 : i32\n"
       "scf.if %isOne {\nnvvm.barrier0\n}\n//"}},
     "barrier"},
    //===------------------------------------------------------------------===//
    // Asynchronous copies
    //===------------------------------------------------------------------===//
    {"StagesWithoutWait",
     "stages.mlir",
     {{"nvvm.cp.async.wait.group 1", ""}},
     "asynchronous cop"},
    {"StagesThatWaitForTooLittle",
     "stages.mlir",
     {{"nvvm.cp.async.wait.group 1", "nvvm.cp.async.wait.group 2"}},
     "asynchronous cop"},
    {"StagesWithoutFirstCommit",
     "stages.mlir",
     {{"nvvm.cp.async.commit.group\n", ""}},
     "asynchronous cop"},
    {"StagesWithoutCommit",
     "stages.mlir",
     {{"nvvm.cp.async.commit.group // of", "//"}},
     "asynchronous cop"},
    {"StagesWithLateCommit",
     "stages.mlir",
     {{"nvvm.cp.async.commit.group // of the next tile\n"
       "        nvvm.cp.async.wait.group 1",
       "nvvm.cp.async.wait.group 1\nnvvm.cp.async.commit.group"}},
     "asynchronous cop"},
    {"StagesWithCommitInBranch",
     "stages.mlir",
     {{"nvvm.cp.async.commit.group // of", "//"},
      {"i32, i32, !llvm.ptr<3>) -> ()\n        }",
       "i32, i32, !llvm.ptr<3>) -> ()\nnvvm.cp.async.commit.group\n        }"}},
     "asynchronous cop"},
    {"StagesThatReadTheNextStage",
     "stages.mlir",
     {{"%stage = arith.andi %k,", "%stage = arith.andi %next,"}},
     "asynchronous cop"},
    {"StagesThatFillTheStageInUse",
     "stages.mlir",
     {{"%nextStage = arith.andi %next,", "%nextStage = arith.andi %k,"}},
     "copies to byte"},
    {"StagesOfOne",
     "stages.mlir",
     {{"%bytes = arith.constant 1280 : i32\n",
       "%bytes = arith.constant 0 : i32\n"}},
     "copies to byte"},
    {"StagesThatOverlap",
     "stages.mlir",
     {{"%bytes = arith.constant 1280 : i32\n",
       "%bytes = arith.constant 1264 : i32\n"}},
     "thread"},
    {"StagesThatLeaveACopy",
     "stages.mlir",
     {{"// END OF LOOP",
       "nvvm.barrier0\nllvm.call @fetch(%ga, %gb, %i0, %tid, %shared) : "
       "(!llvm.ptr<1>, !llvm.ptr<1>, i32, i32, !llvm.ptr<3>) -> ()\n"}},
     "leaves the kernel without having waited for"},
    {"StagesWithHalfOfB",
     "stages.mlir",
     {{"%copies = arith.cmpi ult, %tid, %i16",
       "%copies = arith.cmpi ult, %tid, %i8"}},
     "which nothing has written"},
    {"StagesWithoutB",
     "stages.mlir",
     {{"nvvm.cp.async.shared.global %toB, %fromB, 16, cache = cg : "
       "!llvm.ptr<3>, !llvm.ptr<1>",
       ""}},
     "which nothing has written"},
    {"StagesThatCopyTwice",
     "stages.mlir",
     {{"%copies = arith.cmpi ult",
       "nvvm.cp.async.shared.global %toA, %fromA, 16, cache = cg : "
       "!llvm.ptr<3>, !llvm.ptr<1>\n%copies = arith.cmpi ult"}},
     "copies to byte"},
    {"StagesThatStoreOverACopy",
     "stages.mlir",
     {{"%copies = arith.cmpi ult",
       "llvm.store %i16, %toA : i32, !llvm.ptr<3>\n%copies = arith.cmpi ult"}},
     "it has not waited for it"},
    {"ProductWithoutWait",
     "product.mlir",
     {{"nvvm.cp.async.wait.group 0", ""}},
     "asynchronous cop"},
    {"ProductWithoutCommit",
     "product.mlir",
     {{"nvvm.cp.async.commit.group", ""}},
     "asynchronous cop"},
    {"ProductWithoutBarrier",
     "product.mlir",
     {{"nvvm.bar.warp.sync %all : i32", ""}},
     "with no barrier after that thread's wait"},
    {"ProductThatWaitsForTooLittle",
     "product.mlir",
     {{"nvvm.cp.async.wait.group 0", "nvvm.cp.async.wait.group 1"}},
     "asynchronous cop"},
    {"ProductThatCopiesMoreThanItHas",
     "product.mlir",
     {{"%toA, %fromA, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>",
       "%toA, %fromA, 16, cache = cg, %i32 : !llvm.ptr<3>, !llvm.ptr<1>, i32"}},
     "copies 32 of 16 bytes asynchronously"},
    //===------------------------------------------------------------------===//
    // Bounds and alignment
    //===------------------------------------------------------------------===//
    {"SumOfOneBlockTooMany",
     "sum.mlir",
     {{"%c3 = arith.constant 3", "%c3 = arith.constant 4"}},
     "of argument 0 ('x') (sum.mlir:27:16), which has 1536 bytes"},
    {"SumToTheWrongPlace",
     "sum.mlir",
     {{"%y[%block]", "%y[%width]"}},
     "writes 4 bytes at byte 512 of argument 1 ('y')"},
    {"SumBeforeTheBuffer",
     "sum.mlir",
     {{"%first = arith.muli %block, %width : i32",
       "%first = arith.subi %block, %width : i32"}},
     "of argument 0 ('x') (sum.mlir:27:16), which has 1536 bytes"},
    {"SumWithLittleSharedMemory",
     "sum.mlir",
     {{"%bytes = arith.constant 512", "%bytes = arith.constant 256"}},
     "of shared memory (sum.mlir:"},
    {"StagesOfOneTileTooMany",
     "stages.mlir",
     {{"%tiles = arith.constant 6", "%tiles = arith.constant 7"}},
     "of argument 1 ('b')|of argument 0 ('a')"},
    {"StagesWithLittleSharedMemory",
     "stages.mlir",
     {{"%bytes = arith.constant 2560", "%bytes = arith.constant 2544"}},
     "of shared memory (stages.mlir:"},
    {"StagesAtOddPlaces",
     "stages.mlir",
     {{"%piece = arith.muli %tid, %i8", "%piece = arith.muli %tid, %i2"}},
     "at an address that is not a multiple of 16"},
    {"StagesFromOddPlaces",
     "stages.mlir",
     {{"%skip = arith.muli %half, %i8", "%skip = arith.muli %half, %i2"}},
     "at an address that is not a multiple of 16"},
    {"ProductOfOddRows",
     "product.mlir",
     {{"%skipA = arith.muli %halfA, %i4", "%skipA = arith.muli %halfA, %i2"}},
     "at an address that is not a multiple of 16"},
    {"ProductOfTooManyRows",
     "product.mlir",
     {{"%wordsB = arith.muli %rowB, %i8", "%wordsB = arith.muli %rowB, %i16"}},
     "of shared memory (product.mlir:"},
    //===------------------------------------------------------------------===//
    // Warps
    //===------------------------------------------------------------------===//
    {"ShuffleOfHalfAWarp",
     "shuffle.mlir",
     {{"%all = arith.constant -1", "%all = arith.constant 65535"}},
     "but not one of the lanes 0xffff"},
    {"ShuffleOutOfTheMask",
     "shuffle.mlir",
     {{"%sum = scf.for",
       "%low = arith.constant 65535 : i32\n%c16 = arith.constant 16 : i32\n"
       "%isLow = arith.cmpi ult, %lane, %c16 : i32\nscf.if %isLow {\n"
       "%far = nvvm.shfl.sync bfly %low, %value, %c16, %clamp : f32 -> f32\n"
       "}\n%sum = scf.for"}},
     "which is not one of the lanes 0xffff"},
    {"ShuffleThatALaneLeaves",
     "shuffle.mlir",
     {{"%sum = scf.for",
       "%isLast = arith.cmpi eq, %lane, %clamp : i32\n"
       "cf.cond_br %isLast, ^away, ^goOn\n^away:\nllvm.return\n^goOn:\n"
       "%sum = scf.for"}},
     "which has left the kernel"},
    {"ShuffleInBranches",
     "shuffle.mlir",
     {{"%b = nvvm.shfl.sync bfly %all, %a, %distance, %clamp : f32 -> f32",
       "%isLow = arith.cmpi ult, %lane, %c5 : i32\n"
       "%b = scf.if %isLow -> f32 {\n"
       "%p = nvvm.shfl.sync bfly %all, %a, %distance, %clamp : f32 -> f32\n"
       "scf.yield %p : f32\n} else {\n"
       "%q = nvvm.shfl.sync bfly %all, %a, %distance, %clamp : f32 -> f32\n"
       "scf.yield %q : f32\n}"}},
     "waits at shfl.sync (shuffle.mlir:"},
    {"ShuffleOfDifferentMasks",
     "shuffle.mlir",
     {{"%sum = scf.for",
       "%most = arith.constant -2 : i32\n"
       "%isLast = arith.cmpi eq, %lane, %clamp : i32\n"
       "%mask = arith.select %isLast, %most, %all : i32\n"
       "%far = nvvm.shfl.sync bfly %mask, %value, %c0, %clamp : f32 -> f32\n"
       "%sum = scf.for"}},
     "there for the lanes 0xff"},
    {"TransposeThatMeetsABarrierInAShuffle",
     "transpose.mlir",
     {{"%sum = scf.for", "%isOne = arith.cmpi eq, %lane, %i3 : i32\n"
                         "scf.if %isOne {\nnvvm.barrier0\n}\n%sum = scf.for"}},
     "which waits at barrier 0"},
    {"ProductInHalfAWarp",
     "product.mlir",
     {{"%as4 = nvvm", "cf.cond_br %copies, ^away, ^goOn\n^away:\nllvm.return\n"
                      "^goOn:\n%as4 = nvvm"}},
     "which has left the kernel"},
    {"ProductOfASmallWarp",
     "product.mlir",
     {{"threads in (%c32", "threads in (%c1"}},
     "in a warp of less than 32 threads"},
    //===------------------------------------------------------------------===//
    // Named barriers
    //===------------------------------------------------------------------===//
    {"ChannelThatNobodyFills",
     "channel.mlir",
     {{"nvvm.barrier.arrive id = %full number_of_threads = %threads", ""}},
     "is in a deadlock"},
    {"ChannelThatNobodyFrees",
     "channel.mlir",
     {{"nvvm.barrier.arrive id = %empty number_of_threads = %threads // again",
       "//"}},
     "waits at barrier 2 (channel.mlir:"},
    {"ChannelThatIsNotFreeAtFirst",
     "channel.mlir",
     {{"nvvm.barrier.arrive id = %empty number_of_threads = %threads // at",
       "//"}},
     "thread 0 of block (0, 0, 0) waits at barrier 2"},
    {"ChannelThatDoesNotWaitForFull",
     "channel.mlir",
     {{"nvvm.barrier id = %full number_of_threads = %threads // wait",
       "nvvm.barrier.arrive id = %full number_of_threads = %threads //"}},
     "of shared memory"},
    {"ChannelThatDoesNotWaitForEmpty",
     "channel.mlir",
     {{"nvvm.barrier id = %empty number_of_threads = %threads // wait",
       "nvvm.barrier.arrive id = %empty number_of_threads = %threads //"}},
     "of shared memory"},
    {"ChannelThatIsFreedBeforeItIsRead",
     "channel.mlir",
     {{"%value = llvm.load %theirs : !llvm.ptr<3> -> i32\n"
       "          %t = arith.addi %s, %value : i32\n",
       ""},
      {"          scf.yield %t : i32",
       "%value = llvm.load %theirs : !llvm.ptr<3> -> i32\n"
       "%t = arith.addi %s, %value : i32\nscf.yield %t : i32"}},
     "of shared memory"},
    {"ChannelThatIsFilledBeforeItIsWritten",
     "channel.mlir",
     {{"llvm.store %value, %place : i32, !llvm.ptr<3>\n", ""},
      {"nvvm.barrier.arrive id = %full number_of_threads = %threads",
       "nvvm.barrier.arrive id = %full number_of_threads = %threads\n"
       "llvm.store %value, %place : i32, !llvm.ptr<3>"}},
     "of shared memory"},
    {"ChannelOfOneBarrier",
     "channel.mlir",
     {{"%empty = arith.constant 2", "%empty = arith.constant 1"}},
     "thread"},
    {"ChannelOfTooManyThreads",
     "channel.mlir",
     {{"%threads = arith.constant 64", "%threads = arith.constant 96"}},
     "is in a deadlock"},
    {"ChannelOfOddThreads",
     "channel.mlir",
     {{"%threads = arith.constant 64", "%threads = arith.constant 48"}},
     "with 48 threads, which is not a multiple of 32"},
    {"ChannelOfTwoMinds",
     "channel.mlir",
     {{"nvvm.barrier id = %full number_of_threads = %threads // wait",
       "nvvm.barrier id = %full number_of_threads = %i32 //"}},
     "with 32 threads|with 32|of shared memory"},
    {"ChannelOfBarrier16",
     "channel.mlir",
     {{"%full = arith.constant 1", "%full = arith.constant 16"}},
     "uses barrier 16"},
    {"ChannelOfOneRowLess",
     "channel.mlir",
     {{"%row = %i0 to %rows step %i1 : i32",
       "%row = %i1 to %rows step %i1 : i32"}},
     "is in a deadlock"},
    //===------------------------------------------------------------------===//
    // Initialisation and atomic operations
    //===------------------------------------------------------------------===//
    {"HistogramWithoutZeros",
     "histogram.mlir",
     {{"llvm.store %i0, %mine : i32, !llvm.ptr<3>", ""}},
     "which nothing has written"},
    {"HistogramWithHalfTheZeros",
     "histogram.mlir",
     {{"%owns = arith.cmpi ult, %tid, %i32 : i32",
       "%i16 = arith.constant 16 : i32\n"
       "%owns = arith.cmpi ult, %tid, %i16 : i32"},
      {"%value = llvm.load %from : !llvm.ptr -> i32",
       "%value = arith.addi %tid, %i0 : i32"}},
     "which nothing has written"},
    {"HistogramOfPlainAdditions",
     "histogram.mlir",
     {{"%old = llvm.atomicrmw add %counter, %i1 monotonic : !llvm.ptr<3>, i32",
       "%old = llvm.load %counter : !llvm.ptr<3> -> i32\n"
       "%new = arith.addi %old, %i1 : i32\n"
       "llvm.store %new, %counter : i32, !llvm.ptr<3>"}},
     "of shared memory"},
    {"HistogramOfOnePlainAddition",
     "histogram.mlir",
     {{"%old = llvm.atomicrmw",
       "%isOne = arith.cmpi eq, %tid, %i31 : i32\nscf.if %isOne {\n"
       "llvm.store %i1, %counter : i32, !llvm.ptr<3>\n}\n%old = "
       "llvm.atomicrmw"}},
     "of shared memory"},
    {"HistogramOfTooManyBins",
     "histogram.mlir",
     {{"%bin = arith.andi %value, %i31 : i32",
       "%bin = arith.addi %i32, %i31 : i32"}},
     "changes 4 bytes at byte 252 of shared memory"},
    {"TransposeOfUnwrittenSums",
     "transpose.mlir",
     {{"scf.if %isFirst {\n", "scf.if %isFirst {\n//"},
      {"llvm.store %sum, %to : f32, !llvm.ptr<3> // for", "//"}},
     "which nothing has written"},
    {"TransposeOfFewElements",
     "transpose.mlir",
     {{"llvm.store %value, %mine : f32, !llvm.ptr<3>",
       "%isEarly = arith.cmpi ult, %lane, %i8 : i32\nscf.if %isEarly {\n"
       "llvm.store %value, %mine : f32, !llvm.ptr<3>\n}"}},
     "which nothing has written"},
};

void PrintTo(const Fault &fault, std::ostream *stream) {
  *stream << fault.name;
}

class PlantedFault : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, IsReported) {
  const Fault &fault = GetParam();
  Program program(fault.file, fault.edits);
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Memory memory(fault.file);
    std::string report = program.run(memory.getViews(), seed);
    llvm::SmallVector<llvm::StringRef> parts;
    llvm::StringRef(fault.report).split(parts, '|');
    EXPECT_TRUE(llvm::any_of(parts,
                             [&](llvm::StringRef part) {
                               return llvm::StringRef(report).contains(part);
                             }))
        << report << "; seed " << seed;
    EXPECT_NE(report.find("kernel '"), std::string::npos) << report;
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
