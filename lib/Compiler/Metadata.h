//===- Metadata.h - what a compiled program says of itself ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_METADATA_H
#define ATTN_LIB_COMPILER_METADATA_H

#include "attn/Compiler/Signature.h"
#include "attn_module.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Target/TargetMachine.h"

namespace mlir::attn {

/// A step of an expression in postfix order.
struct ExtentTerm {
  attn_op op;
  int64_t operand = 0;
};
using ExtentExpression = SmallVector<ExtentTerm, 3>;

inline ExtentExpression getConstant(int64_t value) {
  return {{ATTN_OP_CONSTANT, value}};
}

inline ExtentExpression combine(ExtentExpression lhs,
                                const ExtentExpression &rhs, attn_op op) {
  lhs.append(rhs);
  lhs.push_back({op});
  return lhs;
}

/// The names of a function's dimensions, numbered, and extents in terms of
/// them.
class ExtentSymbols {
public:
  explicit ExtentSymbols(const Signature &signature);
  /// The extent of an axis of an argument.
  ExtentExpression getExtent(const Parameter &argument, unsigned axis) const;
  std::optional<int64_t> find(StringRef name) const;
  /// In infix notation, for people; "?" if empty.
  std::string format(const ExtentExpression &extent) const;

  const Signature &signature;
  llvm::MapVector<StringRef, int64_t> numbers;
};

/// The extents of a function's results, by result and axis; empty where only a
/// call can tell.
using ResultExtents = std::vector<SmallVector<ExtentExpression, 4>>;

/// Follows the extents of results to those of arguments, in the plan of the
/// program. One element per signature.
std::vector<ResultExtents> findResultExtents(ModuleOp module,
                                             ArrayRef<Signature> signatures);

/// "attn-mlir 0.1.0 (LLVM 22.1.0)".
std::string getCompilerName();

/// The features of a machine that the loader knows how to look for.
std::vector<std::string> getCheckedFeatures(const llvm::TargetMachine &machine);

/// The record of attn_module.h.
llvm::Expected<std::string> encodeMetadata(ArrayRef<Signature> signatures,
                                           ArrayRef<ResultExtents> extents,
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
