//===- ScalarMath.h - math ops as other ops ---------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What neither CPUs nor GPUs have, and other ops say as well.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_SCALARMATH_H
#define ATTN_SUPPORT_SCALARMATH_H

#include "attn/Support/Emit.h"

namespace mlir::attn {

/// Writes out `math.clampf`, `fpowi`, `ipowi`, `isnormal` and `sincos` of
/// scalars or vectors: what stands for their results, and nothing for any other
/// op. Whole powers are products of squares: of floats 1 / x^-n for negative n,
/// and of integers 0 but for 1 and -1.
SmallVector<Value> expandScalarMath(Emit &e, Operation *op);

} // namespace mlir::attn

#endif // ATTN_SUPPORT_SCALARMATH_H
