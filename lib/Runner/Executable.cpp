//===- Executable.cpp - one function of a program, ready to run -----------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arrays become memref descriptors and back. A descriptor of rank r is the two
// pointers (allocated, aligned), the offset, r sizes and r strides, all of 64
// bits. Several results come back as one C struct of descriptors and scalars.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Executable.h"

#include "attn/Compiler/Pipelines.h"
#include "attn/Conversion/Passes.h"
#include "attn/Dialect/Attn/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/MathExtras.h"
#include <chrono>
#include <cstring>

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

static void buildPipeline(PassManager &manager,
                          const ExecutableOptions &options) {
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
attn::lowerProgram(ModuleOp module, const ExecutableOptions &options,
                   StringRef entry, Signature *signature) {
  OwningOpRef<ModuleOp> copy(module.clone());
  if (options.promoteToF64) {
    PassManager promote(module.getContext());
    promote.addPass(createPromoteToF64Pass());
    if (llvm::Error error = runPasses(promote, copy, "promotion to f64")) {
      return error;
    }
  }
  if (signature) {
    auto func = findEntry(*copy, entry);
    if (!func) {
      return func.takeError();
    }
    auto read = readSignature(*func);
    if (!read) {
      return read.takeError();
    }
    *signature = std::move(*read);
  }
  PassManager manager(module.getContext());
  buildPipeline(manager, options);
  if (llvm::Error error = runPasses(
          manager, copy, "compilation (" + getName(options.mode) + ")")) {
    return error;
  }
  return copy;
}

llvm::Expected<OwningOpRef<ModuleOp>>
attn::planProgram(ModuleOp module, const ExecutableOptions &options,
                  bool print) {
  OwningOpRef<ModuleOp> copy(module.clone());
  PassManager manager(module.getContext());
  PlanPipelineOptions plan;
  plan.splits = options.splits;
  plan.maxRecomputeFactor = options.maxRecomputeFactor;
  buildPlanPipeline(manager, plan);
  if (print) {
    manager.addPass(createPrintPlanPass());
  }
  if (llvm::Error error = runPasses(manager, copy, "planning")) {
    return error;
  }
  return copy;
}

llvm::Expected<std::unique_ptr<Executable>>
Executable::compile(ModuleOp module, StringRef entry,
                    const ExecutableOptions &options) {
  auto result = std::make_unique<Executable>();
  double start = getMilliseconds();
  auto lowered = lowerProgram(module, options, entry, &result->signature);
  if (!lowered) {
    return lowered.takeError();
  }
  double afterLowering = getMilliseconds();
  auto jit = JitModule::create(**lowered, !options.isQuick);
  if (!jit) {
    return jit.takeError();
  }
  result->jit = std::move(*jit);
  // Links now, so that a missing symbol is an error of the compilation.
  auto address =
      result->jit->lookup("attn_packed_" + result->signature.function);
  if (!address) {
    return address.takeError();
  }
  result->loweringTime = afterLowering - start;
  result->codegenTime = getMilliseconds() - afterLowering;
  return result;
}

namespace {

/// Words of a memref descriptor.
constexpr size_t kAllocatedWord = 0, kAlignedWord = 1, kOffsetWord = 2,
                 kSizesWord = 3;

size_t getDescriptorBytes(const Parameter &parameter) {
  return 8 * (kSizesWord + 2 * parameter.shape.size());
}

SmallVector<int64_t> makeDescriptor(const Array &array) {
  SmallVector<int64_t> words;
  auto address =
      static_cast<int64_t>(reinterpret_cast<intptr_t>(array.getOrigin()));
  words.append({address, address, 0});
  words.append(array.getShape().begin(), array.getShape().end());
  words.append(array.getStrides().begin(), array.getStrides().end());
  return words;
}

/// Takes over a buffer that the program returned.
Array adoptDescriptor(const Parameter &parameter, const char *bytes) {
  size_t rank = parameter.shape.size();
  SmallVector<int64_t> words(kSizesWord + 2 * rank);
  std::memcpy(words.data(), bytes, words.size() * 8);
  auto *allocated = reinterpret_cast<void *>(words[kAllocatedWord]);
  auto *aligned = reinterpret_cast<unsigned char *>(words[kAlignedWord]);
  std::shared_ptr<void> owner(allocated, jit_memory::release);
  ArrayRef<int64_t> all(words);
  return Array::wrap(parameter.type, all.slice(kSizesWord, rank),
                     all.slice(kSizesWord + rank, rank), std::move(owner),
                     aligned +
                         words[kOffsetWord] * getByteWidth(parameter.type));
}

/// Where each result lies in the struct that the C interface returns.
struct ResultLayout {
  SmallVector<size_t> offsets;
  size_t bytes = 0, returned = 0;
  bool onlyScalars = true;

  explicit ResultLayout(ArrayRef<Parameter> results) {
    for (const Parameter &result : results) {
      if (result.alias) { // the program returns it in place
        offsets.push_back(0);
        continue;
      }
      ++returned;
      onlyScalars = onlyScalars && result.isScalar;
      size_t width = getByteWidth(result.type);
      size_t size = result.isScalar ? width : getDescriptorBytes(result);
      bytes = llvm::alignTo(bytes, result.isScalar ? width : 8);
      offsets.push_back(bytes);
      bytes += size;
    }
    bytes = llvm::alignTo(bytes, 8);
  }
};

} // namespace

llvm::Expected<std::vector<Array>>
Executable::run(ArrayRef<Array> inputs) const {
  if (inputs.size() != signature.arguments.size()) {
    return llvm::createStringError("'" + signature.function + "' takes " +
                                   llvm::Twine(signature.arguments.size()) +
                                   " arguments, not " +
                                   llvm::Twine(inputs.size()));
  }
  SizeMap sizes;
  llvm::StringMap<std::string> origins;
  std::vector<SmallVector<int64_t>> descriptors;
  for (auto [input, parameter] : llvm::zip_equal(inputs, signature.arguments)) {
    if (llvm::Error error = bindSizes(parameter, input, sizes, origins)) {
      return error;
    }
    descriptors.push_back(makeDescriptor(input));
  }
  if (llvm::Error error = checkPages(signature, inputs)) {
    return error;
  }
  if (llvm::Error error = checkLists(signature, inputs)) {
    return error;
  }
  ResultLayout layout(signature.results);
  std::vector<char> storage(layout.bytes);
  void *storagePointer = storage.data();
  // A single scalar is returned by value, all else through the first argument.
  bool byValue = layout.returned == 1 && layout.onlyScalars;
  SmallVector<void *> descriptorPointers, args;
  for (auto &words : descriptors) {
    descriptorPointers.push_back(words.data());
  }
  if (layout.returned && !byValue) {
    args.push_back(&storagePointer);
  }
  for (auto [index, parameter] : llvm::enumerate(signature.arguments)) {
    args.push_back(parameter.isScalar ? inputs[index].getOrigin()
                                      : &descriptorPointers[index]);
  }
  if (byValue) {
    args.push_back(storagePointer);
  }
  if (llvm::Error error = jit->invoke(signature.function, args)) {
    return error;
  }
  std::vector<Array> results;
  for (auto [result, offset] :
       llvm::zip_equal(signature.results, layout.offsets)) {
    if (result.alias) {
      results.push_back(inputs[*result.alias]);
      continue;
    }
    if (!result.isScalar) {
      results.push_back(adoptDescriptor(result, storage.data() + offset));
      continue;
    }
    std::optional<Array> scalar = Array::create(result.type, {});
    if (!scalar) {
      return llvm::createStringError("not enough memory for a scalar");
    }
    std::memcpy(scalar->getOrigin(), storage.data() + offset,
                getByteWidth(result.type));
    results.push_back(std::move(*scalar));
  }
  return results;
}
