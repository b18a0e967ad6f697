//===- ElementType.cpp - numbers that programs exchange -------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "attn/Compiler/ElementType.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace mlir::attn;

int64_t attn::getByteWidth(ElementType type) {
  switch (type) {
  case ElementType::F64:
  case ElementType::I64:
  case ElementType::Index:
    return 8;
  case ElementType::F32:
  case ElementType::I32:
    return 4;
  case ElementType::F16:
  case ElementType::BF16:
    return 2;
  case ElementType::F8E4M3:
  case ElementType::F8E5M2:
  case ElementType::I8:
  case ElementType::I1:
    return 1;
  }
  llvm_unreachable("all element types are handled");
}

bool attn::isFloat(ElementType type) {
  return type == ElementType::F64 || type == ElementType::F32 ||
         type == ElementType::F16 || type == ElementType::BF16 ||
         type == ElementType::F8E4M3 || type == ElementType::F8E5M2;
}

StringRef attn::getName(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return "f64";
  case ElementType::F32:
    return "f32";
  case ElementType::F16:
    return "f16";
  case ElementType::BF16:
    return "bf16";
  case ElementType::F8E4M3:
    return "f8E4M3FN";
  case ElementType::F8E5M2:
    return "f8E5M2";
  case ElementType::I64:
    return "i64";
  case ElementType::I32:
    return "i32";
  case ElementType::I8:
    return "i8";
  case ElementType::Index:
    return "index";
  case ElementType::I1:
    return "i1";
  }
  llvm_unreachable("all element types are handled");
}

std::optional<ElementType> attn::getElementType(Type type) {
  if (type.isF64()) {
    return ElementType::F64;
  }
  if (type.isF32()) {
    return ElementType::F32;
  }
  if (type.isF16()) {
    return ElementType::F16;
  }
  if (type.isBF16()) {
    return ElementType::BF16;
  }
  if (isa<Float8E4M3FNType>(type)) {
    return ElementType::F8E4M3;
  }
  if (isa<Float8E5M2Type>(type)) {
    return ElementType::F8E5M2;
  }
  if (type.isSignlessInteger(64)) {
    return ElementType::I64;
  }
  if (type.isSignlessInteger(32)) {
    return ElementType::I32;
  }
  if (type.isSignlessInteger(8)) {
    return ElementType::I8;
  }
  if (type.isIndex()) {
    return ElementType::Index;
  }
  if (type.isSignlessInteger(1)) {
    return ElementType::I1;
  }
  return std::nullopt;
}

double attn::getEpsilon(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return 0x1p-52;
  case ElementType::F32:
    return 0x1p-23;
  case ElementType::F16:
    return 0x1p-10;
  case ElementType::BF16:
    return 0x1p-7;
  case ElementType::F8E4M3:
    return 0x1p-3;
  case ElementType::F8E5M2:
    return 0x1p-2;
  default:
    return 0.0;
  }
}
