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
  EXPECT_NE(getError(deflated).find("has an impossible size"),
            std::string::npos)
      << getError(deflated);
}

/// Where fields of an entry of the directory, and of the end record, lie.
constexpr size_t kFlags = 8, kMethod = 10, kSizes = 20, kNameBytes = 28,
                 kLocalOffset = 42;
constexpr size_t kDirectoryOffset = 16;

/// What is said of an archive of one member after some bytes of its entry in
/// the directory, or of the end record, are replaced.
std::string damage(const char *record, size_t at, std::string bytes) {
  std::string archive = makeDeflated();
  size_t start = archive.rfind(record);
  EXPECT_NE(start, std::string::npos);
  archive.replace(start + at, bytes.size(), bytes);
  return getError(archive);
}

constexpr const char *kEntry = "PK\1\2", *kEnd = "PK\5\6";

TEST(Npz, RefusesDamagedEntries) {
  std::string prefix = "not a readable .npz file: ";
  EXPECT_EQ(damage(kEntry, 0, "XX"),
            prefix + "the central directory is cut off or malformed");
  EXPECT_EQ(damage(kEntry, kNameBytes, "\xff\x7f"),
            prefix + "the central directory ends inside an entry");
  EXPECT_EQ(damage(kEntry, kFlags, "\1"),
            prefix + "member 'x.npy' is encrypted");
  EXPECT_EQ(damage(kEntry, kMethod, "\x0c"),
            prefix + "member 'x.npy' is compressed by a method other "
                     "than stored and deflated");
  EXPECT_EQ(damage(kEntry, kLocalOffset, "\5"),
            prefix + "member 'x.npy' has no local header");
  EXPECT_EQ(damage(kEnd, kDirectoryOffset, "\xff\xff\xff\x7f"),
            prefix + "the central directory lies outside of the file");
}

TEST(Npz, RefusesWhatDoesNotInflate) {
  // There is no third kind of compressed block.
  std::string archive = makeDeflated();
  size_t name = archive.find("x.npy");
  ASSERT_NE(name, std::string::npos);
  size_t extra = static_cast<unsigned char>(archive[28]);
  archive[name + 5 + extra] = '\x07';
  EXPECT_EQ(getError(archive),
            "not a readable .npz file: member 'x.npy' does not decompress");
}

TEST(Npz, RefusesMalformedSizesOf64Bits) {
  EXPECT_EQ(damage(kEntry, kSizes, std::string(4, '\xff')),
            "not a readable .npz file: member 'x.npy' has malformed 64-bit "
            "sizes");
  std::string locator("PK\6\7\0\0\0\0\xff\xff\0\0\0\0\0\0\1\0\0\0", 20);
  std::string archive = makeDeflated();
  archive.insert(archive.rfind(kEnd), locator);
  EXPECT_EQ(getError(archive),
            "not a readable .npz file: the 64-bit end record is missing");
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
