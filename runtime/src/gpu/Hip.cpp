//===- Hip.cpp - HIP ------------------------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names and layouts are those of libamdhip64 since ROCm 6.0. There are no
// contexts: each thread has a current device, which calls change for as long as
// they take. The last error of a thread, which callers ask HIP for, is not to
// be one of ours, so that it is taken back after every call that fails.
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace attn;
using namespace attn::gpu;

namespace {

constexpr int kMemcpyDefault = 4; // of hipMemcpyKind: by the addresses

/// hipDeviceProp_tR0600, as far as it is read; later versions may be longer.
struct Properties {
  char name[256];
  char skipped1[40];
  size_t sharedMemPerBlock;
  char skipped2[440];
  int memoryPoolsSupported;
  char skipped3[412];
  char gcnArchName[256];
  char skipped4[2680];
};
static_assert(offsetof(Properties, sharedMemPerBlock) == 296 &&
              offsetof(Properties, memoryPoolsSupported) == 744 &&
              offsetof(Properties, gcnArchName) == 1160);

// name, parameters
#define ATTN_HIP_FUNCTIONS(X)                                                  \
  X(hipInit, (unsigned flags))                                                 \
  X(hipGetDeviceCount, (int *count))                                           \
  X(hipGetDevicePropertiesR0600, (Properties * properties, int device))        \
  X(hipGetDevice, (int *device))                                               \
  X(hipSetDevice, (int device))                                                \
  X(hipModuleLoadData, (Image * *image, const void *data))                     \
  X(hipModuleUnload, (Image * image))                                          \
  X(hipModuleGetFunction, (Kernel * *kernel, Image * image, const char *name)) \
  X(hipModuleLaunchKernel,                                                     \
    (Kernel * kernel, unsigned gridX, unsigned gridY, unsigned gridZ,          \
     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,  \
     Stream *stream, void **arguments, void **extra))                          \
  X(hipMalloc, (Address * data, size_t bytes))                                 \
  X(hipFree, (Address data))                                                   \
  X(hipMallocAsync, (Address * data, size_t bytes, Stream *stream))            \
  X(hipFreeAsync, (Address data, Stream * stream))                             \
  X(hipMemcpyAsync,                                                            \
    (Address to, Address from, size_t bytes, int kind, Stream *stream))        \
  X(hipMemcpyHtoD, (Address to, const void *from, size_t bytes))               \
  X(hipStreamCreateWithFlags, (Stream * *stream, unsigned flags))              \
  X(hipStreamDestroy, (Stream * stream))                                       \
  X(hipStreamSynchronize, (Stream * stream))                                   \
  X(hipStreamWaitEvent, (Stream * stream, Event * event, unsigned flags))      \
  X(hipEventCreateWithFlags, (Event * *event, unsigned flags))                 \
  X(hipEventDestroy, (Event * event))                                          \
  X(hipEventRecord, (Event * event, Stream * stream))                          \
  X(hipEventSynchronize, (Event * event))                                      \
  X(hipEventElapsedTime, (float *milliseconds, Event *from, Event *to))

struct Functions {
#define ATTN_MEMBER(name, parameters) Result(*name) parameters = nullptr;
  ATTN_HIP_FUNCTIONS(ATTN_MEMBER)
#undef ATTN_MEMBER
  Result (*hipGetLastError)() = nullptr;
  const char *(*hipGetErrorName)(Result result) = nullptr;
  const char *(*hipGetErrorString)(Result result) = nullptr;
};
Functions hip;

/// A function of HIP that leaves no last error behind.
template <auto member, typename... Args> Result call(Args... args) {
  Result result = (hip.*member)(args...);
  if (result != kSuccess) {
    hip.hipGetLastError();
  }
  return result;
}

#define ATTN_CALL(name, ...)                                                   \
  Outcome { call<&Functions::name>(__VA_ARGS__), #name }

void findAll(Library &library) {
#define ATTN_FIND(name, parameters) library.find(hip.name, #name);
  ATTN_HIP_FUNCTIONS(ATTN_FIND)
#undef ATTN_FIND
  library.find(hip.hipGetLastError, "hipGetLastError");
  library.find(hip.hipGetErrorName, "hipGetErrorName");
  library.find(hip.hipGetErrorString, "hipGetErrorString");
}

Result copyAsync(Address to, Address from, size_t bytes, Stream *stream) {
  return call<&Functions::hipMemcpyAsync>(to, from, bytes, kMemcpyDefault,
                                          stream);
}

/// "gfx942:sramecc+:xnack-" is a gfx942, and that is 0x942.
void readChip(const char *text, Device &device) {
  auto length = static_cast<int>(std::strcspn(text, ":"));
  std::snprintf(device.chip, sizeof(device.chip), "%.*s", length, text);
  if (std::strncmp(device.chip, "gfx", 3) == 0) {
    char *end = nullptr;
    unsigned long number = std::strtoul(device.chip + 3, &end, 16);
    device.architecture = *end ? 0 : static_cast<uint32_t>(number);
  }
}

attn_status prepare(Device &device) {
  Properties properties = {};
  if (attn_status status = device.check(ATTN_CALL(
          hipGetDevicePropertiesR0600, &properties, device.place.device_id))) {
    return status;
  }
  std::snprintf(device.name, sizeof(device.name), "%.*s",
                static_cast<int>(sizeof(device.name) - 1), properties.name);
  readChip(properties.gcnArchName, device);
  device.hasMemoryPools = properties.memoryPoolsSupported != 0;
  device.sharedBytes = properties.sharedMemPerBlock;
  return ATTN_OK;
}

Outcome enter(Device &device, Previous &previous) {
  Outcome outcome = ATTN_CALL(hipGetDevice, &previous.device);
  previous.isOther = previous.device != device.place.device_id;
  return outcome.result != kSuccess || !previous.isOther
             ? outcome
             : ATTN_CALL(hipSetDevice, device.place.device_id);
}

void leave(Device &, const Previous &previous) {
  if (previous.isOther) {
    call<&Functions::hipSetDevice>(previous.device);
  }
}

Outcome loadImage(Image **image, const void *data, char *, size_t) {
  return ATTN_CALL(hipModuleLoadData, image, data);
}

/// A launch may ask for all that there is.
Outcome allowShared(Device &device, Kernel *, uint32_t bytes) {
  return {bytes > device.sharedBytes ? kInvalidValue : kSuccess, ""};
}

void fill(Driver &driver) {
#define ATTN_SET(member, name) driver.member = {#name, call<&Functions::name>}
  ATTN_SET(countDevices, hipGetDeviceCount);
  ATTN_SET(unloadImage, hipModuleUnload);
  ATTN_SET(findKernel, hipModuleGetFunction);
  ATTN_SET(launch, hipModuleLaunchKernel);
  ATTN_SET(allocate, hipMalloc);
  ATTN_SET(release, hipFree);
  ATTN_SET(allocateAsync, hipMallocAsync);
  ATTN_SET(releaseAsync, hipFreeAsync);
  driver.copyAsync = {"hipMemcpyAsync", copyAsync};
  ATTN_SET(copyFromHost, hipMemcpyHtoD);
  ATTN_SET(createStream, hipStreamCreateWithFlags);
  ATTN_SET(destroyStream, hipStreamDestroy);
  ATTN_SET(synchronizeStream, hipStreamSynchronize);
  ATTN_SET(waitForEvent, hipStreamWaitEvent);
  ATTN_SET(createEvent, hipEventCreateWithFlags);
  ATTN_SET(destroyEvent, hipEventDestroy);
  ATTN_SET(recordEvent, hipEventRecord);
  ATTN_SET(synchronizeEvent, hipEventSynchronize);
  ATTN_SET(getElapsed, hipEventElapsedTime);
#undef ATTN_SET
  driver.getName = hip.hipGetErrorName;
  driver.getWords = hip.hipGetErrorString;
  driver.prepare = prepare;
  driver.enter = enter;
  driver.leave = leave;
  driver.loadImage = loadImage;
  driver.allowShared = allowShared;
}

} // namespace

void gpu::loadHip(Library &library, Driver &driver) {
  library.least = "ROCm 6.0";
  library.open("ATTN_HIP_DRIVER",
               {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so"});
  findAll(library);
  if (!library.isGood()) {
    return;
  }
  fill(driver);
  watchForks();
  char text[256];
  if (Result result = call<&Functions::hipInit>(0u)) {
    library.reject("hipInit: %s", describe(driver, result, text));
  }
}
