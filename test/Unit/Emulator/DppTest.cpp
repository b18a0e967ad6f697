//===- DppTest.cpp - lanes of AMD's waves that read others ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which lane is read is written down here for each control, in the words of the
// ISA documents of CDNA 3 and RDNA 3.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "gtest/gtest.h"
#include <functional>

using namespace mlir::attn::test;

namespace {

constexpr int kOld = -7, kNone = -1;

/// What a wave of `lanes`, of which `active` are there, has read: of lane i,
/// 100 + i.
struct Result {
  std::string report;
  std::vector<int32_t> values;
};

Result read(const std::string &op, int lanes, int active = 0, int pattern = 0) {
  active = active ? active : lanes;
  Program program(
      "wave-dpp.mlir",
      {{"rocdl.update.dpp", "rocdl." + op + "\n", "%to = "},
       {"constant(0 :", "constant(" + std::to_string(pattern) + " :"},
       {"constant 64", "constant " + std::to_string(active)},
       {"gfx942", lanes == 64 ? "gfx942" : "gfx1100"}});
  if (!program.isCompiled()) {
    return {"it does not compile", {}};
  }
  std::vector<int32_t> x(64), y(64);
  for (int i = 0; i < 64; ++i) {
    x[i] = 100 + i;
  }
  std::string report = program.run({x, y});
  y.resize(active);
  return {report, y};
}

std::string dpp(int control, int rows = 15, int banks = 15, bool bound = true) {
  return "update.dpp %old, %value with " + std::to_string(control) + ", " +
         std::to_string(rows) + ", " + std::to_string(banks) + ", " +
         (bound ? "true" : "false") + " : i32";
}

using Source = std::function<int(int)>;

/// Lane i reads `source` of it, or has nothing to read.
void check(int control, int lanes, const Source &source) {
  for (bool bound : {true, false}) {
    Result result = read(dpp(control, 15, 15, bound), lanes);
    ASSERT_EQ(result.report, "");
    for (int i = 0; i < lanes; ++i) {
      int from = source(i);
      int right = from == kNone ? (bound ? 0 : kOld) : 100 + from;
      ASSERT_EQ(result.values[i], right)
          << "lane " << i << ", control " << control << ", bound " << bound;
    }
  }
}

void checkBoth(int control, const Source &source) {
  check(control, 64, source);
  check(control, 32, source);
}

TEST(Dpp, QuadPerm) {
  checkBoth(0xb1, [](int i) { return i ^ 1; });
  checkBoth(0x4e, [](int i) { return i ^ 2; });
  checkBoth(0x1b, [](int i) { return i ^ 3; });
  // [2, 0, 0, 1]
  checkBoth(0x42, [](int i) {
    const int from[] = {2, 0, 0, 1};
    return i / 4 * 4 + from[i % 4];
  });
}

TEST(Dpp, RowShifts) {
  checkBoth(0x103, [](int i) { return i % 16 + 3 < 16 ? i + 3 : kNone; });
  checkBoth(0x113, [](int i) { return i % 16 >= 3 ? i - 3 : kNone; });
  checkBoth(0x10f, [](int i) { return i % 16 == 0 ? i + 15 : kNone; });
  checkBoth(0x11f, [](int i) { return i % 16 == 15 ? i - 15 : kNone; });
}

TEST(Dpp, RowRotations) {
  checkBoth(0x128, [](int i) { return i ^ 8; });
  checkBoth(0x121, [](int i) { return i % 16 == 0 ? i + 15 : i - 1; });
}

TEST(Dpp, Mirrors) {
  checkBoth(0x140, [](int i) { return i ^ 15; });
  checkBoth(0x141, [](int i) { return i ^ 7; });
}

TEST(Dpp, OneLaneForARow) {
  checkBoth(0x155, [](int i) { return i / 16 * 16 + 5; });
}

TEST(Dpp, RowXmask) {
  for (int mask : {1, 2, 4, 8, 15}) {
    check(0x160 + mask, 32, [=](int i) { return i ^ mask; });
  }
}

TEST(Dpp, WavesOf64) {
  check(0x130, 64, [](int i) { return i < 63 ? i + 1 : kNone; });
  check(0x134, 64, [](int i) { return (i + 1) % 64; });
  check(0x138, 64, [](int i) { return i > 0 ? i - 1 : kNone; });
  check(0x13c, 64, [](int i) { return (i + 63) % 64; });
  // The last lane of each row, and of the first half.
  check(0x142, 64, [](int i) { return i < 16 ? kNone : i / 16 * 16 - 1; });
  check(0x143, 64, [](int i) { return i < 32 ? kNone : 31; });
}

TEST(Dpp, ControlsOfOtherGPUs) {
  Result result = read(dpp(0x142), 32);
  EXPECT_NE(result.report.find("has the control 0x142 at update.dpp "
                               "(wave-dpp.mlir:"),
            std::string::npos)
      << result.report;
  EXPECT_NE(result.report.find("which GPUs with waves of 32 lanes do not have"),
            std::string::npos);
  for (int control : {0x161, 0x100, 0x110, 0x131, 0x1ff}) {
    EXPECT_NE(read(dpp(control), 64)
                  .report.find("which GPUs with waves of 64 lanes do not have"),
              std::string::npos)
        << control;
  }
}

TEST(Dpp, MasksKeepTheOldValue) {
  // Rows 0 and 2, banks 1 and 3.
  Result result = read(dpp(0xb1, 0x5, 0xa), 64);
  ASSERT_EQ(result.report, "");
  for (int i = 0; i < 64; ++i) {
    bool isEnabled = i / 16 % 2 == 0 && i % 16 / 4 % 2 == 1;
    EXPECT_EQ(result.values[i], isEnabled ? 100 + (i ^ 1) : kOld) << i;
  }
}

TEST(Dpp, MasksDoNotHideWhatOthersRead) {
  // Row 1 alone is written, and reads the last lane of row 0.
  Result result = read(dpp(0x142, 0x2), 64);
  ASSERT_EQ(result.report, "");
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(result.values[i], i / 16 == 1 ? 115 : kOld) << i;
  }
}

TEST(Dpp, LanesThatAreNotActive) {
  // Of the second wave's row, 4 lanes are there; 3 reads 12.
  for (bool bound : {true, false}) {
    Result result = read(dpp(0x140, 15, 15, bound), 64, 20);
    ASSERT_EQ(result.report, "");
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(result.values[i], i < 16 ? 100 + (i ^ 15) : bound ? 0 : kOld);
    }
  }
}

std::string permute(const char *fetch, const char *bound) {
  return std::string("permlanex16 %old, %value, %low, %high, ") + fetch + ", " +
         bound + " : i32, i32";
}

TEST(Dpp, PermlaneX16) {
  Result result = read(permute("false", "true"), 32);
  ASSERT_EQ(result.report, "");
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(result.values[i], 100 + (i ^ 16)) << i;
  }
}

TEST(Dpp, PermlaneX16SelectsLanes) {
  // Low and high in each other's place: 8 to 15, and then 0 to 7.
  Result result =
      read("permlanex16 %old, %value, %high, %low, false, true : i32, i32", 32);
  ASSERT_EQ(result.report, "");
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(result.values[i], 100 + (i ^ 24)) << i;
  }
}

TEST(Dpp, PermlaneX16OfLanesThatAreNotActive) {
  for (bool bound : {true, false}) {
    Result result = read(permute("false", bound ? "true" : "false"), 32, 20);
    ASSERT_EQ(result.report, "");
    for (int i = 0; i < 20; ++i) {
      bool isActive = (i ^ 16) < 20;
      EXPECT_EQ(result.values[i], isActive ? 100 + (i ^ 16) : bound ? 0 : kOld);
    }
  }
  // Fetched all the same, they hold anything.
  Result result = read(permute("true", "true"), 32, 20);
  EXPECT_NE(result.report.find("at permlanex16 (wave-dpp.mlir:"),
            std::string::npos)
      << result.report;
  EXPECT_NE(result.report.find("which is not one of the lanes 0xfffff"),
            std::string::npos)
      << result.report;
}

TEST(Dpp, PermlaneX16OfALongWave) {
  EXPECT_NE(read(permute("false", "true"), 64)
                .report.find("which GPUs with waves of 64 lanes do not have"),
            std::string::npos);
}

/// The swizzle of a pattern; lane i reads `source` of it.
void checkSwizzle(int pattern, const Source &source) {
  for (int lanes : {32, 64}) {
    Result result = read("ds_swizzle %value, %pattern : (i32, i32) -> i32\n",
                         lanes, lanes, pattern);
    ASSERT_EQ(result.report, "");
    for (int i = 0; i < lanes; ++i) {
      ASSERT_EQ(result.values[i], 100 + source(i))
          << "lane " << i << ", pattern " << pattern;
    }
  }
}

TEST(Dpp, SwizzleByMasks) {
  checkSwizzle(0x1f | 0x10 << 10, [](int i) { return i ^ 16; });
  checkSwizzle(0x1f | 0x01 << 10, [](int i) { return i ^ 1; });
  checkSwizzle(0x10 | 0x03 << 5, [](int i) { return i / 16 * 16 + 3; });
  checkSwizzle(0x18 | 0x06 << 5 | 0x0c << 10, [](int i) {
    return i / 32 * 32 + (((i % 32 & 0x18) | 0x06) ^ 0x0c);
  });
}

TEST(Dpp, SwizzleOfFourLanes) {
  // [2, 0, 0, 1]
  checkSwizzle(0x8042, [](int i) {
    const int from[] = {2, 0, 0, 1};
    return i / 4 * 4 + from[i % 4];
  });
}

TEST(Dpp, SwizzleOfLanesThatAreNotActive) {
  Result result = read("ds_swizzle %value, %pattern : (i32, i32) -> i32\n", 64,
                       20, 0x1f | 0x10 << 10);
  ASSERT_EQ(result.report, "");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(result.values[i], (i ^ 16) < 20 ? 100 + (i ^ 16) : 0) << i;
  }
}

TEST(Dpp, HalfAWave) {
  Program program("wave-dpp.mlir",
                  {{"%read = rocdl.update.dpp %old, %value with 177, 15, 15, "
                    "true : i32",
                    "%c32 = arith.constant 32 : i32\n"
                    "%isLow = arith.cmpi ult, %thread, %c32 : i32\n"
                    "%read = scf.if %isLow -> i32 {\n"
                    "%p = rocdl.update.dpp %old, %value with 177, 15, 15, "
                    "true : i32\n"
                    "scf.yield %p : i32\n} else {\nscf.yield %old : i32\n}"}});
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> x(64), y(64);
  EXPECT_NE(program.run({x, y}).find("waits at update.dpp (wave-dpp.mlir:"),
            std::string::npos);
}

} // namespace
