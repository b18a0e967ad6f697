//===- Cuda.cpp - tests with a driver that is a stub ----------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace attn::test;

const Stub &attn::test::getStub() {
  static const Stub *stub = [] {
    setenv("ATTN_CUDA_DRIVER", ATTN_TEST_STUB_DRIVER, /*overwrite=*/0);
    void *library = dlopen(ATTN_TEST_STUB_DRIVER, RTLD_NOW | RTLD_LOCAL);
    return static_cast<const Stub *>(dlsym(library, "attn_stub"));
  }();
  return *stub;
}

DeviceTensor::DeviceTensor(int device, DLDataType type,
                           std::vector<int64_t> shape)
    : DLTensor{}, extents(std::move(shape)) {
  size_t bytes = type.bits / 8;
  for (int64_t extent : extents) {
    bytes *= static_cast<size_t>(extent);
  }
  DLTensor::device = {kDLCUDA, device};
  EXPECT_EQ(attn_memory_allocate(DLTensor::device, bytes, &data), ATTN_OK)
      << attn_get_message();
  ndim = static_cast<int>(extents.size());
  dtype = type;
  DLTensor::shape = extents.data();
}

std::unique_ptr<DeviceTensor>
attn::test::makeDeviceMatrix(int device, int64_t rows, int64_t columns) {
  auto tensor = std::make_unique<DeviceTensor>(
      device, kF32, std::vector<int64_t>{rows, columns});
  auto numbers = makeMatrix(rows, columns);
  EXPECT_EQ(attn_memory_copy({kDLCUDA, device}, tensor->data, {kDLCPU, 0},
                             numbers->data,
                             static_cast<size_t>(4 * rows * columns), nullptr),
            ATTN_OK);
  return tensor;
}

namespace {

template <typename T> T read(void *argument) {
  return *static_cast<T *>(argument);
}
template <typename T> T *readPointer(void *argument) {
  return static_cast<T *>(getStub().getHost(read<void *>(argument)));
}

void copyRows(const StubLaunch &launch, void **arguments) {
  auto *from = readPointer<float>(arguments[0]);
  auto *to = readPointer<float>(arguments[3]);
  auto rowStride = read<int64_t>(arguments[1]),
       columnStride = read<int64_t>(arguments[2]);
  for (unsigned i = 0; i < launch.sizes[0]; ++i) {
    for (unsigned j = 0; j < launch.sizes[3]; ++j) {
      to[i * launch.sizes[3] + j] = from[i * rowStride + j * columnStride];
    }
  }
}

void scaleRows(const StubLaunch &launch, void **arguments) {
  auto *from = readPointer<float>(arguments[0]),
       *to = readPointer<float>(arguments[1]),
       *factors = readPointer<float>(arguments[3]);
  auto alpha = read<float>(arguments[2]);
  unsigned columns = launch.sizes[3];
  for (unsigned i = 0; i < launch.sizes[0] * columns; ++i) {
    to[i] = from[i] * alpha * factors[i % columns];
  }
}

void gatherRows(const StubLaunch &launch, void **arguments) {
  auto *pool = readPointer<float>(arguments[0]);
  auto *table = readPointer<int32_t>(arguments[1]);
  auto *to = readPointer<float>(arguments[2]);
  unsigned columns = launch.sizes[3];
  for (unsigned i = 0; i < launch.sizes[0]; ++i) {
    for (unsigned j = 0; j < columns; ++j) {
      to[i * columns + j] = pool[static_cast<unsigned>(table[i]) * columns + j];
    }
  }
}

} // namespace

Cuda::Cuda() : stub(getStub()) {
  stub.reset();
  stub.define("copy_rows", copyRows);
  stub.define("scale_rows", scaleRows);
  stub.define("gather_rows", gatherRows);
  reload();
  x = makeDeviceMatrix(0, 3, 4);
  y = makeDeviceMatrix(0, 3, 4);
}

Cuda::~Cuda() {
  x.reset();
  y.reset();
  module.reset();
  for (const char *what : {"blocks", "streams", "events", "images", "depth"}) {
    EXPECT_EQ(stub.count(what), 0) << what;
  }
}
