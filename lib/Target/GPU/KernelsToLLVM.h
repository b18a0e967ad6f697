//===- KernelsToLLVM.h - kernels of scalars to LLVM -------------*- C++ -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_LIB_TARGET_GPU_KERNELSTOLLVM_H
#define ATTN_LIB_TARGET_GPU_KERNELSTOLLVM_H

#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::attn::gpu_target {

/// A vendor's library of functions, which nobody has to have installed.
struct DeviceLibrary {
  StringRef vendor, prefix;
  /// LLVM's name for the threads of one device.
  StringRef deviceScope;
  /// Attributes of atomic operations which say that buffers lie in the memory
  /// of the device, so that they need be no loops.
  ArrayRef<StringRef> assurances;
};

using PopulateFn =
    llvm::function_ref<void(const LLVMTypeConverter &, RewritePatternSet &)>;

/// Converts all that kernels consist of, with the patterns of `populate` for
/// what is the GPU's own. A call of the vendor's library is an error.
LogicalResult convertKernels(gpu::GPUModuleOp module,
                             LLVMTypeConverter &converter,
                             LLVMConversionTarget &target, PopulateFn populate,
                             const DeviceLibrary &library);

} // namespace mlir::attn::gpu_target

#endif // ATTN_LIB_TARGET_GPU_KERNELSTOLLVM_H
