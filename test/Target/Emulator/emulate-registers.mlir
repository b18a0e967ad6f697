// RUN: attn-opt %s -attn-emulate-gpu | FileCheck %s

// The kernel's description has the registers that a thread has at first, and the blocks of a cluster.
module attributes {gpu.container_module} {
  func.func @main(%n: index) {
    gpu.launch_func @m::@k blocks in (%n, %n, %n) threads in (%n, %n, %n)
    return
  }
  gpu.module @m {
    // CHECK: llvm.func internal @m_k
    // CHECK-NOT: nvvm
    llvm.func @k() attributes {gpu.kernel, nvvm.kernel, nvvm.maxnreg = 168 : i32, nvvm.cluster_dim = array<i32: 2, 1, 1>} {
      // CHECK: %[[MOST:.*]] = llvm.mlir.constant(240 : i32)
      // CHECK: %[[MORE:.*]] = llvm.mlir.constant(1 : i32)
      // CHECK: call @attn_emulator_set_registers(%[[MOST]], %[[MORE]], %{{.*}}) : (i32, i32, i32) -> ()
      nvvm.setmaxregister increase 240
      // CHECK: %[[LEAST:.*]] = llvm.mlir.constant(24 : i32)
      // CHECK: %[[LESS:.*]] = llvm.mlir.constant(0 : i32)
      // CHECK: call @attn_emulator_set_registers(%[[LEAST]], %[[LESS]],
      nvvm.setmaxregister decrease 24
      llvm.return
    }
  }
  // CHECK: llvm.mlir.global internal constant @m_k_kernel()
  // CHECK: %[[REGISTERS:.*]] = llvm.mlir.constant(168 : i64)
  // CHECK: %[[BLOCKS:.*]] = llvm.mlir.constant(2 : i64)
  // CHECK: llvm.insertvalue %[[REGISTERS]], %{{.*}}[5]
  // CHECK: llvm.insertvalue %[[BLOCKS]], %{{.*}}[6]
}
