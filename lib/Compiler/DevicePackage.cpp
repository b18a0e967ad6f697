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
//===----------------------------------------------------------------------===//

#include "DevicePackage.h"

#include "CodeGen.h"
#include "attn/Compiler/DeviceCode.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::attn;

static constexpr StringLiteral kPrefix = "attn.cuda.";

static std::string getDeviceName(StringRef name) {
  bool isInterface = name.consume_front(kInterfacePrefix);
  return ((isInterface ? kInterfacePrefix : StringLiteral("")) + kPrefix + name)
      .str();
}

/// Names that no code for the host has.
static void rename(ModuleOp module) {
  SmallVector<SymbolOpInterface> symbols;
  for (Operation &op : *module.getBody()) {
    auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    if (symbol && !(function && function.isExternal())) {
      symbols.push_back(symbol);
    }
  }
  for (SymbolOpInterface symbol : symbols) {
    auto name =
        StringAttr::get(module.getContext(), getDeviceName(symbol.getName()));
    (void)SymbolTable::replaceAllSymbolUses(symbol, name, module);
    symbol.setName(name);
  }
}

llvm::Expected<DevicePackage>
attn::makeDevicePackage(ModuleOp module, ArrayRef<Signature> signatures,
                        const CompileOptions &options) {
  DevicePackage package;
  CompileOptions own = options;
  own.mode = ExecutionMode::GPU;
  own.chip = options.chips.front();
  auto lowered = lowerProgram(module, own, /*passResults=*/true);
  if (!lowered) {
    return lowered.takeError();
  }
  package.host = std::move(*lowered);
  for (const Signature &signature : signatures) {
    package.record.functions.push_back(
        makeRecord(signature, SymbolTable::lookupSymbolIn(*package.host,
                                                          signature.function)));
  }
  auto images = compileKernels(*package.host, options.chips);
  if (!images) {
    return images.takeError();
  }
  package.record.kernels = std::move(images->kernels);
  package.record.images = std::move(images->images);
  rename(*package.host);
  return package;
}

void attn::addDeviceCode(ModuleOp module, DevicePackage &package) {
  for (Operation &op : llvm::make_early_inc_range(*package.host->getBody())) {
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    if (symbol && !module.lookupSymbol(symbol.getName())) {
      op.moveBefore(module.getBody(), module.getBody()->end());
    }
  }
}

void attn::nameDeviceEntries(llvm::Module &module) {
  SmallVector<llvm::Function *> entries;
  std::string prefix = (kHostEntryPrefix + kPrefix).str();
  for (llvm::Function &function : module) {
    if (function.getName().starts_with(prefix)) {
      entries.push_back(&function);
    }
  }
  for (llvm::Function *entry : entries) {
    entry->setName(kDeviceEntryPrefix +
                   entry->getName().drop_front(prefix.size()));
  }
}

bool attn::isDeviceEntry(StringRef name) {
  return name.starts_with(kDeviceEntryPrefix);
}
