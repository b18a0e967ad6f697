//===- Stream.h - streams of the host and of devices ---------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_STREAM_H
#define ATTN_RUNTIME_STREAM_H

#include "attn_runtime.h"

#include "gpu/Driver.h"
#include <atomic>
#include <pthread.h>

struct attn_stream {
  DLDevice device = {kDLCPU, 0};
  /// Of a device.
  attn::gpu::Stream *native = nullptr;
  bool isWrapped = false;
  /// The caller's, and one for every tensor that is given back on it.
  std::atomic<size_t> references{1};
  /// Of the host.
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

namespace attn {

/// Work on a stream of the host is done by the thread that asks, one piece
/// after another. Null, the default stream, keeps no order between threads.
void lockStream(attn_stream *stream);
void unlockStream(attn_stream *stream);

/// Keeps a stream, which may be null, until it is dropped once more. That does
/// not wait for its work.
void retainStream(attn_stream *stream);
void dropStream(attn_stream *stream);

/// "the host", "CUDA device 0".
const char *describeDevice(DLDevice device, char (&text)[48]);

/// Whether the memory of a device is the host's.
bool isHost(DLDevice device);

} // namespace attn

#endif // ATTN_RUNTIME_STREAM_H
