//===- ExactOps.cpp - what exact mode puts into programs ------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Dialect/Attn/IR/ExactOps.h"

using namespace mlir;
using namespace mlir::attn;

#define GET_OP_CLASSES
#include "attn/Dialect/Attn/IR/ExactOps.cpp.inc"

/// Constants fold to an attribute; folders of arithmetic know floats, and no
/// dictionaries.
OpFoldResult OpaqueOp::fold(FoldAdaptor) {
  return getOperation()->getAttrDictionary();
}
