// RUN: attn-opt %s -attn-to-linalg | FileCheck %s

// CHECK-DAG: #[[KEPT:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[WIDE:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d1, d2, d3)>
// CHECK-DAG: #[[SWAP:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3, d2)>

// The head of a grouped query is h div (H / G); the scale comes after the sum.
// CHECK-LABEL: func @score
// CHECK-SAME: %[[Q:[a-z0-9]+]]: tensor<2x8x?x64xbf16>, %[[K:[a-z0-9]+]]: tensor<1x2x?x64xbf16>
func.func @score(%q: tensor<2x8x?x64xbf16>, %k: tensor<1x2x?x64xbf16>) -> tensor<2x8x?x?xf32> {
  // CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[KEPT]]]{{.*}} ins(%[[Q]] :
  // CHECK: %[[H:.*]] = linalg.index 1
  // CHECK: %[[FOUR:.*]] = arith.constant 4 : index
  // CHECK: %[[G:.*]] = arith.divui %[[H]], %[[FOUR]]
  // CHECK: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK: tensor.extract %[[K]][%[[ZERO]], %[[G]], %{{.*}}, %{{.*}}]
  // CHECK: arith.mulf {{.*}} : f32
  // CHECK: arith.addf {{.*}} : f32
  // CHECK: arith.constant 5.000000e-01 : f32
  %s = attn.score %q, %k scale(0.5) : tensor<2x8x?x64xbf16>, tensor<1x2x?x64xbf16> -> !attn.scores<2x8x?x?xf32>
  %o = attn.materialize %s : !attn.scores<2x8x?x?xf32> -> tensor<2x8x?x?xf32>
  return %o : tensor<2x8x?x?xf32>
}

// CHECK-LABEL: func @head_map
// CHECK-SAME: %[[MAP:[a-z0-9]+]]: tensor<3xi32>
func.func @head_map(%q: tensor<1x3x4x8xf32>, %k: tensor<1x2x5x8xf32>, %map: tensor<3xi32>) -> tensor<1x3x4x5xf32> {
  // CHECK: tensor.extract %[[MAP]]
  // CHECK: arith.minsi
  // CHECK: arith.maxsi
  // CHECK: math.absf
  // CHECK: arith.maximumf
  %s = attn.score_with max %q, %k heads(%map : tensor<3xi32>) {
  ^bb0(%x: f32, %y: f32, %d: index):
    %a = math.absf %x : f32
    attn.yield %a : f32
  } : tensor<1x3x4x8xf32>, tensor<1x2x5x8xf32> -> !attn.scores<1x3x4x5xf32>
  %o = attn.materialize %s : !attn.scores<1x3x4x5xf32> -> tensor<1x3x4x5xf32>
  return %o : tensor<1x3x4x5xf32>
}

// Lengths decide what is present at the start, offsets what regions see.
// CHECK-LABEL: func @axes
// CHECK-SAME: %[[N:[a-z0-9]+]]: tensor<2x1xi32>, %[[PAST:[a-z0-9]+]]: index
func.func @axes(%t: tensor<2x1x4x5xf32>, %n: tensor<2x1xi32>, %past: index) -> tensor<2x1x4xi64> {
  // CHECK: %[[J:.*]] = linalg.index 3
  // CHECK: tensor.extract %[[N]]
  // CHECK: arith.cmpi slt, %[[J]],
  %s = attn.bias %t query_offset(%past : index) key_length(%n : tensor<2x1xi32>) : tensor<2x1x4x5xf32> -> !attn.scores<2x1x4x5xf32>
  // CHECK: %[[I:.*]] = linalg.index 2
  // CHECK: %[[PI:.*]] = arith.addi %[[I]], %[[PAST]]
  // CHECK: arith.cmpi sle, %{{.*}}, %[[PI]]
  %c = attn.mask %s (%x: f32) at (%b, %h, %i, %j, %pi, %pj) {
    %keep = arith.cmpi sle, %pj, %pi : index
    attn.yield %keep : i1
  } : !attn.scores<2x1x4x5xf32>
  %r = attn.reduce count keys %c : (!attn.scores<2x1x4x5xf32>) -> tensor<2x1x4xi64>
  return %r : tensor<2x1x4xi64>
}

// A region may run on absent entries: what it reads is in bounds.
// CHECK-LABEL: func @clamp
// CHECK-SAME: %[[TABLE:[a-z0-9]+]]: tensor<?xf32>
func.func @clamp(%t: tensor<1x1x4x5xf32>, %table: tensor<?xf32>) -> tensor<1x1x4x5xf32> {
  %s = attn.bias %t : tensor<1x1x4x5xf32> -> !attn.scores<1x1x4x5xf32>
  // CHECK: %[[D:.*]] = arith.subi
  // CHECK: %[[SIZE:.*]] = tensor.dim %[[TABLE]]
  // CHECK: %[[LAST:.*]] = arith.subi %[[SIZE]]
  // CHECK: %[[LOW:.*]] = arith.minsi %[[D]], %[[LAST]]
  // CHECK: %[[AT:.*]] = arith.maxsi %[[LOW]]
  // CHECK: tensor.extract %[[TABLE]][%[[AT]]]
  %m = attn.map %s (%x: f32) at (%b, %h, %i, %j) {
    %d = arith.subi %i, %j : index
    %y = tensor.extract %table[%d] : tensor<?xf32>
    attn.yield %y : f32
  } : (!attn.scores<1x1x4x5xf32>) -> !attn.scores<1x1x4x5xf32>
  %o = attn.materialize %m : !attn.scores<1x1x4x5xf32> -> tensor<1x1x4x5xf32>
  return %o : tensor<1x1x4x5xf32>
}

// One operand broadcasts its batch, and both have to be present.
// CHECK-LABEL: func @map
func.func @map(%t: tensor<2x3x4x5xf32>, %u: tensor<1x3x4x5xf32>) -> tensor<2x3x4x5xf32> {
  %s = attn.bias %t : tensor<2x3x4x5xf32> -> !attn.scores<2x3x4x5xf32>
  %r = attn.bias %u : tensor<1x3x4x5xf32> -> !attn.scores<1x3x4x5xf32>
  // CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[WIDE]], #{{.*}}, #[[WIDE]], #{{.*}}, #{{.*}}]
  // CHECK-COUNT-2: arith.andi
  // CHECK: arith.mulf
  %m = attn.map %s, %r (%x: f32, %y: f32) {
    %z = arith.mulf %x, %y : f32
    attn.yield %z : f32
  } : (!attn.scores<2x3x4x5xf32>, !attn.scores<1x3x4x5xf32>) -> !attn.scores<2x3x4x5xf32>
  %o = attn.materialize %m : !attn.scores<2x3x4x5xf32> -> tensor<2x3x4x5xf32>
  return %o : tensor<2x3x4x5xf32>
}

// Without operands the sizes give the extents.
// CHECK-LABEL: func @generator
// CHECK-SAME: %[[M:[a-z0-9]+]]: index
func.func @generator(%m: index) -> tensor<1x1x?xi64> {
  // CHECK: tensor.empty(%[[M]]) : tensor<1x1x?x5xf32>
  // CHECK: linalg.index 3
  %s = attn.map sizes(%m) () at (%b, %h, %i, %j) {
    %jj = arith.index_cast %j : index to i64
    %y = arith.sitofp %jj : i64 to f32
    attn.yield %y : f32
  } : () -> !attn.scores<1x1x?x5xf32>
  %r = attn.reduce argmax keys %s : (!attn.scores<1x1x?x5xf32>) -> tensor<1x1x?xi64>
  return %r : tensor<1x1x?xi64>
}

// Filled entries are present inside the lengths only.
// CHECK-LABEL: func @fill_transpose
// CHECK-SAME: %[[N:[a-z0-9]+]]: tensor<1x1xi32>
func.func @fill_transpose(%t: tensor<1x1x4x5xf32>, %n: tensor<1x1xi32>) -> tensor<1x1x5x4xf32> {
  %s = attn.bias %t query_length(%n : tensor<1x1xi32>) : tensor<1x1x4x5xf32> -> !attn.scores<1x1x4x5xf32>
  // CHECK: %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
  // CHECK: %[[F:.*]]:2 = linalg.generic
  // CHECK: tensor.extract %[[N]]
  // CHECK: %[[IN:.*]] = arith.cmpi slt
  // CHECK: %[[V:.*]] = arith.select %{{.*}}, %{{.*}}, %[[TWO]]
  // CHECK: linalg.yield %[[V]], %[[IN]]
  %f = attn.fill %s, 2.0 : !attn.scores<1x1x4x5xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[SWAP]], #[[SWAP]], #{{.*}}, #{{.*}}]{{.*}} ins(%[[F]]#0, %[[F]]#1 :
  %r = attn.transpose %f : !attn.scores<1x1x4x5xf32> -> !attn.scores<1x1x5x4xf32>
  %o = attn.materialize %r absent(-1.0) : !attn.scores<1x1x5x4xf32> -> tensor<1x1x5x4xf32>
  return %o : tensor<1x1x5x4xf32>
}
