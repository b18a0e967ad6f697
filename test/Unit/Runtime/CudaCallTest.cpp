//===- CudaCallTest.cpp - calls on devices --------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include <atomic>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace attn::test;

namespace {

constexpr DLDevice kDevice = {kDLCUDA, 0};

TEST_F(Cuda, ResultsAreStored) {
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(y->get<float>()[i], 2.0f * static_cast<float>(i));
  }
  EXPECT_EQ(stub.getLaunch(0)->name, std::string("copy_rows"));
  EXPECT_EQ(stub.getLaunch(1)->name, std::string("scale_rows"));
  EXPECT_EQ(stub.getLaunch(1)->sizes[0], 3u);
  EXPECT_EQ(stub.getLaunch(1)->sizes[6], 65536u);
  EXPECT_EQ(stub.getLaunch(1)->stream, nullptr);
  EXPECT_EQ(stub.getLaunch(2), nullptr);
}

TEST_F(Cuda, PassedResultsAreWrittenInPlace) {
  auto pool = makeDeviceMatrix(0, 5, 8), o = makeDeviceMatrix(0, 2, 8);
  DeviceTensor table(0, kI32, {2});
  table.get<int32_t>()[0] = 4;
  table.get<int32_t>()[1] = 1;
  ASSERT_OK(call(get("gather"), {pool.get(), &table}, {o.get()}));
  EXPECT_EQ(o->get<float>()[0], 32.0f);
  EXPECT_EQ(o->get<float>()[8], 8.0f);
  EXPECT_EQ(stub.countCalls("cuMemAllocAsync"), 0);
}

/// The code of the device that the arguments are on.
TEST_F(Cuda, HostAndDeviceAreSideBySide) {
  auto hostX = makeMatrix(3, 4), hostY = makeMatrix(3, 4);
  ASSERT_OK(call(get("scale"), {hostX.get(), alpha.get()}, {hostY.get()}));
  EXPECT_EQ(hostY->get<float>()[5], 10.0f);
  EXPECT_EQ(stub.countCalls("cuLaunchKernel"), 0);
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  EXPECT_EQ(y->get<float>()[5], 10.0f);
}

TEST_F(Cuda, NewResultsAreGivenBackOnTheirStream) {
  attn_stream *stream = nullptr;
  ASSERT_OK(attn_stream_create(kDevice, &stream));
  const DLTensor *arguments[] = {x.get(), alpha.get()};
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("scale"), stream, arguments, 2, &result,
                                   1, nullptr));
  const DLTensor &tensor = result->dl_tensor;
  EXPECT_EQ(tensor.device.device_type, kDLCUDA);
  EXPECT_EQ(static_cast<float *>(stub.getHost(tensor.data))[11], 22.0f);
  EXPECT_NE(stub.getLaunch(0)->stream, nullptr);
  // The stream stays as long as something is to be given back on it.
  attn_stream_release(stream);
  EXPECT_EQ(stub.count("streams"), 1);
  result->deleter(result);
  EXPECT_EQ(stub.count("streams"), 0);
}

/// With a workspace and tensors for the results nothing is allocated, and
/// nothing waits: a graph can be captured.
TEST_F(Cuda, CallsCanBeCaptured) {
  const DLTensor *arguments[] = {x.get(), alpha.get()};
  attn_call_options options = {};
  ASSERT_OK(attn_function_get_workspace(get("scale"), arguments, 2,
                                        &options.workspace_bytes));
  EXPECT_EQ(options.workspace_bytes, 256u);
  ASSERT_OK(attn_memory_allocate(kDevice, options.workspace_bytes,
                                 &options.workspace));
  // What is loaded is loaded by the first call.
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}, &options));
  stub.setCapturing(true);
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}, &options));
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "cuMemAllocAsync on CUDA device 0: "
               "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (words)",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  stub.setCapturing(false);
  EXPECT_EQ(y->get<float>()[3], 6.0f);
  EXPECT_EQ(stub.countCalls("cuStreamSynchronize"), 2); // of makeDeviceMatrix
  options.workspace_bytes -= 64;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the workspace of 'scale' has 192 bytes, it asks for 256",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}, &options));
  attn_memory_release(kDevice, options.workspace);
}

TEST_F(Cuda, OneDevicePerCall) {
  auto hostX = makeMatrix(3, 4);
  auto other = makeDeviceMatrix(1, 3, 4);
  DeviceTensor number(0, kF32, {});
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' is on the host, the call runs on CUDA "
               "device 0",
               call(get("scale"), {x.get(), alpha.get()}, {hostX.get()}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' is on CUDA device 1, the call runs on "
               "CUDA device 0",
               call(get("scale"), {x.get(), alpha.get()}, {other.get()}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'alpha' of 'scale' is a scalar, which the host reads, "
               "but it is on CUDA device 0",
               call(get("scale"), {x.get(), &number}, {y.get()}));
  attn_stream *stream = nullptr;
  ASSERT_OK(attn_stream_create({kDLCUDA, 1}, &stream));
  EXPECT_FAILS(
      ATTN_INVALID_ARGUMENT,
      "argument 'x' of 'scale' is on CUDA device 0, the stream is of "
      "CUDA device 1",
      call(get("scale"), {x.get(), alpha.get()}, {y.get()}, nullptr, stream));
  attn_stream_release(stream);
  int64_t strides[] = {1, 3};
  y->strides = strides;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' is not row-major, as results on a device "
               "must be",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
}

TEST_F(Cuda, OtherDevicesAreRefused) {
  spec.programs.clear();
  reload();
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'x' of 'scale' is on CUDA device 0, the program is "
               "compiled for the host",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  spec = getDeviceKernels();
  spec.functions.clear();
  reload();
  auto hostX = makeMatrix(3, 4);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'x' of 'scale' is on the host, the program is "
               "compiled for CUDA and HIP",
               call(get("scale"), {hostX.get(), alpha.get()}, {hostX.get()}));
  EXPECT_EQ(attn_module_get_num_functions(module.get()), 2u);
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  spec = getDeviceKernels();
  spec.programs.pop_back();
  spec.programs[0].device = kDLVulkan;
  for (FunctionSpec &function : spec.programs[0].functions) {
    for (auto *list : {&function.arguments, &function.results}) {
      for (ParameterSpec &parameter : *list) {
        parameter.device = parameter.flags ? kDLCPU : kDLVulkan;
      }
    }
  }
  find(spec, "gather"); // its first argument has a flag
  spec.functions.pop_back();
  spec.programs[0].functions.pop_back();
  reload();
  x->device.device_type = kDLVulkan;
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "'scale' is compiled for devices of type 7, which this runtime "
               "does not know",
               call(get("scale"), {x.get(), alpha.get()}, {x.get()}));
  x->device.device_type = kDLCUDA;
}

/// Nothing is read that is on the device; scalars are checked as ever.
TEST_F(Cuda, ValuesInTensorsAreNotChecked) {
  auto pool = makeDeviceMatrix(0, 5, 8), o = makeDeviceMatrix(0, 1, 8);
  DeviceTensor table(0, kI32, {1});
  stub.define("gather_rows", [](const StubLaunch &, void **) {});
  *table.get<int32_t>() = 1000;
  EXPECT_OK(call(get("gather"), {pool.get(), &table}, {o.get()}));
}

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

class Images : public Cuda {
protected:
  static constexpr const char *kKernels = ": copy_rows scale_rows gather_rows";

  void setImages(std::vector<ImageSpec> images) {
    spec.programs[0].images = std::move(images);
    reload();
  }
  attn_status callOn(int device) {
    auto from = makeDeviceMatrix(device, 3, 4),
         to = makeDeviceMatrix(device, 3, 4);
    return call(get("scale"), {from.get(), alpha.get()}, {to.get()});
  }
};

TEST_F(Images, AreLoadedOncePerDevice) {
  for (int round = 0; round < 3; ++round) {
    for (int device : {0, 1}) {
      ASSERT_OK(callOn(device));
    }
  }
  EXPECT_EQ(stub.countCalls("cuModuleLoadDataEx"), 2);
  EXPECT_EQ(stub.countCalls("cuMemcpyHtoD_v2"), 2); // the constant
  EXPECT_EQ(stub.countCalls("cuFuncSetAttribute"), 2);
}

TEST_F(Images, AreLoadedOnceByManyThreads) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        auto own = makeDeviceMatrix(0, 3, 4);
        failures +=
            call(get("scale"), {x.get(), alpha.get()}, {own.get()}) != ATTN_OK;
        failures += own->get<float>()[7] != 14.0f;
        failures += stub.count("depth") != 0;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(stub.countCalls("cuModuleLoadDataEx"), 1);
  EXPECT_EQ(stub.countCalls("cuMemcpyHtoD_v2"), 1);
}

/// What cannot be loaded is not what is chosen.
TEST_F(Images, SuitTheDevice) {
  std::string bad = "SYNTAX ERROR", good = kKernels;
  auto cubin = [](unsigned architecture, const std::string &text) {
    return ImageSpec{ATTN_IMAGE_CUBIN, architecture, text};
  };
  auto ptx = [](unsigned architecture, const std::string &text) {
    return ImageSpec{ATTN_IMAGE_PTX, architecture, text};
  };
  // The same major number, the highest minor.
  setImages({cubin(80, bad), cubin(86, good), cubin(89, bad), cubin(90, bad),
             ptx(80, bad)});
  EXPECT_OK(callOn(2));
  // Machine code of another major number is of no use, text is.
  setImages({cubin(80, bad), ptx(90, good), ptx(80, bad)});
  EXPECT_OK(callOn(4));
  EXPECT_OK(callOn(0));
  // Nor is what is newer.
  setImages({cubin(86, bad), ptx(80, good), ptx(86, bad)});
  EXPECT_OK(callOn(1));
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program cannot run on CUDA device 3 (Stub 3, sm_75): it "
               "has a cubin for sm_86, PTX for sm_80, PTX for sm_86; compile "
               "it with --target=cuda: for this device",
               callOn(3));
  setImages({});
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program cannot run on CUDA device 0 (Stub 0, sm_90): it "
               "has nothing; compile it with --target=cuda: for this device",
               callOn(0));
}

TEST_F(Images, AreTextWhereMachineCodeIsTooNew) {
  setImages({{ATTN_IMAGE_CUBIN, 90, "NEWER TOOLKIT"},
             {ATTN_IMAGE_PTX, 80, kKernels}});
  EXPECT_OK(callOn(0));
  setImages({{ATTN_IMAGE_CUBIN, 90, "NEWER TOOLKIT"}});
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "cuModuleLoadDataEx on CUDA device 0: "
               "CUDA_ERROR_NO_BINARY_FOR_GPU (words)",
               callOn(0));
}

TEST_F(Images, WithErrorsSayWhatTheDriverSays) {
  setImages({{ATTN_IMAGE_PTX, 80, "SYNTAX ERROR"}});
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "cuModuleLoadDataEx on CUDA device 0: CUDA_ERROR_INVALID_PTX "
               "(words): line 7: what?",
               callOn(0));
  setImages({{ATTN_IMAGE_PTX, 80, "copy_rows alone"}});
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "cuModuleGetFunction of 'scale_rows' on CUDA device 0: "
               "CUDA_ERROR_NOT_FOUND (words)",
               callOn(0));
  spec.programs[0].kernels[1].sharedBytes = 300000;
  setImages({{ATTN_IMAGE_PTX, 80, kKernels}});
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "kernel 'scale_rows' takes 300000 bytes of shared memory, more "
               "than a block has on CUDA device 0 (Stub 0)",
               callOn(0));
}

//===----------------------------------------------------------------------===//
// Streams, events, memory
//===----------------------------------------------------------------------===//

TEST_F(Cuda, StreamsAndEvents) {
  attn_stream *stream = nullptr, *wrapped = nullptr;
  attn_event *from = nullptr, *to = nullptr, *onHost = nullptr;
  double milliseconds = 0.0;
  ASSERT_OK(attn_stream_create(kDevice, &stream));
  ASSERT_OK(attn_stream_wrap(kDevice, nullptr, &wrapped));
  ASSERT_OK(attn_event_create(kDevice, &from));
  ASSERT_OK(attn_event_create(kDevice, &to));
  ASSERT_OK(attn_event_create({kDLCPU, 0}, &onHost));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "an event was never recorded",
               attn_event_elapsed(from, to, &milliseconds));
  EXPECT_OK(attn_event_synchronize(from));
  ASSERT_OK(attn_event_record(from, stream));
  ASSERT_OK(attn_event_record(to, wrapped));
  ASSERT_OK(attn_stream_wait(stream, to));
  ASSERT_OK(attn_stream_wait(stream, onHost));
  ASSERT_OK(attn_event_synchronize(to));
  ASSERT_OK(attn_event_elapsed(from, to, &milliseconds));
  EXPECT_EQ(milliseconds, 1.0);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the event is of the host, the stream is of CUDA device 0",
               attn_event_record(onHost, stream));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "one event is of CUDA device 0, the other of the host",
               attn_event_elapsed(from, onHost, &milliseconds));
  ASSERT_OK(
      call(get("scale"), {x.get(), alpha.get()}, {y.get()}, nullptr, wrapped));
  ASSERT_OK(attn_stream_synchronize(wrapped));
  attn_event_release(onHost);
  attn_event_release(to);
  attn_event_release(from);
  attn_stream_release(wrapped);
  attn_stream_release(stream);
}

TEST_F(Cuda, DevicesSayWhatTheyAre) {
  attn_device_info info = {};
  ASSERT_OK(attn_device_get_info({kDLCUDA, 1}, &info));
  EXPECT_STREQ(info.name, "Stub 1");
  EXPECT_EQ(info.architecture, 80);
  EXPECT_STREQ(info.chip, "sm_80");
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the place for what is known of the device is null",
               attn_device_get_info(kDevice, nullptr));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "the host is no device of CUDA or HIP",
               attn_device_get_info({kDLCPU, 0}, &info));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "there is no CUDA device 6, only 6 of them",
               attn_device_get_info({kDLCUDA, 6}, &info));
}

TEST_F(Cuda, MemoryIsCountedAndCopied) {
  EXPECT_EQ(attn_get_num_devices(kDLCUDA), 6);
  EXPECT_EQ(attn_get_num_devices(kDLVulkan), 0);
  void *data = nullptr;
  EXPECT_FAILS(ATTN_OUT_OF_MEMORY,
               "out of memory: 1099511627776 bytes cannot be had on CUDA "
               "device 0",
               attn_memory_allocate(kDevice, size_t(1) << 40, &data));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "there is no CUDA device 6, only 6 of them",
               attn_memory_allocate({kDLCUDA, 6}, 1, &data));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "there is no CUDA device -1",
               attn_memory_allocate({kDLCUDA, -1}, 1, &data));
  int64_t shape[] = {2, 3};
  DLManagedTensor *tensor = nullptr;
  ASSERT_OK(attn_tensor_create(kDevice, kF32, 2, shape, &tensor));
  float numbers[6] = {};
  ASSERT_OK(attn_memory_copy(kDevice, tensor->dl_tensor.data, kDevice, x->data,
                             24, nullptr));
  ASSERT_OK(attn_memory_copy({kDLCPU, 0}, numbers, kDevice,
                             tensor->dl_tensor.data, 24, nullptr));
  EXPECT_EQ(numbers[5], 5.0f);
  tensor->deleter(tensor);
  EXPECT_FAILS(
      ATTN_INVALID_ARGUMENT, "the source is null",
      attn_memory_copy(kDevice, x->data, kDevice, nullptr, 4, nullptr));
}

/// A device that cannot allocate on streams takes what it is given.
TEST_F(Cuda, DevicesWithoutPoolsNeedWorkspaces) {
  auto from = makeDeviceMatrix(5, 3, 4), to = makeDeviceMatrix(5, 3, 4);
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "CUDA device 5 (Stub 5) does not allocate in the order of a "
               "stream: give 'scale' a workspace, and tensors for its results",
               call(get("scale"), {from.get(), alpha.get()}, {to.get()}));
  attn_call_options options = {0, nullptr, 256};
  ASSERT_OK(attn_memory_allocate({kDLCUDA, 5}, 256, &options.workspace));
  EXPECT_OK(
      call(get("scale"), {from.get(), alpha.get()}, {to.get()}, &options));
  EXPECT_EQ(to->get<float>()[9], 18.0f);
  attn_memory_release({kDLCUDA, 5}, options.workspace);
}

TEST_F(Cuda, ChildrenAreTold) {
  pid_t child = fork();
  if (child == 0) {
    void *data = nullptr;
    bool isTold =
        attn_memory_allocate(kDevice, 1, &data) == ATTN_UNSUPPORTED &&
        std::string(attn_get_message())
                .find("CUDA cannot be used: this process was "
                      "forked from one that uses it") != std::string::npos &&
        attn_get_num_devices(kDLCUDA) == 0;
    attn_memory_release(kDevice, x->data); // of the parent: nothing
    _exit(isTold ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

} // namespace
