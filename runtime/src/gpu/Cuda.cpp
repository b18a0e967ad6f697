//===- Cuda.cpp - CUDA's driver -------------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names are those of the binary interface, with the versions that CUDA 11.2
// has. A device is used by its primary context, which everything in the process
// shares; it is retained at first use, and until the process ends.
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include <cstdio>

using namespace attn;
using namespace attn::gpu;

namespace {

/// The first with cuMemAllocAsync.
constexpr int kLeastVersion = 11020;

enum DeviceAttribute : int { kMajor = 75, kMinor = 76, kHasMemoryPools = 115 };

/// Of cuModuleLoadDataEx.
enum LoadOption : int { kErrorLog = 5, kErrorLogBytes = 6 };

constexpr int kMaxDynamicSharedBytes = 8; // of cuFuncSetAttribute

/// What the table has nothing for.
struct Functions {
  Call<unsigned> cuInit;
  Call<int *> cuDriverGetVersion;
  Call<Result, const char **> cuGetErrorName, cuGetErrorString;
  Call<int *, int> cuDeviceGet;
  Call<char *, int, int> cuDeviceGetName;
  Call<int *, DeviceAttribute, int> cuDeviceGetAttribute;
  Call<Context **, int> cuDevicePrimaryCtxRetain;
  Call<Context *> cuCtxPushCurrent_v2;
  Call<Context **> cuCtxPopCurrent_v2;
  Call<Image **, const void *, unsigned, LoadOption *, void **>
      cuModuleLoadDataEx;
  Call<Kernel *, int, int> cuFuncSetAttribute;
};
Functions cuda;

template <typename... Args>
void find(Library &library, Call<Args...> &call, const char *name) {
  call.name = name;
  library.find(call.function, name);
}

void findAll(Library &library, Driver &driver) {
#define ATTN_FIND(name) find(library, cuda.name, #name)
  ATTN_FIND(cuInit);
  ATTN_FIND(cuDriverGetVersion);
  ATTN_FIND(cuGetErrorName);
  ATTN_FIND(cuGetErrorString);
  ATTN_FIND(cuDeviceGet);
  ATTN_FIND(cuDeviceGetName);
  ATTN_FIND(cuDeviceGetAttribute);
  ATTN_FIND(cuDevicePrimaryCtxRetain);
  ATTN_FIND(cuCtxPushCurrent_v2);
  ATTN_FIND(cuCtxPopCurrent_v2);
  ATTN_FIND(cuModuleLoadDataEx);
  ATTN_FIND(cuFuncSetAttribute);
#undef ATTN_FIND
  find(library, driver.countDevices, "cuDeviceGetCount");
  find(library, driver.unloadImage, "cuModuleUnload");
  find(library, driver.findKernel, "cuModuleGetFunction");
  find(library, driver.launch, "cuLaunchKernel");
  find(library, driver.allocate, "cuMemAlloc_v2");
  find(library, driver.release, "cuMemFree_v2");
  find(library, driver.allocateAsync, "cuMemAllocAsync");
  find(library, driver.releaseAsync, "cuMemFreeAsync");
  find(library, driver.copyAsync, "cuMemcpyAsync");
  find(library, driver.copyFromHost, "cuMemcpyHtoD_v2");
  find(library, driver.createStream, "cuStreamCreate");
  find(library, driver.destroyStream, "cuStreamDestroy_v2");
  find(library, driver.synchronizeStream, "cuStreamSynchronize");
  find(library, driver.waitForEvent, "cuStreamWaitEvent");
  find(library, driver.createEvent, "cuEventCreate");
  find(library, driver.destroyEvent, "cuEventDestroy_v2");
  find(library, driver.recordEvent, "cuEventRecord");
  find(library, driver.synchronizeEvent, "cuEventSynchronize");
  find(library, driver.getElapsed, "cuEventElapsedTime");
}

const char *getName(Result result) {
  const char *name = nullptr;
  return cuda.cuGetErrorName.function(result, &name) == kSuccess ? name
                                                                 : nullptr;
}

const char *getWords(Result result) {
  const char *words = nullptr;
  return cuda.cuGetErrorString.function(result, &words) == kSuccess ? words
                                                                    : nullptr;
}

attn_status prepare(Device &device) {
  int number = 0, major = 0, minor = 0, hasPools = 0;
  if (attn_status status =
          device.check(cuda.cuDeviceGet(&number, device.place.device_id))) {
    return status;
  }
  if (attn_status status = device.check(
          cuda.cuDeviceGetName(device.name, sizeof(device.name), number))) {
    return status;
  }
  struct Question {
    DeviceAttribute attribute;
    int *answer;
  };
  for (Question question : {Question{kMajor, &major}, Question{kMinor, &minor},
                            Question{kHasMemoryPools, &hasPools}}) {
    if (attn_status status = device.check(cuda.cuDeviceGetAttribute(
            question.answer, question.attribute, number))) {
      return status;
    }
  }
  device.architecture = static_cast<uint32_t>(10 * major + minor);
  std::snprintf(device.chip, sizeof(device.chip), "sm_%u", device.architecture);
  device.hasMemoryPools = hasPools != 0;
  return device.check(cuda.cuDevicePrimaryCtxRetain(&device.context, number));
}

Outcome enter(Device &device, Previous &) {
  return cuda.cuCtxPushCurrent_v2(device.context);
}

void leave(Device &, const Previous &) {
  Context *context = nullptr;
  cuda.cuCtxPopCurrent_v2(&context);
}

Outcome loadImage(Image **image, const void *data, char *log, size_t logBytes) {
  LoadOption options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(logBytes)};
  return cuda.cuModuleLoadDataEx(image, data, 2, options, values);
}

Outcome allowShared(Device &, Kernel *kernel, uint32_t bytes) {
  // Without asking, a block has as much.
  constexpr uint32_t kDefaultSharedBytes = 48 << 10;
  return bytes <= kDefaultSharedBytes
             ? Outcome()
             : cuda.cuFuncSetAttribute(kernel, kMaxDynamicSharedBytes,
                                       static_cast<int>(bytes));
}

} // namespace

void gpu::loadCuda(Library &library, Driver &driver) {
  library.least = "CUDA 11.2";
  library.open("ATTN_CUDA_DRIVER", {"libcuda.so.1"});
  findAll(library, driver);
  if (!library.isGood()) {
    return;
  }
  driver.getName = getName;
  driver.getWords = getWords;
  driver.prepare = prepare;
  driver.enter = enter;
  driver.leave = leave;
  driver.loadImage = loadImage;
  driver.allowShared = allowShared;
  int version = 0;
  char text[256];
  if (Result result = cuda.cuDriverGetVersion.function(&version)) {
    return library.reject("cuDriverGetVersion: %s",
                          describe(driver, result, text));
  }
  if (version < kLeastVersion) {
    return library.reject("the driver is for CUDA %d.%d, it takes one for "
                          "%d.%d",
                          version / 1000, version % 1000 / 10,
                          kLeastVersion / 1000, kLeastVersion % 1000 / 10);
  }
  watchForks();
  if (Result result = cuda.cuInit.function(0)) {
    library.reject("cuInit: %s", describe(driver, result, text));
  }
}
