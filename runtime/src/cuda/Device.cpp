//===- Device.cpp - the GPUs of CUDA --------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "../Status.h"
#include <cstdio>

using namespace attn;
using namespace attn::cuda;

namespace {
Device devices[kMaxDevices];
}

/// " of 'kernel'", or nothing.
static const char *describePlace(const char *name, char (&text)[128]) {
  text[0] = 0;
  if (name) {
    std::snprintf(text, sizeof(text), " of '%s'", name);
  }
  return text;
}

void Device::note(Result result, const char *what, const char *name) {
  if (!isSticky(result) || isDying.exchange(true)) {
    return;
  }
  char text[256], place[128];
  std::snprintf(death, sizeof(death), "%s%s said %s", what,
                describePlace(name, place), describe(*driver, result, text));
  isDead.store(true, std::memory_order_release);
}

attn_status Device::check(Result result, const char *what, const char *name) {
  if (result == kSuccess) {
    return ATTN_OK;
  }
  note(result, what, name);
  char text[256], place[128];
  return fail(cuda::getStatus(result), "%s%s on CUDA device %d: %s", what,
              describePlace(name, place), id, describe(*driver, result, text));
}

attn_status Device::check(Result result, const char *what) {
  return check(result, what, nullptr);
}

static attn_status prepare(Device &device, const Driver &driver, int id) {
  device.id = id;
  device.driver = &driver;
  int number = 0, major = 0, minor = 0, hasPools = 0;
  if (attn_status status =
          device.check(driver.cuDeviceGet(&number, id), "cuDeviceGet")) {
    return status;
  }
  if (attn_status status = device.check(
          driver.cuDeviceGetName(device.name, sizeof(device.name), number),
          "cuDeviceGetName")) {
    return status;
  }
  struct Question {
    DeviceAttribute attribute;
    int *answer;
  };
  for (Question question : {Question{kMajor, &major}, Question{kMinor, &minor},
                            Question{kHasMemoryPools, &hasPools}}) {
    if (attn_status status =
            device.check(driver.cuDeviceGetAttribute(
                             question.answer, question.attribute, number),
                         "cuDeviceGetAttribute")) {
      return status;
    }
  }
  device.architecture = 10 * major + minor;
  device.hasMemoryPools = hasPools != 0;
  return device.check(driver.cuDevicePrimaryCtxRetain(&device.context, number),
                      "cuDevicePrimaryCtxRetain");
}

attn_status cuda::getDevice(int id, Device *&device) {
  const Driver *driver = nullptr;
  if (attn_status status = getDriver(driver)) {
    return status;
  }
  if (id < 0 || id >= kMaxDevices) {
    return fail(ATTN_UNSUPPORTED, "there is no CUDA device %d", id);
  }
  Device &candidate = devices[id];
  if (!candidate.isReady.load(std::memory_order_acquire)) {
    int count = 0;
    pthread_mutex_lock(&candidate.mutex);
    candidate.driver = driver;
    candidate.id = id;
    attn_status status = candidate.isReady.load(std::memory_order_relaxed)
                             ? ATTN_OK
                             : candidate.check(driver->cuDeviceGetCount(&count),
                                               "cuDeviceGetCount");
    if (!status && !candidate.isReady.load(std::memory_order_relaxed)) {
      status = id < count ? prepare(candidate, *driver, id)
                          : fail(ATTN_UNSUPPORTED,
                                 "there is no CUDA device %d, only %d of them",
                                 id, count);
      candidate.isReady.store(status == ATTN_OK, std::memory_order_release);
    }
    pthread_mutex_unlock(&candidate.mutex);
    if (status) {
      return status;
    }
  }
  if (candidate.isDead.load(std::memory_order_acquire)) {
    return fail(ATTN_DEVICE_FAILED,
                "CUDA device %d has failed, and nothing works on it in this "
                "process any more: %s",
                id, candidate.death);
  }
  device = &candidate;
  return ATTN_OK;
}

Device *cuda::findLiveDevice(int id) {
  const Driver *driver = findDriver();
  bool isKnown = driver && id >= 0 && id < kMaxDevices &&
                 devices[id].isReady.load(std::memory_order_acquire);
  return isKnown && !devices[id].isDead.load(std::memory_order_acquire)
             ? &devices[id]
             : nullptr;
}

int cuda::getNumDevices() {
  const Driver *driver = findDriver();
  int count = 0;
  if (!driver || driver->cuDeviceGetCount(&count) != kSuccess) {
    return 0;
  }
  return count < kMaxDevices ? count : kMaxDevices;
}

Current::Current(Device &device)
    : device(device),
      status(device.check(device.driver->cuCtxPushCurrent_v2(device.context),
                          "cuCtxPushCurrent")) {}

Current::~Current() {
  if (!status) {
    Context *context = nullptr;
    device.driver->cuCtxPopCurrent_v2(&context);
  }
}

attn_status cuda::allocate(int id, size_t bytes, void **data) {
  Device *device = nullptr;
  if (attn_status status = getDevice(id, device)) {
    return status;
  }
  Current current(*device);
  if (attn_status status = current.getStatus()) {
    return status;
  }
  Address address = 0;
  Result result = device->driver->cuMemAlloc_v2(&address, bytes ? bytes : 1);
  if (result == kOutOfMemory) {
    return fail(ATTN_OUT_OF_MEMORY,
                "out of memory: %zu bytes cannot be had on CUDA device %d",
                bytes, id);
  }
  *data = reinterpret_cast<void *>(address);
  return device->check(result, "cuMemAlloc");
}

void cuda::release(int id, void *data) {
  if (data) {
    onLiveDevice(id, [&](Device &device) {
      device.note(device.driver->cuMemFree_v2(reinterpret_cast<Address>(data)),
                  "cuMemFree");
    });
  }
}

void cuda::releaseAsync(int id, void *data, Stream *stream) {
  if (data) {
    onLiveDevice(id, [&](Device &device) {
      device.note(device.driver->cuMemFreeAsync(reinterpret_cast<Address>(data),
                                                stream),
                  "cuMemFreeAsync");
    });
  }
}
