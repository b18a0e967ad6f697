//===- ArrayTest.cpp - strided arrays of program elements -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Array.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace mlir::attn;

namespace {

TEST(Array, SizesThatOverflowAreRefused) {
  int64_t big = int64_t(1) << 62;
  EXPECT_EQ(getNumElements({big, 4}), std::nullopt);
  EXPECT_EQ(getNumElements({big, 4, 0}), 0);
  EXPECT_EQ(getNumElements({-1, 4}), std::nullopt);
  EXPECT_EQ(getNumBytes({big}, ElementType::F32), std::nullopt);
  EXPECT_FALSE(Array::create(ElementType::F32, {big, 4}));
  EXPECT_FALSE(Array::create(ElementType::F64, {big >> 4}));
}

TEST(Array, StartsPoisoned) {
  for (ElementType type : {ElementType::F64, ElementType::F32, ElementType::F16,
                           ElementType::BF16}) {
    auto array = Array::create(type, {3});
    ASSERT_TRUE(array);
    EXPECT_TRUE(std::isnan(array->getFloat(2))) << getName(type).str();
  }
}

TEST(Array, FloatsRoundToNearestEven) {
  auto half = Array::create(ElementType::F16, {1});
  half->setFloat(0, 1.0 + 0x1p-11); // a tie
  EXPECT_EQ(half->getFloat(0), 1.0);
  half->setFloat(0, 1.0 + 0x3p-11);
  EXPECT_EQ(half->getFloat(0), 1.0 + 0x1p-9);
  half->setFloat(0, 1e6);
  EXPECT_TRUE(std::isinf(half->getFloat(0)));
  half->setFloat(0, 0x1p-24);
  EXPECT_EQ(half->getFloat(0), 0x1p-24);
  auto bfloat = Array::create(ElementType::BF16, {1});
  bfloat->setFloat(0, 1.0 + 0x3p-8);
  EXPECT_EQ(bfloat->getFloat(0), 1.0 + 0x1p-6);
}

TEST(Array, CopiesKeepEveryBit) {
  auto array = Array::create(ElementType::F32, {2});
  uint32_t signalling = 0x7f800001, wanted = 0;
  std::memcpy(array->getAddress(1), &signalling, sizeof signalling);
  auto copy = array->convertTo(ElementType::F32);
  ASSERT_TRUE(copy);
  std::memcpy(&wanted, copy->getAddress(1), sizeof wanted);
  EXPECT_EQ(wanted, signalling);
}

TEST(Array, StridedViewHasTheSameElements) {
  auto array = Array::create(ElementType::I32, {2, 3});
  for (int64_t i = 0; i < 6; ++i) {
    array->setInt(i, 10 - i);
  }
  auto strided = array->createStrided();
  ASSERT_TRUE(strided);
  EXPECT_EQ(strided->getStrides().back(), 2);
  EXPECT_EQ(strided->getStrides().front(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(strided->getInt(i), 10 - i);
  }
}

TEST(Array, ConvertsExactlyToF64) {
  auto array = Array::create(ElementType::BF16, {2});
  array->setFloat(0, -2.5);
  array->setFloat(1, 0x1p-130);
  auto wide = array->convertTo(ElementType::F64);
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->getFloat(0), -2.5);
  EXPECT_EQ(wide->getFloat(1), 0x1p-130);
}

} // namespace
