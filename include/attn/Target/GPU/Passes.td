//===- Passes.td - the GPU targets -------------------------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_TARGET_GPU_PASSES_TD
#define ATTN_TARGET_GPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def GPUPass_Chip : Option<"chip", "chip", "std::string", "\"sm_80\"",
  "The GPU, in LLVM's naming: sm_80, gfx942">;

def StreamToTilesPass : Pass<"attn-stream-to-tiles", "ModuleOp"> {
  let summary = "streams as GPU kernels over tiles";
  let description = [{
    Each stream becomes a kernel of the module `attn_kernels` and its launch. A
    block has the rows of one tile; the streamed axis is a loop over tiles of
    keys, which go to shared memory. The scalar program of a sweep is written
    once for full and once for partial tiles, on tensors whose encoding says
    which thread holds what. Products of 16-bit floats run on tensor cores;
    others are multiplied and added in the type of the program.

    Where a block has little memory to share, as on AMD's GPUs, tiles are as
    large as fit it.

    A stream that tiles cannot express becomes a kernel in which a thread
    computes each row as it is written; a warning names what stands in the way.
  }];
  let options = [GPUPass_Chip, Option<"tensorCores", "tensor-cores", "bool", "true",
    "Products of 16-bit floats on tensor cores; else as multiply-adds">];
  let dependentDialects = ["tile::TileDialect", "gpu::GPUDialect",
                           "scf::SCFDialect", "arith::ArithDialect",
                           "math::MathDialect", "memref::MemRefDialect"];
}

def WidenTalliesPass : Pass<"attn-widen-tallies", "func::FuncOp"> {
  let summary = "sums that many rows share, in f64";
  let description = [{
    Threads add the entries of a tally one by one to one number, in the order in
    which they come. In f32 the errors of that would be a multiple of those of
    sums by rows; so the output is one of f64, from which a kernel afterwards
    rounds.
  }];
  let dependentDialects = ["arith::ArithDialect", "linalg::LinalgDialect",
                           "tensor::TensorDialect"];
}

def PipelineTilesPass : Pass<"attn-pipeline-tiles", "ModuleOp"> {
  let summary = "loops over tiles that bring the next one while they compute";
  let description = [{
    Every `tile.visit` becomes a loop. What it brings goes through a
    `tile.channel` of several stages, so that copies are under way while the
    threads of the block compute on earlier ones; threads meet once per tile. With
    one stage, tiles are waited for where they are asked for, which is the place
    to begin with when results are wrong.

    With `roles`, a warp more in each block brings the tiles (`tile.roles`), and
    the others compute and no longer meet once per tile: the loop is there twice.
    A kernel in which what is brought depends on what is computed stays as it is,
    with a remark that says so. It is off by default: nobody has measured it on
    hardware. AMD's GPUs have no barriers in shared memory and refuse it.
  }];
  let options = [GPUPass_Chip,
    Option<"roles", "roles", "bool", "false",
           "A warp of its own brings tiles, where a kernel allows it">,
    Option<"stages", "stages", "int64_t", "0",
           "Stages of each channel; 0 chooses up to three by the memory there is">,
    Option<"blockBytes", "block-bytes", "int64_t", "101376",
           "Shared memory that a block may have">,
    Option<"multiprocessorBytes", "multiprocessor-bytes", "int64_t", "102400",
           "Shared memory of a multiprocessor">
  ];
  let dependentDialects = ["tile::TileDialect", "gpu::GPUDialect",
                           "scf::SCFDialect", "arith::ArithDialect"];
}

def DistributeTilesPass : Pass<"attn-distribute-tiles", "ModuleOp"> {
  let summary = "tiles as the scalars of each thread";
  let description = [{
    Every value of the tile dialect becomes as many scalars as a thread holds of
    it; `arith` and `math` are repeated for each. Reductions end in shuffles,
    contractions are mma.sync (MFMA, WMMA) on fragments or loops of multiply-adds,
    copies are of 16 bytes where addresses allow it, as cp.async or by way of
    registers. The stages of channels are groups of copies (cp.async), with a
    barrier where threads wait, or the barriers alone. Between roles they are
    barriers in shared memory (mbarrier), at which copies arrive; rows of whole
    vectors are copied in bulk on sm_90. Shared buffers get their
    places in dynamic workgroup memory, whose size the launches pass; those that
    are in use one after the other get the same one, with a barrier between.
  }];
  let options = [GPUPass_Chip];
  let dependentDialects = ["gpu::GPUDialect", "scf::SCFDialect",
                           "arith::ArithDialect", "memref::MemRefDialect",
                           "math::MathDialect", "nvgpu::NVGPUDialect",
                           "LLVM::LLVMDialect", "NVVM::NVVMDialect",
                           "ROCDL::ROCDLDialect",
                           "vector::VectorDialect"];
}

def LinalgToGPUPass : Pass<"attn-linalg-to-gpu", "ModuleOp"> {
  let summary = "linalg.generic on buffers as plain GPU kernels";
  let description = [{
    What stands around streams: each op becomes a kernel with one thread per
    element of its parallel loops, which runs the reductions of its element in
    order. It has to exist and does not dominate. Copies of buffers are such
    ops, too.
  }];
  let dependentDialects = ["gpu::GPUDialect", "scf::SCFDialect",
                           "arith::ArithDialect", "affine::AffineDialect",
                           "memref::MemRefDialect", "linalg::LinalgDialect"];
}

def LoopsToGPUPass : Pass<"attn-loops-to-gpu", "ModuleOp"> {
  let summary = "loops over buffers as plain GPU kernels";
  let description = [{
    Whatever else a program does with elements of its tensors: `scf.parallel`
    becomes a kernel with a thread per iteration, other loops and single stores
    kernels of one thread. Buffers that a loop allocates are parts of one that
    the host allocates for all threads.

    What the host needs of tensors to go on, as the bound of a loop around
    streams or the size of a buffer, it loads, with a warning: it has to wait for
    the GPU there. Loops whose iterations allocate buffers of such a size stay on
    the host.
  }];
  let dependentDialects = ["gpu::GPUDialect", "scf::SCFDialect",
                           "arith::ArithDialect", "memref::MemRefDialect"];
}

def GPUMathPass : Pass<"attn-gpu-math", "gpu::GPUModuleOp"> {
  let summary = "elementary functions as GPUs compute them";
  let description = [{
    `math.exp2` of f32, and of narrower floats through it, becomes ex2.approx,
    whose error is at most 2 ulp and which keeps subnormal results, or AMD's
    v_exp_f32 (1 ulp), for which they are 0. The
    other functions of `math`, and `arith.remf`, are computed in f64, but for
    `exp`, `log`, `log2` and `tanh` of narrower floats, which are left for
    `attn-cpu-expand-math` with `isa=generic`. Errors are below 2 ulp of f64 (of
    `erfc`, 5), and remainders are exact; `sin`, `cos` and `tan` are NaN from 2^52
    on.
    Whole powers are products of squares, `round` and `trunc` a floor.
  }];
  let options = [GPUPass_Chip];
  let dependentDialects = ["LLVM::LLVMDialect", "arith::ArithDialect",
                           "math::MathDialect", "ROCDL::ROCDLDialect"];
}

def KernelsToROCDLPass : Pass<"attn-kernels-to-rocdl", "gpu::GPUModuleOp"> {
  let summary = "kernels of scalars to the LLVM and ROCDL dialects";
  let description = [{
    As `convert-gpu-to-rocdl`, without calls of AMD's device libraries: a
    function of `math` that is no instruction is an error. The module's target is
    the chip, from which the emulator knows the size of a wave.
  }];
  let options = [GPUPass_Chip];
  let dependentDialects = ["LLVM::LLVMDialect", "ROCDL::ROCDLDialect"];
}

def KernelsToNVVMPass : Pass<"attn-kernels-to-nvvm", "gpu::GPUModuleOp"> {
  let summary = "kernels of scalars to the LLVM and NVVM dialects";
  let description = [{
    As `convert-gpu-to-nvvm`, without calls of libdevice, which nobody has to
    have installed: a function of `math` that is no instruction is an error.
  }];
  let dependentDialects = ["LLVM::LLVMDialect", "NVVM::NVVMDialect"];
}

#endif // ATTN_TARGET_GPU_PASSES_TD
