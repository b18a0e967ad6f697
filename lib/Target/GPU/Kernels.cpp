//===- Kernels.cpp - kernels and their launches ---------------------------===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "attn/Target/GPU/Passes.h"

using namespace mlir;
using namespace mlir::attn;
using namespace mlir::attn::gpu_target;

/// The module of kernels beside the functions that launch them.
static gpu::GPUModuleOp getKernels(ModuleOp module) {
  if (auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernelModule)) {
    return kernels;
  }
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  return gpu::GPUModuleOp::create(builder, module.getLoc(), kKernelModule);
}

LogicalResult gpu_target::createKernel(
    Emit &host, ModuleOp module, StringRef name, Value blocks, int64_t threads,
    ValueRange operands,
    llvm::function_ref<LogicalResult(Emit &, ValueRange)> body) {
  Emit e(host.getLoc(), host.getContext());
  e.setInsertionPointToEnd(getKernels(module).getBody());
  auto function = gpu::GPUFuncOp::create(
      e, name, e.getFunctionType(operands.getTypes(), {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), e.getUnitAttr());
  function.setKnownBlockSize(ArrayRef<int32_t>{int32_t(threads), 1, 1});
  // As many as there are: ptxas may stop short of spilling, else.
  function->setAttr("nvvm.maxnreg", e.getI32IntegerAttr(255));
  e.setInsertionPointToStart(&function.getBody().front());
  if (failed(body(e, function.getArguments()))) {
    function.erase();
    return failure();
  }
  gpu::ReturnOp::create(e);

  // A grid has one block at least.
  Value one = host.index(1);
  host.ifThen(host.less(host.index(0), blocks), [&] {
    gpu::LaunchFuncOp::create(
        host, function, gpu::KernelDim3{blocks, one, one},
        gpu::KernelDim3{host.index(threads), one, one},
        /*dynamicSharedMemorySize=*/host.constant(host.getI32Type(), 0.0),
        operands);
  });
  return success();
}
