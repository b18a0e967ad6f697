//===- Harness.h - kernels written by hand, emulated ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file of Inputs holds a function @main that launches a kernel. Kernels are
// written with scf and arith where that reads better; those are lowered here,
// as they would be for a card.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_UNIT_EMULATOR_HARNESS_H
#define ATTN_TEST_UNIT_EMULATOR_HARNESS_H

#include "attn/Compiler/Jit.h"
#include "attn_emulator.h"
#include "mlir/IR/MLIRContext.h"
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mlir::attn::test {

/// A piece of the text, which has to occur, and what is there instead. With an
/// `end`, the piece goes on to where that begins.
struct Edit {
  std::string piece, replacement;
  std::string end = {};
};

/// A one-dimensional buffer, as compiled code takes it.
struct View {
  View(void *data, int64_t size) : allocated(data), aligned(data), size(size) {}
  template <typename T>
  View(std::vector<T> &values)
      : allocated(values.data()), aligned(values.data()),
        size(static_cast<int64_t>(values.size())) {}

  void *allocated, *aligned;
  int64_t offset = 0, size, stride = 1;
};

/// The good kernels.
inline constexpr const char *kFiles[] = {
    "sum.mlir",       "shuffle.mlir", "transpose.mlir", "channel.mlir",
    "histogram.mlir", "product.mlir", "stages.mlir",    "ring.mlir",
    "states.mlir",    "bulk.mlir",    "roles.mlir",     "wgmma.mlir",
    "gemm.mlir",      "cluster.mlir", "tiles.mlir",     "tile-roles.mlir"};

/// Arguments of the kernel of a file, of the right sizes; all that are read
/// hold small numbers.
struct Memory {
  explicit Memory(const std::string &file);
  std::vector<View> getViews();

  /// The bits of each buffer.
  std::vector<std::vector<int32_t>> words;
  /// Elements in a word.
  int packing = 1;
  /// Of the buffers, for a kernel that takes them first.
  alignas(64) attn_emulator_tensor_map maps[3];
  bool hasMaps = false;

private:
  void makeMaps();
};

/// How a kernel of the tile dialect is compiled, and what is done to it when it
/// is one of threads.
struct Compilation {
  std::string chip = "sm_80";
  std::function<void(ModuleOp)> damage = {};
};

class Program {
public:
  /// The kernel of a file; fails the test if it cannot be compiled.
  explicit Program(const std::string &file, const std::vector<Edit> &edits = {},
                   const Compilation &how = {});
  bool isCompiled() const { return jit != nullptr; }

  /// Runs @main with a seed. What the emulator reports, or "".
  std::string run(std::vector<View> buffers, uint64_t seed = 0) const;

private:
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<JitModule> jit;
};

} // namespace mlir::attn::test

#endif // ATTN_TEST_UNIT_EMULATOR_HARNESS_H
