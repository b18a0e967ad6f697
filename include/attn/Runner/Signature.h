//===- Signature.h - how a function is called -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_SIGNATURE_H
#define ATTN_RUNNER_SIGNATURE_H

#include "attn/Runner/Array.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace mlir::attn {

/// Whose queries a list belongs to, and how many of them share a row of it.
struct ListRows {
  unsigned query; // the argument
  int64_t block;
};

/// An argument or a result.
struct Parameter {
  std::string name;
  ElementType type = ElementType::F32;
  bool isScalar = false;
  /// Static extents, or ShapedType::kDynamic.
  SmallVector<int64_t, 4> shape;
  /// The name of every dimension; a number for those that were named by one.
  SmallVector<std::string, 4> dims;
  /// The argument that the program writes and returns as this result.
  std::optional<unsigned> alias;
  /// For a page table: the argument that holds the pages.
  std::optional<unsigned> pool;
  /// For a list of keys.
  std::optional<ListRows> list;
  /// How to generate it: the attn.init attribute, or "normal".
  std::string init;
};

/// Sizes by dimension name.
using SizeMap = llvm::StringMap<int64_t>;

struct Signature {
  std::string function;
  std::vector<Parameter> arguments;
  std::vector<Parameter> results;
  /// What attn.sizes says: the sizes of dimensions that nobody else gives.
  SizeMap sizes;

  const Parameter *findArgument(StringRef name) const;
};

/// Reads names, dimensions and types off a function; an error names what
/// cannot be passed.
llvm::Expected<Signature> readSignature(func::FuncOp func);

/// The public function called `name`, or the only one if that is empty.
llvm::Expected<func::FuncOp> findEntry(ModuleOp module, StringRef name);

/// Checks that page tables name pages of their pools, or -1 for none.
llvm::Error checkPages(const Signature &signature, ArrayRef<Array> inputs);

/// Checks that lists have a row for every block of queries.
llvm::Error checkLists(const Signature &signature, ArrayRef<Array> inputs);

/// Compares an array with the argument it is for, and enters the sizes that it
/// fixes into `sizes`; `origins` remembers where a size was first seen.
llvm::Error bindSizes(const Parameter &parameter, const Array &array,
                      SizeMap &sizes, llvm::StringMap<std::string> &origins);

} // namespace mlir::attn

#endif // ATTN_RUNNER_SIGNATURE_H
