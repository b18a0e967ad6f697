//===- Passes.h - launches on devices ---------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_DEVICE_PASSES_H
#define ATTN_TARGET_DEVICE_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::attn {

#define GEN_PASS_DECL
#include "attn/Target/Device/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "attn/Target/Device/Passes.h.inc"

/// The kernels of a module, in the order of their numbers.
SmallVector<LLVM::LLVMFuncOp> getKernels(gpu::GPUModuleOp module);

} // namespace mlir::attn

#endif // ATTN_TARGET_DEVICE_PASSES_H
