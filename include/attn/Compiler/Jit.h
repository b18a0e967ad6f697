//===- Jit.h - LLVM-dialect modules as running code -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Takes what the pipelines of Pipelines.h produce and runs it in this process,
// or writes it as LLVM IR, assembly or an object for any of the CPU targets.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_JIT_H
#define ATTN_COMPILER_JIT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <string>
#include <vector>

namespace mlir::attn {

/// A CPU to generate code for. With neither a triple nor a CPU, the host with
/// all its features; with a triple alone, the baseline of that architecture.
struct TargetSpec {
  std::string triple;
  std::string cpu;

  bool isHost() const { return triple.empty() && cpu.empty(); }
};

/// The size of one function as it left MLIR, before LLVM's optimizations.
struct FunctionSize {
  std::string name;
  int64_t instructions;
};

/// A relocatable object for this machine, or an archive of several, as a
/// JitModule loads it. The sizes are those before LLVM's optimizations.
struct ObjectCode {
  std::unique_ptr<llvm::MemoryBuffer> object;
  std::vector<FunctionSize> sizes;
};

/// Translates and optimizes a module in the LLVM dialect for this machine.
/// Without optimization, the code is there sooner and runs longer.
llvm::Expected<ObjectCode> generateObject(ModuleOp module,
                                          bool isOptimized = true);

/// A module that has been compiled for, and loaded into, this process.
class JitModule {
public:
  /// Generates code for, and loads, a module in the LLVM dialect.
  static llvm::Expected<std::unique_ptr<JitModule>> create(ModuleOp module);
  /// Loads what `generateObject` made, now or in an earlier process.
  static llvm::Expected<std::unique_ptr<JitModule>> load(ObjectCode code);
  ~JitModule();

  /// The address of a symbol, such as `_mlir_ciface_<name>`.
  llvm::Expected<void *> lookup(StringRef symbol) const;

  /// Calls a public function by its C interface. `args` points to each
  /// argument of `_mlir_ciface_<name>` in order: for a memref, to a pointer to
  /// its descriptor; and last, to the result, where that is a scalar returned
  /// by value.
  llvm::Error invoke(StringRef name, MutableArrayRef<void *> args) const;

  ArrayRef<FunctionSize> getFunctionSizes() const { return sizes; }

private:
  JitModule();
  struct Impl;
  std::unique_ptr<Impl> impl;
  std::vector<FunctionSize> sizes;
};

enum class EmitKind { LLVMIR, OptimizedLLVMIR, Assembly, Object };

/// The code of a module in the LLVM dialect as text (or bytes, for an object).
llvm::Expected<std::string> emitCode(ModuleOp module, const TargetSpec &target,
                                     EmitKind kind);

/// The sizes of the functions of a module in the LLVM dialect, unoptimized.
llvm::Expected<std::vector<FunctionSize>>
getFunctionSizes(ModuleOp module, const TargetSpec &target);

/// Runs `fn`; a fatal error of LLVM, or a crash, inside becomes an error that
/// says what was being done.
llvm::Error runSafely(llvm::Twine doing, llvm::function_ref<void()> fn);

/// Runs compiled code on this thread; a crash of it there becomes an error.
llvm::Error runProgramSafely(llvm::function_ref<void()> fn);

/// What compiled programs allocate: counted, and filled with NaN on demand.
/// Compiled code must not be running while a setting is changed.
namespace jit_memory {
/// Fills every new buffer with 0xff bytes, a NaN in every float format, and
/// watches the bytes behind it.
void setPoison(bool enabled);
/// Bytes that are allocated now, and the most since the last reset.
int64_t getCurrentBytes();
int64_t getPeakBytes();
void resetPeakBytes();
/// Number of buffers found written beyond their end when they were freed.
int64_t getOverruns();
/// Frees a buffer that a compiled function returned.
void release(void *allocated);
} // namespace jit_memory

} // namespace mlir::attn

#endif // ATTN_COMPILER_JIT_H
