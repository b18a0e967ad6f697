//===- Metadata.h - what a compiled program says of itself ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_METADATA_H
#define ATTN_LIB_COMPILER_METADATA_H

#include "attn/Compiler/Signature.h"
#include "llvm/Target/TargetMachine.h"

namespace mlir::attn {

/// "attn-mlir 0.1.0 (LLVM 22.1.0)".
std::string getCompilerName();

/// The features of a machine that the loader knows how to look for.
std::vector<std::string> getCheckedFeatures(const llvm::TargetMachine &machine);

/// The record of attn_module.h.
llvm::Expected<std::string> encodeMetadata(ArrayRef<Signature> signatures,
                                           StringRef triple,
                                           ArrayRef<std::string> features);

/// A C header with a function per function.
std::string makeHeader(ArrayRef<Signature> signatures, StringRef name);

/// Links an object into a shared object, with LLD in this process.
llvm::Expected<std::string> linkSharedObject(StringRef object);

/// Appends the seal of attn_module.h.
void addSeal(std::string &sharedObject);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_METADATA_H
