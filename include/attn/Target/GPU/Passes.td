//===- Passes.td - the GPU targets -------------------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_GPU_PASSES_TD
#define ATTN_TARGET_GPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def StreamToTilesPass : Pass<"attn-stream-to-tiles", "ModuleOp"> {
  let summary = "streams as GPU kernels over tiles";
  let description = [{
    Each stream becomes a kernel of the module `attn_kernels` and its launch. A
    block has the rows of one tile; the streamed axis is a loop over tiles of
    keys, which go to shared memory. The scalar program of a sweep is written
    once for full and once for partial tiles, on tensors whose encoding says
    which thread holds what. Products of 16-bit floats run on tensor cores;
    others are multiplied and added in the type of the program.

    What this level cannot express is an error that names the op.
  }];
  let dependentDialects = ["tile::TileDialect", "gpu::GPUDialect",
                           "scf::SCFDialect", "arith::ArithDialect",
                           "math::MathDialect", "memref::MemRefDialect"];
}

def DistributeTilesPass : Pass<"attn-distribute-tiles", "gpu::GPUModuleOp"> {
  let summary = "tiles as the scalars of each thread";
  let description = [{
    Every value of the tile dialect becomes as many scalars as a thread holds of
    it; `arith` and `math` are repeated for each. Reductions end in shuffles,
    contractions are mma.sync on fragments or loops of multiply-adds, copies are
    cp.async of 16 bytes where addresses allow it. Shared buffers get their
    places in dynamic workgroup memory, whose size the launches pass.
  }];
  let dependentDialects = ["gpu::GPUDialect", "scf::SCFDialect",
                           "arith::ArithDialect", "memref::MemRefDialect",
                           "nvgpu::NVGPUDialect", "vector::VectorDialect"];
}

def KernelsToNVVMPass : Pass<"attn-kernels-to-nvvm", "gpu::GPUModuleOp"> {
  let summary = "kernels of scalars to the LLVM and NVVM dialects";
  let description = [{
    As `convert-gpu-to-nvvm`, without calls of libdevice: `math.exp2` of f32 is
    ex2.approx, and what NVPTX has no instruction for is an error here.
  }];
  let dependentDialects = ["LLVM::LLVMDialect", "NVVM::NVVMDialect"];
}

#endif // ATTN_TARGET_GPU_PASSES_TD
