//===- Buffers.h - memrefs between tensors ----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops that only read their operands and write every element of their results
// are bufferized before the rest of a function, without analysis: operands are
// read-only buffers, results fresh allocations.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_BUFFERS_H
#define ATTN_SUPPORT_BUFFERS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace mlir::attn {

/// The memref type of a tensor, with the fully dynamic layout that
/// one-shot-bufferize gives to function arguments: no copy and, for arguments,
/// no cast is left.
MemRefType getBufferType(RankedTensorType tensor);

/// `tensor` as a read-only memref of that type.
Value getReadOnlyBuffer(OpBuilder &builder, Location loc, Value tensor);

/// An allocation with the shape of a tensor; `sizes` are its dynamic extents.
Value allocateBuffer(OpBuilder &builder, Location loc, RankedTensorType type,
                     ValueRange sizes);

/// The tensor with the contents of a buffer that nothing else will use.
Value toTensor(OpBuilder &builder, Location loc, Type type, Value buffer);

/// Keeps buffer deallocation away from an allocation that is freed by hand, or
/// from what frees it.
void markManual(Operation *op);

} // namespace mlir::attn

#endif // ATTN_SUPPORT_BUFFERS_H
