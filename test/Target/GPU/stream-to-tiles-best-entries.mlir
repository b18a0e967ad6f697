// The best entries of a row are a list in registers, into which each tile is
// merged in as many rounds as the list is long.
// RUN: attn-opt %s --attn-stream-to-tiles | FileCheck %s

// CHECK-LABEL: gpu.func @best_stream0(
// CHECK:   tile.visit
// CHECK:     scf.for %[[ROUND:.*]] = %c0{{.*}} to %c3{{.*}} iter_args(%[[LEFT:[^ ]*]] = %{{[^,]*}}, %[[FIRST:[^ ]*]] =
// The best of the tile, and its first key.
// CHECK:       %[[LEFT_OVER:.*]] = arith.select %[[LEFT]], %[[S:.*]], %{{.*}}
// CHECK:       %[[MAX:.*]] = tile.reduce max %[[LEFT_OVER]] along 1
// CHECK:       %[[KEY:.*]] = tile.reduce min %{{.*}} along 1 : tensor<64x64xi64,
// Is it better than the first of the list, or one that comes earlier?
// CHECK:       arith.cmpf ogt, %[[MAX]], %[[FIRST]]
// A row of three features is stored.
// CHECK:   tile.store %{{.*}} : tensor<64x4xi64,
func.func @best(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x3xi64>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x3xi64>) {
    %z = arith.constant 0 : index
    %keys = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %v, %k, %count = attn.top %d : (f32) -> (vector<3xf32>, vector<3xi64>, i64)
      attn.yield %k : vector<3xi64>
    } : vector<3xi64>
    attn.store_row %keys : vector<3xi64>
  }
  return
}
