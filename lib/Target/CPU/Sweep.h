//===- Sweep.h - the buffers of one sweep -----------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What Sweep.cpp allocates and RowTile.cpp fills.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_SWEEP_H
#define ATTN_LIB_TARGET_CPU_SWEEP_H

#include "Kernel.h"

namespace mlir::attn::cpu {

struct Kernel::Sweep {
  explicit Sweep(SweepPlan &plan) : plan(plan) {}

  SweepPlan &plan;
  Value upper; // keys end here, for this block
  ReducerState reducers;
  /// Tiles of scores and of filled and saved values.
  DenseMap<Value, Value> buffers;
  /// Per contraction: stationary rows, staging of keys, transposed keys.
  SmallVector<Packed> rows, staging;
  SmallVector<Value> keys;
  /// Rows and coefficients of outer carries.
  llvm::MapVector<Value, Packed> values;
  DenseMap<Operation *, Packed> coefficients;
  /// Whether the rows of this tile hold an infinity or a NaN.
  Value nonFinite;
};

/// Whether a coefficient, or each of a vector of them, is not that of an absent
/// entry.
Value isPresent(Emit &e, Value coefficient);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_SWEEP_H
