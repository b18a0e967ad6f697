//===- Driver.cpp - the drivers of GPUs -----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A driver is opened once and stays; what went wrong then is said again at
// every later call. What it has does not survive a fork, and calls of it in a
// child end in any way at all, so that children are told before.
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include "../Status.h"
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>

using namespace attn;
using namespace attn::gpu;

namespace {

/// A driver with what came of opening it.
struct Slot {
  Driver driver;
  pthread_once_t once;
  void (*open)();
  Library library{};
};

template <int index> void open();

Slot slots[] = {
    {{kDLCUDA, "CUDA", "cuda", INT64_MAX}, PTHREAD_ONCE_INIT, open<0>},
    {{kDLROCM, "HIP", "hip", UINT32_MAX}, PTHREAD_ONCE_INIT, open<1>}};
std::atomic<bool> isForked{false}, isEnding{false};

template <int index> void open() {
  auto *load = index == 0 ? loadCuda : loadHip;
  load(slots[index].library, slots[index].driver);
  // Called before what the library itself does in the end.
  std::atexit([] { isEnding.store(true); });
}

Slot *findSlot(DLDeviceType type) {
  for (Slot &slot : slots) {
    if (slot.driver.type == type) {
      return &slot;
    }
  }
  return nullptr;
}

} // namespace

void Library::reject(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(problem, sizeof(problem), format, arguments);
  va_end(arguments);
}

void Library::tryAll(std::initializer_list<const char *> names, int flags) {
  for (const char *name : names) {
    if (!handle) {
      path = name;
      handle = dlopen(name, flags);
    }
  }
}

void Library::open(const char *variable,
                   std::initializer_list<const char *> names) {
  const char *chosen = std::getenv(variable);
  if (chosen && *chosen) {
    path = chosen;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  } else {
    // Memory of a library that is there already means nothing to another one.
    tryAll(names, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    tryAll(names, RTLD_NOW | RTLD_LOCAL);
  }
  if (!handle) {
    const char *reason = dlerror();
    reject("there is no driver: %s", reason ? reason : path);
  }
}

void *Library::findSymbol(const char *name) {
  void *symbol = handle ? dlsym(handle, name) : nullptr;
  if (!symbol && isGood()) {
    reject("the driver '%s' has no %s; it is older than %s, or no driver", path,
           name, least);
  }
  return symbol;
}

void gpu::watchForks() {
  pthread_atfork(nullptr, nullptr, [] { isForked.store(true); });
}

bool gpu::isProcessEnding() { return isEnding.load(); }

const Driver *gpu::findDriver(DLDeviceType type) {
  Slot *slot = findSlot(type);
  if (!slot || isForked.load(std::memory_order_relaxed)) {
    return nullptr;
  }
  pthread_once(&slot->once, slot->open);
  return slot->library.isGood() ? &slot->driver : nullptr;
}

attn_status gpu::getDriver(DLDeviceType type, const Driver *&driver) {
  if (isForked.load(std::memory_order_relaxed)) {
    return fail(ATTN_UNSUPPORTED,
                "%s cannot be used: this process was forked from one that "
                "uses it; start it by exec (in Python: the start method "
                "'spawn')",
                getPlatform(type));
  }
  driver = findDriver(type);
  return driver ? ATTN_OK
                : fail(ATTN_UNSUPPORTED, "%s cannot be used: %s",
                       getPlatform(type), findSlot(type)->library.problem);
}

bool gpu::isGPU(DLDeviceType type) { return findSlot(type) != nullptr; }

const char *gpu::getPlatform(DLDeviceType type) {
  return findSlot(type)->driver.name;
}

const char *gpu::describe(const Driver &driver, Result result,
                          char (&text)[256]) {
  const char *name = driver.getName(result),
             *words = name ? driver.getWords(result) : nullptr;
  if (!name) {
    std::snprintf(text, sizeof(text), "error %d", static_cast<int>(result));
  } else if (!words) {
    std::snprintf(text, sizeof(text), "%s", name);
  } else {
    std::snprintf(text, sizeof(text), "%s (%s)", name, words);
  }
  return text;
}

bool gpu::isSticky(Result result) {
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

attn_status gpu::getStatus(Result result) {
  switch (result) {
  case kOutOfMemory:
    return ATTN_OUT_OF_MEMORY;
  case kNotInitialized:
  case kInsufficientDriver:
  case kNoDevice:
  case kInvalidDevice:
  case kInvalidImage:
  case kNoBinary:
  case kInvalidKernelFile:
  case kUnsupportedPTXVersion:
  case kNotSupported:
  case kDriverMismatch:
    return ATTN_UNSUPPORTED;
  default:
    return isSticky(result) ? ATTN_DEVICE_FAILED : ATTN_SYSTEM_ERROR;
  }
}
