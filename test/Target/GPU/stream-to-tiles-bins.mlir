// The bins of a row are a row of a shared matrix, to which entries are joined;
// a tally is added to where it is stored, by many blocks.
// RUN: attn-opt %s --attn-stream-to-tiles --split-input-file | FileCheck %s

// CHECK-LABEL: gpu.func @rows_stream0(
// CHECK:   tile.stash %{{.*}}, %[[BINS:[^ ]*]] :
// CHECK:   tile.visit
// CHECK:     arith.remui
// CHECK:     tile.scatter add %{{.*}}, %[[BINS]][%{{.*}}, %{{.*}}] if %{{.*}}
// CHECK:   gpu.barrier
// CHECK:   tile.fetch %[[BINS]]
func.func @rows(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x3xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x3xf32>) {
    %z = arith.constant 0 : index
    %five = arith.constant 5 : index
    %t = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %bin = arith.remui %j, %five : index
      %v = attn.bins sum %d in %bin : (f32, index) -> vector<3xf32>
      attn.yield %v : vector<3xf32>
    } : vector<3xf32>
    attn.store_row %t : vector<3xf32>
  }
  return
}

// -----

// More bins than blocks share.
// CHECK-LABEL: func.func @many(
// CHECK:   scf.for
func.func @many(%x: memref<1x1x?x8xf32>, %out: memref<1x1x?x4096xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>) outs(%out : memref<1x1x?x4096xf32>) {
    %z = arith.constant 0 : index
    %t = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %v = attn.bins sum %d in %j : (f32, index) -> vector<4096xf32>
      attn.yield %v : vector<4096xf32>
    } : vector<4096xf32>
    attn.store_row %t : vector<4096xf32>
  }
  return
}
