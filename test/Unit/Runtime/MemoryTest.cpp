//===- MemoryTest.cpp - workspaces, and memory that runs out --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <atomic>
#include <cstring>
#include <limits>
#include <thread>

using namespace attn;
using namespace attn::test;

namespace {

constexpr DLDevice kHost = {kDLCPU, 0};
constexpr int64_t kTooMuch = int64_t(1) << 56;

class Memory : public testing::Test {
protected:
  Memory() {
    attn_set_num_threads(3);
    arguments = {x.get(), alpha.get()};
  }
  ~Memory() override { attn_set_num_threads(0); }

  Module module = load(getKernels());
  const attn_function *scale = find(module, "scale");
  std::unique_ptr<Tensor> x = makeMatrix(3, 4), y = makeMatrix(3, 4),
                          alpha = makeScalar(2.0f);
  Tensors arguments;
};

TEST_F(Memory, WorkspaceIsAskedBeforehand) {
  size_t bytes = 0;
  ASSERT_OK(attn_function_get_workspace(scale, arguments.data(), 2, &bytes));
  EXPECT_EQ(bytes, 3 * 64u);
  const DLTensor *argument = x.get();
  ASSERT_OK(
      attn_function_get_workspace(find(module, "count"), &argument, 1, &bytes));
  EXPECT_EQ(bytes, 0u);
  // Without data, as long as shapes are right.
  x->data = nullptr;
  EXPECT_EQ(attn_function_get_workspace(scale, arguments.data(), 2, &bytes),
            ATTN_OK);
  x->extents[1] = 7;
  EXPECT_EQ(attn_function_get_workspace(scale, arguments.data(), 2, &bytes),
            ATTN_INVALID_ARGUMENT);
}

TEST_F(Memory, WorkspaceIsUsed) {
  alignas(64) float space[48];
  attn_call_options options = {0, space, sizeof(space)};
  ASSERT_OK(call(scale, arguments, {y.get()}, &options));
  EXPECT_EQ(y->get<float>()[11], 22.0f);
  // The program's result before it was copied, behind a line of the runtime.
  EXPECT_EQ(space[16 + 11], 22.0f);
  // A result in the workspace is copied out of it.
  DLManagedTensor *result = nullptr;
  ASSERT_OK(attn_function_call_new(scale, nullptr, arguments.data(), 2, &result,
                                   1, &options));
  std::memset(space, 0, sizeof(space));
  EXPECT_EQ(static_cast<float *>(result->dl_tensor.data)[11], 22.0f);
  result->deleter(result);
}

TEST_F(Memory, WorkspaceIsChecked) {
  alignas(64) char space[256];
  attn_call_options options = {0, space, 191};
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the workspace of 'scale' has 191 bytes, it asks for 192",
               call(scale, arguments, {y.get()}, &options));
  options = {0, space + 4, 192};
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "the workspace of 'scale' is not aligned to 64 bytes",
               call(scale, arguments, {y.get()}, &options));
}

/// A function that does not know what it takes is given what there is.
TEST_F(Memory, WorkspaceMayBeUnbounded) {
  size_t bytes = 1;
  auto much = makeScalar(int64_t(5000)), where = makeScalar(int64_t(3));
  const DLTensor *all[] = {x.get(), much.get(), where.get()};
  EXPECT_FAILS(
      ATTN_UNBOUNDED,
      "nobody can tell beforehand what memory 'greedy' works in: it "
      "takes what it is told to",
      attn_function_get_workspace(find(module, "greedy"), all, 3, &bytes));
  EXPECT_EQ(bytes, 0u);
}

/// What `greedy` takes while it takes little: two blocks in its body, and one
/// of every item, of which a thread has one at a time.
class ThreadMemory : public Memory {
protected:
  ThreadMemory() {
    ModuleSpec spec = getKernels();
    FunctionSpec &function = test::find(spec, "greedy");
    function.unbounded = "";
    function.workspace = constant(64 + 1024 + 64 + 64);
    function.threadWorkspace = constant(64 + 128);
    bounded = load(spec);
    greedy = test::find(bounded, "greedy");
    std::memset(space, kPattern, sizeof(space));
  }

  static constexpr size_t kBytes = 1216 + 3 * (64 + 192);
  static constexpr unsigned char kPattern = 0x5a;
  alignas(64) unsigned char space[kBytes + 64];
  Module bounded;
  const attn_function *greedy;
};

TEST_F(ThreadMemory, EveryThreadHasItsPart) {
  auto much = makeScalar(int64_t(0)), nowhere = makeScalar(int64_t(-1));
  Tensors all = {x.get(), much.get(), nowhere.get()};
  for (size_t numThreads : {1, 2, 3}) {
    attn_set_num_threads(static_cast<int>(numThreads));
    size_t bytes = 0;
    ASSERT_OK(attn_function_get_workspace(greedy, all.data(), 3, &bytes));
    ASSERT_EQ(bytes, 1216 + numThreads * 256);
    attn_call_options options = {0, space, bytes};
    for (int round = 0; round < 50; ++round) {
      ASSERT_OK(call(greedy, all, {}, &options));
    }
    for (size_t i = bytes; i < sizeof(space); ++i) {
      ASSERT_EQ(space[i], kPattern) << "byte " << i;
    }
  }
}

TEST_F(ThreadMemory, RunningOutGivesPartsBack) {
  attn_call_options options = {0, space, kBytes};
  auto much = makeScalar(kTooMuch), nowhere = makeScalar(int64_t(-1));
  for (int64_t item : {0, 1, 11, 19}) {
    auto where = makeScalar(item);
    EXPECT_EQ(call(greedy, {x.get(), much.get(), where.get()}, {}, &options),
              ATTN_OUT_OF_MEMORY);
    EXPECT_EQ(call(greedy, {x.get(), much.get(), nowhere.get()}, {}, &options),
              ATTN_OK);
  }
}

/// Calls at the same time, each in a space of its own.
TEST_F(ThreadMemory, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      alignas(64) unsigned char own[kBytes];
      attn_call_options options = {0, own, sizeof(own)};
      auto much = makeScalar(int64_t(0)), nowhere = makeScalar(int64_t(-1));
      for (int round = 0; round < 20; ++round) {
        failures += call(greedy, {x.get(), much.get(), nowhere.get()}, {},
                         &options) != ATTN_OK;
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
}

TEST_F(Memory, WorkspaceDependsOnStrides) {
  ModuleSpec spec = getKernels();
  Op stride = {ATTN_OP_STRIDE, 1};
  FunctionSpec &function = test::find(spec, "scale");
  function.workspace = binary(ATTN_OP_MUL, constant(64), {stride});
  Module other = load(spec);
  size_t bytes = 0;
  auto measure = [&] {
    return attn_function_get_workspace(test::find(other, "scale"),
                                       arguments.data(), 2, &bytes);
  };
  ASSERT_OK(measure());
  EXPECT_EQ(bytes, 64u);
  x->setStrides({30, 7});
  ASSERT_OK(measure());
  EXPECT_EQ(bytes, 7 * 64u);
  // Arguments with axes alone have strides, and only workspaces ask for them.
  attn_module *module = nullptr;
  auto loads = [&] {
    Bytes image = makeImage(writeMetadata(spec));
    return attn_module_load_memory(image.data(), image.size(), "x", &module);
  };
  constexpr const char *kUnknown = "the metadata of the program is damaged: a "
                                   "workspace depends on an unknown stride";
  for (int64_t number : {2, 16, 32, -1}) {
    function.workspace = {{ATTN_OP_STRIDE, number}};
    EXPECT_FAILS(ATTN_DAMAGED, kUnknown, loads());
  }
  function.workspace = constant(0);
  function.threadWorkspace = {};
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: a workspace is neither "
               "known nor unknown",
               loads());
  function.threadWorkspace = constant(0);
  function.results[0].extents[0] = {stride};
  EXPECT_FAILS(ATTN_DAMAGED,
               "the metadata of the program is damaged: an expression names an "
               "unknown symbol",
               loads());
}

/// A program that says too little of itself allocates the rest.
TEST_F(Memory, WorkspaceMayBeWrong) {
  alignas(64) char space[64];
  attn_call_options options = {0, space, sizeof(space)};
  ModuleSpec spec = getKernels();
  test::find(spec, "scale").workspace = constant(0);
  Module other = load(spec);
  ASSERT_OK(call(test::find(other, "scale"), arguments, {y.get()}, &options));
  EXPECT_EQ(y->get<float>()[11], 22.0f);
}

/// More than the workspace has comes from elsewhere.
TEST_F(Memory, WorkspaceMayBeShort) {
  alignas(64) char space[1024];
  attn_call_options options = {0, space, sizeof(space)};
  auto bytes = makeScalar(int64_t(5000)), where = makeScalar(int64_t(3));
  EXPECT_EQ(call(find(module, "greedy"), {x.get(), bytes.get(), where.get()},
                 {}, &options),
            ATTN_OK);
}

/// In the body of the function, in an item of a loop, on any thread.
TEST_F(Memory, RunningOutEndsTheCall) {
  auto bytes = makeScalar(kTooMuch);
  for (int64_t where : {0, 1, 7, 19}) {
    auto place = makeScalar(where);
    EXPECT_FAILS(
        ATTN_OUT_OF_MEMORY,
        "out of memory: 'greedy' asked for 72057594037927936 bytes "
        "more",
        call(find(module, "greedy"), {x.get(), bytes.get(), place.get()}, {}));
    ASSERT_OK(call(scale, arguments, {y.get()}));
  }
  *bytes->get<int64_t>() = std::numeric_limits<int64_t>::max();
  auto place = makeScalar(int64_t(5));
  EXPECT_EQ(
      call(find(module, "greedy"), {x.get(), bytes.get(), place.get()}, {}),
      ATTN_OUT_OF_MEMORY);
}

TEST_F(Memory, AllocatorOutsideOfCalls) {
  void *data = attn_malloc(100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
  attn_free(data);
  attn_free(nullptr);
  EXPECT_EQ(attn_malloc(size_t(kTooMuch)), nullptr);
  EXPECT_EQ(attn_malloc(~size_t(0)), nullptr);
}

TEST(Device, MemoryOfTheHost) {
  void *data = nullptr;
  ASSERT_OK(attn_memory_allocate(kHost, 1000, &data));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
  std::memset(data, 1, 1000);
  attn_memory_release(kHost, data);
  ASSERT_OK(attn_memory_allocate(kHost, 0, &data));
  attn_memory_release(kHost, data);
  attn_memory_release(kHost, nullptr);
  EXPECT_FAILS(ATTN_OUT_OF_MEMORY,
               "out of memory: 72057594037927936 bytes cannot be had",
               attn_memory_allocate(kHost, size_t(kTooMuch), &data));
  EXPECT_EQ(data, nullptr);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "the place for the memory is null",
               attn_memory_allocate(kHost, 1, nullptr));
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "there is no device 1 of type 7, only the host (0 of type 1) "
               "and those of CUDA (type 2) and HIP (10)",
               attn_memory_allocate({kDLVulkan, 1}, 1, &data));
  EXPECT_EQ(attn_get_num_devices(kDLCPU), 1);
  EXPECT_EQ(attn_get_num_devices(kDLVulkan), 0);
}

TEST(Device, Tensors) {
  int64_t shape[] = {2, 3, 4};
  DLManagedTensor *tensor = nullptr;
  ASSERT_OK(attn_tensor_create(kHost, kF32, 3, shape, &tensor));
  EXPECT_EQ(tensor->dl_tensor.strides[0], 12);
  EXPECT_EQ(tensor->dl_tensor.shape[1], 3);
  tensor->deleter(tensor);
  shape[1] = -1;
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "a tensor has a negative extent, or is larger than the address "
               "space",
               attn_tensor_create(kHost, kF32, 3, shape, &tensor));
  EXPECT_EQ(tensor, nullptr);
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT,
               "a tensor needs a place for it, and a shape of at most 16 axes",
               attn_tensor_create(kHost, kF32, 17, shape, &tensor));
  EXPECT_FAILS(ATTN_INVALID_ARGUMENT, "a tensor cannot be of int4",
               attn_tensor_create(kHost, {kDLInt, 4, 1}, 0, shape, &tensor));
  EXPECT_FAILS(ATTN_UNSUPPORTED,
               "there is no device 0 of type 7, only the host (0 of type 1) "
               "and those of CUDA (type 2) and HIP (10)",
               attn_tensor_create({kDLVulkan, 0}, kF32, 0, shape, &tensor));
  shape[1] = kTooMuch >> 8;
  EXPECT_EQ(attn_tensor_create(kHost, kF32, 3, shape, &tensor),
            ATTN_OUT_OF_MEMORY);
}

} // namespace
