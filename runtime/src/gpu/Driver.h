//===- Driver.h - the drivers of GPUs ------------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the runtime asks of CUDA's driver or of HIP, as one table. Cuda.cpp and
// Hip.cpp fill it with functions of the library of either; no header of them is
// needed, and a machine without the library only says so.
//
//   Outcome outcome = driver.launch(kernel, ...);  // cuLaunchKernel said 1
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_GPU_DRIVER_H
#define ATTN_RUNTIME_GPU_DRIVER_H

#include "attn_runtime.h"

#include <initializer_list>

namespace attn::gpu {

using Address = unsigned long long;
struct Device;
struct Context;
struct Image;
struct Kernel;
struct Stream;
struct Event;

/// Results that something is made of; the driver names the others. HIP has the
/// numbers of CUDA for what both have.
enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kDeinitialized = 4,
  kInsufficientDriver = 35,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kNoBinary = 209,
  kUncorrectableECC = 214,
  kInvalidKernelFile = 218, // of CUDA: PTX
  kUncorrectableNVLink = 220,
  kUnsupportedPTXVersion = 222,
  kContained = 226,
  kIllegalAddress = 700,
  kLaunchTimeout = 702,
  kContextIsDestroyed = 709,
  kAssert = 710,
  kHardwareStackError = 714,
  kIllegalInstruction = 715,
  kMisalignedAddress = 716,
  kInvalidAddressSpace = 717,
  kInvalidPC = 718,
  kLaunchFailed = 719,
  kTensorMemoryLeak = 721,
  kNotSupported = 801,
  kDriverMismatch = 803,
  kCaptureUnsupported = 900,
  kUnknown = 999
};

/// What a function of a driver returned.
struct Outcome {
  Result result = kSuccess;
  /// The function, by its symbol.
  const char *call = "";
};

/// A function of a driver.
template <typename... Args> struct Call {
  using Function = Result (*)(Args...);

  const char *name = "";
  Function function = nullptr;

  Outcome operator()(Args... args) const { return {function(args...), name}; }
};

/// What was current in a thread before a device was.
struct Previous {
  int device = 0;
  bool isOther = false;
};

struct Driver {
  /// kDLCUDA or kDLROCM.
  DLDeviceType type;
  /// "CUDA", "HIP".
  const char *name;
  /// "cuda" in --target=cuda:sm_80.
  const char *target;
  /// Threads of a launch along x.
  int64_t mostThreads;

  /// Functions of the library.
  Call<int *> countDevices{};
  Call<Image *> unloadImage{};
  Call<Kernel **, Image *, const char *> findKernel{};
  /// Blocks along x, y, z, threads, bytes of shared memory.
  Call<Kernel *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
       unsigned, Stream *, void **, void **>
      launch{};
  Call<Address *, size_t> allocate{};
  Call<Address> release{};
  Call<Address *, size_t, Stream *> allocateAsync{};
  Call<Address, Stream *> releaseAsync{};
  Call<Address, Address, size_t, Stream *> copyAsync{};
  Call<Address, const void *, size_t> copyFromHost{};
  Call<Stream **, unsigned> createStream{};
  Call<Stream *> destroyStream{};
  Call<Stream *> synchronizeStream{};
  Call<Stream *, Event *, unsigned> waitForEvent{};
  Call<Event **, unsigned> createEvent{};
  Call<Event *> destroyEvent{};
  Call<Event *, Stream *> recordEvent{};
  Call<Event *> synchronizeEvent{};
  Call<float *, Event *, Event *> getElapsed{};

  // What each does in its own way, by several of them.

  /// "CUDA_ERROR_OUT_OF_MEMORY", and "out of memory"; null if it has none.
  const char *(*getName)(Result result) = nullptr;
  const char *(*getWords)(Result result) = nullptr;
  /// Finds out what a device is, and gets it ready.
  attn_status (*prepare)(Device &device) = nullptr;
  Outcome (*enter)(Device &device, Previous &previous) = nullptr;
  void (*leave)(Device &device, const Previous &previous) = nullptr;
  /// What the driver says of an image goes to `log`.
  Outcome (*loadImage)(Image **image, const void *data, char *log,
                       size_t logBytes) = nullptr;
  /// Lets launches of a kernel ask for so much shared memory, or says
  /// kInvalidValue.
  Outcome (*allowShared)(Device &device, Kernel *kernel,
                         uint32_t bytes) = nullptr;
};

/// The driver of a type of device, loaded and initialized by the first call.
/// ATTN_UNSUPPORTED where there is none, where it is too old, and in a child of
/// a process that has used it.
attn_status getDriver(DLDeviceType type, const Driver *&driver);

/// The same without a sentence; null where it cannot be used.
const Driver *findDriver(DLDeviceType type);

/// Whether a driver may be gone already: it then has given everything back.
bool isProcessEnding();

/// Whether devices of a type have a driver here, be it on this machine or not.
bool isGPU(DLDeviceType type);
inline bool isGPU(DLDevice device) { return isGPU(device.device_type); }
/// "CUDA", "HIP".
const char *getPlatform(DLDeviceType type);

/// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
const char *describe(const Driver &driver, Result result, char (&text)[256]);

/// Whether nothing works on the device any more after this result.
bool isSticky(Result result);

/// The status for a result that is not a success.
attn_status getStatus(Result result);

//===----------------------------------------------------------------------===//
// For Cuda.cpp and Hip.cpp
//===----------------------------------------------------------------------===//

/// A library that is being opened, and why it is of no use.
class Library {
public:
  /// What the variable names; else the first of `names` that this process has
  /// loaded, or that there is.
  void open(const char *variable, std::initializer_list<const char *> names);

  template <typename Function> void find(Function &function, const char *name) {
    function = reinterpret_cast<Function>(findSymbol(name));
  }

  bool isGood() const { return !*problem; }
  [[gnu::format(printf, 2, 3)]] void reject(const char *format, ...);

  /// The version that has all functions.
  const char *least = "";
  char problem[512] = "";

private:
  void tryAll(std::initializer_list<const char *> names, int flags);
  void *findSymbol(const char *name);

  void *handle = nullptr;
  const char *path = "";
};

/// Before anything that a child of this process would inherit.
void watchForks();

void loadCuda(Library &library, Driver &driver);
void loadHip(Library &library, Driver &driver);

} // namespace attn::gpu

#endif // ATTN_RUNTIME_GPU_DRIVER_H
