//===- Compiler.h - programs in, code out -----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From a program in the attn dialect to code: for this process, or as files.
// Nothing here ends the process: a fatal error of LLVM, or a crash in a pass,
// is an error like any other.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_COMPILER_H
#define ATTN_COMPILER_COMPILER_H

#include "attn/Compiler/Cache.h"
#include "attn/Compiler/Jit.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::attn {

/// The ways to compile a program.
enum class ExecutionMode { CPU, Loops, FusedLoops, Reference };

StringRef getName(ExecutionMode mode);

struct CompileOptions {
  ExecutionMode mode = ExecutionMode::CPU;
  int64_t splits = 0;
  int64_t maxRecomputeFactor = 4;
  TargetSpec target;
  /// Where code for this machine is looked up first, and stored; may be null.
  std::shared_ptr<const Cache> cache;
};

/// Lowers a copy of `module` to the LLVM dialect. Diagnostics go to the
/// context's handler; the error only says which step failed.
llvm::Expected<OwningOpRef<ModuleOp>>
lowerProgram(ModuleOp module, const CompileOptions &options);

/// The plan of a program: a copy of `module` after `attn-plan`.
llvm::Expected<OwningOpRef<ModuleOp>>
planProgram(ModuleOp module, const CompileOptions &options);

/// A copy of `module` that computes in f64.
llvm::Expected<OwningOpRef<ModuleOp>> promoteProgram(ModuleOp module);

/// A program that is ready to run in this process.
struct LoadedProgram {
  std::unique_ptr<JitModule> jit;
  /// Milliseconds that the passes took, and LLVM or the cache.
  double loweringTime = 0.0, codegenTime = 0.0;
  bool fromCache = false;
};

/// Compiles `module` for this machine, or finds its code in the cache, and
/// loads and links it. The target of the options must be the host.
llvm::Expected<LoadedProgram> compileProgram(ModuleOp module,
                                             const CompileOptions &options);

} // namespace mlir::attn

#endif // ATTN_COMPILER_COMPILER_H
