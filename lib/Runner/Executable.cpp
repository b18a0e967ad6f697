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

#include "DeviceRun.h"
#include "attn_emulator.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace mlir::attn;

llvm::Expected<std::unique_ptr<Executable>>
Executable::compile(ModuleOp module, StringRef entry,
                    const ExecutableOptions &options) {
  auto result = std::make_unique<Executable>();
  result->form =
      getName(options.mode).str() + (options.promoteToF64 ? " in f64"
                                     : options.exact ? " in exact arithmetic"
                                                     : "");
  OwningOpRef<ModuleOp> promoted;
  if (options.promoteToF64) {
    auto copy = promoteProgram(module);
    if (!copy) {
      return copy.takeError();
    }
    promoted = std::move(*copy);
    module = *promoted;
  }
  auto func = findEntry(module, entry);
  if (!func) {
    return func.takeError();
  }
  auto signature = readSignature(*func);
  if (!signature) {
    return signature.takeError();
  }
  result->signature = std::move(*signature);
  if (options.mode == ExecutionMode::GPU) {
    auto program = Compiler(options).compile(module);
    if (!program) {
      return program.takeError();
    }
    result->fromCache = (*program)->isFromCache();
    result->program = std::move(*program);
    result->chip = options.chip;
    return result;
  }
  auto program = compileProgram(module, options);
  if (!program) {
    return program.takeError();
  }
  result->loweringTime = program->loweringTime;
  result->codegenTime = program->codegenTime;
  result->fromCache = program->fromCache;
  result->exactBits = program->exactBits;
  result->jit = std::move(program->jit);
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

llvm::Expected<std::vector<Array>> Executable::runSafely(ArrayRef<Array> inputs,
                                                         bool &crashed) const {
  std::vector<Array> results;
  llvm::Error inner = llvm::Error::success();
  llvm::Error outer = runProgramSafely([&] {
    llvm::consumeError(std::move(inner));
    auto computed = run(inputs);
    inner = computed.takeError();
    if (!inner) {
      results = std::move(*computed);
    }
  });
  crashed = static_cast<bool>(outer);
  if (crashed) {
    llvm::consumeError(std::move(inner));
    return llvm::createStringError("the program crashed (" + form +
                                   "): " + llvm::toString(std::move(outer)));
  }
  if (inner) {
    return inner;
  }
  return results;
}

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
  if (llvm::Error error = checkExtents(signature, inputs)) {
    return error;
  }
  if (llvm::Error error = checkPages(signature, inputs)) {
    return error;
  }
  if (llvm::Error error = checkLists(signature, inputs)) {
    return error;
  }
  if (llvm::Error error = checkMaps(signature, inputs)) {
    return error;
  }
  if (program) {
    return runOnDevice(*program, chip, signature, inputs);
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
  if (const char *message = attn_emulator_take_error()) {
    return llvm::createStringError(message);
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
