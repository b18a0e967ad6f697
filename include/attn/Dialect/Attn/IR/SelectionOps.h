//===- SelectionOps.h - selection on stored tensors -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops on ordinary tensors: top-k, sort, prefix, compaction, gather, scatter and
// small factorisations.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_SELECTIONOPS_H
#define ATTN_DIALECT_ATTN_IR_SELECTIONOPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#include "attn/Dialect/Attn/IR/SelectionEnums.h.inc"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/SelectionOps.h.inc"

namespace mlir::attn {

/// Whether `indices` of a gather from a tensor with `sourceExtent` heads are
/// those of groups: H index rows share G source rows, head h reads h div (H/G).
bool areGrouped(int64_t sourceExtent, int64_t indexExtent);

/// The type in which the region of attn.prefix computes a result.
Type getPrefixType(Type result);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_SELECTIONOPS_H
