//===- TilesTest.cpp - a kernel of the tile dialect -----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What verifiers of channels do not see, the emulator does: stages and groups
// that are mixed up.
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include <bit>

using namespace mlir::attn::test;

namespace {

TEST(EmulatedTiles, AreAddedUp) {
  Program program("tiles.mlir");
  ASSERT_TRUE(program.isCompiled());
  Memory memory("tiles.mlir");
  std::vector<float> wanted(16 * 8);
  for (size_t i = 0; i < memory.words[0].size(); ++i) {
    auto value = static_cast<float>(i * i % 101);
    memory.words[0][i] = std::bit_cast<int32_t>(value);
    wanted[i % wanted.size()] += value;
  }
  EXPECT_EQ(program.run(memory.getViews(), /*seed=*/7), "");
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(std::bit_cast<float>(memory.words[1][i]), wanted[i]) << i;
  }
}

const char *const kYield = "scf.yield %t, %p1, %c1";
const char *const kStart = "%p = %third, %c = %first";

const Fault kFaults[] = {
    {"TilesWaitForTooFew",
     "tiles.mlir",
     {{"later(1)", "later(2)"}},
     "asynchronous copy|with no barrier after that thread's wait"},
    {"TilesDoNotWait",
     "tiles.mlir",
     {{"later(1)", "later(1) if %false"}},
     "asynchronous copy|which nothing has written|with no barrier"},
    {"TilesAreReadWhereTheNextGo",
     "tiles.mlir",
     {{"tile.fetch %now", "tile.fetch %to1"}},
     "asynchronous copy|with no barrier"},
    {"TilesGoWhereOneIsRead",
     "tiles.mlir",
     {{"rows(%later to %n) columns(8 of 8), %to",
       "rows(%later to %n) columns(8 of 8), %now"}},
     "asynchronous copy|with no barrier|which nothing has written"},
    {"TilesWriterStays",
     "tiles.mlir",
     {{kYield, "scf.yield %t, %p, %c1"}},
     "asynchronous copy|with no barrier"},
    {"TilesReaderStays",
     "tiles.mlir",
     {{kYield, "scf.yield %t, %p1, %c"}},
     "asynchronous copy|with no barrier"},
    {"TilesReaderFollowsTheWriter",
     "tiles.mlir",
     {{kYield, "scf.yield %t, %p1, %p1"}},
     "asynchronous copy|with no barrier"},
    {"TilesWriterIsOneBehind",
     "tiles.mlir",
     {{kStart, "%p = %second, %c = %first"}},
     "asynchronous copy|with no barrier"},
    {"TilesReaderIsOneAhead",
     "tiles.mlir",
     {{kStart, "%p = %third, %c = %second"}},
     "asynchronous copy|with no barrier"},
    {"TilesAreBroughtToTheEnd",
     "tiles.mlir",
     {{"scf.if %wanted", "%always = arith.constant true\n scf.if %always"}},
     "without having waited for"},
};

INSTANTIATE_TEST_SUITE_P(Tiles, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
