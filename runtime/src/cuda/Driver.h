//===- Driver.h - CUDA's driver ------------------------------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the runtime calls of libcuda.so.1, declared here: no header of CUDA is
// needed, and a machine without the driver only says so. Names are those of the
// binary interface, with the versions that CUDA 11.2 has.
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_CUDA_DRIVER_H
#define ATTN_RUNTIME_CUDA_DRIVER_H

#include "attn_runtime.h"

namespace attn::cuda {

using Address = unsigned long long;
struct Context;
struct Image;
struct Kernel;
struct Stream;
struct Event;

/// Results that something is made of; the driver names the others.
enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kDeinitialized = 4,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kNoBinary = 209,
  kUncorrectableECC = 214,
  kInvalidPTX = 218,
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

enum DeviceAttribute : int { kMajor = 75, kMinor = 76, kHasMemoryPools = 115 };

/// Of cuModuleLoadDataEx.
enum LoadOption : int { kErrorLog = 5, kErrorLogBytes = 6 };

constexpr int kMaxDynamicSharedBytes = 8; // of cuFuncSetAttribute

// name, parameters
#define ATTN_CUDA_FUNCTIONS(X)                                                 \
  X(cuInit, (unsigned flags))                                                  \
  X(cuDriverGetVersion, (int *version))                                        \
  X(cuGetErrorName, (Result result, const char **text))                        \
  X(cuGetErrorString, (Result result, const char **text))                      \
  X(cuDeviceGetCount, (int *count))                                            \
  X(cuDeviceGet, (int *device, int ordinal))                                   \
  X(cuDeviceGetName, (char *name, int bytes, int device))                      \
  X(cuDeviceGetAttribute, (int *value, DeviceAttribute attribute, int device)) \
  X(cuDevicePrimaryCtxRetain, (Context * *context, int device))                \
  X(cuCtxPushCurrent_v2, (Context * context))                                  \
  X(cuCtxPopCurrent_v2, (Context * *context))                                  \
  X(cuModuleLoadDataEx, (Image * *image, const void *data, unsigned count,     \
                         LoadOption *options, void **values))                  \
  X(cuModuleUnload, (Image * image))                                           \
  X(cuModuleGetFunction, (Kernel * *kernel, Image * image, const char *name))  \
  X(cuFuncSetAttribute, (Kernel * kernel, int attribute, int value))           \
  X(cuLaunchKernel,                                                            \
    (Kernel * kernel, unsigned gridX, unsigned gridY, unsigned gridZ,          \
     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,  \
     Stream *stream, void **arguments, void **extra))                          \
  X(cuMemAlloc_v2, (Address * data, size_t bytes))                             \
  X(cuMemFree_v2, (Address data))                                              \
  X(cuMemAllocAsync, (Address * data, size_t bytes, Stream *stream))           \
  X(cuMemFreeAsync, (Address data, Stream * stream))                           \
  X(cuMemcpyAsync, (Address to, Address from, size_t bytes, Stream *stream))   \
  X(cuMemcpyHtoD_v2, (Address to, const void *from, size_t bytes))             \
  X(cuStreamCreate, (Stream * *stream, unsigned flags))                        \
  X(cuStreamDestroy_v2, (Stream * stream))                                     \
  X(cuStreamSynchronize, (Stream * stream))                                    \
  X(cuStreamWaitEvent, (Stream * stream, Event * event, unsigned flags))       \
  X(cuEventCreate, (Event * *event, unsigned flags))                           \
  X(cuEventDestroy_v2, (Event * event))                                        \
  X(cuEventRecord, (Event * event, Stream * stream))                           \
  X(cuEventSynchronize, (Event * event))                                       \
  X(cuEventElapsedTime, (float *milliseconds, Event *from, Event *to))

struct Driver {
#define ATTN_CUDA_MEMBER(name, parameters) Result(*name) parameters = nullptr;
  ATTN_CUDA_FUNCTIONS(ATTN_CUDA_MEMBER)
#undef ATTN_CUDA_MEMBER
};

/// The driver, loaded and initialized by the first call. ATTN_UNSUPPORTED where
/// there is none, where it is too old, and in a child of a process that has
/// used it.
attn_status getDriver(const Driver *&driver);

/// The same without a sentence; null where it cannot be used.
const Driver *findDriver();

/// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
const char *describe(const Driver &driver, Result result, char (&text)[256]);

/// Whether nothing works in the context any more after this result.
bool isSticky(Result result);

/// The status for a result that is not a success.
attn_status getStatus(Result result);

} // namespace attn::cuda

#endif // ATTN_RUNTIME_CUDA_DRIVER_H
