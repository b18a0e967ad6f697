//===- CompilerTest.cpp - programs in, functions out ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Compiler.h"

#include "attn_runtime.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"
#include <thread>

using namespace mlir;
using namespace mlir::attn;

namespace {

constexpr const char *kAttention = R"(
!scores = !attn.scores<1x1x?x?xf32>
func.func @attention(
    %q: tensor<1x1x?x4xf32> {attn.name = "q", attn.dims = ["1", "1", "M", "4"]},
    %k: tensor<1x1x?x4xf32> {attn.name = "k", attn.dims = ["1", "1", "N", "4"]},
    %v: tensor<1x1x?x4xf32> {attn.name = "v", attn.dims = ["1", "1", "N", "4"]})
    -> tensor<1x1x?x4xf32> {
  %s = attn.score %q, %k : tensor<1x1x?x4xf32>, tensor<1x1x?x4xf32> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v
     : !scores, tensor<1x1x?x4xf32> -> tensor<1x1x?x4xf32>
  return %o : tensor<1x1x?x4xf32>
})";

/// Rows of four numbers.
struct Rows {
  explicit Rows(int64_t rows) : data(rows * 4), shape{1, 1, rows, 4} {
    tensor.device = {kDLCPU, 0};
    tensor.dtype = {kDLFloat, 32, 1};
    tensor.data = data.data();
    tensor.ndim = 4;
    tensor.shape = shape;
  }
  std::vector<float> data;
  int64_t shape[4];
  DLTensor tensor = {};
};

/// Keys are zero, so that every row is the mean of the values.
void expectAttention(const Program &program) {
  auto attention = llvm::cantFail(program.getFunction("attention"));
  Rows q(3), k(5), v(5), o(3);
  for (int i = 0; i < 20; ++i) {
    v.data[i] = static_cast<float>(i);
  }
  const DLTensor *arguments[] = {&q.tensor, &k.tensor, &v.tensor};
  const DLTensor *results[] = {&o.tensor};
  ASSERT_EQ(
      attn_function_call(attention, nullptr, arguments, 3, results, 1, nullptr),
      ATTN_OK)
      << attn_get_message();
  EXPECT_FLOAT_EQ(o.data[0], 8.0f);
  EXPECT_FLOAT_EQ(o.data[11], 11.0f);
}

std::string getError(const Compiler &compiler, StringRef text) {
  auto program = compiler.compile(text, "p.mlir");
  EXPECT_FALSE(static_cast<bool>(program));
  return llvm::toString(program.takeError());
}

TEST(Compiler, RunsWhatItCompiles) {
  auto program = Compiler().compile(kAttention);
  ASSERT_TRUE(static_cast<bool>(program));
  expectAttention(**program);
  auto missing = (*program)->getFunction("attenuation");
  ASSERT_FALSE(static_cast<bool>(missing));
  EXPECT_NE(llvm::toString(missing.takeError()).find("attenuation"),
            std::string::npos);
}

TEST(Compiler, ChecksCalls) {
  auto program = llvm::cantFail(Compiler().compile(kAttention));
  auto attention = llvm::cantFail(program->getFunction("attention"));
  Rows q(3), k(5), v(4), o(3);
  const DLTensor *arguments[] = {&q.tensor, &k.tensor, &v.tensor};
  const DLTensor *results[] = {&o.tensor};
  EXPECT_EQ(
      attn_function_call(attention, nullptr, arguments, 3, results, 1, nullptr),
      ATTN_INVALID_ARGUMENT);
  EXPECT_STREQ(attn_get_message(),
               "argument 'v' of 'attention' has extent 4 on axis 2 (N), but "
               "argument 'k' says N = 5");
}

TEST(Compiler, ErrorsHaveDiagnostics) {
  Compiler compiler;
  EXPECT_EQ(getError(compiler, "func.func @f("),
            "p.mlir:1:13: error: expected non-function type\nfunc.func "
            "@f(\n            ^\n'p.mlir' does not parse");
  EXPECT_EQ(getError(compiler, ""),
            "the program has no public function with a body");
  CompileOptions options;
  options.target.cpu = "haswell";
  EXPECT_EQ(getError(Compiler(options), kAttention),
            "programs run on this machine: a triple or a CPU cannot be chosen "
            "for them");
}

TEST(Compiler, ThreadsShareOne) {
  Compiler compiler;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      auto program = compiler.compile(kAttention);
      ASSERT_TRUE(static_cast<bool>(program));
      expectAttention(**program);
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

/// A cache of its own for a test.
class CompilerCache : public ::testing::Test {
protected:
  CompilerCache() {
    llvm::sys::fs::createUniqueDirectory("attn-compiler", path);
    llvm::sys::fs::setPermissions(path, llvm::sys::fs::owner_all);
    options.cache = llvm::cantFail(Cache::open({path.str().str()}));
  }
  ~CompilerCache() override { llvm::sys::fs::remove_directories(path); }

  llvm::SmallString<128> path;
  CompileOptions options;
};

TEST_F(CompilerCache, FindsWhatItCompiledEarlier) {
  for (bool isFound : {false, true, true}) {
    Compiler compiler(options);
    auto program = llvm::cantFail(compiler.compile(kAttention));
    EXPECT_EQ(program->isFromCache(), isFound);
    EXPECT_EQ(program->getWarnings(), "");
    expectAttention(*program);
  }
}

TEST_F(CompilerCache, WarnsAgain) {
  constexpr const char *kDoubled = R"(
func.func @doubled(%x: tensor<4xf32>, %n: tensor<index>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %end = tensor.extract %n[] : tensor<index>
  %y = scf.for %i = %c0 to %end step %c1 iter_args(%now = %x) -> (tensor<4xf32>) {
    %next = arith.addf %now, %now : tensor<4xf32>
    scf.yield %next : tensor<4xf32>
  }
  return %y : tensor<4xf32>
})";
  llvm::cantFail(setTarget(options, "cuda:sm_80,emulate"));
  // A line further down it is the same program.
  for (StringRef line : {"5:10", "5:10", "6:10"}) {
    std::string text = (line == "6:10" ? "\n" : "") + std::string(kDoubled);
    auto program = llvm::cantFail(Compiler(options).compile(text, "p.mlir"));
    EXPECT_TRUE(program->getWarnings().starts_with(
        ("p.mlir:" + line + ": warning: sizes or bounds depend on data").str()))
        << program->getWarnings().str();
  }
}

} // namespace
