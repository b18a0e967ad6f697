//===- WavesTest.cpp - waves of AMD's GPUs --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Registers of matrices are filled, and read, by tables that are written down
// here once more, apart from the compiler's: those of AMD's instruction sets
// for CDNA 3 ("dense matrix fused multiply-add"), RDNA 3 and RDNA 4 ("wave
// matrix multiply accumulate"). No card has been asked yet.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "gtest/gtest.h"
#include <cstring>
#include <random>

using namespace mlir::attn::test;

namespace {

using Table = std::vector<std::vector<int>>;

constexpr int kExtent = 16;

/// By sixteen lanes: lane l of each has row l of A, column l of B and of D.
struct Layout {
  const char *chip;
  /// The k of each number that a lane has of A and of B.
  Table depths;
  /// The row of each sum that a lane has.
  Table rows;

  int lanes() const { return static_cast<int>(depths.size()) * kExtent; }
  int held() const { return static_cast<int>(depths[0].size()); }
  int sums() const { return static_cast<int>(rows[0].size()); }
};

const Layout kMFMA = {
    "gfx942",
    {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}},
    {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}}};

const Layout kRDNA3 = {
    "gfx1100",
    {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    {{0, 2, 4, 6, 8, 10, 12, 14}, {1, 3, 5, 7, 9, 11, 13, 15}}};

const Layout kRDNA4 = {
    "gfx1201",
    {{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}},
    {{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}}};

template <typename T> struct Number;
template <> struct Number<_Float16> {
  static constexpr const char *name = "f16", *element = "f16";
  static constexpr const char *mfma = "mfma.f32.16x16x16f16";
};
template <> struct Number<__bf16> {
  static constexpr const char *name = "bf16", *element = "i16";
  static constexpr const char *mfma = "mfma.f32.16x16x16bf16.1k";
};

template <typename T> std::vector<Edit> getEdits(const Layout &layout) {
  std::string product = "rocdl.";
  product += layout.lanes() == 64
                 ? std::string(Number<T>::mfma)
                 : "wmma.f32.16x16x16." + std::string(Number<T>::name);
  bool isMFMA = layout.lanes() == 64;
  return {
      {"vector<4xf16>", "vector<" + std::to_string(layout.held()) + "x" +
                            Number<T>::element + ">"},
      {"vector<4xf32>", "vector<" + std::to_string(layout.sums()) + "xf32>"},
      {"constant 64", "constant " + std::to_string(layout.lanes())},
      {"gfx942", layout.chip},
      {"%product = ",
       "%product = " + product +
           (isMFMA ? " %x, %y, %z, %none, %none, %none : (!operand, "
                     "!operand, !sums, i32, i32, i32) -> !sums\n"
                   : " %x, %y, %z : (!operand, !operand, !sums) -> "
                     "!sums\n"),
       "llvm.store"}};
}

template <typename T> struct Matrices {
  Matrices(const Layout &layout, unsigned seed)
      : layout(layout), a(layout.lanes() * layout.held()), b(a.size()),
        c(layout.lanes() * layout.sums()), d(c.size()) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> draw(-32, 32);
    for (auto *matrix : {&x, &y, &z}) {
      for (double &element : *matrix) {
        element = draw(random) / 8.0;
      }
    }
    for (int lane = 0; lane < layout.lanes(); ++lane) {
      int l = lane % kExtent, group = lane / kExtent;
      for (int e = 0; e < layout.held(); ++e) {
        int k = layout.depths[group][e];
        a[lane * layout.held() + e] = static_cast<T>(x[l * kExtent + k]);
        b[lane * layout.held() + e] = static_cast<T>(y[k * kExtent + l]);
      }
      for (int r = 0; r < layout.sums(); ++r) {
        c[lane * layout.sums() + r] =
            static_cast<float>(z[layout.rows[group][r] * kExtent + l]);
      }
    }
  }

  std::string run(const Program &program) {
    auto words = [](std::vector<T> &numbers) {
      return View(numbers.data(), static_cast<int64_t>(numbers.size() / 2));
    };
    return program.run({words(a), words(b), c, d});
  }

  void check() {
    for (int lane = 0; lane < layout.lanes(); ++lane) {
      int j = lane % kExtent;
      for (int r = 0; r < layout.sums(); ++r) {
        int i = layout.rows[lane / kExtent][r];
        double sum = z[i * kExtent + j];
        for (int k = 0; k < kExtent; ++k) {
          sum += x[i * kExtent + k] * y[k * kExtent + j];
        }
        ASSERT_EQ(d[lane * layout.sums() + r], sum) << lane << " " << r;
      }
    }
  }

  const Layout &layout;
  std::array<double, kExtent * kExtent> x, y, z;
  std::vector<T> a, b;
  std::vector<float> c, d;
};

template <typename T> void checkProduct(const Layout &layout) {
  Program program("wave-product.mlir", getEdits<T>(layout));
  ASSERT_TRUE(program.isCompiled());
  for (unsigned seed = 0; seed < 4; ++seed) {
    Matrices<T> matrices(layout, seed);
    ASSERT_EQ(matrices.run(program), "");
    matrices.check();
  }
}

TEST(Waves, MFMA) {
  checkProduct<_Float16>(kMFMA);
  checkProduct<__bf16>(kMFMA);
}

TEST(Waves, WMMAOfRDNA3) {
  checkProduct<_Float16>(kRDNA3);
  checkProduct<__bf16>(kRDNA3);
}

TEST(Waves, WMMAOfRDNA4) {
  checkProduct<_Float16>(kRDNA4);
  checkProduct<__bf16>(kRDNA4);
}

TEST(Waves, BothHalvesOfRDNA3HoldOperands) {
  Program program("wave-product.mlir", getEdits<_Float16>(kRDNA3));
  ASSERT_TRUE(program.isCompiled());
  Matrices<_Float16> matrices(kRDNA3, 1);
  matrices.b[20 * kRDNA3.held()] = 100;
  EXPECT_NE(matrices.run(program).find(
                "thread 20 of block (0, 0, 0) of kernel 'product' has other "
                "numbers of B at mfma or wmma (wave-product.mlir:"),
            std::string::npos);
}

TEST(Waves, MFMAInAShortWave) {
  Program program("wave-product.mlir", {{"gfx942", "gfx1100"}});
  ASSERT_TRUE(program.isCompiled());
  Matrices<_Float16> matrices(kMFMA, 1);
  EXPECT_NE(matrices.run(program).find(
                "which is for waves of 64 lanes, in one of 32"),
            std::string::npos);
}

/// What the sum of two waves reports, and whether its results are right.
std::pair<std::string, bool> sumWaves(const std::vector<Edit> &edits,
                                      uint64_t seed = 0) {
  Program program("wave-sum.mlir", edits);
  if (!program.isCompiled()) {
    return {"it does not compile", false};
  }
  std::vector<int32_t> x(128), y(128);
  int sums[2] = {};
  for (int i = 0; i < 128; ++i) {
    x[i] = i * i;
    sums[i / 64] += x[i];
  }
  std::string report = program.run({x, y}, seed);
  bool isRight = true;
  for (int i = 0; i < 128; ++i) {
    isRight &= y[i] == sums[1 - i / 64];
  }
  return {report, isRight};
}

TEST(Waves, Sum) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    auto [report, isRight] = sumWaves({}, seed);
    EXPECT_EQ(report, "");
    EXPECT_TRUE(isRight);
  }
}

TEST(Waves, SumOfTheWrongLanes) {
  // Addresses are of bytes.
  auto [report, isRight] =
      sumWaves({{"%c4 = arith.constant 4", "%c4 = arith.constant 1"}});
  EXPECT_EQ(report, "");
  EXPECT_FALSE(isRight);
}

TEST(Waves, SumWithoutABarrier) {
  auto [report, isRight] = sumWaves({{"rocdl.barrier\n", "\n"}});
  EXPECT_TRUE(report.find("with no barrier between the two") !=
                  std::string::npos ||
              report.find("which nothing has written") != std::string::npos)
      << report;
}

TEST(Waves, LanesThatAreNotThere) {
  auto [report, isRight] = sumWaves({{"constant 128", "constant 96"}});
  EXPECT_NE(report.find("at ds_bpermute (wave-sum.mlir:"), std::string::npos)
      << report;
  EXPECT_NE(report.find("which is not one of the lanes 0xffffffff"),
            std::string::npos)
      << report;
}

TEST(Waves, BpermuteOfHalfAWave) {
  auto [report, isRight] =
      sumWaves({{"%b = rocdl.ds_bpermute %address, %a : (i32, i32) -> i32",
                 "%c32 = arith.constant 32 : i32\n"
                 "%isLow = arith.cmpi ult, %lane, %c32 : i32\n"
                 "%b = scf.if %isLow -> i32 {\n"
                 "%p = rocdl.ds_bpermute %address, %a : (i32, i32) -> i32\n"
                 "scf.yield %p : i32\n} else {\nscf.yield %a : i32\n}"}});
  EXPECT_NE(report.find("waits at ds_bpermute (wave-sum.mlir:"),
            std::string::npos)
      << report;
}

TEST(Waves, SharedMemoryIsThatOfTheChip) {
  auto [report, isRight] = sumWaves({{"array<2 x i32>", "array<16385 x i32>"}});
  EXPECT_NE(report.find("the largest that a card has are 65536"),
            std::string::npos)
      << report;
}

} // namespace
