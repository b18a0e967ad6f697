// Kernels in the LLVM and NVVM dialects, without calls of libdevice.
// RUN: attn-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(gpu.module(attn-kernels-to-nvvm))" | FileCheck %s

gpu.module @kernels {
  // CHECK-LABEL: llvm.func @reduce(
  // CHECK: nvvm.read.ptx.sreg.tid.x
  // CHECK: nvvm.shfl.sync bfly
  // CHECK: llvm.intr.maximum
  // CHECK: llvm.intr.sqrt
  // CHECK-NOT: __nv_
  gpu.func @reduce(%x: memref<?xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %i = gpu.thread_id x
    %0 = memref.load %x[%i] : memref<?xf32>
    %one = arith.constant 1 : i32
    %width = arith.constant 32 : i32
    %1, %valid = gpu.shuffle xor %0, %one, %width : f32
    %2 = arith.maximumf %0, %1 : f32
    %3 = math.sqrt %2 : f32
    memref.store %3, %x[%i] : memref<?xf32>
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @erf(%x: memref<f32>) kernel {
    %0 = memref.load %x[] : memref<f32>
    // expected-error @+1 {{NVIDIA GPUs have no instruction for erff, and no polynomial stands for it}}
    %1 = math.erf %0 : f32
    memref.store %1, %x[] : memref<f32>
    gpu.return
  }
}
