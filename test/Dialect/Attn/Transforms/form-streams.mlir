// Reductions and aggregates become naive streams: one sweep per level.
// RUN: attn-opt %s --attn-desugar --canonicalize --cse --attn-form-streams --canonicalize --cse --split-input-file | FileCheck %s

!scores = !attn.scores<1x4x?x?xf32>

// A softmax is three levels: its maximum, its sum, and what uses the weights.
// The head of a grouped key is found by division.
// CHECK-LABEL: func.func @levels
// CHECK: attn.stream rows (%[[B:.*]], %[[H:.*]], %[[I:.*]]) in
// CHECK: %[[G:.*]] = arith.divui %[[H]]
// CHECK: %[[M:.*]] = attn.sweep %[[J:.*]] =
// CHECK:   attn.dot %{{.*}}[%[[B]], %[[H]], %[[I]]], %{{.*}}[%[[B]], %[[G]], %[[J]]]
// CHECK:   attn.carry max
// CHECK: %[[S:.*]] = attn.guard %[[M]]
// CHECK: %[[L:.*]] = attn.sweep
// CHECK:   arith.subf %{{.*}}, %[[S]]
// CHECK:   attn.carry sum
// CHECK: attn.sweep
// CHECK:   arith.divf %{{.*}}, %[[L]]
// CHECK:   attn.carry outer
// CHECK-NOT: attn.scores
func.func @levels(%q: tensor<1x4x?x8xf32>, %k: tensor<1x2x?x8xf32>,
    %v: tensor<1x2x?x8xf32>) -> tensor<1x4x?x8xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x2x?x8xf32> -> !scores
  %p = attn.softmax %s : !scores
  %o = attn.aggregate %p, %v : !scores, tensor<1x2x?x8xf32> -> tensor<1x4x?x8xf32>
  return %o : tensor<1x4x?x8xf32>
}

// -----

!scores = !attn.scores<1x4x?x?xf32>

// A reduction over queries keeps the key: a second kernel that reads the row
// statistics of the first from memory.
// CHECK-LABEL: func.func @columns
// CHECK: %[[ROWS:.*]]:2 = attn.stream rows
// CHECK: attn.stream cols {{.*}} ins({{.*}}%[[ROWS]]#
// CHECK:   attn.carry sum
func.func @columns(%q: tensor<1x4x?x8xf32>, %k: tensor<1x4x?x8xf32>) -> tensor<1x4x?xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !scores
  %p = attn.softmax %s : !scores
  %c = attn.reduce sum queries %p : (!scores) -> tensor<1x4x?xf32>
  return %c : tensor<1x4x?xf32>
}

// -----

!scores = !attn.scores<1x1x?x?xf32>

// Elementwise ops on row tensors between reductions are row arithmetic; a row
// tensor that the caller reads too is stored.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: linalg.generic
// CHECK: attn.stream rows
// CHECK: %[[N:.*]] = attn.sweep
// CHECK: %[[R:.*]] = math.sqrt %[[N]]
// CHECK: attn.sweep
// CHECK:   arith.divf %{{.*}}, %[[R]]
// CHECK: attn.store_row %[[R]], %{{.*}} : f32, vector<8xf32>
func.func @rows(%q: tensor<1x1x?x8xf32>, %k: tensor<1x1x?x8xf32>, %e: tensor<1x1x?xf32>)
    -> (tensor<1x1x?xf32>, tensor<1x1x?x8xf32>) {
  %s = attn.score %q, %k : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> !scores
  %n = attn.reduce sum keys %s : (!scores) -> tensor<1x1x?xf32>
  %r = linalg.generic {
      indexing_maps = [affine_map<(b, h, i) -> (b, h, i)>, affine_map<(b, h, i) -> (b, h, i)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%n : tensor<1x1x?xf32>) outs(%e : tensor<1x1x?xf32>) {
  ^bb0(%x: f32, %out: f32):
    %y = math.sqrt %x : f32
    linalg.yield %y : f32
  } -> tensor<1x1x?xf32>
  %p = attn.map %s (%x: f32) at (%b, %h, %i) {
    %t = tensor.extract %r[%b, %h, %i] : tensor<1x1x?xf32>
    %y = arith.divf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.aggregate %p, %k : !scores, tensor<1x1x?x8xf32> -> tensor<1x1x?x8xf32>
  return %r, %o : tensor<1x1x?xf32>, tensor<1x1x?x8xf32>
}

// -----

!scores = !attn.scores<2x4x?x?xf32>

// Lengths and positions are loads; the length is one of the presence
// conditions. Captured reads that might leave their tensor are clamped.
// CHECK-LABEL: func.func @axes
// CHECK: attn.stream rows
// CHECK: %[[LEN:.*]] = attn.at %{{.*}}[%{{.*}}, %c0{{.*}}] : tensor<2x1xi32>
// CHECK: attn.sweep %[[J:.*]] =
// CHECK:   arith.cmpi slt, %[[J]]
// CHECK:   %[[BUCKET:.*]] = arith.minsi
// CHECK:   attn.at %{{.*}}[%[[BUCKET]]] : tensor<32xf32>
// CHECK:   attn.carry sum %{{.*}} if
func.func @axes(%q: tensor<2x4x?x8xf32>, %k: tensor<2x4x?x8xf32>,
    %length: tensor<2x1xi32>, %table: tensor<32xf32>) -> tensor<2x4x?xf32> {
  %s = attn.score %q, %k key_length(%length : tensor<2x1xi32>)
     : tensor<2x4x?x8xf32>, tensor<2x4x?x8xf32> -> !scores
  %a = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    %t = tensor.extract %table[%d] : tensor<32xf32>
    %y = arith.addf %x, %t : f32
    attn.yield %y : f32
  } : (!scores) -> !scores
  %o = attn.reduce sum keys %a : (!scores) -> tensor<2x4x?xf32>
  return %o : tensor<2x4x?xf32>
}
