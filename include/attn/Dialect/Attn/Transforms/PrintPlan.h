//===- PrintPlan.h - the plan in words --------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_TRANSFORMS_PRINTPLAN_H
#define ATTN_DIALECT_ATTN_TRANSFORMS_PRINTPLAN_H

#include "mlir/Support/LLVM.h"

namespace mlir {
class Operation;
} // namespace mlir

namespace mlir::attn {

/// Prints the plans of all functions below `module` that run.
void printPlan(Operation *module, raw_ostream &os);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_TRANSFORMS_PRINTPLAN_H
