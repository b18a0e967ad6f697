//===- Outline.h - kernels as functions and their calls ---------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_CPU_OUTLINE_H
#define ATTN_LIB_TARGET_CPU_OUTLINE_H

#include "TargetInfo.h"
#include "attn/Dialect/Attn/IR/Attn.h"
#include "attn/Support/Emit.h"

namespace mlir::attn::cpu {

/// Calls the runtime's parallel loop over `items` on a new private function,
/// whose body handles the items [begin, end) and sees `operands` with a last
/// stride of 1: what has another is copied for the call. Where `serial` (may be
/// null) holds, it is called without waking threads.
LogicalResult outlineParallelLoop(
    Emit &e, StringRef name, ValueRange operands, Value items, Value serial,
    llvm::function_ref<LogicalResult(Emit &, Value begin, Value end,
                                     ValueRange operands)>
        body);

/// Replaces `stream` by a call of the runtime's parallel loop on a new private
/// function called `name`. With `sharesScores` another stream computes its
/// scores again.
LogicalResult outlineStream(StreamOp stream, StringRef name,
                            const TargetInfo &target, bool sharesScores);

/// A form of `stream` for one row, chosen where it has one, if its rows are not
/// known and one would be done in place; else null. No other stream may compute
/// its scores again.
StreamOp addOneRowForm(StreamOp stream, const TargetInfo &target);

} // namespace mlir::attn::cpu

#endif // ATTN_LIB_TARGET_CPU_OUTLINE_H
