//===- Harness.cpp - kernels written by hand, emulated --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include "attn/Compiler/Registration.h"
#include "attn_emulator.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"
#include <mutex>

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::test;

static constexpr const char *kPipeline =
    "builtin.module(gpu.module(convert-scf-to-cf,convert-arith-to-llvm,"
    "reconcile-unrealized-casts),convert-cf-to-llvm,attn-emulate-gpu,"
    "convert-arith-to-llvm,finalize-memref-to-llvm,convert-func-to-llvm,"
    "reconcile-unrealized-casts)";

static std::string read(const std::string &file) {
  auto buffer =
      llvm::MemoryBuffer::getFile(std::string(ATTN_TEST_KERNELS) + "/" + file);
  EXPECT_TRUE(static_cast<bool>(buffer)) << file;
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

Program::Program(const std::string &file, const std::vector<Edit> &edits) {
  std::string text = read(file);
  for (const Edit &edit : edits) {
    size_t at = text.find(edit.piece);
    if (at == std::string::npos) {
      ADD_FAILURE() << file << " has no '" << edit.piece << "'";
      return;
    }
    size_t size =
        edit.end.empty() ? edit.piece.size() : text.find(edit.end, at) - at;
    text.replace(at, size, edit.replacement);
  }
  static std::once_flag once;
  std::call_once(once, registerPasses);
  DialectRegistry registry;
  registerDialects(registry);
  context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, file),
                             llvm::SMLoc());
  OwningOpRef<ModuleOp> module =
      parseSourceFile<ModuleOp>(sources, context.get());
  PassManager passes(context.get());
  if (!module ||
      failed(parsePassPipeline(StringRef(kPipeline).drop_front(15).drop_back(),
                               passes)) ||
      failed(passes.run(*module))) {
    ADD_FAILURE() << file << " cannot be lowered";
    return;
  }
  auto created = JitModule::create(*module);
  if (!created) {
    ADD_FAILURE() << file << ": " << llvm::toString(created.takeError());
    return;
  }
  jit = std::move(*created);
}

std::string Program::run(std::vector<View> buffers, uint64_t seed) const {
  // The C interface takes pointers to descriptors.
  std::vector<View *> views;
  std::vector<void *> args;
  for (View &view : buffers) {
    views.push_back(&view);
  }
  for (View *&view : views) {
    args.push_back(&view);
  }
  attn_emulator_set_seed(seed);
  if (llvm::Error error = jit->invoke("main", args)) {
    return llvm::toString(std::move(error));
  }
  const char *report = attn_emulator_take_error();
  return report ? report : "";
}
