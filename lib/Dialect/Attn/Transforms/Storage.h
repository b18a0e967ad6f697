//===- Storage.h - storage ops written out ----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What attn-expand-storage is made of.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STORAGE_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STORAGE_H

#include "attn/Dialect/Attn/IR/StorageOps.h"

namespace mlir::attn {

/// The builder with which bodies of views are written: ops on one row.
struct RowWriter {
  OpBuilder &b;
  Location loc;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value toIndex(Value integer);
  Value element(Value tensor, ValueRange indices) {
    return tensor::ExtractOp::create(b, loc, tensor, indices);
  }
  /// Row `indices` of a tensor with a static last extent.
  Value row(Value tensor, ValueRange indices);
  Value splat(Value scalar, int64_t length);
  /// A number or bit pattern, splat over `type` if that is a vector.
  Value constant(Type type, double value);
  Value constantInt(Type type, int64_t value);
  Value shuffle(Value x, Value y, int64_t length,
                function_ref<int64_t(int64_t)> source);
  Value convert(Value value, Type element) {
    return convertFloat(b, loc, value, element);
  }
};

/// The dynamic extents of a tensor like `tensor`.
SmallVector<Value> getDynamicExtents(OpBuilder &builder, Value tensor);

/// A row of numbers behind a row of codes, as `element`.
Value decodeRow(RowWriter &w, QuantAttr scheme, Value codes, int64_t features,
                Type element);

/// attn.quantize as linalg on stored tensors.
void expandQuantize(QuantizeOp op);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_STORAGE_H
