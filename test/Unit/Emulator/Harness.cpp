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

/// For a kernel of the tile dialect, before the rest.
static constexpr const char *kTilePipeline =
    "gpu.module(convert-nvgpu-to-nvvm,"
    "expand-strided-metadata,lower-affine,convert-scf-to-cf,"
    "attn-kernels-to-nvvm,reconcile-unrealized-casts)";

static constexpr const char *kPipeline =
    "gpu.module(convert-scf-to-cf,convert-arith-to-llvm,"
    "reconcile-unrealized-casts),convert-cf-to-llvm,attn-emulate-gpu,"
    "convert-arith-to-llvm,finalize-memref-to-llvm,convert-func-to-llvm,"
    "reconcile-unrealized-casts";

Memory::Memory(const std::string &file) {
  std::vector<size_t> sizes;
  if (file == "sum.mlir") {
    sizes = {3 * 128, 3};
  } else if (file == "shuffle.mlir" || file == "histogram.mlir") {
    sizes = {96, 96};
  } else if (file == "transpose.mlir") {
    sizes = {128, 128};
  } else if (file == "channel.mlir") {
    sizes = {32};
  } else if (file == "product.mlir") {
    sizes = {128, 64, 128};
  } else if (file == "ring.mlir") {
    sizes = {8 * 32, 32};
  } else if (file == "bulk.mlir") {
    sizes = {8 * 32, 8 * 32};
  } else if (file == "roles.mlir") {
    sizes = {6 * 8 * 32, 6 * 8 * 32, 128};
    hasMaps = true;
  } else if (file == "gemm.mlir") {
    sizes = {128 * 96, 16 * 96, 128 * 16};
    hasMaps = true;
    packing = 2;
  } else if (file == "cluster.mlir") {
    sizes = {4 * 5 * 8 * 32, 5 * 8 * 32, 128};
    hasMaps = true;
  } else if (file == "tiles.mlir") {
    sizes = {75 * 8, 16 * 8};
  } else if (file == "tile-roles.mlir") {
    sizes = {107 * 8, 16 * 8};
  } else if (file == "states.mlir") {
    sizes = {64};
  } else if (file == "wgmma.mlir") {
    sizes = {64 * 8, 3 * 16 * 8, 3 * 16 * 8, 64 * 16};
  } else {
    sizes = {32 * 96 / 2, 8 * 96 / 2, 32 * 8};
    packing = 2;
  }
  for (size_t size : sizes) {
    // 1.0, or twice that as bf16.
    words.emplace_back(size, packing == 1 ? 0x3f800000 : 0x3f803f80);
  }
}

/// A box of some columns of so many rows.
static attn_emulator_tensor describe(std::vector<int32_t> &buffer, int32_t type,
                                     int32_t columns, int32_t boxColumns,
                                     int32_t boxRows, int32_t swizzle) {
  attn_emulator_tensor tensor = {};
  int32_t bytes = type == ATTN_EMULATOR_BF16 ? 2 : 4;
  tensor.type = type;
  tensor.rank = 2;
  tensor.data = buffer.data();
  tensor.sizes[0] = columns;
  tensor.sizes[1] = 4 * static_cast<int64_t>(buffer.size()) / bytes / columns;
  tensor.strides[1] = int64_t{bytes} * columns;
  tensor.box[0] = boxColumns;
  tensor.box[1] = boxRows;
  tensor.element_strides[0] = tensor.element_strides[1] = 1;
  tensor.swizzle = swizzle;
  return tensor;
}

/// For gemm.mlir, cluster.mlir and roles.mlir.
void Memory::makeMaps() {
  std::vector<attn_emulator_tensor> tensors;
  constexpr int32_t kWord = ATTN_EMULATOR_S32, kHalf = ATTN_EMULATOR_BF16;
  if (hasMaps && packing == 2) {
    tensors = {describe(words[0], kHalf, 192, 64, 128, 128),
               describe(words[1], kHalf, 192, 64, 16, 128)};
  } else if (hasMaps && words[0].size() != words[1].size()) {
    tensors = {describe(words[0], kWord, 32, 32, 8, 0),
               describe(words[1], kWord, 32, 32, 4, 0)};
  } else if (hasMaps) {
    tensors = {describe(words[0], kWord, 32, 32, 8, 128),
               describe(words[1], kWord, 32, 32, 8, 128),
               describe(words[2], kWord, 16, 16, 8, 0)};
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(attn_emulator_encode_tensor_map(&maps[i], &tensors[i]), nullptr);
  }
}

std::vector<View> Memory::getViews() {
  std::vector<View> views;
  makeMaps();
  if (hasMaps) {
    views.emplace_back(maps, 3 * 16);
  }
  for (auto &buffer : words) {
    bool isPacked = packing == 2 && !hasMaps && &buffer != &words.back();
    views.emplace_back(buffer.data(), static_cast<int64_t>(buffer.size()) *
                                          (isPacked ? 2 : 1));
  }
  return views;
}

static std::string read(const std::string &file) {
  auto buffer =
      llvm::MemoryBuffer::getFile(std::string(ATTN_TEST_KERNELS) + "/" + file);
  EXPECT_TRUE(static_cast<bool>(buffer)) << file;
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

static LogicalResult runPasses(ModuleOp module, const std::string &pipeline) {
  PassManager passes(module.getContext());
  return success(succeeded(parsePassPipeline(pipeline, passes)) &&
                 succeeded(passes.run(module)));
}

Program::Program(const std::string &file, const std::vector<Edit> &edits,
                 const Compilation &how) {
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
  bool hasTiles = llvm::StringRef(file).starts_with("tile");
  std::string toThreads =
      "attn-distribute-tiles{chip=" + how.chip + "}," + kTilePipeline;
  if (!module || (hasTiles && failed(runPasses(*module, toThreads)))) {
    ADD_FAILURE() << file << " cannot be lowered";
    return;
  }
  if (how.damage) {
    how.damage(*module);
  }
  if (failed(runPasses(*module, kPipeline))) {
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
