// RUN: attn-opt %s --split-input-file --verify-diagnostics --attn-launch-on-device

func.func @touches(%x: memref<4xf32>, %element: f32) {
  %zero = arith.constant 0 : index
  // expected-error@+1 {{touches elements of a tensor on the host, which is not possible where that is on a device}}
  memref.store %element, %x[%zero] : memref<4xf32>
  return
}

// -----

module attributes {gpu.container_module} {
  func.func @unknown(%n: index) {
    // expected-error@+1 {{launches 'kernels::k', which is no kernel in the LLVM dialect}}
    gpu.launch_func @kernels::@k blocks in (%n, %n, %n) threads in (%n, %n, %n)
    return
  }
  gpu.module @kernels {
    gpu.func @k() kernel { gpu.return }
  }
}

// -----

module attributes {gpu.container_module} {
  func.func @wrong(%n: index) {
    // expected-error@+1 {{passes 1 values to a kernel of 2 arguments}}
    gpu.launch_func @kernels::@k blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%n : index)
    return
  }
  gpu.module @kernels {
    llvm.func @k(i64, i64) attributes {gpu.kernel, nvvm.kernel}
  }
}
