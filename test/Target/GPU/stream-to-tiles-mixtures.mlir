// Mixtures of heads go through the heads while a tile of keys is at hand.
// RUN: attn-opt %s --split-input-file --attn-stream-to-tiles | FileCheck %s

// CHECK-LABEL: gpu.func @mix_stream0(
// CHECK:   %[[K:.*]] = tile.shared : memref<64x20xf32,
// CHECK:   %[[Q:.*]] = tile.shared : memref<64x20xf32,
// CHECK:   tile.visit
// CHECK:     scf.for %[[H2:.*]] = %c0{{.*}} to %c8{{.*}} iter_args(%[[SUM:[^ ]*]] =
// What is there may still be read, and what comes is waited for.
// CHECK:       gpu.barrier
// CHECK:       tile.copy %{{.*}}[%{{.*}}, %[[H2]]] rows({{.*}}), %[[Q]]
// CHECK:       tile.copy %{{.*}}[%{{.*}}, %[[H2]]] rows({{.*}}), %[[K]]
// CHECK:       tile.arrive
// CHECK:       gpu.barrier
// CHECK:       %[[S:.*]] = tile.contract %[[Q]], %[[K]]
// CHECK:       %[[X:.*]] = arith.select %{{.*}}, %[[S]]
// CHECK:       %[[W:.*]] = memref.load %{{.*}}[%{{.*}}, %[[H2]]] : memref<8x8xf32>
// CHECK:       arith.addf %[[SUM]]
func.func @mix(%x: memref<1x8x?x8xf32>, %w: memref<8x8xf32>, %out: memref<1x8x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %n] over %e = %n ins(%X = %x : memref<1x8x?x8xf32>, %W = %w : memref<8x8xf32>) outs(%out : memref<1x8x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = arith.cmpi sle, %j, %i : index
      %r, %any = attn.mix weights %W[%h] {
      ^bb0(%h2: index):
        %d = attn.dot %X[%b, %h2, %i], %X[%b, %h2, %j] : memref<1x8x?x8xf32>, memref<1x8x?x8xf32> -> f32
        attn.yield %d, %p : f32, i1
      } : memref<8x8xf32> -> f32
      %c = attn.carry sum %r if %any : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

// A mixture that another one asks for at each of its heads: what it is made
// from is computed once for all heads, and waits in shared memory.
// CHECK-LABEL: gpu.func @mix_of_mixtures_stream0(
// CHECK:   %[[ALL:.*]] = tile.shared : memref<8x64x20xf32,
// CHECK:   tile.visit
// CHECK:     scf.for %[[H3:.*]] = %c0{{.*}} to %c8
// CHECK:       tile.contract
// CHECK:       %[[TO:.*]] = tile.stage %[[ALL]][%[[H3]]]
// CHECK:       tile.stash %{{.*}}, %[[TO]]
// CHECK:     scf.for %[[H2:.*]] = %c0{{.*}} to %c8
// CHECK-NOT:   tile.contract
// CHECK:       scf.for %[[H4:.*]] = %c0{{.*}} to %c8
// CHECK:         %[[FROM:.*]] = tile.stage %[[ALL]][%[[H4]]]
// CHECK:         tile.fetch %[[FROM]]
// CHECK:         memref.load %{{.*}}[%[[H2]], %[[H4]]] : memref<8x8xf32>
func.func @mix_of_mixtures(%x: memref<1x8x?x8xf32>, %w: memref<8x8xf32>, %out: memref<1x8x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c8, %n] over %e = %n ins(%X = %x : memref<1x8x?x8xf32>, %W = %w : memref<8x8xf32>) outs(%out : memref<1x8x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = arith.cmpi sle, %j, %i : index
      %r, %any = attn.mix weights %W[%h] {
      ^bb0(%h2: index):
        %t, %some = attn.mix weights %W[%h2] {
        ^bb0(%h3: index):
          %d = attn.dot %X[%b, %h3, %i], %X[%b, %h3, %j] : memref<1x8x?x8xf32>, memref<1x8x?x8xf32> -> f32
          attn.yield %d, %p : f32, i1
        } : memref<8x8xf32> -> f32
        %f = math.exp2 %t : f32
        attn.yield %f, %some : f32, i1
      } : memref<8x8xf32> -> f32
      %c = attn.carry sum %r if %any : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
