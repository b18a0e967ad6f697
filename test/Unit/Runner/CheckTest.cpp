//===- CheckTest.cpp - results against their error budget -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Check.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir::attn;

namespace {

Array makeFloats(ElementType type, std::initializer_list<double> values) {
  auto array = Array::create(type, {static_cast<int64_t>(values.size())});
  int64_t i = 0;
  for (double value : values) {
    array->setFloat(i++, value);
  }
  return *array;
}

Array makeInts(std::initializer_list<int64_t> values) {
  auto array =
      Array::create(ElementType::I64, {static_cast<int64_t>(values.size())});
  int64_t i = 0;
  for (int64_t value : values) {
    array->setInt(i++, value);
  }
  return *array;
}

Comparison compare(const Array &exact, const Array &materialised,
                   const Array &actual) {
  Parameter parameter;
  parameter.name = "o";
  parameter.type = actual.getType();
  auto result = compareResults(parameter, exact, materialised, actual);
  EXPECT_TRUE(static_cast<bool>(result));
  return *result;
}

constexpr double kUlp = 0x1p-23;

TEST(Check, TwiceTheMaterialisedErrorIsAllowed) {
  Array exact = makeFloats(ElementType::F64, {1.0, 0.5});
  Array plain = makeFloats(ElementType::F32, {1.0 + 20 * kUlp, 0.5});
  double allowed = 44 * kUlp; // twice 20, and the floor of 4
  EXPECT_TRUE(
      compare(exact, plain, makeFloats(ElementType::F32, {1.0, 0.5 + allowed}))
          .passes());
  EXPECT_FALSE(
      compare(exact, plain,
              makeFloats(ElementType::F32, {1.0, 0.5 + allowed + kUlp}))
          .passes());
}

TEST(Check, NonFiniteNumbersMustStayWhereTheyAre) {
  double nan = std::nan(""), infinity = HUGE_VAL;
  Array exact = makeFloats(ElementType::F64, {nan, 1e39, 1.0});
  Array plain = makeFloats(ElementType::F32, {nan, infinity, 1.0});
  EXPECT_TRUE(
      compare(exact, plain, makeFloats(ElementType::F32, {nan, infinity, 1.0}))
          .passes());
  for (auto values :
       {std::array{0.0, infinity, 1.0}, std::array{nan, 3e38, 1.0},
        std::array{nan, -infinity, 1.0}, std::array{nan, infinity, nan}}) {
    Comparison result = compare(
        exact, plain,
        makeFloats(ElementType::F32, {values[0], values[1], values[2]}));
    EXPECT_EQ(result.mismatches, 1);
    EXPECT_FALSE(result.passes());
  }
}

TEST(Check, NonFiniteNumbersMayBeThoseOfTheTruth) {
  double nan = std::nan(""), infinity = HUGE_VAL;
  Array exact = makeFloats(ElementType::F64, {-infinity, 1.0});
  Array plain = makeFloats(ElementType::F32, {nan, 1.0});
  auto check = [&](double value) {
    return compare(exact, plain, makeFloats(ElementType::F32, {value, 1.0}));
  };
  EXPECT_TRUE(check(-infinity).passes());
  EXPECT_TRUE(check(nan).passes());
  EXPECT_FALSE(check(infinity).passes());
  EXPECT_FALSE(check(0.0).passes());
}

TEST(Check, IntegersAreEqualToOneOfTheReferences) {
  Array exact = makeInts({1, 2, 3}), plain = makeInts({1, 2, 4});
  EXPECT_TRUE(compare(exact, plain, makeInts({1, 2, 4})).passes());
  Comparison tie = compare(exact, plain, makeInts({1, 2, 3}));
  EXPECT_TRUE(tie.passes());
  EXPECT_EQ(tie.ties, 1);
  Comparison wrong = compare(exact, plain, makeInts({1, 0, 4}));
  EXPECT_FALSE(wrong.passes());
  EXPECT_EQ(wrong.worst, 1);
}

TEST(Check, ShapesMustAgree) {
  Parameter parameter;
  parameter.name = "o";
  auto result = compareResults(parameter, makeFloats(ElementType::F64, {1, 2}),
                               makeFloats(ElementType::F32, {1, 2}),
                               makeFloats(ElementType::F32, {1}));
  ASSERT_FALSE(static_cast<bool>(result));
  EXPECT_NE(llvm::toString(result.takeError()).find("differs in shape"),
            std::string::npos);
}

TEST(Check, PositionsAreRowMajor) {
  auto array = Array::create(ElementType::F32, {2, 3, 4});
  EXPECT_EQ(formatPosition(*array, 0), "[0, 0, 0]");
  EXPECT_EQ(formatPosition(*array, 17), "[1, 1, 1]");
}

} // namespace
