//===- HipTest.cpp - calls on devices of HIP ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What HIP does otherwise than CUDA, of which CudaCallTest.cpp and
// CudaFailureTest.cpp have the rest.
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace attn::test;

namespace {

constexpr DLDevice kDevice = {kDLROCM, 0};

DLDevice getPlace(int number) { return {kDLROCM, number}; }

/// A function of the stub that is not the runtime's.
template <typename Function> Function *getFunction(const char *name) {
  void *library = dlopen(getStubPath(kDLROCM), RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function *>(dlsym(library, name));
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

TEST_F(Hip, ResultsAreStored) {
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(y->get<float>()[i], 2.0f * static_cast<float>(i));
  }
  EXPECT_EQ(stub.getLaunch(0)->name, std::string("copy_rows"));
  EXPECT_EQ(stub.getLaunch(1)->sizes[6], 65536u);
  EXPECT_EQ(stub.getLaunch(1)->stream, nullptr);
  EXPECT_EQ(stub.getLaunch(2), nullptr);
}

/// One program, and the code of the device that the arguments are on.
TEST_F(Hip, IsBesideCudaAndTheHost) {
  const Stub &cuda = getStub(kDLCUDA);
  auto onCuda = makeDeviceMatrix(0, 3, 4), to = makeDeviceMatrix(0, 3, 4);
  auto onHost = makeMatrix(3, 4), hostTo = makeMatrix(3, 4);
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  EXPECT_EQ(cuda.countCalls("cuLaunchKernel"), 0);
  ASSERT_OK(call(get("scale"), {onCuda.get(), alpha.get()}, {to.get()}));
  ASSERT_OK(call(get("scale"), {onHost.get(), alpha.get()}, {hostTo.get()}));
  EXPECT_EQ(cuda.countCalls("cuLaunchKernel"), 2);
  EXPECT_EQ(stub.countCalls("hipModuleLaunchKernel"), 2);
  EXPECT_EQ(y->get<float>()[11], 22.0f);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "result 'y' of 'scale' is on CUDA device 0, the call runs on "
               "HIP device 0",
               call(get("scale"), {x.get(), alpha.get()}, {to.get()}));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "what is on CUDA device 0 cannot be copied by HIP device 0: "
               "copy it to the host",
               attn_memory_copy(kDevice, x->data, {kDLCUDA, 0}, onCuda->data,
                                48, nullptr));
  module.reset();
}

TEST_F(Hip, CurrentDeviceStays) {
  auto *set = getFunction<int(int)>("hipSetDevice");
  auto *ask = getFunction<int(int *)>("hipGetDevice");
  auto from = makeDeviceMatrix(getPlace(1), 3, 4),
       to = makeDeviceMatrix(getPlace(1), 3, 4);
  for (int before : {0, 1, 4}) {
    set(before);
    EXPECT_OK(call(get("scale"), {from.get(), alpha.get()}, {to.get()}));
    EXPECT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
    int after = -1;
    ask(&after);
    EXPECT_EQ(after, before);
  }
  set(0);
  std::thread([&] {
    EXPECT_OK(call(get("scale"), {from.get(), alpha.get()}, {to.get()}));
    EXPECT_EQ(stub.count("depth"), 0);
  }).join();
}

TEST_F(Hip, CallsCanBeCaptured) {
  attn_call_options options = {0, nullptr, 256};
  ASSERT_OK(attn_memory_allocate(kDevice, 256, &options.workspace));
  ASSERT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}, &options));
  stub.setCapturing(true);
  EXPECT_OK(call(get("scale"), {x.get(), alpha.get()}, {y.get()}, &options));
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "hipMallocAsync on HIP device 0: "
               "hipErrorStreamCaptureUnsupported (words)",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  stub.setCapturing(false);
  attn_memory_release(kDevice, options.workspace);
}

/// HIP counts threads of a launch with 32 bits.
TEST_F(Hip, LaunchesHaveAsManyThreadsAsTheyCan) {
  int64_t rows = int64_t(1) << 22;
  DeviceTensor pool(kDevice, kF32, {5, 4}), table(kDevice, kI32, {4}),
      o(kDevice, kF32, {4, 4});
  pool.extents[1] = o.extents[1] = 1024;
  table.extents[0] = o.extents[0] = rows;
  // Nobody looks at the elements, which would lie behind one another.
  void *given[] = {pool.data, table.data, o.data};
  pool.data = reinterpret_cast<void *>(uintptr_t(1) << 40);
  table.data = reinterpret_cast<void *>(uintptr_t(2) << 40);
  o.data = reinterpret_cast<void *>(uintptr_t(3) << 40);
  stub.define("gather_rows", [](const StubLaunch &, void **) {});
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the extents given to 'gather' are too large for HIP device 0: "
               "kernel 'gather_rows' would have a size of 4194304, at most "
               "4194303 can be",
               call(get("gather"), {&pool, &table}, {&o}));
  table.extents[0] = o.extents[0] = rows - 1;
  EXPECT_OK(call(get("gather"), {&pool, &table}, {&o}));
  pool.data = given[0];
  table.data = given[1];
  o.data = given[2];
}

TEST_F(Hip, DevicesWithoutPoolsNeedWorkspaces) {
  auto from = makeDeviceMatrix(getPlace(5), 3, 4),
       to = makeDeviceMatrix(getPlace(5), 3, 4);
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "HIP device 5 (Stub 5) does not allocate in the order of a "
               "stream: give 'scale' a workspace, and tensors for its results",
               call(get("scale"), {from.get(), alpha.get()}, {to.get()}));
}

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

class HipImages : public Hip {
protected:
  attn_status callOn(int device) {
    auto from = makeDeviceMatrix(getPlace(device), 3, 4),
         to = makeDeviceMatrix(getPlace(device), 3, 4);
    return call(get("scale"), {from.get(), alpha.get()}, {to.get()});
  }
};

TEST_F(HipImages, AreForOneChip) {
  for (int device : {0, 1, 0}) {
    EXPECT_OK(callOn(device));
  }
  EXPECT_EQ(stub.countCalls("hipModuleLoadData"), 2);
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program cannot run on HIP device 3 (Stub 3, gfx1030): it "
               "has a code object for gfx942, a code object for gfx90a; "
               "compile it with --target=hip: for this device",
               callOn(3));
  // What is CUDA's is of no use, whatever its number.
  spec.programs[1].images = {
      {ATTN_IMAGE_PTX, 80, ": copy_rows scale_rows gather_rows"}};
  reload();
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program cannot run on HIP device 0 (Stub 0, gfx942): it "
               "has PTX for sm_80; compile it with --target=hip: for this "
               "device",
               callOn(0));
}

/// A device takes the program with the image for it, and that one's workspace.
TEST_F(HipImages, MayBeOfSeveralPrograms) {
  ProgramSpec &first = spec.programs[1], second = first;
  first.images.pop_back();
  second.images = {{ATTN_IMAGE_HSACO, 0x1100, ": copy_rows scale_rows"}};
  second.kernels.pop_back();
  second.functions[0].workspace = constant(4096);
  spec.programs.push_back(second);
  reload();
  EXPECT_OK(callOn(0));
  EXPECT_OK(callOn(2));
  auto from = makeDeviceMatrix(getPlace(2), 3, 4);
  for (const auto &[tensor, bytes] :
       {std::pair(x.get(), size_t(256)), std::pair(from.get(), size_t(4096))}) {
    const DLTensor *arguments[] = {tensor, alpha.get()};
    size_t found = 0;
    ASSERT_OK(attn_function_get_workspace(get("scale"), arguments, 2, &found));
    EXPECT_EQ(found, bytes);
  }
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "the program cannot run on HIP device 1 (Stub 1, gfx90a): it "
               "has a code object for gfx942, a code object for gfx1100; "
               "compile it with --target=hip: for this device",
               callOn(1));
  auto host = makeMatrix(3, 4);
  spec.functions.clear();
  reload();
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'x' of 'scale' is on the host, the program is "
               "compiled for CUDA and HIP",
               call(get("scale"), {host.get(), alpha.get()}, {host.get()}));
  x->device.device_type = kDLVulkan;
  spec.functions = getDeviceKernels().functions;
  reload();
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "argument 'x' of 'scale' is on device 0 of type 7, the program "
               "is compiled for the host, CUDA and HIP",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  x->device = {kDLROCM, 9};
  EXPECT_FAILS(ATTN_UNSUPPORTED, "there is no HIP device 9, only 6 of them",
               call(get("scale"), {x.get(), alpha.get()}, {y.get()}));
  x->device.device_id = 0;
}

TEST_F(HipImages, WithErrorsSayWhatTheDriverSays) {
  spec.programs[1].images = {{ATTN_IMAGE_HSACO, 0x942, "NEWER TOOLKIT"}};
  reload();
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "hipModuleLoadData on HIP device 0: hipErrorNoBinaryForGpu "
               "(words)",
               callOn(0));
  spec.programs[1].images = {{ATTN_IMAGE_HSACO, 0x942, "copy_rows alone"}};
  reload();
  EXPECT_FAILS(ATTN_SYSTEM_ERROR,
               "hipModuleGetFunction of 'scale_rows' on HIP device 0: "
               "hipErrorNotFound (words)",
               callOn(0));
  spec = getDeviceKernels();
  spec.programs[1].kernels[1].sharedBytes = 65537;
  reload();
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "kernel 'scale_rows' takes 65537 bytes of shared memory, more "
               "than a block has on HIP device 0 (Stub 0)",
               callOn(0));
}

//===----------------------------------------------------------------------===//
// Streams, events, memory
//===----------------------------------------------------------------------===//

TEST_F(Hip, StreamsAndEvents) {
  attn_stream *stream = nullptr, *wrapped = nullptr;
  attn_event *from = nullptr, *to = nullptr, *ofCuda = nullptr;
  double milliseconds = 0.0;
  ASSERT_OK(attn_stream_create(kDevice, &stream));
  ASSERT_OK(attn_stream_wrap(kDevice, nullptr, &wrapped));
  ASSERT_OK(attn_event_create(kDevice, &from));
  ASSERT_OK(attn_event_create(kDevice, &to));
  ASSERT_OK(attn_event_record(from, stream));
  ASSERT_OK(attn_event_record(to, wrapped));
  ASSERT_OK(attn_stream_wait(stream, to));
  ASSERT_OK(attn_event_synchronize(to));
  ASSERT_OK(attn_event_elapsed(from, to, &milliseconds));
  EXPECT_EQ(milliseconds, 1.0);
  EXPECT_EQ(stub.countCalls("hipStreamWaitEvent"), 1);
  // For an event of another driver the host waits.
  ASSERT_OK(attn_event_create({kDLCUDA, 0}, &ofCuda));
  ASSERT_OK(attn_event_record(ofCuda, nullptr));
  ASSERT_OK(attn_stream_wait(stream, ofCuda));
  EXPECT_EQ(getStub(kDLCUDA).countCalls("cuEventSynchronize"), 1);
  ASSERT_OK(
      call(get("scale"), {x.get(), alpha.get()}, {y.get()}, nullptr, wrapped));
  const DLTensor *arguments[] = {x.get(), alpha.get()};
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(get("scale"), stream, arguments, 2, &result,
                                   1, nullptr));
  EXPECT_EQ(result->dl_tensor.device.device_type, kDLROCM);
  ASSERT_OK(attn_stream_synchronize(stream));
  result->deleter(result);
  attn_event_release(ofCuda);
  attn_event_release(to);
  attn_event_release(from);
  attn_stream_release(wrapped);
  attn_stream_release(stream);
}

TEST_F(Hip, DevicesSayWhatTheyAre) {
  EXPECT_EQ(attn_get_num_devices(kDLROCM), 6);
  attn_device_info info = {};
  ASSERT_OK(attn_device_get_info({kDLROCM, 1}, &info));
  EXPECT_STREQ(info.name, "Stub 1");
  EXPECT_STREQ(info.chip, "gfx90a");
  EXPECT_EQ(info.architecture, 0x90a);
  void *data = nullptr;
  EXPECT_FAILS(ATTN_OUT_OF_MEMORY,
               "out of memory: 1099511627776 bytes cannot be had on HIP "
               "device 0",
               attn_memory_allocate(kDevice, size_t(1) << 40, &data));
  EXPECT_FAILS(ATTN_UNSUPPORTED, "there is no HIP device 64",
               attn_memory_allocate({kDLROCM, 64}, 1, &data));
}

TEST_F(Hip, ChildrenAreTold) {
  pid_t child = fork();
  if (child == 0) {
    void *data = nullptr;
    bool isTold =
        attn_memory_allocate(kDevice, 1, &data) == ATTN_UNSUPPORTED &&
        std::string(attn_get_message())
                .find("HIP cannot be used: this process was forked from one "
                      "that uses it") != std::string::npos;
    _exit(isTold ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

//===----------------------------------------------------------------------===//
// What fails
//===----------------------------------------------------------------------===//

constexpr const char *kCalls[] = {
    "hipGetDevice",          "hipSetDevice",   "hipModuleLoadData",
    "hipModuleGetFunction",  "hipMallocAsync", "hipMalloc",
    "hipMemcpyHtoD",         "hipFreeAsync",   "hipMemcpyAsync",
    "hipModuleLaunchKernel",
};

/// Each call fails at each of its turns; what follows works, and HIP's last
/// error is not one of ours.
TEST_F(Hip, FailuresEndCallsOnly) {
  auto from = makeDeviceMatrix(getPlace(1), 3, 4),
       to = makeDeviceMatrix(getPlace(1), 3, 4);
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
        EXPECT_EQ(status, !hasFailed      ? ATTN_OK
                          : result == 2   ? ATTN_OUT_OF_MEMORY
                          : result == 801 ? ATTN_UNSUPPORTED
                                          : ATTN_SYSTEM_ERROR)
            << name << " " << nth;
        EXPECT_TRUE(!hasFailed ||
                    message.find("HIP device 1") != std::string::npos)
            << message;
        EXPECT_EQ(stub.count("error"), 0) << name;
        // The last hipSetDevice of a call may be the one that failed.
        getFunction<int(int)>("hipSetDevice")(0);
      }
    }
  }
  EXPECT_EQ(stub.count("blocks"), 5);
}

TEST_F(Drivers, OfHipCanBeMissing) {
  EXPECT_EXIT(tryDriver(kDLROCM, "/nowhere/libamdhip64.so"), isSuccess(),
              "HIP cannot be used: there is no driver: "
              "/nowhere/libamdhip64.so: cannot open shared object file");
  if (!dlopen("libamdhip64.so", RTLD_NOW | RTLD_LOCAL)) {
    EXPECT_EXIT(tryDriver(kDLROCM, nullptr), isSuccess(),
                "HIP cannot be used: there is no driver: libamdhip64.so: ");
  }
}

/// One that a library of the caller's brought along, under its own name.
TEST_F(Drivers, OfHipMayBeLoadedAlready) {
  EXPECT_EXIT(
      {
        getStub(kDLROCM);
        tryDriver(kDLROCM, nullptr);
      },
      isSuccess(), "it was taken");
}

/// What ends after the driver gives nothing back.
[[noreturn]] void endLate() {
  static DeviceTensor *tensor = nullptr;
  std::atexit([] {
    delete tensor;
    std::fprintf(stderr, "hipFree was called %d times",
                 getStub(kDLROCM).countCalls("hipFree"));
  });
  getStub(kDLROCM);
  tensor = makeDeviceMatrix(kDevice, 3, 4).release();
  std::exit(0);
}

TEST_F(Drivers, OfHipMayBeGoneInTheEnd) {
  EXPECT_EXIT(endLate(), isSuccess(), "hipFree was called 0 times");
}

TEST_F(Drivers, OfHipCanFailAtOnce) {
  EXPECT_EXIT(
      {
        getStub(kDLROCM).fail("hipInit", 0, 100);
        tryDriver(kDLROCM, ATTN_TEST_STUB_HIP);
      },
      isSuccess(), "HIP cannot be used: hipInit: hipErrorNoDevice .words.");
}

TEST_F(Drivers, OfHipCanLackFunctions) {
  removeFunctions(kDLROCM,
                  {"hipInit",
                   "hipGetDeviceCount",
                   "hipGetDevicePropertiesR0600",
                   "hipGetDevice",
                   "hipSetDevice",
                   "hipModuleLoadData",
                   "hipModuleUnload",
                   "hipModuleGetFunction",
                   "hipModuleLaunchKernel",
                   "hipMalloc",
                   "hipFree",
                   "hipMallocAsync",
                   "hipFreeAsync",
                   "hipMemcpyAsync",
                   "hipMemcpyHtoD",
                   "hipStreamCreateWithFlags",
                   "hipStreamDestroy",
                   "hipStreamSynchronize",
                   "hipStreamWaitEvent",
                   "hipEventCreateWithFlags",
                   "hipEventDestroy",
                   "hipEventRecord",
                   "hipEventSynchronize",
                   "hipEventElapsedTime",
                   "hipGetLastError",
                   "hipGetErrorName",
                   "hipGetErrorString"},
                  "ROCm 6.0");
}

TEST_F(Drivers, OfHipFailAtFirstUses) {
  for (const char *name :
       {"hipGetDeviceCount", "hipGetDevicePropertiesR0600", "hipGetDevice"}) {
    EXPECT_EXIT(
        {
          getStub(kDLROCM).fail(name, 1, 2);
          void *data = nullptr;
          if (attn_memory_allocate(kDevice, 1, &data) != ATTN_OUT_OF_MEMORY) {
            say("it did not fail");
          }
          std::string message = attn_get_message();
          say(attn_memory_allocate(kDevice, 1, &data) ? "it stays so"
                                                      : message.c_str());
        },
        isSuccess(), std::string(name) + " on HIP device 0: hipErrorOutOf");
  }
}

/// After a fault, nothing is asked of the device any more; CUDA's still work.
[[noreturn]] void breakDevice(int result) {
  const Stub &stub = getStub(kDLROCM);
  Module module = load(getDeviceKernels());
  auto x = makeDeviceMatrix(kDevice, 3, 4), y = makeDeviceMatrix(kDevice, 3, 4),
       other = makeDeviceMatrix(0, 3, 4), to = makeDeviceMatrix(0, 3, 4);
  auto alpha = makeScalar(2.0f);
  const attn_function *scale = find(module, "scale");
  stub.fail("hipModuleLaunchKernel", 1, result);
  if (call(scale, {x.get(), alpha.get()}, {y.get()}) != ATTN_DEVICE_FAILED ||
      call(scale, {x.get(), alpha.get()}, {y.get()}) != ATTN_DEVICE_FAILED ||
      stub.countCalls("hipModuleLaunchKernel") != 1) {
    say("it works again");
  }
  std::fputs(attn_get_message(), stderr);
  bool works = call(scale, {other.get(), alpha.get()}, {to.get()}) == ATTN_OK;
  x.reset();
  y.reset();
  other.reset();
  to.reset();
  module.reset();
  std::exit(works ? 0 : 1);
}

TEST_F(Drivers, FaultsOfHipStay) {
  EXPECT_EXIT(breakDevice(700), isSuccess(),
              "HIP device 0 has failed, and nothing works on it in this "
              "process any more: hipModuleLaunchKernel of 'copy_rows' said "
              "hipErrorIllegalAddress .an illegal memory access");
}

} // namespace
