//===- Metadata.h - what a compiled program says of itself ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_METADATA_H
#define ATTN_LIB_COMPILER_METADATA_H

#include "Expression.h"
#include "attn/Compiler/DeviceCode.h"
#include "attn/Compiler/Signature.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Target/TargetMachine.h"

namespace mlir::attn {

/// The names of a function's dimensions, numbered, and extents in terms of
/// them.
class ExtentSymbols {
public:
  explicit ExtentSymbols(const Signature &signature);
  /// The extent of an axis of an argument.
  ExtentExpression getExtent(const Parameter &argument, unsigned axis) const;
  std::optional<int64_t> find(StringRef name) const;
  /// An expression of `getAxisNumber`s in terms of the names.
  ExtentExpression resolve(ExtentExpression extent) const;
  /// In infix notation, for people; "?" if empty.
  std::string format(const ExtentExpression &extent) const;

  const Signature &signature;
  llvm::MapVector<StringRef, int64_t> numbers;
};

/// What a function's record says beyond its signature.
struct FunctionRecord {
  /// By result and axis; empty where only a call can tell.
  std::vector<SmallVector<ExtentExpression, 4>> extents;
  /// Which results the caller passes.
  std::vector<bool> isPassed;
  ExtentExpression workspace, threadWorkspace;
  std::string unbounded;
};

/// Reads it off the function that the program was lowered to.
FunctionRecord makeRecord(const Signature &signature, Operation *lowered);

/// Whose code host code for a chip is: "cuda", as launches are the same on all
/// of CUDA's; "hip_gfx942".
std::string getHostCodeName(StringRef chip);

/// What comes before the name of a function in that of its entry for a chip:
/// "attn_cuda_packed_", "attn_hip_gfx942_packed_".
std::string getDeviceEntryPrefix(StringRef chip);

/// What a record says of devices of one type, or of one chip among them.
struct DeviceRecord {
  /// The first one.
  std::string chip;
  std::vector<KernelResources> kernels;
  std::vector<DeviceImage> images;
  /// In the order of the signatures.
  std::vector<FunctionRecord> functions;
};

/// "attn-mlir 0.1.0 (LLVM 22.1.0)".
std::string getCompilerName();

/// The features of a machine that the loader knows how to look for.
std::vector<std::string> getCheckedFeatures(const llvm::TargetMachine &machine);

/// The record of attn_module.h. Without `records` there is no code that
/// computes on the host.
llvm::Expected<std::string> encodeMetadata(ArrayRef<Signature> signatures,
                                           ArrayRef<FunctionRecord> records,
                                           StringRef triple,
                                           ArrayRef<std::string> features,
                                           ArrayRef<DeviceRecord> devices);

/// A C header with a function per function. `prefixes` are those of entries, in
/// the order of the record.
std::string makeHeader(ArrayRef<Signature> signatures, StringRef name,
                       ArrayRef<std::string> prefixes);

/// Links an object into a shared object, with LLD in this process.
llvm::Expected<std::string> linkSharedObject(StringRef object);

/// Appends the seal of attn_module.h.
void addSeal(std::string &sharedObject);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_METADATA_H
