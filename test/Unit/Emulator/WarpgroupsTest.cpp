//===- WarpgroupsTest.cpp - products of warpgroups ------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Faults.h"

#include <bit>
#include <cstring>

using namespace mlir::attn::test;

namespace {

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// How a matrix lies in shared memory: as the descriptor says, and where that
/// puts an element.
struct Layout {
  /// Chunks of 16 bytes that are swizzled together.
  uint32_t width;
  bool isTransposed;
  uint32_t leading, stride;
  /// The part of a row in 32 bytes that is multiplied, and where the pattern of
  /// the swizzle begins in 128 bytes.
  uint32_t part = 0, baseOffset = 0;

  uint32_t place(uint32_t m, uint32_t k, uint32_t bytes) const {
    uint32_t row = 16 * width, at;
    if (!isTransposed) {
      uint32_t byte = k * bytes;
      at = width == 1 ? m % 8 * 16 + byte / 16 * leading + byte % 16
                      : m % 8 * row + part * 32 + byte;
      at += m / 8 * stride;
    } else {
      uint32_t byte = m * bytes;
      at = width == 1 ? byte / 16 * stride + k % 8 * 16 + k / 8 * leading
                      : byte / row * leading + byte % row / 16 * 16 +
                            k % 8 * row + k / 8 * stride;
      at += byte % 16;
    }
    return at ^ (at / 128 % width) * 16;
  }

  int64_t describe(uint32_t begin) const {
    const uint64_t kModes[] = {0, 0, 3, 0, 2, 0, 0, 0, 1};
    uint64_t from = begin + 128 * baseOffset + 32 * part;
    return static_cast<int64_t>(
        from / 16 | uint64_t{leading / 16} << 16 | uint64_t{stride / 16} << 32 |
        uint64_t{baseOffset} << 49 | kModes[width] << 62);
  }
};

struct Format {
  const char *name;
  uint32_t bytes, depth;
};
constexpr Format kFormats[] = {{"bf16", 2, 16},
                               {"f16", 2, 16},
                               {"tf32", 4, 8},
                               {"e4m3", 1, 32},
                               {"e5m2", 1, 32}};

/// The bits of 0, 0.5, 1, 1.5, 2 or of their negatives.
uint32_t encode(const Format &format, float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  auto half = static_cast<_Float16>(value);
  uint16_t halfBits;
  std::memcpy(&halfBits, &half, sizeof(half));
  switch (format.name[0]) {
  case 'b':
    return bits >> 16;
  case 'f':
    return halfBits;
  case 't':
    return bits;
  default:
    break;
  }
  if (format.name[1] == '5') {
    return halfBits >> 8u;
  }
  // Another bias, and a bit more of fraction.
  uint32_t magnitude = (halfBits & 0x7fffu) >> 7;
  return (halfBits >> 8u & 0x80) | (magnitude ? magnitude - 8 * 8 : 0);
}

float getElement(uint32_t row, uint32_t k, uint32_t salt) {
  return 0.5f * static_cast<float>((row * 7 + k * 3 + salt) * 5 % 9) - 2.0f;
}

constexpr uint32_t kBeginB = 9216, kImageBytes = 16384;

void write(std::vector<unsigned char> &image, const Layout &layout,
           const Format &format, uint32_t begin, uint32_t rows, uint32_t salt) {
  for (uint32_t m = 0; m < rows; ++m) {
    for (uint32_t k = 0; k < format.depth; ++k) {
      uint32_t bits = encode(format, getElement(m, k, salt));
      uint32_t place =
          begin + 128 * layout.baseOffset + layout.place(m, k, format.bytes);
      ASSERT_LE(place + format.bytes, image.size());
      std::memcpy(&image[place], &bits, format.bytes);
    }
  }
}

class Products {
public:
  Products(const Format &format, bool isTransposedA, bool isTransposedB,
           const std::vector<Edit> &more = {})
      : format(format) {
    std::string type = format.name;
    std::string before = "A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]";
    std::string after = "A[<" + type + ">, <one>, <" +
                        (isTransposedA ? "col" : "row") + ">], B[<" + type +
                        ">, <one>, <" + (isTransposedB ? "row" : "col") + ">]";
    std::string depth = "k = " + std::to_string(format.depth) + ">";
    // So that the second of two is found.
    std::vector<Edit> edits = {{before, after + " "},
                               {before, after + " "},
                               {"k = 16>", depth + " "},
                               {"k = 16>", depth + " "}};
    edits.insert(edits.end(), more.begin(), more.end());
    program = std::make_unique<Program>("wgmma-layouts.mlir", edits);
  }

  /// What is reported.
  std::string run(const Layout &a, const Layout &b, std::vector<float> &y,
                  uint64_t seed = 0) {
    std::vector<unsigned char> image(kImageBytes, 0xff);
    write(image, a, format, 0, 64, 1);
    write(image, b, format, kBeginB, 16, 5);
    std::vector<int32_t> words(kImageBytes / 4);
    std::memcpy(words.data(), image.data(), kImageBytes);
    std::vector<int64_t> descriptors = {a.describe(0), b.describe(kBeginB)};
    return program->run({words, descriptors, y}, seed);
  }

  /// Twice A times B, in the order of registers.
  void expect(const Layout &a, const Layout &b) {
    std::vector<float> y(64 * 16);
    ASSERT_EQ(run(a, b, y), "");
    for (uint32_t i = 0; i < y.size(); ++i) {
      uint32_t lane = i / 8 % 32, r = i % 8;
      uint32_t row = i / 256 * 16 + lane / 4 + r / 2 % 2 * 8;
      uint32_t column = r / 4 * 8 + lane % 4 * 2 + r % 2;
      float wanted = 0.0f;
      for (uint32_t k = 0; k < format.depth; ++k) {
        wanted += 2.0f * getElement(row, k, 1) * getElement(column, k, 5);
      }
      ASSERT_EQ(y[i], wanted) << format.name << " " << i << " " << a.width
                              << a.isTransposed << b.width << b.isTransposed;
    }
  }

private:
  const Format &format;
  std::unique_ptr<Program> program;
};

std::vector<Layout> getLayouts(bool isTransposed) {
  if (isTransposed) {
    return {{1, true, 128, 256},  {1, true, 1024, 128},  {2, true, 512, 256},
            {4, true, 1024, 512}, {8, true, 2048, 1024}, {8, true, 0, 2048}};
  }
  return {{1, false, 128, 256},       {1, false, 1024, 128},
          {2, false, 16, 256},        {2, false, 0, 512},
          {4, false, 16, 512},        {4, false, 16, 512, 1},
          {8, false, 16, 1024},       {8, false, 0, 1024, 3},
          {8, false, 16, 1024, 1, 2}, {4, false, 16, 512, 0, 3}};
}

TEST(EmulatedProducts, ReadAllLayouts) {
  for (const Format &format : kFormats) {
    // Elements of 16 bits alone may be transposed.
    for (int transposed = 0; transposed < (format.bytes == 2 ? 4 : 1);
         ++transposed) {
      Products products(format, transposed & 1, transposed & 2);
      for (const Layout &a : getLayouts(transposed & 1)) {
        for (const Layout &b : getLayouts(transposed & 2)) {
          products.expect(a, b);
          if (HasFatalFailure()) {
            return;
          }
        }
      }
    }
  }
}

/// The op's own wait, which has no operands.
TEST(EmulatedProducts, AreWaitedForByTheOpToo) {
  const char *const kWait = "nvvm.wgmma.wait.group.sync.aligned 0";
  const char *const kCommit = "nvvm.wgmma.commit.group.sync.aligned";
  const std::pair<std::vector<Edit>, const char *> kCases[] = {
      {{{kWait, ""}}, "that may still be in flight"},
      {{{kWait, "nvvm.wgmma.wait.group.sync.aligned 1"}},
       "that may still be in flight"},
      {{{kCommit, ""}}, "that no wgmma.commit_group follows"},
      {{{kCommit, kWait},
        {std::string(kWait) + "\n      %at",
         std::string(kCommit) + "\n      %at"}},
       "that may still be in flight"},
      {{{"%y0 = llvm.extractvalue %q[0]", "%y0 = llvm.extractvalue %p[0]"}},
       "that another product"},
      {{{"nvvm.wgmma.fence.aligned", ""}},
       "with no wgmma.fence after it began"},
      {{{"nvvm.mbarrier.try_wait.parity", "//"}}, "of shared memory"}};
  for (const auto &[edits, wanted] : kCases) {
    Products products(kFormats[0], false, false, edits);
    std::vector<float> y(64 * 16);
    for (uint64_t seed = 0; seed < 20; ++seed) {
      std::string report =
          products.run(getLayouts(false)[0], getLayouts(false)[6], y, seed);
      EXPECT_NE(report.find(wanted), std::string::npos) << report << wanted;
    }
  }
}

//===----------------------------------------------------------------------===//
// The form of attention
//===----------------------------------------------------------------------===//

float fromBFloat(int32_t word, size_t half) {
  auto bits = static_cast<uint32_t>(word) >> 16 * half << 16;
  return std::bit_cast<float>(bits);
}

/// Small numbers, all of which are exact.
void fill(Memory &memory) {
  uint32_t next = 1;
  for (size_t buffer = 0; buffer < 3; ++buffer) {
    for (int32_t &word : memory.words[buffer]) {
      word = 0;
      for (int half = 0; half < 2; ++half) {
        next = next * 1664525 + 1013904223;
        float value = static_cast<float>(next >> 28) / 8 - 1;
        word |= static_cast<int32_t>(std::bit_cast<uint32_t>(value) >>
                                     16 << 16 * half);
      }
    }
  }
}

/// Row-major, with 16 numbers in a row.
float getAt(const std::vector<int32_t> &words, size_t row, size_t column) {
  return fromBFloat(words[row * 8 + column / 2], column % 2);
}

/// (Q K^T) V, with the first product rounded to bf16.
std::vector<int32_t> attend(const Memory &memory) {
  std::vector<int32_t> result(64 * 16);
  for (size_t i = 0; i < result.size(); ++i) {
    size_t lane = i / 8 % 32, r = i % 8;
    size_t row = i / 256 * 16 + lane / 4 + r / 2 % 2 * 8;
    size_t column = r / 4 * 8 + lane % 4 * 2 + r % 2;
    float sum = 0;
    for (size_t key = 0; key < 48; ++key) {
      float score = 0;
      for (size_t d = 0; d < 16; ++d) {
        score +=
            getAt(memory.words[0], row, d) * getAt(memory.words[1], key, d);
      }
      sum += static_cast<float>(static_cast<__bf16>(score)) *
             getAt(memory.words[2], key, column);
    }
    result[i] = std::bit_cast<int32_t>(sum);
  }
  return result;
}

TEST(EmulatedProducts, TakeRegisters) {
  Program program("wgmma.mlir");
  ASSERT_TRUE(program.isCompiled());
  Memory memory("wgmma.mlir");
  fill(memory);
  EXPECT_EQ(program.run(memory.getViews()), "");
  EXPECT_EQ(memory.words[3], attend(memory));
}

/// What no rule forbids, but is not what was meant.
TEST(EmulatedProducts, DependOnTheirDescriptors) {
  const Edit kEdits[] = {
      {"0x0000000800400000", "0x0000000700400000"},
      {"0x0000000800400000", "0x0000000800380000"},
      {"0x0000000800400000", "0xc000000800400000"},
      {"0x0000000800100080", "0x0000000800080080"},
      {"0x0000000800100080", "0x8000001000100080"},
      {"0x00000010000800a0", "0x00000008001000a0"},
      {"%matrixQ, %matrixK : (i64", "%matrixQ, %matrixV : (i64"},
      {"$20, 1, 1, 1, 1;", "$20, 1, 1, 1, 0;"},
      {"$20, 1, 1, 1, 1;", "$20, 1, -1, 1, 1;"},
      {"$20, 1, 1, 1, 1;", "$20, 0, 1, 1, 1;"}};
  for (const Edit &edit : kEdits) {
    Program program("wgmma.mlir", {edit});
    ASSERT_TRUE(program.isCompiled());
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Memory memory("wgmma.mlir");
      fill(memory);
      std::string report = program.run(memory.getViews(), seed);
      EXPECT_TRUE(!report.empty() || memory.words[3] != attend(memory))
          << edit.replacement;
    }
  }
}

const char *const kProxy =
    "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = "
    "#nvvm.shared_space<cta>}";
const char *const kFenceOfS = "nvvm.wgmma.fence.aligned // for S";
const char *const kFenceOfO = "nvvm.wgmma.fence.aligned // for O";
const char *const kCommitOfS = "nvvm.wgmma.commit.group.sync.aligned // of S";
const char *const kCommitOfO = "nvvm.wgmma.commit.group.sync.aligned // of O";
const char *const kEnd = "%to0 = arith.muli %tid, %i8";

/// One more product, of the first results of a kernel, which goes in behind.
std::string getProduct(const std::string &name, const std::string &in,
                       const std::string &shape = "m64n16k16.f32.bf16.bf16",
                       const std::string &flags = ", 0, 0") {
  std::string results, ties, kinds, operands, types;
  for (int i = 0; i < 8; ++i) {
    std::string comma = i ? ", " : "", number = std::to_string(i);
    results += comma + "$" + number;
    ties += "," + number;
    kinds += std::string(i ? "," : "") + "=f";
    operands += comma + in + number;
    types += comma + "f32";
  }
  return "%" + name +
         " = llvm.inline_asm has_side_effects asm_dialect = att "
         "\"wgmma.mma_async.sync.aligned." +
         shape + " {" + results + "}, $16, $17, 1, 1, 1" + flags + ";\", \"" +
         kinds + ties + ",l,l\" " + operands + ", %matrixQ, %matrixK : (" +
         types + ", i64, i64) -> !llvm.struct<(" + types + ")>\n";
}

const Fault kFaults[] = {
    //===------------------------------------------------------------------===//
    // Fences
    //===------------------------------------------------------------------===//
    {"WgmmaWithoutProxyFence",
     "wgmma.mlir",
     {{kProxy, ""}},
     "with no fence.proxy.async between the two"},
    {"WgmmaWithProxyFenceBefore",
     "wgmma.mlir",
     {{kProxy, ""},
      {"scf.if %isCopier", std::string(kProxy) + "\nscf.if %isCopier"}},
     "with no fence.proxy.async between the two"},
    {"WgmmaWithProxyFenceOfReaders",
     "wgmma.mlir",
     {{kProxy, ""},
      {kFenceOfS, "scf.if %isCopier {\n} else {\n" + std::string(kProxy) +
                      "\n}\n" + kFenceOfS}},
     "with no fence.proxy.async between the two"},
    {"WgmmaWithoutBarrier",
     "wgmma.mlir",
     {{"nvvm.barrier0 // the tile is there", "//"}},
     "of shared memory (wgmma.mlir"},
    {"WgmmaWithoutFence",
     "wgmma.mlir",
     {{kFenceOfS, ""}},
     "with no wgmma.fence after it began"},
    {"WgmmaWithoutFenceOfRegisters",
     "wgmma.mlir",
     {{kFenceOfO, ""}},
     "with no wgmma.fence after it has written the registers"},
    {"WgmmaWithFenceBeforeRegisters",
     "wgmma.mlir",
     {{kFenceOfO, ""}, {"%p0 = ", std::string(kFenceOfO) + "\n%p0 = "}},
     "with no wgmma.fence after it has written the registers"},
    {"WgmmaWithFenceBeforeTheLastRegister",
     "wgmma.mlir",
     {{kFenceOfO, ""}, {"%p3 = ", std::string(kFenceOfO) + "\n%p3 = "}},
     "with no wgmma.fence after it has written the registers"},
    {"WgmmaOfScaledAccumulators",
     "wgmma.mlir",
     {{kFenceOfO,
       std::string(kFenceOfO) + "\n%half0 = arith.mulf %o0, %one : f32"},
      {"%zero = ", "%one = arith.constant 2.0 : f32\n%zero = "},
      {"l\" %o0,", "l\" %half0,"}},
     "with no wgmma.fence after it has written the registers"},
    {"WgmmaOfAccumulatorsItReads",
     "wgmma.mlir",
     {{kFenceOfO,
       std::string(kFenceOfO) + "\nllvm.store %o0, %y : f32, !llvm.ptr"}},
     "with no wgmma.fence after it has looked at the accumulators"},
    //===------------------------------------------------------------------===//
    // Groups and waits
    //===------------------------------------------------------------------===//
    {"WgmmaWithoutCommit",
     "wgmma.mlir",
     {{kCommitOfS, ""}},
     "that no wgmma.commit_group follows"},
    {"WgmmaWithCommitBefore",
     "wgmma.mlir",
     {{kCommitOfS, ""},
      {kFenceOfS, std::string(kFenceOfS) + "\n" + kCommitOfS}},
     "that no wgmma.commit_group follows"},
    {"WgmmaWithoutWait",
     "wgmma.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", ""}},
     "that may still be in flight: the thread has not waited for its group"},
    {"WgmmaThatWaitsForTooFew",
     "wgmma.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;"}},
     "that may still be in flight: the thread has not waited for its group"},
    {"WgmmaWithoutSecondCommit",
     "wgmma.mlir",
     {{kCommitOfO, ""}},
     "which a product of warpgroup 0 (wgmma.mlir:111:14) may still read"},
    {"WgmmaWithoutSecondWait",
     "wgmma.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; "},
      {"wgmma.wait_group.sync.aligned 0;\"", "\""}},
     "may still read: the warpgroup has not waited for it"},
    {"WgmmaThatWaitsForTooFewLater",
     "wgmma.mlir",
     {{"wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 0; "},
      {"wgmma.wait_group.sync.aligned 0;\"",
       "wgmma.wait_group.sync.aligned 1;\""}},
     "may still read: the warpgroup has not waited for it"},
    {"WgmmaThatIsReadBeforeItsWait",
     "wgmma.mlir",
     {{"%t = llvm.inline_asm",
       "llvm.store %s0, %y : f32, !llvm.ptr\n%t = llvm.inline_asm"}},
     "uses an accumulator (wgmma.mlir:97:9) of a product"},
    {"WgmmaThatIsSelectedBeforeItsWait",
     "wgmma.mlir",
     {{"%t = llvm.inline_asm",
       "%c = llvm.select %isCopier, %s0, %s1 : i1, f32\n%t = llvm.inline_asm"}},
     "that may still be in flight"},
    {"WgmmaThatNobodyWaitsFor",
     "wgmma.mlir",
     {{kEnd, "nvvm.wgmma.fence.aligned\n" + getProduct("more", "%end#") +
                 "nvvm.wgmma.commit.group.sync.aligned\n" + kEnd}},
     "leaves the kernel without having waited for the products of its "
     "warpgroup, the last of which it began at wgmma.mlir:134:9"},
    {"WgmmaThatNobodyCommits",
     "wgmma.mlir",
     {{kEnd, "nvvm.wgmma.fence.aligned\n" + getProduct("more", "%end#") +
                 "nvvm.wgmma.wait.group.sync.aligned 0\n" + kEnd}},
     "leaves the kernel without having waited for the products"},
    //===------------------------------------------------------------------===//
    // Registers
    //===------------------------------------------------------------------===//
    {"WgmmaWhoseResultsAreTaken",
     "wgmma.mlir",
     {{"%t = llvm.inline_asm",
       getProduct("more", "%s") +
           "nvvm.wgmma.commit.group.sync.aligned\n%t = llvm.inline_asm"}},
     "that another product (wgmma.mlir:97:17) has written since"},
    {"WgmmaOfAnotherShape",
     "wgmma.mlir",
     {{"%t = llvm.inline_asm",
       getProduct("more", "%s", "m64n16k8.f32.tf32.tf32", "") +
           "%t = llvm.inline_asm"}},
     "to accumulators of one of another shape (wgmma.mlir:87:14) that may "
     "still "
     "be in flight"},
    {"WgmmaWhoseRegistersOfAChange",
     "wgmma.mlir",
     {{"%p0 = ", "scf.for %turn = %i0 to %i2 step %i1 : i32 {\n%p0 = "},
      {kCommitOfO, std::string(kCommitOfO) + "\n}"},
      {"%u0 = ", "//", "nvvm.barrier0 // the tile is free"},
      {"scf.yield %w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7",
       "scf.yield %t0, %t1, %t2, %t3, %t4, %t5, %t6, %t7"}},
     "changes a register of A (wgmma.mlir:107:7), which a product "
     "(wgmma.mlir:112:14) may still read: the thread has not waited for its "
     "group"},
    {"WgmmaOfTooManyTiles",
     "wgmma.mlir",
     {{"%s = llvm.inline_asm",
       "%i300 = arith.constant 300 : i32\n"
       "scf.for %turn = %i0 to %i300 step %i1 : i32 {\n%many = llvm.inline_asm "
       "has_side_effects asm_dialect = att "
       "\"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, "
       "$3}, "
       "$4, $5, 0, 1, 1, 0, 0;\", \"=f,=f,=f,=f,l,l\" %matrixQ, %matrixK : "
       "(i64, i64) -> !llvm.struct<(f32, f32, f32, f32)>\n}\n%s = "
       "llvm.inline_asm"}},
     "with 256 others in flight; more are not emulated"},
    //===------------------------------------------------------------------===//
    // Threads
    //===------------------------------------------------------------------===//
    {"WgmmaWithoutAWarp",
     "wgmma.mlir",
     {{kFenceOfS, "%i96 = arith.constant 96 : i32\n"
                  "%isThere = arith.cmpi ult, %tid, %i96 : i32\n"
                  "scf.if %isThere {\n" +
                      std::string(kFenceOfS) + "\n}"}},
     "waits at wgmma.mma_async (wgmma.mlir:91:14) for thread|"
     "which waits at wgmma.mma_async (wgmma.mlir:91:14)"},
    {"WgmmaWithoutALane",
     "wgmma.mlir",
     {{kCommitOfS, "%isThere = arith.cmpi ne, %tid, %i8 : i32\n"
                   "scf.if %isThere {\n" +
                       std::string(kCommitOfS) + "\n}"}},
     "wgmma.commit_group"},
    {"WgmmaWithoutAWarpThatHasLeft",
     "wgmma.mlir",
     {{"nvvm.barrier0 // the tile is there", "//"},
      {"nvvm.barrier0 // the tile is free", "//"},
      {kFenceOfS, "%isThere = arith.cmpi ult, %tid, %i64 : i32\n"
                  "scf.if %isThere {\n} else {\nnvvm.exit\n}\n" +
                      std::string(kFenceOfS)}},
     "which has left the kernel|of shared memory"},
    {"WgmmaOfTwoWarps",
     "wgmma.mlir",
     {{"%c128 = arith.constant 128", "%c128 = arith.constant 64"}},
     "is at wgmma.fence (wgmma.mlir:86:9) in a warpgroup of less than 128 "
     "threads|which nothing has written"},
    {"WgmmaThatWaitsAndCommits",
     "wgmma.mlir",
     {{kCommitOfO, "%inFirst = arith.cmpi ult, %tid, %i32 : i32\n"
                   "scf.if %inFirst {\n" +
                       std::string(kCommitOfO) +
                       "\n} else {\nnvvm.wgmma.wait.group.sync.aligned 0\n}"}},
     "waits at wgmma."},
    //===------------------------------------------------------------------===//
    // Descriptors
    //===------------------------------------------------------------------===//
    {"WgmmaOutsideOfSharedMemory",
     "wgmma.mlir",
     {{"0x0000000800400000", "0x0000010000400000"}},
     "of shared memory (wgmma.mlir:87:14), which has 3072 bytes"},
    {"WgmmaBehindSharedMemory",
     "wgmma.mlir",
     {{"%matrixK = arith.addi %at", "%matrixK = arith.addi %begin"}},
     "of shared memory (wgmma.mlir:87:14), which has 3072 bytes|bits that "
     "belong to no field"},
    {"WgmmaOfWhatNothingHasWritten",
     "wgmma.mlir",
     {{"%bytes = arith.constant 3072", "%bytes = arith.constant 3328"},
      {"0x00000010000800a0", "0x00000010000800b0"}},
     "multiplies byte 3072 of shared memory (wgmma.mlir:111:14), which nothing "
     "has written"},
    {"WgmmaOfBitsWithoutAField",
     "wgmma.mlir",
     {{"0x0000000800400000", "0x0000400800400000"}},
     "for a descriptor of A at wgmma.mma_async (wgmma.mlir:87:14), with bits "
     "that belong to no field"},
    {"WgmmaOfABaseWithoutASwizzle",
     "wgmma.mlir",
     {{"0x0000000800100080", "0x0002000800100080"}},
     "has a descriptor of B at wgmma.mma_async (wgmma.mlir:87:14) that has a "
     "base offset and no swizzle"},
    {"WgmmaInTheMiddleOfARow",
     "wgmma.mlir",
     {{"0x0000000800400000", "0xc000001000400001"}},
     "has a descriptor of A at wgmma.mma_async (wgmma.mlir:87:14) that begins "
     "too far in a row of its swizzle"},
    {"WgmmaOfManyDescriptors",
     "wgmma.mlir",
     {{"%matrixK = arith.addi %at, %stridesK : i64",
       "%mine = arith.extui %half : i32 to i64\n"
       "%matrixK0 = arith.addi %at, %stridesK : i64\n"
       "%matrixK = arith.addi %matrixK0, %mine : i64"}},
     "has another descriptor of B at wgmma.mma_async (wgmma.mlir:89:14) than "
     "thread 0"},
    {"WgmmaOfAnMBarrier",
     "wgmma.mlir",
     {{"%isCopier = ",
       "%isOne = arith.cmpi eq, %tid, %i0 : i32\n"
       "%inV = llvm.getelementptr %sharedV[512] : (!llvm.ptr<3>) -> "
       "!llvm.ptr<3>, i8\n"
       "scf.if %isOne {\nnvvm.mbarrier.init %inV, %i1 : !llvm.ptr<3>, i32\n}\n"
       "%isCopier = "},
      {"0x00000010000800a0", "0x00000020000800a0"}},
     "multiplies byte 3072 of shared memory|mbarrier|of shared memory"},
};

INSTANTIATE_TEST_SUITE_P(Warpgroups, PlantedFault, testing::ValuesIn(kFaults),
                         [](const auto &info) { return info.param.name; });

} // namespace
