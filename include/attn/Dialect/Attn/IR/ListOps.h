//===- ListOps.h - lists of keys, and selection on scores -------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops of ListOps.td, and the question that decides whether a sweep may
// follow a list.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_LISTOPS_H
#define ATTN_DIALECT_ATTN_IR_LISTOPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/ListOps.h.inc"

namespace mlir::attn {

/// Whether `condition` holds only where `test` does: `test` is one of the terms
/// of a conjunction. A null condition always holds.
bool impliesTest(Value condition, Value test);

/// The test that drives `sweep`; null if there is none.
ListedOp getDriver(SweepOp sweep);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_LISTOPS_H
