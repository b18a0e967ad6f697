// Sums that many rows add to are of f64 until all have been added.
// RUN: attn-opt %s --attn-widen-tallies --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @shared(
// CHECK:   %[[WIDE:.*]] = tensor.empty(%{{.*}}) : tensor<1x1x?x3xf64>
// CHECK:   %[[SUMS:.*]] = attn.stream {{.*}} outs(%[[WIDE]] : tensor<1x1x?x3xf64>)
// CHECK:     %[[D:.*]] = attn.dot
// CHECK:     %[[X:.*]] = arith.extf %[[D]] : f32 to f64
// CHECK:     attn.bins sum %[[X]] in %{{.*}} rows %{{.*}} : (f64, index, index) -> !attn.tally<f64>
// CHECK:   %[[R:.*]] = linalg.generic {{.*}} ins(%[[SUMS]] :
// CHECK:     arith.truncf %{{.*}} : f64 to f32
// CHECK:   return %[[R]]
func.func @shared(%x: tensor<1x1x?x8xf32>, %out: tensor<1x1x?x3xf32>, %n: index) -> tensor<1x1x?x3xf32> {
  %c1 = arith.constant 1 : index
  %r = attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : tensor<1x1x?x8xf32>, %N = %n : index) outs(%out : tensor<1x1x?x3xf32>) {
    %z = arith.constant 0 : index
    %t = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %v = attn.bins sum %d in %j rows %N : (f32, index, index) -> !attn.tally<f32>
      attn.yield %v : !attn.tally<f32>
    } : !attn.tally<f32>
    attn.store_row %t : !attn.tally<f32>
  }
  return %r : tensor<1x1x?x3xf32>
}

// -----

// Numbers of one row, extrema and counts lose nothing.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: f64
// CHECK:   return
func.func @others(%x: tensor<1x1x?x8xf32>, %one: tensor<1x1x?x3xf32>, %most: tensor<1x1x?x3xf32>, %count: tensor<1x1x?x3xi64>, %n: index)
    -> (tensor<1x1x?x3xf32>, tensor<1x1x?x3xf32>, tensor<1x1x?x3xi64>) {
  %c1 = arith.constant 1 : index
  %r:3 = attn.stream rows (%b, %h, %i) in [%c1, %c1, %n] over %e = %n ins(%X = %x : tensor<1x1x?x8xf32>, %N = %n : index)
      outs(%one : tensor<1x1x?x3xf32>, %most : tensor<1x1x?x3xf32>, %count : tensor<1x1x?x3xi64>) {
    %z = arith.constant 0 : index
    %t:3 = attn.sweep %j = %z to %e {
      %d = attn.dot %X[%b, %h, %i], %X[%b, %h, %j] : tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> f32
      %v = attn.bins sum %d in %j : (f32, index) -> !attn.tally<f32>
      %m = attn.bins max %d in %j rows %N : (f32, index, index) -> !attn.tally<f32>
      %c = attn.bins count in %j rows %N : (index, index) -> !attn.tally<i64>
      attn.yield %v, %m, %c : !attn.tally<f32>, !attn.tally<f32>, !attn.tally<i64>
    } : !attn.tally<f32>, !attn.tally<f32>, !attn.tally<i64>
    attn.store_row %t#0, %t#1, %t#2 : !attn.tally<f32>, !attn.tally<f32>, !attn.tally<i64>
  }
  return %r#0, %r#1, %r#2 : tensor<1x1x?x3xf32>, tensor<1x1x?x3xf32>, tensor<1x1x?x3xi64>
}
