//===- CodeObject.cpp - kernels as code objects of AMD --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM writes an object and LLD links it, both in this process: nothing of ROCm
// has to be installed. What a kernel takes is in a note of the result ("User
// Guide for AMDGPU Backend", code object V5 metadata):
//
//   amdhsa.kernels:
//     - .name: attention_stream0
//       .vgpr_count: 128
//
//===----------------------------------------------------------------------===//

#include "CodeObject.h"

#include "CodeGen.h"
#include "Metadata.h"
#include "llvm-c/Target.h"
#include "llvm/BinaryFormat/MsgPackDocument.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include <mutex>

using namespace mlir;
using namespace mlir::attn;

/// V5, as LLVM counts.
static constexpr uint32_t kCodeObjectVersion = 500;

static void initializeAMDGPU() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeAMDGPUTargetInfo();
    LLVMInitializeAMDGPUTarget();
    LLVMInitializeAMDGPUTargetMC();
    LLVMInitializeAMDGPUAsmPrinter();
    LLVMInitializeAMDGPUAsmParser();
  });
}

/// Passes that code generation leaves to the usual optimization pipeline, by
/// their names.
static void runPasses(llvm::Module &module, llvm::TargetMachine &machine,
                      StringRef passes) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager manager;
  llvm::cantFail(builder.parsePassPipeline(manager, passes));
  manager.run(module, modules);
}

/// The text of the note with the metadata, in MessagePack.
static llvm::Expected<std::string> findMetadata(StringRef bytes) {
  auto file = llvm::object::ELF64LEFile::create(bytes);
  if (!file) {
    return file.takeError();
  }
  auto sections = file->sections();
  if (!sections) {
    return sections.takeError();
  }
  for (const auto &section : *sections) {
    if (section.sh_type != llvm::ELF::SHT_NOTE) {
      continue;
    }
    llvm::Error error = llvm::Error::success();
    for (const auto &note : file->notes(section, error)) {
      if (note.getName() == "AMDGPU" &&
          note.getType() == llvm::ELF::NT_AMDGPU_METADATA) {
        llvm::consumeError(std::move(error));
        return note.getDescAsStringRef(section.sh_addralign).str();
      }
    }
    if (error) {
      return error;
    }
  }
  return llvm::createStringError("the code object has no metadata");
}

static llvm::Error readResources(DeviceCode &code) {
  auto metadata = findMetadata(code.hsaco);
  if (!metadata) {
    return metadata.takeError();
  }
  llvm::msgpack::Document document;
  if (!document.readFromBlob(*metadata, /*Multi=*/false) ||
      !document.getRoot().isMap()) {
    return llvm::createStringError("the code object's metadata is no map");
  }
  llvm::msgpack::DocNode all = document.getRoot().getMap()["amdhsa.kernels"];
  if (!all.isArray()) {
    return llvm::createStringError("the code object's metadata has no kernels");
  }
  llvm::StringMap<llvm::msgpack::MapDocNode> byName;
  for (llvm::msgpack::DocNode &node : all.getArray()) {
    byName[node.getMap()[".name"].getString()] = node.getMap();
  }
  for (KernelResources &kernel : code.kernels) {
    auto found = byName.find(kernel.name);
    if (found == byName.end()) {
      return llvm::createStringError("the code object has no metadata of " +
                                     kernel.name);
    }
    auto get = [&](StringRef key) -> int64_t {
      llvm::msgpack::DocNode node = found->second[key];
      return node.getKind() == llvm::msgpack::Type::UInt ? node.getUInt() : 0;
    };
    kernel.registers = get(".vgpr_count");
    kernel.accumulators = get(".agpr_count");
    kernel.scalarRegisters = get(".sgpr_count");
    kernel.sharedBytes += get(".group_segment_fixed_size");
    kernel.stackBytes = get(".private_segment_fixed_size");
    kernel.spills = get(".vgpr_spill_count");
    kernel.scalarSpills = get(".sgpr_spill_count");
  }
  return llvm::Error::success();
}

llvm::Error attn::makeCodeObject(gpu::GPUModuleOp kernels, StringRef chip,
                                 DeviceCode &code) {
  initializeAMDGPU();
  OwningOpRef<ModuleOp> alone = ModuleOp::create(kernels.getLoc());
  alone->getBody()->getOperations().splice(alone->getBody()->end(),
                                           kernels.getBody()->getOperations());
  SmallString<0> object;
  llvm::Error error = runStep("generating a code object", [&]() -> llvm::Error {
    auto translation = translate(*alone, {"amdgcn-amd-amdhsa", chip.str()});
    if (!translation) {
      return translation.takeError();
    }
    llvm::Module &module = *translation->module;
    // LLVM's own choice is newer than what ROCm 6.0 loads.
    module.addModuleFlag(llvm::Module::Error, "amdhsa_code_object_version",
                         kCodeObjectVersion);
    // Accesses to global memory through pointers to anywhere as what they are,
    // and kernels without arguments for what they do not use: for one of them
    // HIP would start a thread.
    runPasses(module, *translation->machine, "function(infer-address-spaces)");
    optimize(module, *translation->machine);
    runPasses(module, *translation->machine, "amdgpu-attributor");
    llvm::raw_svector_ostream stream(object);
    if (!emitMachineCode(module, *translation->machine,
                         llvm::CodeGenFileType::ObjectFile, stream)) {
      return llvm::createStringError("the target cannot write objects");
    }
    return llvm::Error::success();
  });
  if (error) {
    return error;
  }
  auto linked = linkSharedObject(object);
  if (!linked) {
    return linked.takeError();
  }
  code.hsaco = std::move(*linked);
  return readResources(code);
}
