//===- CodeObject.h - kernels as code objects of AMD ------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_COMPILER_CODEOBJECT_H
#define ATTN_LIB_COMPILER_CODEOBJECT_H

#include "attn/Compiler/DeviceCode.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::attn {

/// Makes the code object of the kernels, which are moved out of their module,
/// and completes `code.kernels` by what its metadata says.
llvm::Error makeCodeObject(gpu::GPUModuleOp kernels, StringRef chip,
                           DeviceCode &code);

} // namespace mlir::attn

#endif // ATTN_LIB_COMPILER_CODEOBJECT_H
