//===- ParallelCodeGen.cpp - modules in parts, on several threads ---------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program with many kernels spends most of its compilation in LLVM, which
// works on one function at a time:
//
//   module --+-- part: kernel 3, entry ----> bitcode -> context -> object --+
//            +-- part: kernels 0, 1, 2 ----> bitcode -> context -> object --+
//                                                            archive <------+
//
// Parts have contexts of their own, which is what bitcode is for. llvm/CodeGen/
// ParallelCG.h deals functions out by their names; sizes differ too much here.
//
//===----------------------------------------------------------------------===//

#include "CodeGen.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <thread>

using namespace mlir;
using namespace mlir::attn;

/// Instructions for which another thread is worth its copy of the module:
/// about 20 ms of code generation against 2 ms.
static constexpr uint64_t kInstructionsPerPart = 1500;

namespace {
using Parts = llvm::DenseMap<const llvm::GlobalValue *, unsigned>;
using Bytes = llvm::SmallVector<char, 0>;
} // namespace

/// Deals functions out, the largest first, to the part that has the least. The
/// first part has all that is no function. Returns how many parts there are.
static unsigned dealOut(const llvm::Module &module, Parts &parts) {
  SmallVector<std::pair<uint64_t, const llvm::Function *>> functions;
  uint64_t total = 0;
  for (const llvm::Function &function : module) {
    if (!function.isDeclaration()) {
      functions.push_back({function.getInstructionCount(), &function});
      total += functions.back().first;
    }
  }
  uint64_t count = std::min({uint64_t(functions.size()),
                             uint64_t(std::thread::hardware_concurrency()),
                             total / kInstructionsPerPart});
  if (count < 2) {
    return 1;
  }
  llvm::sort(functions, [](const auto &a, const auto &b) {
    return std::pair(a.first, a.second->getName()) >
           std::pair(b.first, b.second->getName());
  });
  SmallVector<uint64_t> loads(count, 0);
  for (auto [size, function] : functions) {
    auto *least = llvm::min_element(loads);
    parts[function] = static_cast<unsigned>(least - loads.begin());
    *least += size;
  }
  return static_cast<unsigned>(count);
}

/// Parts refer to each other by names, through tables of addresses: they may
/// lie farther apart than a jump reaches.
static void externalize(llvm::Module &module) {
  for (llvm::GlobalValue &value : module.global_values()) {
    if (value.hasLocalLinkage()) {
      value.setLinkage(llvm::GlobalValue::ExternalLinkage);
      if (!value.hasName()) {
        value.setName("attn_unnamed");
      }
    }
    value.setVisibility(llvm::GlobalValue::DefaultVisibility);
    value.setDSOLocal(false);
  }
}

static llvm::Error makeObject(llvm::Module &part, llvm::TargetMachine &machine,
                              const PreparePart &prepare, Bytes &object) {
  prepare(part, machine);
  llvm::raw_svector_ostream stream(object);
  if (!emitMachineCode(part, machine, llvm::CodeGenFileType::ObjectFile,
                       stream)) {
    return llvm::createStringError("the host has no object writer");
  }
  return llvm::Error::success();
}

static llvm::Error compileBitcode(const Bytes &bitcode,
                                  const TargetSpec &target,
                                  const PreparePart &prepare, Bytes &object) {
  return runStep("code generation", [&]() -> llvm::Error {
    llvm::LLVMContext context;
    auto machine = createTargetMachine(target);
    if (!machine) {
      return machine.takeError();
    }
    auto part = llvm::parseBitcodeFile(
        llvm::MemoryBufferRef(StringRef(bitcode.data(), bitcode.size()),
                              "attn"),
        context);
    if (!part) {
      return part.takeError();
    }
    return makeObject(**part, **machine, prepare, object);
  });
}

static llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
makeArchive(ArrayRef<Bytes> objects) {
  std::vector<llvm::NewArchiveMember> members;
  for (const Bytes &object : objects) {
    members.emplace_back(llvm::MemoryBufferRef(
        StringRef(object.data(), object.size()), "part.o"));
  }
  return llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NoSymtab,
                                    llvm::object::Archive::K_GNU,
                                    /*Deterministic=*/true, /*Thin=*/false);
}

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
attn::generateLoadable(Translation &translation, const TargetSpec &target,
                       const PreparePart &prepare) {
  llvm::Module &module = *translation.module;
  Parts parts;
  unsigned count = dealOut(module, parts);
  if (count == 1) {
    Bytes object;
    if (llvm::Error error =
            makeObject(module, *translation.machine, prepare, object)) {
      return error;
    }
    return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(object),
                                                           "attn", false);
  }
  prepareToSplit(module);
  externalize(module);
  std::vector<Bytes> bitcode(count), objects(count);
  std::vector<std::optional<llvm::Error>> errors(count);
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < count; ++k) {
    llvm::ValueToValueMapTy map;
    auto part =
        llvm::CloneModule(module, map, [&](const llvm::GlobalValue *value) {
          return parts.lookup(value) == k;
        });
    llvm::raw_svector_ostream stream(bitcode[k]);
    llvm::WriteBitcodeToFile(*part, stream);
    threads.emplace_back([&, k] {
      errors[k] = compileBitcode(bitcode[k], target, prepare, objects[k]);
    });
  }
  llvm::Error error = llvm::Error::success();
  for (unsigned k = 0; k < count; ++k) {
    threads[k].join();
    error = llvm::joinErrors(std::move(error), std::move(*errors[k]));
  }
  if (error) {
    return error;
  }
  return makeArchive(objects);
}
