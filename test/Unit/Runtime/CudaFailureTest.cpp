//===- CudaFailureTest.cpp - drivers that are missing, old or fail --------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A driver is loaded once, and a context that is dead stays so: tests of either
// run in processes of their own, which end with the runtime's sentence.
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include <cstdlib>

using namespace attn::test;

namespace {

constexpr DLDevice kDevice = {kDLCUDA, 0};

TEST_F(Drivers, CanBeMissing) {
  EXPECT_EXIT(tryDriver(kDLCUDA, "/nowhere/libcuda.so.1"), isSuccess(),
              "CUDA cannot be used: there is no driver: "
              "/nowhere/libcuda.so.1: cannot open shared object file");
}

TEST_F(Drivers, CanBeTooOld) {
  EXPECT_EXIT(
      {
        setenv("ATTN_STUB_VERSION", "11010", 1);
        tryDriver(kDLCUDA, ATTN_TEST_STUB_DRIVER);
      },
      isSuccess(), "the driver is for CUDA 11.1, it takes one for 11.2");
}

TEST_F(Drivers, CanFailAtOnce) {
  EXPECT_EXIT(
      {
        getStub().fail("cuInit", 0, 100);
        tryDriver(kDLCUDA, ATTN_TEST_STUB_DRIVER);
      },
      isSuccess(), "CUDA cannot be used: cuInit: CUDA_ERROR_NO_DEVICE");
  EXPECT_EXIT(
      {
        getStub().fail("cuDriverGetVersion", 0, 803);
        tryDriver(kDLCUDA, ATTN_TEST_STUB_DRIVER);
      },
      isSuccess(), "CUDA cannot be used: cuDriverGetVersion: error 803");
}

TEST_F(Drivers, CanLackFunctions) {
  removeFunctions(kDLCUDA,
                  {"cuInit",
                   "cuDriverGetVersion",
                   "cuGetErrorName",
                   "cuGetErrorString",
                   "cuDeviceGetCount",
                   "cuDeviceGet",
                   "cuDeviceGetName",
                   "cuDeviceGetAttribute",
                   "cuDevicePrimaryCtxRetain",
                   "cuCtxPushCurrent_v2",
                   "cuCtxPopCurrent_v2",
                   "cuModuleLoadDataEx",
                   "cuModuleUnload",
                   "cuModuleGetFunction",
                   "cuFuncSetAttribute",
                   "cuLaunchKernel",
                   "cuMemAlloc_v2",
                   "cuMemFree_v2",
                   "cuMemAllocAsync",
                   "cuMemFreeAsync",
                   "cuMemcpyAsync",
                   "cuMemcpyHtoD_v2",
                   "cuStreamCreate",
                   "cuStreamDestroy_v2",
                   "cuStreamSynchronize",
                   "cuStreamWaitEvent",
                   "cuEventCreate",
                   "cuEventDestroy_v2",
                   "cuEventRecord",
                   "cuEventSynchronize",
                   "cuEventElapsedTime"},
                  "CUDA 11.2");
}

//===----------------------------------------------------------------------===//
// Calls that fail
//===----------------------------------------------------------------------===//

/// All that the runtime calls for a call, on a device that was not used before.
constexpr const char *kCalls[] = {"cuCtxPushCurrent_v2", "cuModuleLoadDataEx",
                                  "cuModuleGetFunction", "cuFuncSetAttribute",
                                  "cuMemAllocAsync",     "cuMemAlloc_v2",
                                  "cuMemcpyHtoD_v2",     "cuLaunchKernel",
                                  "cuMemFreeAsync",      "cuMemcpyAsync"};

/// Each call fails at each of its turns; what follows works.
TEST_F(Cuda, FailuresEndCallsOnly) {
  auto from = makeDeviceMatrix(1, 3, 4), to = makeDeviceMatrix(1, 3, 4);
  for (const char *name : kCalls) {
    for (int result : {1, 2, 801}) {
      bool hasFailed = true;
      for (int nth = 1; hasFailed; ++nth) {
        ASSERT_LT(nth, 20);
        reload();
        stub.fail(name, nth, result);
        attn_status status =
            call(get("scale"), {from.get(), alpha.get()}, {to.get()});
        std::string message = attn_get_message();
        hasFailed = status != ATTN_OK;
        stub.fail(name, 1000, 1);
        EXPECT_OK(call(get("scale"), {from.get(), alpha.get()}, {to.get()}));
        bool isNoMemory = hasFailed && result == 2;
        EXPECT_EQ(status, !hasFailed      ? ATTN_OK
                          : isNoMemory    ? ATTN_OUT_OF_MEMORY
                          : result == 801 ? ATTN_UNSUPPORTED
                          : std::string(name) == "cuFuncSetAttribute"
                              ? ATTN_UNSUPPORTED
                              : ATTN_SYSTEM_ERROR)
            << name << " " << nth;
        EXPECT_TRUE(!hasFailed ||
                    message.find("CUDA device 1") != std::string::npos)
            << message;
        EXPECT_EQ(stub.count("depth"), 0);
      }
    }
  }
  // Nothing of it is left but the two tensors, those of the fixture and the
  // program's constant.
  EXPECT_EQ(stub.count("blocks"), 5);
}

TEST_F(Cuda, SentencesNameTheCall) {
  stub.fail("cuLaunchKernel", 2, 1);
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "cuLaunchKernel of 'scale_rows' on CUDA device 0: "
               "CUDA_ERROR_INVALID_VALUE (words)",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  stub.fail("cuMemAllocAsync", 1, 2);
  EXPECT_FAILS(ATTN_OUT_OF_MEMORY,
               "out of memory: 'scale' asked for 48 bytes more on CUDA device "
               "0",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  const DLTensor *arguments[] = {x.get(), alpha.get()};
  DLManagedTensor *result = nullptr;
  stub.fail("cuLaunchKernel", 1, 1);
  EXPECT_EQ(attn_function_call_new(get("scale"), nullptr, arguments, 2, &result,
                                   1, nullptr),
            ATTN_SYSTEM_ERROR);
  EXPECT_EQ(result, nullptr);
}

/// After a fault, nothing is asked of the device any more.
[[noreturn]] void breakDevice(const char *function, int result) {
  getStub(); // before the first use of the driver
  Module module = load(getDeviceKernels());
  const attn_function *scale = find(module, "scale");
  auto x = makeDeviceMatrix(0, 3, 4), y = makeDeviceMatrix(0, 3, 4),
       other = makeDeviceMatrix(1, 3, 4);
  auto alpha = makeScalar(2.0f);
  attn_stream *stream = nullptr;
  attn_stream_create(kDevice, &stream);
  getStub().fail(function, 1, result);
  attn_status status = call(scale, {x.get(), alpha.get()}, {y.get()});
  status = status ? status : attn_stream_synchronize(stream);
  if (status != ATTN_DEVICE_FAILED) {
    say("it did not fail");
  }
  std::fprintf(stderr, "%s; ", attn_get_message());
  int calls = getStub().countCalls("cuLaunchKernel");
  void *data = nullptr;
  if (call(scale, {x.get(), alpha.get()}, {y.get()}) != ATTN_DEVICE_FAILED ||
      attn_memory_allocate(kDevice, 1, &data) != ATTN_DEVICE_FAILED ||
      attn_stream_synchronize(stream) != ATTN_DEVICE_FAILED ||
      getStub().countCalls("cuLaunchKernel") != calls) {
    say("it works again");
  }
  std::fputs(attn_get_message(), stderr);
  attn_stream_release(stream);
  x.reset();
  y.reset();
  module.reset();
  std::exit(getStub().count("depth") == 0 ? 0 : 1);
}

TEST_F(Drivers, FaultsStay) {
  EXPECT_EXIT(
      breakDevice("cuStreamSynchronize", 700), isSuccess(),
      "cuStreamSynchronize on CUDA device 0: CUDA_ERROR_ILLEGAL_ADDRESS .an "
      "illegal memory access was encountered.; CUDA device 0 has failed, and "
      "nothing works on it in this process any more: cuStreamSynchronize said "
      "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_EXIT(breakDevice("cuLaunchKernel", 719), isSuccess(),
              "nothing works on it in this process any more: cuLaunchKernel of "
              "'copy_rows' said error 719");
  EXPECT_EXIT(breakDevice("cuMemFreeAsync", 214), isSuccess(),
              "any more: cuMemFreeAsync said error 214");
}

TEST_F(Drivers, FirstUsesCanFail) {
  for (const char *name :
       {"cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
        "cuDevicePrimaryCtxRetain", "cuDeviceGetCount"}) {
    EXPECT_EXIT(
        {
          getStub().fail(name, 1, 2);
          void *data = nullptr;
          if (attn_memory_allocate(kDevice, 1, &data) != ATTN_OUT_OF_MEMORY) {
            say("it did not fail");
          }
          std::string message = attn_get_message();
          // The next one tries again.
          say(attn_memory_allocate(kDevice, 1, &data) ? "it stays so"
                                                      : message.c_str());
        },
        isSuccess(), std::string(name) + " on CUDA device 0: CUDA_ERROR_OUT");
  }
}

} // namespace
