//===- Positions.h - floats that are no program's ---------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_SUPPORT_POSITIONS_H
#define ATTN_SUPPORT_POSITIONS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::attn {

/// On ops that compute positions by way of floats, exactly: exact mode, which
/// puts a ring in place of floats, leaves them as they are.
inline constexpr llvm::StringLiteral kPositionsAttr = "attn.positions";

} // namespace mlir::attn

#endif // ATTN_SUPPORT_POSITIONS_H
