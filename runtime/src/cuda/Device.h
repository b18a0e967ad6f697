//===- Device.h - the GPUs of CUDA ---------------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_CUDA_DEVICE_H
#define ATTN_RUNTIME_CUDA_DEVICE_H

#include "../Metadata.h"
#include "Driver.h"
#include <atomic>
#include <pthread.h>

namespace attn::cuda {

/// A GPU with its primary context, which everything in the process shares. It
/// is retained at first use, and until the process ends.
struct Device {
  int id = 0;
  Context *context = nullptr;
  /// 90 for sm_90.
  int architecture = 0;
  bool hasMemoryPools = false;
  char name[96] = "";

  const Driver *driver = nullptr;
  std::atomic<bool> isReady{false};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  /// What killed the context, complete once `isDead`.
  std::atomic<bool> isDying{false}, isDead{false};
  char death[320] = "";

  /// ATTN_OK for a success; else the sentence "`what` on CUDA device 0: ...".
  /// Remembers what nothing works after.
  attn_status check(Result result, const char *what);
  /// The same for what has the name of one of the program's things.
  attn_status check(Result result, const char *what, const char *name);
  /// The same without a sentence, for what is done as something is given back.
  void note(Result result, const char *what, const char *name = nullptr);
};

/// The device of a number, unless it is dead.
attn_status getDevice(int id, Device *&device);

/// The same without a sentence; null for one that was never used, too.
Device *findLiveDevice(int id);

/// How many there are; none without a driver.
int getNumDevices();

/// Makes the context of a device the current one of this thread, for as long as
/// the object lives.
class Current {
public:
  explicit Current(Device &device);
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;
  ~Current();

  attn_status getStatus() const { return status; }

private:
  Device &device;
  attn_status status;
};

/// Gives something back: calls `fn` with a device that works, whose context is
/// current. With the context of one that does not, all it had is gone.
template <typename Fn> void onLiveDevice(int id, Fn fn) {
  Device *device = findLiveDevice(id);
  if (!device ||
      device->driver->cuCtxPushCurrent_v2(device->context) != kSuccess) {
    return;
  }
  fn(*device);
  Context *context = nullptr;
  device->driver->cuCtxPopCurrent_v2(&context);
}

attn_status allocate(int id, size_t bytes, void **data);
void release(int id, void *data);
/// In the order of the stream.
void releaseAsync(int id, void *data, Stream *stream);

} // namespace attn::cuda

#endif // ATTN_RUNTIME_CUDA_DEVICE_H
