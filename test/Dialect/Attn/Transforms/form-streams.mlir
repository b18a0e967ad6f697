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

// -----

// A batch map is read once per batch and moved into the keys; so is that of the
// values.
// CHECK-LABEL: func.func @batch_map
// CHECK: attn.stream rows (%[[B:.*]], %[[H:.*]], %[[I:.*]]) in {{.*}} ins({{.*}}%[[MAP:.*]] = %{{.*}} : tensor<5xi32>
// CHECK: %[[NAMED:.*]] = attn.at %[[MAP]][%[[B]]] : tensor<5xi32> -> i32
// CHECK: %[[INDEX:.*]] = arith.index_cast %[[NAMED]]
// CHECK: %[[LOW:.*]] = arith.maxsi %[[INDEX]]
// CHECK: %[[C:.*]] = arith.minsi %[[LOW]]
// CHECK: attn.sweep %[[J:.*]] =
// CHECK:   attn.dot %{{.*}}[%[[B]], %[[H]], %[[I]]], %{{.*}}[%[[C]], %[[H]], %[[J]]]
// CHECK:   attn.at %{{.*}}[%[[C]], %[[H]], %[[J]]] : tensor<3x4x?x8xf32> -> vector<8xf32>
func.func @batch_map(%q: tensor<5x4x?x8xf32>, %k: tensor<3x4x?x8xf32>, %map: tensor<5xi32>) -> tensor<5x4x?x8xf32> {
  %s = attn.score %q, %k batches(%map : tensor<5xi32>)
     : tensor<5x4x?x8xf32>, tensor<3x4x?x8xf32> -> !attn.scores<5x4x?x?xf32>
  %o = attn.aggregate %s, %k batches(%map : tensor<5xi32>)
     : !attn.scores<5x4x?x?xf32>, tensor<3x4x?x8xf32> -> tensor<5x4x?x8xf32>
  return %o : tensor<5x4x?x8xf32>
}

// -----

// Codes are contracted to integers; what makes floats of them is arithmetic like
// any other, and the scale of a row is read before the sweep.
// CHECK-LABEL: func.func @integers
// CHECK: %[[SCALE:.*]] = attn.at
// CHECK: attn.sweep
// CHECK:   %[[S:.*]] = attn.dot {{.*}} : tensor<1x4x?x8xi8>, tensor<1x4x?x8xi8> -> i32
// CHECK:   %[[F:.*]] = arith.sitofp %[[S]] : i32 to f32
// CHECK:   %[[X:.*]] = arith.mulf %[[F]], %[[SCALE]]
// CHECK:   attn.carry max %[[X]]
func.func @integers(%q: tensor<1x4x?x8xi8>, %k: tensor<1x4x?x8xi8>, %scales: tensor<1x4x?xf32>) -> tensor<1x4x?xf32> {
  %s = attn.score %q, %k : tensor<1x4x?x8xi8>, tensor<1x4x?x8xi8> -> !attn.scores<1x4x?x?xi32>
  %f = attn.map %s (%x: i32) at (%b, %h, %i) {
    %n = arith.sitofp %x : i32 to f32
    %a = tensor.extract %scales[%b, %h, %i] : tensor<1x4x?xf32>
    %y = arith.mulf %n, %a : f32
    attn.yield %y : f32
  } : (!attn.scores<1x4x?x?xi32>) -> !attn.scores<1x4x?x?xf32>
  %m = attn.reduce max keys %f : (!attn.scores<1x4x?x?xf32>) -> tensor<1x4x?xf32>
  return %m : tensor<1x4x?xf32>
}

// A matrix that reads reductions of its own scores and their stream share
// stored products, lengths included.
// CHECK-LABEL: func @stored_scores
func.func @stored_scores(%q: tensor<1x2x5x8xf32>, %k: tensor<1x2x7x8xf32>, %length: tensor<1x1xi32>) -> (tensor<1x2x5x7xf32>, tensor<1x2x5x7xf32>) {
  // CHECK: %[[S:.*]] = attn.score
  // CHECK: %[[T:.*]] = attn.materialize %[[S]] :
  // CHECK: %[[READ:.*]] = attn.bias %[[T]] key_length(%{{.*}} : tensor<1x1xi32>)
  // CHECK: %[[MAX:.*]] = attn.stream rows {{.*}} ins({{.*}} = %[[T]]
  // CHECK-NOT: attn.dot
  // CHECK: attn.map %[[READ]]
  // CHECK: tensor.extract %[[MAX]]
  %s = attn.score %q, %k key_length(%length : tensor<1x1xi32>) : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  %max = attn.reduce max keys %s : (!attn.scores<1x2x5x7xf32>) -> tensor<1x2x5xf32>
  %d = attn.map %s (%x: f32) at (%b, %h, %i) {
    %m = tensor.extract %max[%b, %h, %i] : tensor<1x2x5xf32>
    %y = arith.subf %x, %m : f32
    attn.yield %y : f32
  } : (!attn.scores<1x2x5x7xf32>) -> !attn.scores<1x2x5x7xf32>
  %w = attn.materialize %d absent(0.0) : !attn.scores<1x2x5x7xf32> -> tensor<1x2x5x7xf32>
  // A matrix that reads no reduction of its scores computes them by itself.
  // CHECK: %[[ALONE:.*]] = attn.score
  // CHECK-NEXT: attn.materialize %[[ALONE]] absent(1.000000e+00)
  %t = attn.score %q, %k scale(0.5) : tensor<1x2x5x8xf32>, tensor<1x2x7x8xf32> -> !attn.scores<1x2x5x7xf32>
  %u = attn.materialize %t absent(1.0) : !attn.scores<1x2x5x7xf32> -> tensor<1x2x5x7xf32>
  return %w, %u : tensor<1x2x5x7xf32>, tensor<1x2x5x7xf32>
}

// -----

// What a loop makes of weights that are made outside of it reads their
// statistics: a stream stores them, and no reduction is left over.
// CHECK-LABEL: func.func @weights_in_a_loop
// CHECK: %[[STATISTICS:.*]]:2 = attn.stream
// CHECK-NOT: attn.reduce
// CHECK: scf.for
// CHECK:   attn.stream {{.*}} ins({{.*}}%[[STATISTICS]]#0
func.func @weights_in_a_loop(%q: tensor<1x4x?x8xf32>, %n: index) -> tensor<1x4x?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = attn.score %q, %q : tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32> -> !attn.scores<1x4x?x?xf32>
  %w = attn.softmax %s : !attn.scores<1x4x?x?xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %q) -> tensor<1x4x?x8xf32> {
    %y = attn.aggregate %w, %x : !attn.scores<1x4x?x?xf32>, tensor<1x4x?x8xf32> -> tensor<1x4x?x8xf32>
    scf.yield %y : tensor<1x4x?x8xf32>
  }
  return %r : tensor<1x4x?x8xf32>
}
