//===- Call.cpp - calling a function --------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Binding.h"
#include "Memory.h"
#include "Status.h"
#include "Stream.h"
#include "gpu/Execution.h"
#include <cstring>
#include <optional>

using namespace attn;

namespace {

/// A tensor with a deleter; its shape and strides follow it.
struct OwnedTensor {
  DLManagedTensor tensor;
  /// Of a device: whether the data is given back in the order of a stream, and
  /// of which; null is the default stream.
  bool isOrdered;
  attn_stream *stream;
};

void deleteOwned(DLManagedTensor *tensor) {
  auto *owned = reinterpret_cast<OwnedTensor *>(tensor);
  if (owned && owned->isOrdered) {
    gpu::releaseAsync(tensor->dl_tensor.device, tensor->dl_tensor.data,
                      owned->stream ? owned->stream->native : nullptr);
    dropStream(owned->stream);
  } else if (owned) {
    attn_memory_release(tensor->dl_tensor.device, tensor->dl_tensor.data);
  }
  std::free(owned);
}

/// A compact tensor around memory, which it owns from then on; null if there is
/// no memory.
DLManagedTensor *wrapBlock(DLDevice device, void *data, DLDataType type,
                           int rank, const int64_t *shape,
                           const int64_t *strides) {
  size_t bytes =
      sizeof(OwnedTensor) + 2 * static_cast<size_t>(rank) * sizeof(int64_t);
  auto *owned = static_cast<OwnedTensor *>(std::malloc(bytes));
  if (!owned) {
    failOutOfMemory(bytes);
    return nullptr;
  }
  auto *extents = reinterpret_cast<int64_t *>(owned + 1);
  for (int axis = 0; axis < rank; ++axis) {
    extents[axis] = shape[axis];
    extents[rank + axis] = strides[axis];
  }
  owned->isOrdered = false;
  owned->stream = nullptr;
  owned->tensor.dl_tensor = {data,    device,         rank, type,
                             extents, extents + rank, 0};
  owned->tensor.manager_ctx = nullptr;
  owned->tensor.deleter = deleteOwned;
  return &owned->tensor;
}

struct Invocation {
  attn_packed_fn entry;
  void **slots;
};

/// One call, from checked tensors to results.
class Call {
public:
  Call(const attn_function &function, DLDevice device, attn_stream *stream,
       const attn_call_options *options)
      : function(function), device(device), stream(stream),
        binding(function, device) {
    if (options) {
      this->options = *options;
    }
  }
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;
  ~Call() { attn_free(staging); }

  attn_status bindArguments(const DLTensor *const *tensors, size_t count);
  Binding &getBinding() { return binding; }
  /// Buffers in place of passed results that are not compact.
  attn_status stageResults();
  /// Buffers for results that the code wants to be given.
  attn_status allocatePassed(DLManagedTensor **results);
  /// Runs the code. Returned results are then held until `releaseReturned`.
  attn_status run();
  /// The descriptor that the code returned as a result.
  Descriptor getReturned(size_t index) const;
  /// Copies a result that was returned, or staged, into the tensor that the
  /// caller gave.
  attn_status storeResult(size_t index, const DLTensor *tensor);
  /// The same as a new tensor.
  attn_status takeResult(size_t index, DLManagedTensor *&tensor);
  void releaseReturned();

private:
  attn_status bindWorkspace();
  bool isOnDevice() const { return function.program != nullptr; }
  attn_status begin();
  attn_status runOnDevice(Invocation &invocation);
  attn_status createResult(const attn_parameter &info, const int64_t *shape,
                           DLManagedTensor *&tensor);
  attn_status copyResult(const Descriptor &from, const Descriptor &to);
  DLManagedTensor *wrap(void *data, const attn_parameter &info,
                        const int64_t *shape, const int64_t *strides);
  attn_status takeScalar(size_t index, DLManagedTensor *&tensor);

  const attn_function &function;
  DLDevice device;
  attn_stream *stream;
  Binding binding;
  attn_call_options options = {};
  /// On a device.
  std::optional<gpu::Execution> execution;
  Frame frame;
  ThreadWorkspaces threads;
  /// Of all staged results, one behind the other.
  unsigned char *staging = nullptr;
};

/// The bytes of a whole workspace, of each thread's part of it, and how many
/// parts there are.
attn_status measureWorkspace(const Binding &binding, size_t &bytes,
                             size_t &threadBytes, size_t &numThreads) {
  if (attn_status status = binding.getWorkspace(bytes, threadBytes)) {
    return status;
  }
  numThreads =
      threadBytes > 0 ? static_cast<size_t>(attn_get_num_threads()) : 0;
  size_t all = 0;
  if (__builtin_mul_overflow(numThreads,
                             ThreadWorkspaces::getBytes(threadBytes), &all) ||
      __builtin_add_overflow(bytes, all, &bytes)) {
    return failOutOfMemory(SIZE_MAX);
  }
  return ATTN_OK;
}

attn_status Call::bindArguments(const DLTensor *const *tensors, size_t count) {
  if (attn_status status = binding.bindArguments(tensors, count, true)) {
    return status;
  }
  if (!(options.flags & ATTN_CALL_TRUST_VALUES)) {
    if (attn_status status = binding.checkValues()) {
      return status;
    }
  }
  if (attn_status status = options.workspace ? bindWorkspace() : ATTN_OK) {
    return status;
  }
  return isOnDevice() ? begin() : ATTN_OK;
}

attn_status Call::begin() {
  gpu::Device *found = nullptr;
  if (!gpu::isGPU(device)) {
    return fail(ATTN_UNSUPPORTED,
                "'%s' is compiled for devices of type %d, which this runtime "
                "does not know",
                function.name, static_cast<int>(device.device_type));
  }
  if (attn_status status = gpu::getDevice(device, found)) {
    return status;
  }
  execution.emplace(function, *found, stream ? stream->native : nullptr);
  frame.device = &*execution;
  return execution->begin(options.workspace,
                          options.workspace_bytes & ~(kMemoryAlignment - 1));
}

attn_status Call::bindWorkspace() {
  size_t needed = 0, threadBytes = 0, numThreads = 0;
  if (attn_status status =
          measureWorkspace(binding, needed, threadBytes, numThreads)) {
    return status;
  }
  if (options.workspace_bytes < needed) {
    return fail(ATTN_INVALID_ARGUMENT,
                "the workspace of '%s' has %zu bytes, it asks for %zu",
                function.name, options.workspace_bytes, needed);
  }
  if (reinterpret_cast<uintptr_t>(options.workspace) % kMemoryAlignment) {
    return fail(ATTN_INVALID_ARGUMENT,
                "the workspace of '%s' is not aligned to %zu bytes",
                function.name, kMemoryAlignment);
  }
  if (isOnDevice()) {
    return ATTN_OK;
  }
  // Those of threads come last.
  size_t threadsBytes = numThreads * ThreadWorkspaces::getBytes(threadBytes);
  size_t usable = options.workspace_bytes & ~(kMemoryAlignment - 1);
  auto *data = static_cast<unsigned char *>(options.workspace);
  frame.workspace = Workspace(data, usable - threadsBytes);
  if (threadsBytes > 0) {
    threads = ThreadWorkspaces(data + (usable - threadsBytes), threadBytes,
                               numThreads);
    frame.threads = &threads;
  }
  return ATTN_OK;
}

void invoke(void *args) {
  auto *invocation = static_cast<Invocation *>(args);
  invocation->entry(invocation->slots);
}

/// What the code still has stays until the results are taken.
attn_status Call::runOnDevice(Invocation &invocation) {
  if (!runInFrame(frame, invoke, &invocation)) {
    execution->releaseBlocks();
  }
  return execution->getStatus();
}

attn_status Call::run() {
  Invocation invocation = {function.entry, binding.makeSlots()};
  if (isOnDevice()) {
    return runOnDevice(invocation);
  }
  std::atomic<size_t> missingBytes{0};
  frame.missingBytes = &missingBytes;
  lockStream(stream);
  bool completed = runInFrame(frame, invoke, &invocation);
  unlockStream(stream);
  if (!completed) {
    return fail(ATTN_OUT_OF_MEMORY,
                "out of memory: '%s' asked for %zu bytes more", function.name,
                missingBytes.load());
  }
  for (size_t i = 0; i < function.results.count; ++i) {
    const Parameter &result = function.results[i];
    if (result.mode == ATTN_RESULT_RETURNED && !result.isScalar()) {
      detachBlock(frame,
                  reinterpret_cast<void *>(getReturned(i).getWords()[0]));
    }
  }
  releaseBlocks(frame);
  return ATTN_OK;
}

Descriptor Call::getReturned(size_t index) const {
  const Parameter &result = function.results[index];
  return {
      reinterpret_cast<int64_t *>(binding.getStorage() + result.storageOffset),
      result.info.rank, result.getWidth()};
}

attn_status Call::stageResults() {
  for (size_t i = 0; isOnDevice() && i < function.results.count; ++i) {
    const Parameter &result = function.results[i];
    if (result.mode != ATTN_RESULT_ALIAS && !result.isScalar() &&
        !binding.getResult(i).isCompact()) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "result '%s' of '%s' is not row-major, as results on a "
                  "device must be",
                  result.info.name, function.name);
    }
  }
  int64_t total = 0;
  auto forEach = [&](auto stage) {
    for (size_t i = 0; i < function.results.count; ++i) {
      Descriptor tensor = binding.getResult(i);
      int64_t bytes = 0;
      if (function.results[i].mode == ATTN_RESULT_PASSED &&
          !tensor.isCompact() &&
          getNumBytes(tensor.getShape(), tensor.getRank(), tensor.getWidth(),
                      bytes)) {
        constexpr auto line = static_cast<int64_t>(kMemoryAlignment);
        stage(tensor, (bytes + line - 1) / line * line);
      }
    }
  };
  forEach([&](Descriptor, int64_t bytes) { total += bytes; });
  if (total > 0) {
    staging = static_cast<unsigned char *>(
        allocateOutsideOfCalls(static_cast<size_t>(total)));
    if (!staging) {
      return failOutOfMemory(static_cast<size_t>(total));
    }
    unsigned char *next = staging;
    forEach([&](Descriptor tensor, int64_t bytes) {
      tensor.setData(next);
      tensor.setCompactStrides();
      next += bytes;
    });
  }
  // The strides of axes with one element, too.
  for (size_t i = 0; i < function.results.count; ++i) {
    if (function.results[i].mode == ATTN_RESULT_PASSED) {
      binding.getResult(i).setCompactStrides();
    }
  }
  return ATTN_OK;
}

attn_status Call::storeResult(size_t index, const DLTensor *tensor) {
  const Parameter &result = function.results[index];
  if (result.mode == ATTN_RESULT_ALIAS) {
    return ATTN_OK;
  }
  Descriptor to = binding.getResult(index);
  if (result.mode == ATTN_RESULT_PASSED) {
    auto *data = static_cast<unsigned char *>(tensor->data);
    if (!staging || to.getData() == data + tensor->byte_offset) {
      return ATTN_OK;
    }
    int64_t words[Descriptor::kHeaderWords + 2 * ATTN_MAX_RANK];
    Descriptor from = to;
    to = Descriptor(words, from.getRank(), from.getWidth());
    for (int axis = 0; axis < from.getRank(); ++axis) {
      to.getShape()[axis] = tensor->shape[axis];
      to.getStrides()[axis] = tensor->strides[axis];
    }
    to.setData(data + tensor->byte_offset);
    copyElements(from, to);
    return ATTN_OK;
  }
  if (result.isScalar()) {
    std::memcpy(to.getData(), binding.getStorage() + result.storageOffset,
                result.getWidth());
    return ATTN_OK;
  }
  Descriptor from = getReturned(index);
  for (int axis = 0; axis < result.info.rank; ++axis) {
    if (from.getShape()[axis] != to.getShape()[axis]) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "result '%s' of '%s' has extent %lld on axis %d, the tensor "
                  "given for it has %lld",
                  result.info.name, function.name,
                  static_cast<long long>(from.getShape()[axis]), axis,
                  static_cast<long long>(to.getShape()[axis]));
    }
  }
  return copyResult(from, to);
}

/// Between tensors of one shape.
attn_status Call::copyResult(const Descriptor &from, const Descriptor &to) {
  if (!isOnDevice()) {
    copyElements(from, to);
    return ATTN_OK;
  }
  int64_t bytes = 0;
  if (!from.isCompact() ||
      !getNumBytes(from.getShape(), from.getRank(), from.getWidth(), bytes)) {
    return fail(ATTN_UNSUPPORTED,
                "'%s' returned a result that is not row-major", function.name);
  }
  return execution->copy(to.getData(), from.getData(),
                         static_cast<size_t>(bytes));
}

/// A tensor around a block of the code.
DLManagedTensor *Call::wrap(void *data, const attn_parameter &info,
                            const int64_t *shape, const int64_t *strides) {
  DLManagedTensor *tensor =
      wrapBlock(device, data, info.type, info.rank, shape, strides);
  if (tensor && isOnDevice()) {
    auto *owned = reinterpret_cast<OwnedTensor *>(tensor);
    owned->isOrdered = true;
    owned->stream = stream;
    retainStream(stream);
    execution->detach(data);
  }
  return tensor;
}

/// A tensor for a result.
attn_status Call::createResult(const attn_parameter &info, const int64_t *shape,
                               DLManagedTensor *&tensor) {
  if (!isOnDevice()) {
    return attn_tensor_create(device, info.type, info.rank, shape, &tensor);
  }
  int64_t words[Descriptor::kHeaderWords + 2 * ATTN_MAX_RANK], bytes = 0;
  Descriptor descriptor(words, info.rank, info.type.bits / 8);
  for (int axis = 0; axis < info.rank; ++axis) {
    descriptor.getShape()[axis] = shape[axis];
  }
  if (!getNumBytes(shape, info.rank, info.type.bits / 8, bytes) ||
      !descriptor.setCompactStrides()) {
    return fail(ATTN_INVALID_ARGUMENT,
                "result '%s' of '%s' is larger than the address space",
                info.name, function.name);
  }
  void *data =
      execution->allocateOutsideOfWorkspace(static_cast<size_t>(bytes));
  if (!data) {
    return execution->getStatus();
  }
  tensor = wrap(data, info, shape, descriptor.getStrides());
  return tensor ? ATTN_OK : ATTN_OUT_OF_MEMORY;
}

attn_status Call::allocatePassed(DLManagedTensor **results) {
  for (size_t i = 0; i < function.results.count; ++i) {
    const Parameter &result = function.results[i];
    if (result.mode != ATTN_RESULT_PASSED) {
      continue;
    }
    if (attn_status status = binding.setResult(i, nullptr)) {
      return status;
    }
    Descriptor descriptor = binding.getResult(i);
    if (attn_status status =
            createResult(result.info, descriptor.getShape(), results[i])) {
      return status;
    }
    descriptor.setData(results[i]->dl_tensor.data);
  }
  return ATTN_OK;
}

attn_status Call::takeScalar(size_t index, DLManagedTensor *&tensor) {
  const Parameter &result = function.results[index];
  if (attn_status status = attn_tensor_create({kDLCPU, 0}, result.info.type, 0,
                                              nullptr, &tensor)) {
    return status;
  }
  std::memcpy(tensor->dl_tensor.data,
              binding.getStorage() + result.storageOffset, result.getWidth());
  return ATTN_OK;
}

attn_status Call::takeResult(size_t index, DLManagedTensor *&tensor) {
  const Parameter &result = function.results[index];
  if (result.isScalar()) {
    return takeScalar(index, tensor);
  }
  Descriptor from = getReturned(index);
  auto *block = reinterpret_cast<void *>(from.getWords()[0]);
  bool isOwn =
      isOnDevice() ? execution->owns(block) : !frame.workspace.contains(block);
  if (block && isOwn) {
    tensor = wrap(block, result.info, from.getShape(), from.getStrides());
    if (!tensor) {
      return ATTN_OUT_OF_MEMORY;
    }
    auto *origin = static_cast<unsigned char *>(block);
    tensor->dl_tensor.byte_offset =
        static_cast<uint64_t>(from.getData() - origin);
    from.getWords()[0] = 0; // no longer ours
    return ATTN_OK;
  }
  if (attn_status status = createResult(result.info, from.getShape(), tensor)) {
    return status;
  }
  Descriptor to = binding.getResult(index);
  std::memcpy(to.getShape(), from.getShape(), from.getRank() * sizeof(int64_t));
  to.setCompactStrides();
  to.setData(tensor->dl_tensor.data);
  return copyResult(from, to);
}

void Call::releaseReturned() {
  if (isOnDevice()) {
    return execution->releaseBlocks();
  }
  for (size_t i = 0; i < function.results.count; ++i) {
    const Parameter &result = function.results[i];
    if (result.mode == ATTN_RESULT_RETURNED && !result.isScalar()) {
      auto *block = reinterpret_cast<void *>(getReturned(i).getWords()[0]);
      if (!frame.workspace.contains(block)) {
        attn_free(block);
      }
    }
  }
}

/// The code for a call, and where it runs.
attn_status choose(const attn_function *function,
                   const DLTensor *const *arguments, size_t count,
                   const attn_stream *stream, const attn_function *&chosen,
                   DLDevice &device) {
  return function
             ? choosePlace(*function, arguments, count, stream, chosen, device)
             : fail(ATTN_INVALID_ARGUMENT, "the function is null");
}

} // namespace

attn_status attn_tensor_create(DLDevice device, DLDataType type, int rank,
                               const int64_t *shape, DLManagedTensor **tensor) {
  if (!tensor || rank < 0 || rank > ATTN_MAX_RANK || (rank > 0 && !shape)) {
    return fail(ATTN_INVALID_ARGUMENT,
                "a tensor needs a place for it, and a shape of at most %d axes",
                ATTN_MAX_RANK);
  }
  *tensor = nullptr;
  if (type.bits == 0 || type.bits % 8 || type.lanes != 1) {
    char name[48];
    return fail(ATTN_INVALID_ARGUMENT, "a tensor cannot be of %s",
                getTypeName(type, name));
  }
  int64_t words[Descriptor::kHeaderWords + 2 * ATTN_MAX_RANK], bytes = 0;
  Descriptor descriptor(words, rank, type.bits / 8);
  for (int axis = 0; axis < rank; ++axis) {
    descriptor.getShape()[axis] = shape[axis];
  }
  if (!getNumBytes(shape, rank, type.bits / 8, bytes) ||
      !descriptor.setCompactStrides()) {
    return fail(ATTN_INVALID_ARGUMENT,
                "a tensor has a negative extent, or is larger than the address "
                "space");
  }
  void *data = nullptr;
  if (attn_status status =
          attn_memory_allocate(device, static_cast<size_t>(bytes), &data)) {
    return status;
  }
  *tensor = wrapBlock(device, data, type, rank, shape, descriptor.getStrides());
  if (!*tensor) {
    attn_memory_release(device, data);
    return ATTN_OUT_OF_MEMORY;
  }
  return ATTN_OK;
}

attn_status
attn_function_call(const attn_function *function, attn_stream *stream,
                   const DLTensor *const *arguments, size_t num_arguments,
                   const DLTensor *const *results, size_t num_results,
                   const attn_call_options *options) {
  const attn_function *chosen = nullptr;
  DLDevice device = {};
  if (attn_status status =
          choose(function, arguments, num_arguments, stream, chosen, device)) {
    return status;
  }
  Call call(*chosen, device, stream, options);
  if (attn_status status = call.bindArguments(arguments, num_arguments)) {
    return status;
  }
  if (attn_status status =
          call.getBinding().bindResults(results, num_results)) {
    return status;
  }
  if (attn_status status = call.stageResults()) {
    return status;
  }
  if (attn_status status = call.run()) {
    return status;
  }
  attn_status status = ATTN_OK;
  for (size_t i = 0; i < num_results && !status; ++i) {
    status = call.storeResult(i, results[i]);
  }
  call.releaseReturned();
  return status;
}

attn_status
attn_function_call_new(const attn_function *function, attn_stream *stream,
                       const DLTensor *const *arguments, size_t num_arguments,
                       DLManagedTensor **results, size_t num_results,
                       const attn_call_options *options) {
  const attn_function *chosen = nullptr;
  DLDevice device = {};
  if (attn_status status =
          choose(function, arguments, num_arguments, stream, chosen, device)) {
    return status;
  }
  if (num_results != function->results.count || (num_results && !results)) {
    return fail(ATTN_INVALID_ARGUMENT, "'%s' has %u results, not %zu",
                function->name, function->results.count,
                results ? num_results : 0);
  }
  for (size_t i = 0; i < num_results; ++i) {
    results[i] = nullptr;
  }
  Call call(*chosen, device, stream, options);
  attn_status status = call.bindArguments(arguments, num_arguments);
  if (!status) {
    status = call.allocatePassed(results);
  }
  if (!status) {
    status = call.run();
    if (!status) {
      for (size_t i = 0; i < num_results && !status; ++i) {
        if (chosen->results[i].mode == ATTN_RESULT_RETURNED) {
          status = call.takeResult(i, results[i]);
        }
      }
      call.releaseReturned();
    }
  }
  for (size_t i = 0; status && i < num_results; ++i) {
    deleteOwned(results[i]);
    results[i] = nullptr;
  }
  return status;
}

attn_status attn_function_get_result_shape(const attn_function *function,
                                           const DLTensor *const *arguments,
                                           size_t num_arguments, size_t index,
                                           int64_t *shape) {
  const attn_function *chosen = nullptr;
  DLDevice device = {};
  if (attn_status status =
          choose(function, arguments, num_arguments, nullptr, chosen, device)) {
    return status;
  }
  if (index >= function->results.count) {
    return fail(ATTN_NOT_FOUND, "'%s' has no result %zu", function->name,
                index);
  }
  Binding binding(*chosen, device);
  if (attn_status status =
          binding.bindArguments(arguments, num_arguments, false)) {
    return status;
  }
  for (int axis = 0; axis < function->results[index].info.rank; ++axis) {
    if (attn_status status =
            binding.getResultExtent(index, axis, shape[axis])) {
      return status;
    }
  }
  return ATTN_OK;
}

attn_status attn_function_get_workspace(const attn_function *function,
                                        const DLTensor *const *arguments,
                                        size_t num_arguments, size_t *bytes) {
  *bytes = 0;
  const attn_function *chosen = nullptr;
  DLDevice device = {};
  if (attn_status status =
          choose(function, arguments, num_arguments, nullptr, chosen, device)) {
    return status;
  }
  Binding binding(*chosen, device);
  if (attn_status status =
          binding.bindArguments(arguments, num_arguments, false)) {
    return status;
  }
  if (*chosen->unbounded) {
    return fail(ATTN_UNBOUNDED,
                "nobody can tell beforehand what memory '%s' works in: %s",
                function->name, chosen->unbounded);
  }
  size_t threadBytes = 0, numThreads = 0;
  return measureWorkspace(binding, *bytes, threadBytes, numThreads);
}
