//===- Executable.h - one function of a program, ready to run ---*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_EXECUTABLE_H
#define ATTN_RUNNER_EXECUTABLE_H

#include "attn/Compiler/Compiler.h"
#include "attn/Runner/Arguments.h"

namespace mlir::attn {

struct ExecutableOptions : CompileOptions {
  /// Compile the same program on f64.
  bool promoteToF64 = false;
};

class Executable {
public:
  static llvm::Expected<std::unique_ptr<Executable>>
  compile(ModuleOp module, StringRef entry, const ExecutableOptions &options);

  /// Runs on arrays that have the signature's types; shapes are checked.
  llvm::Expected<std::vector<Array>> run(ArrayRef<Array> inputs) const;
  /// The same, where a crash on this thread is an error, too, that says how the
  /// program was compiled; `crashed` says if it was one.
  llvm::Expected<std::vector<Array>> runSafely(ArrayRef<Array> inputs,
                                               bool &crashed) const;

  const Signature &getSignature() const { return signature; }
  /// Not of a program for a GPU.
  const JitModule &getJit() const { return *jit; }
  /// In exact mode: how many low bits of float results are determined.
  unsigned getExactBits() const { return exactBits; }
  /// Milliseconds that the passes, and LLVM, took.
  double getLoweringTime() const { return loweringTime; }
  double getCodegenTime() const { return codegenTime; }
  bool isFromCache() const { return fromCache; }

private:
  Signature signature;
  /// How it was compiled, for messages.
  std::string form;
  std::unique_ptr<JitModule> jit;
  /// In place of it, what is called on a GPU, and of which kind that is.
  std::unique_ptr<Program> program;
  std::string chip;
  unsigned exactBits = 64;
  double loweringTime = 0.0, codegenTime = 0.0;
  bool fromCache = false;
};

} // namespace mlir::attn

#endif // ATTN_RUNNER_EXECUTABLE_H
