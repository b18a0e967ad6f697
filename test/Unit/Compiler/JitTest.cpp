//===- JitTest.cpp - LLVM-dialect modules as running code -----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Jit.h"
#include "attn/Compiler/Pipelines.h"
#include "attn/Compiler/Registration.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/Support/ErrorHandling.h"
#include "gtest/gtest.h"
#include <cmath>
#include <csignal>
#include <thread>

using namespace mlir;
using namespace mlir::attn;

namespace {

class Jit : public testing::Test {
protected:
  Jit() : context(makeRegistry(), MLIRContext::Threading::DISABLED) {}

  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  OwningOpRef<ModuleOp> lower(const char *text) {
    auto module = parseSourceString<ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    PassManager manager(&context);
    buildReferencePipeline(manager);
    EXPECT_TRUE(succeeded(manager.run(*module)));
    return module;
  }

  std::unique_ptr<JitModule> compile(const char *text) {
    auto jit = JitModule::create(*lower(text));
    EXPECT_TRUE(static_cast<bool>(jit));
    return std::move(*jit);
  }

  MLIRContext context;
};

constexpr const char *kHypot = R"(
  func.func @hypot(%x: f64, %y: f64) -> f64 {
    %a = arith.mulf %x, %x : f64
    %b = arith.mulf %y, %y : f64
    %c = arith.addf %a, %b : f64
    %d = math.sqrt %c : f64
    %e = math.exp2 %d : f64
    %f = math.erf %e : f64
    return %f : f64
  })";

constexpr const char *kBuffer = R"(
  func.func @fill(%n: index, %at: index) -> memref<?xf32> {
    %c1 = arith.constant 1.0 : f32
    %m = memref.alloc(%n) : memref<?xf32>
    memref.store %c1, %m[%at] : memref<?xf32>
    return %m : memref<?xf32>
  })";

TEST_F(Jit, CallsFunctionsOfTheMathLibrary) {
  auto jit = compile(kHypot);
  double x = 0.3, y = 0.4, result = 0.0;
  void *args[] = {&x, &y, &result};
  ASSERT_FALSE(jit->invoke("hypot", args));
  EXPECT_EQ(result, std::erf(std::exp2(std::sqrt(x * x + y * y))));
}

/// f<k> adds 1 and 2 and so on to what f<k - 1> makes of the number.
std::string makeChain(int functions, int additions) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (int k = 0; k < functions; ++k) {
    os << "func.func " << (k + 1 < functions ? "private " : "") << "@f" << k
       << "(%x0: f64) -> f64 {\n";
    if (k > 0) {
      os << "  %y = func.call @f" << k - 1 << "(%x0) : (f64) -> f64\n";
    }
    for (int n = 1; n <= additions; ++n) {
      os << "  %c" << n << " = arith.constant " << n << ".0 : f64\n  %x" << n
         << " = arith.addf " << (k > 0 && n == 1 ? "%y" : "%x")
         << (k > 0 && n == 1 ? "" : std::to_string(n - 1)) << ", %c" << n
         << " : f64\n";
    }
    os << "  return %x" << additions << " : f64\n}\n";
  }
  return text;
}

TEST_F(Jit, LargeProgramsAreMadeInPartsThatFindEachOther) {
  auto module = lower(makeChain(20, 400).c_str());
  auto code = generateObject(*module);
  ASSERT_TRUE(static_cast<bool>(code));
  bool isArchive = llvm::identify_magic(code->object->getBuffer()) ==
                   llvm::file_magic::archive;
  EXPECT_EQ(isArchive, std::thread::hardware_concurrency() > 1);
  // Names of one program are not those of another.
  auto jit = JitModule::load(std::move(*code));
  auto other = compile(makeChain(20, 300).c_str());
  ASSERT_TRUE(static_cast<bool>(jit));
  double x = 0.5, result = 0.0;
  void *args[] = {&x, &result};
  ASSERT_FALSE((*jit)->invoke("f19", args));
  EXPECT_EQ(result, 0.5 + 20 * 400 * 401 / 2);
  ASSERT_FALSE(other->invoke("f19", args));
  EXPECT_EQ(result, 0.5 + 20 * 300 * 301 / 2);
}

TEST_F(Jit, FindsTheCInterface) {
  auto jit = compile(kHypot);
  auto found = jit->lookup("_mlir_ciface_hypot");
  EXPECT_TRUE(static_cast<bool>(found));
  auto missing = jit->lookup("hypotenuse");
  ASSERT_FALSE(static_cast<bool>(missing));
  EXPECT_EQ(llvm::toString(missing.takeError()),
            "linking failed: Symbols not found: [ hypotenuse ]");
}

TEST_F(Jit, CountsInstructions) {
  auto jit = compile(kHypot);
  for (const FunctionSize &size : jit->getFunctionSizes()) {
    if (size.name == "hypot") {
      EXPECT_EQ(size.instructions, 7);
      return;
    }
  }
  FAIL() << "no size for the function";
}

TEST_F(Jit, EmitsCodeForOtherMachines) {
  auto module = lower(kHypot);
  auto avx =
      emitCode(*module, {"x86_64-linux-gnu", "haswell"}, EmitKind::Assembly);
  ASSERT_TRUE(static_cast<bool>(avx));
  EXPECT_NE(avx->find("vsqrtsd"), std::string::npos);
  auto neon = emitCode(*module, {"aarch64-linux-gnu", ""}, EmitKind::Assembly);
  ASSERT_TRUE(static_cast<bool>(neon));
  EXPECT_NE(neon->find("fsqrt"), std::string::npos);
  auto object = emitCode(*module, {}, EmitKind::Object);
  ASSERT_TRUE(static_cast<bool>(object));
  EXPECT_EQ(object->substr(1, 3), "ELF");
}

TEST_F(Jit, Optimizes) {
  auto module = lower(kBuffer);
  auto plain = emitCode(*module, {}, EmitKind::LLVMIR);
  auto optimized = emitCode(*module, {}, EmitKind::OptimizedLLVMIR);
  ASSERT_TRUE(plain && optimized);
  EXPECT_NE(plain->find("@fill("), std::string::npos);
  // The size of an element, as the conversion computes it.
  EXPECT_NE(plain->find("ptrtoint"), std::string::npos);
  EXPECT_EQ(optimized->find("ptrtoint"), std::string::npos);
}

TEST_F(Jit, NamesUnknownTargets) {
  auto module = lower(kHypot);
  auto triple = emitCode(*module, {"pdp11", ""}, EmitKind::Assembly);
  ASSERT_FALSE(static_cast<bool>(triple));
  EXPECT_EQ(llvm::toString(triple.takeError()),
            "unknown target triple 'pdp11': supported are x86_64 and aarch64");
}

struct Descriptor {
  float *allocated = nullptr, *aligned = nullptr;
  int64_t offset = 0, size = 0, stride = 0;
};

Descriptor fill(JitModule &jit, int64_t count, int64_t at) {
  Descriptor result;
  void *pointer = &result;
  void *args[] = {&pointer, &count, &at};
  EXPECT_FALSE(jit.invoke("fill", args));
  return result;
}

TEST_F(Jit, PoisonsAndCountsMemory) {
  auto jit = compile(kBuffer);
  int64_t before = jit_memory::getCurrentBytes();
  jit_memory::setPoison(true);
  Descriptor buffer = fill(*jit, 100, 7);
  jit_memory::setPoison(false);
  EXPECT_EQ(buffer.size, 100);
  EXPECT_EQ(buffer.aligned[7], 1.0f);
  EXPECT_TRUE(std::isnan(buffer.aligned[6]));
  EXPECT_GE(jit_memory::getCurrentBytes() - before, 400);
  EXPECT_GE(jit_memory::getPeakBytes() - before, 400);
  int64_t overruns = jit_memory::getOverruns();
  jit_memory::release(buffer.allocated);
  EXPECT_EQ(jit_memory::getCurrentBytes(), before);
  EXPECT_EQ(jit_memory::getOverruns(), overruns);
}

TEST_F(Jit, RefusesWhatIsNotLowered) {
  auto module = parseSourceString<ModuleOp>(kHypot, &context);
  ScopedDiagnosticHandler quiet(&context,
                                [](Diagnostic &) { return success(); });
  auto jit = JitModule::create(*module);
  ASSERT_FALSE(static_cast<bool>(jit));
  EXPECT_EQ(llvm::toString(jit.takeError()),
            "the module could not be translated to LLVM IR");
}

TEST_F(Jit, NoticesWritesBeyondABuffer) {
  auto jit = compile(kBuffer);
  int64_t overruns = jit_memory::getOverruns();
  Descriptor buffer = fill(*jit, 16, 16);
  jit_memory::release(buffer.allocated);
  EXPECT_EQ(jit_memory::getOverruns(), overruns + 1);
}

TEST(SafeRun, FatalErrorsBecomeErrors) {
  llvm::Error error = runSafely(
      "brewing", [] { llvm::report_fatal_error("the kettle is empty"); });
  EXPECT_EQ(llvm::toString(std::move(error)),
            "brewing failed: the kettle is empty");
}

TEST(SafeRun, CrashesBecomeErrors) {
  llvm::Error error = runSafely("brewing", [] { std::raise(SIGSEGV); });
  EXPECT_EQ(llvm::toString(std::move(error)),
            "brewing failed: the compiler crashed");
}

TEST(SafeRun, WorkIsDone) {
  int cups = 0;
  EXPECT_FALSE(runSafely("brewing", [&] { cups = 2; }));
  EXPECT_EQ(cups, 2);
}

} // namespace
