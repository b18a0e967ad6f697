//===- Signature.h - how a function is called -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_SIGNATURE_H
#define ATTN_COMPILER_SIGNATURE_H

#include "attn/Compiler/ElementType.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace mlir::attn {

/// Whose queries a list belongs to, and how many of them share a row of it.
struct ListRows {
  unsigned query; // the argument
  int64_t block;
};

/// What the elements of a map name: heads or batches of a tensor.
struct MapTarget {
  StringRef what; // "head" or "batch"
  std::string tensor;
  std::optional<unsigned> argument; // the tensor, where it is one
  unsigned axis;
  int64_t extent; // static, or that of the argument
};

/// `factor` times the extent of an axis of an argument; a number without one.
struct ExtentSource {
  std::optional<unsigned> argument;
  unsigned axis = 0;
  int64_t factor = 1;

  bool operator==(const ExtentSource &) const = default;
};

/// What must hold of an axis of an argument.
struct ExtentRelation {
  unsigned argument;
  unsigned axis;
  /// What its extent is.
  ExtentSource source;
};

/// An argument or a result.
struct Parameter {
  std::string name;
  ElementType type = ElementType::F32;
  bool isScalar = false;
  /// The program writes the argument in place.
  bool isWritable = false;
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
  /// For a map of heads or batches: of each tensor that is read through it.
  SmallVector<MapTarget, 1> maps;
  /// For the lengths of an axis: extents that no element is beyond.
  SmallVector<ExtentSource, 1> lengths;
  /// How to generate it: the attn.init attribute, or "normal".
  std::string init;
};

/// Sizes by dimension name.
using SizeMap = llvm::StringMap<int64_t>;

struct Signature {
  std::string function;
  std::vector<Parameter> arguments;
  std::vector<Parameter> results;
  /// What operations say of shapes, beyond types and names of dimensions.
  std::vector<ExtentRelation> relations;
  /// What attn.sizes says: the sizes of dimensions that nobody else gives.
  SizeMap sizes;

  const Parameter *findArgument(StringRef name) const;
};

/// Reads names, dimensions and types off a function; an error names what
/// cannot be passed.
llvm::Expected<Signature> readSignature(func::FuncOp func);

/// What a relation asks of its argument, as the end of a sentence: "needs on
/// axis 2 what 'k' has on axis 2".
std::string describe(const ExtentRelation &relation,
                     const Signature &signature);

/// The public function called `name`, or the only one if that is empty.
llvm::Expected<func::FuncOp> findEntry(ModuleOp module, StringRef name);

} // namespace mlir::attn

#endif // ATTN_COMPILER_SIGNATURE_H
