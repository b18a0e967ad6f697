// What has no form for threads.
// RUN: not attn-opt %S/Inputs/roles.mlir --attn-distribute-tiles=chip=gfx942 2>&1 | FileCheck %s --check-prefix=ROLES
// ROLES: error: 'tile.roles' op has no form on 'gfx942', which has no barriers in shared memory
// RUN: attn-opt %s --split-input-file --verify-diagnostics --attn-distribute-tiles -o /dev/null

gpu.module @kernels {
  // expected-error @+1 {{says no number of threads}}
  gpu.func @threads() kernel {
    gpu.return
  }
}

// -----

#l = #tile.layout<grid, warps = [4, 1]>
gpu.module @kernels {
  gpu.func @op(%x: f32) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    %0 = tile.splat %x : tensor<64x64xf32, #l>
    // expected-error @+1 {{'tensor.cast' op on tiles has no form for threads}}
    %1 = tensor.cast %0 : tensor<64x64xf32, #l> to tensor<?x64xf32, #l>
    gpu.return
  }
}
