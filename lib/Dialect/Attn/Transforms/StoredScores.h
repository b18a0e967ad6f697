//===- StoredScores.h - scores of matrices that are stored ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STOREDSCORES_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STOREDSCORES_H

namespace mlir {
class Operation;
} // namespace mlir

namespace mlir::attn {

/// Stores the products that a stored matrix shares with the reductions which it
/// reads, so that both are of the very same numbers.
void storeSharedScores(Operation *root);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STOREDSCORES_H
