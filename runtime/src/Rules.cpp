//===- Rules.cpp - the values of indices ----------------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A wrong page number would be read as another page, so tables, lists and
// lengths are looked through before a call. That is memory-bound: the common
// case takes the minimum and maximum of whole rows, and only a row that breaks
// the rule is searched for where.
//
//===----------------------------------------------------------------------===//

#include "Binding.h"
#include "Status.h"
#include <cstdio>

using namespace attn;

namespace {

const char *getName(attn_rule_kind kind) {
  switch (kind) {
  case ATTN_RULE_PAGE_TABLE:
    return "page table";
  case ATTN_RULE_LIST:
    return "list";
  case ATTN_RULE_HEAD_MAP:
    return "head map";
  case ATTN_RULE_LENGTHS:
    return "length";
  case ATTN_RULE_OFFSETS:
    return "offset";
  case ATTN_RULE_INDEX:
    break;
  }
  return "index";
}

/// A row that broke its rule, or not.
constexpr int64_t kGood = -1;

/// The first element of a row that breaks the rule.
template <typename T>
int64_t findBroken(const T *row, int64_t extent, int64_t stride, int64_t low,
                   int64_t high, bool ascending) {
  for (int64_t i = 0; i < extent; ++i) {
    auto value = static_cast<int64_t>(row[i * stride]);
    if (value < low || value > high ||
        (ascending && i > 0 &&
         value < static_cast<int64_t>(row[(i - 1) * stride]))) {
      return i;
    }
  }
  return kGood;
}

template <typename T>
int64_t checkRow(const T *row, int64_t extent, int64_t stride, int64_t low,
                 int64_t high, bool ascending) {
  if (stride == 1 && !ascending) {
    T smallest = row[0], largest = row[0];
    for (int64_t i = 1; i < extent; ++i) {
      smallest = row[i] < smallest ? row[i] : smallest;
      largest = row[i] > largest ? row[i] : largest;
    }
    if (static_cast<int64_t>(smallest) >= low &&
        static_cast<int64_t>(largest) <= high) {
      return kGood;
    }
  }
  return findBroken(row, extent, stride, low, high, ascending);
}

int64_t checkRow(DLDataType type, const unsigned char *row, int64_t extent,
                 int64_t stride, int64_t low, int64_t high, bool ascending) {
  auto check = [&](auto sample) {
    using T = decltype(sample);
    return checkRow(reinterpret_cast<const T *>(row), extent, stride, low, high,
                    ascending);
  };
  bool isSigned = type.code == kDLInt;
  switch (type.bits) {
  case 8:
    return isSigned ? check(int8_t()) : check(uint8_t());
  case 16:
    return isSigned ? check(int16_t()) : check(uint16_t());
  case 32:
    return isSigned ? check(int32_t()) : check(uint32_t());
  default:
    return check(int64_t());
  }
}

attn_status report(const attn_function &function, const Rule &rule,
                   DLDataType type, const int64_t *index, int rank,
                   int64_t stride, const unsigned char *element, int64_t low,
                   int64_t high) {
  // " at [1, 2]", and nothing for a scalar.
  char place[ATTN_MAX_RANK * 24 + 8] = "";
  int length = 0;
  for (int axis = 0; axis < rank; ++axis) {
    length += std::snprintf(place + length, sizeof(place) - length, "%s%lld%s",
                            axis ? ", " : " at [",
                            static_cast<long long>(index[axis]),
                            axis + 1 == rank ? "]" : "");
  }
  const char *name = function.arguments[rule.argument].info.name;
  int64_t value = readInteger(type, element);
  if (value >= low && value <= high) {
    auto width = static_cast<int64_t>(type.bits / 8);
    int64_t before = readInteger(type, element - stride * width);
    return fail(ATTN_INVALID_ARGUMENT,
                "%s '%s' of '%s' falls from %lld to %lld%s", getName(rule.kind),
                name, function.name, static_cast<long long>(before),
                static_cast<long long>(value), place);
  }
  return fail(
      ATTN_INVALID_ARGUMENT,
      "%s '%s' of '%s' has %lld%s, allowed are %lld to %lld%s",
      getName(rule.kind), name, function.name, static_cast<long long>(value),
      place, static_cast<long long>(low), static_cast<long long>(high),
      rule.kind == ATTN_RULE_PAGE_TABLE ? "; -1 stands for no page" : "");
}

} // namespace

attn_status attn::checkRule(const attn_function &function, const Rule &rule,
                            const Descriptor &tensor, int64_t low,
                            int64_t high) {
  const Parameter &argument = function.arguments[rule.argument];
  DLDataType type = argument.info.type;
  auto width = static_cast<int64_t>(tensor.getWidth());
  if (argument.isScalar()) {
    auto *value = reinterpret_cast<const unsigned char *>(tensor.getWords());
    return checkRow(type, value, 1, 1, low, high, false) == kGood
               ? ATTN_OK
               : report(function, rule, type, nullptr, 0, 0, value, low, high);
  }
  if (tensor.isEmpty()) {
    return ATTN_OK;
  }
  int outer = tensor.getRank() > 0 ? tensor.getRank() - 1 : 0;
  int64_t extent = tensor.getRank() > 0 ? tensor.getShape()[outer] : 1;
  int64_t stride = tensor.getRank() > 0 ? tensor.getStrides()[outer] : 1;
  int64_t index[ATTN_MAX_RANK] = {};
  const unsigned char *row = tensor.getData();
  while (true) {
    int64_t broken =
        checkRow(type, row, extent, stride, low, high, rule.ascending);
    if (broken != kGood) {
      index[outer] = broken;
      return report(function, rule, type, index, tensor.getRank(), stride,
                    row + broken * stride * width, low, high);
    }
    // The next row.
    int axis = outer - 1;
    for (; axis >= 0; --axis) {
      int64_t step = tensor.getStrides()[axis],
              last = tensor.getShape()[axis] - 1;
      if (index[axis] < last) {
        ++index[axis];
        row += step * width;
        break;
      }
      row -= step * last * width;
      index[axis] = 0;
    }
    if (axis < 0) {
      return ATTN_OK;
    }
  }
}
