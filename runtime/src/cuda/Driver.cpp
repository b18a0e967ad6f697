//===- Driver.cpp - CUDA's driver -----------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The driver is opened once and stays; what went wrong then is said again at
// every later call. A context does not survive a fork, and calls of the driver
// in a child end in any way at all, so that children are told before.
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include "../Status.h"
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>

using namespace attn;
using namespace attn::cuda;

namespace {
constexpr const char *kLibrary = "libcuda.so.1";
/// Another library in its place.
constexpr const char *kLibraryVariable = "ATTN_CUDA_DRIVER";
/// The first with cuMemAllocAsync.
constexpr int kLeastVersion = 11020;

Driver loaded;
bool isUsable = false;
/// Why it is not.
char problem[512];
std::atomic<bool> isForked{false};

[[gnu::format(printf, 1, 2)]] void reject(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(problem, sizeof(problem), format, arguments);
  va_end(arguments);
}

void load() {
  const char *chosen = std::getenv(kLibraryVariable);
  const char *path = chosen && *chosen ? chosen : kLibrary;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return reject("there is no driver: %s", reason ? reason : path);
  }
#define ATTN_CUDA_LOAD(name, parameters)                                       \
  loaded.name =                                                                \
      reinterpret_cast<decltype(loaded.name)>(dlsym(library, #name));          \
  if (!loaded.name) {                                                          \
    return reject("the driver '%s' has no %s; it is older than CUDA 11.2, or " \
                  "no driver",                                                 \
                  path, #name);                                                \
  }
  ATTN_CUDA_FUNCTIONS(ATTN_CUDA_LOAD)
#undef ATTN_CUDA_LOAD
  int version = 0;
  char text[256];
  if (Result result = loaded.cuDriverGetVersion(&version)) {
    return reject("cuDriverGetVersion: %s", describe(loaded, result, text));
  }
  if (version < kLeastVersion) {
    return reject("the driver is for CUDA %d.%d, it takes one for %d.%d",
                  version / 1000, version % 1000 / 10, kLeastVersion / 1000,
                  kLeastVersion % 1000 / 10);
  }
  // Before anything that a child would inherit.
  pthread_atfork(nullptr, nullptr, [] { isForked.store(true); });
  if (Result result = loaded.cuInit(0)) {
    return reject("cuInit: %s", describe(loaded, result, text));
  }
  isUsable = true;
}
} // namespace

attn_status cuda::getDriver(const Driver *&driver) {
  if (isForked.load(std::memory_order_relaxed)) {
    return fail(ATTN_UNSUPPORTED,
                "CUDA cannot be used: this process was forked from one that "
                "uses it; start it by exec (in Python: the start method "
                "'spawn')");
  }
  driver = findDriver();
  return driver ? ATTN_OK
                : fail(ATTN_UNSUPPORTED, "CUDA cannot be used: %s", problem);
}

const Driver *cuda::findDriver() {
  if (isForked.load(std::memory_order_relaxed)) {
    return nullptr;
  }
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return isUsable ? &loaded : nullptr;
}

const char *cuda::describe(const Driver &driver, Result result,
                           char (&text)[256]) {
  const char *name = nullptr, *words = nullptr;
  if (driver.cuGetErrorName(result, &name) != kSuccess || !name) {
    std::snprintf(text, sizeof(text), "error %d", static_cast<int>(result));
  } else if (driver.cuGetErrorString(result, &words) != kSuccess || !words) {
    std::snprintf(text, sizeof(text), "%s", name);
  } else {
    std::snprintf(text, sizeof(text), "%s (%s)", name, words);
  }
  return text;
}

bool cuda::isSticky(Result result) {
  switch (result) {
  case kDeinitialized:
  case kUncorrectableECC:
  case kUncorrectableNVLink:
  case kContained:
  case kIllegalAddress:
  case kLaunchTimeout:
  case kContextIsDestroyed:
  case kAssert:
  case kHardwareStackError:
  case kIllegalInstruction:
  case kMisalignedAddress:
  case kInvalidAddressSpace:
  case kInvalidPC:
  case kLaunchFailed:
  case kTensorMemoryLeak:
  case kUnknown:
    return true;
  default:
    return false;
  }
}

attn_status cuda::getStatus(Result result) {
  switch (result) {
  case kOutOfMemory:
    return ATTN_OUT_OF_MEMORY;
  case kNoDevice:
  case kInvalidDevice:
  case kInvalidImage:
  case kNoBinary:
  case kInvalidPTX:
  case kUnsupportedPTXVersion:
  case kNotSupported:
  case kDriverMismatch:
    return ATTN_UNSUPPORTED;
  default:
    return isSticky(result) ? ATTN_DEVICE_FAILED : ATTN_SYSTEM_ERROR;
  }
}
