//===- ExtentClasses.h - extents that must agree ----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_EXTENTCLASSES_H
#define ATTN_LIB_COMPILER_EXTENTCLASSES_H

#include "attn/Compiler/Signature.h"

namespace mlir::attn {

/// Enters into the signature what the program says of shapes and lengths beyond
/// it.
void readExtentRelations(func::FuncOp func, Signature &signature);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_EXTENTCLASSES_H
