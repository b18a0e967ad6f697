//===- BoxesTest.cpp - boxes of tensors -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"
#include "attn_emulator.h"
#include "gtest/gtest.h"
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

using namespace mlir::attn::test;

namespace {

const char *const kStore =
    "nvvm.cp.async.bulk.tensor.global.shared.cta %to, %box, "
    "box[%c0, %c1, %c2]";

std::string reduceBy(const char *kind) {
  return "nvvm.cp.async.bulk.tensor.reduce %to, %box, box[%c0, %c1, %c2] "
         "{redKind = #nvvm.tma_redux_kind<" +
         std::string(kind) + ">}";
}

/// Two maps of tensors of 20 x 7 x 3 words, and what box.mlir is launched with.
/// A row of 4-byte elements is 20 of 24 words.
struct Boxes {
  static constexpr int64_t kSizes[3] = {20, 7, 3}, kPitch = 24;
  static constexpr int64_t kWords = kPitch * 7 * 3;

  Boxes() : z(kWords, 1000), y(3 * 1024) {
    // What is behind it belongs to no other buffer.
    x.reserve(4 * kWords);
    x.resize(kWords);
    std::iota(x.begin(), x.end(), 1);
    tensor.type = ATTN_EMULATOR_S32;
    tensor.rank = 3;
    for (int d = 0; d < 3; ++d) {
      tensor.sizes[d] = kSizes[d];
      tensor.element_strides[d] = 1;
    }
    tensor.strides[1] = kPitch * 4;
    tensor.strides[2] = kPitch * 4 * 7;
    tensor.box[0] = 8;
    tensor.box[1] = 8;
    tensor.box[2] = 2;
    tensor.swizzle = 32;
  }

  /// What is wrong with the maps, or null.
  const char *encode() {
    tensor.data = x.data();
    const char *problem = attn_emulator_encode_tensor_map(&maps[0], &tensor);
    tensor.data = z.data();
    return problem ? problem
                   : attn_emulator_encode_tensor_map(&maps[1], &tensor);
  }
  int32_t getExtent(int d) const {
    int32_t stride = d ? tensor.element_strides[d] : 1;
    return (tensor.box[d] + stride - 1) / stride;
  }
  int32_t getElements() const {
    return getExtent(0) * getExtent(1) * getExtent(2);
  }
  int32_t getWords() const { return getElements() * elementBytes / 4; }

  std::string run(const Program &program, uint64_t seed = 0) {
    EXPECT_EQ(encode(), nullptr);
    at[0] = 4 * getWords();
    return program.run({View(maps, 32), View(at, 10), x, y, z}, seed);
  }
  std::string run() {
    Program program("box.mlir");
    EXPECT_TRUE(program.isCompiled());
    return run(program);
  }

  /// Calls `fn` with each word of each box: its place in shared memory, and
  /// the index of the element, or -1.
  void forEach(const std::function<void(int box, int word, int64_t from)> &fn) {
    for (int box = 0; box < 3; ++box) {
      int word = 0;
      for (int k = 0; k < getExtent(2); ++k) {
        for (int j = 0; j < getExtent(1); ++j) {
          for (int i = 0; i < getExtent(0); ++i, ++word) {
            const int32_t *first = &at[1 + 3 * box];
            int64_t a = first[0] + i;
            int64_t b = first[1] + j * tensor.element_strides[1];
            int64_t c = first[2] + k * tensor.element_strides[2];
            bool isInside = a >= 0 && a < kSizes[0] && b >= 0 &&
                            b < kSizes[1] && c >= 0 && c < kSizes[2];
            // Rows of 32, 64 and 128 bytes repeat after 2, 4 and 8 chunks.
            int chunk = word / 4, line = word / 32;
            int swizzled = chunk ^ (line % 8 & (tensor.swizzle / 16 - 1));
            fn(box, (tensor.swizzle ? swizzled : chunk) * 4 + word % 4,
               isInside ? (c * 7 + b) * kPitch + a : -1);
          }
        }
      }
    }
  }

  void check() {
    std::vector<int32_t> stored(kWords, 1000);
    EXPECT_EQ(run(), "");
    forEach([&](int box, int word, int64_t from) {
      int32_t wanted = from < 0 ? tensor.fills_with_nan ? 0x7fffffff : 0
                                : x[static_cast<size_t>(from)];
      EXPECT_EQ(y[static_cast<size_t>(box * getWords() + word)], wanted)
          << "word " << word << " of box " << box;
      if (from >= 0) {
        stored[static_cast<size_t>(from)] = wanted;
      }
    });
    EXPECT_EQ(z, stored);
  }

  alignas(64) attn_emulator_tensor_map maps[2];
  attn_emulator_tensor tensor = {};
  int32_t elementBytes = 4;
  /// Bytes, and where the boxes begin: inside, and over two corners.
  int32_t at[10] = {0, 4, 2, 1, -3, -2, -1, 17, 5, 2};
  std::vector<int32_t> x, z, y;
};

TEST(EmulatedBoxes, AreSwizzled) {
  for (int32_t swizzle : {0, 32, 64, 128}) {
    Boxes boxes;
    boxes.tensor.swizzle = swizzle;
    boxes.tensor.box[0] = swizzle ? swizzle / 4 : 12;
    boxes.check();
  }
}

/// Chunk c of row r, as drawn where the swizzle is described.
TEST(EmulatedBoxes, AreSwizzledAsDrawn) {
  Boxes boxes;
  boxes.tensor.swizzle = 128;
  boxes.tensor.box[0] = 32;
  boxes.tensor.box[2] = 1;
  std::fill(boxes.at + 1, boxes.at + 10, 0);
  EXPECT_EQ(boxes.run(), "");
  EXPECT_EQ(boxes.y[0], 1);
  EXPECT_EQ(boxes.y[32], Boxes::kPitch + 1 + 4);
  EXPECT_EQ(boxes.y[36], Boxes::kPitch + 1);
  EXPECT_EQ(boxes.y[64 + 3 * 4], 2 * Boxes::kPitch + 1 + 4);
}

TEST(EmulatedBoxes, AreFilledWithNans) {
  Boxes boxes;
  boxes.tensor.type = ATTN_EMULATOR_F32;
  boxes.tensor.fills_with_nan = 1;
  boxes.check();
}

TEST(EmulatedBoxes, SkipElements) {
  Boxes boxes;
  boxes.tensor.element_strides[1] = 3;
  boxes.tensor.element_strides[2] = 2;
  boxes.check();
}

TEST(EmulatedBoxes, GiveNoAlarmUnderManySeeds) {
  Boxes boxes;
  Program program("box.mlir");
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    ASSERT_EQ(boxes.run(program, seed), "");
  }
}

struct Reduction {
  const char *kind;
  int32_t type;
  int32_t before, operand, after;
};

TEST(EmulatedBoxes, AreReduced) {
  auto f32 = [](float value) { return std::bit_cast<int32_t>(value); };
  const int32_t kU32 = ATTN_EMULATOR_U32, kS32 = ATTN_EMULATOR_S32;
  const int32_t kF16 = ATTN_EMULATOR_F16, kBF16 = ATTN_EMULATOR_BF16;
  const Reduction kReductions[] = {
      {"add", kS32, 7, -9, -2},
      {"add", kU32, -1, 3, 2},
      {"add", ATTN_EMULATOR_F32, f32(1.5f), f32(2.25f), f32(3.75f)},
      // 1 and 2 of f16, and 1 and 2^-8 of bf16, which is lost but for its tie.
      {"add", kF16, 0x40003c00, 0x3c003c00, 0x42004000},
      {"add", kBF16, 0x3f813f80, 0x3b803b80, 0x3f823f80},
      {"min", kS32, 7, -9, -9},
      {"min", kU32, 7, -9, 7},
      {"max", kS32, 7, -9, 7},
      {"max", kU32, 7, -9, -9},
      {"min", kF16, 0x40003c00, 0x3c004000, 0x3c003c00},
      {"max", kBF16, 0x40003f80, 0x3f804000, 0x40004000},
      {"inc", kU32, 4, 5, 5},
      {"inc", kU32, 5, 5, 0},
      {"dec", kU32, 3, 5, 2},
      {"dec", kU32, 0, 5, 5},
      {"dec", kU32, 7, 5, 5},
      {"and", kU32, 12, 10, 8},
      {"or", kS32, 12, 10, 14},
      {"xor", kU32, 12, 10, 6},
  };
  for (const Reduction &reduction : kReductions) {
    Boxes boxes;
    std::fill(boxes.x.begin(), boxes.x.end(), reduction.operand);
    std::fill(boxes.z.begin(), boxes.z.end(), reduction.before);
    // One box inside, and two far outside.
    const int32_t kAt[] = {0, 4, 2, 1, 100, 0, 0, 0, 100, 0};
    std::copy(std::begin(kAt), std::end(kAt), boxes.at);
    boxes.tensor.type = reduction.type;
    if (reduction.type == kF16 || reduction.type == kBF16) {
      boxes.elementBytes = 2;
      boxes.tensor.box[0] = 16;
      boxes.tensor.sizes[0] = 40;
      boxes.at[1] = 8;
    }
    Program program("box.mlir", {{kStore, reduceBy(reduction.kind)}});
    ASSERT_TRUE(program.isCompiled());
    ASSERT_EQ(boxes.run(program), "") << reduction.kind;
    EXPECT_EQ(boxes.z[(7 + 2) * Boxes::kPitch + 4], reduction.after)
        << reduction.kind << " " << reduction.type;
    EXPECT_EQ(boxes.z[(7 + 2) * Boxes::kPitch + 3], reduction.before);
    EXPECT_EQ(boxes.z[0], reduction.before);
  }
}

TEST(EmulatedBoxes, AreReducedInEightBytes) {
  const std::pair<const char *, int32_t> kKinds[] = {
      {"add", ATTN_EMULATOR_F64},
      {"min", ATTN_EMULATOR_S64},
      {"xor", ATTN_EMULATOR_U64}};
  for (auto [kind, type] : kKinds) {
    Boxes boxes;
    const int32_t kAt[] = {0, 0, 0, 0, 100, 0, 0, 0, 100, 0};
    std::copy(std::begin(kAt), std::end(kAt), boxes.at);
    boxes.tensor.type = type;
    boxes.elementBytes = 8;
    boxes.tensor.box[0] = 4;
    boxes.tensor.sizes[0] = 10;
    auto put = [](std::vector<int32_t> &words, auto value) {
      std::memcpy(words.data(), &value, sizeof(value));
    };
    bool isFloat = type == ATTN_EMULATOR_F64;
    isFloat ? put(boxes.x, 2.5) : put(boxes.x, int64_t{-1} << 40);
    isFloat ? put(boxes.z, 4.0) : put(boxes.z, int64_t{5});
    Program program("box.mlir", {{kStore, reduceBy(kind)}});
    ASSERT_TRUE(program.isCompiled());
    ASSERT_EQ(boxes.run(program), "");
    int64_t result;
    std::memcpy(&result, boxes.z.data(), sizeof(result));
    EXPECT_EQ(result, isFloat ? std::bit_cast<int64_t>(6.5)
                      : type == ATTN_EMULATOR_S64
                          ? int64_t{-1} << 40
                          : (int64_t{-1} << 40 ^ int64_t{5}));
  }
}

//===----------------------------------------------------------------------===//
// What is wrong
//===----------------------------------------------------------------------===//

TEST(EmulatedBoxes, OfMapsThatAreRefused) {
  auto check = [](const char *problem,
                  const std::function<void(attn_emulator_tensor &)> &change) {
    Boxes boxes;
    change(boxes.tensor);
    const char *found = boxes.encode();
    EXPECT_STREQ(found, problem);
  };
  const char *kStrides =
      "strides of a tensor map are multiples of 16 bytes, less than 2^40";
  const char *kBox =
      "a box of a tensor map has 1 to 256 elements in each dimension";
  check("a tensor map has 1 to 5 dimensions", [](auto &t) { t.rank = 6; });
  check("a tensor map has 1 to 5 dimensions", [](auto &t) { t.rank = 0; });
  check("sizes of a tensor map are 1 to 2^32",
        [](auto &t) { t.sizes[1] = (int64_t{1} << 32) + 1; });
  check("sizes of a tensor map are 1 to 2^32", [](auto &t) { t.sizes[2] = 0; });
  check(kStrides, [](auto &t) { t.strides[1] = 100; });
  check(kStrides, [](auto &t) { t.strides[2] = int64_t{1} << 40; });
  check(kBox, [](auto &t) { t.box[2] = 0; });
  check(kBox, [](auto &t) { t.box[1] = 257; });
  check("element strides of a tensor map are 1 to 8",
        [](auto &t) { t.element_strides[1] = 9; });
  check("rows of a tensor map's box are multiples of 16 bytes",
        [](auto &t) { t.box[0] = 7; });
  check("a tensor map has a swizzle of 0, 32, 64 or 128 bytes",
        [](auto &t) { t.swizzle = 16; });
  check("rows of a tensor map's box have as many bytes as its swizzle",
        [](auto &t) { t.swizzle = 64; });
  attn_emulator_tensor tensor = Boxes().tensor;
  attn_emulator_tensor_map map;
  tensor.data = reinterpret_cast<void *>(uintptr_t{1000});
  EXPECT_STREQ(attn_emulator_encode_tensor_map(&map, &tensor),
               "the data of a tensor map begin at a multiple of 16 bytes");
}

/// Every report has one of two parts.
void expectReport(
    const char *part, const std::vector<Edit> &edits,
    const std::function<void(Boxes &)> &change = [](Boxes &) {},
    const char *other = nullptr) {
  Program program("box.mlir", edits);
  ASSERT_TRUE(program.isCompiled());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Boxes boxes;
    change(boxes);
    std::string report = boxes.run(program, seed);
    EXPECT_TRUE(report.find(part) != std::string::npos ||
                (other && report.find(other) != std::string::npos))
        << report;
  }
}

TEST(EmulatedBoxes, ReportPlaces) {
  expectReport("at an address that is not a multiple of 128",
               {{"%box = llvm.mlir.addressof @shared : !llvm.ptr<3>",
                 "%start = llvm.mlir.addressof @shared : !llvm.ptr<3>\n"
                 "%box = llvm.getelementptr %start[8] : (!llvm.ptr<3>) -> "
                 "!llvm.ptr<3>, i64"}});
  expectReport("of shared memory (box.mlir:54:11), which has 4224 bytes", {},
               [](Boxes &boxes) { boxes.tensor.box[1] = 80; });
  expectReport("of argument 2 ('x') (box.mlir:54:11), which has 2016 bytes", {},
               [](Boxes &boxes) {
                 boxes.tensor.sizes[2] = 4;
                 boxes.at[3] = 3;
               });
}

TEST(EmulatedBoxes, ReportMaps) {
  expectReport("uses what is no tensor map as one (box.mlir:54:11)",
               {{"%maps[0]", "%maps[8]"}});
  expectReport("at an address that is not a multiple of 64",
               {{"%maps[0]", "%maps[1]"}});
  expectReport("of argument 0 ('maps') (box.mlir:67:11), which has 256 bytes",
               {{"%maps[16]", "%maps[32]"}});
  expectReport("copies a box at 2 coordinates (box.mlir:54:11) by a tensor map "
               "of 3 dimensions",
               {{"box[%c0, %c1, %c2]", "box[%c0, %c1]"}});
  expectReport("reduces a box (box.mlir:67:11) in a way that elements of its "
               "tensor map cannot be",
               {{kStore, reduceBy("inc")}});
}

TEST(EmulatedBoxes, ReportSynchronisation) {
  const char *kWait = "nvvm.mbarrier.try_wait.parity %full, %phase";
  expectReport("of shared memory (box.mlir:", {{kWait, "//"}});
  expectReport(
      "copies to byte", {{"nvvm.barrier0 // the box is free", ""}},
      [](Boxes &) {}, "the mbarrier at byte 4096");
  expectReport("may still read", {{"nvvm.cp.async.bulk.wait_group 0 {read}",
                                   "nvvm.cp.async.bulk.wait_group 1 {read}"}});
  expectReport("more bytes", {{"%full, %bytes : !llvm.ptr<3>, i32",
                               "%full, %more : !llvm.ptr<3>, i32"},
                              {"%i4 = arith.constant 4 : i32",
                               "%i4 = arith.constant 4 : i32\n"
                               "%more = arith.addi %bytes, %i4 : i32"}});
  expectReport("with no fence.proxy.async between the two",
               {{"llvm.store %value, %out : i32, !llvm.ptr",
                 "llvm.store %value, %out : i32, !llvm.ptr\n"
                 "llvm.store %value, %word : i32, !llvm.ptr<3>"},
                {"nvvm.cp.async.bulk.tensor.global",
                 "nvvm.bar.warp.sync %i1 : i32\n"
                 "nvvm.cp.async.bulk.tensor.global"}});
}

} // namespace
