//===- Device.h - GPUs ---------------------------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_GPU_DEVICE_H
#define ATTN_RUNTIME_GPU_DEVICE_H

#include "../Metadata.h"
#include "Driver.h"
#include <atomic>
#include <pthread.h>

namespace attn::gpu {

/// A GPU, which stays in use until the process ends.
struct Device {
  DLDevice place = {kDLCPU, 0};
  /// Of CUDA.
  Context *context = nullptr;
  /// 90 for sm_90, 0x942 for gfx942; 0 for what has no such name.
  uint32_t architecture = 0;
  char chip[32] = "";
  bool hasMemoryPools = false;
  /// Of HIP: the shared memory that a block can have.
  size_t sharedBytes = 0;
  char name[96] = "";

  const Driver *driver = nullptr;
  std::atomic<bool> isReady{false};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  /// What killed it, complete once `isDead`.
  std::atomic<bool> isDying{false}, isDead{false};
  char death[320] = "";

  /// ATTN_OK for a success; else the sentence "`call` on CUDA device 0: ...".
  /// Remembers what nothing works after. `name` is that of a thing of the
  /// program which the call was about.
  attn_status check(Outcome outcome, const char *name = nullptr);
  /// The same without a sentence, for what is done as something is given back.
  void note(Outcome outcome, const char *name = nullptr);
};

/// The device at a place that `isGPU`, unless it is dead.
attn_status getDevice(DLDevice place, Device *&device);

/// The same without a sentence; null for one that was never used, too.
Device *findLiveDevice(DLDevice place);

/// How many of a type there are; none without a driver.
int getNumDevices(DLDeviceType type);

/// Makes a device the current one of this thread, for as long as the object
/// lives.
class Current {
public:
  explicit Current(Device &device);
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;
  ~Current();

  attn_status getStatus() const { return status; }

private:
  Device &device;
  Previous previous;
  attn_status status;
};

/// Gives something back: calls `fn` with a device that works and is current.
/// With one that does not, all it had is gone.
template <typename Fn> void onLiveDevice(DLDevice place, Fn fn) {
  Device *device = findLiveDevice(place);
  Previous previous;
  if (!device || device->driver->enter(*device, previous).result != kSuccess) {
    return;
  }
  fn(*device);
  device->driver->leave(*device, previous);
}

attn_status allocate(DLDevice place, size_t bytes, void **data);
void release(DLDevice place, void *data);
/// In the order of the stream.
void releaseAsync(DLDevice place, void *data, Stream *stream);

} // namespace attn::gpu

#endif // ATTN_RUNTIME_GPU_DEVICE_H
