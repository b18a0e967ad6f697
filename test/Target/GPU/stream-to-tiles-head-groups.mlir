// Query heads that read the same keys share a block: row r of it is query r div 4
// of head r mod 4 of the group.
// RUN: attn-opt %s --split-input-file --attn-stream-to-tiles --canonicalize --cse | FileCheck %s

// Eight heads in groups of four: 2 groups of 4 %m rows, 64 to a block.
// CHECK-LABEL: func.func @grouped(
// CHECK-SAME:    %[[M:[a-z0-9]+]]: index, %{{[a-z0-9]+}}: index)
// CHECK:       %[[ROWS:.*]] = arith.muli %[[M]], %c4
// CHECK:       %[[PADDED:.*]] = arith.addi %[[ROWS]], %c63
// CHECK:       %[[BLOCKS:.*]] = arith.divui %[[PADDED]], %c64
// CHECK:       arith.muli %[[BLOCKS]], %c2
func.func @grouped(%q: memref<1x8x?x64xf32>, %k: memref<1x2x?x64xf32>, %slopes: memref<8xf32>,
    %o: memref<1x8x?xf32>, %m: index, %n: index) {
  %b1 = arith.constant 1 : index
  %b8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%b1, %b8, %m] over %e = %n
      ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x2x?x64xf32>, %S = %slopes : memref<8xf32>)
      outs(%o : memref<1x8x?xf32>) {
    %z = arith.constant 0 : index
    %four = arith.constant 4 : index
    %g = arith.divui %h, %four : index
    %slope = attn.at %S[%h] : memref<8xf32> -> f32
    %r = attn.sweep %j = %z to %e {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : memref<1x8x?x64xf32>, memref<1x2x?x64xf32> -> f32
      %t = arith.mulf %s, %slope : f32
      %a = attn.carry sum %t : (f32) -> f32
      attn.yield %a : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %some = arith.cmpi sle, %j0, %i1 : index
      attn.yield %some, %some : i1, i1
    } : f32
    attn.store_row %r : f32
  }
  return
}

// CHECK-LABEL: gpu.func @grouped_stream0(
// CHECK:       %[[QUERY:.*]] = arith.divui %{{.*}} : tensor<64xindex
// CHECK:       %[[IN_GROUP:.*]] = arith.remui %{{.*}} : tensor<64xindex
// CHECK:       %[[HEAD:.*]] = arith.addi %{{.*}}, %[[IN_GROUP]]
// A slope for each row, and rows of queries from several heads,
// CHECK:       tile.load %{{.*}}[%[[HEAD]]]
// CHECK:       tile.fill
// CHECK:         arith.divui %{{.*}}, %c4
// CHECK:         arith.remui %{{.*}}, %c4
// and one copy of the keys for all.
// CHECK:       bring
// CHECK:         tile.copy
// CHECK:       tile.store %{{.*}}, %{{.*}}[%{{.*}}, %[[HEAD]], %[[QUERY]]]

// -----

// Bounds that differ from head to head keep heads apart.
// CHECK-LABEL: func.func @windows_of_heads(
// CHECK-NOT:   arith.muli %{{.*}}, %c4
// CHECK:       gpu.launch_func
func.func @windows_of_heads(%q: memref<1x8x?x64xf32>, %k: memref<1x2x?x64xf32>,
    %o: memref<1x8x?xf32>, %m: index, %n: index) {
  %b1 = arith.constant 1 : index
  %b8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%b1, %b8, %m] over %e = %n
      ins(%Q = %q : memref<1x8x?x64xf32>, %K = %k : memref<1x2x?x64xf32>)
      outs(%o : memref<1x8x?xf32>) {
    %z = arith.constant 0 : index
    %four = arith.constant 4 : index
    %g = arith.divui %h, %four : index
    %r = attn.sweep %j = %z to %e {
      %s = attn.dot %Q[%b, %h, %i], %K[%b, %g, %j] : memref<1x8x?x64xf32>, memref<1x2x?x64xf32> -> f32
      %a = attn.carry sum %s : (f32) -> f32
      attn.yield %a : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %some = arith.cmpi sle, %j0, %h : index
      attn.yield %some, %some : i1, i1
    } : f32
    attn.store_row %r : f32
  }
  return
}
