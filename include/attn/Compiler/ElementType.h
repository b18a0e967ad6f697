//===- ElementType.h - numbers that programs exchange -----------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_COMPILER_ELEMENTTYPE_H
#define ATTN_COMPILER_ELEMENTTYPE_H

#include "mlir/Support/LLVM.h"
#include <cstdint>
#include <optional>

namespace mlir {
class Type;
} // namespace mlir

namespace mlir::attn {

/// The element types that programs exchange with the outside.
enum class ElementType {
  F64,
  F32,
  F16,
  BF16,
  F8E4M3,
  F8E5M2,
  I64,
  I32,
  I8,
  Index,
  I1
};

/// Bytes of one element in memory (an i1 takes one).
int64_t getByteWidth(ElementType type);
bool isFloat(ElementType type);
/// The MLIR spelling: f32, bf16, index, ...
StringRef getName(ElementType type);
std::optional<ElementType> getElementType(Type type);
/// The distance from 1 to the next larger number; 0 for integers.
double getEpsilon(ElementType type);

} // namespace mlir::attn

#endif // ATTN_COMPILER_ELEMENTTYPE_H
