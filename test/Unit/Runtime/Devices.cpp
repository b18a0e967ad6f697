//===- Devices.cpp - tests with drivers that are stubs --------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>

using namespace attn::test;

static const char *getVariable(DLDeviceType type) {
  return type == kDLCUDA ? "ATTN_CUDA_DRIVER" : "ATTN_HIP_DRIVER";
}

const char *attn::test::getStubPath(DLDeviceType type) {
  return type == kDLCUDA ? ATTN_TEST_STUB_DRIVER : ATTN_TEST_STUB_HIP;
}

static const Stub *openStub(DLDeviceType type) {
  const char *path = getStubPath(type);
  setenv(getVariable(type), path, /*overwrite=*/0);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return static_cast<const Stub *>(dlsym(library, "attn_stub"));
}

const Stub &attn::test::getStub(DLDeviceType type) {
  static const Stub *cuda = openStub(kDLCUDA), *hip = openStub(kDLROCM);
  return type == kDLCUDA ? *cuda : *hip;
}

DeviceTensor::DeviceTensor(DLDevice place, DLDataType type,
                           std::vector<int64_t> shape)
    : DLTensor{}, extents(std::move(shape)) {
  size_t bytes = type.bits / 8;
  for (int64_t extent : extents) {
    bytes *= static_cast<size_t>(extent);
  }
  DLTensor::device = place;
  EXPECT_EQ(attn_memory_allocate(place, bytes, &data), ATTN_OK)
      << attn_get_message();
  ndim = static_cast<int>(extents.size());
  dtype = type;
  DLTensor::shape = extents.data();
}

std::unique_ptr<DeviceTensor>
attn::test::makeDeviceMatrix(DLDevice place, int64_t rows, int64_t columns) {
  auto tensor = std::make_unique<DeviceTensor>(
      place, kF32, std::vector<int64_t>{rows, columns});
  auto numbers = makeMatrix(rows, columns);
  EXPECT_EQ(attn_memory_copy(place, tensor->data, {kDLCPU, 0}, numbers->data,
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

OnDevices::OnDevices(DLDeviceType type) : stub(getStub(type)) {
  for (DLDeviceType each : {kDLCUDA, kDLROCM}) {
    getStub(each).reset();
  }
  stub.define("copy_rows", copyRows);
  stub.define("scale_rows", scaleRows);
  stub.define("gather_rows", gatherRows);
  reload();
  x = makeDeviceMatrix({type, 0}, 3, 4);
  y = makeDeviceMatrix({type, 0}, 3, 4);
}

OnDevices::~OnDevices() {
  x.reset();
  y.reset();
  module.reset();
  for (const char *what : {"blocks", "streams", "events", "images", "depth"}) {
    EXPECT_EQ(stub.count(what), 0) << what;
  }
}

void attn::test::say(const char *sentence) {
  std::fputs(sentence, stderr);
  std::exit(0);
}

void attn::test::tryDriver(DLDeviceType type, const char *path) {
  if (path) {
    setenv(getVariable(type), path, 1);
  } else {
    unsetenv(getVariable(type));
  }
  void *data = nullptr;
  bool isRefused =
      attn_get_num_devices(type) == 0 &&
      attn_memory_allocate({type, 0}, 1, &data) == ATTN_UNSUPPORTED;
  say(isRefused ? attn_get_message() : "it was taken");
}

/// Copies of the stub in which one name is another.
void Drivers::removeFunctions(DLDeviceType type,
                              std::initializer_list<const char *> names,
                              const std::string &least) {
  std::ifstream file(getStubPath(type), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)),
                          std::istreambuf_iterator<char>());
  for (const char *name : names) {
    std::string copy = bytes, symbol = std::string(1, '\0') + name + '\0';
    size_t found = 0;
    while ((found = copy.find(symbol, found)) != std::string::npos) {
      copy[found + 1] = 'x';
    }
    // Other builds may be under test at the same time.
    std::string path = std::string(getStubPath(type)) + "-without-" + name;
    std::ofstream(path, std::ios::binary) << copy;
    EXPECT_EXIT(tryDriver(type, path.c_str()), isSuccess(),
                "has no " + std::string(name) + "; it is older than " + least);
    std::remove(path.c_str());
  }
}
