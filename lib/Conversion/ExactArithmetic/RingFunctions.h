//===- RingFunctions.h - long ring operations as functions ------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_CONVERSION_EXACTARITHMETIC_RINGFUNCTIONS_H
#define ATTN_LIB_CONVERSION_EXACTARITHMETIC_RINGFUNCTIONS_H

#include "Ring.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::attn::exact {

/// A power of 5 by its bits is a hundred instructions. One private function per
/// operation and type, in the module that is nearest, holds them, and calls stand
/// where the value is needed.
class RingFunctions {
public:
  using Unary = Value (Ring::*)(Value);
  using Binary = Value (Ring::*)(Value, Value);

  Value call(OpBuilder &builder, Location loc, StringRef name, Unary function,
             Value x);
  Value call(OpBuilder &builder, Location loc, StringRef name, Binary function,
             Value x, Value y);

private:
  Value call(OpBuilder &builder, Location loc, StringRef name,
             ValueRange operands, function_ref<Value(Ring &, ValueRange)> body);

  /// Kernels of GPUs see the functions of their own module only.
  SymbolTableCollection tables;
};

} // namespace mlir::attn::exact

#endif // ATTN_LIB_CONVERSION_EXACTARITHMETIC_RINGFUNCTIONS_H
