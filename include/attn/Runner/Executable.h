//===- Executable.h - one function of a program, ready to run ---*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_EXECUTABLE_H
#define ATTN_RUNNER_EXECUTABLE_H

#include "attn/Compiler/Jit.h"
#include "attn/Runner/Signature.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::attn {

/// The ways to compile a program.
enum class ExecutionMode { CPU, Loops, FusedLoops, Reference };

StringRef getName(ExecutionMode mode);

struct ExecutableOptions {
  ExecutionMode mode = ExecutionMode::CPU;
  /// Compile the same program on f64.
  bool promoteToF64 = false;
  int64_t splits = 0;
  int64_t maxRecomputeFactor = 4;
  /// Code that is there sooner and runs longer: for what runs once.
  bool isQuick = false;
  TargetSpec target;
};

/// Lowers a copy of `module` to the LLVM dialect. Diagnostics go to the
/// context's handler; the error only says which step failed. With `signature`,
/// that of the function `entry` as compiled is stored there.
llvm::Expected<OwningOpRef<ModuleOp>>
lowerProgram(ModuleOp module, const ExecutableOptions &options,
             StringRef entry = "", Signature *signature = nullptr);

/// The plan of a program: a copy of `module` after `attn-plan`.
llvm::Expected<OwningOpRef<ModuleOp>>
planProgram(ModuleOp module, const ExecutableOptions &options,
            bool print = false);

class Executable {
public:
  static llvm::Expected<std::unique_ptr<Executable>>
  compile(ModuleOp module, StringRef entry, const ExecutableOptions &options);

  /// Runs on arrays that have the signature's types; shapes are checked.
  llvm::Expected<std::vector<Array>> run(ArrayRef<Array> inputs) const;

  const Signature &getSignature() const { return signature; }
  const JitModule &getJit() const { return *jit; }
  /// Milliseconds that the passes, and LLVM, took.
  double getLoweringTime() const { return loweringTime; }
  double getCodegenTime() const { return codegenTime; }

private:
  Signature signature;
  std::unique_ptr<JitModule> jit;
  double loweringTime = 0.0, codegenTime = 0.0;
};

} // namespace mlir::attn

#endif // ATTN_RUNNER_EXECUTABLE_H
