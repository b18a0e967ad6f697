//===- ParallelKernel.h - a function that threads run -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime owns the threads: it calls a kernel with ranges of items. What
// the kernel uses travels in a struct on the caller's stack.
//
//   %args = llvm.alloca : !llvm.struct<(descriptors and scalars)>
//   ... fill ...
//   call @attn_parallel_for(@kernel, %args, %items)
//
//   func.func private @kernel(%args: !llvm.ptr, %begin: i64, %end: i64)
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_PARALLELKERNEL_H
#define ATTN_LIB_TARGET_CPU_PARALLELKERNEL_H

#include "attn/Support/Emit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::attn::cpu {

struct ParallelKernel {
  func::FuncOp function;
  /// The operands, and the range of items, inside.
  SmallVector<Value> operands;
  Value begin, end;
};

/// Writes the call at the insertion point, which stays behind it, and a kernel
/// without a body next to `host`, the function with the call. Where `serial`
/// (may be null) holds, the kernel is called without waking threads.
ParallelKernel createParallelKernel(Emit &e, func::FuncOp host, StringRef name,
                                    ValueRange operands, Value items,
                                    Value serial = {});

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_PARALLELKERNEL_H
