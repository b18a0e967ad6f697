//===- SmallFloats.h - bf16 that moves without being computed on *- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_EMULATOR_SMALLFLOATS_H
#define ATTN_LIB_TARGET_EMULATOR_SMALLFLOATS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::attn::emulator {

/// bf16 values that branches and selects pass on keep all of their bits.
void moveSmallFloatsAsBits(LLVM::LLVMFuncOp function);

} // namespace mlir::attn::emulator

#endif // ATTN_LIB_TARGET_EMULATOR_SMALLFLOATS_H
