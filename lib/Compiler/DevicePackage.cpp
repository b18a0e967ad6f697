//===- DevicePackage.cpp - programs with code for a GPU -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Host code for a device goes into the module of the code that computes on the
// host, under names of its own:
//
//   @_mlir_ciface_f, @f, @helper
//   -> @_mlir_ciface_attn.cuda.f, @attn.cuda.f, @attn.cuda.helper
//   -> @attn_cuda_packed_f, after code for entries is written
//
// or attn.hip_gfx942.f and attn_hip_gfx942_packed_f.
//
//===----------------------------------------------------------------------===//

#include "DevicePackage.h"

#include "CodeGen.h"
#include "attn/Compiler/DeviceCode.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::attn;

static std::string getPrefix(StringRef chip) {
  return "attn." + getHostCodeName(chip) + ".";
}

static std::string getDeviceName(StringRef name, StringRef prefix) {
  bool isInterface = name.consume_front(kInterfacePrefix);
  return ((isInterface ? kInterfacePrefix : StringLiteral("")) + prefix + name)
      .str();
}

/// Names that no other code has.
static void rename(ModuleOp module, StringRef prefix) {
  SmallVector<SymbolOpInterface> symbols;
  for (Operation &op : *module.getBody()) {
    auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    if (symbol && !(function && function.isExternal())) {
      symbols.push_back(symbol);
    }
  }
  for (SymbolOpInterface symbol : symbols) {
    auto name = StringAttr::get(module.getContext(),
                                getDeviceName(symbol.getName(), prefix));
    (void)SymbolTable::replaceAllSymbolUses(symbol, name, module);
    symbol.setName(name);
  }
}

static llvm::Expected<DevicePackage> makePackage(ModuleOp module,
                                                 ArrayRef<Signature> signatures,
                                                 CompileOptions options,
                                                 ArrayRef<std::string> chips) {
  DevicePackage package;
  package.record.chip = chips.front();
  options.mode = ExecutionMode::GPU;
  options.chip = chips.front();
  auto lowered = lowerProgram(module, options, /*passResults=*/true);
  if (!lowered) {
    return lowered.takeError();
  }
  package.host = std::move(*lowered);
  for (const Signature &signature : signatures) {
    package.record.functions.push_back(
        makeRecord(signature, SymbolTable::lookupSymbolIn(*package.host,
                                                          signature.function)));
  }
  auto images = compileKernels(*package.host, chips);
  if (!images) {
    return images.takeError();
  }
  package.record.kernels = std::move(images->kernels);
  package.record.images = std::move(images->images);
  rename(*package.host, getPrefix(options.chip));
  return package;
}

llvm::Expected<std::vector<DevicePackage>>
attn::makeDevicePackages(ModuleOp module, ArrayRef<Signature> signatures,
                         const CompileOptions &options) {
  std::vector<std::vector<std::string>> groups;
  for (const std::string &chip : options.chips) {
    auto found = llvm::find_if(groups, [&](const auto &group) {
      return getHostCodeName(group.front()) == getHostCodeName(chip);
    });
    if (found == groups.end()) {
      groups.push_back({chip});
    } else {
      found->push_back(chip);
    }
  }
  std::vector<DevicePackage> packages;
  for (const auto &chips : groups) {
    auto package = makePackage(module, signatures, options, chips);
    if (!package) {
      return package.takeError();
    }
    packages.push_back(std::move(*package));
  }
  return packages;
}

void attn::addDeviceCode(ModuleOp module, DevicePackage &package) {
  for (Operation &op : llvm::make_early_inc_range(*package.host->getBody())) {
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    if (symbol && !module.lookupSymbol(symbol.getName())) {
      op.moveBefore(module.getBody(), module.getBody()->end());
    }
  }
}

void attn::nameDeviceEntries(llvm::Module &module, StringRef chip) {
  SmallVector<llvm::Function *> entries;
  std::string prefix = (kHostEntryPrefix + getPrefix(chip)).str();
  for (llvm::Function &function : module) {
    if (function.getName().starts_with(prefix)) {
      entries.push_back(&function);
    }
  }
  for (llvm::Function *entry : entries) {
    entry->setName(getDeviceEntryPrefix(chip) +
                   entry->getName().drop_front(prefix.size()));
  }
}
