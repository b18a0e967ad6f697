//===- Compiler.cpp - programs in, code out -------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Code is cached under the program as it was given, before any pass: a hit
// costs a print and a hash, and neither passes nor LLVM run.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Compiler.h"

#include "CodeGen.h"
#include "attn/Compiler/Pipelines.h"
#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "llvm/TargetParser/Host.h"
#include <chrono>

using namespace mlir;
using namespace mlir::attn;

StringRef attn::getName(ExecutionMode mode) {
  switch (mode) {
  case ExecutionMode::CPU:
    return "fused CPU";
  case ExecutionMode::Loops:
    return "loops";
  case ExecutionMode::FusedLoops:
    return "fused loops";
  case ExecutionMode::Reference:
    return "reference";
  }
  llvm_unreachable("all modes are handled");
}

static double getMilliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Runs passes under crash recovery: a bug in one pass must not take the tool,
/// and its other results, with it. What is left of the module after a crash is
/// not touched again.
static llvm::Error runPasses(PassManager &manager,
                             OwningOpRef<ModuleOp> &module,
                             const llvm::Twine &what) {
  bool succeededAll = false;
  if (llvm::Error error = runSafely(
          what, [&] { succeededAll = succeeded(manager.run(*module)); })) {
    (void)module.release();
    return error;
  }
  if (!succeededAll) {
    return llvm::createStringError(what + " failed");
  }
  return llvm::Error::success();
}

static void buildPipeline(PassManager &manager, const CompileOptions &options) {
  switch (options.mode) {
  case ExecutionMode::Reference:
    return buildReferencePipeline(manager);
  case ExecutionMode::Loops:
  case ExecutionMode::FusedLoops: {
    LoopsPipelineOptions loops;
    loops.fuse = options.mode == ExecutionMode::FusedLoops;
    loops.splits = options.splits;
    loops.useBounds = true;
    loops.maxRecomputeFactor = options.maxRecomputeFactor;
    return buildLoopsPipeline(manager, loops);
  }
  case ExecutionMode::CPU: {
    CPUPipelineOptions cpu;
    cpu.triple = options.target.triple;
    cpu.cpu = options.target.cpu;
    cpu.splits = options.splits;
    cpu.maxRecomputeFactor = options.maxRecomputeFactor;
    return buildCPUPipeline(manager, cpu);
  }
  }
}

llvm::Expected<OwningOpRef<ModuleOp>>
attn::lowerProgram(ModuleOp module, const CompileOptions &options) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager manager(module.getContext());
  buildPipeline(manager, options);
  if (llvm::Error error = runPasses(
          manager, copy, "compilation (" + getName(options.mode) + ")")) {
    return error;
  }
  return copy;
}

llvm::Expected<OwningOpRef<ModuleOp>> attn::promoteProgram(ModuleOp module) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager promote(module.getContext());
  promote.addPass(createPromoteToF64Pass());
  if (llvm::Error error = runPasses(promote, copy, "promotion to f64")) {
    return error;
  }
  return copy;
}

llvm::Expected<OwningOpRef<ModuleOp>>
attn::planProgram(ModuleOp module, const CompileOptions &options) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager manager(module.getContext());
  PlanPipelineOptions plan;
  plan.splits = options.splits;
  plan.maxRecomputeFactor = options.maxRecomputeFactor;
  buildPlanPipeline(manager, plan);
  if (llvm::Error error = runPasses(manager, copy, "planning")) {
    return error;
  }
  return copy;
}

/// Everything that the code for this machine depends on.
static CacheKey makeKey(ModuleOp module, const CompileOptions &options) {
  std::string text, how;
  llvm::raw_string_ostream textStream(text), howStream(how);
  OpPrintingFlags flags;
  flags.printGenericOpForm().assumeVerified();
  module->print(textStream, flags);
  howStream << getName(options.mode) << " " << options.splits << " "
            << options.maxRecomputeFactor;
  std::string features = getHostFeatures();
  return makeCacheKey({getCompilerBuildId(), text, how,
                       llvm::sys::getProcessTriple(),
                       llvm::sys::getHostCPUName(), features});
}

static llvm::Error compileObject(ModuleOp module, const CompileOptions &options,
                                 LoadedProgram &program, ObjectCode &code) {
  double start = getMilliseconds();
  auto lowered = lowerProgram(module, options);
  if (!lowered) {
    return lowered.takeError();
  }
  double afterLowering = getMilliseconds();
  program.loweringTime = afterLowering - start;
  auto generated = generateObject(**lowered);
  if (!generated) {
    return generated.takeError();
  }
  program.codegenTime = getMilliseconds() - afterLowering;
  code = std::move(*generated);
  return llvm::Error::success();
}

/// A full disk or a directory that cannot be written is no reason to fail.
static void store(const Cache &cache, const CacheKey &key,
                  const ObjectCode &code, MLIRContext *context) {
  llvm::Error error = cache.store(key, code.object->getBuffer());
  std::string reason = llvm::toString(std::move(error));
  if (!reason.empty() && cache.shouldWarn()) {
    emitWarning(UnknownLoc::get(context))
        << "the compiled program was not cached: " << reason;
  }
}

/// Looks up every public function.
static llvm::Error linkEntries(ModuleOp module, const JitModule &jit) {
  for (auto func : module.getOps<func::FuncOp>()) {
    if (func.isPublic() && !func.isExternal()) {
      if (auto address = jit.lookup(("attn_packed_" + func.getName()).str());
          !address) {
        return address.takeError();
      }
    }
  }
  return llvm::Error::success();
}

llvm::Expected<LoadedProgram>
attn::compileProgram(ModuleOp module, const CompileOptions &options) {
  LoadedProgram program;
  ObjectCode code;
  double start = getMilliseconds();
  CacheKey key;
  if (options.cache) {
    key = makeKey(module, options);
    code.object = options.cache->find(key);
    program.fromCache = code.object != nullptr;
    program.codegenTime = getMilliseconds() - start;
  }
  if (!program.fromCache) {
    if (llvm::Error error = compileObject(module, options, program, code)) {
      return error;
    }
    if (options.cache) {
      store(*options.cache, key, code, module.getContext());
    }
  }
  start = getMilliseconds();
  auto jit = JitModule::load(std::move(code));
  if (!jit) {
    return jit.takeError();
  }
  program.jit = std::move(*jit);
  // Links now, so that a missing symbol is an error of the compilation.
  if (llvm::Error error = linkEntries(module, *program.jit)) {
    return error;
  }
  program.codegenTime += getMilliseconds() - start;
  return program;
}
