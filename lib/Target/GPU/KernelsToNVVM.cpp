//===- KernelsToNVVM.cpp - attn-kernels-to-nvvm ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What convert-gpu-to-nvvm does, without libdevice: functions are instructions
// (attn-gpu-math) or polynomials (attn-cpu-expand-math) by now.
//
//===----------------------------------------------------------------------===//

#include "KernelsToLLVM.h"
#include "attn/Target/GPU/Passes.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace mlir::attn {
#define GEN_PASS_DEF_KERNELSTONVVMPASS
#include "attn/Target/GPU/Passes.h.inc"
} // namespace mlir::attn

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

namespace {

struct KernelsToNVVMPass
    : attn::impl::KernelsToNVVMPassBase<KernelsToNVVMPass> {
  using Base::Base;
  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    LowerToLLVMOptions options(&getContext(), DataLayout(module));
    LLVMTypeConverter converter(&getContext(), options);
    configureGpuToNVVMTypeConverter(converter);
    LLVMConversionTarget target(getContext());
    configureGpuToNVVMConversionLegality(target);
    target.addLegalDialect<NVVM::NVVMDialect>();
    auto populate = [](const LLVMTypeConverter &types,
                       RewritePatternSet &patterns) {
      populateGpuToNVVMConversionPatterns(types, patterns);
    };
    if (failed(convertKernels(module, converter, target, populate,
                              {"NVIDIA", "__nv_", "device", {}}))) {
      signalPassFailure();
    }
  }
};

} // namespace
