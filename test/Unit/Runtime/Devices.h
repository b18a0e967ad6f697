//===- Devices.h - tests with drivers that are stubs ---------- -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TEST_RUNTIME_DEVICES_H
#define ATTN_TEST_RUNTIME_DEVICES_H

#include "Program.h"
#include "StubDriver.h"

namespace attn::test {

/// The stub of a type of device, which the runtime takes for the driver from
/// the first call on.
const Stub &getStub(DLDeviceType type = kDLCUDA);
const char *getStubPath(DLDeviceType type);

/// A tensor in memory of a device.
struct DeviceTensor : DLTensor {
  DeviceTensor(DLDevice place, DLDataType type, std::vector<int64_t> shape);
  DeviceTensor(int device, DLDataType type, std::vector<int64_t> shape)
      : DeviceTensor({kDLCUDA, device}, type, std::move(shape)) {}
  DeviceTensor(const DeviceTensor &) = delete;
  DeviceTensor &operator=(const DeviceTensor &) = delete;
  ~DeviceTensor() { attn_memory_release(DLTensor::device, data); }

  template <typename T> T *get() {
    return static_cast<T *>(getStub().getHost(data));
  }

  std::vector<int64_t> extents;
};

/// Numbers 0, 1, 2, ...
std::unique_ptr<DeviceTensor> makeDeviceMatrix(DLDevice place, int64_t rows,
                                               int64_t columns);
inline std::unique_ptr<DeviceTensor> makeDeviceMatrix(int device, int64_t rows,
                                                      int64_t columns) {
  return makeDeviceMatrix({kDLCUDA, device}, rows, columns);
}

/// A program of getDeviceKernels, of which the stub knows the kernels. At the
/// end nothing that was taken may be left.
class OnDevices : public testing::Test {
protected:
  explicit OnDevices(DLDeviceType type);
  ~OnDevices() override;

  void reload() { module = load(spec); }
  const attn_function *get(const char *name) { return find(module, name); }

  const Stub &stub;
  ModuleSpec spec = getDeviceKernels();
  Module module;
  std::unique_ptr<DeviceTensor> x, y;
  std::unique_ptr<Tensor> alpha = makeScalar(2.0f);
};

class Cuda : public OnDevices {
protected:
  Cuda() : OnDevices(kDLCUDA) {}
};

class Hip : public OnDevices {
protected:
  Hip() : OnDevices(kDLROCM) {}
};

/// Ends a process with a sentence.
[[noreturn]] void say(const char *sentence);
/// What the runtime says of a driver, as the end of a process.
[[noreturn]] void tryDriver(DLDeviceType type, const char *path);

/// Tests in processes of their own: a driver is loaded once, and a device that
/// is dead stays so.
class Drivers : public testing::Test {
protected:
  Drivers() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  static auto isSuccess() { return testing::ExitedWithCode(0); }

  /// Takes each of these functions out of a copy of the stub.
  void removeFunctions(DLDeviceType type,
                       std::initializer_list<const char *> names,
                       const std::string &least);
};

} // namespace attn::test

#endif // ATTN_TEST_RUNTIME_DEVICES_H
