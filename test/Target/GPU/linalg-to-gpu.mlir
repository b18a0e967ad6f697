// What stands around streams: a thread per element of the parallel loops.
// RUN: attn-opt %s --attn-linalg-to-gpu --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func.func @project(
// CHECK: %[[BLOCKS:.*]] = arith.divui %{{.*}}, %c256
// CHECK: scf.if
// CHECK:   gpu.launch_func @attn_kernels::@project_linalg0 blocks in (%[[BLOCKS]], %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK-LABEL: gpu.func @project_linalg0(
// CHECK: scf.if
// CHECK:   scf.for
// CHECK:     memref.load
// CHECK:     arith.mulf
// CHECK:     memref.store
func.func @project(%x: memref<?x64xf32>, %w: memref<64x32xf32>, %y: memref<?x32xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>,
                       affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<64x32xf32>) outs(%y : memref<?x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}
