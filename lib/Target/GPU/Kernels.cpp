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

void gpu_target::createThreadKernel(
    Emit &host, ModuleOp module, StringRef name, Value count, int64_t threads,
    ValueRange operands,
    llvm::function_ref<void(Emit &, Value, ValueRange)> body) {
  Value blocks = host.div(host.add(count, threads - 1), threads);
  SmallVector<Value> all(operands);
  all.push_back(count);
  auto write = [&](Emit &e, ValueRange arguments) {
    Value block = gpu::BlockIdOp::create(e, gpu::Dimension::x);
    Value thread = gpu::ThreadIdOp::create(e, gpu::Dimension::x);
    Value number = e.add(e.mul(block, threads), thread);
    e.ifThen(e.less(number, arguments.back()),
             [&] { body(e, number, arguments.drop_back()); });
    return success();
  };
  (void)createKernel(host, module, name, blocks, threads, all, write);
}

Value gpu_target::takeIndex(Emit &e, Value &number, Value extent) {
  Value index = arith::RemUIOp::create(e, number, extent);
  number = arith::DivUIOp::create(e, number, extent);
  return index;
}
