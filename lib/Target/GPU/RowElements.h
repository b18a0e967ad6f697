//===- RowElements.h - rows of features, element by element -----*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row that a product takes may be computed: rotated, taken from a page,
// expanded from codes. On its way to shared memory each element is computed by
// a thread of its own:
//
//   %x = attn.at %codes[%page, %slot]                 codes[page, slot, d]
//   %y = arith.sitofp %x : vector<64xi8> ...          sitofp of it
//   %z = vector.shuffle %y, %y [32, ..., 63, 0, ...]  of d + 32 or d - 32
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_ROWELEMENTS_H
#define ATTN_LIB_TARGET_GPU_ROWELEMENTS_H

#include "attn/Dialect/Attn/IR/StorageOps.h"
#include "attn/Support/Emit.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::attn::gpu_target {

/// One side of a product: a row of features, in memory or computed.
struct FeatureRow {
  Value source; // and indices, if it is in memory as it is
  SmallVector<Value> indices;
  Value value; // if it is computed

  static FeatureRow get(Value source, ValueRange indices) {
    return {source, SmallVector<Value>(indices), Value()};
  }
  /// The row behind a value, as narrow as it is stored.
  static FeatureRow get(Value value);

  Type getElementType() const {
    return getElementTypeOrSelf((source ? source : value).getType());
  }
  int64_t getFeatures() const {
    return cast<ShapedType>((source ? source : value).getType())
        .getShape()
        .back();
  }
  bool operator==(const FeatureRow &other) const {
    return source == other.source && indices == other.indices &&
           value == other.value;
  }
  /// Whether it differs where `argument` does.
  bool reads(Value argument) const;
};

/// What a product multiplies; nothing if `op` is none.
SmallVector<FeatureRow, 2> getFactors(Operation *op);

/// Evaluates values of a stream at one row, or one key.
class RowElements {
public:
  /// `known` has what is the same everywhere, and which row or key it is.
  RowElements(Emit &e, const IRMapping &known) : e(e), map(known) {}
  /// Element `feature` of a row.
  FailureOr<Value> get(const FeatureRow &row, Value feature);

private:
  FailureOr<Value> getScalar(Value value);
  FailureOr<Value> getElement(Value vector, Value feature);
  FailureOr<Value> load(Value source, ValueRange indices, Value feature);
  FailureOr<Value> shuffle(vector::ShuffleOp op, Value feature);
  FailureOr<Value> sum(int64_t count, Type type,
                       llvm::function_ref<FailureOr<Value>(Value)> term);
  FailureOr<Value> elementwise(Operation &op, Value feature);

  Emit &e;
  IRMapping map;
  DenseMap<std::pair<Value, Value>, Value> elements;
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_ROWELEMENTS_H
