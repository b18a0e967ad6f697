// RUN: attn-opt %s -attn-to-linalg | FileCheck %s

!scores = !attn.scores<1x1x?x?xf32>
!rows = tensor<1x1x?xf32>

// An absent entry leaves the accumulator as it is, whatever its value.
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-DAG: #[[COLUMN:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-LABEL: func @sum
func.func @sum(%t: tensor<1x1x?x?xf32>) -> (!rows, !rows) {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[ROW]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
  // CHECK-NEXT: ^bb0(%[[V:.*]]: f32, %[[P:.*]]: i1, %[[ACC:.*]]: f32)
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ACC]], %[[V]]
  // CHECK-NEXT: %[[R:.*]] = arith.select %[[P]], %[[SUM]], %[[ACC]]
  // CHECK-NEXT: linalg.yield %[[R]]
  %r = attn.reduce sum keys %s : (!scores) -> !rows
  // CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[COLUMN]]], iterator_types = ["parallel", "parallel", "reduction", "parallel"]}
  %c = attn.reduce sum queries %s : (!scores) -> !rows
  return %r, %c : !rows, !rows
}

// CHECK-LABEL: func @extrema
func.func @extrema(%t: tensor<1x1x?x?xf32>) -> (!rows, !rows) {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: arith.constant 0xFF800000 : f32
  // CHECK: arith.maximumf
  %a = attn.reduce max keys %s : (!scores) -> !rows
  // CHECK: arith.constant 0x7F800000 : f32
  // CHECK: arith.minimumf
  %i = attn.reduce min keys %s : (!scores) -> !rows
  return %a, %i : !rows, !rows
}

// CHECK-LABEL: func @mean
func.func @mean(%t: tensor<1x1x?x?xf32>) -> !rows {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: %[[SUMS:.*]]:2 = linalg.generic
  // CHECK: linalg.generic {{.*}} ins(%[[SUMS]]#0, %[[SUMS]]#1 :
  // CHECK: %[[NONE:.*]] = arith.cmpi eq
  // CHECK: %[[MEAN:.*]] = arith.divf
  // CHECK: arith.select %[[NONE]], %{{.*}}, %[[MEAN]]
  %m = attn.reduce mean keys %s : (!scores) -> !rows
  return %m : !rows
}

// CHECK-LABEL: func @presence
func.func @presence(%t: tensor<1x1x?x?xf32>) -> (tensor<1x1x?xi64>, tensor<1x1x?xi1>) {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: arith.addi {{.*}} : i64
  %c = attn.reduce count keys %s : (!scores) -> tensor<1x1x?xi64>
  // CHECK: outs(%{{.*}} : tensor<1x1x?xi1>)
  // CHECK: arith.constant true
  %a = attn.reduce any keys %s : (!scores) -> tensor<1x1x?xi1>
  return %c, %a : tensor<1x1x?xi64>, tensor<1x1x?xi1>
}

// The first of equals wins, and a NaN wins over numbers.
// CHECK-LABEL: func @argmin
func.func @argmin(%t: tensor<1x1x?x?xf32>) -> tensor<1x1x?xi64> {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: arith.constant -1 : i64
  // CHECK: %[[LESS:.*]] = arith.cmpf olt
  // CHECK: %[[NAN:.*]] = arith.cmpf uno
  // CHECK: %[[NUMBER:.*]] = arith.cmpf ord
  // CHECK: arith.andi %[[NAN]], %[[NUMBER]]
  // CHECK: linalg.index 2
  %c = attn.reduce argmin queries %s : (!scores) -> tensor<1x1x?xi64>
  return %c : tensor<1x1x?xi64>
}

// CHECK-LABEL: func @custom
func.func @custom(%t: tensor<1x1x?x?xf32>) -> (!rows, !rows) {
  %s = attn.bias %t : tensor<1x1x?x?xf32> -> !scores
  // CHECK: linalg.fill ins(%{{.*}}) outs
  // CHECK: linalg.generic
  // CHECK: ^bb0(%[[V:.*]]: f32, %[[P:.*]]: i1, %[[A:.*]]: f32, %[[B:.*]]: f32)
  // CHECK: %[[SQUARE:.*]] = arith.mulf %[[V]], %[[V]]
  // CHECK: arith.addf %[[A]], %[[V]]
  // CHECK: arith.addf %[[B]], %[[SQUARE]]
  // CHECK-COUNT-2: arith.select %[[P]]
  %r:2 = attn.reduce custom keys %s identity [0.0, 0.0] lift (%x: f32) {
    %y = arith.mulf %x, %x : f32
    attn.yield %x, %y : f32, f32
  } combine {
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    %m = arith.addf %a, %c : f32
    %n = arith.addf %b, %d : f32
    attn.yield %m, %n : f32, f32
  } : (!scores) -> (!rows, !rows)
  return %r#0, %r#1 : !rows, !rows
}

// The weights are rounded as operands, the sum is in f32, the result is not.
// CHECK-LABEL: func @aggregate
// CHECK-SAME: %[[VALUE:[a-z0-9]+]]: tensor<1x1x?x4xbf16>
func.func @aggregate(%t: tensor<1x2x?x?xf32>, %v: tensor<1x1x?x4xbf16>) -> tensor<1x2x?x4xbf16> {
  %s = attn.bias %t : tensor<1x2x?x?xf32> -> !attn.scores<1x2x?x?xf32>
  // CHECK: linalg.generic
  // CHECK: ^bb0(%[[W:.*]]: f32, %[[P:.*]]: i1, %[[ACC:.*]]: f32)
  // CHECK: arith.truncf %[[W]] : f32 to bf16
  // CHECK: tensor.extract %[[VALUE]]
  // CHECK: %[[SUM:.*]] = arith.addf %[[ACC]], %{{.*}} : f32
  // CHECK: arith.select %[[P]], %[[SUM]], %[[ACC]]
  // CHECK: linalg.generic
  // CHECK: arith.truncf
  %o = attn.aggregate %s, %v operand_type(bf16) : !attn.scores<1x2x?x?xf32>, tensor<1x1x?x4xbf16> -> tensor<1x2x?x4xbf16>
  return %o : tensor<1x2x?x4xbf16>
}

// A guard in ordinary code is expanded too.
// CHECK-LABEL: func @guard
// CHECK-SAME: %[[X:[a-z0-9]+]]: f32
func.func @guard(%x: f32) -> f32 {
  // CHECK: %[[INF:.*]] = arith.cmpf oeq, %[[X]]
  // CHECK: arith.select %[[INF]], %{{.*}}, %[[X]]
  %g = attn.guard %x : f32
  return %g : f32
}
