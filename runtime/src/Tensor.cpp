//===- Tensor.cpp - strided memory ----------------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tensor.h"

#include "attn_module.h"
#include <cstdio>
#include <cstring>

using namespace attn;

using Wide = __int128;

bool Descriptor::isEmpty() const {
  for (int axis = 0; axis < rank; ++axis) {
    if (getShape()[axis] == 0) {
      return true;
    }
  }
  return false;
}

bool Descriptor::setCompactStrides() {
  int64_t stride = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    getStrides()[axis] = stride;
    int64_t extent = getShape()[axis];
    if (extent > 1 && __builtin_mul_overflow(stride, extent, &stride)) {
      return false;
    }
  }
  return true;
}

bool Descriptor::isCompact() const {
  int64_t stride = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    int64_t extent = getShape()[axis];
    if (extent > 1 && getStrides()[axis] != stride) {
      return isEmpty();
    }
    // It did not overflow for the tensor that it was taken from.
    stride *= extent;
  }
  return true;
}

bool attn::getNumBytes(const int64_t *shape, int rank, size_t width,
                       int64_t &bytes) {
  bytes = static_cast<int64_t>(width);
  bool isEmpty = false, fits = true;
  for (int axis = 0; axis < rank; ++axis) {
    if (shape[axis] < 0) {
      return false;
    }
    isEmpty = isEmpty || shape[axis] == 0;
    fits = fits && !__builtin_mul_overflow(bytes, shape[axis], &bytes);
  }
  bytes = isEmpty ? 0 : bytes;
  return isEmpty || fits;
}

bool attn::getSpan(const Descriptor &tensor, int64_t &low, int64_t &high) {
  low = high = 0;
  if (tensor.isEmpty()) {
    return true;
  }
  auto width = static_cast<int64_t>(tensor.getWidth());
  high = width;
  for (int axis = 0; axis < tensor.getRank(); ++axis) {
    int64_t last = tensor.getShape()[axis] - 1, reach = 0;
    if (last == 0) {
      continue; // its stride means nothing
    }
    if (__builtin_mul_overflow(tensor.getStrides()[axis], width, &reach) ||
        __builtin_mul_overflow(reach, last, &reach)) {
      return false;
    }
    int64_t &end = reach < 0 ? low : high;
    if (__builtin_add_overflow(end, reach, &end)) {
      return false;
    }
  }
  // The addresses themselves.
  Wide address = reinterpret_cast<uintptr_t>(tensor.getData());
  return address + low >= 0 && address + high <= Wide(UINTPTR_MAX);
}

namespace {

/// `coefficient * x` for x in [low, high], in bytes.
struct Term {
  Wide coefficient, low, high;
};

/// Terms by falling coefficient, those of one coefficient joined.
struct Terms {
  Term terms[2 * ATTN_MAX_RANK];
  int count = 0;

  void add(Wide coefficient, Wide low, Wide high) {
    int at = 0;
    while (at < count && terms[at].coefficient > coefficient) {
      ++at;
    }
    if (at < count && terms[at].coefficient == coefficient) {
      terms[at].low += low;
      terms[at].high += high;
      return;
    }
    std::memmove(terms + at + 1, terms + at, (count - at) * sizeof(Term));
    terms[at] = {coefficient, low, high};
    ++count;
  }

  /// Whether `rest` plus some value of the terms from `first` on lies in
  /// [low, high]. True when the search takes too long.
  bool reaches(int first, Wide rest, Wide low, Wide high, int &budget) const {
    if (--budget < 0) {
      return true;
    }
    if (first == count) {
      return rest >= low && rest <= high;
    }
    Wide minimum = 0, maximum = 0;
    for (int i = first + 1; i < count; ++i) {
      minimum += terms[i].coefficient * terms[i].low;
      maximum += terms[i].coefficient * terms[i].high;
    }
    const Term &term = terms[first];
    Wide from = divideUp(low - rest - maximum, term.coefficient);
    Wide to = divideDown(high - rest - minimum, term.coefficient);
    from = from > term.low ? from : term.low;
    to = to < term.high ? to : term.high;
    for (Wide x = from; x <= to; ++x) {
      if (reaches(first + 1, rest + term.coefficient * x, low, high, budget)) {
        return true;
      }
    }
    return false;
  }

  static Wide divideDown(Wide a, Wide b) { return a / b - (a % b < 0 ? 1 : 0); }
  static Wide divideUp(Wide a, Wide b) { return a / b + (a % b > 0 ? 1 : 0); }
};

/// Enters the axes of a tensor, with `sign` before their indices. Returns the
/// address where all strides count upwards.
Wide addAxes(Terms &terms, const Descriptor &tensor, int sign) {
  Wide base = reinterpret_cast<uintptr_t>(tensor.getData());
  for (int axis = 0; axis < tensor.getRank(); ++axis) {
    Wide last = tensor.getShape()[axis] - 1;
    Wide step =
        Wide(tensor.getStrides()[axis]) * static_cast<Wide>(tensor.getWidth());
    if (step < 0) {
      base += step * last;
      step = -step;
    }
    if (last > 0 && step != 0) {
      terms.add(step, sign < 0 ? -last : 0, sign < 0 ? 0 : last);
    }
  }
  return base;
}

} // namespace

bool attn::overlap(const Descriptor &a, const Descriptor &b) {
  int64_t lowA = 0, highA = 0, lowB = 0, highB = 0;
  if (!getSpan(a, lowA, highA) || !getSpan(b, lowB, highB)) {
    return true;
  }
  if (lowA == highA || lowB == highB ||
      a.getData() + highA <= b.getData() + lowB ||
      b.getData() + highB <= a.getData() + lowA) {
    return false;
  }
  Terms terms;
  Wide distance = addAxes(terms, a, 1) - addAxes(terms, b, -1);
  // Element starts that are this near to each other share a byte.
  Wide low = 1 - static_cast<Wide>(a.getWidth());
  Wide high = static_cast<Wide>(b.getWidth()) - 1;
  int budget = 4096;
  return terms.reaches(0, distance, low, high, budget);
}

bool attn::overlapsItself(const Descriptor &tensor) {
  if (tensor.isEmpty()) {
    return false;
  }
  Terms terms;
  addAxes(terms, tensor, 1);
  int axes = 0;
  for (int axis = 0; axis < tensor.getRank(); ++axis) {
    axes += tensor.getShape()[axis] > 1 ? 1 : 0;
  }
  // Two axes of one stride, or of none.
  if (axes != terms.count) {
    return true;
  }
  Wide reach = static_cast<Wide>(tensor.getWidth());
  for (int i = terms.count - 1; i >= 0; --i) {
    const Term &term = terms.terms[i];
    if (term.coefficient < reach) {
      return true;
    }
    reach += term.coefficient * term.high;
  }
  return false;
}

/// One axis after the other; `from` and `to` are where the elements begin.
static void copyAxes(const Descriptor &fromTensor, const Descriptor &toTensor,
                     int axis, const unsigned char *from, unsigned char *to) {
  size_t width = fromTensor.getWidth();
  if (axis == fromTensor.getRank()) {
    std::memcpy(to, from, width);
    return;
  }
  int64_t extent = fromTensor.getShape()[axis];
  int64_t fromStride = fromTensor.getStrides()[axis];
  int64_t toStride = toTensor.getStrides()[axis];
  // Axes from here on that lie compactly in both are one block.
  int64_t compact = 1;
  int last = fromTensor.getRank() - 1;
  while (last >= axis && fromTensor.getStrides()[last] == compact &&
         toTensor.getStrides()[last] == compact) {
    compact *= fromTensor.getShape()[last--];
  }
  if (last < axis) {
    std::memcpy(to, from, static_cast<size_t>(compact) * width);
    return;
  }
  for (int64_t i = 0; i < extent; ++i) {
    copyAxes(fromTensor, toTensor, axis + 1,
             from + i * fromStride * static_cast<int64_t>(width),
             to + i * toStride * static_cast<int64_t>(width));
  }
}

void attn::copyElements(const Descriptor &from, const Descriptor &to) {
  if (!from.isEmpty()) {
    copyAxes(from, to, 0, from.getData(), to.getData());
  }
}

const char *attn::getTypeName(DLDataType type, char (&buffer)[48]) {
  if (type.lanes == 1) {
    switch (type.code << 8 | type.bits) {
    case kDLFloat << 8 | 64:
      return "f64";
    case kDLFloat << 8 | 32:
      return "f32";
    case kDLFloat << 8 | 16:
      return "f16";
    case kDLBfloat << 8 | 16:
      return "bf16";
    case ATTN_DL_FLOAT8_E4M3FN << 8 | 8:
      return "f8E4M3FN";
    case ATTN_DL_FLOAT8_E5M2 << 8 | 8:
      return "f8E5M2";
    case ATTN_DL_BOOL << 8 | 8:
      return "bool";
    default:
      break;
    }
    if (type.code == kDLInt || type.code == kDLUInt) {
      std::snprintf(buffer, sizeof(buffer), "%sint%u",
                    type.code == kDLUInt ? "u" : "", type.bits);
      return buffer;
    }
  }
  std::snprintf(buffer, sizeof(buffer), "a type of code %u, %u bits, %u lanes",
                type.code, type.bits, type.lanes);
  return buffer;
}
