//===- Array.h - strided arrays of program elements -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNNER_ARRAY_H
#define ATTN_RUNNER_ARRAY_H

#include "attn/Compiler/ElementType.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <optional>

namespace mlir::attn {

/// The number of elements of a shape and the bytes they take, or nothing if
/// that does not fit into 63 bits.
std::optional<int64_t> getNumElements(ArrayRef<int64_t> shape);
std::optional<int64_t> getNumBytes(ArrayRef<int64_t> shape, ElementType type);

/// A strided array that owns, or shares, its memory. Scalars have rank 0.
class Array {
public:
  Array() = default;

  /// A contiguous array filled with 0xff bytes (NaN in all float types).
  /// Fails on sizes that overflow or cannot be had.
  static std::optional<Array> create(ElementType type, ArrayRef<int64_t> shape);

  /// The same elements with a last stride of 2 and NaN in the gaps.
  std::optional<Array> createStrided() const;

  /// An array over foreign memory, which `owner` keeps alive.
  static Array wrap(ElementType type, ArrayRef<int64_t> shape,
                    ArrayRef<int64_t> strides, std::shared_ptr<void> owner,
                    void *origin);

  ElementType getType() const { return type; }
  ArrayRef<int64_t> getShape() const { return shape; }
  ArrayRef<int64_t> getStrides() const { return strides; }
  int64_t size() const { return numElements; }
  void *getOrigin() const { return origin; }

  /// Element `index` in row-major order of the shape.
  void *getAddress(int64_t index) const;
  double getFloat(int64_t index) const;
  int64_t getInt(int64_t index) const;
  /// Either kind as f64, for statistics.
  double getNumber(int64_t index) const;
  /// Stores a number rounded to the element type.
  void setFloat(int64_t index, double value);
  void setInt(int64_t index, int64_t value);

  /// The same numbers in another type, or the same bits in this one, NaN
  /// included; nothing if there is no memory.
  std::optional<Array> convertTo(ElementType type) const;

private:
  ElementType type = ElementType::F32;
  SmallVector<int64_t, 4> shape, strides;
  int64_t numElements = 0;
  bool contiguous = true;
  std::shared_ptr<void> owner;
  unsigned char *origin = nullptr;
};

} // namespace mlir::attn

#endif // ATTN_RUNNER_ARRAY_H
