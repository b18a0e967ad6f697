//===- NpyTest.cpp - NumPy's array files ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Npy.h"
#include "gtest/gtest.h"

using namespace mlir::attn;

namespace {

/// A version 1.0 file with this header and these elements.
std::string makeFile(std::string header, std::string data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

std::string makeHeader(std::string descr, std::string shape,
                       std::string order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

std::string getError(std::string file, ElementType type) {
  auto array = parseNpy(file, type);
  if (array) {
    return "no error";
  }
  return llvm::toString(array.takeError());
}

void expectError(std::string file, ElementType type, std::string part) {
  EXPECT_NE(getError(file, type).find(part), std::string::npos)
      << getError(file, type);
}

TEST(Npy, RoundTripsEveryType) {
  for (ElementType type :
       {ElementType::F64, ElementType::F32, ElementType::F16, ElementType::BF16,
        ElementType::I64, ElementType::I32, ElementType::Index,
        ElementType::I1}) {
    auto array = Array::create(type, {2, 3});
    for (int64_t i = 0; i < 6; ++i) {
      if (isFloat(type)) {
        array->setFloat(i, 0.5 * static_cast<double>(i) - 1.0);
      } else {
        array->setInt(i, i % 2);
      }
    }
    auto read = parseNpy(formatNpy(*array), type);
    ASSERT_TRUE(static_cast<bool>(read)) << getName(type).str();
    EXPECT_EQ(read->getShape(), array->getShape());
    for (int64_t i = 0; i < 6; ++i) {
      EXPECT_EQ(read->getNumber(i), array->getNumber(i));
    }
  }
}

TEST(Npy, RoundTripsScalarsAndEmptyArrays) {
  auto scalar = Array::create(ElementType::F32, {});
  scalar->setFloat(0, 7.25);
  auto read = parseNpy(formatNpy(*scalar), ElementType::F32);
  ASSERT_TRUE(static_cast<bool>(read));
  EXPECT_TRUE(read->getShape().empty());
  EXPECT_EQ(read->getFloat(0), 7.25);
  auto empty = Array::create(ElementType::F32, {3, 0, 2});
  auto readEmpty = parseNpy(formatNpy(*empty), ElementType::F32);
  ASSERT_TRUE(static_cast<bool>(readEmpty));
  EXPECT_EQ(readEmpty->getShape(), empty->getShape());
}

TEST(Npy, ElementsStartAtAMultipleOf64) {
  auto array = Array::create(ElementType::F64, {1});
  EXPECT_EQ((formatNpy(*array).size() - 8) % 64, 0u);
}

TEST(Npy, ReadsColumnMajorOrder) {
  auto array = parseNpy(makeFile(makeHeader("|b1", "(2, 3)", "True"),
                                 std::string("\1\0\0\1\1\0", 6)),
                        ElementType::I1);
  ASSERT_TRUE(static_cast<bool>(array));
  int64_t wanted[6] = {1, 0, 1, 0, 1, 0};
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(array->getInt(i), wanted[i]) << i;
  }
}

TEST(Npy, ReadsBigEndianAndOtherIntegerWidths) {
  auto array = parseNpy(
      makeFile(makeHeader(">i2", "(2,)"), std::string("\xff\xfe\1\2", 4)),
      ElementType::I64);
  ASSERT_TRUE(static_cast<bool>(array));
  EXPECT_EQ(array->getInt(0), -2);
  EXPECT_EQ(array->getInt(1), 258);
}

TEST(Npy, ReadsBf16FromBothOfItsSpellings) {
  for (std::string descr : {"<u2", "|V2"}) {
    auto array = parseNpy(
        makeFile(makeHeader(descr, "(1,)"), std::string("\x20\xc0", 2)),
        ElementType::BF16);
    ASSERT_TRUE(static_cast<bool>(array)) << descr;
    EXPECT_EQ(array->getFloat(0), -2.5);
  }
}

TEST(Npy, RefusesOtherTypes) {
  std::string file = makeFile(makeHeader("<f8", "(1,)"), std::string(8, '\0'));
  expectError(file, ElementType::F32, "it holds float64 where f32 is needed");
  expectError(file, ElementType::I32, "it holds float64 where i32 is needed");
  expectError(makeFile(makeHeader("<u2", "(1,)"), std::string(2, '\0')),
              ElementType::F16, "it holds uint16 where f16 is needed");
}

TEST(Npy, RefusesIntegersThatDoNotFit) {
  std::string bytes(8, '\xff');
  expectError(makeFile(makeHeader("<u8", "(1,)"), bytes), ElementType::I64,
              "element 0 does not fit into i64");
  std::string large("\0\0\0\0\1\0\0\0", 8);
  expectError(makeFile(makeHeader("<i8", "(1,)"), large), ElementType::I32,
              "element 0 does not fit into i32");
}

TEST(Npy, RefusesShapesThatOverflow) {
  expectError(makeFile(makeHeader("<f4", "(4611686018427387904, 4)"), "data"),
              ElementType::F32,
              "the shape describes more elements than 63 bits can count");
  expectError(makeFile(makeHeader("<f4", "(2305843009213693952,)"), "data"),
              ElementType::F32,
              "the shape describes more elements than 63 bits can count");
  expectError(makeFile(makeHeader("<f4", "(99999999999999999999,)"), "data"),
              ElementType::F32, "the shape has an extent that is not a size");
  expectError(makeFile(makeHeader("<f4", "(-1,)"), "data"), ElementType::F32,
              "the shape has an extent that is not a size");
}

TEST(Npy, RefusesMissingElements) {
  expectError(makeFile(makeHeader("<f4", "(3,)"), std::string(11, '\0')),
              ElementType::F32,
              "it holds 11 bytes of elements where the shape asks for 12");
}

TEST(Npy, RefusesMalformedHeaders) {
  ElementType type = ElementType::F32;
  expectError("", type, "magic string");
  expectError("PK\3\4", type, "magic string");
  expectError(std::string("\x93NUMPY\x09\x00\0\0", 10), type,
              "unknown format version 9");
  expectError("\x93NUMPY\x01", type, "it ends inside the version");
  expectError(std::string("\x93NUMPY\x01\x00\x09", 9), type,
              "it ends inside the header length");
  expectError(std::string("\x93NUMPY\x01\x00\x09\x00{", 11), type,
              "it ends inside the header");
  expectError(makeFile("[1]", ""), type, "the header is not a dictionary");
  expectError(makeFile("{'descr': '<f4'", ""), type,
              "the header is cut off or malformed");
  expectError(makeFile("{'descr': '<f4', 'descr': '<f4'}", ""), type,
              "unexpected key 'descr'");
  expectError(makeFile("{'colour': 1}", ""), type,
              "unexpected key 'colour' in the header");
  expectError(makeFile("{'descr': '<f4'}", ""), type,
              "the header lacks descr, fortran_order or shape");
  expectError(makeFile("{'descr': [('a', '<f4')]}", ""), type,
              "structured element types are not supported");
  expectError(makeFile("{'descr': 'f'}", ""), type, "unknown element type 'f'");
  expectError(makeFile("{'fortran_order': 1}", ""), type,
              "fortran_order is neither True nor False");
}

TEST(Npy, RefusesMalformedShapes) {
  ElementType type = ElementType::F32;
  expectError(makeFile("{'shape': 3}", ""), type, "the shape is not a tuple");
  expectError(makeFile("{'shape': (3 4)}", ""), type, "the shape is malformed");
  std::string many;
  for (int axis = 0; axis < 65; ++axis) {
    many += "1, ";
  }
  expectError(makeFile(makeHeader("<f4", "(" + many + ")"), "data"), type,
              "the shape has more than 64 dimensions");
}

TEST(Npy, NamesTypesThatNoElementHas) {
  auto type = getNpyType(makeFile(makeHeader("<c16", "(1,)"), ""));
  ASSERT_FALSE(static_cast<bool>(type));
  EXPECT_EQ(llvm::toString(type.takeError()),
            "elements of type 'c16' are not supported");
}

TEST(Npy, EveryTruncationIsAnError) {
  auto array = Array::create(ElementType::F32, {2, 2});
  for (int64_t i = 0; i < 4; ++i) {
    array->setFloat(i, 1.0);
  }
  std::string file = formatNpy(*array);
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_NE(getError(file.substr(0, length), ElementType::F32), "no error")
        << length;
  }
}

TEST(Npy, DamagedBytesNeverCrash) {
  auto array = Array::create(ElementType::F32, {2, 2});
  std::string file = formatNpy(*array);
  for (size_t at = 0; at < file.size(); ++at) {
    for (int value : {0, 1, 0x27, 0x28, 0x39, 0x7f, 0xff}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(value);
      (void)getError(damaged, ElementType::F32);
    }
  }
}

} // namespace
