// RUN: attn-opt %s --attn-emulate-gpu | FileCheck %s

// A CPU would carry the bf16 from block to block as an f32, and lose subnormal
// numbers on the way back.

module attributes {gpu.container_module} {
  gpu.module @kernels {
    // CHECK-LABEL: llvm.func internal @kernels_either
    // CHECK: llvm.load %{{.*}} : !llvm.ptr -> i16
    // CHECK: llvm.select %{{.*}}, %{{.*}}, %{{.*}} : i1, i16
    // CHECK: llvm.cond_br %{{.*}}, ^bb2(%{{.*}} : i16), ^bb1
    // CHECK: llvm.store %{{.*}}, %{{.*}} : i16, !llvm.ptr
    llvm.func @either(%flag: i1, %x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %zero = llvm.mlir.constant(0.0 : bf16) : bf16
      %value = llvm.load %x : !llvm.ptr -> bf16
      %chosen = llvm.select %flag, %value, %zero : i1, bf16
      llvm.cond_br %flag, ^bb2(%chosen : bf16), ^bb1
    ^bb1:
      llvm.br ^bb2(%zero : bf16)
    ^bb2(%moved: bf16):
      llvm.store %moved, %x : bf16, !llvm.ptr
      llvm.return
    }
  }
}
