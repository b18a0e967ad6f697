// Kernels in the LLVM and ROCDL dialects, without calls of device libraries.
// RUN: attn-opt %s --split-input-file --verify-diagnostics --pass-pipeline="builtin.module(gpu.module(attn-kernels-to-rocdl{chip=gfx942}))" | FileCheck %s
// RUN: not attn-opt %s --split-input-file --pass-pipeline="builtin.module(gpu.module(attn-kernels-to-rocdl{chip=sm_80}))" 2>&1 | FileCheck %s --check-prefix=VENDOR
// RUN: not attn-opt %s --split-input-file --pass-pipeline="builtin.module(gpu.module(attn-kernels-to-rocdl{chip=gfx1}))" 2>&1 | FileCheck %s --check-prefix=CHIP
// VENDOR: error: 'sm_80' is no GPU of AMD
// CHIP: error: 'gfx1' is none of the GPUs sm_80, {{.*}}gfx1201

// The chip is the module's target; what the host passes is in global memory.
// CHECK: gpu.module @kernels [#rocdl.target<chip = "gfx942">]
gpu.module @kernels {
  // CHECK-LABEL: llvm.func @double(
  // CHECK-SAME: !llvm.ptr<1>, %{{[a-z0-9]+}}: !llvm.ptr<1>, %{{[a-z0-9]+}}: i64
  // CHECK-SAME: rocdl.flat_work_group_size = "64,64"
  // CHECK-NOT: nvvm
  // CHECK: rocdl.workitem.id.x
  // CHECK: rocdl.barrier
  // CHECK: llvm.intr.sqrt
  // A slot of the thread is in memory of its own.
  // CHECK: llvm.alloca {{.*}} -> !llvm.ptr<5>
  // CHECK: llvm.addrspacecast {{.*}} : !llvm.ptr<5> to !llvm.ptr
  // CHECK-NOT: __ocml_
  gpu.func @double(%x: memref<?xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>, nvvm.maxnreg = 255 : i32} {
    %i = gpu.thread_id x
    %0 = memref.load %x[%i] : memref<?xf32>
    gpu.barrier
    %1 = math.sqrt %0 : f32
    %slot = memref.alloca() : memref<4xf32>
    memref.store %1, %slot[%i] : memref<4xf32>
    %2 = memref.load %slot[%i] : memref<4xf32>
    memref.store %2, %x[%i] : memref<?xf32>
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @erf(%x: memref<f32>) kernel {
    %0 = memref.load %x[] : memref<f32>
    // expected-error @+1 {{AMD GPUs have no instruction for erf_f32, and no polynomial stands for it}}
    %1 = math.erf %0 : f32
    memref.store %1, %x[] : memref<f32>
    gpu.return
  }
}
