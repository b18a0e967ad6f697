//===- PatternsTest.cpp - operands from seeds -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir::attn;

namespace {

Array fill(ElementType type, llvm::ArrayRef<int64_t> shape,
           llvm::StringRef pattern, uint64_t seed = 0) {
  auto array = Array::create(type, shape);
  SizeMap sizes;
  sizes["N"] = 9;
  llvm::Error error = fillArray(*array, pattern, sizes, seed);
  EXPECT_FALSE(error) << pattern.str();
  return *array;
}

std::string getError(ElementType type, llvm::StringRef pattern) {
  auto array = Array::create(type, {4});
  return llvm::toString(fillArray(*array, pattern, SizeMap(), 0));
}

TEST(Patterns, SameSeedSameNumbers) {
  Array a = fill(ElementType::F32, {100}, "normal", 5);
  Array b = fill(ElementType::F32, {100}, "normal", 5);
  Array c = fill(ElementType::F32, {100}, "normal", 6);
  int64_t differing = 0;
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(a.getFloat(i), b.getFloat(i));
    differing += a.getFloat(i) != c.getFloat(i);
  }
  EXPECT_GT(differing, 90);
}

TEST(Patterns, NormalHasMeanZeroAndDeviationOne) {
  Array array = fill(ElementType::F64, {20000}, "normal");
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < array.size(); ++i) {
    sum += array.getFloat(i);
    squares += array.getFloat(i) * array.getFloat(i);
  }
  EXPECT_NEAR(sum / 20000, 0.0, 0.03);
  EXPECT_NEAR(squares / 20000, 1.0, 0.05);
}

TEST(Patterns, RangesAreInclusiveAndMeetTheirEnds) {
  for (llvm::StringRef text : {"range 2 N", "range(2, N)", "range(2,9)"}) {
    Array array = fill(ElementType::I32, {50}, text);
    int64_t least = 100, most = -100;
    for (int64_t i = 0; i < 50; ++i) {
      least = std::min(least, array.getInt(i));
      most = std::max(most, array.getInt(i));
    }
    EXPECT_EQ(least, 2);
    EXPECT_EQ(most, 9);
  }
  Array uniform = fill(ElementType::F32, {500}, "uniform 0.5 1.5");
  for (int64_t i = 0; i < 500; ++i) {
    EXPECT_GE(uniform.getFloat(i), 0.5);
    EXPECT_LE(uniform.getFloat(i), 1.5);
  }
}

TEST(Patterns, SegmentsAreSorted) {
  Array array = fill(ElementType::I32, {3, 40}, "segments(4)");
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t k = 1; k < 40; ++k) {
      EXPECT_LE(array.getInt(row * 40 + k - 1), array.getInt(row * 40 + k));
    }
    EXPECT_GE(array.getInt(row * 40), 0);
    EXPECT_LT(array.getInt(row * 40 + 39), 4);
  }
}

TEST(Patterns, PositionsIncrease) {
  Array array = fill(ElementType::I64, {2, 1, 30}, "positions(3)");
  for (int64_t k = 1; k < 30; ++k) {
    EXPECT_LT(array.getInt(k - 1), array.getInt(k));
    EXPECT_LT(array.getInt(30 + k - 1), array.getInt(30 + k));
  }
}

TEST(Patterns, PlantsWholeRows) {
  Array array = fill(ElementType::F32, {8, 16}, "nan-row");
  int64_t rows = 0;
  for (int64_t row = 0; row < 8; ++row) {
    int64_t nans = 0;
    for (int64_t k = 0; k < 16; ++k) {
      nans += std::isnan(array.getFloat(row * 16 + k));
    }
    EXPECT_TRUE(nans == 0 || nans == 16);
    rows += nans == 16;
  }
  EXPECT_EQ(rows, 1);
}

TEST(Patterns, EmptyArraysAndScalars) {
  for (llvm::StringRef text :
       {"normal", "late-max", "nan-row", "zeros", "iota"}) {
    (void)fill(ElementType::F32, {2, 0}, text);
    (void)fill(ElementType::F32, {0, 2}, text);
    (void)fill(ElementType::F32, {}, text);
  }
  for (llvm::StringRef text :
       {"segments", "positions", "range 0 3", "table 4"}) {
    (void)fill(ElementType::I32, {2, 0}, text);
    (void)fill(ElementType::I32, {}, text);
  }
}

TEST(Patterns, ErrorsNameThePattern) {
  EXPECT_NE(getError(ElementType::F32, "gauss").find("unknown pattern 'gauss'"),
            std::string::npos);
  EXPECT_NE(getError(ElementType::F32, "segments(2)").find("elements of f32"),
            std::string::npos);
  EXPECT_NE(getError(ElementType::I32, "range 1")
                .find("needs 2 numbers or dimensions after its name"),
            std::string::npos);
  EXPECT_NE(getError(ElementType::I32, "range 0 Q")
                .find("'Q' is neither a number nor a dimension"),
            std::string::npos);
  EXPECT_NE(getError(ElementType::I32, "").find("the pattern is empty"),
            std::string::npos);
}

} // namespace
