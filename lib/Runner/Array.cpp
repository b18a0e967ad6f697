//===- Array.cpp - strided arrays of program elements ---------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What tools hold the operands and results of a compiled program in. Elements
// are read and written one at a time through f64 or i64, which is slow and
// leaves no doubt about rounding.
//
//===----------------------------------------------------------------------===//

#include "attn/Runner/Array.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"
#include <cstdlib>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace mlir::attn;

std::optional<int64_t> attn::getNumElements(ArrayRef<int64_t> shape) {
  // A zero extent makes the array empty, however large the others are.
  if (llvm::is_contained(shape, 0)) {
    return 0;
  }
  int64_t count = 1;
  for (int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(count, extent, &count)) {
      return std::nullopt;
    }
  }
  return count;
}

std::optional<int64_t> attn::getNumBytes(ArrayRef<int64_t> shape,
                                         ElementType type) {
  std::optional<int64_t> count = getNumElements(shape);
  int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, getByteWidth(type), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

static SmallVector<int64_t, 4> getRowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t, 4> strides(shape.size(), 1);
  if (llvm::is_contained(shape, 0)) {
    return strides; // of no use, and their products may not fit
  }
  for (int64_t axis = static_cast<int64_t>(shape.size()) - 2; axis >= 0;
       --axis) {
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  }
  return strides;
}

/// Memory aligned for any vector, of at least one byte, filled with 0xff.
static std::shared_ptr<void> allocate(int64_t bytes) {
  constexpr int64_t alignment = 64;
  if (bytes > std::numeric_limits<int64_t>::max() - 2 * alignment) {
    return nullptr;
  }
  size_t rounded = static_cast<size_t>(bytes / alignment + 1) * alignment;
  void *memory = std::aligned_alloc(alignment, rounded);
  if (!memory) {
    return nullptr;
  }
  std::memset(memory, 0xff, rounded);
  return std::shared_ptr<void>(memory, std::free);
}

std::optional<Array> Array::create(ElementType type, ArrayRef<int64_t> shape) {
  std::optional<int64_t> bytes = getNumBytes(shape, type);
  if (!bytes) {
    return std::nullopt;
  }
  std::shared_ptr<void> memory = allocate(*bytes);
  if (!memory) {
    return std::nullopt;
  }
  void *origin = memory.get();
  return wrap(type, shape, getRowMajorStrides(shape), std::move(memory),
              origin);
}

Array Array::wrap(ElementType type, ArrayRef<int64_t> shape,
                  ArrayRef<int64_t> strides, std::shared_ptr<void> owner,
                  void *origin) {
  Array array;
  array.type = type;
  array.shape.assign(shape.begin(), shape.end());
  array.strides.assign(strides.begin(), strides.end());
  array.numElements = getNumElements(shape).value_or(0);
  array.contiguous = ArrayRef<int64_t>(array.strides) ==
                     ArrayRef<int64_t>(getRowMajorStrides(shape));
  array.owner = std::move(owner);
  array.origin = static_cast<unsigned char *>(origin);
  return array;
}

std::optional<Array> Array::createStrided() const {
  SmallVector<int64_t, 4> wide(shape);
  if (wide.empty()) {
    return *this;
  }
  if (__builtin_mul_overflow(wide.back(), 2, &wide.back())) {
    return std::nullopt;
  }
  std::optional<Array> storage = create(type, wide);
  if (!storage) {
    return std::nullopt;
  }
  SmallVector<int64_t, 4> steps = getRowMajorStrides(wide);
  steps.back() = 2;
  Array result = wrap(type, shape, steps, storage->owner, storage->getOrigin());
  for (int64_t i = 0; i < numElements; ++i) {
    std::memcpy(result.getAddress(i), getAddress(i), getByteWidth(type));
  }
  return result;
}

void *Array::getAddress(int64_t index) const {
  int64_t offset = index;
  if (!contiguous) {
    offset = 0;
    for (int64_t axis = static_cast<int64_t>(shape.size()) - 1; axis >= 0;
         --axis) {
      offset += index % shape[axis] * strides[axis];
      index /= shape[axis];
    }
  }
  return origin + offset * getByteWidth(type);
}

template <typename T> static T load(const void *address) {
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
}

static const llvm::fltSemantics &getSmallSemantics(ElementType type) {
  switch (type) {
  case ElementType::F16:
    return llvm::APFloat::IEEEhalf();
  case ElementType::F8E4M3:
    return llvm::APFloat::Float8E4M3FN();
  case ElementType::F8E5M2:
    return llvm::APFloat::Float8E5M2();
  default:
    return llvm::APFloat::BFloat();
  }
}

/// Normal half numbers by arithmetic on the exponent, the rest by APFloat.
static double expandSmall(uint16_t bits, ElementType type) {
  if (type == ElementType::BF16) {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
  auto width = static_cast<unsigned>(8 * getByteWidth(type));
  return llvm::APFloat(getSmallSemantics(type), llvm::APInt(width, bits))
      .convertToDouble();
}

double Array::getFloat(int64_t index) const {
  const void *address = getAddress(index);
  switch (type) {
  case ElementType::F64:
    return load<double>(address);
  case ElementType::F32:
    return load<float>(address);
  case ElementType::F8E4M3:
  case ElementType::F8E5M2:
    return expandSmall(load<uint8_t>(address), type);
  default:
    return expandSmall(load<uint16_t>(address), type);
  }
}

int64_t Array::getInt(int64_t index) const {
  const void *address = getAddress(index);
  switch (getByteWidth(type)) {
  case 8:
    return load<int64_t>(address);
  case 4:
    return load<int32_t>(address);
  default:
    return type == ElementType::I8 ? load<int8_t>(address)
                                   : load<uint8_t>(address);
  }
}

double Array::getNumber(int64_t index) const {
  return isFloat(type) ? getFloat(index) : static_cast<double>(getInt(index));
}

void Array::setFloat(int64_t index, double value) {
  void *address = getAddress(index);
  if (type == ElementType::F64) {
    std::memcpy(address, &value, sizeof(value));
    return;
  }
  if (type == ElementType::F32) {
    auto rounded = static_cast<float>(value);
    std::memcpy(address, &rounded, sizeof(rounded));
    return;
  }
  llvm::APFloat number(value);
  bool inexact = false;
  number.convert(getSmallSemantics(type), llvm::APFloat::rmNearestTiesToEven,
                 &inexact);
  auto bits = static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
  std::memcpy(address, &bits, getByteWidth(type));
}

void Array::setInt(int64_t index, int64_t value) {
  void *address = getAddress(index);
  if (getByteWidth(type) == 8) {
    std::memcpy(address, &value, sizeof(value));
  } else if (getByteWidth(type) == 4) {
    auto narrow = static_cast<int32_t>(value);
    std::memcpy(address, &narrow, sizeof(narrow));
  } else {
    auto narrow = static_cast<uint8_t>(value);
    std::memcpy(address, &narrow, sizeof(narrow));
  }
}

std::optional<Array> Array::convertTo(ElementType newType) const {
  std::optional<Array> result = create(newType, shape);
  if (!result) {
    return std::nullopt;
  }
  for (int64_t i = 0; i < numElements; ++i) {
    if (newType == type) {
      std::memcpy(result->getAddress(i), getAddress(i), getByteWidth(type));
    } else if (attn::isFloat(newType)) {
      result->setFloat(i, getNumber(i));
    } else {
      result->setInt(i, getInt(i));
    }
  }
  return result;
}
