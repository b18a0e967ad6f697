//===- MemoryTest.cpp - workspaces, and memory that runs out --------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include <cstring>
#include <limits>

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
  EXPECT_EQ(space[11], 22.0f); // the program's result before it was copied
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
               "there is no device 1 of type 2, only the host (0 of type 1)",
               attn_memory_allocate({kDLCUDA, 1}, 1, &data));
  EXPECT_EQ(attn_get_num_devices(kDLCPU), 1);
  EXPECT_EQ(attn_get_num_devices(kDLCUDA), 0);
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
               "there is no device 0 of type 10, only the host (0 of type 1)",
               attn_tensor_create({kDLROCM, 0}, kF32, 0, shape, &tensor));
  shape[1] = kTooMuch >> 8;
  EXPECT_EQ(attn_tensor_create(kHost, kF32, 3, shape, &tensor),
            ATTN_OUT_OF_MEMORY);
}

} // namespace
