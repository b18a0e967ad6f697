//===- Binding.cpp - the tensors of one call ------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Binding.h"

#include "Memory.h"
#include "Status.h"
#include "Stream.h"
#include <cstdlib>
#include <cstring>

using namespace attn;

static constexpr int64_t kUnbound = -1;

Binding::~Binding() {
  if (words != stackWords) {
    std::free(words);
  }
}

/// The block of words; all counts are bounded by the limits of the format.
attn_status Binding::allocate() {
  size_t numSymbols = function.symbols.count,
         numArguments = function.arguments.count,
         numSlots = numArguments + function.results.count + 1,
         storageWords = (function.storageBytes + 7) / 8;
  size_t total = 2 * numSymbols + numArguments + function.descriptorWords +
                 storageWords + 2 * numSlots;
  words = stackWords;
  if (total > kStackWords) {
    words = static_cast<int64_t *>(std::malloc(total * sizeof(int64_t)));
    if (!words) {
      return failOutOfMemory(total * sizeof(int64_t));
    }
  }
  symbols = words;
  origins = symbols + numSymbols;
  scalars = origins + numSymbols;
  descriptors = scalars + numArguments;
  storage =
      reinterpret_cast<unsigned char *>(descriptors + function.descriptorWords);
  slots = reinterpret_cast<void **>(descriptors + function.descriptorWords +
                                    storageWords);
  for (size_t i = 0; i < numSymbols; ++i) {
    origins[i] = kUnbound;
  }
  return ATTN_OK;
}

Descriptor Binding::getArgument(size_t index) const {
  const Parameter &parameter = function.arguments[index];
  return {descriptors + parameter.descriptorWord, parameter.info.rank,
          parameter.getWidth()};
}

Descriptor Binding::getResult(size_t index) const {
  const Parameter &parameter = function.results[index];
  return {descriptors + parameter.descriptorWord, parameter.info.rank,
          parameter.getWidth()};
}

//===----------------------------------------------------------------------===//
// One tensor by itself
//===----------------------------------------------------------------------===//

/// Signedness of bytes is a matter of the program, and frameworks without bool
/// use bytes for it.
static bool accepts(DLDataType wanted, DLDataType given) {
  if (given.lanes != 1 || given.bits != wanted.bits) {
    return false;
  }
  bool isByte = wanted.bits == 8 &&
                (wanted.code == kDLInt || wanted.code == ATTN_DL_BOOL);
  return given.code == wanted.code || (isByte && given.code == kDLUInt);
}

/// Whether memory that is said to be on one device can be used on the other.
static bool isOn(DLDevice given, DLDevice device) {
  if (isHost(device)) {
    return isHost(given);
  }
  return (given.device_type == kDLCUDAManaged &&
          device.device_type == kDLCUDA) ||
         (given.device_type == device.device_type &&
          given.device_id == device.device_id);
}

/// What can be said without the values of extents; `what` is "argument" or
/// "result".
static attn_status checkKind(const attn_function &function, DLDevice device,
                             const char *what, const Parameter &parameter,
                             const DLTensor *tensor) {
  const attn_parameter &info = parameter.info;
  if (!tensor) {
    return fail(ATTN_INVALID_ARGUMENT, "%s '%s' of '%s' is null", what,
                info.name, function.name);
  }
  if (tensor->ndim != info.rank) {
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' has rank %d, the program asks for %d", what,
                info.name, function.name, tensor->ndim, info.rank);
  }
  if (!accepts(info.type, tensor->dtype)) {
    char given[48], wanted[48];
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' is of %s, the program asks for %s", what,
                info.name, function.name, getTypeName(tensor->dtype, given),
                getTypeName(info.type, wanted));
  }
  if (!isOn(tensor->device,
            parameter.isScalar() ? DLDevice{kDLCPU, 0} : device)) {
    char given[48], wanted[48];
    if (parameter.isScalar()) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "%s '%s' of '%s' is a scalar, which the host reads, but it "
                  "is on %s",
                  what, info.name, function.name,
                  describeDevice(tensor->device, given));
    }
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' is on %s, the call runs on %s", what,
                info.name, function.name, describeDevice(tensor->device, given),
                describeDevice(device, wanted));
  }
  if (info.rank > 0 && !tensor->shape) {
    return fail(ATTN_INVALID_ARGUMENT, "%s '%s' of '%s' has no shape", what,
                info.name, function.name);
  }
  for (int axis = 0; axis < info.rank; ++axis) {
    if (tensor->shape[axis] < 0) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "%s '%s' of '%s' has extent %lld on axis %d", what, info.name,
                  function.name, static_cast<long long>(tensor->shape[axis]),
                  axis);
    }
  }
  return ATTN_OK;
}

/// Fills a descriptor, of a tensor of the right rank.
static attn_status fillDescriptor(const attn_function &function,
                                  const char *what, const Parameter &parameter,
                                  const DLTensor &tensor,
                                  const Descriptor &descriptor) {
  const attn_parameter &info = parameter.info;
  int64_t bytes = 0, low = 0, high = 0;
  uintptr_t address = 0;
  for (int axis = 0; axis < info.rank; ++axis) {
    descriptor.getShape()[axis] = tensor.shape[axis];
  }
  bool fits = getNumBytes(tensor.shape, info.rank, parameter.getWidth(), bytes);
  if (fits && !tensor.strides) {
    fits = Descriptor(descriptor).setCompactStrides();
  } else if (fits) {
    for (int axis = 0; axis < info.rank; ++axis) {
      descriptor.getStrides()[axis] = tensor.strides[axis];
    }
  }
  fits =
      fits && !__builtin_add_overflow(reinterpret_cast<uintptr_t>(tensor.data),
                                      tensor.byte_offset, &address);
  Descriptor(descriptor).setData(reinterpret_cast<void *>(address));
  if (!fits || !getSpan(descriptor, low, high)) {
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' is larger than the address space", what,
                info.name, function.name);
  }
  int last = info.rank - 1;
  if ((parameter.flags & ATTN_PARAMETER_UNIT_STRIDE) && last >= 0 &&
      descriptor.getShape()[last] > 1 && descriptor.getStrides()[last] != 1) {
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' has stride %lld on its last axis, the program "
                "asks for 1",
                what, info.name, function.name,
                static_cast<long long>(descriptor.getStrides()[last]));
  }
  return ATTN_OK;
}

static attn_status checkData(const attn_function &function, const char *what,
                             const Parameter &parameter, const DLTensor &tensor,
                             const Descriptor &descriptor) {
  if (descriptor.isEmpty()) {
    return ATTN_OK;
  }
  if (!tensor.data) {
    return fail(ATTN_INVALID_ARGUMENT, "%s '%s' of '%s' has no data", what,
                parameter.info.name, function.name);
  }
  if (reinterpret_cast<uintptr_t>(descriptor.getData()) % parameter.alignment) {
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' is not aligned to %u bytes", what,
                parameter.info.name, function.name, parameter.alignment);
  }
  return ATTN_OK;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

attn_status Binding::bindExtent(size_t index, int axis, int64_t extent) {
  const Parameter &parameter = function.arguments[index];
  const Operation &wanted = *parameter.extents[axis].operations;
  if (wanted.op == ATTN_OP_CONSTANT) {
    if (wanted.operand == extent) {
      return ATTN_OK;
    }
    return fail(ATTN_INVALID_ARGUMENT,
                "argument '%s' of '%s' has extent %lld on axis %d, the program "
                "asks for %lld",
                parameter.info.name, function.name,
                static_cast<long long>(extent), axis,
                static_cast<long long>(wanted.operand));
  }
  int64_t &origin = origins[wanted.operand];
  int64_t &value = symbols[wanted.operand];
  if (origin == kUnbound) {
    origin = static_cast<int64_t>(index);
    value = extent;
    return ATTN_OK;
  }
  if (value == extent) {
    return ATTN_OK;
  }
  return fail(ATTN_INVALID_ARGUMENT,
              "argument '%s' of '%s' has extent %lld on axis %d (%s), but "
              "argument '%s' says %s = %lld",
              parameter.info.name, function.name,
              static_cast<long long>(extent), axis, parameter.info.dims[axis],
              function.arguments[origin].info.name, parameter.info.dims[axis],
              static_cast<long long>(value));
}

int64_t attn::readInteger(DLDataType type, const unsigned char *data) {
  auto load = [&](auto value) {
    std::memcpy(&value, data, sizeof(value));
    return static_cast<int64_t>(value);
  };
  bool isSigned = type.code == kDLInt;
  switch (type.bits) {
  case 8:
    return isSigned ? load(int8_t()) : load(uint8_t());
  case 16:
    return isSigned ? load(int16_t()) : load(uint16_t());
  case 32:
    return isSigned ? load(int32_t()) : load(uint32_t());
  default:
    return load(int64_t());
  }
}

/// The first word of its descriptor becomes the value that the code loads.
attn_status Binding::bindScalar(size_t index, const DLTensor &tensor) {
  const Parameter &parameter = function.arguments[index];
  scalars[index] = 0;
  if (!tensor.data) {
    return fail(ATTN_INVALID_ARGUMENT, "argument '%s' of '%s' has no data",
                parameter.info.name, function.name);
  }
  auto *data =
      static_cast<const unsigned char *>(tensor.data) + tensor.byte_offset;
  int64_t *word = getArgument(index).getWords();
  std::memcpy(word, data, parameter.getWidth());
  uint8_t code = parameter.info.type.code;
  if (code == kDLInt || code == kDLUInt) {
    scalars[index] = readInteger(parameter.info.type, data);
  }
  return ATTN_OK;
}

attn_status Binding::bindArgument(size_t index, const DLTensor *tensor,
                                  bool withData) {
  constexpr const char *kWhat = "argument";
  const Parameter &parameter = function.arguments[index];
  if (attn_status status =
          checkKind(function, device, kWhat, parameter, tensor)) {
    return status;
  }
  if (parameter.isScalar()) {
    return bindScalar(index, *tensor);
  }
  for (int axis = 0; axis < parameter.info.rank; ++axis) {
    if (attn_status status = bindExtent(index, axis, tensor->shape[axis])) {
      return status;
    }
  }
  Descriptor descriptor = getArgument(index);
  if (attn_status status =
          fillDescriptor(function, kWhat, parameter, *tensor, descriptor)) {
    return status;
  }
  if (!withData) {
    return ATTN_OK;
  }
  if (attn_status status =
          checkData(function, kWhat, parameter, *tensor, descriptor)) {
    return status;
  }
  if (parameter.isWritable() && overlapsItself(descriptor)) {
    return fail(ATTN_INVALID_ARGUMENT,
                "argument '%s' of '%s' is written, but elements of it share "
                "memory",
                parameter.info.name, function.name);
  }
  return ATTN_OK;
}

attn_status Binding::bindArguments(const DLTensor *const *tensors, size_t count,
                                   bool withData) {
  if (count != function.arguments.count || (count && !tensors)) {
    return fail(ATTN_INVALID_ARGUMENT, "'%s' takes %u arguments, not %zu",
                function.name, function.arguments.count, tensors ? count : 0);
  }
  if (attn_status status = allocate()) {
    return status;
  }
  for (size_t i = 0; i < count; ++i) {
    if (attn_status status = bindArgument(i, tensors[i], withData)) {
      return status;
    }
  }
  if (attn_status status = withData ? checkOverlap() : ATTN_OK) {
    return status;
  }
  return checkRelations();
}

/// Writable arguments against all others.
attn_status Binding::checkOverlap() const {
  for (size_t i = 0; i < function.arguments.count; ++i) {
    const Parameter &written = function.arguments[i];
    for (size_t k = 0; written.isWritable() && k < function.arguments.count;
         ++k) {
      const Parameter &other = function.arguments[k];
      if (k != i && !other.isScalar() &&
          overlap(getArgument(i), getArgument(k))) {
        return fail(ATTN_INVALID_ARGUMENT,
                    "argument '%s' of '%s' is written, but shares memory with "
                    "argument '%s'",
                    written.info.name, function.name, other.info.name);
      }
    }
  }
  return ATTN_OK;
}

//===----------------------------------------------------------------------===//
// Relations
//===----------------------------------------------------------------------===//

attn_status Binding::evaluateFor(const Expression &expression, const char *name,
                                 int64_t &value) const {
  if (evaluate(expression, {symbols, scalars, descriptors}, value)) {
    return ATTN_OK;
  }
  return fail(ATTN_INVALID_ARGUMENT,
              "the extents given to '%s' are too large, or zero where they "
              "divide: '%s' cannot be checked",
              function.name, name);
}

attn_status Binding::checkRelations() const {
  for (const Relation &relation : function.relations) {
    const char *name = function.arguments[relation.argument].info.name;
    int64_t left = 0, right = 0;
    if (attn_status status = evaluateFor(relation.left, name, left)) {
      return status;
    }
    if (attn_status status = evaluateFor(relation.right, name, right)) {
      return status;
    }
    bool isEqual = relation.kind == ATTN_RELATION_EQUAL;
    if (isEqual ? left != right : left > right) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "argument '%s' of '%s' %s: %lld is %s %lld", name,
                  function.name, relation.text, static_cast<long long>(left),
                  isEqual ? "not" : "more than", static_cast<long long>(right));
    }
  }
  return ATTN_OK;
}

attn_status Binding::checkValues() const {
  for (const Rule &rule : function.rules) {
    const Parameter &argument = function.arguments[rule.argument];
    if (!argument.isScalar() && !isHost(device)) {
      continue; // the host cannot read it
    }
    int64_t low = 0, high = 0;
    if (attn_status status = evaluateFor(rule.low, argument.info.name, low)) {
      return status;
    }
    if (attn_status status = evaluateFor(rule.high, argument.info.name, high)) {
      return status;
    }
    if (attn_status status =
            checkRule(function, rule, getArgument(rule.argument), low, high)) {
      return status;
    }
  }
  return ATTN_OK;
}

attn_status Binding::getWorkspace(size_t &bytes, size_t &threadBytes) const {
  bytes = threadBytes = 0;
  if (function.workspace.isEmpty()) {
    return ATTN_OK;
  }
  int64_t serial = 0, thread = 0;
  if (attn_status status =
          evaluateFor(function.workspace, "workspace", serial)) {
    return status;
  }
  if (attn_status status =
          evaluateFor(function.threadWorkspace, "workspace", thread)) {
    return status;
  }
  auto round = [](int64_t value) {
    size_t positive = value > 0 ? static_cast<size_t>(value) : 0;
    return (positive + kMemoryAlignment - 1) & ~(kMemoryAlignment - 1);
  };
  bytes = round(serial);
  threadBytes = round(thread);
  return ATTN_OK;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

attn_status Binding::getResultExtent(size_t index, int axis,
                                     int64_t &extent) const {
  const Parameter &parameter = function.results[index];
  extent = -1;
  if (parameter.extents[axis].isEmpty()) {
    return ATTN_OK;
  }
  if (attn_status status =
          evaluateFor(parameter.extents[axis], parameter.info.name, extent)) {
    return status;
  }
  if (extent < 0) {
    return fail(ATTN_INVALID_ARGUMENT,
                "the extents given to '%s' leave %lld on axis %d of result "
                "'%s'",
                function.name, static_cast<long long>(extent), axis,
                parameter.info.name);
  }
  return ATTN_OK;
}

attn_status Binding::bindResult(size_t index, const DLTensor &tensor) {
  constexpr const char *kWhat = "result";
  const Parameter &parameter = function.results[index];
  if (attn_status status =
          checkKind(function, device, kWhat, parameter, &tensor)) {
    return status;
  }
  for (int axis = 0; axis < parameter.info.rank; ++axis) {
    int64_t extent = 0;
    if (attn_status status = getResultExtent(index, axis, extent)) {
      return status;
    }
    if (extent >= 0 && extent != tensor.shape[axis]) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "result '%s' of '%s' has extent %lld on axis %d, the "
                  "arguments say %lld",
                  parameter.info.name, function.name,
                  static_cast<long long>(tensor.shape[axis]), axis,
                  static_cast<long long>(extent));
    }
  }
  Descriptor descriptor = getResult(index);
  if (attn_status status =
          fillDescriptor(function, kWhat, parameter, tensor, descriptor)) {
    return status;
  }
  if (attn_status status =
          checkData(function, kWhat, parameter, tensor, descriptor)) {
    return status;
  }
  if (overlapsItself(descriptor)) {
    return fail(ATTN_INVALID_ARGUMENT,
                "elements of result '%s' of '%s' share memory",
                parameter.info.name, function.name);
  }
  for (size_t i = 0; i < function.arguments.count; ++i) {
    if (!function.arguments[i].isScalar() &&
        overlap(descriptor, getArgument(i))) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "result '%s' of '%s' shares memory with argument '%s'",
                  parameter.info.name, function.name,
                  function.arguments[i].info.name);
    }
  }
  for (size_t i = 0; i < index; ++i) {
    if (function.results[i].mode != ATTN_RESULT_ALIAS &&
        overlap(descriptor, getResult(i))) {
      return fail(ATTN_INVALID_ARGUMENT,
                  "result '%s' of '%s' shares memory with result '%s'",
                  parameter.info.name, function.name,
                  function.results[i].info.name);
    }
  }
  return ATTN_OK;
}

attn_status Binding::bindResults(const DLTensor *const *tensors, size_t count) {
  if (count != function.results.count || (count && !tensors)) {
    return fail(ATTN_INVALID_ARGUMENT, "'%s' has %u results, not %zu",
                function.name, function.results.count, tensors ? count : 0);
  }
  for (size_t i = 0; i < count; ++i) {
    const Parameter &parameter = function.results[i];
    if (parameter.mode == ATTN_RESULT_ALIAS) {
      if (tensors[i]) {
        return fail(ATTN_INVALID_ARGUMENT,
                    "result '%s' of '%s' is argument '%s' and takes no tensor: "
                    "pass null",
                    parameter.info.name, function.name,
                    function.arguments[parameter.info.alias].info.name);
      }
      continue;
    }
    if (!tensors[i]) {
      return checkKind(function, device, "result", parameter, nullptr);
    }
    if (attn_status status = bindResult(i, *tensors[i])) {
      return status;
    }
  }
  return ATTN_OK;
}

attn_status Binding::setResult(size_t index, void *data) {
  Descriptor descriptor = getResult(index);
  for (int axis = 0; axis < descriptor.getRank(); ++axis) {
    if (attn_status status =
            getResultExtent(index, axis, descriptor.getShape()[axis])) {
      return status;
    }
  }
  descriptor.setCompactStrides();
  descriptor.setData(data);
  return ATTN_OK;
}

void **Binding::makeSlots() {
  size_t numSlots = function.arguments.count + function.results.count + 1;
  void **pointees = slots + numSlots;
  size_t next = 0;
  auto addPointer = [&](void *pointee) {
    pointees[next] = pointee;
    slots[next] = &pointees[next];
    ++next;
  };
  if (function.numReturned > 0 && !function.returnsByValue) {
    addPointer(storage);
  }
  for (size_t i = 0; i < function.arguments.count; ++i) {
    if (function.arguments[i].isScalar()) {
      slots[next++] = getArgument(i).getWords();
    } else {
      addPointer(getArgument(i).getWords());
    }
  }
  for (size_t i = 0; i < function.results.count; ++i) {
    if (function.results[i].mode == ATTN_RESULT_PASSED) {
      addPointer(getResult(i).getWords());
    }
  }
  if (function.returnsByValue) {
    slots[next++] = storage;
  }
  return slots;
}
