//===- Passes.td - the emulated GPU ------------------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_EMULATOR_PASSES_TD
#define ATTN_TARGET_EMULATOR_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmulateGPUPass : Pass<"attn-emulate-gpu", "ModuleOp"> {
  let summary = "GPU kernels become functions of the host";
  let description = [{
    Takes kernels in the LLVM and NVVM dialects, the very module that would be
    serialised, and makes each a function for one thread of the host: loads,
    stores, registers, barriers, shuffles, matrix products and asynchronous
    copies are calls of the emulator in the runtime library. Every
    `gpu.launch_func` becomes a call of `attn_emulator_launch`, which runs the
    threads of each block as fibers, and knows the extents of the buffers that
    the kernel was given.

    An op that the emulator has no counterpart of is an error.
  }];
  let dependentDialects = ["LLVM::LLVMDialect"];
}

#endif // ATTN_TARGET_EMULATOR_PASSES_TD
