//===- Buffers.cpp - memrefs between tensors ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Support/Buffers.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

/// Cache-line alignment: rows of an output start where wide stores are cheap.
static constexpr int64_t kAlignment = 64;

MemRefType attn::getBufferType(RankedTensorType tensor) {
  SmallVector<int64_t> strides(tensor.getRank(), ShapedType::kDynamic);
  auto layout = StridedLayoutAttr::get(tensor.getContext(),
                                       ShapedType::kDynamic, strides);
  return MemRefType::get(tensor.getShape(), tensor.getElementType(), layout);
}

Value attn::getReadOnlyBuffer(OpBuilder &builder, Location loc, Value tensor) {
  auto buffer = getBufferType(cast<RankedTensorType>(tensor.getType()));
  return bufferization::ToBufferOp::create(builder, loc, buffer, tensor,
                                           /*read_only=*/true);
}

Value attn::allocateBuffer(OpBuilder &builder, Location loc,
                           RankedTensorType type, ValueRange sizes) {
  auto buffer = MemRefType::get(type.getShape(), type.getElementType());
  return memref::AllocOp::create(builder, loc, buffer, sizes,
                                 builder.getI64IntegerAttr(kAlignment));
}

Value attn::toTensor(OpBuilder &builder, Location loc, Type type,
                     Value buffer) {
  return bufferization::ToTensorOp::create(builder, loc, type, buffer,
                                           /*restrict=*/true,
                                           /*writable=*/true);
}

void attn::markManual(Operation *op) {
  op->setAttr(bufferization::BufferizationDialect::kManualDeallocation,
              UnitAttr::get(op->getContext()));
}
