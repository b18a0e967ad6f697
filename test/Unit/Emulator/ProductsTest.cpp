//===- ProductsTest.cpp - matrices of a warp ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random matrices go through shared memory, ldmatrix and mma.sync; what comes
// out is compared with sums written as loops. A lane layout that is wrong, in
// either, gives other numbers.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "gtest/gtest.h"
#include <cstring>
#include <functional>
#include <limits>
#include <random>

using namespace mlir::attn::test;

namespace {

constexpr int kRows = 16, kColumns = 8;

/// A type that mma.sync multiplies.
struct Type {
  const char *name;
  int bytes;
  /// Writes a random element, and says what it is.
  std::function<double(std::mt19937 &, void *)> draw;
};

double drawFloat(std::mt19937 &random) {
  return std::uniform_int_distribution<int>(-64, 64)(random) / 16.0;
}

template <typename T> double drawInteger(std::mt19937 &random, void *place) {
  using Limits = std::numeric_limits<T>;
  auto value = static_cast<T>(
      std::uniform_int_distribution<int>(Limits::min(), Limits::max())(random));
  std::memcpy(place, &value, sizeof(value));
  return value;
}

template <typename T> double drawNumber(std::mt19937 &random, void *place) {
  auto value = static_cast<T>(drawFloat(random));
  std::memcpy(place, &value, sizeof(value));
  return static_cast<double>(value);
}

const Type kBF16 = {"bf16", 2, drawNumber<__bf16>};
const Type kF16 = {"f16", 2, drawNumber<_Float16>};
const Type kTF32 = {"tf32", 4, drawNumber<float>};
const Type kS8 = {"s8", 1, drawInteger<int8_t>};
const Type kU8 = {"u8", 1, drawInteger<uint8_t>};

/// Matrices of 32 bytes in each row.
struct Operands {
  Operands(const Type &typeA, const Type &typeB, unsigned seed)
      : depth(32 / typeA.bytes), a(kRows * 8), b(kColumns * 8),
        sums(kRows * kColumns) {
    std::mt19937 random(seed);
    std::vector<double> x(kRows * depth), y(kColumns * depth);
    fill(a, x, typeA, random);
    fill(b, y, typeB, random);
    for (int m = 0; m < kRows; ++m) {
      for (int n = 0; n < kColumns; ++n) {
        for (int k = 0; k < depth; ++k) {
          sums[m * kColumns + n] += x[m * depth + k] * y[n * depth + k];
        }
      }
    }
  }

  static void fill(std::vector<int32_t> &words, std::vector<double> &values,
                   const Type &type, std::mt19937 &random) {
    auto *bytes = reinterpret_cast<unsigned char *>(words.data());
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = type.draw(random, bytes + i * type.bytes);
    }
  }

  int depth;
  std::vector<int32_t> a, b;
  std::vector<double> sums;
};

/// What the kernel computes, in place of the product of bf16.
Edit compute(const std::string &text) {
  return {"// PRODUCT", text, "// STORE"};
}

constexpr const char *kWords = "A[%a0, %a1, %a2, %a3] B[%b0, %b1]";
constexpr const char *kFourFloats = "!llvm.struct<(f32, f32, f32, f32)>";

std::string multiply(const Type &a, const Type &b, const std::string &operands,
                     const std::string &signature,
                     const std::string &overflow = "") {
  std::string depth = std::to_string(32 / a.bytes);
  return "%d = nvvm.mma.sync " + operands + " {" + overflow +
         "layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, "
         "multiplicandAPtxType = #nvvm.mma_type<" +
         a.name + ">, multiplicandBPtxType = #nvvm.mma_type<" + b.name +
         ">, shape = #nvvm.shape<m = 16, n = 8, k = " + depth +
         ">} : " + signature + "\n";
}

/// Names the four elements that a lane has of the result.
std::string takeFloats() {
  std::string text;
  for (std::string i : {"0", "1", "2", "3"}) {
    text +=
        "%d" + i + " = llvm.extractvalue %d[" + i + "] : " + kFourFloats + "\n";
  }
  return text;
}

std::string takeIntegers() {
  std::string text;
  for (std::string i : {"0", "1", "2", "3"}) {
    text += "%i" + i + "d = llvm.extractvalue %d[" + i +
            "] : !llvm.struct<(i32, i32, i32, i32)>\n%d" + i +
            " = llvm.bitcast %i" + i + "d : i32 to f32\n";
  }
  return text;
}

std::string takeHalves() {
  std::string text;
  for (std::string r : {"0", "1"}) {
    text += "%pair" + r + " = llvm.extractvalue %d[" + r +
            "] : !llvm.struct<(vector<2xf16>, vector<2xf16>)>\n%wide" + r +
            " = llvm.fpext %pair" + r + " : vector<2xf16> to vector<2xf32>\n";
  }
  for (int i = 0; i < 4; ++i) {
    text += "%d" + std::to_string(i) + " = llvm.extractelement %wide" +
            std::to_string(i / 2) + "[" + (i % 2 ? "%i1" : "%nothing") +
            " : i32] : vector<2xf32>\n";
  }
  return text;
}

/// Operands as f16.
std::string castHalves() {
  std::string text;
  for (std::string word : {"a0", "a1", "a2", "a3", "b0", "b1"}) {
    text +=
        "%h" + word + " = llvm.bitcast %" + word + " : i32 to vector<2xf16>\n";
  }
  return text;
}

template <typename T>
void check(const Program &program, const Operands &operands,
           uint64_t seed = 0) {
  ASSERT_TRUE(program.isCompiled());
  std::vector<int32_t> a = operands.a, b = operands.b;
  std::vector<T> c(kRows * kColumns);
  ASSERT_EQ(program.run({a, b, c}, seed), "");
  for (int i = 0; i < kRows * kColumns; ++i) {
    ASSERT_EQ(static_cast<double>(c[i]), operands.sums[i]) << i;
  }
}

TEST(EmulatedProducts, BF16) {
  Program program("product.mlir");
  for (unsigned seed = 0; seed < 8; ++seed) {
    check<float>(program, Operands(kBF16, kBF16, seed), seed);
  }
}

TEST(EmulatedProducts, TF32) {
  std::string operands = std::string(kWords) + " C[%zero, %zero, %zero, %zero]";
  Program program(
      "product.mlir",
      {compute(multiply(kTF32, kTF32, operands,
                        std::string("(i32, i32, f32) -> ") + kFourFloats) +
               takeFloats())});
  check<float>(program, Operands(kTF32, kTF32, 7));
}

TEST(EmulatedProducts, F16) {
  Program program(
      "product.mlir",
      {compute(castHalves() +
               multiply(kF16, kF16,
                        "A[%ha0, %ha1, %ha2, %ha3] B[%hb0, %hb1] "
                        "C[%zero, %zero, %zero, %zero]",
                        std::string("(vector<2xf16>, vector<2xf16>, f32) -> ") +
                            kFourFloats) +
               takeFloats())});
  check<float>(program, Operands(kF16, kF16, 3));
}

TEST(EmulatedProducts, F16RoundsItsSums) {
  Program program(
      "product.mlir",
      {compute(castHalves() +
               "%hz = llvm.bitcast %nothing : i32 to vector<2xf16>\n" +
               multiply(kF16, kF16,
                        "A[%ha0, %ha1, %ha2, %ha3] B[%hb0, %hb1] C[%hz, %hz]",
                        "(vector<2xf16>, vector<2xf16>, vector<2xf16>) -> "
                        "!llvm.struct<(vector<2xf16>, vector<2xf16>)>") +
               takeHalves())});
  Operands operands(kF16, kF16, 5);
  for (double &sum : operands.sums) {
    sum = static_cast<double>(static_cast<_Float16>(sum));
  }
  check<float>(program, operands);
}

TEST(EmulatedProducts, BytesOfAllSigns) {
  for (const Type &a : {kS8, kU8}) {
    for (const Type &b : {kS8, kU8}) {
      std::string operands =
          std::string(kWords) + " C[%nothing, %nothing, %nothing, %nothing]";
      Program program("product.mlir",
                      {compute(multiply(a, b, operands,
                                        "(i32, i32, i32) -> "
                                        "!llvm.struct<(i32, i32, i32, i32)>",
                                        "intOverflowBehavior = "
                                        "#nvvm.mma_int_overflow<wrapped>, ") +
                               takeIntegers())});
      check<int32_t>(program, Operands(a, b, 11));
    }
  }
}

/// The sums of 32 products that begin at the largest number or above it.
TEST(EmulatedProducts, IntegersWrapOrStop) {
  for (bool stops : {false, true}) {
    std::string operands =
        std::string(kWords) + " C[%most, %most, %most, %most]";
    Program program(
        "product.mlir",
        {compute("%most = arith.constant 2147483647 : i32\n" +
                 multiply(kU8, kU8, operands,
                          "(i32, i32, i32) -> "
                          "!llvm.struct<(i32, i32, i32, i32)>",
                          std::string("intOverflowBehavior = "
                                      "#nvvm.mma_int_overflow<") +
                              (stops ? "satfinite" : "wrapped") + ">, ") +
                 takeIntegers())});
    Operands inputs(kU8, kU8, 13);
    for (double &sum : inputs.sums) {
      auto wrapped = static_cast<int32_t>(static_cast<uint32_t>(sum) +
                                          uint32_t{0x7fffffff});
      sum = stops ? 2147483647.0 : wrapped;
    }
    check<int32_t>(program, inputs);
  }
}

/// B with a row for each k, of 8 elements, comes transposed out of ldmatrix.
TEST(EmulatedProducts, TransposesOnTheWay) {
  std::string load = R"(
    %rowOfB = arith.andi %lane, %i15 : i32
    %at = arith.muli %rowOfB, %i4 : i32
    %address = llvm.getelementptr %tileB[%at]
      : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %bs2 = nvvm.ldmatrix %address {num = 2 : i32,
      layout = #nvvm.mma_layout<col>,
      shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>,
      eltType = #nvvm.ld_st_matrix_elt_type<b16>}
      : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
  )";
  Program program("product.mlir", {{"// LOAD B", load, "// END"}});
  Operands operands(kBF16, kBF16, 17);
  std::vector<int32_t> turned(operands.b.size());
  auto *from = reinterpret_cast<uint16_t *>(operands.b.data());
  auto *to = reinterpret_cast<uint16_t *>(turned.data());
  for (int n = 0; n < kColumns; ++n) {
    for (int k = 0; k < 16; ++k) {
      to[k * kColumns + n] = from[n * 16 + k];
    }
  }
  operands.b = turned;
  check<float>(program, operands);
}

TEST(EmulatedProducts, DoubleBuffered) {
  Program program("stages.mlir");
  ASSERT_TRUE(program.isCompiled());
  constexpr int kM = 32, kK = 96;
  std::mt19937 random(1);
  std::vector<__bf16> a(kM * kK), b(kColumns * kK);
  for (auto *matrix : {&a, &b}) {
    for (__bf16 &x : *matrix) {
      drawNumber<__bf16>(random, &x);
    }
  }
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> c(kM * kColumns);
    ASSERT_EQ(program.run({a, b, c}, seed), "");
    for (int m = 0; m < kM; ++m) {
      for (int n = 0; n < kColumns; ++n) {
        float sum = 0;
        for (int k = 0; k < kK; ++k) {
          sum += static_cast<float>(a[m * kK + k]) *
                 static_cast<float>(b[n * kK + k]);
        }
        ASSERT_EQ(c[m * kColumns + n], sum) << m << ", " << n;
      }
    }
  }
}

} // namespace
