//===- Reduce.h - smaller programs that fail alike --------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SMITH_REDUCE_H
#define ATTN_SMITH_REDUCE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>

namespace mlir::attn {

/// Whether a program still fails in the way that is looked for.
using Interesting = llvm::function_ref<bool(ModuleOp)>;
/// Told the move that made a program smaller, and the program.
using Accepted = llvm::function_ref<void(StringRef, ModuleOp)>;

/// Makes a program smaller by moves that know the ops, until no move gives one
/// that verifies and is interesting.
OwningOpRef<ModuleOp> reduceProgram(OwningOpRef<ModuleOp> module,
                                    Interesting isInteresting,
                                    Accepted accepted);

/// One way to make programs smaller: `collect` gives the changes that are
/// possible in a module, each of which may be applied to it once.
struct ReductionMove {
  const char *name;
  void (*collect)(ModuleOp module,
                  SmallVectorImpl<std::function<void()>> &changes);
};
ArrayRef<ReductionMove> getReductionMoves();

/// Removes what no result needs, arguments included.
void removeDeadCode(ModuleOp module);

/// Operations of a program, nested ones included: its size.
int64_t countOps(ModuleOp module);

} // namespace mlir::attn

#endif // ATTN_SMITH_REDUCE_H
