// Rows that are joined at each key are those of one block: 40 of them in the
// four warps of 64, each of which gives its part to the others.
// RUN: attn-opt %s --attn-stream-to-tiles | FileCheck %s

// CHECK-LABEL: gpu.func @slots_stream0(
// CHECK:   %[[PARTS:.*]] = tile.shared : memref<4x68xf32,
// CHECK:   tile.visit
// CHECK:     %[[S:.*]] = tile.contract
// Those that a block has beyond the last one are not joined.
// CHECK:     %[[OWN:.*]] = arith.select %{{.*}}, %[[S]], %{{.*}} : {{.*}}tensor<64x64xf32,
// CHECK:     %[[M:.*]] = tile.reduce max %[[OWN]] along 0 through %[[PARTS]] : {{.*}} -> tensor<64xf32, #tile.slice<0,
// CHECK:     tile.spread %[[M]] : tensor<64xf32, {{.*}} -> tensor<64x64xf32,
func.func @slots(%x: memref<1x1x40x8xf32>, %y: memref<1x1x?x8xf32>, %out: memref<1x1x40xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c40 = arith.constant 40 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %c40] over %e = %n ins(%X = %x : memref<1x1x40x8xf32>, %Y = %y : memref<1x1x?x8xf32>) outs(%out : memref<1x1x40xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %Y[%b, %h, %j] : memref<1x1x40x8xf32>, memref<1x1x?x8xf32> -> f32
      %m = attn.across max %d over 40 : f32
      %a = arith.subf %d, %m : f32
      %c = attn.carry sum %a : (f32) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
