//===- Stream.h - streams of the host ------------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_STREAM_H
#define ATTN_RUNTIME_STREAM_H

#include "attn_runtime.h"

namespace attn {

/// Work on a stream is done by the thread that asks, one piece after another.
/// Null, the default stream, keeps no order between threads.
void lockStream(attn_stream *stream);
void unlockStream(attn_stream *stream);

} // namespace attn

#endif // ATTN_RUNTIME_STREAM_H
