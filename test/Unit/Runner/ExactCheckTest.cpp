//===- ExactCheckTest.cpp - results that are equal or not -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/ExactCheck.h"
#include "attn/Support/Ring.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace mlir::attn;

namespace {

Array makeBits(std::initializer_list<uint32_t> values) {
  auto array =
      Array::create(ElementType::F32, {static_cast<int64_t>(values.size())});
  int64_t i = 0;
  for (uint32_t value : values) {
    std::memcpy(array->getAddress(i++), &value, sizeof(value));
  }
  return *array;
}

ExactComparison compare(unsigned determined, const Array &wanted,
                        const Array &actual) {
  Parameter parameter;
  parameter.name = "o";
  auto result = compareBits(parameter, determined, wanted, actual);
  EXPECT_TRUE(static_cast<bool>(result));
  return *result;
}

TEST(ExactCheck, OneBitIsADifference) {
  Array wanted = makeBits({1, 2, 3}), actual = makeBits({1, 2, 0x80000003});
  ExactComparison result = compare(64, wanted, actual);
  EXPECT_FALSE(result.passes());
  EXPECT_EQ(result.worst, 2);
  EXPECT_EQ(formatComparison(result, wanted, actual),
            "o (f32): 1 of 3 elements differ modulo 2^32: FAILED\n  at [2] it "
            "is 0x80000003, in the reference 0x00000003");
}

TEST(ExactCheck, OnlyDeterminedBitsCount) {
  Array wanted = makeBits({1, 2}), actual = makeBits({1, 0x10002});
  ExactComparison result = compare(16, wanted, actual);
  EXPECT_TRUE(result.passes());
  EXPECT_EQ(formatComparison(result, wanted, actual),
            "o (f32): 2 elements equal modulo 2^16");
  EXPECT_FALSE(compare(17, wanted, actual).passes());
}

TEST(ExactCheck, ShapesMustAgree) {
  Parameter parameter;
  parameter.name = "o";
  auto result = compareBits(parameter, 64, makeBits({1}), makeBits({1, 2}));
  EXPECT_EQ(llvm::toString(result.takeError()),
            "result 'o' differs in shape between the reference and the program "
            "under test");
}

TEST(Ring, PlainNumbersStandForThemselves) {
  EXPECT_EQ(embedConstant(1.0, 32), 1u);
  EXPECT_EQ(embedConstant(-1.0, 16), 0xffffu);
  EXPECT_EQ(embedConstant(-HUGE_VAL, 32), 0x80000000u);
  EXPECT_EQ(embedConstant(HUGE_VAL, 64), ~uint64_t(0) >> 1);
  EXPECT_EQ(embedOperand(-3.0, 32, 7), 0xfffffffdu);
}

TEST(Ring, OtherConstantsAreOddAndKeepTheirSign) {
  for (double value : {0.125, 0.7, 1e30, std::nan("")}) {
    EXPECT_EQ(embedConstant(value, 32) & 1, 1u);
  }
  EXPECT_EQ((embedConstant(0.7, 32) + embedConstant(-0.7, 32)) & 0xffffffff,
            0u);
  EXPECT_EQ(embedConstant(0.7, 64) & 0xffff, embedConstant(0.7, 16));
}

TEST(Ring, BasesAreInverse) {
  uint64_t product = embedConstant(std::log2(std::exp(1.0)), 64) *
                     embedConstant(std::log(2.0), 64);
  EXPECT_EQ(product, 1u);
  EXPECT_EQ(embedConstant(1.44269504f, 32),
            embedConstant(1.4426950408889634, 32));
}

TEST(Ring, OperandsDependOnTheSeed) {
  EXPECT_NE(embedOperand(0.3, 32, 1), embedOperand(0.3, 32, 2));
  EXPECT_EQ(embedOperand(0.3, 32, 1), embedOperand(0.3, 32, 1));
}

} // namespace
