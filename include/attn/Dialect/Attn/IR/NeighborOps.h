//===- NeighborOps.h - entries from neighbours and heads --------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions of scores and mixtures of heads, and the collectives of a sweep
// that they become.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_H
#define ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/NeighborOps.h.inc"

namespace mlir::attn {

/// Whether `op` makes an entry of several entries of its region.
inline bool isCollective(Operation *op) { return isa<StencilOp, MixOp>(op); }

/// Evaluations of its region, per entry of a collective, when each entry of a
/// tile is evaluated once: a mixture shares its H among G results.
double getSharedEvaluations(Operation *collective);

/// Multiply-adds of a collective itself per entry.
int64_t getTapCount(Operation *collective);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_NEIGHBOROPS_H
