//===- NpzTest.cpp - NumPy's archives of arrays ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Npy.h"
#include "gtest/gtest.h"

using namespace mlir::attn;

namespace {

Array makeArray(double start) {
  auto array = Array::create(ElementType::F32, {2, 2});
  for (int64_t i = 0; i < 4; ++i) {
    array->setFloat(i, start + static_cast<double>(i));
  }
  return *array;
}

std::string makeArchive() {
  auto bytes =
      formatNpz({{"a", makeArray(0.0)}, {"long name", makeArray(8.0)}});
  EXPECT_TRUE(static_cast<bool>(bytes));
  return *bytes;
}

std::string getError(const std::string &bytes) {
  auto members = parseNpz(bytes);
  return members ? "no error" : llvm::toString(members.takeError());
}

/// A deflated archive of one array, as NumPy's savez_compressed writes it:
/// member "x" holds the i4 vector [1, 2, 3].
std::string makeDeflated() {
  static const unsigned char bytes[] = {
#include "Inputs/deflated.inc"
  };
  return std::string(reinterpret_cast<const char *>(bytes), sizeof(bytes));
}

TEST(Npz, RoundTrips) {
  auto members = parseNpz(makeArchive());
  ASSERT_TRUE(static_cast<bool>(members));
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[0].first, "a");
  EXPECT_EQ((*members)[1].first, "long name");
  auto array = parseNpy((*members)[1].second, ElementType::F32);
  ASSERT_TRUE(static_cast<bool>(array));
  EXPECT_EQ(array->getFloat(3), 11.0);
}

TEST(Npz, ReadsDeflatedMembers) {
  auto members = parseNpz(makeDeflated());
  ASSERT_TRUE(static_cast<bool>(members)) << getError(makeDeflated());
  ASSERT_EQ(members->size(), 1u);
  EXPECT_EQ((*members)[0].first, "x");
  auto array = parseNpy((*members)[0].second, ElementType::I32);
  ASSERT_TRUE(static_cast<bool>(array));
  EXPECT_EQ(array->getInt(2), 3);
}

TEST(Npz, EmptyArchive) {
  auto bytes = formatNpz({});
  ASSERT_TRUE(static_cast<bool>(bytes));
  auto members = parseNpz(*bytes);
  ASSERT_TRUE(static_cast<bool>(members));
  EXPECT_TRUE(members->empty());
}

TEST(Npz, ChecksumsAreVerified) {
  std::string archive = makeArchive();
  archive[170] ^= 1; // inside the elements of the first member
  EXPECT_NE(getError(archive).find("fails its checksum"), std::string::npos)
      << getError(archive);
  std::string deflated = makeDeflated();
  deflated[deflated.size() / 3] ^= 0x10;
  EXPECT_NE(getError(deflated), "no error");
}

TEST(Npz, RefusesTheSameNameTwice) {
  auto bytes = formatNpz({{"a", makeArray(0.0)}, {"a", makeArray(0.0)}});
  ASSERT_TRUE(static_cast<bool>(bytes));
  EXPECT_NE(getError(*bytes).find("member 'a' occurs twice"),
            std::string::npos);
}

TEST(Npz, RefusesWhatIsNotAnArchive) {
  EXPECT_NE(getError("").find("no end record"), std::string::npos);
  EXPECT_NE(getError(std::string(100, 'x')).find("no end record"),
            std::string::npos);
}

TEST(Npz, RefusesImpossibleSizes) {
  // The declared size is far beyond what deflate could make of the bytes.
  std::string deflated = makeDeflated();
  size_t entry = deflated.rfind("PK\1\2");
  ASSERT_NE(entry, std::string::npos);
  deflated.replace(entry + 24, 4, std::string("\xff\xff\xff\x7f", 4));
  EXPECT_NE(getError(deflated).find("impossible size"), std::string::npos)
      << getError(deflated);
}

TEST(Npz, EveryTruncationIsAnError) {
  for (const std::string &archive : {makeArchive(), makeDeflated()}) {
    for (size_t length = 0; length < archive.size(); ++length) {
      EXPECT_NE(getError(archive.substr(0, length)), "no error") << length;
    }
  }
}

TEST(Npz, DamagedBytesNeverCrash) {
  for (const std::string &archive : {makeArchive(), makeDeflated()}) {
    for (size_t at = 0; at < archive.size(); ++at) {
      for (int value : {0, 1, 0x50, 0x7f, 0x80, 0xff}) {
        std::string damaged = archive;
        damaged[at] = static_cast<char>(value);
        (void)getError(damaged);
      }
    }
  }
}

} // namespace
