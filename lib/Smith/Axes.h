//===- Axes.h - what the axes of drawn scores carry -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_SMITH_AXES_H
#define ATTN_LIB_SMITH_AXES_H

#include "Program.h"

namespace mlir::attn::smith {

struct AxisOperands {
  AxisInfo query, key;
};

/// Each kind of axis operand with the given probability, entered into the facts
/// of `matrix`.
AxisOperands drawAxisOperands(Program &p, Matrix &matrix, double probability);

} // namespace mlir::attn::smith

#endif // ATTN_LIB_SMITH_AXES_H
