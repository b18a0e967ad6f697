//===- HeadGroup.h - heads whose rows share a block -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Query heads that read the same keys are rows like others: row r of a block of
// a group of G heads is query r div G of head r mod G. While decoding, a group
// has as few rows as it has heads; each for itself would read all keys again.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_HEADGROUP_H
#define ATTN_LIB_TARGET_GPU_HEADGROUP_H

#include "attn/Dialect/Attn/IR/Attn.h"

namespace mlir::attn::gpu_target {

struct HeadGroup {
  /// How many; 1 if heads have nothing in common.
  int64_t size = 1;
  /// What is the same for all of them: heads divided by a multiple of `size`.
  SmallVector<Operation *> quotients;

  /// The largest group of at most `most` heads.
  static HeadGroup find(StreamOp stream, int64_t most);
};

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_HEADGROUP_H
