// RUN: attn-opt %s -attn-to-linalg | FileCheck %s

// CHECK-DAG: #[[TAPS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (0, d4, d5)>
// CHECK-DAG: #[[ENTRY:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[HEADS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d4, d2, d3)>
// CHECK-DAG: #[[WEIGHTS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d4)>

// The sum runs over the taps; what it reads is held to the matrix and counts as
// 0 outside of it. Presence is that of the operand.
// CHECK-LABEL: func @convolve
// CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<1x2x4x5xf32>, %[[W:[a-z0-9]+]]: tensor<1x2x3xf32>
// CHECK: linalg.generic {indexing_maps = [#[[TAPS]], #[[ENTRY]]], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%[[W]] :
// CHECK: linalg.index 4
// CHECK: %[[I:.*]] = arith.maxsi
// CHECK: arith.cmpi eq, %{{.*}}, %[[I]]
// CHECK: linalg.index 5
// CHECK: %[[J:.*]] = arith.maxsi
// CHECK: %[[P:.*]] = tensor.extract %{{.*}}[%{{.*}}, %{{.*}}, %[[I]], %[[J]]] : tensor<1x2x4x5xi1>
// CHECK: arith.andi %{{.*}}, %[[P]]
// CHECK: arith.select
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @convolve(%t: tensor<1x2x4x5xf32>, %w: tensor<1x2x3xf32>) -> tensor<1x2x4x5xf32> {
  %s = attn.bias %t : tensor<1x2x4x5xf32> -> !attn.scores<1x2x4x5xf32>
  %r = attn.convolve %s, %w origin [1, 1] : !attn.scores<1x2x4x5xf32>, tensor<1x2x3xf32>
  %o = attn.materialize %r : !attn.scores<1x2x4x5xf32> -> tensor<1x2x4x5xf32>
  return %o : tensor<1x2x4x5xf32>
}

// CHECK-LABEL: func @segments
// CHECK-SAME: %[[A:[a-z0-9]+]]: tensor<1x4xi32>, %[[B:[a-z0-9]+]]: tensor<1x5xi32>
// CHECK: linalg.index 4
// CHECK: tensor.extract %[[A]]
// CHECK: tensor.extract %[[A]]
// CHECK: arith.cmpi eq
// CHECK: linalg.index 5
// CHECK: tensor.extract %[[B]]
func.func @segments(%t: tensor<1x2x4x5xf32>, %w: tensor<1x2x3xf32>, %a: tensor<1x4xi32>, %b: tensor<1x5xi32>) -> tensor<1x2x4x5xf32> {
  %s = attn.bias %t query_segments(%a : tensor<1x4xi32>) key_segments(%b : tensor<1x5xi32>) : tensor<1x2x4x5xf32> -> !attn.scores<1x2x4x5xf32>
  %r = attn.convolve %s, %w origin [1, 1] same_segment : !attn.scores<1x2x4x5xf32>, tensor<1x2x3xf32>
  %o = attn.materialize %r : !attn.scores<1x2x4x5xf32> -> tensor<1x2x4x5xf32>
  return %o : tensor<1x2x4x5xf32>
}

// A head that is present anywhere is enough.
// CHECK-LABEL: func @mix
// CHECK-SAME: %[[U:[a-z0-9]+]]: tensor<3x2xf32>
// CHECK: %[[R:.*]]:2 = linalg.generic {indexing_maps = [#[[HEADS]], #[[HEADS]], #[[WEIGHTS]], {{.*}} ins(%{{.*}}, %{{.*}}, %[[U]] :
// CHECK: ^bb0(%[[X:.*]]: f32, %[[P:.*]]: i1, %[[W:.*]]: f32, %[[SUM:.*]]: f32, %[[ANY:.*]]: i1):
// CHECK: arith.select %[[P]], %[[X]],
// CHECK: arith.addf %[[SUM]],
// CHECK: arith.ori %[[ANY]], %[[P]]
func.func @mix(%t: tensor<1x2x4x5xf32>, %u: tensor<3x2xf32>) -> tensor<1x3x4xi64> {
  %s = attn.bias %t : tensor<1x2x4x5xf32> -> !attn.scores<1x2x4x5xf32>
  %r = attn.mix_heads %s, %u : !attn.scores<1x2x4x5xf32>, tensor<3x2xf32> -> !attn.scores<1x3x4x5xf32>
  %o = attn.reduce count keys %r : (!attn.scores<1x3x4x5xf32>) -> tensor<1x3x4xi64>
  return %o : tensor<1x3x4xi64>
}
