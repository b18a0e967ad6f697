//===- Place.cpp - where a call runs --------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program may have code for the host and for devices side by side; a call
// takes that of the device of its arguments.
//
//===----------------------------------------------------------------------===//

#include "Binding.h"
#include "Status.h"
#include "Stream.h"
#include "gpu/Program.h"
#include <cstdio>

using namespace attn;

static uint32_t getDeviceType(const attn_function &function) {
  return function.program ? function.program->deviceType : uint32_t{kDLCPU};
}

/// The same function for another type of device, or null.
static const attn_function *findOtherType(const attn_function &function) {
  const attn_function *it = function.other;
  while (it && it->program && it->program->isAnother) {
    it = it->other;
  }
  return it;
}

/// "the host, CUDA and HIP".
static const char *describeTargets(const attn_function &function,
                                   char (&text)[128]) {
  int length = 0;
  const attn_function *next = nullptr;
  for (const attn_function *it = &function; it; it = next) {
    next = findOtherType(*it);
    char name[32];
    auto type = static_cast<DLDeviceType>(getDeviceType(*it));
    std::snprintf(name, sizeof(name), "devices of type %d", type);
    auto left = sizeof(text) - static_cast<size_t>(length);
    int more = std::snprintf(text + length, left, "%s%s",
                             !length ? ""
                             : next  ? ", "
                                     : " and ",
                             type == kDLCPU     ? "the host"
                             : gpu::isGPU(type) ? gpu::getPlatform(type)
                                                : name);
    if (more < 0 || static_cast<size_t>(more) >= left) {
      break;
    }
    length += more;
  }
  return text;
}

attn_status attn::choosePlace(const attn_function &function,
                              const DLTensor *const *tensors, size_t count,
                              const attn_stream *stream,
                              const attn_function *&chosen, DLDevice &device) {
  // Without tensors, or with wrong ones, which the binding finds.
  device = {static_cast<DLDeviceType>(getDeviceType(function)), 0};
  if (stream) {
    device = stream->device;
  }
  const char *name = nullptr;
  for (size_t i = 0; tensors && i < count && i < function.arguments.count;
       ++i) {
    if (tensors[i] && !function.arguments[i].isScalar()) {
      device = tensors[i]->device;
      name = function.arguments[i].info.name;
      break;
    }
  }
  if (isHost(device)) {
    device = {kDLCPU, 0};
  } else if (device.device_type == kDLCUDAManaged) {
    device.device_type = kDLCUDA;
  }
  for (chosen = &function; chosen; chosen = chosen->other) {
    if (getDeviceType(*chosen) == static_cast<uint32_t>(device.device_type)) {
      break;
    }
  }
  char where[48], targets[128];
  if (!chosen) {
    return fail(ATTN_INVALID_ARGUMENT,
                "%s%s%s of '%s' is on %s, the program is compiled for %s",
                name ? "argument '" : "the stream", name ? name : "",
                name ? "'" : "", function.name, describeDevice(device, where),
                describeTargets(function, targets));
  }
  if (stream && (stream->device.device_type != device.device_type ||
                 stream->device.device_id != device.device_id)) {
    char other[48];
    return fail(ATTN_INVALID_ARGUMENT,
                "argument '%s' of '%s' is on %s, the stream is of %s", name,
                function.name, describeDevice(device, where),
                describeDevice(stream->device, other));
  }
  return name && !isHost(device) ? gpu::choose(device, chosen) : ATTN_OK;
}
