//===- DevicePackage.h - programs with code for a GPU -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_DEVICEPACKAGE_H
#define ATTN_LIB_COMPILER_DEVICEPACKAGE_H

#include "Metadata.h"
#include "attn/Compiler/Compiler.h"
#include "llvm/IR/Module.h"

namespace mlir::attn {

/// The kernels of a program for some architectures, and host code that launches
/// them.
struct DevicePackage {
  /// In the LLVM dialect; its public functions have names of their own.
  OwningOpRef<ModuleOp> host;
  DeviceRecord record;
};

/// For the architectures of the options: CUDA's share one, as their launches
/// are the same, and each of AMD's has its own.
llvm::Expected<std::vector<DevicePackage>>
makeDevicePackages(ModuleOp module, ArrayRef<Signature> signatures,
                   const CompileOptions &options);

/// Moves the host code into `module`, beside what has the same names.
void addDeviceCode(ModuleOp module, DevicePackage &package);

/// Gives the entries of the host code for a chip the names of the record, after
/// `addPackedEntries`.
void nameDeviceEntries(llvm::Module &module, StringRef chip);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_DEVICEPACKAGE_H
