//===- Stream.cpp - memory, streams and events ----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Stream.h"

#include "Arena.h"
#include "Memory.h"
#include "Status.h"
#include "gpu/Device.h"
#include <cstdio>
#include <cstring>
#include <ctime>
#include <initializer_list>

using namespace attn;

struct attn_event {
  DLDevice device = {kDLCPU, 0};
  /// Of the host: nanoseconds of the monotonic clock; 0 before it is recorded.
  std::atomic<int64_t> time{0};
  /// Of a device.
  gpu::Event *native = nullptr;
  std::atomic<bool> isRecorded{false};
};

using gpu::isGPU;

/// Calls `fn` with a GPU, which is current.
template <typename Fn> static attn_status onDevice(DLDevice device, Fn fn) {
  gpu::Device *found = nullptr;
  if (attn_status status = gpu::getDevice(device, found)) {
    return status;
  }
  gpu::Current current(*found);
  return current.getStatus() ? current.getStatus() : fn(*found);
}

void attn::lockStream(attn_stream *stream) {
  if (stream) {
    pthread_mutex_lock(&stream->mutex);
  }
}

void attn::unlockStream(attn_stream *stream) {
  if (stream) {
    pthread_mutex_unlock(&stream->mutex);
  }
}

void attn::retainStream(attn_stream *stream) {
  if (stream) {
    stream->references.fetch_add(1, std::memory_order_relaxed);
  }
}

void attn::dropStream(attn_stream *stream) {
  if (!stream ||
      stream->references.fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  if (isGPU(stream->device) && !stream->isWrapped) {
    gpu::onLiveDevice(stream->device, [&](gpu::Device &found) {
      found.note(found.driver->destroyStream(stream->native));
    });
  }
  pthread_mutex_destroy(&stream->mutex);
  destroy(stream);
}

bool attn::isHost(DLDevice device) {
  return device.device_type == kDLCPU || device.device_type == kDLCUDAHost ||
         device.device_type == kDLROCMHost;
}

const char *attn::describeDevice(DLDevice device, char (&text)[48]) {
  if (isHost(device)) {
    return "the host";
  }
  if (isGPU(device)) {
    std::snprintf(text, sizeof(text), "%s device %d",
                  gpu::getPlatform(device.device_type), device.device_id);
  } else {
    std::snprintf(text, sizeof(text), "device %d of type %d", device.device_id,
                  static_cast<int>(device.device_type));
  }
  return text;
}

static attn_status checkDevice(DLDevice device) {
  if ((device.device_type == kDLCPU && device.device_id == 0) ||
      isGPU(device)) {
    return ATTN_OK;
  }
  return fail(ATTN_UNSUPPORTED,
              "there is no device %d of type %d, only the host (0 of type 1) "
              "and those of CUDA (type 2) and HIP (10)",
              device.device_id, static_cast<int>(device.device_type));
}

static attn_status failNull(const char *what) {
  return fail(ATTN_INVALID_ARGUMENT, "the %s is null", what);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

int attn_get_num_devices(DLDeviceType type) {
  return type == kDLCPU ? 1 : isGPU(type) ? gpu::getNumDevices(type) : 0;
}

attn_status attn_device_get_info(DLDevice device, attn_device_info *info) {
  if (!info) {
    return failNull("place for what is known of the device");
  }
  if (!isGPU(device)) {
    char text[48];
    return fail(ATTN_UNSUPPORTED, "%s is no device of CUDA or HIP",
                describeDevice(device, text));
  }
  gpu::Device *found = nullptr;
  if (attn_status status = gpu::getDevice(device, found)) {
    return status;
  }
  static_assert(sizeof(info->name) == sizeof(found->name));
  std::memcpy(info->name, found->name, sizeof(info->name));
  static_assert(sizeof(info->chip) == sizeof(found->chip));
  std::memcpy(info->chip, found->chip, sizeof(info->chip));
  info->architecture = static_cast<int>(found->architecture);
  return ATTN_OK;
}

attn_status attn_memory_allocate(DLDevice device, size_t bytes, void **data) {
  if (!data) {
    return failNull("place for the memory");
  }
  *data = nullptr;
  if (attn_status status = checkDevice(device)) {
    return status;
  }
  if (isGPU(device)) {
    return gpu::allocate(device, bytes, data);
  }
  *data = allocateOutsideOfCalls(bytes);
  return *data ? ATTN_OK : failOutOfMemory(bytes);
}

void attn_memory_release(DLDevice device, void *data) {
  if (isGPU(device)) {
    gpu::release(device, data);
  } else {
    attn_free(data);
  }
}

attn_status attn_memory_copy(DLDevice to_device, void *to, DLDevice from_device,
                             const void *from, size_t bytes,
                             attn_stream *stream) {
  for (DLDevice device : {to_device, from_device}) {
    if (attn_status status = isHost(device) ? ATTN_OK : checkDevice(device)) {
      return status;
    }
  }
  if (bytes == 0) {
    return ATTN_OK;
  }
  if (!to || !from) {
    return failNull(to ? "source" : "destination");
  }
  if (!isGPU(to_device) && !isGPU(from_device)) {
    std::memcpy(to, from, bytes);
    return ATTN_OK;
  }
  DLDevice device = isGPU(to_device) ? to_device : from_device;
  if (stream && isGPU(stream->device)) {
    device = stream->device;
  }
  for (DLDevice other : {to_device, from_device}) {
    if (isGPU(other) && other.device_type != device.device_type) {
      char one[48], two[48];
      return fail(ATTN_INVALID_ARGUMENT,
                  "what is on %s cannot be copied by %s: copy it to the host",
                  describeDevice(other, one), describeDevice(device, two));
    }
  }
  return onDevice(device, [&](gpu::Device &found) {
    gpu::Stream *native = stream ? stream->native : nullptr;
    attn_status status = found.check(found.driver->copyAsync(
        reinterpret_cast<gpu::Address>(to),
        reinterpret_cast<gpu::Address>(from), bytes, native));
    bool waits = !stream || !isGPU(stream->device);
    return status || !waits
               ? status
               : found.check(found.driver->synchronizeStream(native));
  });
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

/// Makes a stream or an event of a device, of which `make` makes the native one
/// on GPUs.
template <typename T, typename Make>
static attn_status createOn(DLDevice device, const char *place, T **object,
                            Make make) {
  if (!object) {
    return failNull(place);
  }
  *object = nullptr;
  if (attn_status status = checkDevice(device)) {
    return status;
  }
  T *created = create<T>();
  if (!created) {
    return failOutOfMemory(sizeof(T));
  }
  created->device = device;
  attn_status status = ATTN_OK;
  if (isGPU(device)) {
    status = onDevice(device, [&](gpu::Device &found) {
      return found.check(make(*found.driver, &created->native));
    });
  }
  if (status) {
    destroy(created);
    return status;
  }
  *object = created;
  return ATTN_OK;
}

attn_status attn_stream_create(DLDevice device, attn_stream **stream) {
  return createOn(device, "place for the stream", stream,
                  [](const gpu::Driver &driver, gpu::Stream **native) {
                    return driver.createStream(native, 0);
                  });
}

attn_status attn_stream_wrap(DLDevice device, void *native,
                             attn_stream **stream) {
  if (!stream) {
    return failNull("place for the stream");
  }
  *stream = nullptr;
  if (!isGPU(device)) {
    char text[48];
    return fail(ATTN_UNSUPPORTED, "streams of %s cannot be wrapped",
                describeDevice(device, text));
  }
  gpu::Device *found = nullptr;
  if (attn_status status = gpu::getDevice(device, found)) {
    return status;
  }
  attn_stream *created = create<attn_stream>();
  if (!created) {
    return failOutOfMemory(sizeof(attn_stream));
  }
  created->device = device;
  created->native = static_cast<gpu::Stream *>(native);
  created->isWrapped = true;
  *stream = created;
  return ATTN_OK;
}

void attn_stream_release(attn_stream *stream) {
  if (stream) {
    if (!stream->isWrapped) {
      attn_stream_synchronize(stream);
    }
    dropStream(stream);
  }
}

attn_status attn_stream_synchronize(attn_stream *stream) {
  if (stream && isGPU(stream->device)) {
    return onDevice(stream->device, [&](gpu::Device &found) {
      return found.check(found.driver->synchronizeStream(stream->native));
    });
  }
  lockStream(stream);
  unlockStream(stream);
  return ATTN_OK;
}

attn_status attn_stream_wait(attn_stream *stream, attn_event *event) {
  if (!event) {
    return failNull("event");
  }
  if (!isGPU(event->device) || !event->isRecorded.load()) {
    return ATTN_OK; // what has been recorded has happened
  }
  if (stream && stream->device.device_type != event->device.device_type) {
    return attn_event_synchronize(event); // one driver knows none of the other
  }
  return onDevice(stream ? stream->device : event->device,
                  [&](gpu::Device &found) {
                    return found.check(found.driver->waitForEvent(
                        stream ? stream->native : nullptr, event->native, 0));
                  });
}

//===----------------------------------------------------------------------===//
// Events
//===----------------------------------------------------------------------===//

attn_status attn_event_create(DLDevice device, attn_event **event) {
  return createOn(device, "place for the event", event,
                  [](const gpu::Driver &driver, gpu::Event **native) {
                    return driver.createEvent(native, 0);
                  });
}

void attn_event_release(attn_event *event) {
  if (event && isGPU(event->device)) {
    gpu::onLiveDevice(event->device, [&](gpu::Device &found) {
      found.note(found.driver->destroyEvent(event->native));
    });
  }
  destroy(event);
}

attn_status attn_event_record(attn_event *event, attn_stream *stream) {
  if (!event) {
    return failNull("event");
  }
  if (stream && (stream->device.device_type != event->device.device_type ||
                 stream->device.device_id != event->device.device_id)) {
    char one[48], other[48];
    return fail(ATTN_INVALID_ARGUMENT,
                "the event is of %s, the stream is of %s",
                describeDevice(event->device, one),
                describeDevice(stream->device, other));
  }
  if (isGPU(event->device)) {
    return onDevice(event->device, [&](gpu::Device &found) {
      attn_status status = found.check(found.driver->recordEvent(
          event->native, stream ? stream->native : nullptr));
      if (!status) {
        event->isRecorded.store(true);
      }
      return status;
    });
  }
  lockStream(stream);
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  event->time.store(int64_t(now.tv_sec) * 1000000000 + now.tv_nsec);
  unlockStream(stream);
  return ATTN_OK;
}

attn_status attn_event_synchronize(attn_event *event) {
  if (!event) {
    return failNull("event");
  }
  if (!isGPU(event->device) || !event->isRecorded.load()) {
    return ATTN_OK;
  }
  return onDevice(event->device, [&](gpu::Device &found) {
    return found.check(found.driver->synchronizeEvent(event->native));
  });
}

attn_status attn_event_elapsed(const attn_event *from, const attn_event *to,
                               double *milliseconds) {
  if (!from || !to || !milliseconds) {
    return failNull(milliseconds ? "event" : "place for the time");
  }
  if (from->device.device_type != to->device.device_type ||
      from->device.device_id != to->device.device_id) {
    char one[48], other[48];
    return fail(ATTN_INVALID_ARGUMENT, "one event is of %s, the other of %s",
                describeDevice(from->device, one),
                describeDevice(to->device, other));
  }
  bool isOnGPU = isGPU(from->device);
  int64_t begin = from->time.load(), end = to->time.load();
  if (isOnGPU ? !from->isRecorded.load() || !to->isRecorded.load()
              : begin == 0 || end == 0) {
    return fail(ATTN_INVALID_ARGUMENT, "an event was never recorded");
  }
  if (isOnGPU) {
    return onDevice(from->device, [&](gpu::Device &found) {
      float elapsed = 0;
      attn_status status = found.check(
          found.driver->getElapsed(&elapsed, from->native, to->native));
      *milliseconds = static_cast<double>(elapsed);
      return status;
    });
  }
  *milliseconds = static_cast<double>(end - begin) * 1e-6;
  return ATTN_OK;
}
