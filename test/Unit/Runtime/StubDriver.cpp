//===- StubDriver.cpp - drivers without a GPU -----------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled twice: as CUDA's driver, and with ATTN_STUB_HIP as HIP. Most
// functions differ in their names alone.
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
#ifdef ATTN_STUB_HIP
#define NAME(ofCuda, ofHip) ofHip
#else
#define NAME(ofCuda, ofHip) ofCuda
#endif

namespace {

using Address = unsigned long long;

struct StubContext {
  int device;
};
struct StubImage {
  std::string text;
  int device;
};
#ifdef ATTN_STUB_HIP
struct Chip {
  const char *name;
  /// In the flags of a code object.
  unsigned machine;
};
constexpr Chip kChips[] = {{"gfx942:sramecc+:xnack-", 0x4c},
                           {"gfx90a:sramecc+:xnack-", 0x3f},
                           {"gfx1100", 0x41},
                           {"gfx1030", 0x36},
                           {"gfx1201", 0x4e},
                           {"gfx942:sramecc-:xnack-", 0x4c}};
constexpr int kDefaultSharedBytes = 64 << 10;
#else
constexpr int kArchitectures[] = {90, 80, 86, 75, 120, 80};
constexpr int kDefaultSharedBytes = 48 << 10;
constexpr int kMostSharedBytes = 227 << 10;
#endif

struct StubFunction {
  std::string name;
  int device;
  int sharedBytes = kDefaultSharedBytes;
};

constexpr int kNumDevices = 6;
constexpr int kDeviceWithoutPools = 5;
/// Nobody has such an address.
constexpr Address kDeviceBit = Address(1) << 50;
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

#ifdef ATTN_STUB_HIP
thread_local int currentDevice = 0, lastError = 0;

int getCurrent() { return currentDevice; }
long getDepth() { return currentDevice != 0; }
#else
thread_local std::vector<StubContext *> stack;
thread_local int lastError = 0;

int getCurrent() { return stack.empty() ? -1 : stack.back()->device; }
long getDepth() { return static_cast<long>(stack.size()); }
#endif

using Lock = std::lock_guard<std::recursive_mutex>;

bool isSticky(int result) {
  return result == 214 || (result >= 700 && result < 722);
}

int findFailure(const char *name) {
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

/// What a call of a function returns before it does anything.
int enter(const char *name) {
  int result = findFailure(name);
  lastError = result ? result : lastError;
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
  if (getCurrent() < 0) {                                                      \
    return kInvalidContext;                                                    \
  }
#define REFUSE_IN_CAPTURE()                                                    \
  if (get().isCapturing) {                                                     \
    return kCaptureUnsupported;                                                \
  }

EXPORT int NAME(cuInit, hipInit)(unsigned) {
  ENTER();
  return kSuccess;
}
EXPORT int NAME(cuDeviceGetCount, hipGetDeviceCount)(int *count) {
  ENTER();
  *count = kNumDevices;
  return kSuccess;
}

/// Machine code, of which nobody says how long it is, or a text.
static std::string readImage(const char *data) {
  return std::memcmp(data,
                     "\x7f"
                     "ELF",
                     4) == 0
             ? "ELF"
             : data;
}
static int keepImage(StubImage **image, const std::string &text) {
  if (text.find("NEWER TOOLKIT") != std::string::npos) {
    return kNoBinary;
  }
  *image = new StubImage{text, getCurrent()};
  get().images.insert(*image);
  return kSuccess;
}

#ifdef ATTN_STUB_HIP

EXPORT const char *hipGetErrorName(int result) {
  switch (result) {
  case kInvalidValue:
    return "hipErrorInvalidValue";
  case kOutOfMemory:
    return "hipErrorOutOfMemory";
  case 100:
    return "hipErrorNoDevice";
  case kNoBinary:
    return "hipErrorNoBinaryForGpu";
  case kNotFound:
    return "hipErrorNotFound";
  case 700:
    return "hipErrorIllegalAddress";
  case kCaptureUnsupported:
    return "hipErrorStreamCaptureUnsupported";
  default:
    return "hipErrorUnknown";
  }
}
EXPORT const char *hipGetErrorString(int result) {
  return result == 700 ? "an illegal memory access was encountered" : "words";
}
EXPORT int hipGetLastError() {
  int result = lastError;
  lastError = kSuccess;
  return result;
}
/// Places in the structure of ROCm 6, which has 1472 bytes.
EXPORT int hipGetDevicePropertiesR0600(char *properties, int device) {
  ENTER();
  constexpr int kSharedBytes = 296, kPools = 744, kChip = 1160, kBytes = 1472;
  std::memset(properties, 0x5a, kBytes);
  std::snprintf(properties, 256, "Stub %d", device);
  size_t sharedBytes = kDefaultSharedBytes;
  int hasPools = device != kDeviceWithoutPools;
  std::memcpy(properties + kSharedBytes, &sharedBytes, sizeof(sharedBytes));
  std::memcpy(properties + kPools, &hasPools, sizeof(hasPools));
  std::snprintf(properties + kChip, 256, "%s", kChips[device].name);
  return kSuccess;
}
EXPORT int hipGetDevice(int *device) {
  ENTER();
  *device = currentDevice;
  return kSuccess;
}
EXPORT int hipSetDevice(int device) {
  ENTER();
  if (device < 0 || device >= kNumDevices) {
    return kInvalidDevice;
  }
  currentDevice = device;
  return kSuccess;
}

/// A code object is for one chip.
EXPORT int hipModuleLoadData(StubImage **image, const char *data) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  std::string text = readImage(data);
  constexpr int kMachine = 18, kFlags = 48, kAMD = 224;
  bool isForeign =
      text == "ELF" && (static_cast<unsigned char>(data[kMachine]) != kAMD ||
                        static_cast<unsigned char>(data[kFlags]) !=
                            kChips[getCurrent()].machine);
  return isForeign ? int{kNoBinary} : keepImage(image, text);
}

#else

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
  std::string text = readImage(data);
  if (text.find("SYNTAX ERROR") != std::string::npos) {
    constexpr int kLog = 5, kLogBytes = 6;
    if (count == 2 && options[0] == kLog && options[1] == kLogBytes) {
      std::snprintf(static_cast<char *>(values[0]),
                    reinterpret_cast<size_t>(values[1]), "line 7: what?");
    }
    return kInvalidPTX;
  }
  return keepImage(image, text);
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

#endif // ATTN_STUB_HIP

EXPORT int NAME(cuModuleUnload, hipModuleUnload)(StubImage *image) {
  ENTER_CONTEXT();
  if (!get().images.erase(image)) {
    return kInvalidHandle;
  }
  delete image;
  return kSuccess;
}
EXPORT int NAME(cuModuleGetFunction,
                hipModuleGetFunction)(StubFunction **function, StubImage *image,
                                      const char *name) {
  ENTER_CONTEXT();
  if (!get().images.count(image)) {
    return kInvalidHandle;
  }
  if (image->text != "ELF" && image->text.find(name) == std::string::npos) {
    return kNotFound;
  }
  *function = new StubFunction{name, image->device};
  get().allFunctions.push_back(*function); // for leak checkers
  return kSuccess;
}
EXPORT int NAME(cuLaunchKernel, hipModuleLaunchKernel)(
    StubFunction *function, unsigned gridX, unsigned gridY, unsigned gridZ,
    unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
    void *stream, void **arguments, void **) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  if (!isKnown || function->device != getCurrent()) {
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

EXPORT int NAME(cuMemAlloc_v2, hipMalloc)(Address *data, size_t bytes) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return allocate(data, bytes);
}
EXPORT int NAME(cuMemFree_v2, hipFree)(Address data) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return release(data);
}
EXPORT int NAME(cuMemAllocAsync, hipMallocAsync)(Address *data, size_t bytes,
                                                 void *stream) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  if (stream && !get().streams.count(stream)) {
    return kInvalidHandle;
  }
  return getCurrent() == kDeviceWithoutPools ? int{kNotSupported}
                                             : allocate(data, bytes);
}
/// It may report what an earlier launch did, and frees all the same.
EXPORT int NAME(cuMemFreeAsync, hipFreeAsync)(Address data, void *stream) {
  Lock lock(get().mutex);
  int result = enter(__func__);
  if (getCurrent() < 0) {
    return kInvalidContext;
  }
  if (stream && !get().streams.count(stream)) {
    return kInvalidHandle;
  }
  int released = release(data);
  return result ? result : released;
}
#ifdef ATTN_STUB_HIP
EXPORT int hipMemcpyAsync(Address to, Address from, size_t bytes, int kind,
                          void *stream) {
  constexpr int kDefault = 4;
  bool isDefault = kind == kDefault;
#else
EXPORT int cuMemcpyAsync(Address to, Address from, size_t bytes, void *stream) {
  bool isDefault = true;
#endif
  ENTER_CONTEXT();
  if ((stream && !get().streams.count(stream)) || !isDefault) {
    return kInvalidHandle;
  }
  std::memcpy(reinterpret_cast<void *>(to & ~kDeviceBit),
              reinterpret_cast<void *>(from & ~kDeviceBit), bytes);
  return kSuccess;
}
EXPORT int NAME(cuMemcpyHtoD_v2, hipMemcpyHtoD)(Address to, const void *from,
                                                size_t bytes) {
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

EXPORT int NAME(cuStreamCreate, hipStreamCreateWithFlags)(void **stream,
                                                          unsigned) {
  ENTER_CONTEXT();
  *stream = createHandle(get().streams);
  return kSuccess;
}
EXPORT int NAME(cuStreamDestroy_v2, hipStreamDestroy)(void *stream) {
  ENTER_CONTEXT();
  return destroyHandle(get().streams, stream);
}
EXPORT int NAME(cuStreamSynchronize, hipStreamSynchronize)(void *stream) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return !stream || get().streams.count(stream) ? kSuccess : kInvalidHandle;
}
EXPORT int NAME(cuStreamWaitEvent, hipStreamWaitEvent)(void *stream,
                                                       void *event, unsigned) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  return isKnown && get().events.count(event) ? kSuccess : kInvalidHandle;
}
EXPORT int NAME(cuEventCreate, hipEventCreateWithFlags)(void **event,
                                                        unsigned) {
  ENTER_CONTEXT();
  *event = createHandle(get().events);
  return kSuccess;
}
EXPORT int NAME(cuEventDestroy_v2, hipEventDestroy)(void *event) {
  ENTER_CONTEXT();
  get().times.erase(event);
  return destroyHandle(get().events, event);
}
EXPORT int NAME(cuEventRecord, hipEventRecord)(void *event, void *stream) {
  ENTER_CONTEXT();
  bool isKnown = !stream || get().streams.count(stream);
  if (!isKnown || !get().events.count(event)) {
    return kInvalidHandle;
  }
  get().times[event] = ++get().clock;
  return kSuccess;
}
EXPORT int NAME(cuEventSynchronize, hipEventSynchronize)(void *event) {
  ENTER_CONTEXT();
  REFUSE_IN_CAPTURE();
  return get().events.count(event) ? kSuccess : kInvalidHandle;
}
/// A millisecond from one record to the next.
EXPORT int NAME(cuEventElapsedTime, hipEventElapsedTime)(float *milliseconds,
                                                         void *from, void *to) {
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
                                         : static_cast<size_t>(driver.retained);
      return name == "depth"   ? getDepth()
             : name == "error" ? lastError
                               : static_cast<long>(count);
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
