//===- Jit.cpp - LLVM-dialect modules as running code ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Code is generated here and handed to ORC as objects, so that the JIT and the
// files that `emitCode` writes are made by the very same steps.
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/Jit.h"

#include "CodeGen.h"
#include "JitSymbols.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Object/Archive.h"
#include <mutex>

using namespace mlir;
using namespace mlir::attn;

namespace {

llvm::Error emitInto(ModuleOp module, const TargetSpec &target, EmitKind kind,
                     llvm::SmallVectorImpl<char> &output) {
  auto translation = translate(module, target);
  if (!translation) {
    return translation.takeError();
  }
  llvm::raw_svector_ostream stream(output);
  if (kind != EmitKind::LLVMIR) {
    optimize(*translation->module, *translation->machine);
  }
  if (kind == EmitKind::LLVMIR || kind == EmitKind::OptimizedLLVMIR) {
    translation->module->print(stream, nullptr);
    return llvm::Error::success();
  }
  auto type = kind == EmitKind::Assembly ? llvm::CodeGenFileType::AssemblyFile
                                         : llvm::CodeGenFileType::ObjectFile;
  if (!emitMachineCode(*translation->module, *translation->machine, type,
                       stream)) {
    return llvm::createStringError("the target cannot write this kind of file");
  }
  return llvm::Error::success();
}

} // namespace

struct JitModule::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  /// What the session said went wrong; errors of lookups only name victims.
  std::string reports;
  /// Symbols that were found: a search costs as much as a small kernel.
  std::mutex mutex;
  llvm::StringMap<void *> found;
};

JitModule::JitModule() : impl(std::make_unique<Impl>()) {}
JitModule::~JitModule() = default;

/// An empty JIT that knows the symbols of the process and ours.
static llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>>
createEmptyJit(std::string &reports) {
  initializeTargets();
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit) {
    return jit.takeError();
  }
  (*jit)->getExecutionSession().setErrorReporter([&](llvm::Error error) {
    reports += (reports.empty() ? "" : "; ") + llvm::toString(std::move(error));
  });
  llvm::orc::JITDylib &library = (*jit)->getMainJITDylib();
  llvm::orc::MangleAndInterner mangle((*jit)->getExecutionSession(),
                                      (*jit)->getDataLayout());
  if (llvm::Error error =
          library.define(llvm::orc::absoluteSymbols(getJitSymbols(mangle)))) {
    return error;
  }
  auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process) {
    return process.takeError();
  }
  library.addGenerator(std::move(*process));
  return jit;
}

llvm::Expected<ObjectCode> attn::generateObject(ModuleOp module,
                                                bool isOptimized) {
  ObjectCode result;
  auto prepare = [=](llvm::Module &part, llvm::TargetMachine &machine) {
    if (isOptimized) {
      optimize(part, machine);
    } else {
      hoistSlots(part);
      machine.setOptLevel(llvm::CodeGenOptLevel::None);
    }
  };
  if (llvm::Error error = runStep("code generation", [&]() -> llvm::Error {
        TargetSpec host;
        auto translation = translate(module, host);
        if (!translation) {
          return translation.takeError();
        }
        result.sizes = countInstructions(*translation->module);
        addPackedEntries(*translation->module);
        return generateLoadable(*translation, host, prepare)
            .moveInto(result.object);
      })) {
    return error;
  }
  return result;
}

/// Hands the objects to the linker: one, or those of an archive.
static llvm::Error addObjects(llvm::orc::LLJIT &jit,
                              std::unique_ptr<llvm::MemoryBuffer> code) {
  if (llvm::identify_magic(code->getBuffer()) != llvm::file_magic::archive) {
    return jit.addObjectFile(std::move(code));
  }
  auto archive = llvm::object::Archive::create(*code);
  if (!archive) {
    return archive.takeError();
  }
  llvm::Error error = llvm::Error::success();
  for (const llvm::object::Archive::Child &child :
       (*archive)->children(error)) {
    auto bytes = child.getBuffer();
    llvm::Error added =
        bytes ? jit.addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(*bytes))
              : bytes.takeError();
    if (added) {
      return llvm::joinErrors(std::move(error), std::move(added));
    }
  }
  return error;
}

llvm::Expected<std::unique_ptr<JitModule>> JitModule::load(ObjectCode code) {
  std::unique_ptr<JitModule> result(new JitModule());
  result->sizes = std::move(code.sizes);
  if (llvm::Error error = runStep("loading", [&]() -> llvm::Error {
        auto jit = createEmptyJit(result->impl->reports);
        if (!jit) {
          return jit.takeError();
        }
        result->impl->jit = std::move(*jit);
        return addObjects(*result->impl->jit, std::move(code.object));
      })) {
    return error;
  }
  return result;
}

llvm::Expected<std::unique_ptr<JitModule>> JitModule::create(ModuleOp module) {
  auto code = generateObject(module);
  return code ? load(std::move(*code)) : code.takeError();
}

llvm::Expected<void *> JitModule::lookup(StringRef symbol) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  void *&address = impl->found[symbol];
  if (address) {
    return address;
  }
  llvm::Error error = runStep("linking", [&]() -> llvm::Error {
    auto found = impl->jit->lookup(symbol);
    if (!found) {
      std::string text = llvm::toString(found.takeError());
      return llvm::createStringError(
          "linking failed: " + (impl->reports.empty() ? text : impl->reports));
    }
    address = found->toPtr<void *>();
    return llvm::Error::success();
  });
  if (error) {
    return error;
  }
  return address;
}

llvm::Error JitModule::invoke(StringRef name,
                              MutableArrayRef<void *> args) const {
  auto entry = lookup((kHostEntryPrefix + name).str());
  if (!entry) {
    return entry.takeError();
  }
  reinterpret_cast<void (*)(void **)>(*entry)(args.data());
  return llvm::Error::success();
}

llvm::Expected<std::string>
attn::emitCode(ModuleOp module, const TargetSpec &target, EmitKind kind) {
  llvm::SmallVector<char, 0> output;
  if (llvm::Error error = runStep("code generation", [&] {
        return emitInto(module, target, kind, output);
      })) {
    return error;
  }
  return std::string(output.begin(), output.end());
}

llvm::Expected<std::vector<FunctionSize>>
attn::getFunctionSizes(ModuleOp module, const TargetSpec &target) {
  std::vector<FunctionSize> sizes;
  if (llvm::Error error = runStep("translation", [&]() -> llvm::Error {
        auto translation = translate(module, target);
        if (!translation) {
          return translation.takeError();
        }
        sizes = countInstructions(*translation->module);
        return llvm::Error::success();
      })) {
    return error;
  }
  return sizes;
}
