//===- DeviceRun.cpp - a program's call on a GPU --------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceRun.h"

#include "attn_runtime.h"

using namespace mlir;
using namespace mlir::attn;

static llvm::Error toError(attn_status status) {
  return status == ATTN_OK ? llvm::Error::success()
                           : llvm::createStringError(attn_get_message());
}

/// Bytes from the first element of an array to the end of the last one.
static int64_t getSpan(const Array &array) {
  int64_t last = 0;
  for (auto [extent, stride] :
       llvm::zip_equal(array.getShape(), array.getStrides())) {
    if (extent == 0) {
      return 0;
    }
    last += (extent - 1) * stride;
  }
  return (last + 1) * getByteWidth(array.getType());
}

namespace {

constexpr DLDevice kHost = {kDLCPU, 0};

/// Arrays of this machine on a device, and the results of a call.
class Operands {
public:
  explicit Operands(DLDevice device) : device(device) {}
  Operands(const Operands &) = delete;
  Operands &operator=(const Operands &) = delete;
  ~Operands() {
    for (DLTensor &tensor : tensors) {
      if (tensor.device.device_type != kDLCPU) {
        attn_memory_release(tensor.device, tensor.data);
      }
    }
    for (DLManagedTensor *result : results) {
      if (result) {
        result->deleter(result);
      }
    }
    attn_stream_release(stream);
  }

  llvm::Error copyTo(const attn_function *function, ArrayRef<Array> inputs);
  llvm::Error call(const attn_function *function);
  llvm::Expected<std::vector<Array>> copyBack(const Signature &signature,
                                              ArrayRef<Array> inputs);

private:
  DLDevice device;
  attn_stream *stream = nullptr;
  std::vector<DLTensor> tensors;
  std::vector<DLManagedTensor *> results;
};

} // namespace

llvm::Error Operands::copyTo(const attn_function *function,
                             ArrayRef<Array> inputs) {
  for (auto [index, input] : llvm::enumerate(inputs)) {
    attn_parameter parameter;
    if (llvm::Error error =
            toError(attn_function_get_argument(function, index, &parameter))) {
      return error;
    }
    DLTensor tensor = {};
    tensor.dtype = parameter.type;
    tensor.ndim = parameter.rank;
    tensor.shape = const_cast<int64_t *>(input.getShape().data());
    tensor.strides = const_cast<int64_t *>(input.getStrides().data());
    if (parameter.is_scalar) {
      tensor.device = kHost;
      tensor.data = input.getOrigin();
      tensors.push_back(tensor);
      continue;
    }
    auto bytes = static_cast<size_t>(getSpan(input));
    tensor.device = device;
    if (llvm::Error error =
            toError(attn_memory_allocate(device, bytes, &tensor.data))) {
      return error;
    }
    tensors.push_back(tensor);
    if (llvm::Error error = toError(attn_memory_copy(
            device, tensor.data, kHost, input.getOrigin(), bytes, nullptr))) {
      return error;
    }
  }
  return llvm::Error::success();
}

llvm::Error Operands::call(const attn_function *function) {
  results.resize(attn_function_get_num_results(function));
  SmallVector<const DLTensor *> arguments;
  for (const DLTensor &tensor : tensors) {
    arguments.push_back(&tensor);
  }
  attn_status status = attn_stream_create(device, &stream);
  if (status == ATTN_OK) {
    status = attn_function_call_new(function, stream, arguments.data(),
                                    arguments.size(), results.data(),
                                    results.size(), nullptr);
  }
  if (status == ATTN_OK) {
    status = attn_stream_synchronize(stream);
  }
  return toError(status);
}

llvm::Expected<std::vector<Array>>
Operands::copyBack(const Signature &signature, ArrayRef<Array> inputs) {
  std::vector<Array> arrays;
  for (auto [parameter, result] : llvm::zip_equal(signature.results, results)) {
    if (parameter.alias) {
      const Array &input = inputs[*parameter.alias];
      const DLTensor &written = tensors[*parameter.alias];
      if (llvm::Error error = toError(attn_memory_copy(
              kHost, input.getOrigin(), written.device, written.data,
              static_cast<size_t>(getSpan(input)), nullptr))) {
        return error;
      }
      arrays.push_back(input);
      continue;
    }
    const DLTensor &tensor = result->dl_tensor;
    std::optional<Array> array = Array::create(
        parameter.type, {tensor.shape, static_cast<size_t>(tensor.ndim)});
    if (!array) {
      return llvm::createStringError("not enough memory for a result");
    }
    if (llvm::Error error = toError(attn_memory_copy(
            kHost, array->getOrigin(), tensor.device,
            static_cast<const char *>(tensor.data) + tensor.byte_offset,
            static_cast<size_t>(getSpan(*array)), nullptr))) {
      return error;
    }
    arrays.push_back(std::move(*array));
  }
  return arrays;
}

llvm::Expected<std::vector<Array>> attn::runOnDevice(const Program &program,
                                                     StringRef chip,
                                                     const Signature &signature,
                                                     ArrayRef<Array> inputs) {
  auto function = program.getFunction(signature.function);
  if (!function) {
    return function.takeError();
  }
  Operands operands({chip.starts_with("gfx") ? kDLROCM : kDLCUDA, 0});
  if (llvm::Error error = operands.copyTo(*function, inputs)) {
    return error;
  }
  if (llvm::Error error = operands.call(*function)) {
    return error;
  }
  return operands.copyBack(signature, inputs);
}
