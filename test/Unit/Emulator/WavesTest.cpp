//===- WavesTest.cpp - waves of AMD's GPUs --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Registers of matrices are filled, and read, by tables that are written down
// here once more, apart from the compiler's. Each place was compared with what
// AMD's matrix instruction calculator 1.3.2 (github.com/ROCm) prints for
//
//   v_mfma_f32_16x16x16 of CDNA 2 and CDNA 3, v_wmma_f32_16x16x16 of RDNA 3 and
//   RDNA 4, each of f16 and of bf16, as --register-layout of A, B, C and D
//
// for all 256 elements. No card has been asked yet.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "attn/Dialect/Tile/IR/Tile.h"
#include "gtest/gtest.h"
#include <algorithm>
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
    {{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}},
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

/// The row and the column of each number that a lane has in a layout.
std::vector<std::array<int64_t, 2>> getPlaces(mlir::attn::tile::Atom atom,
                                              int lane) {
  const auto &shape = mlir::attn::tile::AtomShape::get(atom);
  std::vector<std::array<int64_t, 2>> places;
  for (size_t r = 0; r < size_t{1} << shape.registers.size(); ++r) {
    std::array<int64_t, 2> at = {0, 0};
    for (int axis : {0, 1}) {
      for (size_t bit = 0; bit < shape.lanes.size(); ++bit) {
        at[axis] += (lane >> bit & 1) * shape.lanes[bit][axis];
      }
      for (size_t bit = 0; bit < shape.registers.size(); ++bit) {
        at[axis] += (r >> bit & 1) * shape.registers[bit][axis];
      }
    }
    places.push_back(at);
  }
  return places;
}

/// Tiles are the transposed matrices: their rows are columns of D and of B.
void checkLayouts(const Layout &layout, mlir::attn::tile::Atom sums,
                  bool isOrdered) {
  auto operand = mlir::attn::tile::getOperandAtom(sums);
  ASSERT_TRUE(operand.has_value());
  ASSERT_EQ(mlir::attn::tile::AtomShape::get(sums).countLanes(),
            layout.lanes());
  std::vector<std::vector<int>> found(kExtent);
  for (int lane = 0; lane < layout.lanes(); ++lane) {
    int own = lane % kExtent, group = lane / kExtent;
    auto places = getPlaces(sums, lane);
    ASSERT_EQ(static_cast<int>(places.size()), layout.sums());
    for (int r = 0; r < layout.sums(); ++r) {
      EXPECT_EQ(places[r][0], own) << lane << " " << r;
      EXPECT_EQ(places[r][1], layout.rows[group][r]) << lane << " " << r;
    }
    places = getPlaces(*operand, lane);
    ASSERT_EQ(static_cast<int>(places.size()), layout.held());
    for (int e = 0; e < layout.held(); ++e) {
      EXPECT_EQ(places[e][0], own) << lane << " " << e;
      if (isOrdered) {
        EXPECT_EQ(places[e][1], layout.depths[group][e]) << lane << " " << e;
      }
      found[own].push_back(static_cast<int>(places[e][1]));
    }
  }
  // Whatever the order of k: each is there once, or in both halves.
  for (std::vector<int> &depths : found) {
    std::sort(depths.begin(), depths.end());
    int copies = static_cast<int>(depths.size()) / kExtent;
    for (size_t n = 0; n < depths.size(); ++n) {
      EXPECT_EQ(depths[n], static_cast<int>(n) / copies);
    }
  }
}

TEST(Waves, LayoutsOfTheDialect) {
  using mlir::attn::tile::Atom;
  checkLayouts(kMFMA, Atom::Mfma, /*isOrdered=*/true);
  checkLayouts(kRDNA3, Atom::WmmaAcc, /*isOrdered=*/true);
  // Operands have the k of the sums' columns, in another order than the
  // instruction's; both operands do.
  checkLayouts(kRDNA4, Atom::WmmaHalves, /*isOrdered=*/false);
}

TEST(Waves, ProductsDoNotDependOnTheOrderOfDepths) {
  Layout other = kRDNA4;
  other.depths = {{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}};
  checkProduct<_Float16>(other);
}

TEST(Waves, OperandsInDifferentOrders) {
  Program program("wave-product.mlir", getEdits<_Float16>(kRDNA4));
  ASSERT_TRUE(program.isCompiled());
  Layout other = kRDNA4;
  other.depths = {{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}};
  Matrices<_Float16> matrices(kRDNA4, 1);
  ASSERT_EQ(matrices.run(program), "");
  std::vector<float> right = matrices.d;
  matrices.b = Matrices<_Float16>(other, 1).b;
  ASSERT_EQ(matrices.run(program), "");
  EXPECT_NE(matrices.d, right);
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
