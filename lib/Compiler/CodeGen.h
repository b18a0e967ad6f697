//===- CodeGen.h - LLVM dialect to LLVM IR to machine code ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_CODEGEN_H
#define ATTN_LIB_COMPILER_CODEGEN_H

#include "attn/Compiler/Jit.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include <functional>

namespace mlir::attn {

/// Makes the targets known to LLVM, once.
void initializeTargets();

/// All features of this machine, as LLVM writes them.
std::string getHostFeatures();

/// The code generator for a target.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const TargetSpec &target, StringRef features = "");

/// A translated module with the machine that it is for.
struct Translation {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;
};

/// Translates to LLVM IR for a target, unoptimized; with `features` beside
/// those of its CPU.
llvm::Expected<Translation> translate(ModuleOp module, const TargetSpec &target,
                                      StringRef features = "");

/// Runs `fn`, which yields an error of its own, under `runSafely`.
llvm::Error runStep(const llvm::Twine &doing,
                    llvm::function_ref<llvm::Error()> fn);

std::vector<FunctionSize> countInstructions(const llvm::Module &module);

/// What comes before the name of a function in that of its C interface, and of
/// its entry for callers who have arguments in an array.
inline constexpr llvm::StringLiteral kInterfacePrefix = "_mlir_ciface_";
inline constexpr llvm::StringLiteral kHostEntryPrefix = "attn_packed_";

/// Adds `attn_packed_<name>(ptr args)` for every `_mlir_ciface_<name>`, which
/// calls it with arguments loaded from an array of pointers.
void addPackedEntries(llvm::Module &module);

/// The trimmed optimization pipeline.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// Moves slots of known size to the entries of their functions. Optimization
/// removes those inside of loops; without it, each turn would take more stack.
void hoistSlots(llvm::Module &module);

/// Machine code; false if the target cannot write this kind of file.
bool emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                     llvm::CodeGenFileType type,
                     llvm::raw_pwrite_stream &stream);

/// Notes at functions what optimization asks the rest of the module for.
void prepareToSplit(llvm::Module &module);

/// What a module, or a part of one, goes through before it is machine code.
/// Several run at a time.
using PreparePart = std::function<void(llvm::Module &, llvm::TargetMachine &)>;

/// What JitModule loads: an object, or an archive of several that were made on
/// as many threads. Names of kernels are not kept apart from those of other
/// objects, and the module is used up.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
generateLoadable(Translation &translation, const TargetSpec &target,
                 const PreparePart &prepare);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_CODEGEN_H
