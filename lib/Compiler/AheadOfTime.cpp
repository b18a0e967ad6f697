//===- AheadOfTime.cpp - programs as files --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The module that all files are made from:
//
//   define void @attn_packed_f(ptr %slots)            ; seen from outside
//   @attn_module_metadata = constant [n x i8] ...     ; seen from outside
//   @attn_module_metadata_size = constant i64 n       ; seen from outside
//   define internal ... @_mlir_ciface_f, @f, kernels
//   declare ptr @attn_malloc(i64)                     ; was malloc
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/AheadOfTime.h"

#include "CodeGen.h"
#include "DevicePackage.h"
#include "Metadata.h"
#include "attn_module.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Object/SymbolSize.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;
using namespace mlir::attn;

struct AheadOfTimeProgram::Impl {
  Translation translation;
  std::vector<Signature> signatures;
  std::vector<std::string> features;
  int64_t metadataSize = 0;
  /// Of entries, in the order of the record.
  std::vector<std::string> prefixes;
  int64_t vectorBits = 0;

  /// Everything up to optimization.
  llvm::Error prepare(ModuleOp module, const CompileOptions &options);
};

AheadOfTimeProgram::AheadOfTimeProgram() : impl(std::make_unique<Impl>()) {}
AheadOfTimeProgram::~AheadOfTimeProgram() = default;

ArrayRef<Signature> AheadOfTimeProgram::getSignatures() const {
  return impl->signatures;
}
StringRef AheadOfTimeProgram::getTriple() const {
  return impl->translation.machine->getTargetTriple().str();
}
StringRef AheadOfTimeProgram::getCPU() const {
  return impl->translation.machine->getTargetCPU();
}
ArrayRef<std::string> AheadOfTimeProgram::getFeatures() const {
  return impl->features;
}
int64_t AheadOfTimeProgram::getMetadataSize() const {
  return impl->metadataSize;
}
int64_t AheadOfTimeProgram::getVectorBits() const { return impl->vectorBits; }

static llvm::Expected<std::vector<Signature>> readSignatures(ModuleOp module) {
  std::vector<Signature> signatures;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (!func.isPublic() || func.isExternal()) {
      continue;
    }
    auto signature = readSignature(func);
    if (!signature) {
      return signature.takeError();
    }
    signatures.push_back(std::move(*signature));
  }
  if (signatures.empty()) {
    return llvm::createStringError(
        "the program has no public function with a body");
  }
  return signatures;
}

/// What a result's extents are computed from, in place of its attributes.
static void nameResultDims(std::vector<Signature> &signatures,
                           ArrayRef<FunctionRecord> records) {
  for (auto [signature, record] : llvm::zip_equal(signatures, records)) {
    ExtentSymbols symbols(signature);
    for (auto [result, axes] :
         llvm::zip_equal(signature.results, record.extents)) {
      for (auto [dim, extent] : llvm::zip_equal(result.dims, axes)) {
        dim = symbols.format(extent);
      }
    }
  }
}

static void addMetadata(llvm::Module &module, StringRef metadata) {
  llvm::LLVMContext &context = module.getContext();
  auto add = [&](llvm::Constant *value, StringRef name) {
    auto *global = new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::ExternalLinkage, value, name);
    global->setAlignment(llvm::Align(8));
  };
  add(llvm::ConstantDataArray::getString(context, metadata, /*AddNull=*/false),
      ATTN_MODULE_METADATA_SYMBOL);
  add(llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), metadata.size()),
      ATTN_MODULE_SIZE_SYMBOL);
}

/// Only what callers need is seen from outside.
static void internalize(llvm::Module &module, ArrayRef<Signature> signatures,
                        ArrayRef<std::string> prefixes) {
  llvm::StringSet<> entries;
  for (const std::string &prefix : prefixes) {
    for (const Signature &signature : signatures) {
      entries.insert(prefix + signature.function);
    }
  }
  for (llvm::Function &function : module) {
    if (!function.isDeclaration() && !entries.contains(function.getName())) {
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    }
  }
  for (llvm::GlobalVariable &global : module.globals()) {
    if (!global.isDeclaration()) {
      global.setLinkage(llvm::GlobalValue::InternalLinkage);
    }
  }
}

/// After the optimizations, which know what malloc is.
static void renameAllocator(llvm::Module &module) {
  for (StringRef name : {"malloc", "free"}) {
    llvm::Function *function = module.getFunction(name);
    if (function && function->isDeclaration()) {
      function->setName("attn_" + name);
    }
  }
}

/// The widest vectors of floating-point arithmetic, as the machine does it.
static int64_t findVectorBits(llvm::Module &module,
                              llvm::TargetMachine &machine) {
  uint64_t widest = 0;
  for (llvm::Function &function : module) {
    if (function.isDeclaration()) {
      continue;
    }
    llvm::TargetTransformInfo costs = machine.getTargetTransformInfo(function);
    uint64_t most = costs
                        .getRegisterBitWidth(
                            llvm::TargetTransformInfo::RGK_FixedWidthVector)
                        .getFixedValue();
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      auto *type = dyn_cast<llvm::FixedVectorType>(instruction.getType());
      bool computes =
          isa<llvm::BinaryOperator, llvm::IntrinsicInst>(instruction) && type &&
          type->getElementType()->isFloatingPointTy();
      if (computes) {
        uint64_t bits = type->getPrimitiveSizeInBits().getFixedValue();
        widest = std::max(widest, std::min(bits, most));
      }
    }
  }
  return static_cast<int64_t>(widest);
}

llvm::Error AheadOfTimeProgram::Impl::prepare(ModuleOp module,
                                              const CompileOptions &options) {
  if (llvm::Error error = readSignatures(module).moveInto(signatures)) {
    return error;
  }
  bool hasHost = options.mode != ExecutionMode::GPU;
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(module.getLoc());
  std::vector<FunctionRecord> records;
  if (hasHost) {
    if (llvm::Error error = lowerProgram(module, options, /*passResults=*/true)
                                .moveInto(lowered)) {
      return error;
    }
    prefixes.push_back(kHostEntryPrefix.str());
    for (const Signature &signature : signatures) {
      records.push_back(makeRecord(
          signature,
          SymbolTable::lookupSymbolIn(*lowered, signature.function)));
    }
  }
  std::vector<DevicePackage> packages;
  if (llvm::Error error =
          makeDevicePackages(module, signatures, options).moveInto(packages)) {
    return error;
  }
  std::vector<DeviceRecord> devices;
  for (DevicePackage &package : packages) {
    addDeviceCode(*lowered, package);
    prefixes.push_back(getDeviceEntryPrefix(package.record.chip));
    devices.push_back(std::move(package.record));
  }
  nameResultDims(signatures, hasHost ? records : devices.front().functions);
  return runStep("code generation", [&]() -> llvm::Error {
    if (llvm::Error error =
            translate(*lowered, options.target).moveInto(translation)) {
      return error;
    }
    llvm::Module &code = *translation.module;
    llvm::TargetMachine &machine = *translation.machine;
    features = getCheckedFeatures(machine);
    auto metadata =
        encodeMetadata(signatures, records, machine.getTargetTriple().str(),
                       features, devices);
    if (!metadata) {
      return metadata.takeError();
    }
    metadataSize = metadata->size();
    addPackedEntries(code);
    for (const DeviceRecord &device : devices) {
      nameDeviceEntries(code, device.chip);
    }
    internalize(code, signatures, prefixes);
    addMetadata(code, *metadata);
    return llvm::Error::success();
  });
}

llvm::Expected<std::unique_ptr<AheadOfTimeProgram>>
AheadOfTimeProgram::compile(ModuleOp module, const CompileOptions &options) {
  std::unique_ptr<AheadOfTimeProgram> program(new AheadOfTimeProgram());
  Impl &impl = *program->impl;
  if (llvm::Error error = impl.prepare(module, options)) {
    return error;
  }
  if (llvm::Error error = runStep("code generation", [&]() -> llvm::Error {
        llvm::Module &code = *impl.translation.module;
        llvm::TargetMachine &machine = *impl.translation.machine;
        optimize(code, machine);
        renameAllocator(code);
        impl.vectorBits = findVectorBits(code, machine);
        return llvm::Error::success();
      })) {
    return error;
  }
  return program;
}

llvm::Expected<ObjectCode>
AheadOfTimeProgram::compileToLoad(ModuleOp module,
                                  const CompileOptions &options) {
  Impl impl;
  ObjectCode result;
  if (llvm::Error error = impl.prepare(module, options)) {
    return error;
  }
  auto prepare = [](llvm::Module &part, llvm::TargetMachine &machine) {
    optimize(part, machine);
    renameAllocator(part);
  };
  if (llvm::Error error = runStep("code generation", [&] {
        return generateLoadable(impl.translation, options.target, prepare)
            .moveInto(result.object);
      })) {
    return error;
  }
  return result;
}

llvm::Expected<std::string> AheadOfTimeProgram::emit(ArtifactKind kind,
                                                     StringRef name) const {
  if (kind == ArtifactKind::Header) {
    return makeHeader(impl->signatures, name, impl->prefixes);
  }
  std::string result;
  if (llvm::Error error = runStep("code generation", [&]() -> llvm::Error {
        const Translation &translation = impl->translation;
        if (kind == ArtifactKind::LLVMIR) {
          llvm::raw_string_ostream stream(result);
          translation.module->print(stream, nullptr);
          return llvm::Error::success();
        }
        // Code generation changes what it works on.
        auto copy = llvm::CloneModule(*translation.module);
        auto type = kind == ArtifactKind::Assembly
                        ? llvm::CodeGenFileType::AssemblyFile
                        : llvm::CodeGenFileType::ObjectFile;
        llvm::SmallVector<char, 0> bytes;
        llvm::raw_svector_ostream stream(bytes);
        if (!emitMachineCode(*copy, *translation.machine, type, stream)) {
          return llvm::createStringError(
              "the target cannot write this kind of file");
        }
        result.assign(bytes.begin(), bytes.end());
        return llvm::Error::success();
      })) {
    return error;
  }
  if (kind != ArtifactKind::SharedObject) {
    return result;
  }
  auto linked = linkSharedObject(result);
  if (linked) {
    addSeal(*linked);
  }
  return linked;
}

llvm::Expected<std::vector<FunctionCode>>
AheadOfTimeProgram::measureCode(StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(object, "object"));
  if (!file) {
    return file.takeError();
  }
  std::vector<FunctionCode> functions;
  for (auto [symbol, size] : llvm::object::computeSymbolSizes(**file)) {
    auto type = symbol.getType();
    auto name = symbol.getName();
    if (!type || !name) {
      return llvm::joinErrors(type.takeError(), name.takeError());
    }
    if (*type == llvm::object::SymbolRef::ST_Function) {
      functions.push_back({name->str(), static_cast<int64_t>(size)});
    }
  }
  return functions;
}
