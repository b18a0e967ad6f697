//===- Stream.cpp - memory, streams and events of the host ----------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Stream.h"

#include "Arena.h"
#include "Memory.h"
#include "Status.h"
#include <atomic>
#include <ctime>
#include <pthread.h>

using namespace attn;

struct attn_stream {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

struct attn_event {
  /// Nanoseconds of the monotonic clock; 0 before it is recorded.
  std::atomic<int64_t> time{0};
};

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

static attn_status checkDevice(DLDevice device) {
  if (device.device_type == kDLCPU && device.device_id == 0) {
    return ATTN_OK;
  }
  return fail(ATTN_UNSUPPORTED,
              "there is no device %d of type %d, only the host (0 of type 1)",
              device.device_id, static_cast<int>(device.device_type));
}

static attn_status failNull(const char *what) {
  return fail(ATTN_INVALID_ARGUMENT, "the %s is null", what);
}

int attn_get_num_devices(DLDeviceType type) { return type == kDLCPU ? 1 : 0; }

attn_status attn_memory_allocate(DLDevice device, size_t bytes, void **data) {
  if (!data) {
    return failNull("place for the memory");
  }
  *data = nullptr;
  if (attn_status status = checkDevice(device)) {
    return status;
  }
  *data = allocateOutsideOfCalls(bytes);
  return *data ? ATTN_OK : failOutOfMemory(bytes);
}

void attn_memory_release(DLDevice, void *data) { attn_free(data); }

attn_status attn_stream_create(DLDevice device, attn_stream **stream) {
  if (!stream) {
    return failNull("place for the stream");
  }
  *stream = nullptr;
  if (attn_status status = checkDevice(device)) {
    return status;
  }
  *stream = create<attn_stream>();
  return *stream ? ATTN_OK : failOutOfMemory(sizeof(attn_stream));
}

void attn_stream_release(attn_stream *stream) {
  if (stream) {
    attn_stream_synchronize(stream);
    pthread_mutex_destroy(&stream->mutex);
    destroy(stream);
  }
}

attn_status attn_stream_synchronize(attn_stream *stream) {
  lockStream(stream);
  unlockStream(stream);
  return ATTN_OK;
}

attn_status attn_stream_wait(attn_stream *, attn_event *event) {
  // What has been recorded has happened.
  return event ? ATTN_OK : failNull("event");
}

attn_status attn_event_create(DLDevice device, attn_event **event) {
  if (!event) {
    return failNull("place for the event");
  }
  *event = nullptr;
  if (attn_status status = checkDevice(device)) {
    return status;
  }
  *event = create<attn_event>();
  return *event ? ATTN_OK : failOutOfMemory(sizeof(attn_event));
}

void attn_event_release(attn_event *event) { destroy(event); }

attn_status attn_event_record(attn_event *event, attn_stream *stream) {
  if (!event) {
    return failNull("event");
  }
  lockStream(stream);
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  event->time.store(int64_t(now.tv_sec) * 1000000000 + now.tv_nsec);
  unlockStream(stream);
  return ATTN_OK;
}

attn_status attn_event_synchronize(attn_event *event) {
  return event ? ATTN_OK : failNull("event");
}

attn_status attn_event_elapsed(const attn_event *from, const attn_event *to,
                               double *milliseconds) {
  if (!from || !to || !milliseconds) {
    return failNull(milliseconds ? "event" : "place for the time");
  }
  int64_t begin = from->time.load(), end = to->time.load();
  if (begin == 0 || end == 0) {
    return fail(ATTN_INVALID_ARGUMENT, "an event was never recorded");
  }
  *milliseconds = static_cast<double>(end - begin) * 1e-6;
  return ATTN_OK;
}
