//===- LaunchArguments.h - what a launch passes -----------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What launches have in common, on devices and emulated. Arguments travel in a
// struct on the stack, with an array of pointers to its fields:
//
//   fields    = { pointer, pointer, offset, size, stride, ... }
//   arguments = [ &fields[0], &fields[1], ... ]
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_DEVICE_LAUNCHARGUMENTS_H
#define ATTN_TARGET_DEVICE_LAUNCHARGUMENTS_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::attn {

/// Writes values of the LLVM dialect before a launch.
class LaunchArguments {
public:
  /// `who` cannot take what is not converted: "the emulated GPU".
  LaunchArguments(gpu::LaunchFuncOp op, StringRef who)
      : b(op.getLoc(), op), pointer(LLVM::LLVMPointerType::get(b.getContext())),
        op(op), who(who), converter(op.getContext()) {}

  /// The operands, buffers as the words of their descriptors. `visit` is told
  /// each operand, and where its values begin.
  LogicalResult collect(
      function_ref<void(int64_t number, Value operand, size_t first)> visit =
          nullptr);
  /// Whether the values are what a kernel of these arguments takes.
  LogicalResult check(ArrayRef<Type> wanted);
  /// An array of pointers to all values.
  Value packArguments();
  /// An array of i64: blocks and threads along x, y and z, `more`, and the
  /// bytes of dynamic shared memory.
  Value packSizes(ArrayRef<int64_t> more = {});

  Value i64(int64_t value);

  ImplicitLocOpBuilder b;
  Type pointer;
  SmallVector<Value> values;

private:
  /// Memory for one value, taken once for each call of the function.
  Value slot(Type type);

  gpu::LaunchFuncOp op;
  StringRef who;
  LLVMTypeConverter converter;
};

/// A declaration in the host's module.
LLVM::LLVMFuncOp declareOnHost(ModuleOp host, StringRef name,
                               LLVM::LLVMFunctionType type);

} // namespace mlir::attn

#endif // ATTN_TARGET_DEVICE_LAUNCHARGUMENTS_H
