//===- Kernels.h - kernels and their launches -------------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_KERNELS_H
#define ATTN_LIB_TARGET_GPU_KERNELS_H

#include "attn/Support/Emit.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::attn::gpu_target {

/// Writes a kernel of blocks of `threads` with these operands, and its launch
/// with `blocks` of them, at the insertion point of `host`, unless there are
/// none. `body` writes the kernel with the arguments that stand for the
/// operands.
LogicalResult
createKernel(Emit &host, ModuleOp module, StringRef name, Value blocks,
             int64_t threads, ValueRange operands,
             llvm::function_ref<LogicalResult(Emit &, ValueRange)> body);

/// Likewise, with a thread for each number below `count`: `body` writes what
/// the thread of a number does.
void createThreadKernel(
    Emit &host, ModuleOp module, StringRef name, Value count, int64_t threads,
    ValueRange operands,
    llvm::function_ref<void(Emit &, Value, ValueRange)> body);

/// The innermost index of an element, of `extent` values, by its number, which
/// becomes that of the other indices.
Value takeIndex(Emit &e, Value &number, Value extent);

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_KERNELS_H
