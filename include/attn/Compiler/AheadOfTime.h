//===- AheadOfTime.h - programs as files ------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is compiled once, and written in any of these forms. A shared
// object, or an object that is linked into a program, needs the runtime library
// and nothing of the compiler; it holds a record of how its functions are
// called, which the runtime checks calls against (attn_module.h).
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_AHEADOFTIME_H
#define ATTN_COMPILER_AHEADOFTIME_H

#include "attn/Compiler/Compiler.h"
#include "attn/Compiler/Signature.h"

namespace mlir::attn {

enum class ArtifactKind { LLVMIR, Assembly, Object, SharedObject, Header };

/// What the code of one function came to.
struct FunctionCode {
  std::string name;
  /// Bytes of machine code.
  int64_t bytes;
};

class AheadOfTimeProgram {
public:
  /// Compiles the public functions of `module` for the target of the options.
  static llvm::Expected<std::unique_ptr<AheadOfTimeProgram>>
  compile(ModuleOp module, const CompileOptions &options);
  /// The code alone, for a JitModule of this process: large programs are made
  /// on several threads.
  static llvm::Expected<ObjectCode>
  compileToLoad(ModuleOp module, const CompileOptions &options);
  ~AheadOfTimeProgram();

  /// The bytes of a file. `name` is what messages and comments call the
  /// program.
  llvm::Expected<std::string> emit(ArtifactKind kind, StringRef name) const;

  /// How the functions are called; in the order of the record.
  ArrayRef<Signature> getSignatures() const;
  StringRef getTriple() const;
  StringRef getCPU() const;
  /// Features of the target that the loader asks the machine for.
  ArrayRef<std::string> getFeatures() const;
  /// Bytes of the record of how functions are called.
  int64_t getMetadataSize() const;
  /// The functions in an object that `emit` made.
  static llvm::Expected<std::vector<FunctionCode>>
  measureCode(StringRef object);
  /// The widest vectors that the code computes with, in bits; 0 for none.
  int64_t getVectorBits() const;

private:
  AheadOfTimeProgram();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace mlir::attn

#endif // ATTN_COMPILER_AHEADOFTIME_H
