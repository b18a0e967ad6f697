//===- RowKernel.h - a stream with a thread per row ------------ *- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_ROWKERNEL_H
#define ATTN_LIB_TARGET_GPU_ROWKERNEL_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn::gpu_target {

/// Replaces a stream on buffers by a kernel in which a thread computes a row,
/// and by its launch.
void emitRowKernel(StreamOp stream, StringRef name);

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_ROWKERNEL_H
