//===- StubDriver.cpp - a driver of CUDA without a GPU --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StubDriver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

using namespace attn::test;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using Address = unsigned long long;

struct StubContext {
  int device;
};
struct StubImage {
  std::string text;
  int device;
};
struct StubFunction {
  std::string name;
  int sharedBytes = 48 << 10;
};

constexpr int kArchitectures[] = {90, 80, 86, 75, 120, 80};
constexpr int kNumDevices = sizeof(kArchitectures) / sizeof(int);
constexpr int kDeviceWithoutPools = 5;
/// Nobody has such an address.
constexpr Address kDeviceBit = Address(1) << 50;
constexpr int kMostSharedBytes = 227 << 10;
constexpr size_t kMemoryBytes = size_t(1) << 30;

enum {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kNoBinary = 209,
  kInvalidPTX = 218,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotSupported = 801,
  kCaptureUnsupported = 900
};

struct Failure {
  int nth, result;
  bool isEvery;
};

struct Driver {
  std::recursive_mutex mutex;
  std::map<std::string, Failure> failures;
  std::map<std::string, int> calls;
  std::map<std::string, StubKernel> kernels;
  std::vector<StubLaunch> launches;
  std::map<Address, size_t> blocks;
  /// Where they are, for leak checkers: what a device that is dead had stays.
  std::map<Address, void *> places;
  std::set<void *> streams, events;
  std::set<StubImage *> images;
  std::vector<StubFunction *> allFunctions;
  StubContext contexts[kNumDevices];
  long retained = 0;
  int sticky = 0;
  long clock = 0;
  std::map<void *, long> times;
  bool isCapturing = false;

  Driver() {
    for (int i = 0; i < kNumDevices; ++i) {
      contexts[i].device = i;
    }
  }
};

/// Never destroyed: the runtime is used until the process ends.
Driver &get() {
  static Driver *driver = new Driver;
  return *driver;
}

thread_local std::vector<StubContext *> stack;

using Lock = std::lock_guard<std::recursive_mutex>;

bool isSticky(int result) {
  return result == 214 || (result >= 700 && result < 722);
}

/// What a call of a function returns before it does anything.
int enter(const char *name) {
  Driver &driver = get();
  ++driver.calls[name];
  if (driver.sticky) {
    return driver.sticky;
  }
  auto found = driver.failures.find(name);
  if (found == driver.failures.end()) {
    return kSuccess;
  }
  Failure &failure = found->second;
  if (failure.nth > 0 && --failure.nth > 0) {
    return kSuccess;
  }
  int result = failure.result;
  if (failure.nth == 0 && !failure.isEvery) {
    driver.failures.erase(found);
  }
  if (isSticky(result)) {
    driver.sticky = result;
  }
  return result;
}

} // namespace

#define ENTER()                                                                \
  Lock lock(get().mutex);                                                      \
  if (int result = enter(__func__)) {                                          \
    return result;                                                             \
  }
#define ENTER_CONTEXT()                                                        \
  ENTER()                                                                      \
  if (stack.empty()) {                                                         \
    return kInvalidContext;                                                    \
  }
#define REFUSE_IN_CAPTURE()                                                    \
  if (get().isCapturing) {                                                     \
    return kCaptureUnsupported;                                                \
  }

EXPORT int cuInit(unsigned) {
  ENTER();
  return kSuccess;
}
EXPORT int cuDriverGetVersion(int *version) {
  ENTER();
  const char *chosen = std::getenv("ATTN_STUB_VERSION");
  *version = chosen ? std::atoi(chosen) : 12080;
  return kSuccess;
}
EXPORT int cuGetErrorName(int result, const char **text) {
  switch (result) {
  case kInvalidValue:
    *text = "CUDA_ERROR_INVALID_VALUE";
    break;
  case kOutOfMemory:
    *text = "CUDA_ERROR_OUT_OF_MEMORY";
    break;
  case 100:
    *text = "CUDA_ERROR_NO_DEVICE";
    break;
  case kNoBinary:
    *text = "CUDA_ERROR_NO_BINARY_FOR_GPU";
    break;
  case kInvalidPTX:
    *text = "CUDA_ERROR_INVALID_PTX";
    break;
  case kNotFound:
    *text = "CUDA_ERROR_NOT_FOUND";
    break;
  case 700:
    *text = "CUDA_ERROR_ILLEGAL_ADDRESS";
    break;
  case kCaptureUnsupported:
    *text = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
    break;
  default:
    return kInvalidValue;
  }
  return kSuccess;
}
EXPORT int cuGetErrorString(int result, const char **text) {
  *text = result == 700 ? "an illegal memory access was encountered" : "words";
  return kSuccess;
}
EXPORT int cuDeviceGetCount(int *count) {
  ENTER();
  *count = kNumDevices;
  return kSuccess;
}
EXPORT int cuDeviceGet(int *device, int ordinal) {
  ENTER();
  *device = ordinal;
  return ordinal < kNumDevices ? kSuccess : kInvalidDevice;
}
EXPORT int cuDeviceGetName(char *name, int bytes, int device) {
  ENTER();
  std::snprintf(name, static_cast<size_t>(bytes), "Stub %d", device);
  return kSuccess;
}
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER();
  constexpr int kMajor = 75, kMinor = 76, kPools = 115;
  switch (attribute) {
  case kMajor:
    *value = kArchitectures[device] / 10;
    return kSuccess;
  case kMinor:
    *value = kArchitectures[device] % 10;
    return kSuccess;
  case kPools:
    *value = device != kDeviceWithoutPools;
    return kSuccess;
  default:
    return kInvalidValue;
  }
}
EXPORT int cuDevicePrimaryCtxRetain(StubContext **context, int device) {
  ENTER();
  ++get().retained;
  *context = &get().contexts[device];
  return kSuccess;
}
EXPORT int cuCtxPushCurrent_v2(StubContext *context) {
  ENTER();
  stack.push_back(context);
  return kSuccess;
}
EXPORT int cuCtxPopCurrent_v2(StubContext **context) {
  // A context that is dead is popped all the same.
  Lock lock(get().mutex);
  ++get().calls[__func__];
  if (stack.empty()) {
    return kInvalidContext;
  }
  *context = stack.back();
  stack.pop_back();
  return kSuccess;
}

EXPORT int cuModuleLoadDataEx(StubImage **image, const char *data,
                              unsigned count, int *options, void **values) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  // Of machine code nobody says how long it is.
  std::string text = std::memcmp(data,
                                 "\x7f"
                                 "ELF",
                                 4) == 0
                         ? "ELF"
                         : data;
  if (text.find("SYNTAX ERROR") != std::string::npos) {
    constexpr int kLog = 5, kLogBytes = 6;
    if (count == 2 && options[0] == kLog && options[1] == kLogBytes) {
      std::snprintf(static_cast<char *>(values[0]),
                    reinterpret_cast<size_t>(values[1]), "line 7: what?");
    }
    return kInvalidPTX;
  }
  if (text.find("NEWER TOOLKIT") != std::string::npos) {
    return kNoBinary;
  }
  *image = new StubImage{text, stack.back()->device};
  get().images.insert(*image);
  return kSuccess;
}
EXPORT int cuModuleUnload(StubImage *image) {
  ENTER_CONTEXT();
  if (!get().images.erase(image)) {
    return kInvalidHandle;
  }
  delete image;
  return kSuccess;
}
EXPORT int cuModuleGetFunction(StubFunction **function, StubImage *image,
                               const char *name) {
  ENTER_CONTEXT();
  if (!get().images.count(image)) {
    return kInvalidHandle;
  }
  if (image->text != "ELF" && image->text.find(name) == std::string::npos) {
    return kNotFound;
  }
  *function = new StubFunction{name};
  get().allFunctions.push_back(*function); // for leak checkers
  return kSuccess;
}
EXPORT int cuFuncSetAttribute(StubFunction *function, int attribute,
                              int value) {
  ENTER_CONTEXT();
  constexpr int kMaxDynamicSharedBytes = 8;
  if (attribute != kMaxDynamicSharedBytes || value > kMostSharedBytes) {
    return kInvalidValue;
  }
  function->sharedBytes = value;
  return kSuccess;
}
EXPORT int cuLaunchKernel(StubFunction *function, unsigned gridX,
                          unsigned gridY, unsigned gridZ, unsigned blockX,
                          unsigned blockY, unsigned blockZ,
                          unsigned sharedBytes, void *stream, void **arguments,
                          void **) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  if (!isKnown) {
    return kInvalidHandle;
  }
  if (static_cast<int>(sharedBytes) > function->sharedBytes) {
    return kInvalidValue;
  }
  StubLaunch launch = {
      "", {gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes}, stream};
  std::snprintf(launch.name, sizeof(launch.name), "%s", function->name.c_str());
  get().launches.push_back(launch);
  auto kernel = get().kernels.find(function->name);
  if (kernel != get().kernels.end()) {
    kernel->second(launch, arguments);
  }
  return kSuccess;
}

static int allocate(Address *data, size_t bytes) {
  if (bytes == 0) {
    return kInvalidValue;
  }
  if (bytes > kMemoryBytes) {
    return kOutOfMemory;
  }
  auto *host = static_cast<unsigned char *>(
      std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  std::memset(host, 0x5a, bytes); // nobody may rely on zeros
  *data = reinterpret_cast<Address>(host) | kDeviceBit;
  get().blocks[*data] = bytes;
  get().places[*data] = host;
  return kSuccess;
}
static int release(Address data) {
  if (!get().blocks.erase(data)) {
    return kInvalidValue;
  }
  std::free(get().places[data]);
  get().places.erase(data);
  return kSuccess;
}

EXPORT int cuMemAlloc_v2(Address *data, size_t bytes) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return allocate(data, bytes);
}
EXPORT int cuMemFree_v2(Address data) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return release(data);
}
EXPORT int cuMemAllocAsync(Address *data, size_t bytes, void *stream) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  if (stream && !get().streams.count(stream)) {
    return kInvalidHandle;
  }
  return stack.back()->device == kDeviceWithoutPools ? int{kNotSupported}
                                                     : allocate(data, bytes);
}
/// It may report what an earlier launch did, and frees all the same.
EXPORT int cuMemFreeAsync(Address data, void *stream) {
  Lock lock(get().mutex);
  int result = enter(__func__);
  if (stack.empty()) {
    return kInvalidContext;
  }
  if (stream && !get().streams.count(stream)) {
    return kInvalidHandle;
  }
  int released = release(data);
  return result ? result : released;
}
EXPORT int cuMemcpyAsync(Address to, Address from, size_t bytes, void *stream) {
  ENTER_CONTEXT();
  if (stream && !get().streams.count(stream)) {
    return kInvalidHandle;
  }
  std::memcpy(reinterpret_cast<void *>(to & ~kDeviceBit),
              reinterpret_cast<void *>(from & ~kDeviceBit), bytes);
  return kSuccess;
}
EXPORT int cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  std::memcpy(reinterpret_cast<void *>(to & ~kDeviceBit), from, bytes);
  return kSuccess;
}

/// A handle that is told from all others while it lives.
static void *createHandle(std::set<void *> &handles) {
  void *handle = std::malloc(1);
  handles.insert(handle);
  return handle;
}
static int destroyHandle(std::set<void *> &handles, void *handle) {
  if (!handles.erase(handle)) {
    return kInvalidHandle;
  }
  std::free(handle);
  return kSuccess;
}

EXPORT int cuStreamCreate(void **stream, unsigned) {
  ENTER_CONTEXT();
  *stream = createHandle(get().streams);
  return kSuccess;
}
EXPORT int cuStreamDestroy_v2(void *stream) {
  ENTER_CONTEXT();
  return destroyHandle(get().streams, stream);
}
EXPORT int cuStreamSynchronize(void *stream) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return !stream || get().streams.count(stream) ? kSuccess : kInvalidHandle;
}
EXPORT int cuStreamWaitEvent(void *stream, void *event, unsigned) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  return isKnown && get().events.count(event) ? kSuccess : kInvalidHandle;
}
EXPORT int cuEventCreate(void **event, unsigned) {
  ENTER_CONTEXT();
  *event = createHandle(get().events);
  return kSuccess;
}
EXPORT int cuEventDestroy_v2(void *event) {
  ENTER_CONTEXT();
  get().times.erase(event);
  return destroyHandle(get().events, event);
}
EXPORT int cuEventRecord(void *event, void *stream) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  if (!isKnown || !get().events.count(event)) {
    return kInvalidHandle;
  }
  get().times[event] = ++get().clock;
  return kSuccess;
}
EXPORT int cuEventSynchronize(void *event) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return get().events.count(event) ? kSuccess : kInvalidHandle;
}
/// A millisecond from one record to the next.
EXPORT int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  ENTER_CONTEXT();
  *milliseconds = static_cast<float>(get().times[to] - get().times[from]);
  return kSuccess;
}

EXPORT const Stub attn_stub = {
    [](const char *function, int nth, int result) {
      Lock lock(get().mutex);
      get().failures[function] = {nth, result, nth == 0};
    },
    [] {
      Lock lock(get().mutex);
      get().failures.clear();
      get().calls.clear();
      get().kernels.clear();
      get().launches.clear();
      get().isCapturing = false;
    },
    [](const char *function) {
      Lock lock(get().mutex);
      return get().calls[function];
    },
    [](const char *what) -> long {
      Lock lock(get().mutex);
      Driver &driver = get();
      std::string name = what;
      if (name == "bytes") {
        long bytes = 0;
        for (auto &[data, size] : driver.blocks) {
          bytes += static_cast<long>(size);
        }
        return bytes;
      }
      size_t count = name == "blocks"    ? driver.blocks.size()
                     : name == "streams" ? driver.streams.size()
                     : name == "events"  ? driver.events.size()
                     : name == "images"  ? driver.images.size()
                     : name == "depth"   ? stack.size()
                                         : static_cast<size_t>(driver.retained);
      return static_cast<long>(count);
    },
    [](const char *name, StubKernel kernel) {
      Lock lock(get().mutex);
      get().kernels[name] = kernel;
    },
    [](int index) -> const StubLaunch * {
      Lock lock(get().mutex);
      auto &launches = get().launches;
      return static_cast<size_t>(index) < launches.size()
                 ? &launches[static_cast<size_t>(index)]
                 : nullptr;
    },
    [](bool isCapturing) {
      Lock lock(get().mutex);
      get().isCapturing = isCapturing;
    },
    [](const void *data) {
      return reinterpret_cast<void *>(reinterpret_cast<Address>(data) &
                                      ~kDeviceBit);
    }};
