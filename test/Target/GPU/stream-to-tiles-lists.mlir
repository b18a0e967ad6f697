// Sweeps that follow lists: a tile.visit goes through the elements of the list.
// RUN: attn-opt %s --split-input-file --attn-stream-to-tiles --canonicalize --cse | FileCheck %s

// Blocks of 128 keys are two tiles each; the 48 rows that have a list in common are in one kernel block.
// CHECK-LABEL: func.func @blocks(
// CHECK:         %[[PADDED:.*]] = arith.addi %{{.*}}, %c47
// CHECK:         arith.divui %[[PADDED]], %c48
// CHECK-LABEL: gpu.func @blocks_stream0(
// CHECK-SAME:    %[[LIST:[a-z0-9]+]]: memref<1x1x?x6xi32>, %{{[a-z0-9]+}}: memref<1x1x?xf32>)
// Nothing comes twice in a list that ascends.
// CHECK:       %[[ASCENDS:.*]]:2 = scf.for {{.*}} iter_args(%{{.*}} = %c-1, %{{.*}} = %true)
// CHECK:       tile.visit from %c0 to %c12 step 1
// CHECK-SAME:  needed
// CHECK-NEXT:  ^bb0(%[[PLACE:.*]]: index):
// CHECK:         %[[ELEMENT:.*]] = arith.divui %[[PLACE]], %c2
// CHECK:         memref.load %[[LIST]][%{{.*}}, %{{.*}}, %{{.*}}, %[[ELEMENT]]]
// CHECK:         scf.if %[[ASCENDS]]#1
// CHECK:       } bring {
// CHECK:         %[[KEY:.*]] = arith.addi
// CHECK:         tile.copy %{{.*}} rows(%[[KEY]] to %{{.*}}) columns(8 of 16)
// CHECK-NOT:   attn.listed
func.func @blocks(%x: memref<1x1x?x8xf32>, %l: memref<1x1x?x6xi32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %L = %l : memref<1x1x?x6xi32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %r = arith.constant 48 : index
    %I = arith.divui %i, %r : index
    %s = attn.sweep %j = %z to %e {
      %p = attn.listed %L[%b, %h, %I] block(48, 128) contains %j drives : memref<1x1x?x6xi32>
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } tiles (%i0, %i1, %j0, %j1) {
      %t = arith.constant true
      attn.yield %t, %t : i1, i1
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

// Single keys are gathered to tiles.
// CHECK-LABEL: gpu.func @tokens_stream0(
// CHECK-SAME:    %[[LIST:[a-z0-9]+]]: memref<1x1x?x6xi32>, %{{[a-z0-9]+}}: memref<1x1x?xf32>)
// Without keys there is nothing to gather.
// CHECK:       %[[COUNT:.*]] = arith.select %{{.*}}, %c6, %c0
// CHECK:       tile.visit from %c0 to %[[COUNT]] step 64
// CHECK:       } bring {
// CHECK:         tile.fill %c64
// CHECK:           memref.load %[[LIST]]
// CHECK:       } body {
// CHECK:         tile.load %[[LIST]][%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] if
func.func @tokens(%x: memref<1x1x?x8xf32>, %l: memref<1x1x?x6xi32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %L = %l : memref<1x1x?x6xi32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = attn.listed %L[%b, %h, %i] block(1, 1) contains %j drives : memref<1x1x?x6xi32>
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}

// -----

// A list that is no driver, or names runs, is asked about every key of a tile.
// CHECK-LABEL: gpu.func @runs_stream0(
// CHECK:       tile.visit from %{{.*}} to %{{.*}} step 64
// CHECK-SAME:  needed
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %false)
// CHECK:       } body {
// CHECK:         scf.for {{.*}} -> (tensor<64xi1, #tile.slice<0
func.func @runs(%x: memref<1x1x?x8xf32>, %l: memref<1x1x?x6xi32>, %out: memref<1x1x?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : memref<1x1x?x8xf32>, %L = %l : memref<1x1x?x6xi32>) outs(%out : memref<1x1x?xf32>) {
    %z = arith.constant 0 : index
    %s = attn.sweep %j = %z to %e {
      %p = attn.listed %L[%b, %h, %z] lengths(%L : memref<1x1x?x6xi32>) block(64, 32) contains %j drives : memref<1x1x?x6xi32>
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : memref<1x1x?x8xf32>, memref<1x1x?x8xf32> -> f32
      %c = attn.carry sum %d if %p : (f32, i1) -> f32
      attn.yield %c : f32
    } : f32
    attn.store_row %s : f32
  }
  return
}
