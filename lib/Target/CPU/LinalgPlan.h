//===- LinalgPlan.h - how a linalg op runs in vectors -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop of a linalg.generic gives the lanes: every operand steps along it by
// 1 or not at all. A few parallel loops are held in registers, so that what one
// of them does not move is loaded once for all of its steps:
//
//   c[m, n] += a[m, k] b[k, n]    lanes n, registers m x n    (6 x 64)
//   c[m, n] += a[m, k] b[n, k]    lanes k, registers m x n    (4 x 4)
//   y[b, l, f] += x[b, l + t, c] w[t, c, f]    lanes f, registers l x f
//   s[b, l] += x[b, l, d]         lanes d, four sums
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_LINALGPLAN_H
#define ATTN_LIB_TARGET_CPU_LINALGPLAN_H

#include "TargetInfo.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace mlir::attn::cpu {

struct LinalgPlan {
  linalg::GenericOp op;
  int64_t lanes;
  /// The loop of the lanes, and whether lanes are added up in the end.
  unsigned lane;
  bool reduces;
  /// Vectors of lanes that are in registers at once.
  int64_t vectors = 1;
  /// Parallel loops of which several steps are in registers at once.
  struct Blocked {
    unsigned loop;
    int64_t steps, chunk; // a call of the kernel has whole chunks
  };
  SmallVector<Blocked> blocked;
  /// By output, if lanes reduce: how.
  SmallVector<Operation *> combiners;
  SmallVector<vector::CombiningKind> kinds;

  bool dependsOnLane(AffineMap map) const { return map.isFunctionOfDim(lane); }
};

/// Whether `load`, in the body of an op, reads consecutive elements of a
/// captured buffer as `lane` goes on.
bool loadsLanes(memref::LoadOp load, unsigned lane);

/// A plan for an op on buffers; none where a region or a layout asks for more
/// than 1-D vectors with unit strides.
std::optional<LinalgPlan> planLinalg(linalg::GenericOp op,
                                     const TargetInfo &target);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_LINALGPLAN_H
