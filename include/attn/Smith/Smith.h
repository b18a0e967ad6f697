//===- Smith.h - random programs over the algebra ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is drawn from a seed: the same seed and options give the same
// program on every machine. Every program is well-typed, names its operands and
// says how to generate them, so that attn-run can run it as it is:
//
//   func.func @f(%q0: tensor<?x4x?x16xf32> {attn.name = "q0",
//       attn.dims = ["B", "4", "M", "16"]}, ...) -> ...
//       attributes {attn.sizes = {B = 2 : i64, M = 33 : i64}}
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SMITH_SMITH_H
#define ATTN_SMITH_SMITH_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace mlir::attn {

/// How large the drawn sizes are: up to 9, 70, 150 or 520.
enum class SizeClass { Tiny, Small, Medium, Large };

struct SmithOptions {
  SizeClass sizes = SizeClass::Small;
  /// Weights of families that are not the default ones, by name.
  llvm::StringMap<double> weights;
  /// Ops on scores per program, at most.
  int64_t steps = 6;
};

/// The families and their default weights, one per line.
std::string getFamilyHelp();

/// Reads "softmax=3,convolve=0,..."; an error names what is no family.
llvm::Error parseFamilies(StringRef text, SmithOptions &options);

/// The program of a seed: one function `f`. It has not been verified.
OwningOpRef<ModuleOp> drawProgram(MLIRContext &context, uint64_t seed,
                                  const SmithOptions &options);

} // namespace mlir::attn

#endif // ATTN_SMITH_SMITH_H
