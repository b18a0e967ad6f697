//===- Tensor.h - strided memory ------------------------------ -*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_RUNTIME_TENSOR_H
#define ATTN_RUNTIME_TENSOR_H

#include "attn_runtime.h"

namespace attn {

/// A tensor as generated code sees it: the words of a memref descriptor, which
/// are two pointers, the offset (here 0), the extents and the strides.
class Descriptor {
public:
  Descriptor() = default;
  Descriptor(int64_t *words, int rank, size_t width)
      : words(words), rank(rank), width(width) {}

  static constexpr int kHeaderWords = 3;
  static size_t getNumWords(int rank) {
    return kHeaderWords + 2 * static_cast<size_t>(rank);
  }

  int getRank() const { return rank; }
  size_t getWidth() const { return width; }
  int64_t *getWords() const { return words; }
  int64_t *getShape() const { return words + kHeaderWords; }
  int64_t *getStrides() const { return words + kHeaderWords + rank; }
  unsigned char *getData() const {
    return reinterpret_cast<unsigned char *>(words[1]) +
           words[2] * static_cast<int64_t>(width);
  }
  void setData(void *data) {
    words[0] = words[1] =
        static_cast<int64_t>(reinterpret_cast<intptr_t>(data));
    words[2] = 0;
  }
  bool isEmpty() const;
  /// Row-major strides for the shape; false if they overflow.
  bool setCompactStrides();
  /// Whether elements are in row-major order without gaps; strides of axes with
  /// one element mean nothing.
  bool isCompact() const;

private:
  int64_t *words = nullptr;
  int rank = 0;
  size_t width = 1;
};

/// The bytes of a shape, or false if they do not fit into 63 bits or an extent
/// is negative.
bool getNumBytes(const int64_t *shape, int rank, size_t width, int64_t &bytes);

/// Offsets in bytes of the first byte that a tensor touches, and of what is
/// beyond the last; false if they, or the addresses, overflow.
bool getSpan(const Descriptor &tensor, int64_t &low, int64_t &high);

/// Whether two elements of the tensor share a byte (or may, where that is hard
/// to tell).
bool overlapsItself(const Descriptor &tensor);

/// Whether an element of one shares a byte with one of the other (or may).
/// Interleaved views of one buffer do not.
bool overlap(const Descriptor &a, const Descriptor &b);

/// Copies elements between tensors of one shape that do not overlap.
void copyElements(const Descriptor &from, const Descriptor &to);

/// "f32", "bf16", "int32", ...; `buffer` is for types without a name here.
const char *getTypeName(DLDataType type, char (&buffer)[48]);

} // namespace attn

#endif // ATTN_RUNTIME_TENSOR_H
