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
#include "attn/Compiler/Warnings.h"
#include "mlir/IR/OwningOpRef.h"

struct attn_module;
struct attn_function;
struct attn_device_info;

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace mlir::attn {

/// The ways to compile a program.
enum class ExecutionMode {
  CPU,
  Loops,
  FusedLoops,
  Reference,
  /// Kernels and their launches: for compileForDevice, and for calls on a
  /// device.
  GPU,
  EmulatedGPU
};

StringRef getName(ExecutionMode mode);

/// All but the cache itself is part of the keys of the cache.
struct CompileOptions {
  ExecutionMode mode = ExecutionMode::CPU;
  /// Ranges of keys of streams with few rows. If 0, none on a CPU, and 8 on a
  /// GPU where there are known to be at most 16 rows.
  int64_t splits = 0;
  int64_t maxRecomputeFactor = 4;
  /// Kernels for one row beside those for any number: for callers that cannot
  /// compile again once they know.
  bool oneRowForms = true;
  /// On GPUs of NVIDIA: a warp of its own brings tiles to those that compute,
  /// where a kernel allows it.
  bool warpRoles = false;
  TargetSpec target;
  /// The GPU, in LLVM's naming: sm_80.
  std::string chip;
  /// GPUs that a program ahead of time has code for, beside that for the CPU,
  /// or alone in the mode GPU.
  std::vector<std::string> chips = {};
  /// Code that is there sooner and runs longer: for what runs once. Of no
  /// effect on programs with narrow floats in exact mode.
  bool isQuick = false;
  /// Verifies the program after every pass, not only after the last: takes as
  /// long as the passes do, and names the one that went wrong.
  bool verifyPasses = false;
  /// Integers modulo 2^w in place of floats. Not cached.
  bool exact = false;
  /// The kind of a fault to plant into the plan; empty for none. Not cached.
  std::string plantFault;
  /// Where code for this machine is looked up first, and stored; may be null.
  std::shared_ptr<const Cache> cache;
};

/// Sets mode and chip from the name of a target: cpu, cuda:sm_80, hip:gfx942 or
/// another chip, or cuda:sm_80,emulate to run kernels on this machine.
llvm::Error setTarget(CompileOptions &options, StringRef target);

/// The name of the target of a chip: cuda:sm_80, hip:gfx942.
std::string getTargetName(StringRef chip);

/// The target of a device: that of its chip, or for CUDA of the nearest one
/// below it that there is code for.
llvm::Expected<std::string> findTarget(const attn_device_info &device);

/// Lowers a copy of `module` to the LLVM dialect. Diagnostics go to the
/// context's handler; the error only says which step failed. With
/// `passResults`, callers pass the buffers of results.
llvm::Expected<OwningOpRef<ModuleOp>>
lowerProgram(ModuleOp module, const CompileOptions &options,
             bool passResults = false);

/// Bytes that are made of a program: from the cache of the options, or made and
/// stored there with its warnings, which are emitted in either case. `form`
/// tells apart what is made of one program.
llvm::Expected<std::string>
findOrMake(ModuleOp module, const CompileOptions &options, StringRef form,
           const WarningRecorder &warnings,
           llvm::function_ref<llvm::Expected<std::string>()> make);

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
  /// In exact mode, the lower bits in which results must agree.
  unsigned exactBits = 64;
};

/// Compiles `module` for this machine, or finds its code in the cache, and
/// loads and links it. The target of the options must be the host.
llvm::Expected<LoadedProgram> compileProgram(ModuleOp module,
                                             const CompileOptions &options);

/// Functions that are ready to be called, by attn_function_call of the runtime,
/// which checks all arguments.
class Program {
public:
  ~Program();

  /// As long as the program lives.
  const attn_module *getModule() const;
  llvm::Expected<const attn_function *> getFunction(StringRef name) const;
  bool isFromCache() const;
  /// What the compilation of a text warned of, as a compiler prints it, with
  /// the lines it is about: of kernels that are slower than they could be.
  StringRef getWarnings() const;

private:
  friend class Compiler;
  Program();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Text or IR in, functions out. Any number of threads may share one.
class Compiler {
public:
  explicit Compiler(CompileOptions options = CompileOptions());
  ~Compiler();

  /// Compiles the public functions of a program, for this machine or, in the
  /// mode GPU, for calls with memory of such a device; `name` stands for it in
  /// messages. An error has the diagnostics, with the lines they are about.
  llvm::Expected<std::unique_ptr<Program>>
  compile(StringRef text, StringRef name = "program") const;

  /// The same for a module whose context has the dialects of
  /// `registerDialects`, to which diagnostics go. It is left as it is.
  llvm::Expected<std::unique_ptr<Program>> compile(ModuleOp module) const;

private:
  CompileOptions options;
  std::unique_ptr<DialectRegistry> registry;
};

} // namespace mlir::attn

#endif // ATTN_COMPILER_COMPILER_H
