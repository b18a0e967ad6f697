//===- Status.h - why something failed ------------------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_STATUS_H
#define ATTN_RUNTIME_STATUS_H

#include "attn_runtime.h"

namespace attn {

/// Stores the sentence for `attn_get_message`, and returns the code. Nothing is
/// allocated; what does not fit is cut off.
[[gnu::format(printf, 2, 3)]] attn_status fail(attn_status code,
                                               const char *format, ...);

/// The same for memory that could not be had.
attn_status failOutOfMemory(size_t bytes);

} // namespace attn

#endif // ATTN_RUNTIME_STATUS_H
