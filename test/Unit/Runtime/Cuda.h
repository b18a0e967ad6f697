//===- Cuda.h - tests with a driver that is a stub ------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_RUNTIME_CUDA_H
#define ATTN_TEST_RUNTIME_CUDA_H

#include "Program.h"
#include "StubDriver.h"

namespace attn::test {

/// The stub; the runtime takes it for the driver from the first call on.
const Stub &getStub();

/// A tensor in memory of a device.
struct DeviceTensor : DLTensor {
  DeviceTensor(int device, DLDataType type, std::vector<int64_t> shape);
  DeviceTensor(const DeviceTensor &) = delete;
  DeviceTensor &operator=(const DeviceTensor &) = delete;
  ~DeviceTensor() { attn_memory_release(DLTensor::device, data); }

  template <typename T> T *get() {
    return static_cast<T *>(getStub().getHost(data));
  }

  std::vector<int64_t> extents;
};

/// Numbers 0, 1, 2, ...
std::unique_ptr<DeviceTensor> makeDeviceMatrix(int device, int64_t rows,
                                               int64_t columns);

/// A program of getDeviceKernels, of which the stub knows the kernels. At the
/// end nothing that was taken may be left.
class Cuda : public testing::Test {
protected:
  Cuda();
  ~Cuda() override;

  void reload() { module = load(spec); }
  const attn_function *get(const char *name) { return find(module, name); }

  const Stub &stub;
  ModuleSpec spec = getDeviceKernels();
  Module module;
  std::unique_ptr<DeviceTensor> x, y;
  std::unique_ptr<Tensor> alpha = makeScalar(2.0f);
};

} // namespace attn::test

#endif // ATTN_TEST_RUNTIME_CUDA_H
