//===- StorageOps.h - how operands are stored -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops between stored tensors and the numbers that streams read: pages, codes,
// rotations, and views in general.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_STORAGEOPS_H
#define ATTN_DIALECT_ATTN_IR_STORAGEOPS_H

#include "attn/Dialect/Attn/IR/Attn.h"

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/StorageOps.h.inc"

namespace mlir::attn {

/// The shape of scales and zeros of [B, G, N, D] under `scheme`.
SmallVector<int64_t> getScaleShape(QuantAttr scheme, ArrayRef<int64_t> shape);

/// The extent behind `extent` where it is a size of a view, else itself.
OpFoldResult resolveExtent(OpFoldResult extent);

} // namespace mlir::attn

#endif // ATTN_DIALECT_ATTN_IR_STORAGEOPS_H
