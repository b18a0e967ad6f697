//===- Device.cpp - GPUs --------------------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "../Status.h"
#include <cstdio>
#include <cstring>

using namespace attn;
using namespace attn::gpu;

namespace {
Device devicesOfCuda[kMaxDevices], devicesOfHip[kMaxDevices];

Device *findPlace(DLDevice place) {
  bool isKnown = place.device_id >= 0 && place.device_id < kMaxDevices;
  Device *devices = place.device_type == kDLCUDA ? devicesOfCuda : devicesOfHip;
  return isKnown ? &devices[place.device_id] : nullptr;
}
} // namespace

/// "cuMemAlloc of 'kernel'": without versions that symbols have.
static const char *describeCall(Outcome outcome, const char *name,
                                char (&text)[160]) {
  auto length = static_cast<int>(std::strcspn(outcome.call, "_"));
  std::snprintf(text, sizeof(text), name ? "%.*s of '%s'" : "%.*s", length,
                outcome.call, name);
  return text;
}

void Device::note(Outcome outcome, const char *name) {
  if (!isSticky(outcome.result) || isDying.exchange(true)) {
    return;
  }
  char text[256], call[160];
  std::snprintf(death, sizeof(death), "%s said %s",
                describeCall(outcome, name, call),
                describe(*driver, outcome.result, text));
  isDead.store(true, std::memory_order_release);
}

attn_status Device::check(Outcome outcome, const char *name) {
  if (outcome.result == kSuccess) {
    return ATTN_OK;
  }
  note(outcome, name);
  char text[256], call[160];
  return fail(gpu::getStatus(outcome.result), "%s on %s device %d: %s",
              describeCall(outcome, name, call), driver->name, place.device_id,
              describe(*driver, outcome.result, text));
}

/// The first use of a device, under its lock.
static attn_status prepare(Device &device, const Driver &driver,
                           DLDevice place) {
  device.place = place;
  device.driver = &driver;
  int count = 0;
  if (attn_status status = device.check(driver.countDevices(&count))) {
    return status;
  }
  if (place.device_id >= count) {
    return fail(ATTN_UNSUPPORTED, "there is no %s device %d, only %d of them",
                driver.name, place.device_id, count);
  }
  return driver.prepare(device);
}

attn_status gpu::getDevice(DLDevice place, Device *&device) {
  const Driver *driver = nullptr;
  if (attn_status status = getDriver(place.device_type, driver)) {
    return status;
  }
  device = findPlace(place);
  if (!device) {
    return fail(ATTN_UNSUPPORTED, "there is no %s device %d", driver->name,
                place.device_id);
  }
  if (!device->isReady.load(std::memory_order_acquire)) {
    attn_status status = ATTN_OK;
    pthread_mutex_lock(&device->mutex);
    if (!device->isReady.load(std::memory_order_relaxed)) {
      status = prepare(*device, *driver, place);
      device->isReady.store(status == ATTN_OK, std::memory_order_release);
    }
    pthread_mutex_unlock(&device->mutex);
    if (status) {
      return status;
    }
  }
  if (device->isDead.load(std::memory_order_acquire)) {
    return fail(ATTN_DEVICE_FAILED,
                "%s device %d has failed, and nothing works on it in this "
                "process any more: %s",
                driver->name, place.device_id, device->death);
  }
  return ATTN_OK;
}

Device *gpu::findLiveDevice(DLDevice place) {
  bool hasDriver = !isProcessEnding() && findDriver(place.device_type);
  Device *device = hasDriver ? findPlace(place) : nullptr;
  bool isLive = device && device->isReady.load(std::memory_order_acquire) &&
                !device->isDead.load(std::memory_order_acquire);
  return isLive ? device : nullptr;
}

int gpu::getNumDevices(DLDeviceType type) {
  const Driver *driver = findDriver(type);
  int count = 0;
  if (!driver || driver->countDevices(&count).result != kSuccess) {
    return 0;
  }
  return count < kMaxDevices ? count : kMaxDevices;
}

Current::Current(Device &device)
    : device(device),
      status(device.check(device.driver->enter(device, previous))) {}

Current::~Current() {
  if (!status) {
    device.driver->leave(device, previous);
  }
}

attn_status gpu::allocate(DLDevice place, size_t bytes, void **data) {
  Device *device = nullptr;
  if (attn_status status = getDevice(place, device)) {
    return status;
  }
  Current current(*device);
  if (attn_status status = current.getStatus()) {
    return status;
  }
  Address address = 0;
  Outcome outcome = device->driver->allocate(&address, bytes ? bytes : 1);
  if (outcome.result == kOutOfMemory) {
    return fail(ATTN_OUT_OF_MEMORY,
                "out of memory: %zu bytes cannot be had on %s device %d", bytes,
                device->driver->name, place.device_id);
  }
  *data = reinterpret_cast<void *>(address);
  return device->check(outcome);
}

void gpu::release(DLDevice place, void *data) {
  if (data) {
    onLiveDevice(place, [&](Device &device) {
      device.note(device.driver->release(reinterpret_cast<Address>(data)));
    });
  }
}

void gpu::releaseAsync(DLDevice place, void *data, Stream *stream) {
  if (data) {
    onLiveDevice(place, [&](Device &device) {
      device.note(
          device.driver->releaseAsync(reinterpret_cast<Address>(data), stream));
    });
  }
}
