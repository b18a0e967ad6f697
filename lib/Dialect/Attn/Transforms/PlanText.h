//===- PlanText.h - values of streams in words ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_DIALECT_ATTN_TRANSFORMS_PLANTEXT_H
#define ATTN_LIB_DIALECT_ATTN_TRANSFORMS_PLANTEXT_H

#include "attn/Dialect/Attn/IR/Attn.h"
#include <string>

namespace mlir::attn {

/// A tensor outside of streams: the argument's name, or how it came about.
std::string nameOfTensor(Value tensor);

/// An extent outside of streams: a number, a name of `attn.dims`, or `?`.
std::string nameOfExtent(Value extent);

/// A scalar of a stream as a formula in b, h, i, j and names of inputs, as in
/// `j <= i and j < length[b]`; cut short where it gets long.
std::string formulaOf(Value value);

} // namespace mlir::attn

#endif // ATTN_LIB_DIALECT_ATTN_TRANSFORMS_PLANTEXT_H
