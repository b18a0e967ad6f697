//===- Passes.td - launches on devices ---------------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_DEVICE_PASSES_TD
#define ATTN_TARGET_DEVICE_PASSES_TD

include "mlir/Pass/PassBase.td"

def LaunchOnDevicePass : Pass<"attn-launch-on-device", "ModuleOp"> {
  let summary = "Launches become calls of the runtime library";
  let description = [{
    Makes host code of functions whose tensors are on a device: every
    `gpu.launch_func` becomes a call of `attn_device_launch`, with the number of
    the kernel among those of its module, and every constant that is passed to
    one is copied to the device by `attn_device_constant`. Buffers stay
    allocations, which the runtime makes on the device.

    Such code reads elements of tensors by `attn_device_read`, which waits for
    the device, and does nothing else with them: an op that does is an error. The lists by which deallocation compares buffers are put on the
    stack.
  }];
  let dependentDialects = ["LLVM::LLVMDialect", "arith::ArithDialect",
                           "memref::MemRefDialect"];
}

#endif // ATTN_TARGET_DEVICE_PASSES_TD
