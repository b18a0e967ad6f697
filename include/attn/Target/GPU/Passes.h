//===- Passes.h - the GPU targets -------------------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_GPU_PASSES_H
#define ATTN_TARGET_GPU_PASSES_H

#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Dialect/Tile/IR/Tile.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

namespace mlir::attn {

/// The module of the kernels that streams become.
inline constexpr llvm::StringLiteral kKernelModule = "attn_kernels";

/// On kernels: the bytes of workgroup memory that a launch passes.
inline constexpr llvm::StringLiteral kSharedBytes = "attn.shared_bytes";

#define GEN_PASS_DECL
#include "attn/Target/GPU/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "attn/Target/GPU/Passes.h.inc"

} // namespace mlir::attn

#endif // ATTN_TARGET_GPU_PASSES_H
