//===- Outline.h - a stream as a function and its call ----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_OUTLINE_H
#define ATTN_LIB_TARGET_CPU_OUTLINE_H

#include "TargetInfo.h"
#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn::cpu {

/// Replaces `stream` by a call of the runtime's parallel loop on a new private
/// function called `name`.
LogicalResult outlineStream(StreamOp stream, StringRef name,
                            const TargetInfo &target);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_OUTLINE_H
