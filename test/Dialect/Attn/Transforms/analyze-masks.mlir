// RUN: attn-opt %s --split-input-file --attn-analyze-masks | FileCheck %s

// Causal: a tile is empty if its first key is after its last row, full if its
// last key is not after its first row; keys end with the last row.

// CHECK-LABEL: func @causal
// CHECK:         attn.stream rows ({{.*}}) in [{{.*}}] over %[[N:[^ ]*]] =
// CHECK:         tiles (%[[I0:.*]], %[[I1:.*]], %[[J0:.*]], %[[J1:.*]]) {
// CHECK-NEXT:      %[[MAY:.*]] = arith.cmpi sle, %[[J0]], %[[I1]]
// CHECK-NEXT:      %[[MUST:.*]] = arith.cmpi sle, %[[J1]], %[[I0]]
// CHECK-NEXT:      attn.yield %[[MAY]], %[[MUST]]
// CHECK:         bounds (%[[I0:.*]], %[[I1:.*]]) {
// CHECK:           %[[END:.*]] = arith.addi %[[I1]], %c1
// CHECK:           %[[CUT:.*]] = arith.minsi %[[END]], %[[N]]
// CHECK:           %[[HI:.*]] = arith.maxsi %[[CUT]], %[[LO:.*]] :
// CHECK:           attn.yield %[[LO]], %[[HI]]
func.func @causal(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %a = attn.carry max %s if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// A carry without a condition needs every tile: nothing to record.

// CHECK-LABEL: func @unconditional
// CHECK-NOT:     tiles
// CHECK-NOT:     bounds
func.func @unconditional(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %a = attn.carry max %s : (f32) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// Two masks in one sweep: a tile is empty if it is so for both, full if it is so
// for both; the range of keys covers both.

// CHECK-LABEL: func @two_masks
// CHECK:         tiles (%[[I0:.*]], %[[I1:.*]], %[[J0:.*]], %[[J1:.*]]) {
// CHECK-DAG:       %[[MAY0:.*]] = arith.cmpi sle, %[[J0]], %[[I1]]
// CHECK-DAG:       %[[MAY1:.*]] = arith.cmpi slt, %[[J0]], %c4
// CHECK-DAG:       %[[MAY:.*]] = arith.ori %[[MAY0]], %[[MAY1]]
// CHECK-DAG:       %[[MUST0:.*]] = arith.cmpi sle, %[[J1]], %[[I0]]
// CHECK-DAG:       %[[MUST1:.*]] = arith.cmpi slt, %[[J1]], %c4
// CHECK-DAG:       %[[MUST:.*]] = arith.andi %[[MUST0]], %[[MUST1]]
// CHECK:           attn.yield %[[MAY]], %[[MUST]]
// CHECK:         bounds (%[[I0:.*]], %[[I1:.*]]) {
// CHECK:           %[[END:.*]] = arith.addi %[[I1]], %c1
// CHECK:           arith.maxsi %[[END]], %c4
func.func @two_masks(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %c:2 = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi sle, %j, %i : index
      %first = arith.cmpi slt, %j, %c4 : index
      %a = attn.carry max %s if %p : (f32, i1) -> f32
      %t = attn.carry max %s if %first : (f32, i1) -> f32
      attn.yield %a, %t : f32, f32
    } : f32, f32
    %r = arith.addf %c#0, %c#1 : f32
    attn.store_row %r : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// Captured vectors enter by their smallest and largest element on the tile. No
// closed form gives the keys of a segment, so there are no bounds.

// CHECK-LABEL: func @segments
// CHECK:         attn.stream rows (%[[B:.*]], %{{.*}}, %{{.*}}) in
// CHECK-SAME:      ins({{.*}}, %[[SEG:[^ ]*]] = %{{[^ ]*}} : tensor<2x?xi32>)
// CHECK:         tiles (%[[I0:.*]], %[[I1:.*]], %[[J0:.*]], %[[J1:.*]]) {
// CHECK-DAG:       attn.range %[[SEG]][%[[B]]] from %[[J0]] to %[[J1]]
// CHECK-DAG:       attn.range %[[SEG]][%[[B]]] from %[[I0]] to %[[I1]]
// CHECK:           attn.yield
// CHECK-NOT:     bounds
func.func @segments(%x: tensor<2x2x?xf32>, %seg: tensor<2x?xi32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %S = %seg : tensor<2x?xi32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %si = attn.at %S[%b, %i] : tensor<2x?xi32> -> i32
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %sj = attn.at %S[%b, %j] : tensor<2x?xi32> -> i32
      %p = arith.cmpi eq, %sj, %si : i32
      %a = attn.carry max %s if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// What is the same for all rows and keys is rebuilt from the stream's
// arguments. A comparison of scores decides nothing, but the length still does.

// CHECK-LABEL: func @length_and_threshold
// CHECK:         attn.stream rows (%[[B:.*]], %{{.*}}, %{{.*}}) in
// CHECK-SAME:      %[[LEN:[^ ]*]] = %{{[^ ]*}} : tensor<2xi32>)
// CHECK:         tiles (%{{.*}}, %{{.*}}, %[[J0:.*]], %{{.*}}) {
// CHECK-DAG:       %[[L:.*]] = attn.at %[[LEN]][%[[B]]]
// CHECK-DAG:       %[[LI:.*]] = arith.index_cast %[[L]]
// CHECK-DAG:       %[[MAY:.*]] = arith.cmpi slt, %[[J0]], %[[LI]]
// CHECK:           attn.yield %[[MAY]], %false
// CHECK:         bounds
// CHECK:           %[[L:.*]] = attn.at %[[LEN]][%[[B]]]
func.func @length_and_threshold(%x: tensor<2x2x?xf32>, %len: tensor<2xi32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>, %L = %len : tensor<2xi32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %f0 = arith.constant 0.0 : f32
    %l32 = attn.at %L[%b] : tensor<2xi32> -> i32
    %l = arith.index_cast %l32 : i32 to index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %p = arith.cmpi slt, %j, %l : index
      %q = arith.cmpf ogt, %s, %f0 : f32
      %pq = arith.andi %p, %q : i1
      %a = attn.carry max %s if %pq : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// Chunks of 16: the comparison of quotients gives both ends of the range.

// CHECK-LABEL: func @chunks
// CHECK:         bounds (%[[I0:.*]], %[[I1:.*]]) {
// CHECK-DAG:       %[[Q0:.*]] = arith.divsi %[[I0]], %c16
// CHECK-DAG:       %[[Q1:.*]] = arith.divsi %[[I1]], %c16
// CHECK-DAG:       %[[LO:.*]] = arith.muli %[[Q0]], %c16
// CHECK-DAG:       %[[T:.*]] = arith.muli %[[Q1]], %c16
// CHECK-DAG:       arith.addi %[[T]], %c15
// CHECK:           attn.yield
func.func @chunks(%x: tensor<2x2x?xf32>, %e0: tensor<2x2x?xf32>, %M: index) -> tensor<2x2x?xf32> {
  %c2 = arith.constant 2 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %M] over %n = %M ins(%X = %x : tensor<2x2x?xf32>) outs(%e0 : tensor<2x2x?xf32>) {
    %z = arith.constant 0 : index
    %c16 = arith.constant 16 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %j] : tensor<2x2x?xf32> -> f32
      %qi = arith.divsi %i, %c16 : index
      %qj = arith.divsi %j, %c16 : index
      %p = arith.cmpi eq, %qi, %qj : index
      %a = attn.carry max %s if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x?xf32>
}

// -----

// Entries that are only joined with others need no visit, but a tile in which
// some lack is not full. What is joined itself says nothing about a tile.

// CHECK-LABEL: func @joined
// CHECK:         tiles (%[[I0:.*]], %[[I1:.*]], %[[J0:.*]], %[[J1:.*]]) {
// CHECK-NEXT:      %[[MAY:.*]] = arith.cmpi sle, %[[J0]], %[[I1]]
// CHECK-NEXT:      %[[BOTH:.*]] = arith.cmpi sle, %[[J1]], %[[I0]]
// CHECK-NEXT:      %[[JOINED:.*]] = arith.cmpi sle, %[[I1]], %[[J0]]
// CHECK-NEXT:      %[[MUST:.*]] = arith.andi %[[BOTH]], %[[JOINED]]
// CHECK-NEXT:      attn.yield %[[MAY]], %[[MUST]]
func.func @joined(%x: tensor<2x2x7x?xf32>, %e0: tensor<2x2x7xf32>, %N: index) -> tensor<2x2x7xf32> {
  %c2 = arith.constant 2 : index
  %c7 = arith.constant 7 : index
  %m = attn.stream rows (%b, %h, %i) in [%c2, %c2, %c7] over %n = %N ins(%X = %x : tensor<2x2x7x?xf32>) outs(%e0 : tensor<2x2x7xf32>) {
    %z = arith.constant 0 : index
    %c = attn.sweep %j = %z to %n {
      %s = attn.at %X[%b, %h, %i, %j] : tensor<2x2x7x?xf32> -> f32
      %late = arith.cmpi sle, %i, %j : index
      %l = attn.across sum %s if %late over 7 : f32
      %p = arith.cmpi sle, %j, %i : index
      %a = attn.carry sum %l if %p : (f32, i1) -> f32
      attn.yield %a : f32
    } : f32
    attn.store_row %c : f32
  }
  return %m : tensor<2x2x7xf32>
}
